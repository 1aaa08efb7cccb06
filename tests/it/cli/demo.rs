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

#[test]
fn schools_install_and_onboard_and_of_the_one_that_leaves_nothing_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let mut demo = adjutant(folder.path(), &["demo", "--schools", "2", "--once"]);
    let output = demo.env("TMPDIR", folder.path()).output().unwrap();
    let said = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{said}{}", stderr(&output));
    for fact in [
        "owner@school-1.example tried without an invite: refused",
        "owner@school-2.example installed the app with an invite",
        "school-2: 10 teachers of a CSV: 6 have users and the API user as assistant, 3 are invited, 1 waits for a licence",
        "school-1: the same file, given again, asked for nothing twice",
        // Six of the file, and one who accepted, of each school.
        "14 meetings for exactly those who were granted, refused for the 8 others",
        "owner@school-2.example removed the app",
        "owner@school-1.example installed the app again",
        "all 9 who can have the API user of their school as assistant do, and none of the 2 others",
        "none named anything of another account",
        "of school-2 nothing is left in the store",
        "the audit log verifies",
        "the first sweep of each school only looked",
        "17 steps right, 0 wrong",
    ] {
        assert!(said.contains(fact), "{fact}: {said}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "its folder stayed behind");
}

#[test]
fn a_demo_of_schools_whose_service_dies_says_so_and_does_not_end_well() {
    let folder = tempfile::tempdir().unwrap();
    let mut demo = adjutant(folder.path(), &["demo", "--schools", "2", "--once"])
        .env("TMPDIR", folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (mut said, mut lines) = (String::new(), std::io::BufReader::new(demo.stdout.take().unwrap()));
    while !said.contains("the service runs") {
        assert!(std::io::BufRead::read_line(&mut lines, &mut said).unwrap() > 0, "{said}");
    }
    let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", demo.id())).unwrap();
    let service: i32 = children.split_whitespace().next().unwrap().parse().unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_raw(service).unwrap(), Signal::KILL).unwrap();
    std::io::Read::read_to_string(&mut lines, &mut said).unwrap();
    assert_eq!(demo.wait().unwrap().code(), Some(1), "{said}");
    assert_eq!(said.matches("WRONG").count(), 1, "it is over with the first wrong step: {said}");
}
