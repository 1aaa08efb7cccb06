//! The examples of consumers, against the real binary: nothing is left out or twice there, however often they are killed.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

use crate::process::http;
use crate::process::served::{Served, served};
use crate::process::service::{ACCOUNT, Service};
use crate::process::since_epoch;

const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn example(name: &str) -> Command {
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/examples").join(name))
}

/// One who reads the log into a file.
struct Reader<'a> {
    service: &'a Service,
    name: &'static str,
    out: PathBuf,
    cursor: PathBuf,
}

impl<'a> Reader<'a> {
    fn new(service: &'a Service, name: &'static str) -> Self {
        let at = |what: &str| service.folder().join(format!("{name}.{what}"));
        Self { service, name, out: at("jsonl"), cursor: at("cursor") }
    }

    fn command(&self) -> Command {
        let mut command = example(self.name);
        command.arg(format!("http://{}", self.service.admin)).arg(self.service.folder().join("admin.token"));
        command.arg(&self.out).arg(&self.cursor);
        command
    }

    fn once(&self) -> Output {
        self.command().arg("--once").output().unwrap()
    }

    fn lines(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.out).unwrap_or_default();
        text.split_inclusive('\n')
            .filter(|line| line.ends_with('\n'))
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

fn event(n: u64) -> String {
    format!(
        r#"{{"event":"meeting.started","event_ts":{n},"payload":{{"account_id":"{ACCOUNT}","object":{{"id":"7","uuid":"u{n}=="}}}}}}"#
    )
}

fn log(served: &Served) -> Vec<Value> {
    let page = served.service.admin("GET", "/v1/audit?limit=1000").unwrap();
    page["entries"].as_array().unwrap().clone()
}

#[test]
fn the_readers_of_the_examples_take_the_whole_log_once_over_kills_and_lost_cursors() {
    let mut served = served("");
    served.settle();
    for name in ["read_audit.py", "read_audit.sh"] {
        let reader = Reader::new(&served.service, name);
        for n in 0..3 {
            let mut child = reader.command().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            let had = reader.lines().len();
            assert_eq!(served.service.deliver(&event(n)).unwrap(), 200);
            while reader.lines().len() <= had {
                std::thread::yield_now();
            }
            child.kill().unwrap();
            child.wait().unwrap();
            match n {
                // Killed between the entries and the cursor.
                0 => drop(std::fs::remove_file(&reader.cursor)),
                // Killed in the midst of an entry.
                1 => {
                    let text = std::fs::read(&reader.out).unwrap();
                    std::fs::write(&reader.out, &text[..text.len() - 9]).unwrap();
                    std::fs::remove_file(&reader.cursor).unwrap_or_default();
                }
                _ => {}
            }
        }
        // More may be entered meanwhile.
        for _ in 0..2 {
            let there = log(&served);
            let output = reader.once();
            assert!(output.status.success(), "{name}: {output:?}");
            let lines = reader.lines();
            assert_eq!(lines[..there.len()], there, "{name}");
            let indexes: Vec<u64> = lines.iter().map(|line| line["index"].as_u64().unwrap()).collect();
            assert!(indexes.iter().copied().eq(0..indexes.len() as u64), "{name}: {indexes:?}");
        }
    }
    served.service.kill();
    for name in ["read_audit.py", "read_audit.sh"] {
        let output = Reader::new(&served.service, name).once();
        assert_eq!(output.status.code(), Some(1), "{name}, and nobody answers: {output:?}");
    }
}

#[test]
fn a_reader_of_a_log_that_a_restore_ended_is_told_so_and_takes_nothing_of_the_other() {
    let mut served = served("");
    served.settle();
    let readers = ["read_audit.py", "read_audit.sh"];
    for name in readers {
        assert!(Reader::new(&served.service, name).once().status.success(), "{name}");
    }
    let cursor = served.service.admin("GET", "/v1/audit?last=1").unwrap()["next"].as_str().unwrap().to_owned();
    let backup = served.service.folder().join("backup").to_str().unwrap().to_owned();
    served.told(&["store", "backup", &backup], 0);
    assert_eq!(served.service.terminate(), Some(0));
    std::fs::remove_dir_all(served.service.folder().join("data")).unwrap();
    served.told(&["store", "restore", &backup, "--new-log"], 0);
    assert!(served.service.start(&[]), "{}", served.service.log());
    for way in ["/v1/audit", "/v1/audit/stream", "/v1/audit/verify"] {
        let (status, told) = served.service.ask("GET", &format!("{way}?after={cursor}")).unwrap();
        assert_eq!((status, &told["code"]), (410, &Value::from("other-log")), "{way}: {told}");
    }
    for name in readers {
        let reader = Reader::new(&served.service, name);
        let had = reader.lines();
        // Whoever waits for more ends as well.
        for more in [&["--once"][..], &[]] {
            let output = reader.command().args(more).output().unwrap();
            let told = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.code() == Some(1) && told.contains("a restore began it"), "{name}: {told}");
        }
        assert_eq!(reader.lines(), had, "{name}");
    }
}

/// The example that receives, and where it listens.
struct Receiver {
    child: Child,
    address: SocketAddr,
    out: PathBuf,
    checkpoint: PathBuf,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}

impl Receiver {
    fn start(folder: &Path, port: u16) -> Self {
        let (secret, out, checkpoint) =
            (folder.join("secret"), folder.join("received.jsonl"), folder.join("newest-checkpoint"));
        std::fs::write(&secret, format!("whsec_{}\n{KEY}\n", "QUJD".repeat(8))).unwrap();
        let mut child = example("receive_webhook.py")
            .args(["127.0.0.1", &port.to_string()])
            .args([&secret, &out, &checkpoint])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let line = BufReader::new(child.stdout.take().unwrap()).lines().next().unwrap().unwrap();
        Self { child, address: line.strip_prefix("listening at ").unwrap().parse().unwrap(), out, checkpoint }
    }

    /// How much of the log its newest checkpoint covers.
    fn covers(&self) -> u64 {
        let note = std::fs::read_to_string(&self.checkpoint).unwrap_or_default();
        note.lines().nth(1).map_or(0, |size| size.parse().unwrap())
    }

    fn received(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.out).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// What it answers to a message of this id, signed then with this secret over this body.
    fn told(&self, id: &str, at: u64, secret: &str, (signed, sent): (&str, &str)) -> u16 {
        let at = at.to_string();
        let signature = standardwebhooks::Webhook::new(secret).unwrap();
        let signature = signature.sign(id, at.parse().unwrap(), signed.as_bytes()).unwrap();
        let headers =
            [("webhook-id", id), ("webhook-timestamp", at.as_str()), ("webhook-signature", signature.as_str())];
        http::request(self.address, "POST", "/", &headers, sent.as_bytes()).unwrap().status
    }
}

#[test]
fn the_receiver_of_the_examples_keeps_each_good_message_once_and_refuses_all_others() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(folder.path(), 0);
    let (now, other) = (since_epoch().as_secs(), "whsec_plJ3nmyCDGBKInavdOK15jsl3Jz0Wk2nJ8VnTzQJmvI=");
    let body = (r#"{"a":1}"#, r#"{"a":1}"#);
    assert_eq!(receiver.told("msg_1", now, KEY, body), 204);
    assert_eq!(receiver.told("msg_1", now, KEY, body), 204, "it is kept already");
    assert_eq!(receiver.told("msg_2", now, other, body), 401, "another secret");
    assert_eq!(receiver.told("msg_3", now, KEY, (body.0, r#"{"a":2}"#)), 401, "another body");
    assert_eq!(receiver.told("msg_4", now - 400, KEY, body), 400, "too long ago");
    assert_eq!(receiver.told("msg_5", now + 400, KEY, body), 400, "ahead");
    let bare = http::request(receiver.address, "POST", "/", &[], b"{}").unwrap();
    assert_eq!(bare.status, 400, "without a signature");
    let kept: Vec<_> = receiver.received().iter().map(|kept| kept["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(kept, ["msg_1"]);
    drop(receiver);
    let receiver = Receiver::start(folder.path(), 0);
    assert_eq!(receiver.told("msg_1", now, KEY, body), 204, "known after a restart");
    assert_eq!(receiver.received().len(), 1);
}

#[test]
fn what_a_rule_sends_is_received_by_the_example_with_its_signature_checked() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(folder.path(), 0);
    let url = format!("http://{}", receiver.address);
    let mut served = served(&format!(
        "[[consumer]]\nname = \"siem\"\nkind = \"webhook\"\nurl = \"{url}\"\nsecret = \"{KEY}\"\nallow_private = true\n\
         [[rule]]\nname = \"tell\"\non = [\"meeting.started\"]\nsend = \"siem\"\nmode = \"enforce\"\n"
    ));
    served.settle();
    for n in [1, 2] {
        assert_eq!(served.service.deliver(&event(n)).unwrap(), 200);
    }
    served.service.wait_until_idle();
    let events: Vec<Value> = receiver
        .received()
        .iter()
        .map(|kept| serde_json::from_str::<Value>(kept["body"].as_str().unwrap()).unwrap()["type"].clone())
        .collect();
    assert_eq!(events, ["meeting.started", "meeting.started"]);
}

#[test]
fn the_newest_checkpoint_that_the_example_received_finds_a_log_that_was_rolled_back() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(folder.path(), 0);
    let mut served = served(&format!(
        "[[consumer]]\nname = \"anchor\"\nkind = \"webhook\"\nurl = \"http://{}\"\nsecret = \"{KEY}\"\n\
         allow_private = true\ninclude = [\"checkpoints\"]\n",
        receiver.address
    ));
    served.settle();
    // What is entered now, signed, and with the receiver.
    let anchored = |served: &Served| {
        let size = sign(served);
        while receiver.covers() < size {
            std::thread::yield_now();
        }
    };
    assert_eq!(served.service.terminate(), Some(0));
    let (data, copy) = (served.service.folder().join("data"), served.service.folder().join("copy"));
    copied(&data, &copy);
    assert!(served.service.start(&[]), "{}", served.service.log());
    for n in 0..60 {
        assert_eq!(served.service.deliver(&event(n)).unwrap(), 200);
    }
    anchored(&served);
    let against = ["audit", "verify", "--offline", "--against", receiver.checkpoint.to_str().unwrap()];
    served.service.kill();
    served.told(&against, 0);
    // The whole disk as it was: nothing in it says that there was more, and it goes on.
    std::fs::remove_dir_all(&data).unwrap();
    copied(&copy, &data);
    assert!(served.told(&["audit", "verify", "--offline"], 0).contains("the audit log is good"));
    let (covers, came) = (receiver.covers(), receiver.received().len());
    assert!(served.service.start(&[]), "{}", served.service.log());
    assert_eq!(served.service.deliver(&event(99)).unwrap(), 200);
    sign(&served);
    while receiver.received().len() == came {
        std::thread::yield_now();
    }
    served.service.kill();
    assert_eq!(receiver.covers(), covers, "one that covers less does not take its place");
    let told = served.told(&against, 1);
    assert!(told.contains("its end was cut off, or it was rolled back"), "{told}");
}

/// Has all of now signed; gives how much that is.
fn sign(served: &Served) -> u64 {
    let size = served.service.admin("GET", "/v1/audit/head").unwrap()["size"].as_u64().unwrap();
    served.service.admin("GET", &format!("/v1/audit/proofs/{}", size - 1)).unwrap();
    size
}

fn copied(from: &Path, to: &Path) {
    let copying = Command::new("cp").arg("-r").args([from, to]).status().unwrap();
    assert!(copying.success());
}
