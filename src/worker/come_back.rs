//! Lets jobs go on whose reason to stop ended with another configuration: their rule or account is there again, Zoom takes
//! the account's credentials again, or their rule may change more in this hour.
//!
//! Looks at the start and whenever the roster changes, besides what goes on, and moves just these jobs, each once for each
//! change; what is parked for another cause is left alone. Where Zoom has to be asked (one call for an account whose
//! credentials it refused), and does not answer, it asks again.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::planner::moved;
use super::{Parts, Roster};
use crate::account::Account;
use crate::ids::RuleName;
use crate::job::Subject;
use crate::rules::{Rule, SubjectKind};
use crate::store::{Move, ParkedGroup, Selector, StoreError, SweepRecord, SweepStep};
use crate::zoom::{Page, Status, ZoomError};

/// Before it looks again, where Zoom or the store could not be asked.
const RETRY: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub struct ComeBack {
    parts: Parts,
}

impl ComeBack {
    pub const fn new(parts: Parts) -> Self {
        Self { parts }
    }

    /// Looks until `shutdown`. An error means that the store can take nothing more.
    pub async fn run(&self, shutdown: &CancellationToken) -> Result<(), StoreError> {
        let mut roster = self.parts.roster.clone();
        loop {
            roster.borrow_and_update();
            let is_whole = match self.look().await {
                Err(StoreError::Full | StoreError::Behind(_) | StoreError::Backlog | StoreError::Conflict(_)) => false,
                Err(StoreError::Closed) if shutdown.is_cancelled() => return Ok(()),
                looked => looked?,
            };
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = moved(&mut roster) => {}
                () = self.parts.clock.sleep_until(self.parts.clock.now().plus(RETRY)), if !is_whole => {}
            }
        }
    }

    /// Lets go on what can by the roster of now. False where Zoom could not say whether it takes an account's credentials.
    pub async fn look(&self) -> Result<bool, StoreError> {
        let roster = Arc::clone(&self.parts.roster.borrow());
        let mut is_whole = true;
        for group in self.parts.store.parked().await? {
            let Some(account) = roster.by_id(&group.account) else { continue };
            let why = match (group.cause.as_str(), &group.rule) {
                ("rule-gone", Some(rule)) if self.is_there_again(&roster, rule, &group).await? => {
                    format!("the configuration, which has rule {rule} again")
                }
                ("account-gone", _) if self.is_of(account, &group).await? => {
                    format!("the configuration, which has account {} again", account.id)
                }
                ("credentials-refused", _) => match self.are_taken(account).await? {
                    Some(true) => "adjutant, since Zoom takes the app's credentials".to_owned(),
                    Some(false) => continue,
                    None => {
                        is_whole = false;
                        continue;
                    }
                },
                _ => continue,
            };
            self.retry(group, &why).await?;
        }
        self.raised(&roster).await?;
        Ok(is_whole)
    }

    /// Whether the rule is about such subjects. A job of another rule of that name parks again, unasked.
    async fn is_there_again(&self, roster: &Roster, rule: &RuleName, group: &ParkedGroup) -> Result<bool, StoreError> {
        let Some(rule) = roster.rule(rule) else { return Ok(false) };
        let example = self.parts.store.job(group.example).await?;
        Ok(example.is_some_and(|job| is_about(rule, &job.subject)))
    }

    /// Whether the app acts that the jobs are of: those of another would park again at once.
    async fn is_of(&self, account: &Account, group: &ParkedGroup) -> Result<bool, StoreError> {
        Ok(self.parts.store.job(group.example).await?.is_some_and(|job| job.app == account.app))
    }

    /// Whether Zoom takes the app's credentials for the account; none where it does not say.
    async fn are_taken(&self, account: &Account) -> Result<Option<bool>, StoreError> {
        let Some(zoom) = self.parts.zooms.zoom(&account.id) else { return Ok(Some(false)) };
        let asked = zoom.users(Status::Active, Page { size: 1, token: None }).await;
        let (app, id) = (account.app.clone(), account.id.clone());
        let record = SweepRecord { app, account: id, step: SweepStep::Called, calls: zoom.calls() };
        match self.parts.store.record_sweep(record, self.parts.clock.now()).await {
            // The account was let go while Zoom was asked.
            Err(StoreError::Conflict(_)) => return Ok(None),
            recorded => drop(recorded?),
        }
        Ok(match asked {
            Err(ZoomError::Credentials(_)) => Some(false),
            Err(ZoomError::Limited { .. } | ZoomError::Transient(_) | ZoomError::Unreadable(_)) => None,
            _ => Some(true),
        })
    }

    async fn retry(&self, group: ParkedGroup, why: &str) -> Result<(), StoreError> {
        let ParkedGroup { cause, account, rule, count, .. } = group;
        let which = Selector::ParkedFor { cause: cause.clone(), rule, account: Some(account.clone()) };
        let count = self.move_on(&which, count, why).await?;
        tracing::info!(%account, cause, count, "parked jobs go on, by {why}");
        Ok(())
    }

    /// As many at a time as the store moves in one write, and no more than there were: what stops anew stays.
    async fn move_on(&self, which: &Selector, count: u64, why: &str) -> Result<u64, StoreError> {
        let mut left = count;
        while left > 0 {
            let moved = self.parts.store.move_jobs(which.clone(), Move::Retry, why, self.parts.clock.now()).await?;
            left = left.saturating_sub(moved);
            if moved == 0 {
                break;
            }
        }
        Ok(count.saturating_sub(left))
    }

    /// What waits for the next hour goes on where its rule may change more in this one.
    async fn raised(&self, roster: &Roster) -> Result<(), StoreError> {
        for one in self.parts.store.put_off(self.parts.clock.now()).await? {
            let Some(rule) = roster.rule(&one.rule).filter(|rule| rule.max_changes_per_hour > one.made) else {
                continue;
            };
            let (name, account) = (one.rule, one.account);
            self.parts.facts.raised(&account, &name);
            let which = Selector::PutOff { rule: name.clone(), account: account.clone() };
            let why = format!("the configuration, which allows {} changes an hour", rule.max_changes_per_hour);
            let count = self.move_on(&which, one.waiting, &why).await?;
            tracing::info!(%account, rule = %name, count, "jobs that waited for the next hour go on");
        }
        Ok(())
    }
}

/// Whether the rule is about such a subject.
pub(super) const fn is_about(rule: &Rule, subject: &Subject) -> bool {
    matches!(
        (rule.subject, subject),
        (SubjectKind::User, Subject::User { .. })
            | (SubjectKind::Meeting, Subject::Meeting { .. } | Subject::Instance { .. })
            | (SubjectKind::Event, Subject::Event { .. } | Subject::Instance { .. })
    )
}
