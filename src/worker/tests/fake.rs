//! A small Zoom in memory behind the port: users, assistants, meetings, and troubles on demand.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::account::UserKey;
use crate::audit::Call;
use crate::clock::{Timestamp, lock};
use crate::ids::{AccountId, Email, GroupId, MarketplaceId, MeetingId, UserId};
use crate::job::Intent;
use crate::rules::Leaves;
use crate::worker::ZoomFor;
use crate::zoom::{
    Assistant, Edit, FailedDelivery, Group, Listed, Made, Meeting, MeetingRow, MeetingStatus, Member, Object, Page,
    Scheduler, Status, User, UserPage, Which, Zoom, ZoomError,
};

#[derive(Debug, Clone)]
pub(super) enum Trouble {
    Fail(ZoomError),
    /// It is done, and then this is answered.
    ActThenFail(ZoomError),
    /// Success is answered and nothing done.
    Ignore,
    Panic(&'static str),
    /// Waits until [`FakeZoom::open`].
    Gate,
}

#[derive(Debug, Default)]
struct State {
    users: Vec<User>,
    assistants: HashMap<UserId, Vec<Assistant>>,
    meetings: HashMap<MeetingId, Meeting>,
    active_users: u64,
    says_no_total: bool,
    /// A user who is asked for by id is shown without email.
    hides_emails: bool,
    /// Call, how often, what.
    troubles: Vec<(&'static str, u32, Trouble)>,
    /// As in `acme add_assistant u-1 api@example.com`.
    log: Vec<String>,
    running: HashMap<AccountId, usize>,
    peak: HashMap<AccountId, usize>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct FakeZoom {
    state: Arc<Mutex<State>>,
    gate: Arc<Notify>,
}

pub(super) fn uid(id: &str) -> UserId {
    UserId::parse(id).unwrap()
}

pub(super) fn email(text: &str) -> Email {
    Email::parse(text).unwrap()
}

impl FakeZoom {
    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut lock(&self.state))
    }

    pub(super) fn put_user(&self, id: &str, status: Status, kind: i64) {
        let address = email(&format!("{id}@example.com"));
        let Value::Object(whole) = json!({ "id": id, "type": kind }) else { unreachable!() };
        let user = User { id: Some(uid(id)), email: Some(address), kind: Some(kind), status, whole, ..User::default() };
        self.with(|state| {
            state.users.retain(|other| other.id != user.id);
            state.users.push(user);
        });
    }

    pub(super) fn put_assistant(&self, of: &str, assistant: Assistant) {
        self.with(|state| state.assistants.entry(uid(of)).or_default().push(assistant));
    }

    pub(super) fn put_meeting(&self, id: u64, host: &str, status: MeetingStatus, settings: &Value) {
        let id = MeetingId::from_number(id);
        let meeting = Meeting {
            id,
            host_id: Some(uid(host)),
            host_email: None,
            assistant_id: None,
            kind: None,
            status,
            settings: settings.as_object().unwrap().clone(),
            whole: Object::new(),
        };
        self.with(|state| state.meetings.insert(id, meeting));
    }

    pub(super) fn set_active_users(&self, count: u64, says_total: bool) {
        self.with(|state| (state.active_users, state.says_no_total) = (count, !says_total));
    }

    pub(super) fn hide_emails(&self) {
        self.with(|state| state.hides_emails = true);
    }

    pub(super) fn trouble(&self, call: &'static str, times: u32, trouble: Trouble) {
        self.with(|state| state.troubles.push((call, times, trouble)));
    }

    pub(super) fn open(&self) {
        self.gate.notify_waiters();
    }

    pub(super) fn assistants_of(&self, id: &str) -> Vec<String> {
        let name = |one: &Assistant| one.email.as_ref().map(ToString::to_string).unwrap_or_default();
        self.with(|state| state.assistants.get(&uid(id)).map_or(Vec::new(), |all| all.iter().map(name).collect()))
    }

    pub(super) fn settings(&self, id: u64) -> Value {
        self.with(|state| state.meetings[&MeetingId::from_number(id)].settings.clone().into())
    }

    /// Calls whose line contains the text.
    pub(super) fn count(&self, text: &str) -> usize {
        self.log().iter().filter(|line| line.contains(text)).count()
    }

    pub(super) fn log(&self) -> Vec<String> {
        self.with(|state| state.log.clone())
    }

    pub(super) fn changes(&self) -> usize {
        self.count("add_assistant") + self.count("set_meeting")
    }

    /// The most calls that one account had at once.
    pub(super) fn peak(&self, account: &str) -> usize {
        self.with(|state| state.peak.get(&AccountId::parse(account).unwrap()).copied().unwrap_or(0))
    }
}

impl State {
    fn find(&self, key: &UserKey) -> Option<&User> {
        self.users.iter().find(|user| match key {
            UserKey::Id(id) => user.id.as_ref() == Some(id),
            UserKey::Email(email) => user.email.as_ref() == Some(email),
        })
    }

    fn take_trouble(&mut self, call: &str) -> Option<Trouble> {
        let (_, times, trouble) = self.troubles.iter_mut().find(|(on, times, _)| *on == call && *times > 0)?;
        *times -= 1;
        Some(trouble.clone())
    }

    fn id_of(&self, key: &UserKey) -> Result<UserId, ZoomError> {
        let user = self.find(key).ok_or_else(|| ZoomError::NotFound(format!("no user {key}")))?;
        Ok(user.id.clone().unwrap())
    }
}

impl ZoomFor for FakeZoom {
    fn zoom(&self, account: &AccountId) -> Option<Arc<dyn Zoom>> {
        let (zoom, account) = (self.clone(), account.clone());
        Some(Arc::new(Handle { zoom, account, calls: Mutex::default() }))
    }
}

/// One account's view, for one attempt.
#[derive(Debug)]
struct Handle {
    zoom: FakeZoom,
    account: AccountId,
    calls: Mutex<Vec<Call>>,
}

impl Handle {
    async fn call<T>(
        &self,
        name: &'static str,
        about: &str,
        nothing: Option<T>,
        act: impl FnOnce(&mut State) -> Result<T, ZoomError> + Send,
    ) -> Result<T, ZoomError> {
        lock(&self.calls).push(Call {
            method: name.to_owned(),
            path: about.to_owned(),
            category: "light".to_owned(),
            status: Some(200),
            millis: 1,
            intent: None,
        });
        let trouble = self.zoom.with(|state| {
            state.log.push(format!("{} {name} {about}", self.account));
            let running = state.running.entry(self.account.clone()).or_default();
            *running += 1;
            let running = *running;
            let peak = state.peak.entry(self.account.clone()).or_default();
            *peak = running.max(*peak);
            state.take_trouble(name)
        });
        let _running = Leave(self);
        tokio::task::yield_now().await;
        match trouble {
            None => self.zoom.with(act),
            Some(Trouble::Fail(error)) => Err(error),
            Some(Trouble::ActThenFail(error)) => self.zoom.with(act).and(Err(error)),
            Some(Trouble::Ignore) => Ok(nothing.unwrap()),
            Some(Trouble::Panic(message)) => panic!("{message}"),
            Some(Trouble::Gate) => {
                self.zoom.gate.notified().await;
                self.zoom.with(act)
            }
        }
    }
}

/// Counts a call out, however it ends.
struct Leave<'a>(&'a Handle);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.zoom.with(|state| *state.running.get_mut(&self.0.account).unwrap() -= 1);
    }
}

/// What this small Zoom does not have, the simulated one has.
fn elsewhere() -> ZoomError {
    ZoomError::Unreadable("the small Zoom of these tests does not have it".to_owned())
}

impl Handle {
    async fn add(&self, of: &UserKey, who: &UserKey) -> Result<(), ZoomError> {
        let act = |state: &mut State| {
            let id = state.id_of(of)?;
            let api = state.find(who).cloned().ok_or_else(|| ZoomError::NotFound(format!("Can't find user {who}.")))?;
            if !api.is_licensed() || !state.find(of).is_some_and(User::is_licensed) {
                return Err(ZoomError::Unlicensed("The user must either be a Licensed user".to_owned()));
            }
            let there = state.assistants.entry(id).or_default();
            if there.iter().any(|one| one.id == api.id) {
                return Err(ZoomError::AlreadyGranted);
            }
            there.push(Assistant { id: api.id, email: api.email });
            Ok(())
        };
        self.call("add_assistant", &format!("{of} {who}"), Some(()), act).await
    }

    async fn remove(&self, of: &UserKey, who: &UserKey) -> Result<(), ZoomError> {
        let act = |state: &mut State| {
            let (id, who) = (state.id_of(of)?, state.id_of(who)?);
            state.assistants.entry(id).or_default().retain(|one| one.id.as_ref() != Some(&who));
            Ok(())
        };
        self.call("remove_assistant", &format!("{of} {who}"), Some(()), act).await
    }

    async fn set(&self, id: MeetingId, to: Leaves) -> Result<(), ZoomError> {
        let said = to.to_string();
        let act = move |state: &mut State| {
            state.meetings.get_mut(&id).unwrap().settings.extend(to.tree());
            Ok(())
        };
        self.call("set_meeting", &format!("{id} {said}"), Some(()), act).await
    }
}

#[async_trait::async_trait]
impl Zoom for Handle {
    async fn user(&self, user: &UserKey) -> Result<User, ZoomError> {
        let act = |state: &mut State| {
            let found = state.find(user).cloned();
            let found = found.ok_or_else(|| ZoomError::NotFound(format!("User does not exist: {user}.")))?;
            let is_hidden = state.hides_emails && matches!(user, UserKey::Id(_));
            Ok(User { email: found.email.filter(|_| !is_hidden), ..found })
        };
        self.call("user", user.as_str(), None, act).await
    }

    async fn users(&self, _: Status, page: Page) -> Result<UserPage, ZoomError> {
        let act = |state: &mut State| {
            let from: u64 = page.token.as_deref().unwrap_or("0").parse().unwrap();
            let left = state.active_users - from;
            let here = left.min(page.size.into());
            let nobody = User { kind: Some(2), status: Status::Active, ..User::default() };
            Ok(UserPage {
                users: vec![nobody; usize::try_from(here).unwrap()],
                next: (here < left).then(|| (from + here).to_string()),
                total: (!state.says_no_total).then_some(state.active_users),
            })
        };
        self.call("users", "", None, act).await
    }

    async fn assistants(&self, of: &UserKey) -> Result<Vec<Assistant>, ZoomError> {
        let act = |state: &mut State| {
            let id = state.id_of(of)?;
            Ok(state.assistants.get(&id).cloned().unwrap_or_default())
        };
        self.call("assistants", of.as_str(), None, act).await
    }

    async fn schedulers(&self, of: &UserKey) -> Result<Vec<Scheduler>, ZoomError> {
        let act = |state: &mut State| {
            let who = state.id_of(of)?;
            let granted = |one: &&User| {
                let there = one.id.as_ref().and_then(|id| state.assistants.get(id));
                there.is_some_and(|all| all.iter().any(|assistant| assistant.id.as_ref() == Some(&who)))
            };
            let users = state.users.iter().filter(granted);
            Ok(users.map(|user| Scheduler { id: user.id.clone(), email: user.email.clone() }).collect())
        };
        self.call("schedulers", of.as_str(), None, act).await
    }

    async fn meeting(&self, id: MeetingId) -> Result<Meeting, ZoomError> {
        let act = |state: &mut State| {
            state.meetings.get(&id).cloned().ok_or_else(|| ZoomError::NotFound("Meeting does not exist".to_owned()))
        };
        self.call("meeting", &id.to_string(), None, act).await
    }

    async fn user_settings(&self, _: &UserKey) -> Result<Object, ZoomError> {
        Err(elsewhere())
    }

    async fn account_settings(&self) -> Result<Object, ZoomError> {
        Err(elsewhere())
    }

    async fn groups(&self, _: Page) -> Result<Listed<Group>, ZoomError> {
        Err(elsewhere())
    }

    async fn group_members(&self, _: &GroupId, _: Page) -> Result<Listed<Member>, ZoomError> {
        Err(elsewhere())
    }

    async fn meetings(&self, of: &UserKey, _: Which, _: Page) -> Result<Listed<MeetingRow>, ZoomError> {
        let act = |state: &mut State| {
            let id = Some(state.id_of(of)?);
            let row = |id: MeetingId| MeetingRow {
                id,
                host_id: None,
                topic: None,
                created_at: None,
                kind: Some(2),
                start: None,
            };
            let rows: Vec<_> = state.meetings.values().filter(|one| one.host_id == id).map(|one| row(one.id)).collect();
            Ok(Listed { total: u64::try_from(rows.len()).ok(), rows, next: None })
        };
        self.call("meetings", of.as_str(), None, act).await
    }

    async fn failed_deliveries(
        &self,
        _: &MarketplaceId,
        _: (Timestamp, Timestamp),
        _: Page,
    ) -> Result<Listed<FailedDelivery>, ZoomError> {
        Err(elsewhere())
    }

    async fn change(&self, _: &Intent, edit: Edit) -> Result<Made, ZoomError> {
        match edit {
            Edit::AddAssistants { of, who } => {
                self.add(&of, who.first().ok_or_else(elsewhere)?).await.map(|()| Made::default())
            }
            Edit::RemoveAssistant { of, who } => self.remove(&of, &who).await.map(|()| Made::default()),
            Edit::SetMeeting { id, to } => self.set(id, to).await.map(|()| Made::default()),
            _ => Err(elsewhere()),
        }
    }

    fn calls(&self) -> Vec<Call> {
        lock(&self.calls).clone()
    }
}
