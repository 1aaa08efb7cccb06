//! The receiver beside what strangers do to it (that is `hostile`): answers, grace, clock alarm, counters, shutdown.

use std::time::Duration;

use adjutant::clock::{Clock as _, Timestamp};
use adjutant::event::signature::{PlainToken, encrypted_token};
use adjutant::store::{AppState, StoreError};
use adjutant::web::RefusalKind;
use adjutant::web::accept::{AcceptSettings, Served};
use adjutant::web::webhook::ReceiverSettings;

use crate::support::request::{SIGNATURE, signed, signed_at, signed_by, unsigned};
use crate::support::{NOW, OLD_SECRET, Recorder, Service, app, secret};

const BODY: &str = r#"{"event":"user.created","payload":{}}"#;

async fn service(store: Recorder) -> Service {
    Service::with(store, ReceiverSettings::default(), AcceptSettings::default()).await
}

#[tokio::test]
async fn a_delivery_is_stored_as_it_came_before_it_is_answered() {
    let service = Service::start().await;
    let request = signed_at(&(NOW - 5).to_string(), BODY).header("x-zm-request-id", "6009d653_d487");
    let answer = service.send(&request.bytes()).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    let stored = service.store.take();
    let (to, verified) = &stored[0];
    assert_eq!((to, stored.len()), (&app("main"), 1));
    assert_eq!((&verified.body()[..], verified.signed_at_secs()), (BODY.as_bytes(), NOW - 5));
    assert_eq!(verified.request_id(), Some("6009d653_d487"));
    assert_eq!(service.receiver.stats().accepted(), 1);
    assert_eq!(service.receiver.app(&app("main")).unwrap().verified_at, Some(Timestamp::from_secs(NOW)));
}

#[tokio::test]
async fn what_cannot_be_stored_is_answered_503_and_never_200() {
    let service = Service::start().await;
    for failure in [
        StoreError::Full,
        StoreError::Behind("the planner".to_owned()),
        StoreError::Backlog,
        StoreError::Failed("EIO".to_owned()),
        StoreError::Closed,
    ] {
        service.store.fail_with(Some(failure));
        let answer = service.send(&signed(BODY).bytes()).await;
        assert_eq!((answer.status, answer.body.as_str()), (503, ""));
        assert!(answer.head.contains("retry-after: 60"), "{}", answer.head);
    }
    let refused = service.receiver.stats().refusals();
    let refused: Vec<_> = refused.into_iter().filter(|(_, count)| *count > 0).collect();
    assert_eq!(refused, [(RefusalKind::Backlog, 1), (RefusalKind::Unstored, 4)]);
    assert_eq!(service.receiver.stats().backlog_at(), Some(service.clock.now()));
    service.store.fail_with(None);
    assert_eq!(service.send(&signed(BODY).bytes()).await.status, 200);
    assert_eq!((service.store.take().len(), service.receiver.stats().accepted()), (1, 1));
}

#[tokio::test]
async fn a_url_validation_is_answered_with_the_secret_that_verified_and_noted() {
    let service = Service::start().await;
    let body = r#"{"payload":{"plainToken":"qgg8vlvZRS6UYooatFL8Aw"},"event_ts":1654503849680,"event":"endpoint.url_validation"}"#;
    let answer = service.send(&signed(body).bytes()).await;
    assert_eq!(
        answer.body,
        "{\"plainToken\":\"qgg8vlvZRS6UYooatFL8Aw\",\"encryptedToken\":\
         \"189bad60d71b25fc9705f43e5883e837f2d813ec93ba913b641fbe02d931744f\"}"
    );
    assert!(answer.head.contains("content-type: application/json"), "{}", answer.head);
    let answer = service.send(&signed_by(OLD_SECRET, &NOW.to_string(), body).bytes()).await;
    let token = PlainToken::parse("qgg8vlvZRS6UYooatFL8Aw").unwrap();
    assert!(answer.body.contains(&encrypted_token(&secret(OLD_SECRET), &token)), "{}", answer.body);
    assert_eq!(service.store.validated(2).await, [app("main"), app("main")]);
    assert_eq!((service.store.take().len(), service.receiver.stats().validated()), (0, 2));
    assert_eq!(service.receiver.app(&app("main")).unwrap().validated_at, Some(Timestamp::from_secs(NOW)));
}

#[tokio::test]
async fn until_a_delivery_fitted_the_secret_a_bad_signature_is_503() {
    let service = service(Recorder::unproven()).await;
    let bad = signed(BODY).with(SIGNATURE, format!("v0={}", "0".repeat(64))).bytes();
    let answer = service.send(&bad).await;
    assert_eq!((answer.status, answer.head.contains("retry-after: 60")), (503, true));
    assert!(service.receiver.app(&app("main")).unwrap().in_grace);
    // What has no signature is nothing that Zoom sent.
    assert_eq!(service.send(&unsigned(BODY).bytes()).await.status, 400);
    // A url validation is no delivery: it may come from another environment of the app, with another secret.
    let validation = r#"{"event":"endpoint.url_validation","payload":{"plainToken":"a"}}"#;
    assert_eq!(service.send(&signed(validation).bytes()).await.status, 200);
    assert_eq!(service.send(&bad).await.status, 503);
    assert_eq!(service.send(&signed(BODY).bytes()).await.status, 200);
    assert_eq!(service.send(&bad).await.status, 401);
    assert!(!service.receiver.app(&app("main")).unwrap().in_grace);
    assert!(service.receiver.app(&app("other")).unwrap().in_grace, "the other app's secret is as unproven as before");
}

#[tokio::test]
async fn for_two_hours_after_the_secrets_changed_a_bad_signature_is_503() {
    let state = AppState {
        verified_at: Some(Timestamp::from_secs(NOW - 86_400)),
        secrets_changed_at: Some(Timestamp::from_secs(NOW)),
        ..AppState::default()
    };
    let service = service(Recorder::in_state(state)).await;
    assert_eq!(service.send(&signed(BODY).bytes()).await.status, 200);
    for (seconds, status) in [(0, 503), (7199, 503), (7200, 401)] {
        service.clock.set(Timestamp::from_secs(NOW + seconds));
        assert_eq!(service.send(&signed(BODY).body("{}").bytes()).await.status, status, "after {seconds} s");
    }
}

#[tokio::test]
async fn a_good_signature_outside_the_window_is_503_with_a_clock_alarm_and_not_stored() {
    let service = Service::start().await;
    let replayed = signed(BODY).bytes();
    assert_eq!(service.send(&replayed).await.status, 200);
    assert_eq!((service.store.take().len(), service.receiver.stats().clock_alarm()), (1, None));
    service.clock.set(Timestamp::from_secs(NOW + 7201));
    let answer = service.send(&replayed).await;
    assert_eq!((answer.status, answer.head.contains("retry-after: 60")), (503, true));
    assert_eq!(service.store.take(), []);
    assert_eq!(service.receiver.stats().clock_alarm(), Some((Timestamp::from_secs(NOW + 7201), 7201)));
    // A stranger raises no alarm.
    service.clock.set(Timestamp::from_secs(NOW + 8000));
    assert_eq!(service.send(&signed(BODY).body("{}").bytes()).await.status, 401);
    assert_eq!(service.receiver.stats().clock_alarm(), Some((Timestamp::from_secs(NOW + 7201), 7201)));
}

#[tokio::test]
async fn refusals_are_counted_by_minute_and_kind() {
    let service = Service::start().await;
    for (request, times) in [(unsigned(BODY), 2), (signed(BODY).body("{}"), 1), (signed(BODY).path("/x"), 1)] {
        for _ in 0..times {
            service.send(&request.bytes()).await;
        }
    }
    service.clock.advance(Duration::from_secs(60));
    service.send(&unsigned(BODY).bytes()).await;
    let first = Timestamp::from_secs(NOW.div_euclid(60) * 60);
    let second = first.plus(Duration::from_secs(60));
    assert_eq!(
        service.receiver.drain_refusals(),
        [
            (first, RefusalKind::UnknownPath, 1),
            (first, RefusalKind::Malformed, 2),
            (first, RefusalKind::Signature, 1),
            (second, RefusalKind::Malformed, 1),
        ]
    );
    assert!(service.receiver.stats().refusals().contains(&(RefusalKind::Malformed, 3)));
    assert_eq!(service.receiver.drain_refusals(), []);
}

#[tokio::test]
async fn a_stop_finishes_what_is_in_flight_and_closes_the_rest() {
    let mut service = Service::start().await;
    let silent = service.connect().await;
    let mut idle = service.connect().await;
    idle.write(&signed(BODY).bytes()).await;
    assert_eq!(idle.answer().await.unwrap().status, 200);
    let mut busy = service.connect().await;
    busy.write(&signed(BODY).header("expect", "100-continue").head()).await;
    assert_eq!(busy.answer().await.unwrap().status, 100);
    let finishing = async {
        // Once the idle ones are closed, the stop has been heard.
        assert_eq!(idle.closed().await, "");
        assert_eq!(silent.closed().await, "");
        busy.write(BODY.as_bytes()).await;
        let answer = busy.answer().await.unwrap();
        assert_eq!(busy.closed().await, "");
        answer.status
    };
    let (served, status) = tokio::join!(service.stop(), finishing);
    assert_eq!((served, status), (Served { cut_off: 0 }, 200));
    assert_eq!(service.store.take().len(), 2);
    assert!(tokio::net::TcpStream::connect(service.address).await.is_err(), "it still listens");
}

#[tokio::test]
async fn a_connection_serves_as_many_requests_as_it_may_and_says_that_it_closes() {
    let accept = AcceptSettings { keep_alive_requests_max: 2, ..AcceptSettings::default() };
    let service = Service::with(Recorder::proven(), ReceiverSettings::default(), accept).await;
    let mut client = service.connect().await;
    client.write(&signed(BODY).bytes()).await;
    let first = client.answer().await.unwrap();
    client.write(&signed(BODY).bytes()).await;
    let second = client.answer().await.unwrap();
    assert_eq!([first.head.contains("connection: close"), second.head.contains("connection: close")], [false, true]);
    assert_eq!(client.closed().await, "");
}
