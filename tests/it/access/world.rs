//! Two schools in one app, with a bit of everything in each, behind the real listener; what of the other school nobody else
//! may see bears names that are found wherever they turn up.

mod assistants;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use adjutant::account::{Account, AppKind, Plan, UserKey};
use adjutant::accounts::{self, Accounts, ApiUserIs, GeneralApp, Invite, KeptAccount, Standing};
use adjutant::alarm::Alarm;
use adjutant::audit::{Detail, Kind};
use adjutant::chance::{Chance, SeededChance};
use adjutant::clock::{ManualClock, Timestamp};
use adjutant::event::signature::Verified;
use adjutant::ids::{
    AccountId, AppName, DeliveryId, Email, ErrandId, JobId, MeetingId, OnboardingId, RuleName, UserId,
};
use adjutant::job::{Outcome, ParkCause, Snooze, Subject, WaitReason};
use adjutant::rules::{Rule, Step};
use adjutant::store::{
    Claimable, Decision, Document, Limits, MemoryStore, NewDelivery, Note, Shelf, Store, StoreError, StoredDelivery,
    Verdict, Write,
};
use adjutant::web::accept::{AcceptSettings, Acceptor};
use adjutant::web::admin::errands::{CheckView, RunsErrands};
use adjutant::web::admin::forgetting::ForgettingView;
use adjutant::web::admin::meetings::{BudgetView, KnowsMeetings, MeetingChangeAsked, MeetingsView};
use adjutant::web::admin::movable::{MovablesAsked, MovablesView};
use adjutant::web::admin::onboarding::Onboards;
use adjutant::web::admin::sweeps::SweepView;
use adjutant::web::admin::take_back::{GrantsView, TakesBack};
use adjutant::web::admin::users::{KnowsUsers, LetGoAsked, LossView, UserStatus, UserView, UsersView};
use adjutant::web::admin::{
    AdminApp, AdminState, ApiProblem, Caller, Counts, DifferenceView, Engine, Hosts, NotifierView, Readers, Reload,
    ReloadView, Role, Stats, Sweeps, TokenHash, Tokens, router,
};
use adjutant::work::{
    AppliedAccount, DecidedNow, Errand, ErrandFilter, ErrandNow, ErrandRefused, Errandry, Held, MoveAsked, Onboarding,
    PlanScope, PlannedAccount, PlannedChange, PlannedRule, Row, RowRefused, SavedPlan, ScheduleAsked, Scheduling,
    Through, Wanted, WithJobs, errand_id, id_of,
};
use adjutant::zoom::{Credentials, OAuth, ZoomClients};
use async_trait::async_trait;
use serde_json::json;
use tower::ServiceExt as _;

use super::{Answer, Asked, Connection, FILE_TOKEN};

pub(crate) const OWN: &str = "own-school-account";
pub(crate) const OTHER: &str = "other-school-account";
pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_760_000_000);

/// What is found in an answer that tells of the other school, beside its account and the ids of its work.
pub(crate) const PLANTED: [&str; 5] = [
    "planted.person@other.example",
    "planted-user-of-the-other",
    "Planted Topic Of The Other",
    "planted-alarm-of-the-other",
    "Planted Label Of The Other",
];
/// To be revoked: nobody used it.
pub(crate) const INVITE: &str = "inv_spare";

/// What one school has.
#[derive(Debug, Clone, Default)]
pub(crate) struct Has {
    pub(crate) delivery: String,
    /// Parked for `assistants-full`.
    pub(crate) parked: String,
    pub(crate) waiting: String,
    pub(crate) due: String,
    /// Parked since its rule is over its share.
    pub(crate) held: String,
    pub(crate) onboarding: String,
    pub(crate) errand: String,
}

impl Has {
    /// All of its ids.
    pub(crate) fn ids(&self) -> [&str; 7] {
        [&self.delivery, &self.parked, &self.waiting, &self.due, &self.held, &self.onboarding, &self.errand]
    }
}

pub(crate) struct World {
    pub(crate) address: SocketAddr,
    pub(crate) store: MemoryStore,
    pub(crate) clock: ManualClock,
    pub(crate) readers: Readers,
    pub(crate) own: Has,
    pub(crate) other: Has,
    tokens: BTreeMap<(Role, bool), String>,
    /// To be revoked.
    pub(crate) spare: String,
    /// How often somebody saw what the rules would change.
    pub(crate) seen: Arc<AtomicUsize>,
    fakes: Fakes,
    oauth: OAuth,
    connection: RefCell<Connection>,
    pub(crate) runtime: tokio::runtime::Runtime,
    _stop: tokio::sync::oneshot::Sender<()>,
}

pub(crate) fn id(text: &str) -> AccountId {
    AccountId::parse(text).unwrap()
}

fn app() -> AppName {
    AppName::parse("main").unwrap()
}

fn rule() -> Rule {
    toml::from_str("name = \"r\"\nfor = \"user\"\nensure = { assistants = [\"api-user\"] }\n").unwrap()
}

/// A person of the account.
pub(crate) fn person(account: &str, n: usize) -> (String, String) {
    if account == OTHER {
        (format!("{}-{n}", PLANTED[1]), PLANTED[0].to_owned())
    } else {
        (format!("own-user-{n}"), format!("own.person{n}@own.example"))
    }
}

/// Counts how often it was asked to change anything.
#[derive(Debug, Clone, Default)]
struct Fakes(Arc<AtomicUsize>);

impl Fakes {
    fn changes(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Stats for Fakes {
    fn counts(&self) -> Counts {
        let alarm = |what: &str| Alarm::new("api-user", what, "mend it", "adjutant doctor");
        let notifier = NotifierView {
            name: format!("mail-to-{}", PLANTED[0]),
            kind: "email".to_owned(),
            only: Vec::new(),
            every_minutes: 60,
            rules: Vec::new(),
            rule_messages_per_hour: 60,
            rule_messages_waiting: 0,
            standing: 0,
            sent_at: None,
            failing_since: None,
            failed_times: 0,
            error: None,
        };
        let alarms = vec![
            alarm(PLANTED[3]).of_account(OTHER),
            alarm(&format!("{} of no account", PLANTED[3])),
            alarm("an alarm of the own account").of_account(OWN),
        ];
        Counts { alarms, notifiers: vec![notifier], ..Counts::default() }
    }
}

#[async_trait]
impl Sweeps for Fakes {
    async fn list(&self) -> Result<Vec<SweepView>, StoreError> {
        Ok(vec![SweepView::new(&id(OTHER)), SweepView::new(&id(OWN))])
    }

    async fn ask(&self, _: &AccountId, _: Option<RuleName>, _: bool) -> Result<bool, StoreError> {
        self.changes();
        Ok(true)
    }

    fn is_not_swept(&self, _: Option<&RuleName>) -> Option<String> {
        None
    }
}

/// What would be planned for the account, or for both.
pub(crate) fn planned(account: Option<&AccountId>) -> SavedPlan {
    let of = |account: &str| {
        let (user, email) = person(account, 9);
        let subject = format!("user:{user} {email}");
        let mut rule = PlannedRule::new(&rule());
        rule.changes.push(PlannedChange { subject, differences: Vec::new(), calls: Vec::new() });
        PlannedAccount { account: account.to_owned(), rules: vec![rule], ..PlannedAccount::default() }
    };
    let accounts = [OWN, OTHER].into_iter().filter(|own| account.is_none_or(|only| only.as_str() == *own));
    SavedPlan::new(BTreeMap::new(), accounts.map(of).collect(), NOW)
}

#[async_trait]
impl Engine for Fakes {
    fn rules(&self) -> Vec<Rule> {
        vec![rule()]
    }

    async fn plan(&self, account: Option<AccountId>, _: PlanScope) -> Result<SavedPlan, String> {
        Ok(planned(account.as_ref()))
    }

    async fn decide(&self, delivery: &StoredDelivery) -> Result<Vec<DecidedNow>, String> {
        let subject = String::from_utf8_lossy(delivery.verified.as_ref().unwrap().body()).into_owned();
        Ok(vec![DecidedNow { rule: None, subject, answer: "as it is".to_owned() }])
    }

    async fn apply(&self, plan: &SavedPlan, _: &str, _: bool) -> Result<Vec<AppliedAccount>, String> {
        self.changes();
        let of = |one: &PlannedAccount| AppliedAccount { account: one.account.clone(), ..AppliedAccount::default() };
        Ok(plan.accounts.iter().map(of).collect())
    }
}

#[async_trait]
impl TakesBack for Fakes {
    async fn look(&self, who: &UserKey, only: Option<&AccountId>) -> Result<Vec<GrantsView>, String> {
        let of = |account: &str| GrantsView {
            account: account.to_owned(),
            api_user: who.as_str().to_owned(),
            users: vec![person(account, 9).1],
            rules: Vec::new(),
            failed: None,
        };
        let accounts = [OWN, OTHER].into_iter().filter(|own| only.is_none_or(|only| only.as_str() == *own));
        Ok(accounts.map(of).collect())
    }

    async fn begin(&self, _: &GrantsView, _: &str) -> Result<(), StoreError> {
        self.changes();
        Ok(())
    }
}

/// One of the account.
pub(crate) fn onboarding(account: &str) -> Onboarding {
    let label = if account == OTHER { PLANTED[4] } else { "Maths" };
    let wanted = Wanted { label: Some(label.to_owned()), ..Wanted::of(Email::parse(&person(account, 6).1).unwrap()) };
    let whose = (app(), id(account));
    Onboarding::new(
        id_of(&id(account), "k"),
        whose,
        wanted,
        Some(format!("batch of {account}")),
        (label.to_owned(), NOW),
    )
}

#[async_trait]
impl Onboards for Fakes {
    async fn ask(
        &self,
        account: &AccountId,
        rows: Vec<Row>,
        batch: Option<&str>,
        by: &str,
    ) -> Result<Vec<Result<WithJobs, RowRefused>>, StoreError> {
        self.0.fetch_add(rows.len(), Ordering::Relaxed);
        let each = rows.into_iter().map(|Row { wanted, .. }| {
            let (id, whose) = (id_of(account, wanted.email.as_str()), (app(), account.clone()));
            let kept = Onboarding::new(id, whose, wanted, batch.map(str::to_owned), (by.to_owned(), NOW));
            Ok(WithJobs { kept, jobs: Vec::new(), is_new: true, held: Held::default() })
        });
        Ok(each.collect())
    }

    async fn look(&self, _: &AccountId, rows: Vec<Row>) -> Result<Vec<Result<String, RowRefused>>, String> {
        Ok(rows.iter().map(|_| Ok("create".to_owned())).collect())
    }

    async fn read(&self, id: OnboardingId) -> Result<Option<WithJobs>, StoreError> {
        Ok(Onboards::list(self, None, None, (None, 9)).await?.into_iter().find(|one| one.kept.id == id))
    }

    async fn list(
        &self,
        account: Option<&AccountId>,
        batch: Option<&str>,
        _: (Option<OnboardingId>, usize),
    ) -> Result<Vec<WithJobs>, StoreError> {
        let kept = [OTHER, OWN].map(onboarding).into_iter();
        let is_meant = |kept: &Onboarding| {
            account.is_none_or(|only| kept.account == *only)
                && batch.is_none_or(|only| kept.batch.as_deref() == Some(only))
        };
        let known = |kept| WithJobs { kept, jobs: Vec::new(), is_new: false, held: Held::default() };
        Ok(kept.filter(is_meant).map(known).collect())
    }
}

fn errand(account: &str) -> ErrandNow {
    let account = AccountId::parse(account).unwrap();
    let host: UserKey = person(account.as_str(), 9).1.parse().unwrap();
    let asked = ScheduleAsked { host, through: Through::Own, fields: adjutant::zoom::Object::new(), no_wait: false };
    let what = Errandry::Schedule(Scheduling::new(asked));
    let id = errand_id(&account, "k");
    let kept = Errand::new(id, (app(), account), what, ("operator".to_owned(), NOW));
    ErrandNow { kept, job: None, is_new: false, is_paused: false }
}

#[async_trait::async_trait]
impl RunsErrands for Fakes {
    async fn ask(
        &self,
        account: &AccountId,
        _: Errandry,
        _: Option<String>,
        _: &str,
    ) -> Result<ErrandNow, ErrandRefused> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(errand(account.as_str()))
    }

    async fn read(&self, id: ErrandId) -> Result<Option<ErrandNow>, StoreError> {
        Ok([OTHER, OWN].map(errand).into_iter().find(|one| one.kept.id == id))
    }

    async fn list(&self, filter: &ErrandFilter, _: (Option<ErrandId>, usize)) -> Result<Vec<ErrandNow>, StoreError> {
        let all = [OTHER, OWN].map(errand).into_iter();
        Ok(all.filter(|one| filter.account.as_ref().is_none_or(|only| one.kept.account == *only)).collect())
    }

    async fn alarms(&self) -> Result<Vec<Alarm>, StoreError> {
        Ok(Vec::new())
    }

    async fn check(&self, _: &AccountId, asked: MoveAsked) -> Result<CheckView, ApiProblem> {
        let (meeting, to, why) = (asked.meeting.number(), asked.to.to_string(), "because".to_owned());
        Ok(CheckView { meeting, to, can_move: true, how: None, why, code: None, advice: None, left_today: Some(9) })
    }

    async fn meeting(&self, _: &AccountId, _: MeetingId) -> Result<Option<adjutant::zoom::Object>, StoreError> {
        Ok(None)
    }
}

#[async_trait::async_trait]
impl KnowsMeetings for Fakes {
    async fn list(
        &self,
        _: &AccountId,
        _: (&UserKey, adjutant::zoom::Which),
        _: (usize, Option<String>),
    ) -> Result<MeetingsView, ApiProblem> {
        Ok(MeetingsView { meetings: Vec::new(), total: None, next: None })
    }

    async fn show(&self, _: &AccountId, _: MeetingId) -> Result<adjutant::zoom::Object, ApiProblem> {
        Ok(adjutant::zoom::Object::new())
    }

    async fn movable(&self, _: &AccountId, _: MovablesAsked) -> Result<MovablesView, ApiProblem> {
        let (meetings, unlisted) = (Vec::new(), Vec::new());
        Ok(MovablesView { meetings, looked_at: 0, users: 0, users_total: None, unlisted, next: None })
    }

    async fn change(
        &self,
        _: &AccountId,
        _: MeetingId,
        _: MeetingChangeAsked,
        _: &str,
    ) -> Result<Option<adjutant::zoom::Object>, ApiProblem> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(None)
    }

    async fn budgets(&self, _: &AccountId, _: &[UserKey]) -> Result<Vec<BudgetView>, ApiProblem> {
        Ok(Vec::new())
    }
}

/// What Zoom says of a person.
fn user_of(account: &str) -> UserView {
    let (id, email) = person(account, 9);
    UserView {
        id: Some(id),
        email: Some(email),
        name: None,
        status: "active".to_owned(),
        licence: Some("licensed".to_owned()),
        role: None,
        groups: Vec::new(),
        is_api_user: false,
    }
}

#[async_trait]
impl KnowsUsers for Fakes {
    async fn list(
        &self,
        account: &AccountId,
        _: UserStatus,
        _: (usize, Option<String>),
    ) -> Result<UsersView, ApiProblem> {
        Ok(UsersView { users: vec![user_of(account.as_str())], total: Some(1), next: None })
    }

    async fn show(&self, account: &AccountId, user: &UserKey) -> Result<UserView, ApiProblem> {
        let found = Some(user_of(account.as_str())).filter(|found| found.id.as_deref() == Some(user.as_str()));
        found.ok_or_else(|| ApiProblem::not_found(format!("user {user}")))
    }

    async fn let_go(
        &self,
        account: &AccountId,
        user: &UserKey,
        _: LetGoAsked,
        _: &Caller,
        is_check: bool,
    ) -> Result<LossView, ApiProblem> {
        let user = KnowsUsers::show(self, account, user).await?;
        if !is_check {
            self.changes();
        }
        Ok(LossView { user, lost: Vec::new(), is_done: !is_check })
    }

    async fn forget(
        &self,
        account: &AccountId,
        user: &UserKey,
        _: Option<UserKey>,
        wait: Option<Duration>,
        _: &str,
    ) -> Result<ForgettingView, ApiProblem> {
        let user = KnowsUsers::show(self, account, user).await?;
        if wait.is_some() {
            self.changes();
        }
        Ok(ForgettingView {
            account: account.to_string(),
            id: user.id,
            email: user.email,
            state: "done".to_owned(),
            is_at_zoom: None,
            jobs: 0,
            onboardings: 0,
            files_done: 1,
            files: 1,
            records: Some(1),
        })
    }
}

/// Counts how often somebody saw what the rules would change.
#[derive(Debug)]
struct Reloads(Arc<AtomicUsize>);

#[async_trait]
impl Reload for Reloads {
    async fn reload(&self) -> Result<ReloadView, String> {
        let changed = vec![format!("account {OTHER}")];
        let none = Vec::new;
        Ok(ReloadView {
            rules: 1,
            enforced: 0,
            observed: 1,
            added: none(),
            changed,
            gone: none(),
            accounts: 2,
            needs_restart: none(),
        })
    }

    async fn difference(&self) -> Result<DifferenceView, String> {
        Ok(DifferenceView { needs_reload: vec![format!("account {OTHER}")], needs_restart: Vec::new() })
    }

    async fn planned(&self, _: &BTreeMap<RuleName, String>) -> Result<(), StoreError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// A delivery about the person and its job, which came to this.
async fn event(store: &MemoryStore, account: &str, n: usize, outcome: Option<Outcome>) -> (DeliveryId, JobId) {
    let (user, email) = person(account, n);
    let topic = if account == OTHER { PLANTED[2] } else { "Maths" };
    let object = json!({ "id": user, "email": email, "topic": topic });
    let body =
        json!({ "event": "user.created", "event_ts": n, "payload": { "account_id": account, "object": object } });
    let verified = Verified::reread(body.to_string().into(), NOW.as_secs(), Some(format!("request-{n}")));
    let receipt = store.deliver(NewDelivery { app: app(), received_at: NOW, verified }).await.unwrap();
    let subject = Subject::User { id: Some(UserId::parse(&user).unwrap()), email: Some(Email::parse(&email).unwrap()) };
    let steps = vec![Step::Ensure { rule: RuleName::parse("r").unwrap(), subject, on: None }];
    let verdict = Verdict::Work { meaning: None, event_at: None, steps };
    let decision = Decision {
        delivery: receipt.delivery(),
        account: Some(id(account)),
        event: "user.created".to_owned(),
        verdict,
    };
    store.record_plan(vec![decision], NOW).await.unwrap();
    let newest = adjutant::store::JobFilter { limit: 1, ..Default::default() };
    let job = store.jobs(newest).await.unwrap().remove(0).id;
    if let Some(outcome) = outcome {
        let wanted = Claimable { jobs_max: 1, per_account_max: 1, lease: Duration::from_secs(60) };
        let mut leased = store.claim(wanted, NOW).await.unwrap().remove(0);
        assert_eq!(leased.job.id, job);
        store.start(&mut leased, NOW).await.unwrap();
        store.settle(leased, outcome, Vec::new(), NOW, 0.5).await.unwrap();
    }
    (receipt.delivery(), job)
}

async fn fill(store: &MemoryStore) -> (Has, Has) {
    let mut has = [Has::default(), Has::default()];
    for (n, outcome) in [
        Some(Outcome::Park(ParkCause::AssistantsFull)),
        Some(Outcome::Snooze(Snooze::ForEvent(WaitReason::UserPending))),
        Some(Outcome::Park(ParkCause::OverShare { rule: "r".to_owned() })),
    ]
    .into_iter()
    .enumerate()
    {
        for (account, has) in [OTHER, OWN].into_iter().zip(&mut has) {
            let (delivery, job) = event(store, account, n, outcome.clone()).await;
            has.delivery = delivery.to_string();
            match n {
                0 => has.parked = job.to_string(),
                1 => has.waiting = job.to_string(),
                _ => has.held = job.to_string(),
            }
        }
    }
    for (account, has) in [OTHER, OWN].into_iter().zip(&mut has) {
        has.due = event(store, account, 3, None).await.1.to_string();
        let what = if account == OTHER { PLANTED[3] } else { "the own API user is gone" };
        let note = Note {
            kind: Kind::Attention,
            app: Some(app()),
            account: Some(id(account)),
            code: "api-user-gone".to_owned(),
            detail: Detail { subject: Some(format!("user:{}", person(account, 7).0)), ..Detail::note(what) },
        };
        store.note(note, NOW).await.unwrap();
    }
    let [mut other, mut own] = has;
    for (account, has) in [(OTHER, &mut other), (OWN, &mut own)] {
        has.onboarding = onboarding(account).id.to_string();
        has.errand = errand(account).kept.id.to_string();
        store.write_documents(installed(account), Vec::new(), NOW).await.unwrap();
    }
    let spare = invite(INVITE, None);
    store.write_documents(vec![spare], Vec::new(), NOW).await.unwrap();
    (own, other)
}

fn put(shelf: Shelf, key: String, account: Option<&str>, value: &serde_json::Value) -> Write {
    Write::Put(Document { shelf, key, account: account.map(id), value: serde_json::to_vec(value).unwrap() })
}

fn invite(key: &str, used_by: Option<&str>) -> Write {
    let label = if used_by == Some(OTHER) { PLANTED[4] } else { "a label" };
    let invite = Invite {
        id: key.to_owned(),
        app: app(),
        label: Some(label.to_owned()),
        hash: format!("hash of {key}"),
        made_at: NOW,
        made_by: "token:x".to_owned(),
        until: NOW.plus(Duration::from_secs(3_600)),
        used: used_by.map(|account| (NOW, id(account))),
        revoked: None,
    };
    put(Shelf::Invite, key.to_owned(), None, &serde_json::to_value(invite).unwrap())
}

/// An account whose admin installed the app with an invite.
fn installed(account: &str) -> Vec<Write> {
    let (admin, email) = person(account, 8);
    let kept = KeptAccount {
        id: id(account),
        app: app(),
        label: Some(if account == OTHER { PLANTED[4] } else { "Own School" }.to_owned()),
        plan: Plan::Business,
        api_users: vec![UserKey::Id(UserId::parse(&admin).unwrap())],
        may_grant: vec![Email::parse(&email).unwrap()],
        acts_as: Vec::new(),
        added_at: NOW,
        added_by: format!("user:{admin}"),
        came_back_at: None,
        standing: Standing::Active,
        invites_per_day: None,
        rival: None,
        former_api_users: Vec::new(),
    };
    let granted = json!({ "access": "access", "refresh": "refresh", "fetched_at": NOW, "life_secs": 3600,
                          "scopes": [], "api_url": null });
    let installation = json!({ "app": app(), "account": account, "user": admin, "email": email, "installed_at": NOW,
                               "granted": granted, "lost": null });
    vec![
        put(Shelf::Account, format!("account/{account}"), Some(account), &json!({ "account": kept })),
        put(Shelf::Installation, format!("{}/{account}/{admin}", app()), Some(account), &installation),
        invite(&format!("inv_of-{account}"), Some(account)),
    ]
}

/// The real ones, on what the store keeps.
async fn accounts(store: &MemoryStore, clock: &ManualClock, oauth: OAuth) -> Arc<Accounts> {
    let credentials = Credentials { client_id: "client".to_owned(), client_secret: "client-secret".into() };
    let general =
        GeneralApp { name: app(), credentials, api_user: ApiUserIs::Installer, is_invited: true, plan: Plan::Business };
    let parts = accounts::Parts {
        store: Arc::new(store.clone()),
        oauth,
        clock: Arc::new(clock.clone()),
        chance: Arc::new(SeededChance::new(9)),
        settings: accounts::Settings::default(),
        apps: vec![general],
        public_url: Some("https://adjutant.example".to_owned()),
    };
    Accounts::open(parts, &[]).await.unwrap()
}

/// What the listener works with.
fn state(
    store: &MemoryStore,
    clock: &ManualClock,
    (address, accounts): (SocketAddr, Arc<Accounts>),
    (seen, fakes): (&Arc<AtomicUsize>, &Fakes),
) -> Arc<AdminState> {
    let served = |account: &str| Account {
        api_users: vec![UserKey::Id(UserId::parse(&person(account, 8).0).unwrap())],
        ..Account::new(id(account), app(), Plan::Pro)
    };
    let apps = vec![AdminApp { name: app(), kind: AppKind::General, accounts: vec![served(OTHER), served(OWN)] }];
    Arc::new(AdminState {
        store: Arc::new(store.clone()),
        local: None,
        clock: Arc::new(clock.clone()),
        tokens: Tokens::new(TokenHash::of(&FILE_TOKEN.into()), Arc::new(SeededChance::new(7))),
        hosts: Hosts::new(address, &[]),
        apps: tokio::sync::watch::Sender::new(apps).subscribe(),
        reload: Some(Arc::new(Reloads(Arc::clone(seen)))),
        stats: Arc::new(fakes.clone()),
        sweeps: Arc::new(fakes.clone()),
        engine: Arc::new(fakes.clone()),
        take_back: Some(Arc::new(fakes.clone())),
        accounts: Some(accounts),
        onboards: Some(Arc::new(fakes.clone())),
        errands: Some(Arc::new(fakes.clone())),
        meetings: Some(Arc::new(fakes.clone())),
        users: Some(Arc::new(fakes.clone())),
        readers: Readers::default(),
        pushers: None,
        started_at: NOW,
    })
}

impl World {
    pub(crate) fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (store, clock) = (MemoryStore::new(Limits::default()), ManualClock::at(NOW));
        let (own, other) = runtime.block_on(fill(&store));
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(AtomicUsize::new(0));
        let chance: Arc<dyn Chance> = Arc::new(SeededChance::new(11));
        let entered = runtime.enter();
        let oauth =
            ZoomClients::new(adjutant::zoom::Settings::default(), Arc::new(clock.clone()), chance).unwrap().oauth();
        drop(entered);
        let fakes = Fakes::default();
        let kept = runtime.block_on(accounts(&store, &clock, oauth.clone()));
        let state = state(&store, &clock, (address, kept), (&seen, &fakes));
        let readers = state.readers.clone();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        runtime.spawn(async move {
            let ended = async {
                let _dropped = stopped.await;
            };
            Acceptor::new(AcceptSettings::default()).serve(listener, router(state), ended, Duration::ZERO).await
        });
        let connection = RefCell::new(Connection::open(address));
        let (tokens, spare) = (BTreeMap::new(), String::new());
        let mut world = Self {
            address,
            store,
            clock,
            readers,
            own,
            other,
            tokens,
            spare,
            seen,
            fakes,
            oauth,
            connection,
            runtime,
            _stop: stop,
        };
        for role in Role::ALL {
            for account in [None, Some(OWN)] {
                let token = world.token(&format!("{role}-{}", account.is_some()), role, account);
                world.tokens.insert((role, account.is_some()), token);
            }
        }
        let spare = json!({ "name": "spare", "role": "scheduler" });
        let made = world.ask(FILE_TOKEN, &Asked::new("POST", "/v1/tokens").with(spare)).json();
        made["about"]["id"].as_str().unwrap().clone_into(&mut world.spare);
        world
    }

    /// Makes a token.
    pub(crate) fn token(&self, name: &str, role: Role, account: Option<&str>) -> String {
        let asked = json!({ "name": name, "role": role, "account": account });
        let made = self.ask(FILE_TOKEN, &Asked::new("POST", "/v1/tokens").with(asked));
        assert_eq!(made.status, 201, "{}", made.body);
        made.json()["token"].as_str().unwrap().to_owned()
    }

    /// One that was made for this role, and for the own account alone or for all.
    pub(crate) fn token_of(&self, role: Role, is_bound: bool) -> &str {
        &self.tokens[&(role, is_bound)]
    }

    pub(crate) fn ask(&self, token: &str, asked: &Asked) -> Answer {
        self.connection.borrow_mut().ask(token, asked)
    }

    pub(crate) fn get(&self, token: &str, path: &str) -> Answer {
        self.ask(token, &Asked::new("GET", path))
    }

    /// What would be otherwise if anything had been changed.
    pub(crate) fn state(&self) -> (u64, [u8; 32], usize, usize) {
        let changes = self.fakes.0.load(Ordering::Relaxed);
        self.runtime.block_on(async {
            let (head, mut documents) = (self.store.tree_head().await.unwrap(), 0);
            for shelf in [Shelf::App, Shelf::Account, Shelf::Installation, Shelf::Invite, Shelf::AccessToken] {
                documents += self.store.documents(shelf).await.unwrap().len();
            }
            (head.size, head.root, documents, changes)
        })
    }

    /// Accounts as another start finds them in this store.
    pub(crate) fn accounts_in(&self, store: &MemoryStore) -> Arc<Accounts> {
        self.runtime.block_on(accounts(store, &self.clock, self.oauth.clone()))
    }

    /// The service ends, and another starts on what is stored.
    pub(crate) fn restarted(&self) -> axum::Router {
        let store = self.store.restart().unwrap();
        let kept = self.accounts_in(&store);
        router(state(&store, &self.clock, (self.address, kept), (&self.seen, &self.fakes)))
    }

    /// How such a service answers.
    pub(crate) fn status(&self, of: &axum::Router, token: &str, path: &str) -> u16 {
        let request = http::Request::get(path).header("host", "localhost");
        let request = request.header("authorization", format!("Bearer {token}")).body(axum::body::Body::empty());
        self.runtime.block_on(of.clone().oneshot(request.unwrap())).unwrap().status().as_u16()
    }
}
