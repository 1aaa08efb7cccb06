//! What the rules would change in an account as it is now. Reads Zoom within the share of sweeps, and writes nothing.
//!
//! Users are judged as the rows of the lists have them; only where that is not enough is one read by itself, once for all
//! rules. Zoom lists no meetings of an account, only those of a host: they are looked at where somebody asks for them.

use std::collections::HashSet;
use std::sync::Arc;

use super::Parts;
use super::look::{Look, user_key};
use super::since::happened;
use super::walk::Pages;
use crate::account::{Account, UserKey};
use crate::job::Subject;
use crate::rules::{Rule, SubjectKind};
use crate::work::{Around, Picture, PlanScope, PlannedAccount, PlannedMeetings, PlannedRule};
use crate::zoom::{Assistant, Status, User, Which, ZoomError};

/// Users or meetings in a page, the most that Zoom is sure to give.
const PAGE_ROWS: u32 = 300;

/// What the rules would change. Whoever asked and went away leaves it to its end, so that its calls are on record.
pub async fn plan(
    parts: &Parts,
    account: &Account,
    scope: &PlanScope,
    share_percent: u8,
) -> Result<PlannedAccount, String> {
    let only = parts.facts.begin_plan(&account.id).ok_or("a plan of it is being made already")?;
    let (parts, account, scope) = (parts.clone(), account.clone(), scope.clone());
    let planning = tokio::spawn(async move {
        let planned = make(&parts, &account, &scope, share_percent).await;
        drop(only);
        planned
    });
    planning.await.map_err(|error| format!("the plan failed: {error}"))?
}

async fn make(
    parts: &Parts,
    account: &Account,
    scope: &PlanScope,
    share_percent: u8,
) -> Result<PlannedAccount, String> {
    let roster = Arc::clone(&parts.roster.borrow());
    let rules: Vec<&Rule> = roster.rules_of(account).iter().filter(|rule| scope.is_about(rule)).collect();
    let zoom = parts.zooms.sweeping(&account.id).ok_or("the account is not held")?;
    let look = Look { parts, account, zoom: &*zoom };
    let planned = match scope.since {
        Some(since) => {
            let happened = happened(parts, &roster, account, since).await.map_err(|error| error.to_string())?;
            look.since(&rules, happened).await
        }
        None => look.all(&rules, &scope.meetings).await,
    };
    look.record().await?;
    let mut planned = planned.map_err(|error| error.to_string())?;
    // What observes only because nobody has planned it, this may be the plan for.
    for rule in &mut planned.rules {
        rule.is_enforced |= roster.unplanned().iter().any(|name| name.as_str() == rule.rule);
    }
    Ok(planned.priced(account.plan, share_percent))
}

impl Look<'_> {
    async fn all(&self, rules: &[&Rule], meetings: &PlannedMeetings) -> Result<PlannedAccount, ZoomError> {
        let mut around = self.parts.facts.around(self.account, self.parts.clock.now());
        let of = |kind| rules.iter().copied().filter(move |rule| rule.subject == kind).collect::<Vec<_>>();
        let (user_rules, meeting_rules) = (of(SubjectKind::User), of(SubjectKind::Meeting));
        let mut planned = PlannedAccount { account: self.account.id.to_string(), ..PlannedAccount::default() };
        let mut hosts = Vec::new();
        if let PlannedMeetings::Of(host) = meetings {
            hosts.push(host.clone());
        } else {
            let active = self.users(&user_rules, &mut around, &mut planned).await?;
            if *meetings == PlannedMeetings::All && !meeting_rules.is_empty() {
                hosts = active;
            }
        }
        if *meetings != PlannedMeetings::None {
            let mut of_meetings = Vec::new();
            planned.meetings = Some(self.meetings(&hosts, &meeting_rules, &mut around, &mut of_meetings).await?);
            planned.rules.extend(of_meetings);
        }
        Ok(planned)
    }

    /// All users; those that are active.
    async fn users(
        &self,
        rules: &[&Rule],
        around: &mut Around<'_>,
        into: &mut PlannedAccount,
    ) -> Result<Vec<UserKey>, ZoomError> {
        let mut planned: Vec<PlannedRule> = rules.iter().map(|rule| PlannedRule::new(rule)).collect();
        let granted = self.granted(rules).await?;
        let (mut users, mut active) = (0_u64, Vec::new());
        for status in [Status::Active, Status::Inactive, Status::Pending] {
            let mut pages = Pages::of(PAGE_ROWS);
            while let Some(page) = pages.wanted() {
                let page = match self.zoom.users(status, page).await {
                    Err(ZoomError::Limited { until, .. }) => {
                        self.wait(until).await;
                        continue;
                    }
                    page => page?,
                };
                pages.read(page.users.len(), page.next, page.total)?;
                for user in page.users {
                    users = users.saturating_add(1);
                    let subject = Subject::User { id: user.id.clone(), email: user.email.clone() };
                    if status == Status::Active {
                        active.extend(user_key(&subject));
                    }
                    let picture = Self::listed(user, &granted);
                    self.ask(rules.iter().copied().zip(&mut planned), &subject, around, picture).await?;
                }
            }
        }
        (into.users, into.rules) = (users, planned);
        Ok(active)
    }

    /// The upcoming meetings of these hosts; how many those are.
    async fn meetings(
        &self,
        hosts: &[UserKey],
        rules: &[&Rule],
        around: &mut Around<'_>,
        into: &mut Vec<PlannedRule>,
    ) -> Result<u64, ZoomError> {
        let mut planned: Vec<PlannedRule> = rules.iter().map(|rule| PlannedRule::new(rule)).collect();
        let mut seen = HashSet::new();
        for host in hosts {
            let mut pages = Pages::of(PAGE_ROWS);
            while let Some(page) = pages.wanted() {
                let page = match self.zoom.meetings(host, Which::Upcoming, page).await {
                    Err(ZoomError::Limited { until, .. }) => {
                        self.wait(until).await;
                        continue;
                    }
                    page => page?,
                };
                pages.read(page.rows.len(), page.next, page.total)?;
                for row in page.rows {
                    // A meeting that recurs is listed more than once.
                    if seen.insert(row.id) {
                        let (subject, rules) = (Subject::Meeting { id: row.id }, rules.iter().copied());
                        self.ask(rules.zip(&mut planned), &subject, around, Picture::default()).await?;
                    }
                }
            }
        }
        into.extend(planned);
        Ok(u64::try_from(seen.len()).unwrap_or(u64::MAX))
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
}
