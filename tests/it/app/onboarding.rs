//! People become users: created or found, invited, given licence and groups, and handed to the rules.

use std::time::Duration;

use adjutant::clock::Clock as _;
use adjutant::feed::{Consumer, Kind, Rotate};
use adjutant::ids::{AccountId, Email};
use adjutant::job::{Job, JobState};
use adjutant::rules::Licence;
use adjutant::sim::{Fault, FaultKind, NewAccount, NewUser, Target, TooMany, User, UserStatus};
use adjutant::store::{Move, Selector, Shelf, Write};
use adjutant::work::{
    Beside, Onboarding, RefusedFor, Row, RowRefused, Standing, Stands, Step, Wanted, WithJobs, id_of,
};
use adjutant::worker::Onboarder;
use adjutant::zoom::CreateAction;

use super::{ACCOUNT, API_USER, Left, TestApp};

const ASSISTANT: &str = r#"
name = "assist"
for = "user"
ensure = { assistants = ["api-user"] }
mode = "enforce"
max_changes_percent = 100
"#;

const JILL: &str = "jill@acme.example";
const DAY: Duration = Duration::from_secs(86_400);
const MINUTES: Duration = Duration::from_secs(600);

fn account() -> AccountId {
    AccountId::parse(ACCOUNT).unwrap()
}

fn wanted(email: &str) -> Wanted {
    Wanted::of(Email::parse(email).unwrap())
}

/// Licensed, and by single sign-on: there at once.
fn at_once(email: &str) -> Wanted {
    Wanted { action: CreateAction::SsoCreate, licence: Some(Licence::Licensed), ..wanted(email) }
}

/// Licensed, by an invitation.
fn invited(email: &str) -> Wanted {
    Wanted { licence: Some(Licence::Licensed), ..wanted(email) }
}

fn row(wanted: Wanted) -> Row {
    Row { wanted, key: None }
}

impl TestApp {
    fn onboarder(&self) -> Onboarder {
        Onboarder::new(self.parts.clone())
    }

    async fn try_onboard(&self, rows: Vec<Row>) -> Vec<Result<WithJobs, RowRefused>> {
        self.onboarder().ask(&account(), rows, Some("batch"), "a test").await.unwrap()
    }

    async fn onboard(&self, wanted: Wanted) -> Onboarding {
        self.try_onboard(vec![row(wanted)]).await.swap_remove(0).unwrap().kept
    }

    async fn stands(&self, kept: &Onboarding) -> Stands {
        self.onboarder().read(kept.id).await.unwrap().unwrap().stands(self.clock.now())
    }

    /// As in `invited: the person has not accepted the invitation`.
    async fn told(&self, kept: &Onboarding) -> String {
        let Stands { standing, why, .. } = self.stands(kept).await;
        why.map_or_else(|| standing.name().to_owned(), |why| format!("{}: {why}", standing.name()))
    }

    fn is_created_once(&self, email: &str) {
        let found = self.world.users(ACCOUNT).into_iter().filter(|user| user.email == email).count();
        assert_eq!(found, 1, "{email}");
    }

    fn creations(&self) -> usize {
        self.world.calls().iter().filter(|call| call.method == "POST" && call.path.ends_with("/users")).count()
    }

    fn expect_unknown(&self) {
        self.expect_refusal("GET", "/users/", 404);
    }

    async fn write(&self, writes: Vec<Write>) {
        self.store.write_documents(writes, Vec::new(), self.clock.now()).await.unwrap();
    }

    async fn own_job(&self) -> Job {
        self.jobs().await.into_iter().find(|job| job.rule.is_onboard()).unwrap()
    }
}

#[tokio::test]
async fn who_is_not_there_is_created_with_licence_and_groups_and_the_rules_do_the_rest() {
    let app = TestApp::start(&[ASSISTANT]).await;
    let staff = app.world.add_group(ACCOUNT, "Staff").unwrap();
    app.expect_unknown();
    let names = (Some("Jill".to_owned()), Some("Hill".to_owned()));
    let kept = app
        .onboard(Wanted { first_name: names.0, last_name: names.1, groups: vec!["Staff".to_owned()], ..at_once(JILL) })
        .await;
    assert_eq!(app.told(&kept).await, "asked");
    app.drain().await;
    app.advance(MINUTES).await;
    assert_eq!(app.told(&kept).await, "done: created");
    let jill = app.world.user(ACCOUNT, JILL).unwrap();
    assert_eq!((jill.kind, jill.first_name.as_str(), jill.last_name.as_str()), (2, "Jill", "Hill"));
    assert!(jill.groups.contains(&staff));
    assert_eq!(app.assistants(JILL), [API_USER]);
    app.is_created_once(JILL);
}

#[tokio::test]
async fn the_rules_are_asked_also_where_no_webhook_comes() {
    let app = TestApp::start(&[ASSISTANT]).await;
    app.world.unsubscribe(ACCOUNT).unwrap();
    app.expect_unknown();
    let kept = app.onboard(at_once(JILL)).await;
    app.advance(MINUTES).await;
    assert_eq!((app.told(&kept).await.as_str(), app.assistants(JILL)), ("done: created", vec![API_USER.to_owned()]));
}

#[tokio::test]
async fn who_is_there_already_is_adopted_and_loses_nothing() {
    let app = TestApp::start(&[]).await;
    app.world.create_user(ACCOUNT, NewUser::licensed(JILL)).unwrap();
    let kept = app.onboard(wanted(JILL)).await;
    app.advance(MINUTES).await;
    assert_eq!((app.told(&kept).await.as_str(), app.creations()), ("done: was there already", 0));
    assert_eq!(app.world.user(ACCOUNT, JILL).unwrap().kind, 2, "without a word about the licence it stays");
    let takes = app.onboard(Wanted { licence: Some(Licence::Basic), ..wanted(JILL) }).await;
    app.drain().await;
    let stands = app.stands(&takes).await;
    assert_eq!((stands.standing, stands.cause), (Standing::Parked, Some("takes-away")));
    assert!(stands.advice.is_some());
    assert_eq!(app.world.user(ACCOUNT, JILL).unwrap().kind, 2);
    app.cancel_all().await;
    assert_eq!(app.stands(&takes).await.standing, Standing::Cancelled);
}

#[tokio::test]
async fn who_is_invited_waits_for_the_person_and_goes_on_by_the_event() {
    let app = TestApp::start(&[ASSISTANT]).await;
    app.world.add_group(ACCOUNT, "Staff").unwrap();
    app.world.set_quirks(ACCOUNT, |quirks| quirks.pending_found_by_email = false).unwrap();
    app.expect_unknown();
    let kept = app.onboard(Wanted { groups: vec!["Staff".to_owned()], ..invited(JILL) }).await;
    app.drain().await;
    assert_eq!(app.told(&kept).await, "invited: the person has not accepted the invitation");
    app.advance(DAY / 2).await;
    assert_eq!(app.creations(), 1, "nobody is invited twice");
    app.world.accept_invitation(ACCOUNT, JILL).unwrap();
    app.advance(MINUTES).await;
    assert_eq!(app.told(&kept).await, "done: created");
    assert_eq!(app.assistants(JILL), [API_USER]);
    assert_eq!(app.world.user(ACCOUNT, JILL).unwrap().groups.len(), 1);
    app.cancel_all().await;
}

#[tokio::test]
async fn who_accepted_and_nobody_told_of_it_is_found_by_the_look_of_the_day() {
    let app = TestApp::start(&[ASSISTANT]).await;
    app.expect_unknown();
    let kept = app.onboard(invited(JILL)).await;
    app.drain().await;
    app.world.unsubscribe(ACCOUNT).unwrap();
    app.world.accept_invitation(ACCOUNT, JILL).unwrap();
    app.onboarder().tidy().await.unwrap();
    app.drain().await;
    assert_eq!(app.stands(&kept).await.standing, Standing::Invited, "not before the day is over");
    app.advance(DAY).await;
    app.onboarder().tidy().await.unwrap();
    app.advance(MINUTES).await;
    assert_eq!((app.told(&kept).await.as_str(), app.assistants(JILL)), ("done: created", vec![API_USER.to_owned()]));
}

#[tokio::test]
async fn whose_email_belongs_to_another_account_joins_only_if_the_person_accepts() {
    let app = TestApp::start(&[]).await;
    app.world.add_account(NewAccount::named("other")).unwrap();
    app.world.add_user("other", NewUser::basic(JILL)).unwrap();
    app.expect_unknown();
    let kept = app.onboard(invited(JILL)).await;
    app.drain().await;
    let told = "invited: the email belongs to another Zoom account: joins only if the person accepts";
    assert_eq!(app.told(&kept).await, told);
    app.advance(DAY).await;
    app.onboarder().tidy().await.unwrap();
    app.drain().await;
    assert_eq!((app.told(&kept).await.as_str(), app.creations()), (told, 1));
    app.expect_left(Left { waiting: 1, parked: 0 });
}

#[tokio::test]
async fn after_a_lost_answer_the_user_is_looked_for_before_another_is_made() {
    for (creates, found_by_email) in [(invited(JILL), true), (invited(JILL), false), (at_once(JILL), true)] {
        let app = TestApp::start(&[]).await;
        app.world.set_quirks(ACCOUNT, |quirks| quirks.pending_found_by_email = found_by_email).unwrap();
        app.expect_unknown();
        let target = || Target::api("POST", "/users");
        app.world.fault(Fault { target: target(), times: 1, kind: FaultKind::DropAfter });
        let is_invitation = creates.action.invites();
        let kept = app.onboard(creates).await;
        app.advance(MINUTES).await;
        assert_eq!(app.creations(), 1, "one invitation, found by email: {found_by_email}");
        app.is_created_once(JILL);
        let told = app.told(&kept).await;
        if is_invitation {
            assert_eq!(told, "invited: the person has not accepted the invitation");
            app.expect_left(Left { waiting: 1, parked: 0 });
        } else {
            assert_eq!(told, "done: created");
        }
    }
}

#[tokio::test]
async fn wherever_the_process_ends_the_person_becomes_one_user_with_one_invitation() {
    for calls in 1..=9 {
        let mut app = TestApp::start(&[ASSISTANT]).await;
        app.world.add_group(ACCOUNT, "Staff").unwrap();
        app.world.set_quirks(ACCOUNT, |quirks| quirks.pending_found_by_email = false).unwrap();
        app.expect_unknown();
        let kept = app.onboard(Wanted { groups: vec!["Staff".to_owned()], ..invited(JILL) }).await;
        {
            // Cut off while, or after, so many calls were made, and once more on the way after the acceptance.
            let cut = async {
                while app.calls("/v2/") < calls {
                    tokio::task::yield_now().await;
                }
            };
            tokio::select! {
                () = app.drain() => {}
                () = cut => {}
            }
        }
        app.restart().await;
        app.advance(MINUTES).await;
        let (stands, jobs) = (app.stands(&kept).await, app.jobs().await);
        assert_eq!(stands.standing, Standing::Invited, "cut off at {calls}: {jobs:#?}");
        assert_eq!(app.creations(), 1, "cut off at {calls}");
        app.world.accept_invitation(ACCOUNT, JILL).unwrap();
        app.restart().await;
        // Zoom tells again what nobody took while the process was away.
        app.advance(MINUTES).await;
        app.advance(MINUTES).await;
        let (told, jobs) = (app.told(&kept).await, app.jobs().await);
        assert_eq!(told, "done: created", "cut off at {calls}: {jobs:#?}");
        app.is_created_once(JILL);
        assert_eq!(app.assistants(JILL), [API_USER], "cut off at {calls}");
    }
}

#[tokio::test]
async fn what_was_kept_and_has_no_job_gets_one() {
    let app = TestApp::start(&[]).await;
    app.expect_unknown();
    // As the end of the process leaves it between the two writes.
    let at = app.clock.now();
    let whose = (app.account().app.clone(), account());
    let kept = Onboarding::new(id_of(&account(), "k"), whose, at_once(JILL), None, ("x".to_owned(), at));
    let asking = Beside::Asking { ids: vec![kept.id] }.document(&kept);
    app.write(vec![Write::Put(asking), Write::PutNew(kept.document())]).await;
    assert_eq!(app.told(&kept).await, "asked");
    for _twice in 0..2 {
        app.onboarder().tidy().await.unwrap();
    }
    app.advance(MINUTES).await;
    assert_eq!((app.told(&kept).await.as_str(), app.jobs().await.len()), ("done: created", 1));
}

#[tokio::test]
async fn who_had_a_job_that_is_not_kept_any_more_is_not_asked_for_again() {
    let app = TestApp::start(&[]).await;
    let cancelled = app.onboard(invited(JILL)).await;
    let which = Selector::Job(app.own_job().await.id);
    app.store.move_jobs(which, Move::Cancel, "a person", app.clock.now()).await.unwrap();
    let account = account();
    // As when very many others have ended since.
    let mut gone = cancelled.clone();
    (gone.id, gone.wanted) = (id_of(&account, "gone"), invited("kim@acme.example"));
    let mut done = gone.clone();
    (done.id, done.step) = (id_of(&account, "done"), Step::Rules { at: gone.asked_at });
    app.write(vec![Write::PutNew(gone.document()), Write::PutNew(done.document())]).await;
    app.onboarder().tidy().await.unwrap();
    app.advance(MINUTES).await;
    assert_eq!(app.told(&gone).await, "cancelled: its job has ended, and is not kept any more");
    assert_eq!(app.told(&cancelled).await, "cancelled: by a person");
    assert_eq!((app.told(&done).await.as_str(), app.creations(), app.jobs().await.len()), ("done: done", 0, 1));
}

#[tokio::test]
async fn what_has_an_unfinished_job_is_neither_ended_nor_removed_whatever_is_kept_of_it() {
    let app = TestApp::start(&[]).await;
    app.expect_unknown();
    let kept = app.onboard(invited(JILL)).await;
    app.drain().await;
    let at = app.clock.now();
    let now = app.onboarder().read(kept.id).await.unwrap().unwrap().kept;
    app.write(vec![Write::Put(now.ended(at, None).document())]).await;
    app.advance(DAY * 8).await;
    app.onboarder().tidy().await.unwrap();
    app.drain().await;
    assert_eq!(app.stands(&kept).await.standing, Standing::Invited);
    app.expect_left(Left { waiting: 1, parked: 0 });
}

#[tokio::test]
async fn two_rows_with_one_key_are_one_that_is_taken_and_one_that_is_refused() {
    let app = TestApp::start(&[]).await;
    app.expect_unknown();
    let keyed = |email: &str| Row { key: Some("k".to_owned()), ..row(at_once(email)) };
    let rows = vec![keyed(JILL), keyed("kim@acme.example"), row(at_once("lee@acme.example"))];
    let taken = app.try_onboard(rows).await;
    assert_eq!(taken[1].as_ref().unwrap_err().why, "row 1 has the same key");
    assert!(taken[0].is_ok() && taken[2].is_ok());
    app.advance(MINUTES).await;
    assert_eq!(app.creations(), 2);
}

#[tokio::test]
async fn who_names_a_group_that_is_not_there_is_told_so_before_anybody_is_made() {
    let app = TestApp::start(&[]).await;
    app.expect_unknown();
    let kept = app.onboard(Wanted { groups: vec!["Staf".to_owned()], ..at_once(JILL) }).await;
    app.drain().await;
    assert_eq!(app.told(&kept).await, "parked: the account has no group \"Staf\"");
    assert_eq!(app.creations(), 0);
    app.world.add_group(ACCOUNT, "Staf").unwrap();
    app.advance(DAY).await;
    assert_eq!(app.retry_parked("group-unknown").await, 1);
    app.advance(MINUTES).await;
    assert_eq!(app.told(&kept).await, "done: created");
}

#[tokio::test]
async fn in_a_paused_account_it_waits_and_where_rules_only_observe_it_says_so() {
    let app = TestApp::start(&[ASSISTANT]).await;
    app.expect_unknown();
    let kept = app.onboard(at_once(JILL)).await;
    app.hold(true, false);
    assert_eq!(app.told(&kept).await, "waiting: the account is paused");
    assert!(app.stands(&kept).await.advice.unwrap().contains("accounts resume"));
    app.hold(false, true);
    app.advance(MINUTES).await;
    let stands = app.stands(&kept).await;
    assert_eq!((stands.standing, stands.cause), (Standing::Waiting, Some("needs-api-user")));
    assert!(app.assistants(JILL).is_empty());
    app.hold(false, false);
    assert_eq!(app.told(&kept).await, "done: created");
}

#[tokio::test]
async fn onboardings_are_listed_a_page_at_a_time() {
    let app = TestApp::start(&[]).await;
    app.expect_unknown();
    let mut asked = Vec::new();
    for email in ["a@acme.example", "b@acme.example", "c@acme.example"] {
        asked.push(app.onboard(at_once(email)).await.id);
        app.advance(Duration::from_secs(1)).await;
    }
    let page = async |after, limit| {
        let listed = app.onboarder().list(Some(&account()), None, (after, limit)).await;
        listed.map(|listed| listed.iter().map(|one| one.kept.id).collect::<Vec<_>>())
    };
    assert_eq!(page(None, 2).await.unwrap(), asked[..2]);
    assert_eq!(page(Some(asked[1]), 2).await.unwrap(), asked[2..]);
    assert_eq!(page(Some(asked[2]), 2).await.unwrap(), []);
    assert!(page(Some(id_of(&account(), "none")), 2).await.is_err());
    app.advance(MINUTES).await;
}

#[tokio::test]
async fn beyond_the_invitations_of_the_day_people_wait_for_the_next_before_zoom_refuses() {
    let app = TestApp::start(&[]).await;
    app.set_invites_per_day(2);
    app.expect_unknown();
    let emails = ["a@acme.example", "b@acme.example", "c@acme.example"];
    let mut kept = Vec::new();
    for email in emails {
        kept.push(app.onboard(invited(email)).await);
    }
    let sso = app.onboard(at_once(JILL)).await;
    app.drain().await;
    assert_eq!(app.creations(), 3, "two invitations, and one that is none");
    let put_off = app.told(&kept[2]).await;
    assert!(put_off.starts_with("waiting: invitations: ") && put_off.contains("T00:00:00"), "{put_off}");
    app.advance(DAY).await;
    assert_eq!((app.creations(), app.stands(&kept[2]).await.standing), (4, Standing::Invited));
    assert_eq!(app.told(&sso).await, "done: created");
    app.expect_left(Left { waiting: 3, parked: 0 });
}

#[tokio::test]
async fn that_zoom_calls_the_invitations_used_up_holds_back_the_others_of_the_day() {
    let app = TestApp::start(&[]).await;
    app.expect_unknown();
    let body = r#"{"code":429,"message":"You have exceeded the daily rate limit (50) of user invite requests permitted for this account. You may resume these requests at GMT 00:00:00."}"#;
    let kind = FaultKind::Error { status: 429, body: body.to_owned() };
    app.world.fault(Fault { target: Target::api("POST", "/users"), times: 1, kind });
    app.onboard(invited(JILL)).await;
    app.drain().await;
    app.onboard(invited("kim@acme.example")).await;
    app.drain().await;
    assert_eq!(app.creations(), 1, "the second did not ask");
    app.advance(DAY).await;
    let pending = |user: &User| user.status == UserStatus::Pending;
    assert_eq!(app.world.users(ACCOUNT).iter().filter(|user| pending(user)).count(), 2);
    app.expect_left(Left { waiting: 2, parked: 0 });
}

#[tokio::test]
async fn rows_are_taken_or_refused_one_by_one_and_a_key_is_one_onboarding() {
    let app = TestApp::start(&[]).await;
    app.expect_unknown();
    let keyed = |wanted: Wanted, key: &str| Row { wanted, key: Some(key.to_owned()) };
    let rows = || {
        vec![
            keyed(at_once(JILL), "1"),
            keyed(Wanted { first_name: Some(" ".to_owned()), ..at_once("kim@acme.example") }, "2"),
            keyed(wanted(JILL), "3"),
            keyed(Wanted { notify: Some("nobody".parse().unwrap()), ..at_once("lee@acme.example") }, "4"),
            keyed(at_once("mia@acme.example"), "5"),
        ]
    };
    let codes = |taken: &[Result<WithJobs, RowRefused>]| -> Vec<Option<RefusedFor>> {
        taken.iter().map(|one| one.as_ref().err().map(|refused| refused.code)).collect()
    };
    let expected = [None, Some(RefusedFor::Invalid), Some(RefusedFor::UnderWay), Some(RefusedFor::Invalid), None];
    let first = app.try_onboard(rows()).await;
    assert_eq!(codes(&first), expected);
    let again = app.try_onboard(rows()).await;
    assert_eq!(codes(&again), expected);
    let ids =
        |taken: &[Result<WithJobs, RowRefused>]| -> Vec<_> { taken.iter().flatten().map(|one| one.kept.id).collect() };
    assert_eq!(ids(&first), ids(&again));
    assert_eq!(app.jobs().await.len(), 2, "asked for once");
    let other = app.try_onboard(vec![keyed(wanted("zoe@acme.example"), "1")]).await;
    assert!(other[0].as_ref().unwrap_err().why.contains("the key was used for another request"));
    let busy = app.try_onboard(vec![row(wanted(JILL))]).await;
    assert_eq!(codes(&busy), [Some(RefusedFor::UnderWay)]);
    app.advance(MINUTES).await;
    assert_eq!(codes(&app.try_onboard(rows()).await), expected, "a key holds when it is done, too");
    assert_eq!(app.creations(), 2);
    // And for seven days.
    app.advance(DAY * 8).await;
    app.onboarder().tidy().await.unwrap();
    assert_eq!(app.store.documents(Shelf::Onboarding).await.unwrap(), []);
    let adopted = app.try_onboard(rows()).await;
    assert!(adopted[0].as_ref().unwrap().is_new);
    app.advance(MINUTES).await;
}

#[tokio::test]
async fn a_look_before_says_what_would_become_of_each_and_asks_for_nothing() {
    let app = TestApp::start(&[]).await;
    app.expect_unknown();
    app.world.add_group(ACCOUNT, "Staff").unwrap();
    app.world.add_user(ACCOUNT, NewUser::basic("kim@acme.example")).unwrap();
    app.world.create_user(ACCOUNT, NewUser::basic("lee@acme.example").invited()).unwrap();
    app.deliver().await;
    let staff = |wanted: Wanted| Wanted { groups: vec!["Staff".to_owned()], ..wanted };
    let rows = [
        row(invited(JILL)),
        row(staff(invited("kim@acme.example"))),
        row(wanted("lee@acme.example")),
        row(Wanted { last_name: Some(String::new()), ..wanted("x@acme.example") }),
    ];
    let looked = app.onboarder().look(&account(), rows.to_vec()).await.unwrap();
    let told: Vec<String> = looked.into_iter().map(|one| one.unwrap_or_else(|refused| refused.why)).collect();
    assert_eq!(
        told,
        [
            "create (create, Licensed)",
            "adopt; make Licensed; add to group Staff",
            "adopt; then it waits: the user has not accepted the invitation",
            "last_name is empty: leave it out",
        ]
    );
    assert_eq!(app.creations(), 0);
    app.drain().await;
    assert_eq!(app.jobs().await.len(), 0);
}

#[tokio::test]
async fn a_look_before_refuses_what_a_request_would_and_an_error_of_one_row_is_that_rows() {
    let app = TestApp::start(&[]).await;
    app.expect_unknown();
    app.world.add_account(NewAccount::named("other")).unwrap();
    app.world.add_user("other", NewUser::basic("far@acme.example")).unwrap();
    let keyed = |email: &str, key: &str| Row { key: Some(key.to_owned()), ..row(at_once(email)) };
    let known = app.try_onboard(vec![keyed("known@acme.example", "k-1")]).await.swap_remove(0).unwrap().kept.id;
    app.onboard(at_once("busy@acme.example")).await;
    let kind = FaultKind::Error { status: 400, body: r#"{"code":300,"message":"This one is refused"}"#.to_owned() };
    app.world.fault(Fault { target: Target::api("GET", "/users/odd@acme.example"), times: 1, kind });
    let rows = vec![
        row(at_once(JILL)),
        row(at_once(JILL)),
        keyed("known@acme.example", "k-1"),
        keyed("lee@acme.example", "k-1"),
        row(at_once("busy@acme.example")),
        row(Wanted { notify: Some("nobody".parse().unwrap()), ..at_once("mia@acme.example") }),
        row(Wanted { groups: vec!["Staf".to_owned()], ..at_once("zoe@acme.example") }),
        row(at_once("odd@acme.example")),
        row(at_once("last@acme.example")),
    ];
    let looked = app.onboarder().look(&account(), rows).await.unwrap();
    let told: Vec<String> = looked.into_iter().map(|one| one.unwrap_or_else(|refused| refused.why)).collect();
    let said = [
        "create (ssoCreate, Licensed)".to_owned(),
        format!("row 1 asks for {JILL} as well"),
        format!("nothing: asked for already, {known} (asked)"),
        format!("the key was used for another request, {known}"),
        "busy@acme.example is being onboarded: ".to_owned(),
        "notify names nobody, and there is no such consumer".to_owned(),
        "the account has no group \"Staf\"".to_owned(),
        "what Zoom has for odd@acme.example is not known: ".to_owned(),
        "create (ssoCreate, Licensed)".to_owned(),
    ];
    assert_eq!(told.len(), said.len());
    for (told, said) in told.iter().zip(said) {
        assert!(told.starts_with(&said), "{told}, and not {said}");
    }
    let calls = app.entries("400").await;
    assert_eq!(calls.len(), 1, "what was asked is on record");
    app.advance(MINUTES).await;
}

#[tokio::test]
async fn what_zoom_refuses_for_good_is_set_aside_with_cause_and_advice_and_can_be_retried_or_cancelled() {
    let app = TestApp::start(&[]).await;
    app.expect_unknown();
    app.world.set_seats(ACCOUNT, Some(1)).unwrap();
    app.expect_refusal("POST", "/users", 400);
    let kept = app.onboard(at_once(JILL)).await;
    app.drain().await;
    let parked = app.stands(&kept).await;
    assert_eq!((parked.standing, parked.cause), (Standing::Parked, Some("no-seats")));
    app.world.set_seats(ACCOUNT, None).unwrap();
    assert_eq!(app.retry_parked("no-seats").await, 1);
    app.advance(MINUTES).await;
    assert_eq!(app.told(&kept).await, "done: created");

    let body = r#"{"code":1009,"message":"The user already holds an active account"}"#.to_owned();
    app.world.fault(Fault {
        target: Target::api("POST", "/users"),
        times: 1,
        kind: FaultKind::Error { status: 400, body },
    });
    let kept = app.onboard(invited("kim@acme.example")).await;
    app.drain().await;
    let parked = app.stands(&kept).await;
    assert_eq!((parked.standing, parked.cause), (Standing::Parked, Some("not-creatable")));
    assert!(parked.advice.unwrap().contains("elsewhere"));
    let which = Selector::Job(app.own_job().await.id);
    app.store.move_jobs(which, Move::Cancel, "a person", app.clock.now()).await.unwrap();
    assert_eq!(app.told(&kept).await, "cancelled: by a person");
    app.onboarder().tidy().await.unwrap();
    assert_eq!(app.told(&kept).await, "cancelled: by a person");
}

#[tokio::test]
async fn what_a_rule_waits_for_belongs_to_the_onboarding() {
    let app = TestApp::start(&[ASSISTANT]).await;
    app.expect_unknown();
    let kept = app.onboard(Wanted { licence: Some(Licence::Basic), ..at_once(JILL) }).await;
    app.advance(MINUTES).await;
    let waits = app.stands(&kept).await;
    assert_eq!((waits.standing, waits.cause), (Standing::Waiting, Some("user-unlicensed")));
    assert!(waits.why.unwrap().starts_with("rule assist: "));
    app.world.set_licence(ACCOUNT, JILL, 2).unwrap();
    app.advance(MINUTES).await;
    assert_eq!(app.told(&kept).await, "done: created");
    assert!(app.jobs().await.iter().all(|job| matches!(job.state, JobState::Done { .. })));
}

#[tokio::test]
async fn a_throttled_creation_is_tried_again_and_uses_up_nothing() {
    let app = TestApp::start(&[]).await;
    app.expect_unknown();
    app.set_invites_per_day(1);
    let kind = FaultKind::TooMany(TooMany::PerSecond);
    app.world.fault(Fault { target: Target::api("POST", "/users"), times: 2, kind });
    let kept = app.onboard(invited(JILL)).await;
    app.advance(MINUTES).await;
    assert_eq!(app.stands(&kept).await.standing, Standing::Invited);
    assert_eq!(app.world.user(ACCOUNT, JILL).unwrap().status, UserStatus::Pending);
    app.expect_left(Left { waiting: 1, parked: 0 });
}

#[tokio::test]
async fn an_invitation_that_is_over_parks_and_a_person_who_retries_it_invites_again() {
    let app = TestApp::start(&[]).await;
    app.expect_unknown();
    let kept = app.onboard(invited(JILL)).await;
    app.drain().await;
    assert_eq!(app.stands(&kept).await.standing, Standing::Invited);
    // Nobody tells of it, and the look of the day finds it.
    app.world.unsubscribe(ACCOUNT).unwrap();
    app.world.disassociate(ACCOUNT, JILL).unwrap();
    app.advance(DAY).await;
    app.onboarder().tidy().await.unwrap();
    app.advance(DAY).await;
    let gone = app.stands(&kept).await;
    assert_eq!((gone.standing, gone.cause, app.creations()), (Standing::Parked, Some("not-found"), 1));
    assert_eq!(app.retry_parked("not-found").await, 1);
    app.drain().await;
    assert_eq!((app.stands(&kept).await.standing, app.creations()), (Standing::Invited, 2));
    app.is_created_once(JILL);
    app.expect_left(Left { waiting: 1, parked: 0 });
}

#[tokio::test]
async fn a_consumer_is_told_how_it_ended_and_what_of_it_waits() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("told.jsonl");
    let app = TestApp::start(&[ASSISTANT]).await;
    let consumer = Consumer {
        name: "backend".parse().unwrap(),
        kind: Kind::File { path: path.clone(), rotate: Rotate::default() },
        push: None,
    };
    app.consumers.replace(&[consumer]);
    app.expect_unknown();
    let notify = |wanted: Wanted| Wanted { notify: Some("backend".parse().unwrap()), ..wanted };
    app.onboard(notify(Wanted { label: Some("row 1".to_owned()), ..at_once(JILL) })).await;
    app.advance(MINUTES).await;
    let basic = Wanted { licence: None, ..at_once("kim@acme.example") };
    app.onboard(notify(basic)).await;
    app.advance(MINUTES).await;
    let told = std::fs::read_to_string(&path).unwrap();
    let told: Vec<serde_json::Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let record = |n: usize| &told[n]["data"]["record"];
    assert_eq!((told.len(), &told[0]["type"]), (2, &"adjutant.onboarding".into()), "{told:#?}");
    assert_eq!((&record(0)["state"], &record(0)["label"]), (&"done".into(), &"row 1".into()));
    assert_eq!(record(0)["rules"][0]["rule"], "assist");
    assert_eq!((&record(1)["state"], &record(1)["cause"]), (&"waiting".into(), &"user-unlicensed".into()));
    app.expect_left(Left { waiting: 1, parked: 0 });
}

#[tokio::test]
async fn a_consumer_is_told_once_of_what_is_set_aside_and_of_what_is_cancelled() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("told.jsonl");
    let app = TestApp::start(&[]).await;
    let consumer = Consumer {
        name: "backend".parse().unwrap(),
        kind: Kind::File { path: path.clone(), rotate: Rotate::default() },
        push: None,
    };
    app.consumers.replace(&[consumer]);
    app.expect_unknown();
    app.world.set_seats(ACCOUNT, Some(1)).unwrap();
    app.expect_refusal("POST", "/users", 400);
    let notify = |wanted: Wanted| Wanted { notify: Some("backend".parse().unwrap()), ..wanted };
    app.onboard(notify(at_once(JILL))).await;
    app.drain().await;
    let told = || {
        let told = std::fs::read_to_string(&path).unwrap_or_default();
        let state = |line| {
            let told: serde_json::Value = serde_json::from_str(line).unwrap();
            let record = &told["data"]["record"];
            format!("{} {}", record["state"].as_str().unwrap(), record["cause"].as_str().unwrap_or_default())
        };
        told.lines().map(state).collect::<Vec<_>>()
    };
    let onboarder = app.onboarder();
    for _twice in 0..2 {
        onboarder.tell().await.unwrap();
    }
    assert_eq!(told(), ["parked no-seats"]);
    app.advance(MINUTES).await;
    assert_eq!(app.retry_parked("no-seats").await, 1);
    app.drain().await;
    onboarder.tell().await.unwrap();
    assert_eq!(told(), ["parked no-seats"; 2], "set aside again is news");
    let which = Selector::Job(app.own_job().await.id);
    app.store.move_jobs(which, Move::Cancel, "a person", app.clock.now()).await.unwrap();
    for _twice in 0..2 {
        onboarder.tell().await.unwrap();
    }
    assert_eq!(told(), ["parked no-seats", "parked no-seats", "cancelled "]);
}
