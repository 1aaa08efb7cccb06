//! Which of an account's upcoming meetings could be given to another host through its API users, a page at a time: each page
//! takes a bounded number of calls, of the part of the account's rate that sweeps have.
//!
//! Guarantees: whoever goes on at the place that a page names sees every meeting that was there all the while, some maybe twice.

use std::str::FromStr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::hosts::upcoming_rows;
use super::look::Look;
use super::meetings::{Meetings, MeetingsError};
use super::onboard::called;
use crate::account::{Account, UserKey};
use crate::clock::Timestamp;
use crate::ids::{AccountId, MeetingId};
use crate::work::{InPool, Lack, Pool, Refusal, remembered_principal, told_no};
use crate::zoom::{MeetingRow, Page, Status, User, Zoom, ZoomError};

/// Of one page: the first user and meeting are looked at whatever they cost.
const CALLS_MAX: usize = 60;
const USERS_PAGE: u32 = 300;
/// So long a page waits for rate limits, all together; beyond it the page ends, or fails where nothing was looked at.
const LIMITED_MAX: Duration = Duration::from_secs(30);

/// Where a page goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Those who are deactivated come last.
    is_inactive: bool,
    /// Zoom's token of the page of users; it lives 15 minutes.
    token: Option<String>,
    /// The user who is next.
    user: Option<String>,
    /// The last of that user's meetings that was looked at.
    meeting: Option<u64>,
}

/// It is no place in such a list.
#[derive(Debug, thiserror::Error)]
#[error("it is not what a page before named as the next")]
pub struct NoPlace;

impl FromStr for Place {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Self, NoPlace> {
        let json = URL_SAFE_NO_PAD.decode(text).map_err(|_| NoPlace)?;
        serde_json::from_slice(&json).map_err(|_| NoPlace)
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let json = serde_json::to_vec(self).map_err(|_| std::fmt::Error)?;
        f.write_str(&URL_SAFE_NO_PAD.encode(json))
    }
}

/// One meeting, and whether it could be given to another host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InPoolRow {
    pub row: MeetingRow,
    pub host: String,
    pub said: Result<String, Refusal>,
}

/// What was looked at.
#[derive(Debug, Default)]
pub struct InPoolPage {
    pub rows: Vec<InPoolRow>,
    /// Users whose meetings were all looked at with this page.
    pub users: u64,
    /// Of how many, as far as Zoom says: those of the same status, or those named.
    pub users_total: Option<u64>,
    /// Those whose meetings Zoom does not list, and why.
    pub unlisted: Vec<(String, String)>,
    pub next: Option<Place>,
}

impl InPoolPage {
    fn has_looked(&self) -> bool {
        self.users > 0 || !self.rows.is_empty()
    }
}

impl Meetings {
    /// The meetings of these users, or of all, from there on: so many at most.
    pub async fn in_pool(
        &self,
        account: &AccountId,
        users: &[UserKey],
        (from, rows_max): (Place, usize),
    ) -> Result<InPoolPage, MeetingsError> {
        let (account, zoom) = self.held(account)?;
        // Nobody waits for it but a person: events go first.
        let zoom = self.parts.zooms.sweeping(&account.id).unwrap_or(zoom);
        let around = self.parts.facts.around(&account, self.parts.clock.now());
        let pool = Pool::new(around, &*zoom, &self.parts.facts);
        let page = InPoolPage::default();
        let until = self.parts.clock.now().plus(LIMITED_MAX);
        let mut walk = Walk { meetings: self, account: &account, zoom: &*zoom, pool, page, at: from, rows_max, until };
        let walked = walk.go(users).await;
        let (mut page, at) = (walk.page, walk.at);
        called(&self.parts, &account, zoom.calls()).await?;
        match walked {
            Ok(is_over) => page.next = (!is_over).then_some(at),
            // What was looked at by then is told, and the next page goes on.
            Err(MeetingsError::Zoom(_)) if page.has_looked() => page.next = Some(at),
            Err(error) => return Err(error),
        }
        Ok(page)
    }
}

struct Walk<'a> {
    meetings: &'a Meetings,
    account: &'a Account,
    zoom: &'a dyn Zoom,
    pool: Pool<'a>,
    page: InPoolPage,
    at: Place,
    rows_max: usize,
    /// No rate limit is waited for any longer.
    until: Timestamp,
}

/// Somebody who may host.
struct Host {
    key: UserKey,
    user: Option<User>,
}

impl Walk<'_> {
    /// Whether the end was reached.
    async fn go(&mut self, named: &[UserKey]) -> Result<bool, MeetingsError> {
        if !named.is_empty() {
            self.page.users_total = u64::try_from(named.len()).ok();
            return self.hosts(named.iter().map(|key| Host { key: key.clone(), user: None }).collect()).await;
        }
        while !self.is_full() {
            let was_inactive = self.at.is_inactive;
            let status = if was_inactive { Status::Inactive } else { Status::Active };
            let page = Page { size: USERS_PAGE, token: self.at.token.clone() };
            let listed = self.patiently(|| self.zoom.users(status, page.clone())).await?;
            if listed.next.is_some() && listed.next == self.at.token {
                let why = "a list has no end: a page names itself as the next".to_owned();
                return Err(ZoomError::Unreadable(why).into());
            }
            self.page.users_total = listed.total;
            let host = |user: User| {
                let key = UserKey::of(user.id.as_ref(), user.email.as_ref())?;
                Some(Host { key, user: Some(user) })
            };
            if !self.hosts(listed.users.into_iter().filter_map(host).collect()).await? {
                return Ok(false);
            }
            let is_last = listed.next.is_none();
            if is_last && was_inactive {
                return Ok(true);
            }
            self.at = Place { is_inactive: was_inactive || is_last, token: listed.next, user: None, meeting: None };
        }
        Ok(false)
    }

    /// Looks at these, from the one on who is next. Whether all of them were.
    async fn hosts(&mut self, hosts: Vec<Host>) -> Result<bool, MeetingsError> {
        // Who is gone meanwhile is no reason to leave out those who came after.
        let first = hosts.iter().position(|host| Some(host.key.as_str()) == self.at.user.as_deref()).unwrap_or(0);
        for host in hosts.into_iter().skip(first) {
            if self.at.user.as_deref() != Some(host.key.as_str()) {
                self.at.user = Some(host.key.as_str().to_owned());
                self.at.meeting = None;
            }
            if self.is_full() || !self.host(host).await? {
                return Ok(false);
            }
            self.page.users = self.page.users.saturating_add(1);
        }
        Ok(true)
    }

    fn is_full(&self) -> bool {
        self.page.rows.len() >= self.rows_max || (self.page.has_looked() && self.zoom.calls().len() >= CALLS_MAX)
    }

    /// Whether all of the host's meetings were looked at.
    async fn host(&mut self, host: Host) -> Result<bool, MeetingsError> {
        let Host { key, user } = host;
        let (rows, refused) = match self.patiently(|| upcoming_rows(&key, self.zoom)).await {
            Err(MeetingsError::Zoom(error)) if is_of_one(&error) => (Vec::new(), Some(error)),
            listed => listed?,
        };
        if let Some(error) = refused {
            self.page.unlisted.push((key.to_string(), error.to_string()));
        }
        let after = self.at.meeting.map(MeetingId::from_number);
        for row in rows.into_iter().filter(|row| after.is_none_or(|after| row.id > after)) {
            if self.is_full() {
                return Ok(false);
            }
            self.meeting(row, &key, user.as_ref()).await?;
        }
        Ok(true)
    }

    async fn meeting(&mut self, row: MeetingRow, key: &UserKey, host: Option<&User>) -> Result<(), MeetingsError> {
        let remembered = remembered_principal(&*self.meetings.parts.store, row.id).await?;
        if let Some(host) = host {
            self.pool.learn(host);
        }
        let looked = loop {
            match self.pool.look(row.id, remembered.as_ref()).await {
                Err(error @ ZoomError::Limited { .. }) => self.wait(error).await?,
                Err(error) if is_of_one(&error) => break Some(InPool { meeting: None, said: Err(refused(error)) }),
                looked => break looked?,
            }
        };
        self.at.meeting = Some(row.id.number());
        let Some(InPool { meeting, said }) = looked else { return Ok(()) };
        let email = meeting.as_ref().and_then(|meeting| meeting.host_email.as_ref());
        let email = email.or_else(|| host.and_then(|host| host.email.as_ref()));
        let host_name = email.map_or_else(|| key.to_string(), ToString::to_string);
        // It could be moved all the same, and somebody may want to.
        let lack = host.and_then(Lack::of).map(|lack| format!("; its host {host_name} {}", lack.in_words()));
        let said = said.map(|why| format!("{why}{}", lack.unwrap_or_default()));
        self.page.rows.push(InPoolRow { row, host: host_name, said });
        Ok(())
    }

    /// Waits for a rate limit that is over soon.
    async fn patiently<T, F>(&self, ask: impl Fn() -> F) -> Result<T, MeetingsError>
    where
        F: Future<Output = Result<T, ZoomError>>,
    {
        loop {
            match ask().await {
                Err(error @ ZoomError::Limited { .. }) => self.wait(error).await?,
                asked => return Ok(asked?),
            }
        }
    }

    async fn wait(&self, error: ZoomError) -> Result<(), MeetingsError> {
        let parts = &self.meetings.parts;
        match error {
            ZoomError::Limited { until, .. } if until.max(parts.clock.now()) < self.until => {
                Look { parts, account: self.account, zoom: self.zoom }.wait(until).await;
                Ok(())
            }
            error => Err(error.into()),
        }
    }
}

/// Whether Zoom says it of one user or meeting alone, however often it is asked: the others can be looked at.
const fn is_of_one(error: &ZoomError) -> bool {
    !matches!(
        error,
        ZoomError::Limited { .. }
            | ZoomError::Transient(_)
            | ZoomError::Credentials(_)
            | ZoomError::ScopesMissing(_)
            | ZoomError::Unreadable(_)
    )
}

fn refused(error: ZoomError) -> Refusal {
    let refusal = told_no(error).unwrap_or_else(|error| Refusal {
        code: String::new(),
        why: format!("Zoom says: {error}"),
        advice: None,
    });
    Refusal { code: "zoom-refuses".to_owned(), ..refusal }
}
