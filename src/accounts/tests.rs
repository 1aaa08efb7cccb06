//! What becomes of accounts, without HTTP and without Zoom, whom nothing here reaches.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use super::install::UnderWay;
use super::*;
use crate::chance::SeededChance;
use crate::clock::ManualClock;
use crate::store::local::{self, MasterKey};
use crate::store::{LocalStore, MemoryStore};
use crate::zoom::{Granted, ZoomClients};

mod coming_back;

const DAY: Duration = Duration::from_secs(86_400);

struct World {
    accounts: Arc<Accounts>,
    clock: Arc<ManualClock>,
}

fn app(name: &str) -> GeneralApp {
    GeneralApp {
        name: named(name),
        credentials: Credentials { client_id: name.to_owned(), client_secret: "hush".to_owned().into() },
        api_user: ApiUserIs::Installer,
        is_invited: false,
        plan: Plan::Business,
    }
}

fn named(app: &str) -> AppName {
    AppName::parse(app).unwrap()
}

fn school() -> AccountId {
    AccountId::parse("school-x").unwrap()
}

async fn world(configured: Option<&str>) -> World {
    world_on(Arc::new(MemoryStore::default()), configured).await
}

const NOW: Timestamp = Timestamp::from_secs(1_795_176_000);

async fn world_on(store: Arc<dyn Store>, configured: Option<&str>) -> World {
    let apps = vec![app("one"), app("two"), GeneralApp { is_invited: true, ..app("invited") }];
    world_of(store, configured, apps).await
}

async fn world_of(store: Arc<dyn Store>, configured: Option<&str>, apps: Vec<GeneralApp>) -> World {
    let clock = Arc::new(ManualClock::at(NOW));
    let chance: Arc<dyn Chance> = Arc::new(SeededChance::new(1));
    // Nobody listens there.
    let nowhere = "http://127.0.0.1:1".to_owned();
    let settings = crate::zoom::Settings { api_url: nowhere.clone(), oauth_url: nowhere, ..Default::default() };
    let clients = ZoomClients::new(settings, clock.clone(), Arc::clone(&chance)).unwrap();
    let parts = Parts {
        store,
        oauth: clients.oauth(),
        clock: clock.clone(),
        chance,
        settings: Settings::default(),
        apps,
        public_url: Some("https://zoom.example.org/behind/a/path".to_owned()),
    };
    let configured = configured.map(|app| Account::new(school(), named(app), Plan::Business));
    World { accounts: Accounts::open(parts, configured.as_slice()).await.unwrap(), clock }
}

fn granted(access: &str, at: Timestamp) -> Granted {
    let granted = serde_json::json!({
        "access": access, "refresh": format!("refresh-{access}"), "fetched_at": at, "life_secs": 3_600, "scopes": [],
    });
    serde_json::from_value(granted).unwrap()
}

impl World {
    fn installation(&self, app: &str, user: &str, access: &str) -> Installation {
        let now = self.clock.now();
        Installation {
            app: named(app),
            account: school(),
            user: UserId::parse(user).unwrap(),
            email: None,
            installed_at: now,
            granted: granted(access, now),
            lost: None,
        }
    }

    /// An admin brings these tokens back from Zoom.
    async fn install(&self, app: &str, user: &str, access: &str) -> Result<(), InstallProblem> {
        let (one, under) = (self.installation(app, user, access), UnderWay::of(named(app), self.clock.now()));
        self.accounts.take(self.accounts.general_app(&named(app)).unwrap(), &under, one).await
    }

    async fn lose(&self, app: &str, is_certain: bool) {
        self.accounts.lose((&named(app), &school()), |_| true, "gone", is_certain).await.unwrap();
    }

    fn account(&self) -> KeptAccount {
        self.accounts.account(&school()).unwrap()
    }

    fn to_do(&self) -> Option<ToDo> {
        self.accounts.to_do(self.clock.now()).pop().map(|(_, to_do)| to_do)
    }

    fn tokens(&self) -> usize {
        self.accounts.installations_of(&school()).len()
    }
}

#[tokio::test]
async fn who_installs_the_app_again_while_the_old_tokens_are_erased_keeps_the_new_ones() {
    let world = world(None).await;
    world.install("one", "admin", "old").await.unwrap();
    world.lose("one", true).await;
    let (seen, to_do) = world.accounts.to_do(world.clock.now()).pop().unwrap();
    assert_eq!(to_do, ToDo::Erase);
    // Between the look and the deed.
    world.install("one", "admin", "new").await.unwrap();
    world.accounts.erase_tokens(&seen, to_do).await.unwrap();
    world.accounts.erase_tokens(&seen, ToDo::Forget).await.unwrap();
    assert_eq!(world.tokens(), 1);
    assert!(world.accounts.forgetting(&seen).await.is_none(), "it is served");
    assert!(world.account().standing.is_served());
}

#[tokio::test]
async fn nobody_installs_an_app_in_an_account_that_is_just_being_forgotten_and_everybody_may_after() {
    let world = world(None).await;
    world.install("one", "admin", "old").await.unwrap();
    world.lose("one", true).await;
    let forgetting = world.accounts.forgetting(&world.account()).await.unwrap();
    let refused = world.install("one", "admin", "new").await;
    assert!(matches!(refused, Err(InstallProblem::Leaving)), "{refused:?}");
    world.accounts.forgotten(&forgetting).await.unwrap();
    drop(forgetting);
    assert_eq!(world.tokens(), 0);
    world.install("one", "admin", "new").await.unwrap();
    assert_eq!(world.tokens(), 1);
}

#[tokio::test]
async fn an_account_that_a_person_removes_is_not_brought_back_by_its_admin() {
    let world = world(None).await;
    world.install("one", "admin", "old").await.unwrap();
    world.accounts.remove(&school(), true, "a test").await.unwrap();
    let refused = world.install("one", "admin", "new").await;
    assert!(matches!(refused, Err(InstallProblem::Leaving)), "{refused:?}");
    assert_eq!(world.to_do(), Some(ToDo::EndLending));
    world.accounts.lending_ended(&school()).await.unwrap();
    assert_eq!(world.to_do(), Some(ToDo::TakeBack));
}

#[tokio::test]
async fn what_is_done_about_an_account_follows_from_how_it_was_lost_and_how_long_ago() {
    let soon = Duration::from_secs(60);
    for (is_certain, first, after) in [(true, ToDo::Erase, DAY * 7), (false, ToDo::Stop, DAY * 30)] {
        let world = world(None).await;
        world.install("one", "admin", "old").await.unwrap();
        assert_eq!(world.to_do(), None);
        world.lose("one", is_certain).await;
        assert_eq!(world.to_do(), Some(first).filter(|_| is_certain), "an admin may be authorising it again");
        assert_eq!(world.accounts.paused(), [school()], "its jobs stand still");
        world.clock.advance(soon);
        assert_eq!(world.to_do(), Some(first));
        world.clock.advance(after.saturating_sub(soon).saturating_sub(Duration::from_millis(1)));
        assert_eq!(world.to_do(), Some(first));
        world.clock.advance(Duration::from_millis(1));
        assert_eq!(world.to_do(), Some(ToDo::Forget), "{is_certain}");
    }
}

#[tokio::test]
async fn what_was_only_inferred_may_become_certain_and_not_the_other_way_round() {
    let world = world(None).await;
    world.install("one", "admin", "old").await.unwrap();
    for (is_certain, expected) in [(false, ToDo::Stop), (true, ToDo::Erase), (false, ToDo::Erase)] {
        world.lose("one", is_certain).await;
        world.clock.advance(Duration::from_secs(60));
        assert_eq!(world.to_do(), Some(expected));
    }
}

#[tokio::test]
async fn an_account_of_the_configuration_goes_on_whatever_becomes_of_what_was_installed_there() {
    for (configured, to_do) in [("other", Some(ToDo::Drop)), ("one", None)] {
        let world = world(Some(configured)).await;
        world.install("one", "admin", "old").await.unwrap();
        world.lose("one", true).await;
        world.clock.advance(DAY * 100);
        assert_eq!(world.accounts.paused(), []);
        assert_eq!(world.to_do(), to_do, "{configured}");
        assert_eq!(world.accounts.to_look_at(), []);
        if let Some(to_do) = to_do {
            let seen = world.account();
            world.accounts.erase_tokens(&seen, to_do).await.unwrap();
            world.accounts.drop_unused(&seen).await.unwrap();
            assert!(world.accounts.account(&school()).is_none());
        }
    }
}

#[tokio::test]
async fn asking_again_to_take_back_first_changes_nothing_and_where_it_cannot_be_done_it_is_said() {
    let world = world(None).await;
    world.install("one", "admin", "old").await.unwrap();
    for _ in 0..2 {
        world.accounts.remove(&school(), true, "a test").await.unwrap();
        world.accounts.lending_ended(&school()).await.unwrap();
        assert_eq!(world.to_do(), Some(ToDo::TakeBack));
    }
    world.accounts.remove(&school(), false, "a test").await.unwrap();
    assert_eq!(world.to_do(), Some(ToDo::Erase));
    let refused = world.accounts.remove(&school(), true, "a test").await.unwrap_err().to_string();
    assert!(refused.contains("cannot be taken back"), "{refused}");
    let world = self::world(None).await;
    world.install("one", "admin", "old").await.unwrap();
    world.lose("one", false).await;
    let refused = world.accounts.remove(&school(), true, "a test").await.unwrap_err().to_string();
    assert!(refused.contains("cannot be taken back: gone"), "{refused}");
}

#[tokio::test]
async fn a_removal_whose_last_authorisation_is_lost_goes_on_without_taking_back() {
    let world = world(None).await;
    world.install("one", "admin", "old").await.unwrap();
    world.accounts.remove(&school(), true, "a test").await.unwrap();
    world.lose("one", false).await;
    assert_eq!(world.to_do(), Some(ToDo::Erase));
}

#[tokio::test]
async fn an_account_whose_app_is_lost_is_kept_while_another_app_could_act_and_served_when_a_person_says_so() {
    let world = world(None).await;
    world.install("one", "admin", "first").await.unwrap();
    world.install("two", "admin", "second").await.unwrap();
    assert_eq!(world.account().rival, Some(named("two")));
    world.lose("one", true).await;
    world.clock.advance(DAY * 100);
    assert_eq!(world.to_do(), Some(ToDo::Erase), "it is not forgotten");
    let (seen, to_do) = (world.account(), ToDo::Erase);
    world.accounts.erase_tokens(&seen, to_do).await.unwrap();
    assert_eq!(world.tokens(), 1, "those of the other app are its own");
    let other = Changed { app: Some(named("two")), ..Changed::default() };
    world.accounts.change(&school(), other, "a test").await.unwrap();
    assert!(world.account().standing.is_served());
    assert_eq!((world.to_do(), world.tokens()), (None, 1));
    world.accounts.erase_tokens(&seen, to_do).await.unwrap();
    assert_eq!(world.tokens(), 1);
}

#[tokio::test]
async fn nobody_is_asked_which_of_two_apps_acts_when_the_one_that_does_not_is_gone() {
    let world = world(None).await;
    world.install("one", "admin", "first").await.unwrap();
    world.install("two", "admin", "second").await.unwrap();
    assert_eq!(world.accounts.alarms().iter().filter(|alarm| alarm.code == "two-apps").count(), 1);
    let reached: Vec<_> = world.accounts.not_acting().into_iter().map(|(account, _)| account.app).collect();
    assert_eq!(reached, [named("two")], "its tokens are looked after as well");
    world.lose("two", true).await;
    assert_eq!(world.account().rival, None);
    assert!(world.accounts.alarms().iter().all(|alarm| alarm.code != "two-apps"));
    assert!(world.accounts.not_acting().is_empty());
}

#[tokio::test]
async fn an_app_that_needs_an_invite_does_not_know_the_accounts_of_another() {
    for configured in [None, Some("one")] {
        let world = world(configured).await;
        world.install("one", "admin", "first").await.unwrap();
        let refused = world.install("invited", "admin", "second").await;
        assert!(matches!(refused, Err(InstallProblem::InviteNeeded)), "{refused:?}");
    }
}

#[tokio::test]
async fn tokens_of_an_authorisation_that_is_gone_are_nobodys() {
    let world = world(None).await;
    world.install("one", "admin", "first").await.unwrap();
    let installations = world.accounts.installations(&named("one"), &school());
    let held = installations.good().pop().unwrap();
    let new = granted("new", world.clock.now());
    world.install("one", "admin", "again").await.unwrap();
    assert_eq!(installations.renewed(&held, &new).await.unwrap(), crate::zoom::Renewed::Unwanted);
    let held = installations.good().pop().unwrap();
    assert!(held.granted.are(&granted("again", world.clock.now())));
    assert_eq!(installations.renewed(&held, &new).await.unwrap(), crate::zoom::Renewed::Kept);
    assert!(installations.good().pop().unwrap().granted.are(&new));
}

#[tokio::test]
async fn api_users_of_before_are_remembered_until_they_are_so_again() {
    let world = world(None).await;
    world.install("one", "admin", "first").await.unwrap();
    let user = |text: &str| UserKey::Email(Email::parse(text).unwrap());
    let (first, second) = (UserKey::Id(UserId::parse("admin").unwrap()), user("second@x.example"));
    for (now, before) in [(&second, vec![first.clone()]), (&first, vec![second.clone()])] {
        let changed = Changed { api_users: Some(vec![now.clone()]), ..Changed::default() };
        world.accounts.change(&school(), changed, "a test").await.unwrap();
        assert_eq!(world.account().former_api_users, before);
    }
}

#[tokio::test]
async fn what_a_person_changes_of_an_account_is_told_field_by_field_and_never_a_secret() {
    let world = world(None).await;
    let new = NewAccount {
        app: named("own"),
        client_id: "client".to_owned(),
        client_secret: "a-secret-of-before".to_owned().into(),
        webhook_secrets: vec!["a-webhook-secret".to_owned().into()],
        id: school(),
        label: Some("School X".to_owned()),
        plan: Plan::Pro,
        api_users: vec!["api@x.example".parse().unwrap()],
        may_grant: Vec::new(),
    };
    world.accounts.add(new, "jill", &[]).await.unwrap();
    let secret = || SecretString::from("a-secret-of-now");
    let nothing = Changed::default;
    for (changed, told) in [
        (nothing(), "by jill: nothing differs from before"),
        (
            Changed { label: Some("School Y".to_owned()), plan: Some(Plan::Business), ..nothing() },
            "by jill: label from School X to School Y; plan from pro to business",
        ),
        (
            Changed {
                api_users: Some(vec!["b@x.example".parse().unwrap()]),
                may_grant: Some(vec![Email::parse("c@x.example").unwrap()]),
                invites_per_day: Some(9),
                ..nothing()
            },
            "by jill: api_users from api@x.example to b@x.example; may_grant from none to c@x.example; \
             invites_per_day from as the plan allows to 9",
        ),
        (
            Changed { client_secret: Some(secret()), webhook_secrets: Some(vec![secret()]), ..nothing() },
            "by jill: client_secret changed; webhook_secrets changed",
        ),
    ] {
        world.accounts.change(&school(), changed, "jill").await.unwrap();
        let last = world.accounts.parts.store.entries(0, 99).await.unwrap().pop().unwrap();
        assert_eq!((last.code.as_str(), last.detail.unwrap().note.as_str()), ("account-changed", told));
    }
}

#[test]
fn the_api_user_of_an_account_is_as_the_app_says() {
    let (installer, email) = (UserKey::Id(UserId::parse("admin").unwrap()), Email::parse("a@school.example").unwrap());
    let told = Email::parse("told@school.example").unwrap();
    let template = |text: &str| ApiUserIs::Template(text.to_owned());
    for (is, email, told, expected) in [
        (ApiUserIs::Installer, Some(&email), None, Some("admin")),
        (template("api@{domain}"), Some(&email), None, Some("api@school.example")),
        (template("api@fixed.example"), None, None, Some("api@fixed.example")),
        (template("api@{domain}"), None, None, None),
        (ApiUserIs::Ask, Some(&email), Some(&told), Some("told@school.example")),
        (ApiUserIs::Ask, Some(&email), None, None),
    ] {
        let app = GeneralApp { api_user: is.clone(), ..app("one") };
        let found = app.api_user(&installer, email, told).map(|user| user.to_string());
        assert_eq!(found.as_deref(), expected, "{is:?}");
    }
}

#[tokio::test]
async fn a_form_can_be_sent_by_the_browser_alone_that_was_shown_it_and_not_for_ever() {
    let world = world(None).await;
    let (one, other) = (world.accounts.form(), world.accounts.form());
    assert!(world.accounts.was_shown(Some(&one.cookie), &one.token));
    for (cookie, token) in [(None, &one.token), (Some(&other.cookie), &one.token), (Some(&one.cookie), &other.token)] {
        assert!(!world.accounts.was_shown(cookie.map(String::as_str), token));
    }
    assert!(!world.accounts.was_shown(Some(&one.token), &one.token));
    world.clock.advance(COOKIE_LIVES);
    assert!(!world.accounts.was_shown(Some(&one.cookie), &one.token));
}

#[tokio::test]
async fn pages_are_where_the_public_address_says_also_below_a_path() {
    let world = world(None).await;
    assert_eq!(world.accounts.install_path(&named("one")), "/behind/a/path/install/one");
}

#[tokio::test]
async fn what_was_asked_is_in_force_though_whoever_asked_hung_up() {
    let folder = tempfile::tempdir().unwrap();
    let (settings, key) = (local::Settings { disk_reserve_bytes: 0, ..Default::default() }, MasterKey::Bytes([7; 32]));
    let (clock, chance) = (Arc::new(ManualClock::at(NOW)), Arc::new(SeededChance::new(1)));
    // One that waits for a disk.
    let (store, _report) = LocalStore::open(folder.path(), settings, key, clock, chance, &mut |_, _, _| {}).unwrap();
    let world = world_on(Arc::new(store), None).await;
    world.install("one", "admin", "first").await.unwrap();
    let turn = world.accounts.turn().await;
    let account = KeptAccount { label: Some("asked".to_owned()), ..world.account() };
    {
        let writes = vec![account.put()];
        let asking = pin!(world.accounts.write(turn, writes, Vec::new(), |kept| kept.account(account)));
        // Begun, and dropped before it is over.
        let mut asking = Some(asking);
        poll_fn(|context| {
            let _pending = asking.as_mut().map(|asking| asking.as_mut().poll(context));
            Poll::Ready(())
        })
        .await;
    }
    // The next turn comes when it is over.
    let _turn = world.accounts.turn().await;
    assert_eq!(world.account().label.as_deref(), Some("asked"));
}
