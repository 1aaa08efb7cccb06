//! The load of the receiver's benchmark, and the servers that it is put on.
//!
//! Also of the measurement of what the audit log's tree costs, which is a test of the library: `src/cli/measured.rs`.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const SECRET: &str = "benchmark-secret-token";
pub(crate) const BODY_BYTES: usize = 1024;
/// Where the number of the delivery stands in the body: eight digits in the participant's id.
const NUMBER_DIGITS: usize = 8;

/// A count, to divide by.
pub(crate) fn float(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap())
}

/// Requests, signed beforehand. Bodies differ in eight digits, so a signature and a number are all that is kept of each.
pub(crate) struct Load {
    timestamp: String,
    body: Vec<u8>,
    number_at: usize,
    signatures: Vec<[u8; 32]>,
}

impl Load {
    pub(crate) fn sign(count: usize) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let head = format!(
            "{{\"event\":\"meeting.participant_joined\",\"event_ts\":{},\"payload\":{{\"account_id\":\"bench-account\",\"object\":\
             {{\"id\":\"1234567890\",\"uuid\":\"4444AAAiAAAAAiAiAiiAii==\",\"host_id\":\"x1yCzABCDEfg23HiJKl4mN\",\
             \"topic\":\"My Meeting\",\"type\":8,\"start_time\":\"2026-07-13T21:44:51Z\",\"timezone\":\"America/Los_Angeles\",\
             \"duration\":60,\"participant\":{{\"user_id\":\"1677\",\"user_name\":\"Jill Chill\",\"email\":\"jchill@example.com\",\
             \"join_time\":\"2026-07-13T21:44:51Z\",\"id\":\"",
            now.as_millis()
        );
        let mut body = head.clone().into_bytes();
        body.extend_from_slice(&[b'0'; NUMBER_DIGITS]);
        body.extend_from_slice(b"\",\"customer_key\":\"");
        let tail = b"\"}}}}";
        body.resize(BODY_BYTES - tail.len(), b'k');
        body.extend_from_slice(tail);
        let mut load =
            Self { timestamp: now.as_secs().to_string(), body, number_at: head.len(), signatures: Vec::new() };
        let key = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
        let mut body = load.body.clone();
        for number in 0..count {
            set_number(&mut body[load.number_at..][..NUMBER_DIGITS], number);
            let mut mac = key.clone();
            mac.update(b"v0:");
            mac.update(load.timestamp.as_bytes());
            mac.update(b":");
            mac.update(&body);
            load.signatures.push(mac.finalize().into_bytes().into());
        }
        load
    }

    /// The request with its variable parts empty, and where they stand.
    fn request(&self) -> (Vec<u8>, usize, usize) {
        let mut request = format!(
            "POST /webhooks/main HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json; charset=utf-8\r\n\
             x-zm-request-timestamp: {}\r\ncontent-length: {BODY_BYTES}\r\nx-zm-signature: v0=",
            self.timestamp
        )
        .into_bytes();
        let signature_at = request.len();
        request.extend_from_slice(&[b'0'; 64]);
        request.extend_from_slice(b"\r\n\r\n");
        let number_at = request.len() + self.number_at;
        request.extend_from_slice(&self.body);
        (request, signature_at, number_at)
    }
}

fn set_number(digits: &mut [u8], mut number: usize) {
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789"[number % 10];
        number /= 10;
    }
}

#[derive(Clone, Copy)]
pub(crate) enum Limit {
    Time(Duration),
    /// These deliveries: the first, and one past the last.
    Numbers(usize, usize),
}

pub(crate) struct Run {
    pub(crate) requests: usize,
    took: Duration,
    /// Micros, sorted.
    latencies: Vec<u32>,
}

impl Run {
    pub(crate) fn per_second(&self) -> f64 {
        float(self.requests) / self.took.as_secs_f64()
    }

    pub(crate) fn p99_ms(&self) -> f64 {
        f64::from(self.latencies[self.latencies.len() * 99 / 100]) / 1000.0
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:>8.0}/s, p99 {:>6.2} ms, {} requests", self.per_second(), self.p99_ms(), self.requests)
    }
}

/// Sends the load over 64 connections, these and new ones, and leaves them open; every answer must be 200.
pub(crate) async fn drive(
    load: &Arc<Load>,
    address: std::net::SocketAddr,
    streams: &mut Vec<TcpStream>,
    limit: Limit,
) -> Run {
    let first = if let Limit::Numbers(first, _) = limit { first } else { 0 };
    let next = Arc::new(AtomicUsize::new(first));
    let start = Instant::now();
    let mut tasks = Vec::new();
    for _ in 0..64 {
        let (load, next) = (Arc::clone(load), Arc::clone(&next));
        let open = streams.pop();
        tasks.push(tokio::spawn(async move {
            let (mut request, signature_at, number_at) = load.request();
            let mut stream = match open {
                Some(open) => open,
                None => connect(address).await,
            };
            let mut answer = [0; 1024];
            let mut latencies = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let over = match limit {
                    Limit::Time(time) => start.elapsed() >= time || number >= load.signatures.len(),
                    Limit::Numbers(_, end) => number >= end,
                };
                if over {
                    return (stream, latencies);
                }
                hex::encode_to_slice(load.signatures[number], &mut request[signature_at..][..64]).unwrap();
                set_number(&mut request[number_at..][..NUMBER_DIGITS], number);
                let sent = Instant::now();
                stream.write_all(&request).await.unwrap();
                let mut got = 0;
                while !answer[..got].windows(4).any(|end| end == b"\r\n\r\n") {
                    let more = stream.read(&mut answer[got..]).await.unwrap();
                    assert!(more > 0, "the server closed the connection");
                    got += more;
                }
                let ok = answer.starts_with(b"HTTP/1.1 200");
                assert!(ok, "not a 200: {}", String::from_utf8_lossy(&answer[..got]));
                latencies.push(u32::try_from(sent.elapsed().as_micros()).unwrap());
                // adjutant ends a connection after so many requests; a proxy would open another, too.
                if answer[..got].windows(17).any(|line| line.eq_ignore_ascii_case(b"connection: close")) {
                    stream = connect(address).await;
                }
            }
        }));
    }
    let mut latencies = Vec::new();
    for task in tasks {
        let (stream, mut some) = task.await.unwrap();
        streams.push(stream);
        latencies.append(&mut some);
    }
    let took = start.elapsed();
    latencies.sort_unstable();
    Run { requests: latencies.len(), took, latencies }
}

async fn connect(address: std::net::SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// A server process, ended when it is dropped.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) address: std::net::SocketAddr,
    admin: Option<(std::net::SocketAddr, String)>,
    /// Removed with the server.
    folder: Option<tempfile::TempDir>,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

impl Server {
    /// A program that says on its first line where it listens.
    pub(crate) fn bare(program: &mut Command) -> Self {
        let mut child = program.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, address: line.trim().parse().unwrap(), admin: None, folder: None }
    }

    /// A program that serves what is in the configuration that `ADJUTANT_CONFIG` names.
    pub(crate) fn adjutant(program: &mut Command) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Held at the same time, so that they are two.
        let ports = [(); 2].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
        let [listen, admin] = ports.map(|port| port.local_addr().unwrap());
        let config = folder.path().join("config.toml");
        std::fs::write(&config, configuration(listen, admin)).unwrap();
        let child = program
            .env("ADJUTANT_CONFIG", &config)
            .stderr(std::fs::File::create(folder.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let mut server = Self { child, address: listen, admin: None, folder: None };
        let deadline = Instant::now() + Duration::from_secs(20);
        // The token is there once everything is built; the listeners are bound before.
        while !folder.path().join("admin.token").exists() || std::net::TcpStream::connect(listen).is_err() {
            let log = || std::fs::read_to_string(folder.path().join("log")).unwrap();
            assert!(Instant::now() < deadline, "adjutant does not listen: {}", log());
            assert!(server.child.try_wait().unwrap().is_none(), "adjutant ended: {}", log());
            std::thread::sleep(Duration::from_millis(10));
        }
        let token = std::fs::read_to_string(folder.path().join("admin.token")).unwrap();
        server.admin = Some((admin, token.trim().to_owned()));
        server.folder = Some(folder);
        server
    }

    /// Ends it, and leaves its folder to the caller.
    pub(crate) fn end(mut self) -> Option<tempfile::TempDir> {
        self.folder.take()
    }

    /// Seconds until every delivery has a decision on record and the index has taken in everything.
    pub(crate) fn wait_until_settled(&self, deliveries: usize) -> f64 {
        let start = Instant::now();
        let deliveries = u64::try_from(deliveries).unwrap();
        loop {
            let status = &self.get("/v1/status")["store"];
            let number = |key: &str| status[key].as_u64().unwrap();
            assert!(number("deliveries") >= deliveries, "answered, but not stored: {status}");
            if number("unplanned") == 0 && number("index_lag") == 0 {
                return start.elapsed().as_secs_f64();
            }
            assert!(start.elapsed() < Duration::from_secs(120), "does not settle: {status}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What the administration answers.
    pub(crate) fn get(&self, path: &str) -> serde_json::Value {
        let (address, token) = self.admin.as_ref().unwrap();
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        std::io::Read::read_to_string(&mut stream, &mut answer).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
    }

    /// User and system time since the start.
    pub(crate) fn processor_secs(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let after_name = stat.rsplit(')').next().unwrap();
        let ticks = |nth: usize| after_name.split_whitespace().nth(nth).unwrap().parse::<f64>().unwrap();
        // A tick is a hundredth of a second on every Linux.
        (ticks(11) + ticks(12)) / 100.0
    }

    pub(crate) fn resident_bytes(&self) -> u64 {
        let status =
            std::fs::read_to_string(Path::new("/proc").join(self.child.id().to_string()).join("status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    }
}

fn configuration(listen: std::net::SocketAddr, admin: std::net::SocketAddr) -> String {
    format!(
        r#"
[server]
listen = "{listen}"
[admin]
listen = "{admin}"
[log]
level = "warn"
[[app]]
name = "main"
kind = "server-to-server"
client_id = "bench-client"
client_secret = "bench-client-secret"
webhook_secrets = ["{SECRET}"]
[[app.account]]
id = "bench-account"
plan = "pro"
api_users = ["api-user@example.com"]
[[rule]]
name = "api-user-assists-everyone"
for = "user"
ensure = {{ assistants = ["api-user"] }}
"#
    )
}
