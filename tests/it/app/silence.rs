//! Webhooks that do not arrive are told, once a sweep shows it.

use std::time::Duration;

use adjutant::sim::NewUser;
use adjutant::worker::mend;

use super::{ACCOUNT, API_USER, TestApp};

const HOUR: Duration = Duration::from_secs(3600);

const ASSISTANT: &str = r#"
name = "assist"
for = "user"
ensure = { assistants = ["api-user"] }
mode = "enforce"
"#;

async fn told(app: &TestApp) -> Vec<String> {
    mend(&app.parts).await.unwrap();
    let notices = app.store.notices().await.unwrap();
    notices.into_iter().filter(|notice| notice.code == "silence").map(|notice| notice.what).collect()
}

#[tokio::test]
async fn a_sweep_that_heals_what_no_webhook_announced_is_told_until_a_delivery_comes() {
    let app = TestApp::start_patient(&[ASSISTANT]).await;
    app.world.unsubscribe(ACCOUNT).unwrap();
    app.sweep_due().await;
    assert_eq!(told(&app).await, [""; 0], "the first sweep heals what was before, which no event could tell");
    app.clock.advance(2 * HOUR);
    app.sweep_due().await;
    assert_eq!(told(&app).await, [""; 0], "it found nothing");
    app.world.add_user(ACCOUNT, NewUser::licensed("unheard@acme.example")).unwrap();
    app.clock.advance(HOUR);
    app.sweep_due().await;
    assert_eq!(app.assistants("unheard@acme.example"), [API_USER]);
    let what = told(&app).await;
    assert!(what.len() == 1 && what[0].contains("1 change that no delivery asked for; none ever came"), "{what:?}");
    app.clock.advance(HOUR);
    app.sweep_due().await;
    assert_eq!((told(&app).await, app.entries("silence").await.len()), (what, 1), "also when the next finds nothing");
    app.subscribe();
    app.clock.advance(Duration::from_secs(1));
    app.world.create_user(ACCOUNT, NewUser::licensed("heard@acme.example")).unwrap();
    app.ticking(app.drain()).await;
    assert_eq!(told(&app).await, [""; 0]);
}

#[tokio::test]
async fn one_change_that_no_event_tells_is_no_silence_while_deliveries_come() {
    let app = TestApp::start_patient(&[ASSISTANT]).await;
    app.ticking(app.drain()).await;
    app.sweep_due().await;
    app.clock.advance(HOUR);
    app.world.create_user(ACCOUNT, NewUser::licensed("heard@acme.example")).unwrap();
    app.ticking(app.drain()).await;
    app.world.unsubscribe(ACCOUNT).unwrap();
    app.world.add_user(ACCOUNT, NewUser::licensed("unheard@acme.example")).unwrap();
    app.sweep_due().await;
    assert_eq!(app.assistants("unheard@acme.example"), [API_USER]);
    assert_eq!(app.swept().await.last.unwrap().why.code(), "schedule");
    assert_eq!(told(&app).await, [""; 0]);
}
