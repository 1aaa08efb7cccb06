//! How fast the receiver stores deliveries, as a share of a bare axum handler measured in the same run.
//!
//! Over loopback, 64 connections, distinct signed bodies of 1 KiB, signed beforehand. In turn, five times:
//!
//! * `bare`: an axum POST handler that reads the body and answers 200, served by `axum::serve`;
//! * `burst`: `adjutant serve`, 10 seconds;
//! * `sustained`: `adjutant serve`, a million deliveries, each planned to a recorded decision.
//!
//! `--quick` takes one short round; `--profile` is one burst alone.
//!
//! Servers are processes of their own, started anew on an empty folder for each run. See `benches/README.md`.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::panic,
    reason = "a benchmark measures real time, prints, and may stop at the first surprise"
)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const SECRET: &str = "benchmark-secret-token";
const BODY_BYTES: usize = 1024;
/// Where the number of the delivery stands in the body: eight digits in the participant's id.
const NUMBER_DIGITS: usize = 8;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    if args.first().is_some_and(|arg| arg == "--bare") {
        return bare();
    }
    let quick = args.iter().any(|arg| arg == "--quick");
    if args.iter().any(|arg| arg == "--profile") {
        return profile(args.iter().any(|arg| arg == "bare"));
    }
    let (rounds, burst, million) =
        if quick { (1, Duration::from_secs(3), 200_000) } else { (5, Duration::from_secs(10), 1_000_000) };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    println!("signing {} bodies of {BODY_BYTES} bytes", million * 2);
    let load = Arc::new(Load::sign(million * 2));
    let mut results = Results::default();
    for round in 1..=rounds {
        let bare = Server::bare();
        let run = runtime.block_on(drive(&load, bare.address, Limit::Time(burst)));
        println!("round {round} bare       {run}");
        results.bare.push(run.per_second());
        drop(bare);

        let server = Server::adjutant();
        let run = runtime.block_on(drive(&load, server.address, Limit::Time(burst)));
        println!("round {round} burst      {run}");
        results.burst.push(run.per_second());
        results.burst_p99.push(run.p99_ms());
        drop(server);

        let server = Server::adjutant();
        let run = runtime.block_on(drive(&load, server.address, Limit::Count(million)));
        let settled = server.wait_until_settled(million as u64);
        let memory = server.resident_bytes() as f64 / 1e6;
        println!(
            "round {round} sustained  {run}, all planned {settled:.2} s after the last answer, resident {memory:.0} MB"
        );
        results.sustained.push(run.per_second());
        results.sustained_p99.push(run.p99_ms());
        results.settled.push(settled);
        results.memory.push(memory);
    }
    results.print();
}

/// One burst alone, to be watched by a profiler.
fn profile(bare: bool) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let load = Arc::new(Load::sign(1_200_000));
    let server = if bare { Server::bare() } else { Server::adjutant() };
    println!("the server is process {}", server.child.id());
    let run = runtime.block_on(drive(&load, server.address, Limit::Time(Duration::from_secs(10))));
    let each = server.processor_secs() * 1e6 / run.requests as f64;
    print!("burst {run}, {each:.1} µs of the server's processor for each");
    if !bare {
        print!(", all planned {:.2} s after it", server.wait_until_settled(run.requests as u64));
    }
    println!();
}

/// A server without any work: the baseline.
fn bare() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let read = |body: bytes::Bytes| async move {
            std::hint::black_box(body.len());
        };
        let router = axum::Router::new().route("/webhooks/main", axum::routing::post(read));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("{}", listener.local_addr().unwrap());
        axum::serve(listener, router).await.unwrap();
    });
}

/// Requests, signed beforehand. Bodies differ in eight digits, so a signature and a number are all that is kept of each.
struct Load {
    timestamp: String,
    body: Vec<u8>,
    number_at: usize,
    signatures: Vec<[u8; 32]>,
}

impl Load {
    fn sign(count: usize) -> Self {
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
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

#[derive(Clone, Copy)]
enum Limit {
    Time(Duration),
    Count(usize),
}

struct Run {
    requests: usize,
    took: Duration,
    /// Micros, sorted.
    latencies: Vec<u32>,
}

impl Run {
    fn per_second(&self) -> f64 {
        self.requests as f64 / self.took.as_secs_f64()
    }

    fn p99_ms(&self) -> f64 {
        f64::from(self.latencies[self.latencies.len() * 99 / 100]) / 1000.0
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:>8.0}/s, p99 {:>6.2} ms, {} requests", self.per_second(), self.p99_ms(), self.requests)
    }
}

/// Sends the load over 64 connections; every answer must be 200.
async fn drive(load: &Arc<Load>, address: std::net::SocketAddr, limit: Limit) -> Run {
    let next = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    let mut tasks = Vec::new();
    for _ in 0..64 {
        let (load, next) = (Arc::clone(load), Arc::clone(&next));
        tasks.push(tokio::spawn(async move {
            let (mut request, signature_at, number_at) = load.request();
            let mut stream = connect(address).await;
            let mut answer = [0; 1024];
            let mut latencies = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed) as usize;
                let over = match limit {
                    Limit::Time(time) => start.elapsed() >= time || number >= load.signatures.len(),
                    Limit::Count(count) => number >= count,
                };
                if over {
                    return latencies;
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
                latencies.push(sent.elapsed().as_micros() as u32);
                // adjutant ends a connection after so many requests; a proxy would open another, too.
                if answer[..got].windows(17).any(|line| line.eq_ignore_ascii_case(b"connection: close")) {
                    stream = connect(address).await;
                }
            }
        }));
    }
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.append(&mut task.await.unwrap());
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
struct Server {
    child: Child,
    address: std::net::SocketAddr,
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
    fn bare() -> Self {
        let mut child =
            Command::new(std::env::current_exe().unwrap()).arg("--bare").stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, address: line.trim().parse().unwrap(), admin: None, folder: None }
    }

    fn adjutant() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Held at the same time, so that they are two.
        let ports = [(); 2].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
        let [listen, admin] = ports.map(|port| port.local_addr().unwrap());
        let config = folder.path().join("config.toml");
        std::fs::write(&config, configuration(listen, admin)).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_adjutant"))
            .arg("--config")
            .arg(&config)
            .arg("serve")
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

    /// Seconds until every delivery has a decision on record and the index has taken in everything.
    fn wait_until_settled(&self, deliveries: u64) -> f64 {
        let start = Instant::now();
        loop {
            let status = self.status();
            let number = |key: &str| status[key].as_u64().unwrap();
            assert!(number("deliveries") >= deliveries, "answered, but not stored: {status}");
            if number("unplanned") == 0 && number("index_lag") == 0 {
                return start.elapsed().as_secs_f64();
            }
            assert!(start.elapsed() < Duration::from_secs(120), "does not settle: {status}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn status(&self) -> serde_json::Value {
        let (address, token) = self.admin.as_ref().unwrap();
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        write!(
            stream,
            "GET /v1/status HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        std::io::Read::read_to_string(&mut stream, &mut answer).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let status: serde_json::Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"));
        status["store"].clone()
    }

    /// User and system time since the start.
    fn processor_secs(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let after_name = stat.rsplit(')').next().unwrap();
        let ticks = |nth: usize| after_name.split_whitespace().nth(nth).unwrap().parse::<f64>().unwrap();
        // A tick is a hundredth of a second on every Linux.
        (ticks(11) + ticks(12)) / 100.0
    }

    fn resident_bytes(&self) -> u64 {
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

#[derive(Default)]
struct Results {
    bare: Vec<f64>,
    burst: Vec<f64>,
    burst_p99: Vec<f64>,
    sustained: Vec<f64>,
    sustained_p99: Vec<f64>,
    settled: Vec<f64>,
    memory: Vec<f64>,
}

impl Results {
    fn print(&self) {
        println!("\n{:<34}{:>12}{:>12}{:>12}", "", "median", "least", "most");
        for (name, values) in [
            ("bare handler, requests/s", &self.bare),
            ("adjutant burst, requests/s", &self.burst),
            ("adjutant sustained, requests/s", &self.sustained),
            ("burst p99, ms", &self.burst_p99),
            ("sustained p99, ms", &self.sustained_p99),
            ("planned and indexed after, s", &self.settled),
            ("resident after a million, MB", &self.memory),
        ] {
            let (least, median, most) = spread(values);
            println!("{name:<34}{median:>12.2}{least:>12.2}{most:>12.2}");
        }
        let share = |values: &[f64]| -> Vec<f64> { values.iter().zip(&self.bare).map(|(v, bare)| v / bare).collect() };
        for (name, values) in [("burst / bare", share(&self.burst)), ("sustained / bare", share(&self.sustained))] {
            let (least, median, most) = spread(&values);
            println!("{name:<34}{median:>12.3}{least:>12.3}{most:>12.3}");
        }
    }
}

fn spread(values: &[f64]) -> (f64, f64, f64) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    (sorted[0], sorted[sorted.len() / 2], sorted[sorted.len() - 1])
}
