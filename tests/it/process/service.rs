//! The real binary, as a process that can be killed and started again on the same folder.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::{http, since_epoch};

pub(crate) const SECRET: &str = "webhook-secret-of-the-test";
pub(crate) const ACCOUNT: &str = "test-account";
pub(crate) const API_USER: &str = "api-user@school.example";

/// A folder with a configuration, and the service on it, running or not.
pub(crate) struct Service {
    folder: tempfile::TempDir,
    pub(crate) public: SocketAddr,
    pub(crate) admin: SocketAddr,
    child: Option<Child>,
}

/// Below the ports that the system gives to whoever connects: between this look and the service's own, nobody gets it by
/// chance.
pub(crate) fn free() -> TcpListener {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let next = std::process::id().wrapping_mul(97).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(10_000 + next % 22_000).unwrap();
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
            return listener;
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Service {
    /// A new folder, with a configuration that is made of the two addresses that it listens at. Nothing is started.
    pub(crate) fn with(config: impl FnOnce(SocketAddr, SocketAddr) -> String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (public, admin) = (free(), free());
        let (public, admin) = (public.local_addr().unwrap(), admin.local_addr().unwrap());
        std::fs::write(folder.path().join("config.toml"), config(public, admin)).unwrap();
        Self { folder, public, admin, child: None }
    }

    /// A new folder, with the two rules enforced against the Zoom at these addresses. Nothing is started.
    pub(crate) fn new(api_url: &str, oauth_url: &str) -> Self {
        Self::with(|public, admin| {
            format!(
                r#"
[server]
listen = "{public}"
[admin]
listen = "{admin}"
[store]
segment_bytes = 4194304
snapshot_every_bytes = 1048576
disk_reserve_bytes = 0
[zoom]
api_url = "{api_url}"
oauth_url = "{oauth_url}"
[[app]]
name = "main"
kind = "server-to-server"
client_id = "client-{ACCOUNT}"
client_secret = "client-secret-{ACCOUNT}"
webhook_secrets = ["{SECRET}"]
[[app.account]]
id = "{ACCOUNT}"
plan = "business"
api_users = ["{API_USER}"]
[[rule]]
name = "api-user-assists-everyone"
for = "user"
ensure = {{ assistants = ["api-user"] }}
mode = "enforce"
max_changes_per_hour = 1000000
max_changes_percent = 100
[[rule]]
name = "waiting-room"
for = "meeting"
ensure = {{ settings = {{ waiting_room = true }} }}
mode = "enforce"
max_changes_per_hour = 1000000
max_changes_percent = 100
"#
            )
        })
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Starts the process; ends when it answers, or when it died on the way (as a break point may want it to).
    pub(crate) fn start(&mut self, environment: &[(&str, &str)]) -> bool {
        self.spawn(environment);
        self.wait_until_up()
    }

    /// Starts the process, and gives its standard output when it answers.
    pub(crate) fn start_piped(&mut self) -> ChildStdout {
        self.spawn_with(&[], Stdio::piped());
        assert!(self.wait_until_up(), "{}", self.log());
        self.child.as_mut().unwrap().stdout.take().unwrap()
    }

    /// Starts the process and does not wait for it.
    pub(crate) fn spawn(&mut self, environment: &[(&str, &str)]) -> rustix::process::Pid {
        self.spawn_with(environment, Stdio::null())
    }

    fn spawn_with(&mut self, environment: &[(&str, &str)], stdout: Stdio) -> rustix::process::Pid {
        assert!(self.child.is_none(), "it runs already");
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.folder.path().join("log")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_adjutant"))
            .arg("--config")
            .arg(self.folder.path().join("config.toml"))
            .arg("serve")
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(log)
            .spawn()
            .unwrap();
        rustix::process::Pid::from_child(self.child.insert(child))
    }

    /// Memory that it has now.
    pub(crate) fn resident_mb(&self) -> u64 {
        let pid = self.child.as_ref().unwrap().id();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
    }

    /// Ends when it answers, or when it died on the way.
    pub(crate) fn wait_until_up(&mut self) -> bool {
        let given_up = since_epoch() + Duration::from_secs(120);
        while !self.answers() {
            if !self.is_running() {
                self.child = None;
                return false;
            }
            assert!(since_epoch() < given_up, "it does not start: {}", self.log());
            std::thread::yield_now();
        }
        true
    }

    fn answers(&self) -> bool {
        http::request(self.admin, "GET", "/livez", &[], b"").is_ok_and(|answer| answer.status == 200)
            && http::request(self.public, "GET", "/livez", &[], b"").is_ok_and(|answer| answer.status == 200)
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| child.try_wait().unwrap().is_none())
    }

    /// `SIGKILL`, or nothing where it died already.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _gone = child.kill();
            let _status = child.wait();
        }
    }

    /// `SIGTERM`; gives the exit code.
    pub(crate) fn terminate(&mut self) -> Option<i32> {
        let mut child = self.child.take().unwrap();
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        child.wait().unwrap().code()
    }

    /// Posts a delivery, signed now; gives the status, or an error where no answer came.
    pub(crate) fn deliver(&self, body: &str) -> io::Result<u16> {
        self.deliver_at(i64::try_from(since_epoch().as_secs()).unwrap(), body)
    }

    /// The same, signed then.
    pub(crate) fn deliver_at(&self, secs: i64, body: &str) -> io::Result<u16> {
        let signature = adjutant::sim::sign(SECRET, secs, body.as_bytes());
        let (secs, id) = (secs.to_string(), "6009d653_d487_445d_8406_42b654974899");
        let headers = [
            ("x-zm-signature", signature.as_str()),
            ("x-zm-request-timestamp", secs.as_str()),
            ("x-zm-request-id", id),
        ];
        Ok(http::request(self.public, "POST", "/webhooks/main", &headers, body.as_bytes())?.status)
    }

    /// Posts a delivery that nobody signed; gives the status.
    pub(crate) fn forge(&self, headers: &[(&str, &str)], body: &str) -> io::Result<u16> {
        Ok(http::request(self.public, "POST", "/webhooks/main", headers, body.as_bytes())?.status)
    }

    /// What the metrics say.
    pub(crate) fn metrics(&self) -> String {
        let token = std::fs::read_to_string(self.folder.path().join("admin.token")).unwrap();
        let authorization = format!("Bearer {}", token.trim());
        http::request(self.admin, "GET", "/metrics", &[("authorization", &authorization)], b"").unwrap().body
    }

    /// Asks the admin listener.
    pub(crate) fn admin(&self, method: &str, path: &str) -> io::Result<serde_json::Value> {
        let (status, answer) = self.ask(method, path)?;
        assert_eq!(status, 200, "{method} {path}: {answer}");
        Ok(answer)
    }

    /// The same, with its status, whatever that is.
    pub(crate) fn ask(&self, method: &str, path: &str) -> io::Result<(u16, serde_json::Value)> {
        self.send(method, path, b"")
    }

    /// The same, with a body.
    pub(crate) fn send(&self, method: &str, path: &str, body: &[u8]) -> io::Result<(u16, serde_json::Value)> {
        let token = std::fs::read_to_string(self.folder.path().join("admin.token"))?;
        let authorization = format!("Bearer {}", token.trim());
        let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
        let headers = if body.is_empty() { &headers[..1] } else { &headers };
        let answer = http::request(self.admin, method, path, headers, body)?;
        Ok((answer.status, serde_json::from_str(&answer.body)?))
    }

    /// How its store is doing.
    pub(crate) fn status(&self) -> io::Result<serde_json::Value> {
        Ok(self.admin("GET", "/v1/status")?["store"].clone())
    }

    /// Waits until nothing is left to plan and nothing is due or running.
    pub(crate) fn wait_until_idle(&mut self) {
        let given_up = since_epoch() + Duration::from_secs(300);
        loop {
            let status = self.status().unwrap();
            let left: u64 = ["unplanned", "due", "running"].iter().map(|key| status[*key].as_u64().unwrap()).sum();
            if left == 0 {
                return;
            }
            assert!(self.is_running(), "it died: {}", self.log());
            assert!(since_epoch() < given_up, "work is left: {status}\n{}", self.log());
            std::thread::yield_now();
        }
    }

    /// Runs another command of the binary on the same configuration; gives exit code and output.
    pub(crate) fn command(&self, args: &[&str]) -> (i32, String, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_adjutant"))
            .arg("--config")
            .arg(self.folder.path().join("config.toml"))
            .args(args)
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
    }
}
