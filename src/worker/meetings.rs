//! Meetings of an account, as a person looks at them and changes them.
//!
//! Guarantees: what is changed was intended on disk before, with who told it, and within the day's budgets that all share; it is
//! claimed only when it was read back.

use std::sync::Arc;

use super::Parts;
use super::onboard::called;
use crate::account::{Account, UserKey};
use crate::audit::{Detail, Kind};
use crate::clock::Timestamp;
use crate::ids::{AccountId, MeetingId, UserId};
use crate::job::{DayOf, DayUse, Subject};
use crate::rules::MeetingState;
use crate::store::{Allowance, Note, Spender, StoreError};
use crate::work::{
    How, MoveAsked, Refusal, Way, Within, api_assistants, fault_of_start, fullest, look_at_move, named,
    remembered_principal, told_no,
};
use crate::zoom::{Edit, Listed, Meeting, MeetingRow, MeetingStatus, Object, Page, User, Which, Zoom, ZoomError};

/// Why nothing was changed, or nothing can be said.
#[derive(Debug, thiserror::Error)]
pub enum MeetingsError {
    #[error("no app holds account {0}")]
    NoAccount(AccountId),
    #[error("account {0} has no meeting {1}, or it is over")]
    NoMeeting(AccountId, MeetingId),
    #[error("account {0} has no user {1}")]
    NoUser(AccountId, UserKey),
    #[error("{}", .0.why)]
    Refused(Refusal),
    #[error("Zoom: {0}")]
    Zoom(#[from] ZoomError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Whether what is asked of a meeting would be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Movable {
    Yes {
        /// None where there is nothing to do.
        how: Option<How>,
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
    pub(super) parts: Parts,
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
        let kin = self.parts.kin(&account.id);
        let remembered = remembered_principal(&*self.parts.store, asked.meeting).await?;
        let within = Within { account: &account, zoom: &*zoom, kin: &kin };
        let looked = look_at_move(within, &asked, remembered.as_ref(), &[]).await;
        called(&self.parts, &account, zoom.calls()).await?;
        self.parts.called_kin(&kin).await?;
        let looked = looked?;
        let way = Way::of(&looked, &asked, self.parts.settings.moves.lend);
        let host = looked.meeting.as_ref().and_then(|meeting| meeting.host_id.as_ref());
        let to = &asked.to;
        let (path, why) = match &way {
            Way::Refused(refusal) => return Ok(Movable::No(refusal.clone())),
            Way::Already => (None, format!("{to} hosts it already")),
            Way::Direct(by) if looked.to.as_ref().and_then(|to| to.id.as_ref()) == Some(&by.id) => {
                (Some(&by.id), format!("{to} scheduled it, and is to host it"))
            }
            Way::Direct(by) => (Some(&by.id), format!("{}, {}, is an assistant of {to}", by.name, by.why)),
            Way::Lend(by) => {
                (Some(&by.id), format!("the privilege to schedule for {to} is lent to {}, {}", by.name, by.why))
            }
            Way::WhenEnded => (
                None,
                format!("it is running; when it has ended it is looked at again, and given to {to} if Zoom takes that"),
            ),
            Way::Alternative(refusal) => {
                let scheduler = looked.meeting.as_ref().and_then(|meeting| meeting.assistant_id.as_ref());
                (scheduler, format!("{to} would become alternative host, who can start it: {}", refusal.why))
            }
            Way::Recreate(refusal) => {
                let why = format!("it would be made anew with another link, and this one deleted: {}", refusal.why);
                let left_today = self.left_to_create(&account, &*zoom, looked.to.as_ref()).await;
                called(&self.parts, &account, zoom.calls()).await?;
                return Ok(Movable::Yes { how: way.how(), why, left_today: left_today? });
            }
        };
        let left_today = self.left(&account.id, host, path, asked.meeting).await?;
        Ok(Movable::Yes { how: way.how(), why, left_today })
    }

    /// Of whoever has the most left among those in whose path a meeting can be made for that user.
    async fn left_to_create(
        &self,
        account: &Account,
        zoom: &dyn Zoom,
        user: Option<&User>,
    ) -> Result<u32, MeetingsError> {
        let (now, per_day) = (self.parts.clock.now(), self.parts.settings.host_writes.per_day);
        let Some(own) = user.and_then(|user| user.id.clone()) else { return Ok(0) };
        let mut paths = api_assistants(account, zoom, (&self.parts.facts, now), &UserKey::Id(own.clone())).await?;
        if paths.is_empty() {
            paths.push(own);
        }
        let mut most = 0;
        for path in paths {
            let day = self.parts.store.day_used(&account.id, &DayOf::Host(path), now).await?;
            most = most.max(if day.is_spent { 0 } else { per_day.saturating_sub(day.used) });
        }
        Ok(most)
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
        if let MeetingChange::Update(fields) = &change
            && let Some(why) = fault_of_change(fields)
        {
            return Err(refused("invalid", why, None));
        }
        let before = known(account, id, zoom.meeting(id).await)?;
        let (edit, what, counts) = match &change {
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
        let intended = self.intend(account, id, format!("{what}, told by {actor}"), days).await?;
        let intent = match intended {
            Allowance::NextDay { at, notice, .. } => return Err(used_up(&people(zoom, &before).await, at, &notice)),
            allowance => allowance.unlimited()?,
        };
        let began = self.parts.clock.now();
        match zoom.change(&intent, edit).await {
            Ok(_) => {}
            Err(ZoomError::HostDay { why, .. }) => {
                self.spent(account, of_change(), began).await?;
                return Err(used_up(&[], began.next_utc_midnight(), &why));
            }
            Err(error) => {
                self.note(account, id, (Kind::Outcome, "parked"), format!("{what}: {error}")).await?;
                if error == ZoomError::InProgress {
                    let why = format!("meeting {id} is running, and cannot be changed meanwhile");
                    return Err(refused("in-progress", why, Some("ask again when it has ended".to_owned())));
                }
                return Err(told_no(error).map_or_else(MeetingsError::from, MeetingsError::Refused));
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
            return Err(refused("not-effective", why, Some("look at it with `adjutant meetings show`".to_owned())));
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
    ) -> Result<Allowance, StoreError> {
        let note = note_of(account, id, (Kind::Intent, "granted"), what);
        self.parts.store.intend_as_told(note, days, self.parts.clock.now()).await
    }

    /// Zoom does not say whose day it is: who has used the most of it.
    async fn spent(&self, account: &Account, days: Vec<DayUse>, at: Timestamp) -> Result<(), StoreError> {
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

    pub(super) fn held(&self, account: &AccountId) -> Result<(Account, Arc<dyn Zoom>), MeetingsError> {
        self.of(account).ok_or_else(|| MeetingsError::NoAccount(account.clone()))
    }
}

/// What Zoom would take for something else.
fn fault_of_change(fields: &Object) -> Option<String> {
    let moves = "schedule_for gives it another host: ask for that with `meetings move`";
    fields.contains_key("schedule_for").then(|| moves.to_owned()).or_else(|| fault_of_start(fields))
}

fn refused(code: &str, why: String, advice: Option<String>) -> MeetingsError {
    MeetingsError::Refused(Refusal { code: code.to_owned(), why, advice })
}

fn used_up(people: &[(UserId, String)], at: Timestamp, notice: &str) -> MeetingsError {
    let why = named(notice, people.iter().map(|(id, name)| (id, name.clone())));
    refused("budget-used-up", why, Some(format!("ask again after {at}")))
}

/// Those for whom a change counts, as far as their emails are known.
async fn people(zoom: &dyn Zoom, meeting: &Meeting) -> Vec<(UserId, String)> {
    let host = meeting.host_id.clone().zip(meeting.host_email.as_ref().map(ToString::to_string));
    let scheduler = match &meeting.assistant_id {
        // It is only for a sentence.
        Some(id) => zoom.user(&UserKey::Id(id.clone())).await.ok().and_then(|user| user.email),
        None => None,
    };
    let scheduler = meeting.assistant_id.clone().zip(scheduler.map(|email| email.to_string()));
    host.into_iter().chain(scheduler).collect()
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
