//! Whether somebody can schedule for a user is said in words: what has to be so, whether it is, and what to do.

use serde_json::json;

use super::{RULE, T0, T1, path, people_who_cannot};
use crate::process::served::Served;
use crate::process::service::{ACCOUNT, API_USER};

#[test]
fn who_can_schedule_is_told_with_each_thing_that_makes_it_so() {
    let served = Served::with_teachers();
    let told = served.told(&["assistants", "verify", "--user", T0], 0);
    for said in [
        format!("yes  {T0} is of account {ACCOUNT}\n"),
        format!("yes  {T0} is active\n"),
        format!("yes  {T0} is licensed\n"),
        format!("yes  {API_USER} is licensed\n"),
        format!("yes  {API_USER} is an assistant of {T0}\n"),
        format!("{API_USER} can schedule for {T0}\n"),
    ] {
        assert!(told.contains(&said), "{said}: {told}");
    }
    let view = served.service.admin("GET", &format!("{}/verify?assistant={T1}", path(T0, "assistants"))).unwrap();
    let verdict = &view["verdicts"][0];
    assert_eq!((&verdict["assistant"], &verdict["can_schedule"]), (&json!(T1), &json!(false)), "{view}");
    let told = served.told(&["assistants", "verify", "--user", T0, "--assistant", T1], 1);
    assert!(told.contains(&format!("no   {T1} is no assistant of {T0}, who has 1 of 30\n")), "{told}");
    assert!(told.contains(&format!("make them one: `adjutant assistants add --user {T0} {T1}`")), "{told}");
    let json = served.told(&["assistants", "verify", "--user", T0, "--json"], 0);
    assert!(json.contains("\"can_schedule\": true"), "{json}");
    // What it says to do is what helps.
    served.told(&["assistants", "add", "--user", T0, T1], 0);
    served.told(&["assistants", "verify", "--user", T0, "--assistant", T1], 0);
}

#[test]
fn the_first_thing_that_is_missing_is_the_verdict_with_what_to_do() {
    let served = Served::with_teachers();
    people_who_cannot(&served);
    let verify = |user: &str, who: &str| served.told(&["assistants", "verify", "--user", user, "--assistant", who], 1);
    for (user, who, said) in [
        ("basic@school.example", API_USER, "basic@school.example has no licence. give the user a licence"),
        ("new@school.example", API_USER, "new@school.example has not accepted the invitation. the person"),
        ("left@school.example", API_USER, "left@school.example is deactivated. activate the user"),
        (T0, "basic@school.example", "basic@school.example has no licence. give the user a licence"),
        (T0, "nobody@school.example", "Zoom knows no nobody@school.example in account test-account. name a user"),
        (T0, "owner@elsewhere.example", "Zoom knows no owner@elsewhere.example in account test-account. name a user"),
        (T0, T0, "nobody is their own assistant. nothing: whoever hosts"),
    ] {
        let told = verify(user, who);
        assert!(told.contains("cannot schedule for") && told.contains(said), "{user} {who}: {told}");
    }
    assert!(
        served.told(&["assistants", "verify", "--user", "nobody@school.example"], 1).contains("has no user nobody@")
    );
    served.world.withdraw(ACCOUNT, T0, API_USER).unwrap();
    let told = served.told(&["assistants", "verify", "--user", T0], 1);
    assert!(told.contains(&format!("rule {RULE} sees to it; or at once: `adjutant assistants add")), "{told}");
    // Nobody is meant where the account has no API user.
    let without = |config: String| {
        let config = config.replace(&format!("api_users = [\"{API_USER}\"]"), "");
        config.replace("ensure = { assistants = [\"api-user\"] }", "ensure = { type = \"licensed\" }")
    };
    served.reload(without);
    let (status, problem) = served.service.ask("GET", &format!("{}/verify", path(T0, "assistants"))).unwrap();
    assert!(status == 409 && problem["detail"].as_str().unwrap().contains("has no API user: say who"), "{problem}");
}
