//! Keys: where the master key may come from, how it is changed, and that a crash shows nobody any.

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use adjutant::breakpoint;
use adjutant::store::local::{MasterKey, OpenError};
use adjutant::store::{LocalStore, Store};

use super::kit::{answers, assert_same, clock, fill, settings};
use crate::config::GOOD;

fn adjutant(folder: &Path, words: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_adjutant"));
    command.args(words).current_dir(folder).stdin(Stdio::null());
    command.env_remove("ADJUTANT_CONFIG").env_remove("CREDENTIALS_DIRECTORY").envs(environment.iter().copied());
    command.output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn open(folder: &Path, key: MasterKey) -> Result<LocalStore, OpenError> {
    let chance = std::sync::Arc::new(adjutant::chance::SystemChance);
    let limits = adjutant::store::Limits::default();
    LocalStore::open(&folder.join("data"), settings(limits), key, clock(), chance, &mut |_, _, _| {})
        .map(|(store, _)| store)
}

fn file(path: &Path) -> MasterKey {
    MasterKey::File(path.to_owned())
}

/// A closed store in `data`, with its key in `master.key`; and all that it answers.
async fn store() -> (tempfile::TempDir, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config.toml"), GOOD).unwrap();
    let store = open(folder.path(), file(&folder.path().join("master.key"))).unwrap();
    fill(&store, "some", 10).await;
    let before = answers(&store).await;
    store.close().await.unwrap();
    (folder, before)
}

async fn opens_the_same(folder: &Path, key: MasterKey, before: &[String]) {
    let store = open(folder, key).unwrap();
    assert_same(before, &answers(&store).await);
    store.close().await.unwrap();
}

#[tokio::test]
async fn another_master_key_opens_the_store_in_place_of_the_old_one_which_is_kept() {
    let (folder, before) = store().await;
    let (key, old) = (folder.path().join("master.key"), folder.path().join("master.key.old"));
    let first = std::fs::read_to_string(&key).unwrap();
    let done = adjutant(folder.path(), &["store", "rekey"], &[]);
    assert_eq!(done.status.code(), Some(0), "{}", said(&done));
    assert!(said(&done).contains("master.key.old"), "{}", said(&done));
    let second = std::fs::read_to_string(&key).unwrap();
    assert!(!said(&done).contains(first.trim()) && !said(&done).contains(second.trim()), "it prints a key");
    assert_ne!(first, second);
    assert_eq!(std::fs::read_to_string(&old).unwrap(), first);
    for path in [&key, &old] {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let refused = open(folder.path(), file(&old)).unwrap_err();
    assert!(refused.to_string().contains("run it again"), "{refused}");
    opens_the_same(folder.path(), file(&key), &before).await;
    // A backup may still need the first: a third does not take its place.
    let again = adjutant(folder.path(), &["store", "rekey"], &[]);
    assert_eq!(again.status.code(), Some(74), "{}", said(&again));
    assert!(said(&again).contains("move it away first"), "{}", said(&again));
    assert_eq!((std::fs::read_to_string(&old).unwrap(), std::fs::read_to_string(&key).unwrap()), (first, second));
    opens_the_same(folder.path(), file(&key), &before).await;
}

#[tokio::test]
async fn a_change_of_the_master_key_that_is_killed_anywhere_leaves_one_key_that_opens_and_goes_on() {
    for at in breakpoint::RARE.iter().filter(|name| name.starts_with("rekey-")) {
        let (folder, before) = store().await;
        let key = folder.path().join("master.key");
        let killed = adjutant(folder.path(), &["store", "rekey"], &[("ADJUTANT_BREAK_AT", &format!("{at}:1"))]);
        assert_eq!(killed.status.signal(), Some(9), "{at}: {}", said(&killed));
        let opening: Vec<MasterKey> = [key.clone(), folder.path().join("master.key.new")]
            .iter()
            .filter(|path| path.exists())
            .map(|path| file(path))
            .filter(|key| open(folder.path(), key.clone()).is_ok_and(|store| store.close_now().is_ok()))
            .collect();
        assert_eq!(opening.len(), 1, "{at}: one of the keys opens it");
        let done = adjutant(folder.path(), &["store", "rekey"], &[]);
        assert_eq!(done.status.code(), Some(0), "{at}: {}", said(&done));
        assert!(!folder.path().join("master.key.new").exists());
        opens_the_same(folder.path(), file(&key), &before).await;
    }
}

#[tokio::test]
async fn a_master_key_may_come_from_the_environment_or_a_credential() {
    let (folder, before) = store().await;
    let (credentials, new) = (tempfile::tempdir().unwrap(), folder.path().join("elsewhere"));
    let to = new.to_str().unwrap();
    let done = adjutant(folder.path(), &["store", "rekey", "--to", to], &[]);
    assert_eq!(done.status.code(), Some(0), "{}", said(&done));
    assert!(said(&done).contains("ADJUTANT__STORE__MASTER_KEY"), "{}", said(&done));
    let digits = std::fs::read_to_string(&new).unwrap();
    let verify = |environment: &[(&str, &str)]| adjutant(folder.path(), &["store", "verify"], environment);
    assert_eq!(verify(&[]).status.code(), Some(74), "{}", said(&verify(&[])));
    assert!(said(&verify(&[])).contains("which file [store] master_key_file"), "{}", said(&verify(&[])));
    let from_environment = verify(&[("ADJUTANT__STORE__MASTER_KEY", digits.trim())]);
    assert_eq!(from_environment.status.code(), Some(0), "{}", said(&from_environment));
    std::fs::copy(&new, credentials.path().join("the-key")).unwrap();
    let from_credential = verify(&[
        ("ADJUTANT__STORE__MASTER_KEY_FILE", "credential:the-key"),
        ("CREDENTIALS_DIRECTORY", credentials.path().to_str().unwrap()),
    ]);
    assert_eq!(from_credential.status.code(), Some(0), "{}", said(&from_credential));
    // A slip is told without the key, and a key that is in no file is changed only to one that is.
    let slip = verify(&[("ADJUTANT__STORE__MASTER_KEY", &digits.trim()[1..])]);
    assert_eq!(slip.status.code(), Some(78));
    assert!(said(&slip).contains("[store] master_key is no key") && !said(&slip).contains(&digits[1..20]));
    let shown = adjutant(folder.path(), &["config"], &[("ADJUTANT__STORE__MASTER_KEY", digits.trim())]);
    assert!(!said(&shown).contains(&digits[1..20]), "{}", said(&shown));
    // With the key that it has already, nothing would change.
    let named = [("ADJUTANT__STORE__MASTER_KEY_FILE", to)];
    let same = adjutant(folder.path(), &["store", "rekey", "--to", to], &named);
    assert_eq!(same.status.code(), Some(74), "{}", said(&same));
    assert!(said(&same).contains("is sealed with already"), "{}", said(&same));
    let nowhere = adjutant(folder.path(), &["store", "rekey"], &[("ADJUTANT__STORE__MASTER_KEY", digits.trim())]);
    assert!(said(&nowhere).contains("say with --to"), "{}", said(&nowhere));
    opens_the_same(folder.path(), MasterKey::parse(&digits).unwrap(), &before).await;
}

/// Runs a program that may write cores as large as it likes into a folder, and ends it by a signal: whether the system says
/// that a core was written, and what the limit was.
fn ended(
    folder: &Path,
    mut command: Command,
    ready: impl Fn(u32) -> bool,
    signal: rustix::process::Signal,
) -> (bool, String) {
    let mut child = command.current_dir(folder).stdin(Stdio::null()).spawn().unwrap();
    while !ready(child.id()) {
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        std::thread::yield_now();
    }
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
    let limit = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap().to_owned();
    let pid = rustix::process::Pid::from_child(&child);
    let status = loop {
        // The first of some signals only sets the way of the second free.
        let _gone = rustix::process::kill_process(pid, signal);
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        std::thread::yield_now();
    };
    assert_eq!(status.signal(), Some(signal.as_raw()));
    (status.core_dumped(), limit)
}

/// A command line of the shell that raises the limit first.
fn unlimited(line: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit -c unlimited 2>/dev/null; exec {line}")]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

#[tokio::test]
async fn a_process_that_crashes_writes_no_core() {
    use rustix::process::Signal;
    for signal in [Signal::ABORT, Signal::SEGV] {
        let mut service = crate::process::service::Service::new("http://127.0.0.1:1", "http://127.0.0.1:1");
        let folder = service.folder().to_owned();
        let (binary, config) = (env!("CARGO_BIN_EXE_adjutant"), folder.join("config.toml"));
        let up = |_| answers_at(service.admin);
        let (dumped, limit) =
            ended(&folder, unlimited(&format!("{binary} --config {} serve", config.display())), up, signal);
        assert!(!dumped, "a core was written by {signal:?}");
        let words: Vec<&str> = limit.split_whitespace().collect();
        assert_eq!(words[4..6], ["0", "0"], "{limit}");
        let names = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name());
        let cores: Vec<_> = names.filter(|name| name.to_string_lossy().starts_with("core")).collect();
        assert!(cores.is_empty(), "{cores:?}");
        service.kill();
    }
    // Whether the machine writes any at all.
    let folder = tempfile::tempdir().unwrap();
    let (dumped, _) = ended(folder.path(), unlimited("sleep 1000"), is_sleeping, Signal::ABORT);
    crate::process::say(&format!("another program's core is written here: {dumped}"));
}

fn is_sleeping(process: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{process}/comm")).is_ok_and(|name| name.trim() == "sleep")
}

fn answers_at(admin: std::net::SocketAddr) -> bool {
    crate::process::http::request(admin, "GET", "/livez", &[], b"").is_ok_and(|answer| answer.status == 200)
}
