//! All grants of an API user, taken back.

use adjutant::account::UserKey;
use adjutant::clock::Clock as _;
use adjutant::sim::{Fault, FaultKind, NewUser, Target};
use adjutant::worker::{Grants, TAKE_BACK, TakeBack};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{ACCOUNT, API_USER, TestApp};

const RULE: &str = "name = \"assist\"\nfor = \"user\"\nmode = \"enforce\"\nensure = { assistants = [\"api-user\"] }\n";

fn teacher(n: usize) -> String {
    format!("teacher-{n}@acme.example")
}

/// With so many teachers who granted the API user.
async fn granted(teachers: usize) -> TestApp {
    let app = TestApp::start_patient(&[RULE]).await;
    for n in 0..teachers {
        app.world.add_user(ACCOUNT, NewUser::licensed(&teacher(n))).unwrap();
        app.world.grant(ACCOUNT, &teacher(n), API_USER).unwrap();
    }
    app
}

async fn look(app: &TestApp, takes: &TakeBack) -> Grants {
    let key: UserKey = API_USER.parse().unwrap();
    let account = app.account().id;
    app.ticking(takes.look(&key, Some(&account))).await.unwrap().remove(0)
}

/// Minutes until it goes on; none where nothing is left.
async fn step(app: &TestApp, takes: &TakeBack) -> Option<u64> {
    let never = CancellationToken::new();
    let next = app.ticking(takes.step(&never)).await.unwrap();
    next.map(|at| at.since(app.clock.now()).as_secs().div_ceil(60))
}

fn assisted(app: &TestApp, teachers: usize) -> usize {
    (0..teachers).filter(|n| !app.assistants(&teacher(*n)).is_empty()).count()
}

async fn standing(app: &TestApp) -> usize {
    app.store.notices().await.unwrap().iter().filter(|notice| notice.code == TAKE_BACK).count()
}

#[tokio::test]
async fn everybodys_grant_is_taken_back_also_over_a_restart_in_the_middle() {
    let mut app = granted(40).await;
    app.set_rules(&[&RULE.replace("enforce", "observe")]);
    let takes = TakeBack::new(app.parts.clone());
    let grants = look(&app, &takes).await;
    assert_eq!((grants.users.len(), grants.rules.len()), (40, 0));
    takes.begin(&grants, "Ada").await.unwrap();
    let id = app.world.user(ACCOUNT, &teacher(7)).unwrap().id;
    let path = Target::api("DELETE", format!("/users/{id}/assistants/"));
    app.world.fault(Fault { target: path, times: 1, kind: FaultKind::DropAfter });
    assert_eq!(step(&app, &takes).await, Some(1), "no answer came, so it waits and looks again");
    let left = assisted(&app, 40);
    assert!(left > 0 && left < 40, "{left}");

    app.restart().await;
    let takes = TakeBack::new(app.parts.clone());
    assert_eq!((standing(&app).await, step(&app, &takes).await), (1, None));
    assert_eq!((assisted(&app, 40), standing(&app).await), (0, 0));
    // Each was on record before, with who asked; the one without an answer was done at Zoom, and is not listed any more.
    let intents = app.entries("granted").await.into_iter().filter_map(|entry| entry.detail);
    let intents = intents.filter(|detail| detail.note.contains("Ada asked to take back all grants of")).count();
    assert_eq!((intents, app.world.count_calls("DELETE", "/assistants/")), (40, 40));
    assert_eq!(step(&app, &takes).await, None, "nothing stands, and nothing is asked");
}

#[tokio::test]
async fn rules_that_would_grant_it_again_are_named() {
    let app = granted(1).await;
    let takes = TakeBack::new(app.parts.clone());
    let rules = |grants: Grants| grants.rules.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(rules(look(&app, &takes).await), ["assist"]);
    app.set_rules(&[&RULE.replace("api-user", API_USER)]);
    assert_eq!(rules(look(&app, &takes).await), ["assist"], "also where it is named");
    app.set_rules(&[&RULE.replace("api-user", "deputy@acme.example")]);
    assert_eq!(rules(look(&app, &takes).await), [""; 0]);
    assert_eq!(assisted(&app, 1), 1, "to look changes nothing");
}

#[tokio::test]
async fn who_cannot_be_taken_from_now_is_tried_again_and_holds_nobody_up() {
    let app = granted(3).await;
    app.set_rules(&[]);
    let takes = TakeBack::new(app.parts.clone());
    takes.begin(&look(&app, &takes).await, "Ada").await.unwrap();
    let id = app.world.user(ACCOUNT, &teacher(0)).unwrap().id;
    let body = r#"{"code":300,"message":"Not now."}"#.to_owned();
    let target = Target::api("DELETE", format!("/users/{id}/assistants/"));
    app.world.fault(Fault { target, times: 1, kind: FaultKind::Error { status: 400, body } });
    assert_eq!(step(&app, &takes).await, Some(60));
    assert_eq!((assisted(&app, 3), standing(&app).await), (1, 1));
    assert_eq!(step(&app, &takes).await, None);
    assert_eq!((assisted(&app, 3), standing(&app).await), (0, 0));
}

#[tokio::test]
async fn who_is_listed_still_after_the_grant_was_taken_back_is_left_for_later() {
    let app = granted(1).await;
    app.set_rules(&[]);
    let takes = TakeBack::new(app.parts.clone());
    takes.begin(&look(&app, &takes).await, "Ada").await.unwrap();
    let id = app.world.user(ACCOUNT, &teacher(0)).unwrap().id;
    // The list lags behind, and one of its rows names nobody.
    let body = json!({ "schedulers": [{ "id": id, "email": teacher(0) }, {}] }).to_string();
    let target = Target::api("GET", "/schedulers");
    app.world.fault(Fault { target, times: 4, kind: FaultKind::Error { status: 200, body } });
    assert_eq!(step(&app, &takes).await, Some(60));
    assert_eq!((app.world.count_calls("DELETE", "/assistants/"), app.entries("granted").await.len()), (1, 1));
    app.world.clear_faults();
    assert_eq!(step(&app, &takes).await, None);
}
