//! Rules that go and come back.

use adjutant::sim::NewUser;
use adjutant::worker::{ComeBack, Planner};

use super::{ACCOUNT, API_USER, TestApp};

const JILL: &str = "jill@acme.example";

const ASSIST: &str = r#"
name = "assist"
for = "user"
ensure = { assistants = ["api-user"] }
mode = "enforce"
"#;

/// The same, about events.
const WELCOME: &str = r#"
name = "assist"
for = "user"
on = ["user.created"]
ensure = { assistants = ["api-user"] }
mode = "enforce"
"#;

impl TestApp {
    /// A new user whose job did not begin yet when the rules became these.
    async fn interrupted(&self, email: &str, rules: &[&str]) {
        self.world.create_user(ACCOUNT, NewUser::licensed(email)).unwrap();
        self.deliver().await;
        let roster = std::sync::Arc::clone(&self.roster.borrow());
        Planner::new(self.parts.clone()).plan_once(&roster).await.unwrap();
        self.set_rules(rules);
        self.drain().await;
    }
}

#[tokio::test]
async fn jobs_of_a_rule_that_was_taken_away_are_done_once_when_it_is_back() {
    let app = TestApp::start(&[ASSIST]).await;
    let back = ComeBack::new(app.parts.clone());
    back.look().await.unwrap();
    app.interrupted(JILL, &[]).await;
    back.look().await.unwrap();
    assert_eq!(app.state().await, "parked rule-gone");
    app.set_rules(&[ASSIST]);
    for _ in 0..2 {
        back.look().await.unwrap();
        app.drain().await;
    }
    assert_eq!(app.assistants(JILL), [API_USER]);
    let retried = app.entries("retried").await;
    assert_eq!(retried.len(), 1);
    assert_eq!(retried[0].detail.as_ref().unwrap().note, "by the configuration, which has rule assist again");
}

#[tokio::test]
async fn who_waits_under_a_condition_about_events_follows_no_other_rule_of_that_name() {
    let of = |domain: &str, event: &str| {
        let welcome = WELCOME.replace("user.created", event);
        format!("{welcome}when = 'event.payload.object.email.endsWith(\"@{domain}\")'\n")
    };
    let mut app = TestApp::start(&[&of("acme.example", "user.created")]).await;
    app.world.create_user(ACCOUNT, NewUser::licensed(JILL).invited()).unwrap();
    app.drain().await;
    assert_eq!(app.state().await, "waiting user-pending");
    app.set_rules(&[&of("other.example", "user.created")]);
    app.restart().await;
    app.world.accept_invitation(ACCOUNT, JILL).unwrap();
    app.drain().await;
    assert_eq!((app.state().await.as_str(), app.assistants(JILL).len()), ("parked rule-gone", 0), "it was never asked");
    ComeBack::new(app.parts.clone()).look().await.unwrap();
    app.drain().await;
    assert_eq!(app.state().await, "parked rule-gone");
    // A rule that asks by itself is her rule from then on.
    app.set_rules(&[&WELCOME.replace("user.created", "user.updated")]);
    app.world.update_user(ACCOUNT, JILL, &serde_json::json!({ "dept": "staff" })).unwrap();
    app.drain().await;
    assert_eq!(app.assistants(JILL), [API_USER]);
}

#[tokio::test]
async fn a_rule_about_events_takes_up_only_what_its_own_events_asked_for() {
    let app = TestApp::start(&[ASSIST]).await;
    let back = ComeBack::new(app.parts.clone());
    back.look().await.unwrap();
    app.interrupted(JILL, &[]).await;
    for _ in 0..2 {
        app.set_rules(&[WELCOME]);
        back.look().await.unwrap();
        app.drain().await;
        assert_eq!(app.state().await, "parked rule-gone", "its condition was never asked");
    }
    app.set_rules(&[ASSIST]);
    back.look().await.unwrap();
    app.drain().await;
    assert_eq!(app.assistants(JILL), [API_USER]);

    let app = TestApp::start(&[WELCOME]).await;
    let back = ComeBack::new(app.parts.clone());
    back.look().await.unwrap();
    app.interrupted(JILL, &[]).await;
    assert_eq!(app.state().await, "parked rule-gone");
    app.set_rules(&[WELCOME]);
    back.look().await.unwrap();
    app.drain().await;
    assert_eq!(app.assistants(JILL), [API_USER]);
}
