//! What Zoom could not deliver is fetched from its own log.

use std::time::Duration;

use adjutant::audit::Kind;
use adjutant::clock::Clock as _;
use adjutant::event::signature::Secret;
use adjutant::ids::MarketplaceId;
use adjutant::sim::{Fault, FaultKind, NewUser, Target};
use adjutant::store::DeliveryFilter;
use adjutant::worker::{Backfill, Backfilled, SweepSettings, mend};

use serde_json::json;

use super::{ACCOUNT, API_USER, SECRET, TestApp};

const HOUR: Duration = Duration::from_secs(3600);

const ASSISTANT: &str = r#"
name = "assist"
for = "user"
ensure = { assistants = ["api-user"] }
mode = "enforce"
"#;

fn backfill(app: &TestApp, secret: &str) -> Backfill {
    let account = app.account();
    let backfilled = Backfilled {
        app: account.app,
        marketplace_id: MarketplaceId::parse(&format!("client-{ACCOUNT}")).unwrap(),
        account: account.id,
        secrets: vec![Secret::new(&secret.into()).unwrap()],
        body_bytes_max: 1 << 20,
        known_for: 72 * HOUR,
    };
    Backfill::new(app.parts.clone(), SweepSettings::default(), vec![backfilled])
}

/// A user is made while nobody listens, and Zoom gives up after its last retry.
async fn outage(app: &mut TestApp) -> usize {
    app.close().await;
    app.world.create_user(ACCOUNT, NewUser::licensed("missed@acme.example")).unwrap();
    for _ in 0..4 {
        app.deliver().await;
        app.clock.advance(HOUR);
    }
    app.open().await;
    app.deliver().await;
    usize::try_from(app.world.tally().given_up).unwrap()
}

async fn backfilled(app: &TestApp) -> usize {
    app.entries("backfilled").await.iter().filter(|entry| entry.kind == Kind::Delivery).count()
}

#[tokio::test]
async fn what_zoom_gave_up_on_is_fetched_from_its_log_once_and_goes_the_way_of_every_delivery() {
    let mut app = TestApp::start(&[ASSISTANT]).await;
    let missed = outage(&mut app).await;
    assert!(missed > 0);
    let log = backfill(&app, SECRET);
    log.look_all().await.unwrap();
    assert_eq!(backfilled(&app).await, missed, "four tries of each are one delivery");
    let all = app.store.deliveries(DeliveryFilter { limit: 100, ..DeliveryFilter::default() }).await.unwrap();
    assert!(all.iter().all(|row| row.is_backfilled) && all.len() == missed);
    app.drain().await;
    assert_eq!(app.assistants("missed@acme.example"), [API_USER]);
    // The next look goes on where this one ended, also after a restart, and finds nothing new.
    let looks = app.calls("webhook_logs");
    log.look_all().await.unwrap();
    assert_eq!(app.calls("webhook_logs"), looks, "it is not due");
    app.clock.advance(HOUR);
    log.look_all().await.unwrap();
    app.restart().await;
    backfill(&app, SECRET).look_all().await.unwrap();
    assert!(app.calls("webhook_logs") > looks + 1);
    assert_eq!(backfilled(&app).await, missed);
}

#[tokio::test]
async fn a_row_of_the_log_without_our_signature_is_refused_and_told() {
    let mut app = TestApp::start(&[ASSISTANT]).await;
    let missed = outage(&mut app).await;
    backfill(&app, "a-secret-of-another-app").look_all().await.unwrap();
    assert_eq!(app.store.status().await.unwrap().deliveries, 0);
    let told = app.entries("backfilled").await.remove(0).detail.unwrap().note;
    assert_eq!(told, format!("0 deliveries of Zoom's log stored, {} refused", missed * 4));
}

#[tokio::test]
async fn what_came_by_itself_is_not_fetched_again_and_what_cannot_be_understood_is_set_aside() {
    let mut app = TestApp::start(&[ASSISTANT]).await;
    app.world.create_user(ACCOUNT, NewUser::licensed("came@acme.example")).unwrap();
    app.drain().await;
    let log = backfill(&app, SECRET);
    log.look_all().await.unwrap();
    assert_eq!(backfilled(&app).await, 0, "Zoom could deliver it");
    app.close().await;
    app.world.emit(ACCOUNT, "user.created", "{ this is not JSON".to_owned()).unwrap();
    for _ in 0..4 {
        app.deliver().await;
        app.clock.advance(HOUR);
    }
    app.open().await;
    log.look_all().await.unwrap();
    app.drain().await;
    assert_eq!((backfilled(&app).await, app.store.status().await.unwrap().parked_deliveries), (1, 1));
}

#[tokio::test]
async fn a_log_that_cannot_be_read_is_told_until_it_can_be() {
    let app = TestApp::start(&[ASSISTANT]).await;
    app.expect_refusal("GET", "webhook_logs", 400);
    app.world.set_scopes(ACCOUNT, &["user:read:admin", "user:write:admin"]).unwrap();
    let log = backfill(&app, SECRET);
    log.look_all().await.unwrap();
    mend(&app.parts).await.unwrap();
    let told = app.store.notices().await.unwrap();
    assert_eq!(told.iter().map(|notice| notice.code.as_str()).collect::<Vec<_>>(), ["backfill-failed"]);
    app.world.set_scopes(ACCOUNT, &["user:read:admin", "user:write:admin", "marketplace_app:read:admin"]).unwrap();
    app.clock.advance(2 * HOUR);
    log.look_all().await.unwrap();
    mend(&app.parts).await.unwrap();
    assert_eq!(app.store.notices().await.unwrap(), []);
}

#[tokio::test]
async fn nothing_is_fetched_that_is_older_than_what_is_known_again() {
    let mut app = TestApp::start(&[ASSISTANT]).await;
    assert!(outage(&mut app).await > 0);
    app.clock.advance(73 * HOUR);
    backfill(&app, SECRET).look_all().await.unwrap();
    assert_eq!(backfilled(&app).await, 0);
}

#[tokio::test]
async fn a_log_that_was_not_read_to_its_end_is_read_again_and_told() {
    let mut app = TestApp::start(&[ASSISTANT]).await;
    let missed = outage(&mut app).await;
    let body = json!({ "webhook_logs": [{ "event": "x" }], "next_page_token": "same" }).to_string();
    let kind = FaultKind::Error { status: 200, body };
    app.world.fault(Fault { target: Target::api("GET", "webhook_logs"), times: 2, kind });
    let log = backfill(&app, SECRET);
    log.look_all().await.unwrap();
    let told = app.store.notices().await.unwrap();
    assert_eq!(told.iter().map(|notice| notice.code.as_str()).collect::<Vec<_>>(), ["backfill-failed"]);
    assert!(app.swept().await.backfilled.unwrap() < app.clock.now().minus(4 * HOUR), "the rest is not lost");
    app.clock.advance(HOUR);
    log.look_all().await.unwrap();
    mend(&app.parts).await.unwrap();
    assert_eq!((backfilled(&app).await, app.store.notices().await.unwrap()), (missed, Vec::new()));
    app.drain().await;
}
