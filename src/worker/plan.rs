//! What the rules would change in an account as it is now. Reads Zoom within the share of sweeps, and writes nothing.
//!
//! Users are judged as the rows of the lists have them; only where that is not enough is one read by itself, once for all
//! rules. Meetings are not listed: rules about them are left out.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::Parts;
use crate::account::{Account, UserKey};
use crate::clock::Timestamp;
use crate::ids::RuleName;
use crate::job::Subject;
use crate::rules::{Rule, SubjectKind};
use crate::store::{SweepRecord, SweepStep};
use crate::work::{Around, Need, Picture, PlannedAccount, PlannedRule, Verdict, judge};
use crate::zoom::{Assistant, Page, Status, User, Zoom, ZoomError};

/// Users in a page, the most that Zoom is sure to give.
const PAGE_USERS: u32 = 300;
/// Reads for one user and rule; each is needed once.
const READS_MAX: usize = 64;
/// The shortest wait for a rate limit.
const LIMITED_MIN: Duration = Duration::from_millis(250);

/// What the rules, or the one that is named, would change.
pub async fn plan(
    parts: &Parts,
    account: &Account,
    only: Option<&RuleName>,
    share_percent: u8,
) -> Result<PlannedAccount, String> {
    let roster = Arc::clone(&parts.roster.borrow());
    let is_meant = |rule: &&Rule| rule.subject == SubjectKind::User && only.is_none_or(|only| rule.name == *only);
    let rules: Vec<&Rule> = roster.rules().iter().filter(is_meant).collect();
    let zoom = parts.zooms.sweeping(&account.id).ok_or("the account is not held")?;
    let look = Look { parts, account, zoom: &*zoom };
    let planned = look.all(&rules).await;
    // What was asked is on record, whatever it came to.
    let (app, id) = (account.app.clone(), account.id.clone());
    let record = SweepRecord { app, account: id, step: SweepStep::Called, calls: zoom.calls() };
    parts.store.record_sweep(record, parts.clock.now()).await.map_err(|error| error.to_string())?;
    let mut planned = planned.map_err(|error| error.to_string())?;
    // What observes only because nobody has planned it, this may be the plan for.
    for rule in &mut planned.rules {
        rule.is_enforced |= roster.unplanned().iter().any(|name| name.as_str() == rule.rule);
    }
    Ok(planned.priced(account.plan, share_percent))
}

struct Look<'a> {
    parts: &'a Parts,
    account: &'a Account,
    zoom: &'a dyn Zoom,
}

impl Look<'_> {
    async fn all(&self, rules: &[&Rule]) -> Result<PlannedAccount, ZoomError> {
        let mut around = self.parts.facts.around(self.account, self.parts.clock.now());
        let mut planned: Vec<PlannedRule> = rules.iter().map(|rule| PlannedRule::new(rule)).collect();
        let granted = self.granted(rules).await?;
        let mut users = 0_u64;
        for status in [Status::Active, Status::Inactive, Status::Pending] {
            let mut token = None;
            loop {
                let page = match self.zoom.users(status, Page { size: PAGE_USERS, token: token.clone() }).await {
                    Err(ZoomError::Limited { until, .. }) => {
                        self.wait(until).await;
                        continue;
                    }
                    page => page?,
                };
                for user in page.users {
                    users = users.saturating_add(1);
                    let subject = Subject::User { id: user.id.clone(), email: user.email.clone() }.to_string();
                    let mut picture = Self::listed(user, &granted);
                    for (rule, planned) in rules.iter().zip(&mut planned) {
                        let verdict = self.verdict(rule, &mut around, &mut picture).await?;
                        planned.add(rule, subject.clone(), &verdict);
                    }
                }
                token = page.next;
                if token.is_none() {
                    break;
                }
            }
        }
        let account = self.account.id.to_string();
        Ok(PlannedAccount { account, users, rules: planned, ..PlannedAccount::default() })
    }

    /// Who granted each of the account's API users, where a rule wants that: one call for each.
    async fn granted(&self, rules: &[&Rule]) -> Result<Vec<(UserKey, HashSet<String>)>, ZoomError> {
        let mut granted = Vec::new();
        if rules.iter().all(|rule| rule.ensure.assistants.is_empty()) {
            return Ok(granted);
        }
        for key in &self.account.api_users {
            let listed = loop {
                match self.zoom.schedulers(key).await {
                    Err(ZoomError::Limited { until, .. }) => self.wait(until).await,
                    Err(ZoomError::NotFound(_)) => break Vec::new(),
                    listed => break listed?,
                }
            };
            let ids = listed.iter().filter_map(|one| one.id.as_ref().map(ToString::to_string));
            let emails = listed.iter().filter_map(|one| one.email.as_ref().map(ToString::to_string));
            granted.push((key.clone(), ids.chain(emails).collect()));
        }
        Ok(granted)
    }

    /// What the lists say of a user. Who is on a list of schedulers is sure; who is not has to be asked for.
    fn listed(user: User, granted: &[(UserKey, HashSet<String>)]) -> Picture {
        let is_on = |list: &HashSet<String>| {
            user.id.as_ref().is_some_and(|id| list.contains(id.as_str()))
                || user.email.as_ref().is_some_and(|email| list.contains(email.as_str()))
        };
        let has_all = !granted.is_empty() && granted.iter().all(|(_, list)| is_on(list));
        let named = |(key, _): &(UserKey, HashSet<String>)| match key {
            UserKey::Id(id) => Assistant { id: Some(id.clone()), email: None },
            UserKey::Email(email) => Assistant { id: None, email: Some(email.clone()) },
        };
        let assistants = has_all.then(|| granted.iter().map(named).collect());
        Picture { user: Some(user), is_listed_row: true, assistants, ..Picture::default() }
    }

    /// Reads until there is a verdict. A user that Zoom does not know any more is left without one.
    async fn verdict(&self, rule: &Rule, around: &mut Around<'_>, picture: &mut Picture) -> Result<Verdict, ZoomError> {
        let mut reads = 0;
        while reads < READS_MAX {
            let need = match judge(rule, around, picture) {
                Verdict::Needs(need) => need,
                verdict => return Ok(verdict),
            };
            match self.read(&need, around, picture).await {
                Err(ZoomError::Limited { until, .. }) => self.wait(until).await,
                Err(ZoomError::NotFound(_)) => return Ok(Verdict::Needs(need)),
                read => {
                    read?;
                    reads += 1;
                }
            }
        }
        Ok(Verdict::Needs(Need::User))
    }

    async fn read(&self, need: &Need, around: &mut Around<'_>, picture: &mut Picture) -> Result<(), ZoomError> {
        let (facts, id, now) = (&self.parts.facts, &self.account.id, self.parts.clock.now());
        match need {
            Need::Groups => around.groups = Some(facts.groups(id, self.zoom, now).await?),
            Need::ApiUser(key) => around.learn(facts.api_user(id, key, self.zoom, now).await?),
            Need::User => {
                (picture.user, picture.is_listed_row) = (Some(self.zoom.user(&key_of(picture)?).await?), false);
            }
            Need::Assistants => picture.assistants = Some(self.zoom.assistants(&key_of(picture)?).await?),
            Need::Settings => picture.settings = Some(self.zoom.user_settings(&key_of(picture)?).await?),
            Need::Meeting | Need::Host => return Err(ZoomError::NotFound("meetings are not planned".to_owned())),
        }
        Ok(())
    }

    async fn wait(&self, until: Timestamp) {
        let clock = &self.parts.clock;
        clock.sleep_until(until.max(clock.now().plus(LIMITED_MIN))).await;
    }
}

fn key_of(picture: &Picture) -> Result<UserKey, ZoomError> {
    let user = picture.user.as_ref();
    let id = user.and_then(|user| user.id.clone()).map(UserKey::Id);
    let key = id.or_else(|| user.and_then(|user| user.email.clone()).map(UserKey::Email));
    key.ok_or_else(|| ZoomError::NotFound("a row of the list has neither id nor email".to_owned()))
}
