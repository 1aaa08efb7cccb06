//! Every refusal of what is asked of a meeting, row by row: the sentence, the code and the status of the problem document, the
//! errand in it, the exit code, and the entry on record.

mod asked;
mod moves;

use adjutant::sim::{Fault, FaultKind, Target};
use adjutant::web::admin::REFUSALS;
use serde_json::{Value, json};

use crate::process::served::Served;

/// Refused for reasons that are shown elsewhere: by what cannot be forced from outside, or in days.
const ELSEWHERE: [(&str, &str); 4] = [
    ("too-many", "how errands are kept: the worker's own tests"),
    ("full", "the backlog of an account: the contract suite"),
    ("lent-too-long", "days.rs"),
    ("not-effective", "what Zoom confirms and does not do"),
];

#[test]
fn every_code_of_the_one_table_is_shown_by_a_row() {
    let shown: Vec<&str> = moves::CODES.iter().chain(asked::CODES).copied().collect();
    for (code, status, what) in REFUSALS {
        let is_elsewhere = ELSEWHERE.iter().any(|(known, _)| known == code);
        assert!(shown.contains(code) != is_elsewhere, "{code}");
        assert!(status.is_client_error() || status.is_server_error(), "{code}");
        assert!(!what.is_empty(), "{code}");
    }
    let known = |code: &str| REFUSALS.iter().any(|(known, ..)| *known == code);
    assert!(shown.iter().all(|code| known(code)), "a code without a line in the table is answered 422: {shown:?}");
}

/// One thing that is asked for, and refused once it was taken.
#[derive(Clone)]
struct Row<'a> {
    case: &'a str,
    /// Below the account, and what is sent there.
    path: String,
    body: Value,
    /// The same on the command line.
    words: Vec<String>,
    /// What Zoom answers meanwhile.
    faults: Vec<Fault>,
    status: u16,
    code: &'static str,
    /// Of the sentence that says why, and of what can be done; empty where there is nothing.
    said: String,
    advice: &'a str,
}

/// Zoom answers this to all such calls.
fn answers(method: &'static str, path: impl Into<String>, status: u16, body: &Value) -> Fault {
    let kind = FaultKind::Error { status, body: body.to_string() };
    Fault { target: Target::api(method, path), times: u32::MAX, kind }
}

fn refuses(method: &'static str, path: impl Into<String>, (status, code): (u16, u32), message: &str) -> Fault {
    answers(method, path, status, &json!({ "code": code, "message": message }))
}

fn with(row: Row<'static>, fault: Fault) -> Row<'static> {
    Row { faults: vec![fault], ..row }
}

/// A problem as RFC 9457 has it, with the members that the table promises.
fn is_problem((case, problem): (&str, &Value), (status, code): (u16, &str), (said, advice): (&str, &str)) {
    assert_eq!((&problem["status"], &problem["code"]), (&json!(status), &json!(code)), "{case}: {problem}");
    assert_eq!(problem["type"], "about:blank", "{case}: {problem}");
    assert!(!problem["title"].as_str().unwrap().is_empty(), "{case}: {problem}");
    assert!(problem["detail"].as_str().unwrap().contains(said), "{case}: expected {said}: {problem}");
    match problem["advice"].as_str() {
        None => assert_eq!(advice, "", "{case}: {problem}"),
        Some(is) => assert!(!advice.is_empty() && is.contains(advice), "{case}: {problem}"),
    }
}

impl Row<'_> {
    fn holds(&self, served: &Served) {
        let (case, code) = (self.case, self.code);
        for fault in &self.faults {
            served.world.fault(fault.clone());
        }
        let path = format!("{}?wait=60s&no_wait=true", self.path);
        let (status, problem) = served.sent("POST", &path, &self.body);
        assert_eq!(status, self.status, "{case}: {problem}");
        is_problem((case, &problem), (status, code), (&self.said, self.advice));
        let errand = &problem["errand"];
        assert_eq!((&errand["state"], &errand["code"]), (&json!("refused"), &json!(code)), "{case}: {problem}");
        assert_eq!((&errand["why"], &errand["advice"]), (&problem["detail"], &problem["advice"].clone()), "{case}");
        let read = served.service.admin("GET", &format!("/v1/errands/{}", errand["id"].as_str().unwrap())).unwrap();
        for field in ["id", "kind", "for", "meeting", "asked_at", "state", "code", "why", "advice", "job"] {
            assert_eq!((field, &read[field]), (field, &errand[field]), "{case}");
        }
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        let told = served.told(&[&words[..], &["--no-wait"]].concat(), 1);
        for said in ["refused", code, &self.said, self.advice] {
            assert!(told.contains(said), "{case}: expected {said}: {told}");
        }
        let json: Value =
            serde_json::from_str(&served.told(&[&words[..], &["--no-wait", "--json"]].concat(), 1)).unwrap();
        assert_eq!((&json["state"], &json["code"]), (&json!("refused"), &json!(code)), "{case}: {json}");
        served.world.clear_faults();
        let log = served.service.admin("GET", "/v1/audit?last=80").unwrap();
        let note = format!("{code}: {}", errand["why"].as_str().unwrap());
        let is_it = |entry: &Value| {
            entry["kind"] == "outcome"
                && entry["code"] == "refused"
                && entry["job"] == errand["job"]
                && entry["note"] == *note
        };
        assert!(log["entries"].as_array().unwrap().iter().any(is_it), "{case}: {note} is not on record: {log}");
    }
}

/// The rows hold, and are about these codes and no others.
fn all_hold(served: &Served, rows: &[Row<'_>]) -> Vec<&'static str> {
    for row in rows {
        row.holds(served);
    }
    let mut codes: Vec<&'static str> = rows.iter().map(|row| row.code).collect();
    codes.sort_unstable();
    codes.dedup();
    codes
}
