//! What the rules would change in an account as it is now. Reads Zoom within the share of sweeps, and writes nothing.
//!
//! Users are judged as the rows of the lists have them; only where that is not enough is one read by itself, once for all
//! rules. Zoom lists no meetings of an account, only those of a host: they are looked at where somebody asks for them.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::Parts;
use super::walk::Walk;
use crate::account::{Account, UserKey};
use crate::clock::Timestamp;
use crate::job::Subject;
use crate::rules::{Rule, SubjectKind};
use crate::store::{SweepRecord, SweepStep};
use crate::work::{Around, Need, Picture, PlanScope, PlannedAccount, PlannedMeetings, PlannedRule, Verdict, judge};
use crate::zoom::{Assistant, Page, Status, User, Zoom, ZoomError};

/// Users in a page, the most that Zoom is sure to give.
const PAGE_USERS: u32 = 300;
/// Reads for one user and rule; each is needed once.
const READS_MAX: usize = 64;
/// The shortest wait for a rate limit.
const LIMITED_MIN: Duration = Duration::from_millis(250);

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
    let rules: Vec<&Rule> = roster.rules().iter().filter(|rule| scope.is_about(rule)).collect();
    let zoom = parts.zooms.sweeping(&account.id).ok_or("the account is not held")?;
    let look = Look { parts, account, zoom: &*zoom };
    let planned = look.all(&rules, &scope.meetings).await;
    look.record().await?;
    let mut planned = planned.map_err(|error| error.to_string())?;
    // What observes only because nobody has planned it, this may be the plan for.
    for rule in &mut planned.rules {
        rule.is_enforced |= roster.unplanned().iter().any(|name| name.as_str() == rule.rule);
    }
    Ok(planned.priced(account.plan, share_percent))
}

pub(super) struct Look<'a> {
    pub(super) parts: &'a Parts,
    pub(super) account: &'a Account,
    pub(super) zoom: &'a dyn Zoom,
}

impl Look<'_> {
    /// What was asked is on record, whatever it came to.
    pub(super) async fn record(&self) -> Result<(), String> {
        let (app, account) = (self.account.app.clone(), self.account.id.clone());
        let record = SweepRecord { app, account, step: SweepStep::Called, calls: self.zoom.calls() };
        let recorded = self.parts.store.record_sweep(record, self.parts.clock.now()).await;
        recorded.map(drop).map_err(|error| error.to_string())
    }

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
            let (mut token, mut walk) = (None, Walk::default());
            loop {
                let page = match self.zoom.users(status, Page { size: PAGE_USERS, token: token.clone() }).await {
                    Err(ZoomError::Limited { until, .. }) => {
                        self.wait(until).await;
                        continue;
                    }
                    page => page?,
                };
                walk = walk.step(page.users.len(), (token.as_ref(), page.next.as_ref()), page.total)?;
                for user in page.users {
                    users = users.saturating_add(1);
                    let subject = Subject::User { id: user.id.clone(), email: user.email.clone() };
                    if status == Status::Active {
                        active.extend(key_of(&subject).ok());
                    }
                    let mut picture = Self::listed(user, &granted);
                    for (rule, planned) in rules.iter().zip(&mut planned) {
                        let verdict = self.verdict(rule, &subject, around, &mut picture).await?;
                        planned.add(rule, subject.to_string(), &verdict);
                    }
                }
                token = page.next;
                if token.is_none() {
                    break;
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
            let (mut token, mut walk) = (None, Walk::default());
            loop {
                let page = match self.zoom.meetings(host, Page { size: PAGE_USERS, token: token.clone() }).await {
                    Err(ZoomError::Limited { until, .. }) => {
                        self.wait(until).await;
                        continue;
                    }
                    page => page?,
                };
                walk = walk.step(page.rows.len(), (token.as_ref(), page.next.as_ref()), page.total)?;
                for row in page.rows {
                    // A meeting that recurs is listed more than once.
                    if !seen.insert(row.id) {
                        continue;
                    }
                    let (subject, mut picture) = (Subject::Meeting { id: row.id }, Picture::default());
                    for (rule, planned) in rules.iter().zip(&mut planned) {
                        let verdict = self.verdict(rule, &subject, around, &mut picture).await?;
                        planned.add(rule, subject.to_string(), &verdict);
                    }
                }
                token = page.next;
                if token.is_none() {
                    break;
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

    /// Reads until there is a verdict. A user that Zoom does not know any more is left without one.
    pub(super) async fn verdict(
        &self,
        rule: &Rule,
        subject: &Subject,
        around: &mut Around<'_>,
        picture: &mut Picture,
    ) -> Result<Verdict, ZoomError> {
        let mut reads = 0;
        while reads < READS_MAX {
            let need = match judge(rule, around, picture) {
                Verdict::Needs(need) => need,
                verdict => return Ok(verdict),
            };
            match self.read(&need, subject, around, picture).await {
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

    async fn read(
        &self,
        need: &Need,
        subject: &Subject,
        around: &mut Around<'_>,
        picture: &mut Picture,
    ) -> Result<(), ZoomError> {
        let (facts, id, now) = (&self.parts.facts, &self.account.id, self.parts.clock.now());
        match need {
            Need::Groups => around.groups = Some(facts.groups(id, self.zoom, now).await?),
            Need::ApiUser(key) => around.learn(facts.api_user(id, key, self.zoom, now).await?),
            Need::User => {
                (picture.user, picture.is_listed_row) = (Some(self.zoom.user(&key_of(subject)?).await?), false);
            }
            Need::Assistants => picture.assistants = Some(self.zoom.assistants(&key_of(subject)?).await?),
            Need::Settings => picture.settings = Some(self.zoom.user_settings(&key_of(subject)?).await?),
            Need::Meeting => {
                let Subject::Meeting { id } = subject else { return Err(unnamed()) };
                picture.meeting = Some(self.zoom.meeting(*id).await?);
            }
            Need::Host => {
                let host = picture.meeting.as_ref().and_then(|meeting| meeting.host_id.clone()).ok_or_else(unnamed)?;
                picture.host = Some(self.zoom.user(&UserKey::Id(host)).await?);
            }
        }
        Ok(())
    }

    async fn wait(&self, until: Timestamp) {
        let clock = &self.parts.clock;
        clock.sleep_until(until.max(clock.now().plus(LIMITED_MIN))).await;
    }
}

fn key_of(subject: &Subject) -> Result<UserKey, ZoomError> {
    match subject {
        Subject::User { id: Some(id), .. } => Ok(UserKey::Id(id.clone())),
        Subject::User { email: Some(email), .. } => Ok(UserKey::Email(email.clone())),
        _ => Err(unnamed()),
    }
}

fn unnamed() -> ZoomError {
    ZoomError::NotFound("nothing says who or what is meant".to_owned())
}
