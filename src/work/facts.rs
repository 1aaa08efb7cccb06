//! What is worth remembering of an account between jobs: its API users and its size.
//!
//! A cache and no truth: it can be dropped at any time, and what it says is as old as its settings allow.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::account::{Account, UserKey};
use crate::clock::{Timestamp, lock};
use crate::ids::{AccountId, Email, JobId, RuleName, UserId};
use crate::job::{Effect, Job, Outcome, ParkCause, Subject};
use crate::rules::Rule;
use crate::zoom::{Group, Page, Status, User, Zoom, ZoomError};

use super::around::{ApiUser, Around, which};
use super::echo::Wrote;
use super::groups;
use super::user::row_hash;

/// Pages that are read where Zoom does not state a total: 300 users each.
const COUNT_PAGES_MAX: u32 = 400;
const COUNT_PAGE_SIZE: u32 = 300;
/// Beyond so many changes that are remembered, those that are not of the last hour are forgotten.
const CHANGED_MAX: usize = 200_000;
const CHANGED_KEPT_WHEN_MANY: Duration = Duration::from_secs(3600);
/// How long it is taken for known that scopes are missing: as long as a token lasts, since the next may have them.
const SCOPES_TRUSTED: Duration = Duration::from_secs(3600);
/// How long a listing's word about a user is trusted: a write that it misled is refused, and the user read then.
const LISTING_TRUSTED: Duration = Duration::from_secs(60);
/// How long a job's word that nothing is to be changed counts for more than the lists of a sweep.
const ANSWER_TRUSTED: Duration = Duration::from_secs(86_400);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FactsSettings {
    /// How long the state of an API user is trusted, in seconds. An event about the user ends that at once.
    pub api_user_secs: u32,
    /// How long the number of an account's active users is trusted, in seconds.
    pub account_size_secs: u32,
}

impl Default for FactsSettings {
    fn default() -> Self {
        Self { api_user_secs: 60, account_size_secs: 3600 }
    }
}

#[derive(Debug, Default)]
pub struct Facts {
    settings: FactsSettings,
    accounts: Mutex<HashMap<AccountId, Known>>,
}

#[derive(Debug, Default)]
struct Known {
    /// Held while Zoom is asked, so that of many jobs that miss the same fact one asks.
    asking: Arc<tokio::sync::Mutex<()>>,
    lending: Arc<tokio::sync::Mutex<()>>,
    /// Held while a plan is made: each reads the whole account.
    planning: Arc<tokio::sync::Mutex<()>>,
    /// Grows whenever something is forgotten, so that an answer that was asked for before is not kept.
    generation: u64,
    api_users: HashMap<UserKey, (Timestamp, ApiUser)>,
    ids: HashMap<UserId, UserKey>,
    groups: Option<(Timestamp, Arc<Vec<Group>>)>,
    changed: HashMap<(String, String), Written>,
    wrote: Wrote,
    reported: HashSet<UserKey>,
    active_users: Option<(Timestamp, u64)>,
    put_off: HashMap<RuleName, PutOff>,
    without_scopes: HashMap<RuleName, (Timestamp, ParkCause)>,
    /// Users as a sweep saw them, by the job that it made for each.
    listed: HashMap<JobId, Listed>,
    /// Users that a sweep took for different, and a job then changed nothing about, by rule and its fingerprint.
    answered: HashMap<(RuleName, [u8; 16], String), Answer>,
}

/// A user as a sweep saw it, for the job that it made.
#[derive(Debug)]
struct Listed {
    at: Timestamp,
    row: u64,
    /// Until the job takes it.
    user: Option<User>,
}

/// What a job said that a sweep asked for, against the lists.
#[derive(Debug)]
struct Answer {
    at: Timestamp,
    /// It counts while the row is as it was.
    row: u64,
    /// It counts against the lists. That all is right may be so because it became right after the lists were read: only
    /// two sweeps in a row say that the lists are short.
    is_sure: bool,
}

/// What a rule last changed something to.
#[derive(Debug)]
struct Written {
    at: Timestamp,
    /// With its fingerprint: one that was changed since says nothing.
    rule: (RuleName, [u8; 16]),
    to: Value,
}

/// Jobs of a rule that is at its limit for this hour.
#[derive(Debug, Default)]
struct PutOff {
    until: Timestamp,
    notice: String,
    /// With the end of the hour in which each was last seen, so that jobs that were cancelled are forgotten.
    jobs: HashMap<JobId, Timestamp>,
}

impl Known {
    /// Takes in what Zoom said of an API user when it was asked in this generation.
    fn learn(&mut self, user: &ApiUser, now: Timestamp, generation: u64) {
        if let Some(id) = &user.id {
            self.ids.insert(id.clone(), user.key.clone());
        }
        if self.generation == generation {
            if user.unusable.is_none() {
                self.reported.remove(&user.key);
            }
            self.api_users.insert(user.key.clone(), (now, user.clone()));
        }
    }
}

impl Facts {
    pub fn new(settings: FactsSettings) -> Self {
        Self { settings, accounts: Mutex::default() }
    }

    fn with<T>(&self, account: &AccountId, look: impl FnOnce(&mut Known) -> T) -> T {
        let mut accounts = lock(&self.accounts);
        if let Some(known) = accounts.get_mut(account) {
            return look(known);
        }
        look(accounts.entry(account.clone()).or_default())
    }

    pub(super) fn with_wrote<T>(&self, account: &AccountId, look: impl FnOnce(&mut Wrote) -> T) -> T {
        self.with(account, |known| look(&mut known.wrote))
    }

    /// The API user that has this id or email, as far as it is known without asking Zoom: the id of one that is configured
    /// by email is learned when it is first read.
    pub fn is_api_user(&self, account: &Account, id: Option<&UserId>, email: Option<&Email>) -> Option<UserKey> {
        self.with(&account.id, |known| which(account, &known.ids, id, email))
    }

    /// None where a plan of the account is being made: there is one at a time.
    pub fn begin_plan(&self, account: &AccountId) -> Option<tokio::sync::OwnedMutexGuard<()>> {
        self.with(account, |known| Arc::clone(&known.planning)).try_lock_owned().ok()
    }

    /// What is known around the account's subjects, for [`super::judge()`].
    pub fn around<'a>(&self, account: &'a Account, now: Timestamp) -> Around<'a> {
        let trusted = Duration::from_secs(self.settings.api_user_secs.into());
        self.with(&account.id, |known| {
            let fresh = known.api_users.values().filter(|(at, _)| now < at.plus(trusted));
            Around {
                account,
                now,
                known: fresh.map(|(_, user)| (user.key.clone(), user.clone())).collect(),
                ids: known.ids.clone(),
                groups: known.groups.as_ref().filter(|(at, _)| now < at.plus(trusted)).map(|(_, all)| Arc::clone(all)),
            }
        })
    }

    /// All groups of the account, read where they are not known freshly enough.
    pub async fn groups(
        &self,
        account: &AccountId,
        zoom: &dyn Zoom,
        now: Timestamp,
    ) -> Result<Arc<Vec<Group>>, ZoomError> {
        let trusted = Duration::from_secs(self.settings.api_user_secs.into());
        let look = |known: &mut Known| known.groups.clone().filter(|(at, _)| now < at.plus(trusted));
        let asking = self.with(account, |known| Arc::clone(&known.asking));
        let _asking = asking.lock().await;
        if let Some((_, groups)) = self.with(account, look) {
            return Ok(groups);
        }
        let all = Arc::new(groups::all(zoom).await?);
        self.with(account, |known| known.groups = Some((now, Arc::clone(&all))));
        Ok(all)
    }

    /// Somebody is in a group that is not among them.
    pub fn forget_groups(&self, account: &AccountId) {
        self.with(account, |known| known.groups = None);
    }

    /// Whether one group, and no other, was called so when the account's were read last.
    pub fn saw_group(&self, account: &AccountId, name: &str) -> bool {
        let is_one = |(_, all): &(Timestamp, Arc<Vec<Group>>)| {
            all.iter().filter(|group| group.name == name || group.id.as_str() == name).count() == 1
        };
        self.with(account, |known| known.groups.as_ref().is_some_and(is_one))
    }

    /// Another rule, with its fingerprint, that changed the same thing of the job's subject to something else, not long ago.
    pub fn undone(&self, job: &Job, about: &str, wanted: &Value, now: Timestamp) -> Option<(RuleName, [u8; 16])> {
        let key = (job.subject.key(), about.to_owned());
        self.with(&job.account, |known| {
            let last = known.changed.get(&key).filter(|last| now.since(last.at) < ANSWER_TRUSTED)?;
            (last.rule.0 != job.rule && last.to != *wanted).then(|| last.rule.clone())
        })
    }

    /// The job's rule is about to change this of its subject, to that.
    pub fn changes(&self, job: &Job, rule: &Rule, (about, wanted): (&str, &Value), now: Timestamp) {
        let key = (job.subject.key(), about.to_owned());
        let written = Written { at: now, rule: (rule.name.clone(), rule.fingerprint()), to: wanted.clone() };
        self.with(&job.account, |known| {
            known.changed.insert(key, written);
            if known.changed.len() > CHANGED_MAX {
                known.changed.retain(|_, last| now.since(last.at) < CHANGED_KEPT_WHEN_MANY);
            }
        });
    }

    /// Ends the trust in what is known of an API user: an event says that it changed.
    pub fn forget_api_user(&self, account: &AccountId, key: &UserKey) {
        self.with(account, |known| {
            known.generation = known.generation.wrapping_add(1);
            known.api_users.remove(key);
        });
    }

    /// Somebody is told that this API user is unusable: once is enough until it is seen usable again. False where it was
    /// told already, also by a job that found it at the same time.
    pub fn set_reported(&self, account: &AccountId, key: &UserKey) -> bool {
        self.with(account, |known| known.reported.insert(key.clone()))
    }

    /// Whether the API user was found usable when it was read at `since` or later.
    pub fn saw_usable(&self, account: &AccountId, key: &UserKey, since: Timestamp) -> bool {
        let usable = |(at, user): &(Timestamp, ApiUser)| *at >= since && user.unusable.is_none();
        self.with(account, |known| known.api_users.get(key).is_some_and(usable))
    }

    /// It could not be told after all.
    pub fn not_reported(&self, account: &AccountId, key: &UserKey) {
        self.with(account, |known| known.reported.remove(key));
    }

    /// Takes in what was just read of an API user for another reason; a row of a list that does not say whether it has a
    /// licence says nothing.
    pub fn saw_api_user(&self, account: &AccountId, key: &UserKey, user: User, now: Timestamp) {
        if user.kind.is_none() && user.status == Status::Active {
            return;
        }
        let user = ApiUser::found(key, user);
        self.with(account, |known| known.learn(&user, now, known.generation));
    }

    /// An API user by its key, read where it is not known freshly enough. One that Zoom does not know is unusable.
    pub async fn api_user(
        &self,
        account: &AccountId,
        key: &UserKey,
        zoom: &dyn Zoom,
        now: Timestamp,
    ) -> Result<ApiUser, ZoomError> {
        let trusted = Duration::from_secs(self.settings.api_user_secs.into());
        let look = |known: &mut Known| {
            let cached = known.api_users.get(key).filter(|(at, _)| now < at.plus(trusted));
            (known.generation, cached.map(|(_, user)| user.clone()))
        };
        if let (_, Some(user)) = self.with(account, look) {
            return Ok(user);
        }
        let asking = self.with(account, |known| Arc::clone(&known.asking));
        let _asking = asking.lock().await;
        let generation = match self.with(account, look) {
            (_, Some(user)) => return Ok(user),
            (generation, None) => generation,
        };
        let user = match zoom.user(key).await {
            Ok(user) => ApiUser::found(key, user),
            Err(ZoomError::NotFound(_)) => ApiUser::missing(key),
            Err(error) => return Err(error),
        };
        self.with(account, |known| known.learn(&user, now, generation));
        Ok(user)
    }

    /// Whose privileges are lent and taken back in the account is one after the other.
    pub fn lending(&self, account: &AccountId) -> Arc<tokio::sync::Mutex<()>> {
        self.with(account, |known| Arc::clone(&known.lending))
    }

    /// The job found that the app lacks scopes which its rule needs.
    pub fn lacks_scopes(&self, job: &Job, cause: &ParkCause, now: Timestamp) {
        self.with(&job.account, |known| known.without_scopes.insert(job.rule.clone(), (now, cause.clone())));
    }

    /// Why the job cannot succeed either, where scopes were found missing. A job that a person retried since goes on, and
    /// the others after it: whoever retries has mended something, or wants to know.
    pub fn is_without_scopes(&self, job: &Job, now: Timestamp) -> Option<ParkCause> {
        self.with(&job.account, |known| {
            let (since, cause) = known.without_scopes.get(&job.rule)?;
            if now < since.plus(SCOPES_TRUSTED) && job.retried_at.is_none_or(|at| at <= *since) {
                return Some(cause.clone());
            }
            known.without_scopes.remove(&job.rule);
            None
        })
    }

    /// The job found its rule at its limit, until `until`.
    pub fn put_off(&self, job: &Job, until: Timestamp, notice: &str) {
        self.with(&job.account, |known| {
            let rule = known.put_off.entry(job.rule.clone()).or_default();
            if rule.until != until {
                let last = rule.until;
                rule.jobs.retain(|_, seen| *seen >= last);
            }
            (rule.until, rule.notice) = (until, notice.to_owned());
            rule.jobs.insert(job.id, until);
        });
    }

    /// Whether a job that wanted a change before would find its rule at its limit again: of thousands that are put off, all
    /// wake when the next hour begins, and those that come too late need not ask Zoom for what they know.
    pub fn is_put_off(&self, job: &Job, now: Timestamp) -> Option<(Timestamp, String)> {
        self.with(&job.account, |known| {
            let rule = known.put_off.get_mut(&job.rule).filter(|rule| now < rule.until)?;
            *rule.jobs.get_mut(&job.id)? = rule.until;
            Some((rule.until, rule.notice.clone()))
        })
    }

    /// The rule may change more in this hour than when its jobs were put off.
    pub fn raised(&self, account: &AccountId, rule: &RuleName) {
        self.with(account, |known| {
            if let Some(rule) = known.put_off.get_mut(rule) {
                rule.until = Timestamp::EPOCH;
            }
        });
    }

    /// A sweep begins; `anew` where answers that were given under other rules, or before somebody asked, say nothing.
    pub fn begin_sweep(&self, account: &AccountId, anew: bool, now: Timestamp) {
        self.with(account, |known| {
            known.listed.clear();
            known.answered.retain(|_, answer| !anew && now.since(answer.at) < ANSWER_TRUSTED);
        });
    }

    /// A sweep made the job for a user that it saw so.
    pub fn listed(&self, account: &AccountId, job: JobId, user: User, seen_at: Timestamp) {
        let listed = Listed { at: seen_at, row: row_hash(&user), user: Some(user) };
        self.with(account, |known| known.listed.insert(job, listed));
    }

    /// How a sweep saw the job's user, once, while that is fresh and nothing newer has asked for the job.
    pub fn take_listed(&self, job: &Job, now: Timestamp) -> Option<User> {
        let listed = self.with(&job.account, |known| {
            let listed = known.listed.get_mut(&job.id)?;
            Some((listed.at, listed.user.take()?))
        });
        let is_newest = |at: Timestamp| job.is_of_sweep() && job.event_at.is_none_or(|event| event <= at);
        listed.filter(|(at, _)| is_newest(*at) && now < at.plus(LISTING_TRUSTED)).map(|(_, user)| user)
    }

    /// What an attempt came to. Where a sweep asked for it and it changed nothing, the sweep's lists are short, or the rule
    /// only observes: the next sweeps need not ask again for a while. All else ends what was answered before.
    pub fn answered(&self, job: &Job, rule: &Rule, outcome: &Outcome, now: Timestamp) {
        let key = (job.rule.clone(), rule.fingerprint(), job.subject.key());
        let is_sure = match outcome {
            Outcome::Done(Effect::WouldChange { .. } | Effect::NotApplicable { .. }) => Some(true),
            Outcome::Done(Effect::AlreadyRight) => Some(false),
            _ => None,
        };
        self.with(&job.account, |known| {
            let (listed, last) = (known.listed.remove(&job.id), known.answered.remove(&key));
            if let Some((listed, is_sure)) = listed.zip(is_sure) {
                let is_again = last.is_some_and(|last| last.row == listed.row);
                known.answered.insert(key, Answer { at: now, row: listed.row, is_sure: is_sure || is_again });
            }
        });
    }

    /// Whether a job of a sweep said so of this row, not long ago.
    pub fn is_answered(
        &self,
        account: &AccountId,
        rule: &Rule,
        (subject, row): (&Subject, &User),
        now: Timestamp,
    ) -> bool {
        let key = (rule.name.clone(), rule.fingerprint(), subject.key());
        let counts =
            |answer: &Answer| answer.is_sure && answer.row == row_hash(row) && now.since(answer.at) < ANSWER_TRUSTED;
        self.with(account, |known| known.answered.get(&key).is_some_and(counts))
    }

    /// The lists say that it is right: what a job said against them counts no more.
    pub fn not_answered(&self, account: &AccountId, rule: &Rule, subject: &Subject) {
        let key = (rule.name.clone(), rule.fingerprint(), subject.key());
        self.with(account, |known| known.answered.remove(&key));
    }

    /// The job may go on.
    pub fn not_put_off(&self, job: &Job) {
        self.with(&job.account, |known| {
            if let Some(rule) = known.put_off.get_mut(&job.rule) {
                rule.jobs.remove(&job.id);
                if rule.jobs.is_empty() {
                    known.put_off.remove(&job.rule);
                }
            }
        });
    }

    /// How many active users the account has.
    pub async fn active_users(&self, account: &AccountId, zoom: &dyn Zoom, now: Timestamp) -> Result<u64, ZoomError> {
        let trusted = Duration::from_secs(self.settings.account_size_secs.into());
        let look = |known: &mut Known| known.active_users.filter(|(at, _)| now < at.plus(trusted));
        if let Some((_, count)) = self.with(account, look) {
            return Ok(count);
        }
        let asking = self.with(account, |known| Arc::clone(&known.asking));
        let _asking = asking.lock().await;
        if let Some((_, count)) = self.with(account, look) {
            return Ok(count);
        }
        let first = zoom.users(Status::Active, Page { size: 1, token: None }).await?;
        let count = match first.total {
            Some(total) => total,
            None => count_pages(zoom).await?,
        };
        self.with(account, |known| known.active_users = Some((now, count)));
        Ok(count)
    }
}

async fn count_pages(zoom: &dyn Zoom) -> Result<u64, ZoomError> {
    let (mut count, mut token) = (0_u64, None);
    for _ in 0..COUNT_PAGES_MAX {
        let page = zoom.users(Status::Active, Page { size: COUNT_PAGE_SIZE, token }).await?;
        count = count.saturating_add(u64::try_from(page.users.len()).unwrap_or(u64::MAX));
        token = page.next;
        if token.is_none() {
            break;
        }
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_who_find_an_api_user_unusable_one_tells() {
        let (facts, account) = (Facts::default(), AccountId::parse("acme").unwrap());
        let key: UserKey = "api@example.com".parse().unwrap();
        assert_eq!([(); 3].map(|()| facts.set_reported(&account, &key)), [true, false, false]);
        facts.not_reported(&account, &key);
        assert!(facts.set_reported(&account, &key));
        let well = User { kind: Some(2), status: Status::Active, ..User::default() };
        facts.saw_api_user(&account, &key, well, Timestamp::EPOCH);
        assert!(facts.set_reported(&account, &key), "it was well in between");
    }
}
