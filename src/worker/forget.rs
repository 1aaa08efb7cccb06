//! A person is forgotten, because somebody told to: what the store keeps of them goes, the audit log verifies as before.
//!
//! Guarantees: whoever still is something here (is being onboarded, acts for the account, is at work) is refused, with what
//! ends that; what was begun is finished, whether or not whoever asked is still there, and over a restart. Deliberately not
//! done: what Zoom knows of the person stays there, and what it tells of them later is stored anew.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;

use super::{Parts, Roster};
use crate::account::{Account, UserKey};
use crate::audit::{Detail, Kind};
use crate::clock::{Timestamp, lock};
use crate::ids::{AccountId, Email, UserId};
use crate::job::{Job, JobState, Subject};
use crate::store::{Forgotten, JobFilter, LocalStore, Note, Shelf, StoreError, Write};
use crate::work::{Beside, Onboarding, own_job};

/// Jobs about one person that are looked at.
const JOBS_MAX: usize = 10_000;
/// How long what it came to is kept for whoever asked, and asks again.
const TOLD_FOR: Duration = Duration::from_secs(60);

/// Why nobody was forgotten.
#[derive(Debug, thiserror::Error)]
pub enum ForgetError {
    #[error("no app holds account {0}, and nothing is kept of it")]
    NoAccount(AccountId),
    #[error("{0}")]
    Refused(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Who is to be forgotten, by all that is known of them, and what of theirs is removed first.
#[derive(Debug, Clone, Default)]
pub struct Person {
    pub id: Option<UserId>,
    pub email: Option<Email>,
    /// Whether Zoom has the user still; none where it did not say.
    pub is_at_zoom: Option<bool>,
    /// Jobs about them that are kept.
    pub jobs: usize,
    /// Onboardings that have ended.
    pub onboardings: Vec<Onboarding>,
}

impl Person {
    fn subject(&self) -> Subject {
        Subject::User { id: self.id.clone(), email: self.email.clone() }
    }

    fn is(&self, key: &UserKey) -> bool {
        key.is(self.id.as_ref(), self.email.as_ref())
    }

    /// Whether either is theirs: what names it goes.
    fn has(&self, id: Option<&UserId>, email: Option<&Email>) -> bool {
        (id.is_some() && id == self.id.as_ref()) || (email.is_some() && email == self.email.as_ref())
    }

    fn learn(&mut self, id: Option<&UserId>, email: Option<&Email>) {
        self.id = self.id.take().or_else(|| id.cloned());
        self.email = self.email.take().or_else(|| email.cloned());
    }

    fn in_words(&self) -> String {
        UserKey::of(None, self.email.as_ref())
            .or_else(|| UserKey::of(self.id.as_ref(), None))
            .map_or_else(|| "the person".to_owned(), |key| key.to_string())
    }
}

/// How far it is.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    /// Files of the journal that were gone through, of how many.
    pub done: u64,
    pub of: u64,
    /// When it ended, with the records that were rewritten or why it was not finished: then the next start goes on with it.
    pub ended: Option<(Timestamp, Result<u64, String>)>,
}

/// One that was begun.
#[derive(Debug, Clone)]
pub struct Run {
    pub person: Person,
    pub progress: watch::Receiver<Progress>,
}

type Whom = (AccountId, UserKey);

/// Looks, and forgets.
#[derive(Debug)]
pub struct Forgets {
    parts: Parts,
    local: LocalStore,
    runs: Mutex<HashMap<Whom, Run>>,
}

impl Forgets {
    pub fn new(parts: Parts, local: LocalStore) -> Self {
        Self { parts, local, runs: Mutex::default() }
    }

    /// What is under way for whom this key names, or has ended just now.
    pub fn run_of(&self, account: &AccountId, key: &UserKey) -> Option<Run> {
        let now = self.parts.clock.now();
        let mut runs = lock(&self.runs);
        runs.retain(|_, run| run.progress.borrow().ended.as_ref().is_none_or(|(at, _)| now.since(*at) < TOLD_FOR));
        runs.get(&(account.clone(), key.clone())).cloned()
    }

    /// Whoever asked was told of the end: who asks again has it begun anew.
    pub fn was_told(&self, account: &AccountId, key: &UserKey) {
        lock(&self.runs).remove(&(account.clone(), key.clone()));
    }

    /// Who it is, by what Zoom and the store know. Refused where the person is something here still. Changes nothing.
    pub async fn look(
        &self,
        account: &AccountId,
        key: &UserKey,
        also: Option<&UserKey>,
    ) -> Result<Person, ForgetError> {
        let roster = Arc::clone(&self.parts.roster.borrow());
        let held = roster.accounts().find(|one| one.id == *account);
        self.is_known(account, held).await?;
        let mut person = Person::default();
        for key in [Some(key), also].into_iter().flatten() {
            match key {
                UserKey::Id(id) => person.learn(Some(id), None),
                UserKey::Email(email) => person.learn(None, Some(email)),
            }
        }
        self.ask_zoom(account, held, key, &mut person).await?;
        let all = self.onboardings(account).await?;
        let accounts = self.parts.accounts.as_ref();
        for one in accounts.map(|accounts| accounts.installations_of(account)).unwrap_or_default() {
            if person.has(Some(&one.user), one.email.as_ref()) {
                person.learn(Some(&one.user), one.email.as_ref());
            }
        }
        for one in &all {
            if person.has(one.user.as_ref(), Some(&one.wanted.email)) {
                person.learn(one.user.as_ref(), Some(&one.wanted.email));
            }
        }
        for job in self.jobs(account, &person).await? {
            if let Subject::User { id, email } = &job.subject {
                person.learn(id.as_ref(), email.as_ref());
            }
        }
        let jobs = self.jobs(account, &person).await?;
        self.may(account, &roster, &person, &jobs)?;
        person.jobs = jobs.len();
        for one in all {
            if !person.has(one.user.as_ref(), Some(&one.wanted.email)) {
                continue;
            }
            if let Some(job) = own_job(&*self.parts.store, &one).await?.filter(|job| !job.state.is_finished()) {
                return Err(ForgetError::Refused(format!(
                    "{} is being onboarded ({}): end that first, with `adjutant jobs cancel {}`",
                    person.in_words(),
                    one.id,
                    job.id
                )));
            }
            person.onboardings.push(one);
        }
        Ok(person)
    }

    /// Begins to forget whom [`Forgets::look`] has found; where that is under way, it is the same.
    pub fn begin(self: &Arc<Self>, account: &AccountId, key: &UserKey, person: Person, actor: &str) -> Run {
        let (tell, progress) = watch::channel(Progress::default());
        let run = Run { person: person.clone(), progress };
        {
            let mut runs = lock(&self.runs);
            let whom = (account.clone(), key.clone());
            if let Some(run) = runs.get(&whom).filter(|run| run.progress.borrow().ended.is_none()) {
                return run.clone();
            }
            runs.insert(whom, run.clone());
        }
        let (own, account, actor) = (Arc::clone(self), account.clone(), actor.to_owned());
        tokio::spawn(async move {
            let tell = Arc::new(tell);
            let ended = own.forget(&account, &person, &actor, &tell).await;
            if let Err(error) = &ended {
                tracing::warn!(%account, %error, "a person could not be forgotten");
            }
            let ended = ended.map_err(|error| error.to_string());
            tell.send_modify(|progress| progress.ended = Some((own.parts.clock.now(), ended)));
        });
        run
    }

    async fn forget(
        &self,
        account: &AccountId,
        person: &Person,
        actor: &str,
        tell: &Arc<watch::Sender<Progress>>,
    ) -> Result<u64, StoreError> {
        let (store, clock) = (&self.parts.store, &self.parts.clock);
        let removed = person.onboardings.iter().flat_map(|one| [one.id.to_string(), Beside::told_key(one.id)]);
        let removed = removed.map(|key| Write::Remove { shelf: Shelf::Onboarding, key });
        store.write_documents(removed.collect(), Vec::new(), clock.now()).await?;
        if let Some(accounts) = &self.parts.accounts {
            accounts.forget_person(account, (person.id.as_ref(), person.email.as_ref())).await?;
        }
        let what = Forgotten::Person { account: account.clone(), id: person.id.clone(), email: person.email.clone() };
        let tell = Arc::clone(tell);
        let told = move |done, of| tell.send_modify(|progress| (progress.done, progress.of) = (done, of));
        let erased = self.local.forget(&what, clock.now(), told).await?;
        // Nobody's name: the entry stays.
        let note = Note {
            kind: Kind::Service,
            app: None,
            account: Some(account.clone()),
            code: "person-forgotten".to_owned(),
            detail: Detail::note(format!("told by {actor}")),
        };
        store.note(note, clock.now()).await?;
        Ok(erased.records)
    }

    /// Also one that is not served any more, as long as something is kept of it.
    async fn is_known(&self, account: &AccountId, held: Option<&Account>) -> Result<(), ForgetError> {
        let is_kept = || self.parts.accounts.as_ref().is_some_and(|accounts| accounts.account(account).is_some());
        if held.is_some() || is_kept() {
            return Ok(());
        }
        let any = JobFilter { account: Some(account.clone()), limit: 1, ..JobFilter::default() };
        if self.parts.store.jobs(any).await?.is_empty() {
            return Err(ForgetError::NoAccount(account.clone()));
        }
        Ok(())
    }

    /// An answer that is none says nothing: a person who is told to be forgotten is, also where Zoom is down.
    async fn ask_zoom(
        &self,
        account: &AccountId,
        held: Option<&Account>,
        key: &UserKey,
        person: &mut Person,
    ) -> Result<(), ForgetError> {
        let Some((held, zoom)) = held.zip(self.parts.zooms.zoom(account)) else { return Ok(()) };
        match zoom.user(key).await {
            Ok(user) => {
                person.learn(user.id.as_ref(), user.email.as_ref());
                person.is_at_zoom = Some(true);
            }
            Err(crate::zoom::ZoomError::NotFound(_)) => person.is_at_zoom = Some(false),
            Err(_) => {}
        }
        Ok(super::onboard::called(&self.parts, held, zoom.calls()).await?)
    }

    /// All of the account that this program can read.
    async fn onboardings(&self, account: &AccountId) -> Result<Vec<Onboarding>, StoreError> {
        let kept = self.parts.store.documents(Shelf::Onboarding).await?;
        Ok(kept.iter().filter_map(Onboarding::read).filter(|one| one.account == *account).collect())
    }

    async fn jobs(&self, account: &AccountId, person: &Person) -> Result<Vec<Job>, StoreError> {
        let (account, subject) = (Some(account.clone()), Some(person.subject()));
        self.parts.store.jobs(JobFilter { account, subject, limit: JOBS_MAX, ..JobFilter::default() }).await
    }

    /// Refused, for whoever acts for the account, or is at work just now.
    fn may(&self, account: &AccountId, roster: &Roster, person: &Person, jobs: &[Job]) -> Result<(), ForgetError> {
        let (who, refused) = (person.in_words(), |why: String| Err(ForgetError::Refused(why)));
        let accounts = self.parts.accounts.as_ref();
        let installed = accounts.map(|accounts| accounts.installations_of(account)).unwrap_or_default();
        // One that is lost goes with them.
        let mut installed = installed.iter().filter(|one| one.lost.is_none());
        if let Some(one) = installed.find(|one| person.has(Some(&one.user), one.email.as_ref())) {
            let app = &one.app;
            return refused(format!(
                "{who} installed app {app} for the account, and it acts by that: let another admin install it and this one \
                 remove it, or let the account go (`adjutant accounts remove {account}`)"
            ));
        }
        let names = |users: &[UserKey], grants: &[Email]| {
            users.iter().any(|key| person.is(key)) || grants.iter().any(|email| person.email.as_ref() == Some(email))
        };
        if let Some(kept) = accounts.and_then(|accounts| accounts.account(account))
            && (names(&kept.api_users, &kept.may_grant) || names(&kept.acts_as, &[]))
        {
            return refused(format!(
                "account {account} names {who} as an API user, in may_grant or in acts_as: say otherwise with `adjutant accounts \
                 change {account}`"
            ));
        }
        let held = roster.accounts().find(|one| one.id == *account);
        if held.is_some_and(|one| names(&one.api_users, &[]) || names(&one.acts_as, &[])) {
            return refused(format!(
                "the configuration names {who} for account {account}, in api_users or acts_as: take it out and reload"
            ));
        }
        if let Some(job) = jobs.iter().find(|job| matches!(job.state, JobState::Running { .. })) {
            return refused(format!("{} is at work for {who} just now: ask again in a moment", job.id));
        }
        Ok(())
    }
}
