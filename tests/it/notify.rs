//! Notifiers of the real binary: what a person reads, what a restart does not tell again, and what the commands say.

use std::sync::mpsc::{Receiver, channel};

use serde_json::Value;

use crate::process::proxy::{Proxy, answer};
use crate::process::served::{Served, served};

/// Takes POSTs, one after the other, and gives their bodies.
fn inbox() -> (String, Receiver<String>) {
    let (proxy, (tell, told)) = (Proxy::new(None), channel());
    let url = proxy.url();
    std::thread::spawn(move || {
        proxy.serve_all(|asked| {
            let _test_is_over = tell.send(String::from_utf8(asked.body).unwrap());
            answer(200, "", "ok")
        });
    });
    (url, told)
}

fn notifier(served: &Served, name: &str) -> Value {
    let all: Value = serde_json::from_str(&served.told(&["notify", "list", "--json"], 0)).unwrap();
    all.as_array().unwrap().iter().find(|one| one["name"] == name).unwrap().clone()
}

#[test]
fn what_attention_lists_is_told_once_also_over_a_restart() {
    let (url, told) = inbox();
    let mut served = served(&format!(
        r#"
[[rule]]
name = "nowhere"
for = "user"
ensure = {{ groups = ["Planted Group"] }}
mode = "enforce"
[[notify]]
name = "ops"
kind = "webhook"
url = "{url}"
format = "slack"
allow_private = true
every_minutes = 1440
[[notify]]
name = "down"
kind = "webhook"
url = "http://127.0.0.1:9/a-secret-of-the-url"
allow_private = true
only = ["clock"]
"#
    ));
    let message: Value = serde_json::from_str(&told.recv().unwrap()).unwrap();
    let text = message["text"].as_str().unwrap();
    assert!(text.contains("NEW  group-unknown: account test-account, since "), "{text}");
    assert!(text.contains("  then: adjutant sweep --account test-account\n"), "{text}");
    while notifier(&served, "ops")["sent_at"].is_null() {
        std::thread::yield_now();
    }
    let before = notifier(&served, "ops");
    assert_eq!(served.service.terminate(), Some(0), "{}", served.service.log());
    let kept = std::fs::read(served.service.folder().join("data/aside-notify-ops")).unwrap();
    assert!(!kept.windows(7).any(|bytes| bytes == b"Planted"), "names are on disk in plain");
    assert!(served.service.start(&[]), "{}", served.service.log());
    while notifier(&served, "ops")["sent_at"].is_null() {
        std::thread::yield_now();
    }
    assert_eq!(notifier(&served, "ops")["sent_at"], before["sent_at"]);
    assert!(notifier(&served, "ops")["standing"].as_u64().unwrap() >= 1, "{before}");
    assert!(told.try_recv().is_err(), "it was told again");

    let sent = served.told(&["notify", "test", "ops"], 0);
    assert!(sent.starts_with("sent by webhook ops; it answered 200: ok"), "{sent}");
    assert!(told.recv().unwrap().contains("This is a test of [[notify]] ops"));
    let failed = served.told(&["notify", "test", "down"], 74);
    assert!(failed.contains("webhook down did not go out: no answer: ") && !failed.contains("a-secret"), "{failed}");
    assert!(served.told(&["notify", "test", "opz"], 1).contains("did you mean ops?"));
    let listed = served.told(&["notify", "list"], 0);
    assert!(listed.contains("2 notifiers") && !listed.contains("a-secret"), "{listed}");
    assert!(!served.service.log().contains("a-secret"), "{}", served.service.log());
}
