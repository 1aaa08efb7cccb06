//! All grants of one API user are taken back, because a person asked for it.
//!
//! Guarantees: what was asked for stands as a notice, also over a restart, until Zoom lists nobody who granted the API user;
//! each removal is on record before it is made, with who asked, and is read back. Nothing has to be remembered of how far it
//! came: Zoom is asked again who is left.
//!
//! Deliberately does not keep rules from granting again: whoever asks is told which would ([`Grants::rules`]).

use std::collections::HashSet;
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
use crate::rules::{Grantee, Mode, Rule};
use crate::store::{Note, Notice, StoreError, SweepRecord, SweepStep};
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
    /// Users whose grant Zoom refused to take back: they are left for later.
    refused: Mutex<HashSet<String>>,
}

/// How far one step came.
enum Came {
    ToTheEnd,
    Until(Timestamp),
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

    /// Takes back what can be taken back now; when to go on, where something is left.
    pub async fn step(&self, shutdown: &CancellationToken) -> Result<Option<Timestamp>, StoreError> {
        let roster = std::sync::Arc::clone(&self.parts.roster.borrow());
        let mut next: Option<Timestamp> = None;
        for notice in self.parts.store.notices().await?.into_iter().filter(|notice| notice.code == TAKE_BACK) {
            let account = roster.accounts().find(|account| account.id == notice.account);
            let Some(account) = account else { continue };
            let Some(came) = self.all(account, &notice, shutdown).await? else { continue };
            match came {
                Came::ToTheEnd => drop(self.parts.store.mend(&notice, self.parts.clock.now()).await?),
                Came::Until(at) => next = Some(next.map_or(at, |next| next.min(at))),
            }
        }
        Ok(next)
    }

    /// None where nobody can call Zoom for the account.
    async fn all(
        &self,
        account: &Account,
        notice: &Notice,
        shutdown: &CancellationToken,
    ) -> Result<Option<Came>, StoreError> {
        let Some(who) = notice.subject.as_deref().and_then(Subject::read).and_then(|user| user_key(&user)) else {
            return Ok(Some(Came::ToTheEnd));
        };
        let mut done = HashSet::new();
        while !shutdown.is_cancelled() {
            // One for each round: a handle remembers its calls.
            let Some(zoom) = self.zoom(account) else { return Ok(None) };
            let came = self.some(account, notice, &who, &*zoom, &mut done, shutdown).await;
            self.called(account, &*zoom).await?;
            if let Some(came) = came? {
                return Ok(Some(came));
            }
        }
        Ok(Some(Came::Until(self.parts.clock.now())))
    }

    /// A few of those who are left; none where it goes on at once. `done` are those from whom it was taken back.
    async fn some(
        &self,
        account: &Account,
        notice: &Notice,
        who: &UserKey,
        zoom: &dyn Zoom,
        done: &mut HashSet<String>,
        shutdown: &CancellationToken,
    ) -> Result<Option<Came>, StoreError> {
        let listed = match zoom.schedulers(who).await {
            Ok(listed) => listed,
            Err(ZoomError::NotFound(_)) => return Ok(Some(Came::ToTheEnd)),
            Err(error) => return Ok(Some(self.later(&error))),
        };
        if listed.is_empty() {
            return Ok(Some(Came::ToTheEnd));
        }
        let users = listed.into_iter().map(|one| Subject::User { id: one.id, email: one.email });
        let left: Vec<Subject> = users.filter(|user| !lock(&self.refused).contains(&user.key())).collect();
        if left.is_empty() {
            lock(&self.refused).clear();
            return Ok(Some(Came::Until(self.parts.clock.now().plus(LATER))));
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
                Err(error) if stops_all(&error) => return Ok(Some(self.later(&error))),
                Err(error) => self.refuse(account, &user, who, &error).await?,
            }
        }
        Ok(None)
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
        let intent = store.intend_as_told(intended, clock.now()).await?;
        let changed = zoom.change(&intent, Edit::RemoveAssistant { of: of.clone(), who: who.clone() }).await;
        let read = match changed {
            Ok(()) => zoom.assistants(&of).await,
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
        user: &Subject,
        who: &UserKey,
        error: &ZoomError,
    ) -> Result<(), StoreError> {
        tracing::warn!(account = %account.id, error = error.kind(), "a grant could not be taken back; it is tried again in an hour");
        lock(&self.refused).insert(user.key());
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

/// Whether it would be the same for everybody else.
const fn stops_all(error: &ZoomError) -> bool {
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
    let grants = |rule: &&Rule| {
        let would = |grantee: &Grantee| match grantee {
            Grantee::ApiUser => account.api_users.iter().any(|key| key.is(id.as_ref(), email.as_ref())),
            Grantee::Named(named) => email.as_ref() == Some(named),
        };
        rule.mode == Mode::Enforce && rule.ensure.assistants.iter().any(would)
    };
    let rules = rules.iter().filter(grants).map(|rule| rule.name.clone()).collect();
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
