//! All grants of one API user are taken back, because a person asked for it.
//!
//! Guarantees: what was asked for stands as a notice, also over a restart, until Zoom lists nobody who granted the API user;
//! each removal is on record before it is made, with who asked, and is read back. Nothing has to be remembered of how far it
//! came: Zoom is asked again who is left.
//!
//! Deliberately does not keep rules from granting again: whoever asks is told which would ([`Grants::rules`]).

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::Parts;
use super::look::user_key;
use crate::account::{Account, UserKey};
use crate::audit::{Detail, Kind};
use crate::clock::{Timestamp, lock};
use crate::ids::{AccountId, Email, RuleName, UserId};
use crate::job::Subject;
use crate::rules::Rule;
use crate::store::{Note, Notice, StoreError, SweepRecord, SweepStep};
use crate::work::grants;
use crate::zoom::{Edit, Zoom, ZoomError};

/// The code of the notice that stands as long as it goes on.
pub const TAKE_BACK: &str = "take-back";
/// Users between two looks at who is left.
const AT_ONCE: usize = 30;
/// After an answer that passes, and after one that does not.
const SOON: Duration = Duration::from_secs(30);
const LATER: Duration = Duration::from_secs(3600);

/// Who granted an API user in one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grants {
    pub account: AccountId,
    /// The API user, as it prints.
    pub api_user: String,
    /// As Zoom lists them now; it may cut a long list short.
    pub users: Vec<String>,
    /// Rules that would grant it again.
    pub rules: Vec<RuleName>,
    /// Why nobody can say who did, where that is so.
    pub failed: Option<String>,
}

#[derive(Debug)]
pub struct TakeBack {
    parts: Parts,
    asked: Notify,
    /// Users whose grant Zoom refused to take back, of each that was asked for: they are left for later.
    refused: Mutex<HashMap<Which, HashSet<String>>>,
}

/// What was asked for: the account, and the API user as the notice names it.
type Which = (AccountId, Option<String>);

/// How far one portion came.
enum Came {
    ToTheEnd,
    Until(Timestamp),
    GoesOn,
}

/// What one step knows of what was asked for.
#[derive(Default)]
struct Known {
    /// From whom it was taken back.
    done: HashSet<String>,
    /// When it goes on, where nothing more can be done now.
    until: Option<Timestamp>,
}

impl TakeBack {
    pub fn new(parts: Parts) -> Self {
        Self { parts, asked: Notify::new(), refused: Mutex::default() }
    }

    /// Who granted this user, in each account or in the one that is named, or why that cannot be said: of one of several
    /// accounts, in its place. Changes nothing.
    pub async fn look(&self, who: &UserKey, only: Option<&AccountId>) -> Result<Vec<Grants>, String> {
        let roster = std::sync::Arc::clone(&self.parts.roster.borrow());
        let mut grants = Vec::new();
        for account in roster.accounts().filter(|account| only.is_none_or(|only| account.id == *only)) {
            let looked = match self.zoom(account) {
                Some(zoom) => {
                    let looked = look(account, roster.rules(), who, &*zoom).await;
                    self.called(account, &*zoom).await.map_err(|error| error.to_string())?;
                    looked.map_err(|error| error.to_string())
                }
                None => Err("there is no client for it".to_owned()),
            };
            match looked {
                Ok(found) => grants.push(found),
                Err(why) if only.is_some() => return Err(format!("account {}: {why}", account.id)),
                Err(why) => {
                    let (account, api_user) = (account.id.clone(), who.to_string());
                    grants.push(Grants { account, api_user, users: Vec::new(), rules: Vec::new(), failed: Some(why) });
                }
            }
        }
        grants.sort_by(|one, other| one.account.cmp(&other.account));
        if grants.is_empty() { Err("no app holds such an account".to_owned()) } else { Ok(grants) }
    }

    /// Begins: on disk when it returns. `actor` is who asked.
    pub async fn begin(&self, grants: &Grants, actor: &str) -> Result<(), StoreError> {
        let roster = std::sync::Arc::clone(&self.parts.roster.borrow());
        let account = roster.accounts().find(|account| account.id == grants.account);
        let account = account.ok_or_else(|| StoreError::NotFound(format!("account {}", grants.account)))?;
        let (who, count) = (&grants.api_user, grants.users.len());
        let asked = format!("{actor} asked to take back all grants of {who}: {count} users were listed");
        let note = note(account, Kind::Attention, TAKE_BACK, who, asked);
        self.parts.store.note(note, self.parts.clock.now()).await?;
        self.asked.notify_one();
        Ok(())
    }

    /// Goes on with what was asked for until `shutdown`. An error means that the store can take nothing more.
    pub async fn run(&self, shutdown: &CancellationToken) -> Result<(), StoreError> {
        while !shutdown.is_cancelled() {
            let now = self.parts.clock.now();
            let next = match self.step(shutdown).await {
                Ok(next) => next.unwrap_or_else(|| now.plus(LATER)),
                Err(StoreError::Full | StoreError::Behind(_) | StoreError::Backlog) => now.plus(SOON),
                Err(error) => return Err(error),
            };
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = self.asked.notified() => {}
                () = self.parts.clock.sleep_until(next) => {}
            }
        }
        Ok(())
    }

    /// Takes back what can be taken back now; when to go on, where something is left. A portion of each that was asked for in
    /// turn: a large account holds up no other.
    pub async fn step(&self, shutdown: &CancellationToken) -> Result<Option<Timestamp>, StoreError> {
        let mut known: HashMap<Which, Known> = HashMap::new();
        let mut goes_on = true;
        while goes_on && !shutdown.is_cancelled() {
            goes_on = false;
            let roster = std::sync::Arc::clone(&self.parts.roster.borrow());
            for notice in self.parts.store.notices().await?.into_iter().filter(|notice| notice.code == TAKE_BACK) {
                let account = roster.by_id(&notice.account);
                let known = known.entry(which(&notice)).or_default();
                let Some(account) = account.filter(|_| known.until.is_none()) else { continue };
                match self.portion(account, &notice, &mut known.done, shutdown).await {
                    Ok(Came::GoesOn) => goes_on = true,
                    Ok(Came::Until(at)) => known.until = Some(at),
                    Ok(Came::ToTheEnd) => {
                        lock(&self.refused).remove(&which(&notice));
                        self.parts.store.mend(&notice, self.parts.clock.now()).await?;
                        *known = Known::default();
                    }
                    // It is being removed for good: then the notice goes as well.
                    Err(StoreError::Conflict(why)) => {
                        tracing::info!(account = %account.id, "what was granted is not taken back now: {why}");
                        known.until = Some(self.parts.clock.now().plus(SOON));
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(known.into_values().filter_map(|known| known.until).min())
    }

    async fn portion(
        &self,
        account: &Account,
        notice: &Notice,
        done: &mut HashSet<String>,
        shutdown: &CancellationToken,
    ) -> Result<Came, StoreError> {
        let Some(who) = notice.subject.as_deref().and_then(Subject::read).and_then(|user| user_key(&user)) else {
            return Ok(Came::ToTheEnd);
        };
        // One for each portion: a handle remembers its calls.
        let Some(zoom) = self.zoom(account) else {
            return Ok(Came::Until(self.parts.clock.now().plus(LATER)));
        };
        let came = self.some(account, notice, &who, &*zoom, done, shutdown).await;
        self.called(account, &*zoom).await?;
        came
    }

    /// A few of those who are left.
    async fn some(
        &self,
        account: &Account,
        notice: &Notice,
        who: &UserKey,
        zoom: &dyn Zoom,
        done: &mut HashSet<String>,
        shutdown: &CancellationToken,
    ) -> Result<Came, StoreError> {
        let listed = match zoom.schedulers(who).await {
            Ok(listed) => listed,
            Err(ZoomError::NotFound(_)) => return Ok(Came::ToTheEnd),
            Err(error) => return Ok(self.later(&error)),
        };
        if listed.is_empty() {
            return Ok(Came::ToTheEnd);
        }
        let refused = lock(&self.refused).get(&which(notice)).cloned().unwrap_or_default();
        let users = listed.into_iter().map(|one| Subject::User { id: one.id, email: one.email });
        let left: Vec<Subject> = users.filter(|user| !refused.contains(&user.key())).collect();
        if left.is_empty() {
            lock(&self.refused).remove(&which(notice));
            return Ok(Came::Until(self.parts.clock.now().plus(LATER)));
        }
        for user in left.into_iter().take(AT_ONCE) {
            if shutdown.is_cancelled() {
                break;
            }
            let taken = if done.insert(user.key()) {
                self.one(account, notice, &user, who, zoom).await?
            } else {
                let why = "Zoom lists it still, after it was taken back".to_owned();
                Err(ZoomError::Refused { status: 0, code: 0, message: why })
            };
            match taken {
                Ok(()) => {}
                Err(error) if stops_all(&error) => return Ok(self.later(&error)),
                Err(error) => self.refuse(account, notice, &user, (who, &error)).await?,
            }
        }
        Ok(Came::GoesOn)
    }

    /// Takes it back from one user, and reads that back.
    async fn one(
        &self,
        account: &Account,
        notice: &Notice,
        user: &Subject,
        who: &UserKey,
        zoom: &dyn Zoom,
    ) -> Result<Result<(), ZoomError>, StoreError> {
        let Some(of) = user_key(user) else { return Ok(Ok(())) };
        let (store, clock, subject) = (&self.parts.store, &self.parts.clock, user.to_string());
        let what = format!("remove assistant {who}; {}", notice.what);
        let intended = note(account, Kind::Intent, "granted", &subject, what);
        let intent = store.intend_as_told(intended, Vec::new(), clock.now()).await?.unlimited()?;
        let changed = zoom.change(&intent, Edit::RemoveAssistant { of: of.clone(), who: who.clone() }).await;
        let read = match changed {
            Ok(_) => zoom.assistants(&of).await,
            // Whoever is gone has granted nothing.
            Err(ZoomError::NotFound(_)) => Ok(Vec::new()),
            Err(error) => Err(error),
        };
        let there = match read {
            Ok(there) => there,
            Err(error) => return Ok(Err(error)),
        };
        if there.iter().any(|one| who.is(one.id.as_ref(), one.email.as_ref())) {
            let why = "Zoom confirmed it, and reading it back does not show it".to_owned();
            return Ok(Err(ZoomError::Refused { status: 0, code: 0, message: why }));
        }
        let changed = note(account, Kind::Outcome, "changed", &subject, format!("remove assistant {who}"));
        store.note(changed, clock.now()).await.map(Ok)
    }

    async fn refuse(
        &self,
        account: &Account,
        notice: &Notice,
        user: &Subject,
        (who, error): (&UserKey, &ZoomError),
    ) -> Result<(), StoreError> {
        tracing::warn!(account = %account.id, error = error.kind(), "a grant could not be taken back; it is tried again in an hour");
        lock(&self.refused).entry(which(notice)).or_default().insert(user.key());
        let why = format!("{who} is still an assistant, tried again in an hour: {error}");
        let told = note(account, Kind::Outcome, "retries", &user.to_string(), why);
        self.parts.store.note(told, self.parts.clock.now()).await
    }

    fn later(&self, error: &ZoomError) -> Came {
        let now = self.parts.clock.now();
        Came::Until(match error {
            ZoomError::Limited { until, .. } => *until,
            ZoomError::Transient(_) | ZoomError::Unreadable(_) => now.plus(SOON),
            _ => now.plus(LATER),
        })
    }

    fn zoom(&self, account: &Account) -> Option<std::sync::Arc<dyn Zoom>> {
        self.parts.zooms.zoom(&account.id)
    }

    /// The calls go on record.
    async fn called(&self, account: &Account, zoom: &dyn Zoom) -> Result<(), StoreError> {
        let (app, id) = (account.app.clone(), account.id.clone());
        let record = SweepRecord { app, account: id, step: SweepStep::Called, calls: zoom.calls() };
        self.parts.store.record_sweep(record, self.parts.clock.now()).await.map(drop)
    }
}

fn which(notice: &Notice) -> Which {
    (notice.account.clone(), notice.subject.clone())
}

/// Whether it would be the same for everybody else.
pub(super) const fn stops_all(error: &ZoomError) -> bool {
    matches!(
        error,
        ZoomError::Limited { .. }
            | ZoomError::Transient(_)
            | ZoomError::Unreadable(_)
            | ZoomError::ScopesMissing(_)
            | ZoomError::Credentials(_)
    )
}

async fn look(account: &Account, rules: &[Rule], who: &UserKey, zoom: &dyn Zoom) -> Result<Grants, ZoomError> {
    let (id, email) = match zoom.user(who).await {
        Ok(user) => (user.id, user.email),
        Err(ZoomError::NotFound(_)) => named(who),
        Err(error) => return Err(error),
    };
    let users = match zoom.schedulers(who).await {
        Ok(listed) => {
            listed.into_iter().map(|one| Subject::User { id: one.id, email: one.email }.to_string()).collect()
        }
        Err(ZoomError::NotFound(_)) => Vec::new(),
        Err(error) => return Err(error),
    };
    let named = (id.as_ref(), email.as_ref());
    let rules = rules.iter().filter(|rule| grants(rule, account, named)).map(|rule| rule.name.clone()).collect();
    let api_user = Subject::User { id: id.clone(), email: email.clone() }.to_string();
    Ok(Grants { account: account.id.clone(), api_user, users, rules, failed: None })
}

fn named(who: &UserKey) -> (Option<UserId>, Option<Email>) {
    match who {
        UserKey::Id(id) => (Some(id.clone()), None),
        UserKey::Email(email) => (None, Some(email.clone())),
    }
}

fn note(account: &Account, kind: Kind, code: &str, subject: &str, note: String) -> Note {
    Note {
        kind,
        app: Some(account.app.clone()),
        account: Some(account.id.clone()),
        code: code.to_owned(),
        detail: Detail { subject: Some(subject.to_owned()), note, ..Detail::default() },
    }
}
