//! The service, as a process among others: its log, signals, limits.

use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::Signal;

use super::{GOOD, adjutant, folder_with, run, stderr, stdout};
use crate::process::service;

/// The service with its log to a pipe that nobody reads any more.
#[test]
fn neither_a_lost_log_nor_a_signal_that_means_nothing_to_it_ends_the_service() {
    let mut running = serving_as(|folder| {
        let mut command = adjutant(folder, &["serve"]);
        command.stderr(Stdio::piped());
        command
    });
    drop(running.child.stderr.take());
    let pid = rustix::process::Pid::from_child(&running.child);
    let signal = |signal| rustix::process::kill_process(pid, signal).unwrap();
    for meaningless in [Signal::HUP, Signal::USR1, Signal::USR2, Signal::ALARM] {
        signal(meaningless);
    }
    // A refusal in the grace, a stored delivery, an attempt: all of them are logged.
    let output = run(running.folder.path(), &["trigger", "user.created", "--user", "abc"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    while !stdout(&run(running.folder.path(), &["jobs", "list"])).contains("Connection refused") {
        assert!(running.child.try_wait().unwrap().is_none(), "it ended");
        std::thread::yield_now();
    }
    signal(Signal::TERM);
    assert_eq!(running.child.wait().unwrap().code(), Some(0));
}

/// More is logged than a pipe holds, and its reader reads nothing.
#[test]
fn a_log_that_is_not_read_stops_neither_deliveries_nor_the_end() {
    let mut running = serving_as(|folder| {
        let mut command = adjutant(folder, &["serve"]);
        command.env("ADJUTANT__LOG__LEVEL", "trace").stderr(Stdio::piped());
        command
    });
    for user in 0..20 {
        let user = format!("abc{user}");
        let output = run(running.folder.path(), &["trigger", "user.created", "--user", &user]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    }
    let token = std::fs::read_to_string(running.folder.path().join("admin.token")).unwrap();
    let outline = std::fs::read_to_string(running.folder.path().join("config.toml")).unwrap();
    let admin: std::net::SocketAddr =
        outline.split("[admin]\nlisten = \"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap();
    let authorization = format!("Bearer {}", token.trim());
    for _ in 0..2_000 {
        let headers = [("authorization", authorization.as_str())];
        assert_eq!(crate::process::http::request(admin, "GET", "/v1/apps", &headers, b"").unwrap().status, 200);
    }
    let pid = rustix::process::Pid::from_child(&running.child);
    rustix::process::kill_process(pid, Signal::TERM).unwrap();
    assert_eq!(running.child.wait().unwrap().code(), Some(0));
}

#[test]
fn the_service_leaves_no_core_dump_and_takes_all_the_files_it_may() {
    let running = serving_as(|folder| {
        let mut command = Command::new("sh");
        let script = "ulimit -S -n 200; ulimit -c unlimited 2>/dev/null; exec \"$0\" serve";
        command.args(["-c", script, env!("CARGO_BIN_EXE_adjutant")]).current_dir(folder).stderr(Stdio::null());
        command
    });
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", running.child.id())).unwrap();
    let of = |name: &str| -> Vec<&str> {
        let line = limits.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().take(2).collect()
    };
    assert_eq!(of("Max core file size"), ["0", "0"]);
    let files = of("Max open files");
    assert_eq!(files[0], files[1]);
}

/// The service, running on free ports until it is dropped.
pub(super) struct Running {
    pub(super) folder: tempfile::TempDir,
    child: std::process::Child,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}

pub(super) fn serving() -> Running {
    serving_as(|folder| {
        let mut command = adjutant(folder, &["serve"]);
        command.stderr(Stdio::null());
        command
    })
}

fn serving_as(command: impl FnOnce(&Path) -> Command) -> Running {
    let (public, admin) = (service::free(), service::free());
    let config = GOOD.replace("127.0.0.1:1\"", &format!("{}\"", admin.local_addr().unwrap()))
        + "[[rule]]\nname = \"everyone\"\nfor = \"user\"\nensure = { assistants = [\"api-user\"] }\n"
        + &format!("[server]\nlisten = \"{}\"\n", public.local_addr().unwrap())
        + "[zoom]\napi_url = \"http://127.0.0.1:1/v2\"\noauth_url = \"http://127.0.0.1:1/oauth\"\n";
    drop((public, admin));
    let folder = folder_with(&config);
    let child = command(folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    let mut running = Running { folder, child };
    while run(running.folder.path(), &["attention"]).status.code() == Some(69) {
        assert!(running.child.try_wait().unwrap().is_none(), "it ended");
        std::thread::yield_now();
    }
    running
}
