//! Consumers and rules that tell people, with the real binary: its commands, reloads, a full disk, and its sudden end.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::process::proxy::{Asked, Proxy, answer};
use crate::process::service::{ACCOUNT, Service};

const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER_KEY: &str = "whsec_plJ3nmyCDGBKInavdOK15jsl3Jz0Wk2nJ8VnTzQJmvI=";
const TELL: &str = "[[rule]]\nname = \"tell\"\non = [\"meeting.started\"]\nsend = \"timetable\"\nmode = \"enforce\"\n";

/// Answers every POST as the test says, and gives what came.
fn inbox(act: impl Fn(&Asked) -> u16 + Send + 'static) -> (String, Receiver<Asked>) {
    let (proxy, (tell, told)) = (Proxy::new(None), channel());
    let url = proxy.url();
    std::thread::spawn(move || {
        proxy.serve_all(|asked| {
            let status = act(&asked);
            let _test_is_over = tell.send(asked);
            answer(status, "", "planted-in-the-answer")
        });
    });
    (url, told)
}

/// No Zoom is needed: nobody listens there.
fn service(more: &str) -> Service {
    let service = Service::new("http://127.0.0.1:9/v2", "http://127.0.0.1:9/oauth");
    change(&service, |config| config + more);
    service
}

fn change(service: &Service, of: impl FnOnce(String) -> String) {
    let path = service.folder().join("config.toml");
    std::fs::write(&path, of(std::fs::read_to_string(&path).unwrap())).unwrap();
}

fn reloaded(service: &Service, of: impl FnOnce(String) -> String) -> String {
    change(service, of);
    let (code, out, err) = service.command(&["reload"]);
    assert_eq!(code, 0, "{out}{err}");
    out
}

fn hook(name: &str, url: &str) -> String {
    format!(
        "[[consumer]]\nname = \"{name}\"\nkind = \"webhook\"\nurl = \"{url}/planted-path\"\nsecret = \"{KEY}\"\nallow_private = true\n"
    )
}

fn created(id: u64) -> String {
    format!(
        r#"{{"event":"meeting.started","event_ts":{},"payload":{{"account_id":"{ACCOUNT}","object":{{"id":"{id}","uuid":"u{id}==","host_id":"h","topic":"T"}}}}}}"#,
        1_790_000_000_000 + id
    )
}

fn header<'a>(asked: &'a Asked, name: &str) -> &'a str {
    &asked.headers.iter().find(|(had, _)| had == name).unwrap().1
}

#[test]
fn a_test_of_a_consumer_says_what_came_back_with_its_exit_code_and_no_secret() {
    let (good, told) = inbox(|_| 204);
    let ((bad, _), (gone, _)) = (inbox(|_| 500), inbox(|_| 410));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("events.jsonl");
    let service = service(&format!(
        "{}{}{}{}[[consumer]]\nname = \"archive\"\nkind = \"file\"\npath = \"{}\"\n{TELL}",
        hook("timetable", &good),
        hook("bad", &bad),
        hook("gone", &gone),
        hook("closed", "http://127.0.0.1:9"),
        file.display(),
    ));
    for (name, code, words) in [
        ("timetable", 0, "taken  204"),
        ("bad", 1, "FAIL  it answered 500"),
        ("gone", 1, "FAIL  consumer gone answered 410"),
        ("closed", 1, "FAIL  it did not answer: "),
        ("archive", 0, "taken  appended and synced"),
        ("nobody", 1, "there is no [[consumer]] named \"nobody\""),
    ] {
        let (ended, out, err) = service.command(&["consumers", "test", name]);
        let said = format!("{out}{err}").split_whitespace().collect::<Vec<_>>().join(" ");
        let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(ended == code && said.contains(&words), "{name}, {ended}: {said}");
        assert!(!said.contains("planted-path") && !said.contains("whsec_"), "{said}");
    }
    assert!(String::from_utf8(told.recv().unwrap().body).unwrap().contains("adjutant.test"));
    let line: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(line["type"], "adjutant.test");
    for (name, code, taken) in [("timetable", 0, true), ("bad", 1, false)] {
        let (ended, out, _) = service.command(&["consumers", "test", name, "--json"]);
        let tried: Value = serde_json::from_str(&out).unwrap();
        assert_eq!((ended, &tried["consumer"], &tried["taken"]), (code, &name.into(), &taken.into()), "{out}");
    }
    let (code, out, _) = service.command(&["consumers", "list"]);
    assert!(code == 0 && out.contains("5 consumers") && out.contains(&good), "{out}");
    let (_, json, _) = service.command(&["consumers", "list", "--json"]);
    let all: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&all[0]["place"], &all[0]["rules"]), (&good.into(), &serde_json::json!(["tell"])));
    assert!(!out.contains("planted") && !json.contains("planted") && !json.contains("whsec_"), "{out}{json}");
}

#[test]
fn a_check_of_the_configuration_lists_consumers_and_notifiers_and_says_what_is_wrong_with_them() {
    let service = service(&format!(
        "{}[[consumer]]\nname = \"archive\"\nkind = \"file\"\npath = \"no-such-folder/events.jsonl\"\n{TELL}\
         [[notify]]\nname = \"ops\"\nkind = \"webhook\"\nurl = \"http://127.0.0.1:9/planted-path\"\nallow_private = true\n\
         [[rule]]\nname = \"ask\"\non = [\"user.created\"]\nsend = \"ops\"\nseverity = \"info\"\n",
        hook("timetable", "http://127.0.0.1:9"),
    ));
    let (code, out, err) = service.command(&["check-config"]);
    let folder = service.folder().join("no-such-folder");
    for line in [
        "consumer timetable: webhook http://127.0.0.1:9, rules tell".to_owned(),
        format!("note: the folder {} is not there", folder.display()),
        "notifier ops: webhook, all alarms, rules ask".to_owned(),
    ] {
        assert!(code == 0 && out.lines().any(|had| had == line), "{line} is missing in\n{out}{err}");
    }
    std::fs::create_dir(&folder).unwrap();
    let (_, out, _) = service.command(&["check-config"]);
    assert!(out.contains("events.jsonl\nnote: no rule sends to it\n"), "{out}");
    assert!(!out.contains("planted"), "{out}");
    let (_, out, _) = service.command(&["doctor"]);
    assert!(out.contains("telling others") && out.contains("no rule sends to it") && !out.contains("planted"), "{out}");
    let (code, out, err) = service.command(&["consumers", "test", "ops"]);
    assert!(code == 1 && err.contains("ops is a [[notify]]: adjutant notify test ops"), "{out}{err}");
    let (_, out, _) = service.command(&["rules", "check", "--json"]);
    let rules: Value = serde_json::from_str(&out).unwrap();
    let ask = rules.as_array().unwrap().iter().find(|rule| rule["name"] == "ask").unwrap();
    assert_eq!((&ask["sends_to"], &ask["severity"]), (&"ops".into(), &"info".into()), "{out}");
}

/// A process for which no file may grow beyond so many bytes, as on a full disk: a write is cut off, and the next refused.
fn limited(service: &Service, blocks: u32, words: &str) -> (Option<i32>, String) {
    let command = format!(
        "trap '' XFSZ; ulimit -f {blocks}; exec {} --config {} {words}",
        env!("CARGO_BIN_EXE_adjutant"),
        service.folder().join("config.toml").display()
    );
    let output = Command::new("bash").args(["-c", &command]).output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn a_file_on_a_full_disk_keeps_no_half_of_a_line_and_gets_it_once_when_there_is_room() {
    let service = service("[[consumer]]\nname = \"archive\"\nkind = \"file\"\npath = \"events.jsonl\"\n");
    let path = service.folder().join("events.jsonl");
    // A block of bash's is 1024 bytes; the line is longer than what is left.
    let before = format!("{}\n", "x".repeat(64 * 1024 - 100));
    std::fs::write(&path, &before).unwrap();
    let (code, out) = limited(&service, 64, "consumers test archive");
    assert!(code == Some(1) && out.contains("cannot be written: File too large"), "{code:?} {out}");
    assert_eq!(std::fs::read_to_string(&path).unwrap().len(), before.len(), "half a line is left");
    let (code, out) = limited(&service, 65, "consumers test archive");
    assert_eq!(code, Some(0), "{out}");
    let text = std::fs::read_to_string(&path).unwrap();
    let after = text.strip_prefix(&before).unwrap();
    assert_eq!((after.lines().count(), after.matches("adjutant.test").count() > 0), (1, true), "{after}");
}

#[test]
fn a_reload_takes_in_consumers_notifiers_and_their_secrets_and_rules_that_name_them() {
    let (url, told) = inbox(|_| 204);
    let (other, told_other) = inbox(|_| 200);
    let mut service = service(&format!(
        "{}{TELL}",
        hook("timetable", &url).replace(&format!("secret = \"{KEY}\""), "secret_file = \"key\"",)
    ));
    std::fs::write(service.folder().join("key"), KEY).unwrap();
    assert!(service.start(&[]), "{}", service.log());
    let mut id = 0;
    let mut deliver = |service: &Service| {
        id += 1;
        assert_eq!(service.deliver(&created(id)).unwrap(), 200);
    };
    let signed_by = |asked: &Asked, key: &str| {
        let (id, at) = (header(asked, "webhook-id"), header(asked, "webhook-timestamp").parse().unwrap());
        let signature = standardwebhooks::Webhook::new(key).unwrap().sign(id, at, &asked.body).unwrap();
        signature == header(asked, "webhook-signature")
    };
    deliver(&service);
    assert!(signed_by(&told.recv().unwrap(), KEY));
    // A secret in its file.
    std::fs::write(service.folder().join("key"), OTHER_KEY).unwrap();
    let out = reloaded(&service, |config| config);
    assert!(!out.contains("needs a restart"), "{out}");
    deliver(&service);
    assert!(signed_by(&told.recv().unwrap(), OTHER_KEY));
    // To people, with a URL in a file.
    std::fs::write(service.folder().join("ops-url"), format!("{other}/planted-path")).unwrap();
    let ops = "[[notify]]\nname = \"ops\"\nkind = \"webhook\"\nurl_file = \"ops-url\"\nallow_private = true\nonly = [\"clock\"]\n";
    let out = reloaded(&service, |config| {
        config.replace("send = \"timetable\"", "send = \"ops\"\nseverity = \"critical\"") + ops
    });
    assert!(!out.contains("needs a restart"), "{out}");
    deliver(&service);
    let text = String::from_utf8(told_other.recv().unwrap().body).unwrap();
    assert!(
        text.starts_with("critical: meeting.started in account test-account at ") && text.contains(": id 3, "),
        "{text}"
    );
    std::fs::write(service.folder().join("ops-url"), format!("{url}/planted-path")).unwrap();
    let (_, out, _) = service.command(&["config", "show"]);
    assert!(!out.contains("planted"), "{out}");
    let out = reloaded(&service, |config| config);
    assert!(!out.contains("needs a restart"), "{out}");
    deliver(&service);
    assert!(String::from_utf8(told.recv().unwrap().body).unwrap().contains(": id 4, "));
    service.wait_until_idle();
    let (_, out, _) = service.command(&["notify", "list"]);
    assert!(out.contains("tell") && out.contains("1 notifier"), "{out}");
    let (_, out, _) = service.command(&["audit", "tail", "-n", "50"]);
    assert!(out.lines().any(|line| line.contains("  sent  ") && line.contains("  critical  ")), "{out}");
    let (_, out, _) = service.command(&["audit", "tail", "-n", "50", "--json"]);
    let entries: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let severities: Vec<&Value> =
        entries.iter().filter(|one| one["code"] == "sent").map(|one| &one["severity"]).collect();
    assert_eq!(severities, [&Value::Null, &Value::Null, &"critical".into(), &"critical".into()]);
    // One that a rule needs cannot be taken away; with the rule it can.
    change(&service, |config| config.replace(ops, ""));
    let (code, _, err) = service.command(&["reload"]);
    assert!(code == 78 && err.contains("tell sends to ops, and there is no such"), "{code} {err}");
    reloaded(&service, |config| config.replace("send = \"ops\"", "send = \"timetable\""));
    deliver(&service);
    assert!(signed_by(&told.recv().unwrap(), OTHER_KEY));
    service.wait_until_idle();
    let (_, out, _) = service.command(&["notify", "list"]);
    assert!(out.contains("0 notifiers"), "{out}");
    assert!(!service.log().contains("planted"), "{}", service.log());
}

/// What a slow receiver saw: for each delivery, under which ids it came.
type Seen = Arc<Mutex<BTreeMap<String, BTreeSet<String>>>>;

/// Says when so many have come, and answers that one only when it is told to.
fn slow(seen: &Seen, holds: Receiver<usize>, held: Sender<()>, go: Receiver<()>) -> String {
    let (seen, state) = (Arc::clone(seen), Mutex::new((holds, held, go, None, 0)));
    let (url, _) = inbox(move |asked| {
        let body: Value = serde_json::from_slice(&asked.body).unwrap();
        let delivery = body["data"]["delivery"].as_str().unwrap().to_owned();
        seen.lock().unwrap().entry(delivery).or_default().insert(header(asked, "webhook-id").to_owned());
        let (holds, held, go, at, count) = &mut *state.lock().unwrap();
        if let Ok(next) = holds.try_recv() {
            (*at, *count) = (Some(next), 0);
        }
        *count += 1;
        if *at == Some(*count) {
            *at = None;
            held.send(()).unwrap();
            go.recv().unwrap();
        }
        204
    });
    url
}

#[test]
fn what_a_kill_cuts_off_arrives_under_the_same_id_and_nothing_is_lost() {
    let (seen, (halt, halts), (held, is_held), (release, go)) = (Seen::default(), channel(), channel(), channel());
    let url = slow(&seen, halts, held, go);
    let mut service = service(&format!("{}{TELL}", hook("timetable", &url)));
    let mut id = 0;
    for nth in [1, 2, 5, 9, 12] {
        assert!(service.start(&[]), "{}", service.log());
        halt.send(nth).unwrap();
        for _ in 0..12 {
            id += 1;
            assert_eq!(service.deliver(&created(id)).unwrap(), 200);
        }
        is_held.recv().unwrap();
        service.kill();
        release.send(()).unwrap();
        assert!(service.start(&[]), "{}", service.log());
        service.wait_until_idle();
        service.kill();
        let seen = seen.lock().unwrap();
        assert_eq!(seen.len(), usize::try_from(id).unwrap(), "after a kill in send {nth}: {seen:?}");
        assert!(seen.values().all(|ids| ids.len() == 1), "{seen:?}");
        assert_eq!(seen.values().flatten().collect::<BTreeSet<_>>().len(), seen.len(), "each has its own");
    }
}

#[test]
fn the_tenth_bad_signature_of_an_app_within_an_hour_is_told_and_names_the_app() {
    let (url, told) = inbox(|_| 200);
    let mut service = service(&format!(
        "[[notify]]\nname = \"ops\"\nkind = \"webhook\"\nurl = \"{url}\"\nallow_private = true\nonly = [\"bad-signatures\"]\n"
    ));
    assert!(service.start(&[]), "{}", service.log());
    let bad = |service: &Service| {
        let secs = crate::process::since_epoch().as_secs().to_string();
        let signature = format!("v0={}", "0".repeat(64));
        let headers = [("x-zm-signature", signature.as_str()), ("x-zm-request-timestamp", secs.as_str())];
        assert!([401, 503].contains(&service.forge(&headers, "{}").unwrap()));
        let alarms = service.admin("GET", "/v1/attention").unwrap()["alarms"].clone();
        alarms.as_array().unwrap().iter().filter(|alarm| alarm["code"] == "bad-signatures").cloned().collect::<Vec<_>>()
    };
    for n in 1..10 {
        assert_eq!(bad(&service), [Value::Null; 0], "after {n}");
    }
    let alarms = bad(&service);
    assert_eq!((alarms.len(), &alarms[0]["about"]), (1, &"main".into()), "{alarms:?}");
    let text = String::from_utf8(told.recv().unwrap().body).unwrap();
    assert!(text.contains("NEW  bad-signatures: app main: 10 requests of the last hour"), "{text}");
}

#[test]
fn rules_test_shows_what_is_sent_plain_by_a_template_and_to_people_and_a_template_that_fails() {
    let service = service(&format!(
        "{}[[notify]]\nname = \"ops\"\nkind = \"webhook\"\nurl = \"http://127.0.0.1:9/\"\nallow_private = true\n{TELL}{}{}{}",
        hook("timetable", "http://127.0.0.1:9"),
        TELL.replace("\"tell\"", "\"by-template\"") + "template = '{\"t\": \"{{ event.payload.object.topic }}\"}'\n",
        TELL.replace("\"tell\"", "\"to-people\"").replace("\"timetable\"", "\"ops\"")
            + "severity = \"critical\"\ntemplate = '{ {{ event.payload.object.topic }} }'\n",
        TELL.replace("\"tell\"", "\"fails\"") + "template = '{{ event.payload.object.nope }}'\n",
    ));
    let event = r#"{ event = "meeting.started", event_ts = 1760000000000, payload = { account_id = "test-account", object = { id = "1", uuid = "u==", host_id = "h", topic = "A \"B\"", password = "s3cret" } } }"#;
    let case = |expect: &str| format!("[[case]]\nname = \"a meeting\"\nevent = {event}\n[case.expect]\n{expect}");
    let run = |text: &str| {
        write(&service.folder().join("tests/rules/send.toml"), text);
        service.command(&["rules", "test"])
    };
    let right = case(
        "by-template = 'sends: {\"t\": \"A \\\"B\\\"\"}'\nto-people = 'sends: critical: { A \"B\" }'\nfails = \"parks\"\ntell = \"sends\"\n",
    );
    let (code, out, err) = run(&right);
    assert_eq!(code, 0, "{out}{err}");
    let (code, out, _) =
        run(&case("tell = \"not asked\"\nfails = \"sends\"\nby-template = \"sends\"\nto-people = \"sends\"\n"));
    assert!(code == 1 && !out.contains("s3cret"), "{out}");
    let sent = "came to \"sends: {\\\"data\\\":{\\\"account\\\":\\\"test-account\\\"";
    assert!(out.contains(sent), "{out}");
    assert!(out.contains("parks: not-sendable, line 1 of the template: "), "{out}");
}

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}
