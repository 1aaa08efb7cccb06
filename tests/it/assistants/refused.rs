//! What Zoom answers to a grant, row by row: the code, the words, the exit code and the entry on record.

use adjutant::sim::{Fault, FaultKind, Target};
use serde_json::{Value, json};

use super::{T0, T1, states};
use crate::process::served::Served;
use crate::process::service::API_USER;

/// Status, code and words of Zoom's, and our code.
const ANSWERED: [(u16, u32, &str, &str); 10] = [
    (400, 200, "Current account must be paid account: x", "refused"),
    (400, 200, "The user must either be a Licensed user or an On-prem user : x.", "unlicensed"),
    (400, 200, "Can't assign scheduling privilege to yourself.", "oneself"),
    (400, 200, "Can't find user x.", "not-found"),
    (400, 200, "User x doesn't belong to current account.", "refused"),
    (400, 200, "The number of assistants exceeds the limit (30).", "full"),
    (400, 300, "Validation Failed.", "refused"),
    (400, 300, "Request Body should be a valid JSON object.", "refused"),
    (400, 1000, "Can not access pending user settings.", "pending"),
    (403, 403, "No permission: User:Edit", "refused"),
];

#[test]
fn whatever_zoom_answers_to_a_grant_is_told_in_its_words_with_a_code_and_is_on_record() {
    let served = Served::with_teachers();
    for (status, zooms, words, code) in ANSWERED {
        let body = json!({ "code": zooms, "message": words }).to_string();
        let kind = FaultKind::Error { status, body };
        served.world.fault(Fault { target: Target::api("POST", "/assistants"), times: u32::MAX, kind });
        let (status, answer) = served.add(T0, "", &[T1]);
        assert_eq!((status, states(&answer)), (200, vec![format!("refused {code}")]), "{words}: {answer}");
        let why = answer["assistants"][0]["why"].as_str().unwrap().to_owned();
        let told = served.told(&["assistants", "add", "--user", T0, T1], 1);
        assert!(told.contains(&format!("{T1} for {T0}: refused: {why}")), "{words}: {told}");
        let json: Value =
            serde_json::from_str(&served.told(&["assistants", "add", "--user", T0, T1, "--json"], 1)).unwrap();
        assert_eq!(json["assistants"][0]["code"], code, "{words}: {json}");
        let note = format!("add assistant {T1}: {}", why.trim_start_matches("Zoom: "));
        let log = served.service.admin("GET", "/v1/audit?last=40").unwrap();
        let is_it = |entry: &&Value| entry["kind"] == "outcome" && entry["code"] == "parked" && entry["note"] == *note;
        assert_eq!(log["entries"].as_array().unwrap().iter().filter(is_it).count(), 3, "{note}: {log}");
        // Some kinds have words of ours alone.
        assert!(why.contains(words) || ["oneself"].contains(&code), "{words}: {why}");
        served.world.clear_faults();
    }
    assert_eq!(served.assistants(T0), [API_USER], "nothing was granted");
    for words in
        ["User x has already granted scheduling privilege.", "User x already has the scheduling privilege for you."]
    {
        let body = json!({ "code": 200, "message": words }).to_string();
        let kind = FaultKind::Error { status: 400, body };
        served.world.fault(Fault { target: Target::api("POST", "/assistants"), times: 1, kind });
        assert_eq!(states(&served.add(T0, "", &[T1]).1), ["refused not-effective"], "it is said, and is not so");
    }
}
