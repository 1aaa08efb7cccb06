//! One thing followed through the audit log, and whether an account's events came: with the real binary before a simulated Zoom.

use adjutant::sim::NewUser;
use serde_json::Value;

use crate::process::served::{Served, served};
use crate::process::service::ACCOUNT;

/// Settled, and then somebody new was made an assistant of.
fn worked() -> (Served, String) {
    let mut served = served("");
    served.settle();
    let id = served.created(NewUser::licensed("new@school.example"));
    (served, id)
}

fn traced(served: &Served, of: &str) -> Vec<Value> {
    let view: Value = serde_json::from_str(&served.told(&["audit", "trace", of, "--json"], 0)).unwrap();
    assert_eq!((&view["has_earlier"], &view["has_later"]), (&false.into(), &false.into()), "{of}");
    view["lines"].as_array().unwrap().clone()
}

/// Kind and code of a line and of all that led to it, from the first.
fn chain_of(lines: &[Value], line: &Value) -> Vec<String> {
    let mut chain = Vec::new();
    let mut next = Some(line);
    while let Some(line) = next {
        let entry = &line["entry"];
        chain.push(format!("{} {}", entry["kind"].as_str().unwrap(), entry["code"].as_str().unwrap()));
        next = lines.iter().find(|led| !line["led_by"].is_null() && led["entry"]["index"] == line["led_by"]);
    }
    assert_eq!(line["depth"], chain.len() - 1, "{line}");
    chain.reverse();
    chain
}

fn line<'a>(lines: &'a [Value], kind: &str, code: &str) -> &'a Value {
    let found = lines.iter().rev().find(|line| line["entry"]["kind"] == kind && line["entry"]["code"] == code);
    found.unwrap_or_else(|| panic!("no {kind} {code} in {lines:#?}"))
}

/// The entry about the person's job that changed something, once it is on disk.
fn changed(served: &Served, id: &str) -> Value {
    loop {
        let log = served.service.admin("GET", "/v1/audit?limit=1000&kind=outcome").unwrap();
        let of_person = |entry: &&Value| entry["subject"].as_str().is_some_and(|subject| subject.contains(id));
        let found = log["entries"].as_array().unwrap().iter().find(of_person);
        if let Some(found) = found.filter(|found| found["code"] == "changed") {
            return found.clone();
        }
        std::thread::yield_now();
    }
}

const LED: [&str; 6] =
    ["delivery stored", "decision work", "attempt started", "intent granted", "call 201", "outcome changed"];

#[test]
fn whatever_is_asked_about_the_same_chain_leads_from_the_delivery_to_what_was_changed() {
    let (served, id) = worked();
    let outcome = changed(&served, &id);
    let (job, index) = (outcome["job"].as_str().unwrap(), outcome["index"].to_string());
    let delivery = outcome["actor"].as_str().unwrap();
    assert!(delivery.starts_with("dlv_"), "{outcome}");
    for of in [delivery, job, &index, &id, "new@school.example", &format!("user:{id}"), "api-user-assists-everyone"] {
        let lines = traced(&served, of);
        let its: Vec<Value> = lines
            .iter()
            .filter(|line| line["entry"]["job"] == job || line["entry"]["delivery"] == delivery)
            .cloned()
            .collect();
        assert_eq!(chain_of(&its, line(&its, "outcome", "changed")), LED, "{of}");
        let granted = chain_of(&its, line(&its, "intent", "granted"));
        assert_eq!(granted, LED[..4], "{of}");
        let read = its.iter().find(|line| line["entry"]["call"]["method"] == "GET").unwrap();
        assert_eq!(chain_of(&its, read), [&LED[..3], &["call 200"]].concat(), "{of}");
        let others = lines.iter().any(|line| line["entry"]["job"] != job && !line["entry"]["job"].is_null());
        assert_eq!(others, of.starts_with("api-user"), "{of}: a rule has other jobs, and a job has none");
    }
    let told = served.told(&["audit", "trace", job], 0);
    let depth = |kind: &str| {
        let line = told.lines().find(|line| line.contains(kind)).unwrap_or_else(|| panic!("no {kind}: {told}"));
        line.split_once("Z  ").unwrap().1.chars().take_while(|c| *c == ' ').count()
    };
    assert_eq!(
        [" delivery ", " decision ", " attempt ", " intent ", " outcome "].map(depth),
        [0, 2, 4, 6, 10],
        "{told}"
    );
    served.told(&["audit", "trace", "nobody@school.example"], 1);
    served.told(&["audit", "trace", "Not A Thing"], 2);
    served.told(&["audit", "trace", "dlv_999999"], 1);
}

/// Kind and code of an entry and of all that led to it, from the first, as the log itself says.
fn led(entries: &[Value], entry: &Value) -> Vec<String> {
    let mut chain = Vec::new();
    let mut next = Some(entry);
    while let Some(entry) = next {
        chain.push(format!("{} {}", entry["kind"].as_str().unwrap(), entry["code"].as_str().unwrap()));
        let by = entry["led_by"].as_u64();
        assert!(by.is_none_or(|by| by < entry["index"].as_u64().unwrap()), "{entry}");
        next = by.and_then(|by| entries.iter().find(|entry| entry["index"] == by));
    }
    chain.reverse();
    chain
}

#[test]
fn every_entry_says_which_one_led_to_it_also_over_a_kill_and_for_what_a_sweep_found() {
    let (mut served, id) = worked();
    let first = changed(&served, &id);
    served.service.kill();
    assert!(served.service.start(&[]), "{}", served.service.log());
    let again = served.created(NewUser::licensed("newer@school.example"));
    let second = changed(&served, &again);
    let page = served.service.admin("GET", "/v1/audit?limit=1000").unwrap();
    let entries = page["entries"].as_array().unwrap();
    for outcome in [&first, &second] {
        assert_eq!(led(entries, outcome), LED, "{outcome}");
    }
    let swept = entries.iter().find(|entry| entry["kind"] == "outcome" && entry["actor"] == "sweep").unwrap();
    let chain = led(entries, swept);
    assert_eq!(chain[..3], ["sweep started", "decision swept", "attempt started"], "{chain:?}");
    let is_of_sweep = |call: &Value| call["job"].is_null() && led(entries, call) == ["sweep started", "call 200"];
    assert!(entries.iter().any(is_of_sweep), "{page}");
    let started = entries.iter().find(|entry| entry["kind"] == "sweep" && entry["code"] == "started").unwrap();
    let told = served.told(&["audit", "trace", &started["index"].to_string()], 0);
    assert!(told.contains("decision   swept") && told.contains("outcome    changed"), "{told}");
}

#[test]
fn a_trace_says_what_it_did_not_look_at_and_is_the_same_of_a_stopped_service() {
    let (mut served, id) = worked();
    let outcome = changed(&served, &id);
    let (job, index) = (outcome["job"].as_str().unwrap(), outcome["index"].as_u64().unwrap());
    let all = traced(&served, job);
    let told = served.told(&["audit", "trace", job, "--from", &index.to_string()], 0);
    assert!(
        told.contains(&format!("entries before {index} were not looked at: adjutant audit trace \"{job}\" --from 0")),
        "{told}"
    );
    assert!(told.lines().filter(|line| line.contains("changed")).count() == 1 && !told.contains("attempt"), "{told}");
    let bound = served.told(&["audit", "trace", job, "--account", ACCOUNT], 0);
    assert!(
        bound.contains("outcome") && !bound.contains("delivery "),
        "what nobody had read is of no account: {bound}"
    );
    served.told(&["audit", "trace", job, "--account", "another"], 1);
    assert_eq!(served.service.terminate(), Some(0));
    let offline: Value =
        serde_json::from_str(&served.told(&["audit", "trace", job, "--json", "--offline"], 0)).unwrap();
    assert_eq!(offline["lines"], Value::from(all));
}

#[test]
fn the_days_of_an_account_say_what_came_and_what_is_not_known() {
    let (mut served, id) = worked();
    changed(&served, &id);
    let view = |served: &Served, more: &[&str]| -> Value {
        let words = [&["audit", "completeness", "--account", ACCOUNT, "--json"], more].concat();
        serde_json::from_str(&served.told(&words, 0)).unwrap()
    };
    let before = view(&served, &[]);
    let sum = |view: &Value, field: &str| -> u64 {
        view["days"].as_array().unwrap().iter().map(|day| day[field].as_u64().unwrap_or_default()).sum()
    };
    assert_eq!(before["days"].as_array().unwrap().len(), 7);
    assert_eq!((sum(&before, "received"), sum(&before, "repeated")), (1, 0), "{before}");
    assert!(sum(&before, "swept") >= 3, "the first sweep found them: {before}");
    let body = |n: u32, account: &str| {
        format!(
            r#"{{"event":"meeting.started","event_ts":{n},"payload":{{"account_id":"{account}","object":{{"id":"7"}}}}}}"#
        )
    };
    for (n, account) in [(1, ACCOUNT), (1, ACCOUNT), (2, ACCOUNT), (3, "nobodys-account")] {
        assert_eq!(served.service.deliver(&body(n, account)).unwrap(), 200);
    }
    served.service.wait_until_idle();
    let mut after = view(&served, &["--days", "2"]);
    while sum(&after, "received") < 4 {
        after = view(&served, &["--days", "2"]);
    }
    assert_eq!(after["days"].as_array().unwrap().len(), 2);
    assert_eq!((sum(&after, "received"), sum(&after, "repeated")), (4, 1), "{after}");
    assert!(after["days"][1]["missing"].is_null() && after["zooms_log_read_to"].is_null(), "{after}");
    assert!(after["unknown"].to_string().contains("is not read for this account"), "{after}");
    assert!(after["last_event_at"].as_str() > before["last_event_at"].as_str(), "{after}");
    let told = served.told(&["audit", "completeness", "--account", ACCOUNT], 0);
    assert!(told.contains("SET ASIDE") && told.contains("not known: what failed at Zoom"), "{told}");
    // That something was forgotten is an entry of its own, and takes nothing from the days.
    served.told(&["users", "forget", "nobody@school.example", "--account", ACCOUNT, "--yes"], 0);
    let after = view(&served, &[]);
    assert!(after["days"].as_array().unwrap().iter().all(|day| day["is_whole"] == true), "{after}");
    assert!(!after["unknown"].to_string().contains("looked at"), "{after}");
    served.told(&["audit", "completeness", "--account", "nobodys-account-2"], 1);
    served.told(&["audit", "completeness", "--account", ACCOUNT, "--days", "32"], 2);
}
