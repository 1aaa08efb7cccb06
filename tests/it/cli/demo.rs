//! `demo`: how it ends.

use std::process::{Command, Stdio};

use rustix::process::Signal;

use super::{adjutant, stderr, stdout};

#[test]
fn what_ends_the_demo_ends_its_service_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut demo = adjutant(folder.path(), &["demo"])
        .env("TMPDIR", folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut first = String::new();
    let mut lines = std::io::BufReader::new(demo.stdout.take().unwrap());
    while !first.contains("the service runs") {
        assert!(std::io::BufRead::read_line(&mut lines, &mut first).unwrap() > 0, "{first}");
    }
    let pid = rustix::process::Pid::from_child(&demo);
    rustix::process::kill_process(pid, Signal::TERM).unwrap();
    assert_eq!(demo.wait().unwrap().code(), Some(1), "it was not over");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "its folder stayed behind");
    let address = first.split("adjutant at http://").nth(1).and_then(|rest| rest.split(';').next()).unwrap();
    assert!(std::net::TcpStream::connect(address).is_err(), "its service stayed behind");
}

/// No file may grow beyond what the configuration needs, so that the service cannot make its journal.
#[test]
fn a_demo_that_goes_wrong_says_so_and_does_not_end_well() {
    let folder = tempfile::tempdir().unwrap();
    let mut demo = Command::new("sh");
    let script = "ulimit -f 16; exec \"$0\" demo --once";
    demo.args(["-c", script, env!("CARGO_BIN_EXE_adjutant")]).env("TMPDIR", folder.path()).stdin(Stdio::null());
    let output = demo.output().unwrap();
    let said = stdout(&output);
    assert_eq!(output.status.code(), Some(1), "{said}{}", stderr(&output));
    assert!(said.contains("WRONG  the service did not start; the service's log: "), "{said}");
}
