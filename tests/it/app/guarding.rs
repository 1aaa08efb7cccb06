//! What stands until a person has mended it, and what observes until a person has planned it.

use std::sync::Arc;
use std::time::Duration;

use adjutant::account::Account;
use adjutant::clock::Clock as _;
use adjutant::sim::NewUser;
use adjutant::worker::{Roster, mend};

use super::{ACCOUNT, API_USER, DEPUTY, TestApp, rule};

const RULE: &str = "name = \"assist\"\nfor = \"user\"\nmode = \"enforce\"\nensure = { assistants = [\"api-user\"] }\n";
const JILL: &str = "jill.hill@acme.example";

async fn notices(app: &TestApp) -> Vec<String> {
    mend(&app.parts).await.unwrap();
    app.store.notices().await.unwrap().into_iter().map(|notice| notice.code).collect()
}

#[tokio::test]
async fn a_notice_about_an_api_user_ends_when_it_was_seen_usable_again() {
    let mut app = TestApp::start(&[RULE]).await;
    app.world.deactivate(ACCOUNT, API_USER).unwrap();
    app.world.create_user(ACCOUNT, NewUser::licensed(JILL)).unwrap();
    app.drain().await;
    assert_eq!(
        (app.state().await.as_str(), notices(&app).await),
        ("parked api-user-unusable", vec!["api-user-gone".into()])
    );
    app.restart().await;
    assert_eq!(notices(&app).await, ["api-user-gone"], "also over a restart");
    app.world.activate(ACCOUNT, API_USER).unwrap();
    // Zoom takes the licence from whoever is deactivated.
    app.world.set_licence(ACCOUNT, API_USER, 2).unwrap();
    assert_eq!(notices(&app).await, ["api-user-gone"], "nobody has seen it yet");
    app.advance(Duration::from_secs(120)).await;
    assert_eq!(app.retry_parked("api-user-unusable").await, 1);
    app.drain().await;
    assert_eq!((app.assistants(JILL), notices(&app).await), (vec![API_USER.to_owned()], vec![]));
    assert_eq!(app.entries("mended").await.len(), 1);
}

#[tokio::test]
async fn a_notice_about_somebody_whom_a_rule_names_ends_as_well_only_when_seen_usable_or_not_named() {
    let app = TestApp::start(&[&RULE.replace("api-user", DEPUTY)]).await;
    app.expect_refusal("GET", DEPUTY, 404);
    app.world.create_user(ACCOUNT, NewUser::licensed(JILL)).unwrap();
    app.drain().await;
    assert_eq!(notices(&app).await, ["api-user-gone"]);
    assert_eq!(notices(&app).await, ["api-user-gone"], "nobody has seen it");
    let named = app.account();
    let unnamed = Account { may_grant: Vec::new(), ..named.clone() };
    app.roster.send_replace(Arc::new(Roster::new([unnamed], Vec::new())));
    assert_eq!(notices(&app).await, [""; 0]);
    let named = Roster::new([named], vec![rule(&RULE.replace("api-user", DEPUTY))]);
    app.roster.send_replace(Arc::new(named));
    app.advance(Duration::from_secs(120)).await;
    assert!(app.retry_parked("api-user-unusable").await > 0);
    app.drain().await;
    assert_eq!(notices(&app).await, ["api-user-gone"], "it is told again");
    app.cancel_all().await;
}

#[tokio::test]
async fn a_notice_about_an_alternative_host_whom_a_rule_names_stands_and_says_so() {
    let host = "substitute@acme.example";
    let rule_about = format!(
        "name = \"substitutes\"\nfor = \"meeting\"\nmode = \"enforce\"\nensure = {{ alternative_hosts = [\"{host}\"] }}\n"
    );
    let app = TestApp::start(&[&rule_about]).await;
    app.expect_refusal("GET", host, 404);
    app.world.create_user(ACCOUNT, NewUser::licensed(JILL)).unwrap();
    app.world.create_meeting(ACCOUNT, JILL, &serde_json::json!({ "topic": "Algebra", "type": 2 })).unwrap();
    app.drain().await;
    let told = app.store.notices().await.unwrap().remove(0).what;
    assert!(
        told.starts_with("substitute@acme.example, whom a rule names, cannot be an assistant or alternative host"),
        "{told}"
    );
    assert_eq!(
        (notices(&app).await, notices(&app).await),
        (vec!["api-user-gone".into()], vec!["api-user-gone".into()])
    );
    app.set_rules(&[]);
    assert_eq!(notices(&app).await, [""; 0]);
    app.cancel_all().await;
}

#[tokio::test]
async fn a_rule_that_nobody_has_planned_as_it_is_only_observes() {
    let app = TestApp::start(&[RULE]).await;
    let take_in = async |text: &str| {
        let planned = app.store.planned().await.unwrap();
        let roster = Roster::new([app.account()], vec![rule(text)]).observing_unplanned(&planned);
        let unplanned = roster.unplanned().len();
        app.roster.send_replace(Arc::new(roster));
        unplanned
    };
    let create = async |email: &str| {
        app.world.create_user(ACCOUNT, NewUser::licensed(email)).unwrap();
        app.drain().await;
        app.assistants(email).len()
    };
    assert_eq!((take_in(RULE).await, create("a@acme.example").await), (1, 0));
    assert_eq!(app.state().await, format!("would add assistant {API_USER}"));
    let named = rule(RULE);
    app.store.record_planned(&named.name, named.fingerprint(), app.clock.now()).await.unwrap();
    assert_eq!((take_in(RULE).await, create("b@acme.example").await), (0, 1));
    let described = format!("{RULE}description = \"the same\"\n");
    assert_eq!((take_in(&described).await, create("c@acme.example").await), (0, 1), "it changes what it did");
    let wider = format!("{RULE}max_changes_percent = 100\n");
    assert_eq!((take_in(&wider).await, create("d@acme.example").await), (1, 0), "another rule than was planned");
}

#[tokio::test]
async fn a_notice_about_a_group_ends_when_a_sweep_finds_the_group_or_no_rule_names_it() {
    let staff = "name = \"staff\"\nfor = \"user\"\nmode = \"enforce\"\nensure = { groups = [\"Teachers\"] }\n";
    let app = TestApp::start(&[staff]).await;
    app.sweep().await;
    assert_eq!(notices(&app).await, ["group-unknown"]);
    app.advance(Duration::from_secs(7200)).await;
    app.sweep().await;
    assert_eq!(notices(&app).await, ["group-unknown"], "it is still missing");
    app.world.add_group(ACCOUNT, "Teachers").unwrap();
    app.advance(Duration::from_secs(7200)).await;
    app.sweep().await;
    assert_eq!(notices(&app).await, [""; 0]);
}
