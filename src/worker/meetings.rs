//! Meetings of an account, as a person looks at them and changes them.
//!
//! Guarantees: what is changed was intended on disk before, with who told it, and within the day's budgets that all share; it is
//! claimed only when it was read back.

use std::sync::Arc;

use super::Parts;
use super::onboard::called;
use crate::account::{Account, UserKey};
use crate::audit::{Detail, Kind};
use crate::ids::{AccountId, MeetingId, UserId};
use crate::job::{DayOf, DayUse, Intent, Subject};
use crate::rules::MeetingState;
use crate::store::{Allowance, Note, Spender, StoreError};
use crate::work::{Checked, MoveAsked, Refusal, fullest, look_at_move, with_offers};
use crate::zoom::{Edit, Listed, Meeting, MeetingRow, MeetingStatus, Object, Page, Which, Zoom, ZoomError};

/// Why nothing was changed, or nothing can be said.
#[derive(Debug, thiserror::Error)]
pub enum MeetingsError {
    #[error("no app holds account {0}")]
    NoAccount(AccountId),
    #[error("account {0} has no meeting {1}, or it is over")]
    NoMeeting(AccountId, MeetingId),
    #[error("account {0} has no user {1}")]
    NoUser(AccountId, UserKey),
    #[error("{0}")]
    BudgetUsedUp(String),
    #[error("{0}")]
    Refused(String),
    #[error("Zoom: {0}")]
    Zoom(#[from] ZoomError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Whether a meeting could be moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Movable {
    Yes {
        why: String,
        /// Of those for whom it would count, the one who has the least left.
        left_today: u32,
    },
    No(Refusal),
}

/// What a person asks of a meeting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MeetingChange {
    Update(Object),
    Delete,
    End,
}

/// What of a user's day is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    pub user: UserKey,
    /// Creates and changes of meetings that were counted today.
    pub used: u32,
    pub per_day: u32,
    /// Zoom says that nothing is left.
    pub is_spent: bool,
}

/// Looks at meetings, and changes them.
#[derive(Debug)]
pub struct Meetings {
    parts: Parts,
}

impl Meetings {
    pub const fn new(parts: Parts) -> Self {
        Self { parts }
    }

    /// The meeting as Zoom has it now; none where Zoom does not say.
    pub async fn seen(&self, account: &AccountId, id: MeetingId) -> Result<Option<Object>, StoreError> {
        let Some((account, zoom)) = self.of(account) else { return Ok(None) };
        let read = zoom.meeting(id).await;
        called(&self.parts, &account, zoom.calls()).await?;
        Ok(read.ok().map(|meeting| meeting.whole))
    }

    pub async fn show(&self, account: &AccountId, id: MeetingId) -> Result<Object, MeetingsError> {
        let (account, zoom) = self.held(account)?;
        let read = known(&account, id, zoom.meeting(id).await);
        called(&self.parts, &account, zoom.calls()).await?;
        Ok(read?.whole)
    }

    /// One page of a host's meetings.
    pub async fn list(
        &self,
        account: &AccountId,
        (host, which): (&UserKey, Which),
        page: Page,
    ) -> Result<Listed<MeetingRow>, MeetingsError> {
        let (account, zoom) = self.held(account)?;
        let listed = zoom.meetings(host, which, page).await;
        called(&self.parts, &account, zoom.calls()).await?;
        match listed {
            Err(ZoomError::NotFound(_)) => Err(MeetingsError::NoUser(account.id, host.clone())),
            listed => Ok(listed?),
        }
    }

    /// Whether it could be moved as asked. Changes nothing.
    pub async fn check(&self, account: &AccountId, asked: MoveAsked) -> Result<Movable, MeetingsError> {
        let (account, zoom) = self.held(account)?;
        let looked = look_at_move(&account, &*zoom, &asked, None, &[]).await;
        called(&self.parts, &account, zoom.calls()).await?;
        let looked = looked?;
        let host = looked.meeting.as_ref().and_then(|meeting| meeting.host_id.as_ref());
        if let Checked::No { lacks: Some(by), .. } = &looked.checked
            && asked.lend
            && self.parts.settings.moves.lend
        {
            let left_today = self.left(&account.id, host, Some(&by.id), asked.meeting).await?;
            let why = format!("the privilege to schedule for {} is lent to {}, {}", asked.to, by.name, by.why);
            return Ok(Movable::Yes { why, left_today });
        }
        if let Some(refusal) = with_offers(&looked, &asked, self.parts.settings.moves.lend) {
            return Ok(Movable::No(refusal));
        }
        match &looked.checked {
            Checked::Yes { by } => {
                let left_today = self.left(&account.id, host, Some(&by.id), asked.meeting).await?;
                let why = if looked.to.as_ref().and_then(|to| to.id.as_ref()) == Some(&by.id) {
                    format!("{} scheduled it, and is to host it", asked.to)
                } else {
                    format!("{}, {}, is an assistant of {}", by.name, by.why, asked.to)
                };
                Ok(Movable::Yes { why, left_today })
            }
            Checked::Already | Checked::No { .. } => {
                let left_today = self.left(&account.id, host, None, asked.meeting).await?;
                Ok(Movable::Yes { why: format!("{} hosts it already", asked.to), left_today })
            }
        }
    }

    async fn left(
        &self,
        account: &AccountId,
        host: Option<&UserId>,
        path: Option<&UserId>,
        meeting: MeetingId,
    ) -> Result<u32, StoreError> {
        let (writes, now) = (self.parts.settings.host_writes, self.parts.clock.now());
        let mut left = writes.per_day;
        for DayUse { of, max_per_day, .. } in writes.of_change(host, path, meeting) {
            let used = self.parts.store.day_used(account, &of, now).await?;
            left = left.min(if used.is_spent { 0 } else { max_per_day.saturating_sub(used.used) });
        }
        Ok(left)
    }

    /// What of today is used: by the account's API users, or by the users named.
    pub async fn budgets(&self, account: &AccountId, users: &[UserKey]) -> Result<Vec<Budget>, MeetingsError> {
        let (account, zoom) = self.held(account)?;
        let (mut budgets, per_day) = (Vec::new(), self.parts.settings.host_writes.per_day);
        let users = if users.is_empty() { &account.api_users } else { users };
        for user in users {
            let id = match user {
                UserKey::Id(id) => Some(id.clone()),
                UserKey::Email(_) => match zoom.user(user).await {
                    Ok(read) => read.id,
                    Err(ZoomError::NotFound(_)) => None,
                    Err(error) => return Err(error.into()),
                },
            };
            let Some(id) = id else { return Err(MeetingsError::NoUser(account.id, user.clone())) };
            let used = self.parts.store.day_used(&account.id, &DayOf::Host(id), self.parts.clock.now()).await?;
            budgets.push(Budget { user: user.clone(), used: used.used, per_day, is_spent: used.is_spent });
        }
        called(&self.parts, &account, zoom.calls()).await?;
        Ok(budgets)
    }

    /// Does it, and gives the meeting as it is then: none where it is gone.
    pub async fn change(
        &self,
        account: &AccountId,
        id: MeetingId,
        change: MeetingChange,
        actor: &str,
    ) -> Result<Option<Object>, MeetingsError> {
        let (account, zoom) = self.held(account)?;
        let done = self.changed(&account, &*zoom, (id, change), actor).await;
        called(&self.parts, &account, zoom.calls()).await?;
        done
    }

    async fn changed(
        &self,
        account: &Account,
        zoom: &dyn Zoom,
        (id, change): (MeetingId, MeetingChange),
        actor: &str,
    ) -> Result<Option<Object>, MeetingsError> {
        let before = known(account, id, zoom.meeting(id).await)?;
        let (edit, what, counts) = match &change {
            MeetingChange::Update(fields) if fields.contains_key("schedule_for") => {
                let why = "schedule_for gives it another host: ask for that with `meetings move`";
                return Err(MeetingsError::Refused(why.to_owned()));
            }
            MeetingChange::Update(fields) => {
                let names = fields.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
                (Edit::UpdateMeeting { id, fields: fields.clone() }, format!("set {names} of meeting {id}"), true)
            }
            MeetingChange::Delete => (Edit::DeleteMeeting { id }, format!("delete meeting {id}"), false),
            MeetingChange::End if before.status != MeetingStatus::Started => return Ok(Some(before.whole)),
            MeetingChange::End => {
                (Edit::SetMeetingStatus { id, to: MeetingState::Ended }, format!("end meeting {id}"), false)
            }
        };
        let writes = self.parts.settings.host_writes;
        let of_change = || writes.of_change(before.host_id.as_ref(), before.assistant_id.as_ref(), id);
        let days = if counts { of_change() } else { Vec::new() };
        let intent = self.intend(account, id, format!("{what}, told by {actor}"), days).await?;
        let began = self.parts.clock.now();
        match zoom.change(&intent, edit).await {
            Ok(_) => {}
            Err(ZoomError::HostDay { why, .. }) => {
                self.spent(account, of_change(), began).await?;
                return Err(MeetingsError::BudgetUsedUp(why));
            }
            Err(error) => {
                self.note(account, id, (Kind::Outcome, "parked"), format!("{what}: {error}")).await?;
                return Err(match error {
                    ZoomError::InProgress => {
                        MeetingsError::Refused(format!("meeting {id} is running, and cannot be changed meanwhile"))
                    }
                    error => error.into(),
                });
            }
        }
        let after = match zoom.meeting(id).await {
            Ok(after) => Some(after),
            Err(ZoomError::NotFound(_)) => None,
            Err(error) => return Err(error.into()),
        };
        let is_done = match &change {
            MeetingChange::Delete => after.is_none(),
            MeetingChange::End => after.as_ref().is_none_or(|after| after.status != MeetingStatus::Started),
            // What Zoom leaves as it was shows in the answer.
            MeetingChange::Update(_) => after.is_some(),
        };
        if !is_done {
            let why = format!("Zoom confirmed to {what}, and reading it back does not show it");
            self.note(account, id, (Kind::Outcome, "parked"), why.clone()).await?;
            return Err(MeetingsError::Refused(why));
        }
        self.note(account, id, (Kind::Outcome, "changed"), what).await?;
        Ok(after.map(|after| after.whole))
    }

    async fn intend(
        &self,
        account: &Account,
        id: MeetingId,
        what: String,
        days: Vec<DayUse>,
    ) -> Result<Intent, MeetingsError> {
        let note = note_of(account, id, (Kind::Intent, "granted"), what);
        match self.parts.store.intend_as_told(note, days, self.parts.clock.now()).await? {
            Allowance::NextDay { notice, .. } => Err(MeetingsError::BudgetUsedUp(notice)),
            allowance => Ok(allowance.unlimited()?),
        }
    }

    /// Zoom does not say whose day it is: who has used the most of it.
    async fn spent(&self, account: &Account, days: Vec<DayUse>, at: crate::clock::Timestamp) -> Result<(), StoreError> {
        let who = Spender::Person { app: Some(&account.app), account: &account.id };
        match fullest(&*self.parts.store, &account.id, days, at).await? {
            Some(of) => self.parts.store.day_spent(who, &of, at).await,
            None => Ok(()),
        }
    }

    async fn note(
        &self,
        account: &Account,
        id: MeetingId,
        kind: (Kind, &str),
        words: String,
    ) -> Result<(), StoreError> {
        self.parts.store.note(note_of(account, id, kind, words), self.parts.clock.now()).await
    }

    fn of(&self, account: &AccountId) -> Option<(Account, Arc<dyn Zoom>)> {
        let roster = Arc::clone(&self.parts.roster.borrow());
        let found = roster.accounts().find(|one| one.id == *account).zip(self.parts.zooms.zoom(account));
        found.map(|(one, zoom)| (one.clone(), zoom))
    }

    fn held(&self, account: &AccountId) -> Result<(Account, Arc<dyn Zoom>), MeetingsError> {
        self.of(account).ok_or_else(|| MeetingsError::NoAccount(account.clone()))
    }
}

fn note_of(account: &Account, id: MeetingId, (kind, code): (Kind, &str), words: String) -> Note {
    let subject = Some(Subject::Meeting { id }.to_string());
    Note {
        kind,
        app: Some(account.app.clone()),
        account: Some(account.id.clone()),
        code: code.to_owned(),
        detail: Detail { subject, note: words, ..Detail::default() },
    }
}

fn known(account: &Account, id: MeetingId, read: Result<Meeting, ZoomError>) -> Result<Meeting, MeetingsError> {
    match read {
        Err(ZoomError::NotFound(_)) => Err(MeetingsError::NoMeeting(account.id.clone(), id)),
        read => Ok(read?),
    }
}
