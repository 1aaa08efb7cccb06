//! Running timers in the real service: listed, ended by a person, kept by a reload and over a start.

use crate::process::service::{ACCOUNT, Service};
use crate::process::since_epoch;

/// A consumer, and a rule whose timer runs for a day.
pub(crate) const RULE: &str = r#"
[[consumer]]
name = "archive"
kind = "file"
path = "events.jsonl"
[[rule]]
name = "nobody-came"
on = ["meeting.participant_jbh_waiting"]
after = "1d"
unless = ["meeting.started"]
send = "archive"
template = '{"run": "{{ event.payload.object.uuid }}"}'
mode = "enforce"
"#;

/// Its timer is due so many seconds from now.
fn waits(service: &mut Service, run: &str, secs: i64) {
    let at = i64::try_from(since_epoch().as_millis()).unwrap() - (86_400 - secs) * 1_000;
    let body = format!(
        r#"{{"event":"meeting.participant_jbh_waiting","event_ts":{at},"payload":{{"account_id":"{ACCOUNT}","object":{{"id":"123456789","uuid":"{run}"}}}}}}"#
    );
    assert_eq!(service.deliver(&body).unwrap(), 200);
    while service.status().unwrap()["unplanned"] != 0 {
        assert!(service.is_running(), "{}", service.log());
        std::thread::yield_now();
    }
}

fn wait_for(service: &mut Service, state: &str) -> String {
    loop {
        let jobs = service.admin("GET", &format!("/v1/jobs?state={state}")).unwrap();
        if let Some(id) = jobs[0]["id"].as_str() {
            return id.to_owned();
        }
        assert!(service.is_running(), "{}", service.log());
        std::thread::yield_now();
    }
}

#[test]
fn a_running_timer_is_listed_with_its_time_and_a_person_can_end_it_for_good() {
    let mut service = Service::new("http://127.0.0.1:9/v2", "http://127.0.0.1:9/oauth");
    let path = service.folder().join("config.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, config.clone() + RULE).unwrap();
    assert!(service.start(&[]), "{}", service.log());
    waits(&mut service, "run/1==", 3_600);
    let told = |service: &Service, words: &[&str], code: i32| {
        let (ended, out, err) = service.command(words);
        assert_eq!(ended, code, "{words:?}: {out}{err}");
        out + &err
    };
    let list = told(&service, &["jobs", "list", "--state", "due"], 0);
    let (line, job) = (list.lines().nth(1).unwrap(), wait_for(&mut service, "due"));
    for expected in [job.as_str(), "due", "nobody-came", "instance:run/1==", "its timer runs"] {
        assert!(line.contains(expected), "{expected} is not in {list}");
    }
    let view = service.admin("GET", &format!("/v1/jobs/{job}")).unwrap();
    let at: jiff::Timestamp = view["at"].as_str().unwrap().parse().unwrap();
    let now = i64::try_from(since_epoch().as_secs()).unwrap();
    assert!((now + 3_000..=now + 3_600).contains(&at.as_second()), "{view}");
    // Taken away, its rule leaves the timer alone; so does a start.
    for text in [config.clone(), config + RULE] {
        std::fs::write(&path, text).unwrap();
        told(&service, &["reload"], 0);
        assert_eq!(wait_for(&mut service, "due"), job);
    }
    service.kill();
    assert!(service.start(&[]), "{}", service.log());
    assert_eq!(service.admin("GET", &format!("/v1/jobs/{job}")).unwrap(), view);
    assert_eq!(told(&service, &["jobs", "cancel", &job], 0), "1 job is cancelled\n");
    assert!(told(&service, &["jobs", "cancel", &job], 1).contains("cancelled"));
    waits(&mut service, "run/1==", 3_599);
    assert_eq!(service.admin("GET", "/v1/jobs?state=due").unwrap(), serde_json::json!([]), "once for each run");
    assert!(!service.folder().join("events.jsonl").exists());
}

#[test]
fn a_timer_whose_rule_is_gone_when_it_is_due_waits_for_the_rule_and_fires_once() {
    let mut service = Service::new("http://127.0.0.1:9/v2", "http://127.0.0.1:9/oauth");
    let path = service.folder().join("config.toml");
    let without = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, without.clone() + RULE).unwrap();
    assert!(service.start(&[]), "{}", service.log());
    waits(&mut service, "run-1", 3_600);
    let job = wait_for(&mut service, "due");
    std::fs::write(&path, &without).unwrap();
    assert_eq!(service.command(&["reload"]).0, 0);
    // A person does not want to wait.
    assert_eq!(service.command(&["jobs", "retry", &job]).0, 0);
    assert_eq!(wait_for(&mut service, "parked"), job);
    assert!(service.command(&["attention"]).1.contains("rule-gone"), "{}", service.log());
    std::fs::write(&path, without + RULE).unwrap();
    assert_eq!(service.command(&["reload"]).0, 0);
    assert_eq!(wait_for(&mut service, "done"), job);
    let told = std::fs::read_to_string(service.folder().join("events.jsonl")).unwrap();
    assert_eq!(told, "{\"run\": \"run-1\"}\n");
}
