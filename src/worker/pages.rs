//! One page of users of a sweep: what each of its rules asks for, in one write.

use super::Roster;
use super::due::{compared_with, is_of};
use super::lists::{Listable, Lists};
use super::sweeper::{Fault, Sweeper};
use std::collections::HashMap;
use std::time::Duration;

use crate::account::Account;
use crate::clock::Timestamp;
use crate::job::{JobState, Subject};
use crate::rules::{self, Mode, Rule, Step, SubjectKind};
use crate::store::{StoreError, SweepKind, SweepRun, SweepStep, Swept};
use crate::work::{Around, Picture};
use crate::zoom::{Page, Status, User, Zoom};

/// Users in a page, the most that Zoom is sure to give.
const PAGE_USERS: u32 = 300;
/// Jobs of all pages so far that may be left when the next is read: a user whose row is old has to be read again, and rows that wait
/// are held in memory.
const AHEAD_JOBS: usize = 100;
pub(super) const AHEAD_LOOK: Duration = Duration::from_secs(1);
/// The token of the next page lives 15 minutes.
const AHEAD_MAX: Duration = Duration::from_secs(300);

/// What a page asks for, with the row where a job need not read it again.
type Found = Vec<(Step, Option<User>)>;

impl Sweeper {
    /// Compares one page, and ends the sweep after the last.
    pub(super) async fn page(
        &self,
        account: &Account,
        roster: &Roster,
        run: &SweepRun,
        zoom: &dyn Zoom,
    ) -> Result<(), Fault> {
        let wanted = self.wanted(account, roster, run).await?;
        let listable = wanted.iter().filter(|rule| !self.is_left_out(account, rule));
        let listable: Vec<Listable<'_>> = listable.filter_map(|rule| Listable::of(rule)).collect();
        let lists = match run.kind {
            SweepKind::Users => self.lists(account, &listable, zoom, self.parts.clock.now()).await?,
            SweepKind::Settings | SweepKind::Meetings => Lists::default(),
        };
        let seen_at = self.parts.clock.now();
        // Nobody else can be given what rules want, nor host a meeting: whoever waits to become active is found then.
        let page = zoom.users(Status::Active, Page { size: PAGE_USERS, token: run.next.clone() }).await?;
        let walk = self.with(&account.id, |known| known.walk);
        let walk = walk.step(page.users.len(), (run.next.as_ref(), page.next.as_ref()), page.total);
        let walk = walk.map_err(Fault::Endless)?;
        let mut around = self.parts.facts.around(account, seen_at);
        let mut found = Found::new();
        for user in &page.users {
            match run.kind {
                SweepKind::Users => {
                    for listable in &listable {
                        if self.is_left_out(account, listable.rule) {
                            continue;
                        }
                        let step = self.compare(&mut around, listable, user, &lists, zoom).await;
                        let step = self.or_leave_out(account, (run.kind, listable.rule), step).await?;
                        found.extend(step.map(|step| (step, Some(user.clone()))));
                    }
                }
                SweepKind::Settings => {
                    for rule in &wanted {
                        if self.is_left_out(account, rule) {
                            continue;
                        }
                        let step = self.settings_of(&mut around, rule, user, zoom).await;
                        let step = self.or_leave_out(account, (run.kind, rule), step).await?;
                        found.extend(step.map(|step| (step, Some(user.clone()))));
                    }
                }
                SweepKind::Meetings => {
                    let steps = self.meetings_of(account, &wanted, user, zoom, seen_at).await?;
                    found.extend(steps.into_iter().map(|step| (step, None)));
                }
            }
        }
        let (users, total) = (u64::try_from(page.users.len()).unwrap_or(u64::MAX), page.total);
        let is_last = page.next.is_none();
        let steps = found.iter().map(|(step, _)| step.clone()).collect();
        let step = SweepStep::Page { users, total, steps, next: page.next, seen_at };
        let swept = self.record(account, step, zoom.calls()).await?;
        self.with(&account.id, |known| {
            (known.hosted, known.walk) = (HashMap::new(), walk);
            known.ahead.extend(&swept.made);
            let old = known.ahead.len().saturating_sub(AHEAD_JOBS.saturating_add(1));
            known.ahead.drain(..old);
            known.ahead_until = seen_at.plus(AHEAD_MAX);
        });
        self.hand_over(account, &swept, &found, seen_at).await?;
        if is_last {
            self.with(&account.id, |known| known.lists = Lists::default());
            self.end_refused(account, run.kind, &wanted).await?;
            let with = self.began_with(account, roster, run).await?;
            self.record(account, SweepStep::End { with }, Vec::new()).await?;
        }
        Ok(())
    }

    /// What the whole sweep compared with, and nothing where that is not sure: a restart came between, and the rules are
    /// others than those of the last whole one, so that they may be others than those of the first pages.
    async fn began_with(&self, account: &Account, roster: &Roster, run: &SweepRun) -> Result<[u8; 16], StoreError> {
        if let Some(with) = self.with(&account.id, |known| known.compares_with) {
            return Ok(with);
        }
        let now_with = compared_with(run.kind, account, roster);
        let whole = self.parts.store.sweep_state(&account.id).await?.whole;
        Ok(whole.get(&run.kind).map(|whole| whole.with).filter(|with| *with == now_with).unwrap_or_default())
    }

    /// Whether so many jobs of the pages so far are left that the next one is not read yet.
    pub(super) async fn is_ahead(&self, account: &Account, now: Timestamp) -> Result<bool, StoreError> {
        let oldest = self.with(&account.id, |known| {
            let is_full = known.ahead.len() > AHEAD_JOBS && now < known.ahead_until;
            known.ahead.front().copied().filter(|_| is_full)
        });
        let Some(job) = oldest else { return Ok(false) };
        let job = self.parts.store.job(job).await?;
        Ok(job.is_some_and(|job| job.attempts == 0 && matches!(job.state, JobState::Due { at, .. } if at <= now)))
    }

    /// A job, where the row does not say that the rule is not about this user: in no list are settings.
    async fn settings_of(
        &self,
        around: &mut Around<'_>,
        rule: &Rule,
        user: &User,
        zoom: &dyn Zoom,
    ) -> Result<Option<Step>, Fault> {
        let picture = Picture { user: Some(user.clone()), is_listed_row: true, ..Picture::default() };
        let subject = Subject::User { id: user.id.clone(), email: user.email.clone() };
        let is_asked = self.differs(around, rule, picture, None, zoom).await?;
        let steps = rules::for_subject(SubjectKind::User, &subject, std::slice::from_ref(rule));
        Ok(steps.into_iter().next().filter(|_| is_asked))
    }

    /// A job that was made need not read again what the page has just said of its user.
    async fn hand_over(
        &self,
        account: &Account,
        swept: &Swept,
        found: &Found,
        seen_at: Timestamp,
    ) -> Result<(), StoreError> {
        let mut left = found.iter().filter_map(|(step, user)| Some((step, user.as_ref()?)));
        for id in &swept.made {
            let Some(job) = self.parts.store.job(*id).await? else { continue };
            let is_its = |(step, _): &(&Step, &User)| match step {
                Step::Ensure { rule, subject, .. } => job.rule == *rule && job.subject == *subject,
                _ => false,
            };
            if let Some((_, user)) = left.find(is_its) {
                self.parts.facts.listed(&account.id, *id, user.clone(), seen_at);
            }
        }
        Ok(())
    }

    /// The rules that this sweep looks at. One that is stopped would only park what it is asked for.
    async fn wanted<'r>(
        &self,
        account: &Account,
        roster: &'r Roster,
        run: &SweepRun,
    ) -> Result<Vec<&'r Rule>, StoreError> {
        let mut wanted = Vec::new();
        for rule in roster.rules_of(account).iter().filter(|rule| is_of(run.kind, rule)) {
            if run.rule.as_ref().is_none_or(|only| *only == rule.name)
                && (rule.mode == Mode::Observe || !self.parts.store.is_stopped(&account.id, &rule.name).await?)
            {
                wanted.push(rule);
            }
        }
        Ok(wanted)
    }
}
