//! The client against the simulated Zoom, over HTTP: each call, and what it changes there.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;
use crate::ids::{Email, GroupId, MarketplaceId, UserId};
use crate::rules::{Leaves, MeetingState};
use crate::sim::{Crowd, NewAccount, NewUser, Sim, Subscription, World};

const ACCOUNT: &str = "acc";

struct Simulated {
    clock: ManualClock,
    world: World,
    zoom: AccountClient,
    sim: Sim,
}

impl Simulated {
    async fn with(clock: ManualClock, world: World, account: &str) -> Self {
        world.set_quirks(account, |quirks| quirks.limits = false).unwrap();
        let sim = Sim::start(world.clone()).await.unwrap();
        let settings = Settings {
            api_url: sim.api_url(),
            oauth_url: sim.oauth_url(),
            rate_share_percent: 100,
            ..Settings::default()
        };
        let credentials = Credentials {
            client_id: format!("client-{account}"),
            client_secret: format!("client-secret-{account}").into(),
        };
        let id = AccountId::parse(account).unwrap();
        let held = Account::new(id, AppName::parse("main").unwrap(), Plan::Business);
        let zoom = clients(settings, &clock).account(&held, credentials);
        Self { clock, world, zoom, sim }
    }

    /// Licensed users of these names at `x.example`.
    async fn new(names: &[&str]) -> Self {
        let clock = ManualClock::at(NOON);
        let world = World::new(Arc::new(clock.clone()), Arc::new(SeededChance::new(1)));
        world.add_account(NewAccount::named(ACCOUNT)).unwrap();
        for name in names {
            world.add_user(ACCOUNT, NewUser::licensed(&format!("{name}@x.example"))).unwrap();
        }
        Self::with(clock, world, ACCOUNT).await
    }

    async fn change(&self, edit: Edit) -> Result<Made, ZoomError> {
        self.zoom.handle().change(&intent(), edit).await
    }

    fn id(&self, name: &str) -> UserId {
        UserId::parse(&self.world.user(ACCOUNT, &format!("{name}@x.example")).unwrap().id).unwrap()
    }
}

fn key(name: &str) -> UserKey {
    format!("{name}@x.example").parse().unwrap()
}

fn leaves(tree: &Value) -> Leaves {
    Leaves::of(tree.as_object().unwrap())
}

#[tokio::test]
async fn a_licence_is_given_and_refused_where_no_seat_is_left() {
    let bench = Simulated::new(&["dana"]).await;
    bench.world.add_user(ACCOUNT, NewUser::basic("lee@x.example")).unwrap();
    bench.world.set_seats(ACCOUNT, Some(2)).unwrap();
    let licence = |name: &str, kind| Edit::SetUserKind { of: key(name), kind };
    let refused = bench.change(licence("lee", 2)).await.unwrap_err();
    assert!(matches!(refused, ZoomError::NoSeats { code: 3412, .. }), "{refused}");
    bench.change(licence("dana", 1)).await.unwrap();
    bench.change(licence("lee", 2)).await.unwrap();
    assert!(bench.zoom.handle().user(&key("lee")).await.unwrap().is_licensed());
}

#[tokio::test]
async fn a_users_role_groups_and_everything_else_come_with_the_user() {
    let bench = Simulated::new(&["dana"]).await;
    let staff = bench.world.add_group(ACCOUNT, "staff").unwrap();
    bench.world.join_group(ACCOUNT, &staff, "dana@x.example").unwrap();
    bench.world.update_user(ACCOUNT, "dana@x.example", &json!({ "dept": "Music", "role_id": "1" })).unwrap();
    let handle = bench.zoom.handle();
    let listed = handle.users(Status::Active, Page::default()).await.unwrap().users;
    let read = handle.user(&key("dana")).await.unwrap();
    assert_eq!(listed.iter().map(|user| user.role).collect::<Vec<_>>(), [Some(Role::Owner), Some(Role::Admin)]);
    for user in [&listed[1], &read] {
        assert_eq!((&user.whole["dept"], &user.whole["group_ids"]), (&json!("Music"), &json!([staff])));
    }
    assert_eq!(read.role, Some(Role::Admin));
}

#[tokio::test]
async fn members_are_listed_by_the_page_added_and_removed() {
    let names: Vec<String> = (0..31).map(|number| format!("u{number}")).collect();
    let bench = Simulated::new(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let group = GroupId::parse(&bench.world.add_group(ACCOUNT, "staff").unwrap()).unwrap();
    bench.world.create_user(ACCOUNT, NewUser::basic("new@x.example").invited()).unwrap();
    let add = |who: Vec<UserKey>| Edit::AddToGroup { group: group.clone(), who };
    let all: Vec<UserKey> = names.iter().map(|name| key(name)).collect();
    for wrong in [Vec::new(), all.clone()] {
        assert!(
            matches!(bench.change(add(wrong)).await, Err(ZoomError::Refused { status: 0, .. })),
            "30 at once at most"
        );
    }
    bench.change(add(all[..30].to_vec())).await.unwrap();
    bench.change(add(vec![all[29].clone(), all[30].clone()])).await.unwrap();
    bench.change(add(vec![key("new")])).await.unwrap();
    let unknown = bench.change(add(vec![key("nobody")])).await;
    assert!(matches!(unknown, Err(ZoomError::NotFound(_))), "{unknown:?}");

    let handle = bench.zoom.handle();
    let listed = handle.groups(Page::default()).await.unwrap();
    assert_eq!(
        (listed.rows[0].name.as_str(), listed.rows[0].members),
        ("staff", Some(31)),
        "a pending user is not added"
    );
    let first = handle.group_members(&group, Page { size: 30, token: None }).await.unwrap();
    let second = handle.group_members(&group, Page { size: 30, token: first.next.clone() }).await.unwrap();
    assert_eq!((first.rows.len(), second.rows.len(), second.next, second.total), (30, 1, None, Some(31)));

    for _twice in 0..2 {
        bench.change(Edit::RemoveFromGroup { group: group.clone(), who: bench.id("u0") }).await.unwrap();
    }
    assert_eq!(bench.world.members(ACCOUNT, group.as_str()).len(), 30);
    let gone = handle.group_members(&GroupId::parse("gone").unwrap(), Page::default()).await;
    assert!(matches!(gone, Err(ZoomError::NotFound(_))), "{gone:?}");
}

#[tokio::test]
async fn a_change_of_members_or_settings_is_told_by_a_webhook() {
    let bench = Simulated::new(&["dana"]).await;
    // Nobody listens there: what was tried is what counts.
    bench.world.subscribe(ACCOUNT, Subscription::to_all("http://127.0.0.1:9/", "secret")).unwrap();
    let group = GroupId::parse(&bench.world.add_group(ACCOUNT, "staff").unwrap()).unwrap();
    bench.change(Edit::AddToGroup { group: group.clone(), who: vec![key("dana")] }).await.unwrap();
    bench.change(Edit::RemoveFromGroup { group, who: bench.id("dana") }).await.unwrap();
    let to = leaves(&json!({ "in_meeting": { "chat": false, "co_host": true } }));
    bench.change(Edit::SetUserSettings { of: key("dana"), to }).await.unwrap();
    bench.sim.settle().await;

    let now = (NOON.minus(Duration::from_secs(60)), bench.clock.now());
    let app = MarketplaceId::parse("client-acc").unwrap();
    let handle = bench.zoom.handle();
    let failed = handle.failed_deliveries(&app, now, Page { size: 2, token: None }).await.unwrap();
    let rest = handle.failed_deliveries(&app, now, Page { size: 2, token: failed.next }).await.unwrap();
    let rows: Vec<FailedDelivery> = failed.rows.into_iter().chain(rest.rows).collect();
    let events: Vec<&str> = rows.iter().map(|row| row.event.as_deref().unwrap()).collect();
    assert_eq!(events, ["group.member_added", "group.member_deleted", "user.settings_updated"]);
    assert!(rows.iter().all(|row| row.request_id.is_some() && row.retry == Some(0)));
    let told: Value = serde_json::from_str(rows[2].body.as_deref().unwrap()).unwrap();
    assert_eq!(told["payload"]["object"]["settings"], json!({ "in_meeting": { "chat": false } }), "only what changed");

    bench.clock.advance(Duration::from_secs(8 * 86_400));
    let week = (NOON, bench.clock.now());
    let forgotten = handle.failed_deliveries(&app, week, Page::default()).await;
    let left = forgotten.unwrap().rows.iter().filter(|row| row.retry == Some(0)).count();
    assert_eq!(left, 0, "after seven days Zoom has forgotten");
}

#[tokio::test]
async fn settings_are_compared_and_only_what_differs_is_set() {
    let bench = Simulated::new(&["dana"]).await;
    let handle = bench.zoom.handle();
    let wanted = leaves(&json!({
        "in_meeting": { "waiting_room": false, "co_host": true }, "recording": { "auto_recording": "cloud" },
        "feature": { "webinar": true },
    }));
    let before = handle.user_settings(&key("dana")).await.unwrap();
    let to = wanted.differing_from(&before);
    assert_eq!(to.iter().count(), 3, "{to}");
    bench.change(Edit::SetUserSettings { of: key("dana"), to }).await.unwrap();
    let after = handle.user_settings(&key("dana")).await.unwrap();
    assert!(wanted.differing_from(&after).is_empty());
    assert_eq!(after["in_meeting"]["chat"], before["in_meeting"]["chat"], "what was not named is left alone");

    bench.world.create_user(ACCOUNT, NewUser::basic("new@x.example").invited()).unwrap();
    let pending = bench.change(Edit::SetUserSettings { of: key("new"), to: wanted }).await;
    assert!(matches!(pending, Err(ZoomError::Pending(_))), "{pending:?}");
    let nothing = bench.change(Edit::SetUserSettings { of: key("dana"), to: Leaves::default() }).await;
    assert!(matches!(nothing, Err(ZoomError::Refused { status: 0, .. })), "{nothing:?}");

    assert_eq!(handle.account_settings().await.unwrap()["in_meeting"]["co_host"], true);
    bench.world.set_account_settings(ACCOUNT, &json!({ "in_meeting": { "co_host": false } })).unwrap();
    assert_eq!(handle.account_settings().await.unwrap()["in_meeting"]["co_host"], false);
}

#[tokio::test]
async fn an_assistant_is_taken_back_and_the_list_of_schedulers_may_be_cut_short() {
    let bench = Simulated::new(&["api", "dana", "lee", "kim"]).await;
    for name in ["dana", "lee", "kim"] {
        bench.world.grant(ACCOUNT, &format!("{name}@x.example"), "api@x.example").unwrap();
    }
    let handle = bench.zoom.handle();
    for _twice in 0..2 {
        bench.change(Edit::RemoveAssistant { of: key("lee"), who: UserKey::Id(bench.id("api")) }).await.unwrap();
    }
    let ids = |rows: Vec<Scheduler>| rows.into_iter().filter_map(|row| row.id).collect::<BTreeSet<_>>();
    let may = ids(handle.schedulers(&key("api")).await.unwrap());
    assert_eq!(may, BTreeSet::from([bench.id("dana"), bench.id("kim")]));
    bench.world.set_quirks(ACCOUNT, |quirks| quirks.schedulers_max = Some(1)).unwrap();
    assert_eq!(ids(handle.schedulers(&key("api")).await.unwrap()), BTreeSet::from([bench.id("dana")]));
}

#[tokio::test]
async fn upcoming_meetings_are_listed_and_their_settings_held() {
    let bench = Simulated::new(&["dana", "lee"]).await;
    let make = |fields: Value| bench.world.create_meeting(ACCOUNT, "dana@x.example", &fields).unwrap();
    let soon = make(json!({ "type": 2, "start_time": "2026-11-21T08:00:00Z" }));
    let weekly = make(json!({ "type": 3 }));
    make(json!({ "type": 1 }));
    make(json!({ "type": 2, "start_time": "2026-11-01T08:00:00Z" }));
    make(json!({ "type": 2, "start_time": "2027-11-01T08:00:00Z" }));
    let handle = bench.zoom.handle();
    let rows = handle.meetings(&key("dana"), Which::Upcoming, Page::default()).await.unwrap().rows;
    let listed: BTreeSet<MeetingId> = rows.iter().map(|row| row.id).collect();
    assert_eq!(listed, BTreeSet::from([soon, weekly].map(MeetingId::from_number)));

    let id = MeetingId::from_number(soon);
    let wanted =
        leaves(&json!({ "alternative_hosts": "lee@x.example", "auto_recording": "cloud", "waiting_room": false }));
    let to = wanted.differing_from(&handle.meeting(id).await.unwrap().settings);
    assert_eq!(to.iter().count(), 2, "{to}");
    bench.change(Edit::SetMeeting { id, to }).await.unwrap();
    assert!(wanted.differing_from(&handle.meeting(id).await.unwrap().settings).is_empty());
    bench.world.start_meeting(ACCOUNT, soon).unwrap();
    let running = bench.change(Edit::SetMeeting { id, to: wanted }).await;
    assert_eq!(running, Err(ZoomError::InProgress));
}

#[tokio::test]
async fn a_meeting_is_ended_and_recovered_and_what_zoom_refuses_of_it_comes_in_its_words() {
    let bench = Simulated::new(&["dana"]).await;
    let made = bench.world.create_meeting(ACCOUNT, "dana@x.example", &json!({ "type": 3 })).unwrap();
    let id = MeetingId::from_number(made);
    bench.world.start_meeting(ACCOUNT, made).unwrap();
    bench.change(Edit::SetMeetingStatus { id, to: MeetingState::Ended }).await.unwrap();
    assert_eq!(bench.zoom.handle().meeting(id).await.unwrap().status, MeetingStatus::Waiting);
    bench.world.delete_meeting(ACCOUNT, made).unwrap();
    let recover = Edit::SetMeetingStatus { id, to: MeetingState::Recovered };
    bench.change(recover.clone()).await.unwrap();
    assert!(bench.zoom.handle().meeting(id).await.is_ok());
    bench.world.purge_meeting(ACCOUNT, made).unwrap();
    let message = format!("Meeting does not exist: {made}.");
    assert_eq!(bench.change(recover).await, Err(ZoomError::Refused { status: 404, code: 3001, message }));
}

#[tokio::test]
async fn a_call_whose_scope_is_missing_names_it() {
    let bench = Simulated::new(&["dana"]).await;
    bench.world.set_scopes(ACCOUNT, &["user:read:admin"]).unwrap();
    let handle = bench.zoom.handle();
    assert!(handle.user_settings(&key("dana")).await.is_ok(), "the classic scope to read is enough");
    let group = GroupId::parse("g").unwrap();
    let edits = [
        (Edit::SetUserKind { of: key("dana"), kind: 2 }, "user:update:user"),
        (Edit::RemoveAssistant { of: key("dana"), who: key("api") }, "user:delete:assistant"),
        (Edit::AddToGroup { group: group.clone(), who: vec![key("dana")] }, "group:write:member"),
        (Edit::RemoveFromGroup { group, who: bench.id("dana") }, "group:delete:member"),
        (Edit::SetMeetingStatus { id: MeetingId::from_number(1), to: MeetingState::Ended }, "meeting:update:status"),
    ];
    for (edit, scope) in edits {
        let error = bench.change(edit).await.unwrap_err();
        assert_eq!(error, ZoomError::ScopesMissing(format!("{scope}, {scope}:admin")));
    }
    let error = handle.account_settings().await.unwrap_err();
    assert!(matches!(error, ZoomError::ScopesMissing(_)), "{error}");
}

#[tokio::test]
async fn looking_only_refuses_every_edit_before_any_call() {
    let bench = Simulated::new(&["dana"]).await;
    let zoom = Observed::new(bench.zoom.handle());
    let group = GroupId::parse("g").unwrap();
    for edit in [
        Edit::SetUserKind { of: key("dana"), kind: 1 },
        Edit::RemoveAssistant { of: key("dana"), who: key("api") },
        Edit::AddToGroup { group, who: vec![key("dana")] },
        Edit::SetUserSettings { of: key("dana"), to: leaves(&json!({ "a": 1 })) },
        Edit::SetMeetingStatus { id: MeetingId::from_number(1), to: MeetingState::Recovered },
    ] {
        let error = zoom.change(&intent(), edit).await.unwrap_err();
        assert!(error.is_read_only(), "{error}");
    }
    assert!(zoom.user_settings(&key("dana")).await.is_ok() && zoom.account_settings().await.is_ok());
    assert!(
        zoom.groups(Page::default()).await.is_ok()
            && zoom.meetings(&key("dana"), Which::Upcoming, Page::default()).await.is_ok()
    );
    assert_eq!(zoom.calls().len(), 4);
}

#[tokio::test]
async fn an_account_of_fifty_thousand_is_compared_in_a_bounded_number_of_calls() {
    let crowd = Crowd { users: 50_000, ..Crowd::default() };
    let clock = ManualClock::at(NOON);
    let world = World::random(Arc::new(clock.clone()), 7, &crowd).unwrap();
    let bench = Simulated::with(clock, world, &crowd.account).await;
    let handle = bench.zoom.handle();
    let mut seen = 0;
    for status in [Status::Active, Status::Inactive, Status::Pending] {
        let mut page = Page::default();
        loop {
            // The clock stands still, and the limits are the client's own.
            bench.clock.advance(Duration::from_secs(1));
            let listed = handle.users(status, page).await.unwrap();
            seen += listed.users.len();
            page = Page { size: 0, token: listed.next };
            if page.token.is_none() {
                break;
            }
        }
    }
    assert_eq!(seen, 50_002, "with the owner and the API user");
    let api: UserKey = "api-1@crowd.example".parse().unwrap();
    let assisted = handle.schedulers(&api).await.unwrap().len();
    assert!(assisted > 10_000 && !bench.world.without_assistant("CROWD", "api-1@crowd.example").is_empty());
    let kinds = bench.world.calls_by_kind();
    assert!(kinds["GET /users"] <= 170, "{kinds:?}");
    assert_eq!(kinds["GET /users/{id}/schedulers"], 1);
}

#[test]
fn the_same_seed_makes_the_same_account() {
    let emails = |seed| {
        let world = World::random(Arc::new(ManualClock::at(NOON)), seed, &Crowd::default()).unwrap();
        let groups: Vec<_> = world.groups("CROWD").iter().map(|group| world.members("CROWD", &group.id)).collect();
        (world.without_assistant("CROWD", "api-1@crowd.example"), groups)
    };
    assert_eq!(emails(3), emails(3));
    assert_ne!(emails(3), emails(4));
}

#[tokio::test]
async fn a_user_is_created_deactivated_and_removed_and_a_second_one_of_the_email_is_told_as_such() {
    let bench = Simulated::new(&["dana"]).await;
    bench.world.set_quirks(ACCOUNT, |quirks| quirks.pending_found_by_email = false).unwrap();
    let new = |name: &str, action, kind| {
        Edit::CreateUser(crate::zoom::NewUser {
            action,
            email: Email::parse(&format!("{name}@x.example")).unwrap(),
            first_name: Some("Lee".to_owned()),
            last_name: None,
            display_name: None,
            kind,
        })
    };
    bench.change(new("lee", CreateAction::SsoCreate, 2)).await.unwrap();
    let handle = bench.zoom.handle();
    let lee = handle.user(&key("lee")).await.unwrap();
    assert_eq!((lee.status, lee.kind, lee.whole["first_name"].as_str()), (Status::Active, Some(2), Some("Lee")));
    let again = bench.change(new("lee", CreateAction::Create, 1)).await.unwrap_err();
    assert!(matches!(again, ZoomError::Exists(_)), "{again}");

    bench.change(new("kim", CreateAction::Create, 1)).await.unwrap();
    assert!(
        matches!(handle.user(&key("kim")).await, Err(ZoomError::NotFound(_))),
        "a pending user is not read by email"
    );
    let pending = handle.users(Status::Pending, Page::default()).await.unwrap().users;
    assert_eq!(
        pending.iter().map(|user| (user.id.clone(), user.email.clone())).collect::<Vec<_>>(),
        [(None, Some(Email::parse("kim@x.example").unwrap()))]
    );
    assert_eq!(find_user(&handle, &key("kim")).await.unwrap().status, Status::Pending);
    assert!(matches!(find_user(&handle, &key("nobody")).await, Err(ZoomError::NotFound(_))));

    bench.change(Edit::SetUserActive { of: key("lee"), to: false }).await.unwrap();
    assert_eq!(handle.user(&key("lee")).await.unwrap().status, Status::Inactive);
    bench.change(Edit::SetUserActive { of: key("lee"), to: true }).await.unwrap();
    assert_eq!(handle.user(&key("lee")).await.unwrap().status, Status::Active);
    bench
        .change(Edit::RemoveUser { of: key("lee"), how: Removal { is_for_good: false, transfer_to: None } })
        .await
        .unwrap();
    assert!(matches!(handle.user(&key("lee")).await, Err(ZoomError::NotFound(_))));
}

#[test]
fn a_removal_says_to_whom_what_is_left_goes() {
    let removal = |is_for_good, to: Option<&str>| {
        let how = Removal { is_for_good, transfer_to: to.map(|to| Email::parse(to).unwrap()) };
        Edit::RemoveUser { of: key("lee"), how }.call().unwrap().1
    };
    assert_eq!(removal(false, None), "/users/lee%40x.example?action=disassociate");
    assert_eq!(
        removal(true, Some("d&x@x.example")),
        "/users/lee%40x.example?action=delete&transfer_email=d%26x%40x.example&transfer_meeting=true&transfer_webinar=true&transfer_recording=true"
    );
}
