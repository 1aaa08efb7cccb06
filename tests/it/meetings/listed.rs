//! What was asked for is listed, and shown one by one.

use serde_json::json;

use super::kit::{email, school};
use crate::process::service::ACCOUNT;

#[test]
fn errands_are_listed_by_state_host_and_account_and_each_is_shown() {
    let served = school("", &["first", "new"], &["first"]);
    let [made, refused] = ["first", "new"].map(|host| served.schedule(host, "movable", "Algebra"));
    assert_eq!((&made["state"], &refused["state"]), (&json!("done"), &json!("refused")), "{made} {refused}");
    let [made, refused] = [made, refused].map(|one| one["id"].as_str().unwrap().to_owned());
    let first = email("first");
    let listed = |words: &[&str]| {
        let told = served.told(&[&["meetings", "errands"], words].concat(), 0);
        (told.contains(&made), told.contains(&refused), told)
    };
    for (words, has) in [
        (&[][..], (true, true)),
        (&["--state", "done"], (true, false)),
        (&["--state", "refused", "--account", ACCOUNT], (false, true)),
        (&["--state", "parked"], (false, false)),
        (&["--for", &first], (true, false)),
        (&["--limit", "1"], (false, true)),
    ] {
        let (has_made, has_refused, told) = listed(words);
        assert_eq!((has_made, has_refused), has, "{words:?}: {told}");
    }
    let (.., told) = listed(&["--limit", "1"]);
    assert!(told.contains("ASKED") && told.contains(" s ago") && told.contains("1 errand of 2"), "{told}");
    let shown = served.told(&["meetings", "errands", "show", &refused], 0);
    assert!(shown.contains("no-privilege") && shown.contains("asked") && shown.contains("what can be done"), "{shown}");
    let shown = served.told(&["meetings", "errands", "show", &made, "--json"], 0);
    assert!(serde_json::from_str::<serde_json::Value>(&shown).unwrap()["zoom"]["join_url"].is_string(), "{shown}");
    let wrong = served.told(&["meetings", "errands", "--state", "doing"], 2);
    assert!(wrong.contains("expected one of working, waiting, done, refused, parked, cancelled"), "{wrong}");
    let wrong = served.told(&["meetings", "errands", "--account", "nobody"], 1);
    assert!(wrong.contains(&format!("there is no account nobody: expected one of {ACCOUNT}")), "{wrong}");
    let (status, problem) = served.service.send("GET", "/v1/errands?state=doing", b"").unwrap();
    assert_eq!(status, 400, "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("expected one of working"), "{problem}");
}
