//! Two accounts of one organisation: a meeting moves between users of both where Zoom and the configuration know them as one.

use adjutant::sim::{NewAccount, Organisation, Plan};
use serde_json::{Value, json};

use super::kit::{email, school};
use crate::process::served::Served;
use crate::process::service::{ACCOUNT, API_USER, SECRET};

const OTHER: &str = "other-account";
const KIM: &str = "owner@other-account.example";

/// The other account is served too; `is_one` where both are said to be one organisation.
fn both(is_one: bool) -> Served {
    let own = format!(
        "[[app]]\nname = \"other\"\nkind = \"server-to-server\"\nclient_id = \"client-{OTHER}\"\n\
         client_secret = \"client-secret-{OTHER}\"\nwebhook_secrets = [\"{SECRET}\"]\n[[app.account]]\nid = \"{OTHER}\"\napi_users = [\"{KIM}\"]\n"
    );
    let one = if is_one { format!("organisations = [\"{ACCOUNT} {OTHER}\"]\n") } else { String::new() };
    let mut served = school("", &["first"], &["first"]);
    served.world.add_account(NewAccount { plan: Plan::Business, ..NewAccount::named(OTHER) }).unwrap();
    for account in [ACCOUNT, OTHER] {
        let district = Organisation { name: "district".to_owned(), shares_privilege: true };
        served.world.join(account, district).unwrap();
    }
    served.service.kill();
    let path = served.service.folder().join("config.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{config}[moves]\nlend = true\n{one}{own}")).unwrap();
    assert!(served.service.start(&[]), "{}", served.service.log());
    served
}

fn pooled(served: &Served) -> u64 {
    served.world.create_meeting(ACCOUNT, API_USER, &json!({ "schedule_for": email("first") })).unwrap()
}

fn check(served: &Served, meeting: u64, more: &Value) -> Value {
    let mut body = json!({ "to": KIM });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    served.sent("POST", &format!("meetings/{meeting}/move?check=true"), &body).1
}

#[test]
fn a_meeting_moves_to_a_user_of_another_account_of_the_organisation_who_assigned_the_privilege() {
    let served = both(true);
    let id = pooled(&served);
    for more in [json!({}), json!({ "lend": true })] {
        let said = check(&served, id, &more);
        assert_eq!((&said["can_move"], &said["code"]), (&json!(false), &json!("no-privilege")), "{said}");
        assert!(
            said["advice"].as_str().unwrap().contains("of account other-account assigns it in Zoom's settings"),
            "{said}"
        );
    }
    served.world.grant(OTHER, KIM, API_USER).unwrap();
    let said = check(&served, id, &json!({}));
    assert_eq!(said["can_move"], true, "{said}");
    let (_, moved) = served.sent("POST", &format!("meetings/{id}/move?wait=60s"), &json!({ "to": KIM }));
    assert_eq!(moved["state"], "done", "{moved}");
    let host = served.world.meeting(ACCOUNT, id).unwrap().host_id;
    assert_eq!(host, served.world.user(OTHER, KIM).unwrap().id);
    let back = served.give(id, "first", &json!({}));
    assert_eq!((&back["state"], served.host(id).as_str()), (&json!("done"), "first"), "{back}");
}

#[test]
fn where_nobody_says_that_accounts_are_one_a_user_of_another_is_unknown() {
    let served = both(false);
    served.world.grant(OTHER, KIM, API_USER).unwrap();
    let said = check(&served, pooled(&served), &json!({}));
    assert_eq!((&said["can_move"], &said["code"]), (&json!(false), &json!("host-unknown")), "{said}");
    // Zoom is asked for the user in the meeting's own account, and knows none there.
    assert!(served.world.crossings().iter().all(|call| call.status == Some(404)), "{:?}", served.world.crossings());
}
