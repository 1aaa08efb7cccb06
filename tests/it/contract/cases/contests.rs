//! What others change back again and again.

use adjutant::job::{Asker, Change, Effect, Mark, Outcome, ParkCause};
use adjutant::store::{Allowance, CONTESTED_AFTER, CONTESTED_WITHIN, Leased, Move, Selector};

use crate::contract::Harness;
use crate::contract::kit::{DAY, HOUR, Kit, SECOND, change, changed, ensure, rule, user, work};

const WAITING_ROOM: Mark = [1; 16];
const CHAT: Mark = [2; 16];

fn to(marks: &[Mark]) -> Change {
    Change { marks: marks.to_vec(), ..change(1_000, None) }
}

/// An event asks for the rule and subject, and the attempt that it leads to has started.
pub(super) async fn asked<H: Harness>(kit: &mut Kit<H>, of: &str, named: &str, subject: &str) -> Leased {
    kit.event_for(of, work(vec![ensure(named, user(subject))])).await;
    kit.started().await
}

/// So often it is not so, and is changed.
async fn mend<H: Harness>(kit: &mut Kit<H>, times: usize, change: &Change) -> Vec<Asker> {
    let mut askers = Vec::new();
    for _ in 0..times {
        let leased = asked(kit, "acc", "assist", "u1").await;
        kit.granted(&leased, 1, change).await;
        askers.push(leased.job.asked_by);
        kit.settle(leased, changed()).await;
    }
    askers
}

fn parked() -> Outcome {
    Outcome::Park(ParkCause::Contested { what: "x".to_owned(), who: Vec::new() })
}

pub(crate) async fn a_change_that_was_made_three_times_within_a_day_is_contested_with_those_who_asked<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let mut asked_before = mend(&mut kit, CONTESTED_AFTER - 1, &to(&[WAITING_ROOM, CHAT])).await;
    asked_before.extend(mend(&mut kit, 1, &to(&[WAITING_ROOM])).await);
    kit.restart().await;
    let leased = asked(&mut kit, "acc", "assist", "u1").await;
    let size = kit.log_size().await;
    let allowance = kit.intend(&leased, to(&[CHAT, WAITING_ROOM])).await;
    let Allowance::Contested { marks, askers } = allowance else { panic!("{allowance:?}") };
    assert_eq!((marks, askers), (vec![WAITING_ROOM], asked_before));
    assert_eq!(kit.log_size().await, size, "nothing was written");
    kit.granted(&leased, 1, &to(&[CHAT])).await;
}

pub(crate) async fn other_rules_subjects_and_accounts_contest_nothing<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    mend(&mut kit, CONTESTED_AFTER, &to(&[CHAT])).await;
    for (of, named, subject) in [("acc", "tidy", "u1"), ("acc", "assist", "u2"), ("bcc", "assist", "u1")] {
        let leased = asked(&mut kit, of, named, subject).await;
        kit.granted(&leased, 1, &to(&[CHAT])).await;
        kit.settle(leased, changed()).await;
    }
}

pub(crate) async fn what_was_intended_and_did_not_come_about_or_was_planned_does_not_count<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    for outcome in [Outcome::Done(Effect::AlreadyRight), Outcome::Retry { error: "503".to_owned() }] {
        let leased = asked(&mut kit, "acc", "assist", "u1").await;
        kit.granted(&leased, 9, &to(&[CHAT])).await;
        kit.settle(leased, outcome).await;
        kit.pass(DAY / 2);
    }
    let leased = kit.started().await;
    kit.granted(&leased, 9, &to(&[CHAT])).await;
    kit.settle(leased, changed()).await;
    mend(&mut kit, CONTESTED_AFTER, &Change { is_planned: true, ..to(&[CHAT]) }).await;
    mend(&mut kit, CONTESTED_AFTER - 1, &to(&[CHAT])).await;
    let leased = asked(&mut kit, "acc", "assist", "u1").await;
    assert!(matches!(kit.intend(&leased, to(&[CHAT])).await, Allowance::Contested { .. }));
    kit.granted(&leased, 1, &Change { is_planned: true, ..to(&[CHAT]) }).await;
}

pub(crate) async fn what_was_made_a_day_ago_is_forgotten<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    mend(&mut kit, CONTESTED_AFTER, &to(&[CHAT])).await;
    kit.almost_pass(CONTESTED_WITHIN);
    let mut leased = asked(&mut kit, "acc", "assist", "u1").await;
    kit.store.renew(&mut leased, kit.now.plus(HOUR)).await.unwrap();
    assert!(matches!(kit.intend(&leased, to(&[CHAT])).await, Allowance::Contested { .. }));
    kit.pass(SECOND);
    kit.granted(&leased, 1, &to(&[CHAT])).await;
}

pub(crate) async fn a_person_who_retries_what_is_contested_begins_the_count_anew<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    mend(&mut kit, CONTESTED_AFTER, &to(&[CHAT])).await;
    let leased = asked(&mut kit, "acc", "assist", "u1").await;
    let job = kit.settle(leased, parked()).await.id;
    // Whoever asks once more changes nothing about it.
    kit.event_for("acc", work(vec![ensure("assist", user("u1"))])).await;
    assert_eq!(kit.state(job).await, "parked");
    let which = Selector::ParkedFor { cause: "contested".to_owned(), rule: Some(rule("assist")), account: None };
    assert_eq!(kit.store.move_jobs(which, Move::Retry, "jill", kit.now).await.unwrap(), 1);
    kit.restart().await;
    let leased = kit.started().await;
    kit.granted(&leased, 1, &to(&[CHAT])).await;
    kit.settle(leased, changed()).await;
    mend(&mut kit, CONTESTED_AFTER - 1, &to(&[CHAT])).await;
    let leased = asked(&mut kit, "acc", "assist", "u1").await;
    assert!(matches!(kit.intend(&leased, to(&[CHAT])).await, Allowance::Contested { .. }));
}
