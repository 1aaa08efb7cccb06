//! Assistants of a user, and schedulers: for whom the user may schedule. As a person looks at them, adds and removes them.
//!
//! Guarantees: what is changed was intended on disk before, with who told it, and is claimed only when it was read back; of each
//! person it is said what came of it; who loses access is named before, and so is a rule that would grant it again. What is as
//! asked for already is success.

mod add;
mod remove;

pub use add::{Added, AddedOne, Came};
pub use remove::{Removed, Withdraw};

use super::Parts;
use super::look::Look;
use super::onboard::called;
use super::users::{UsersError, held, known, read};
use crate::account::{Account, UserKey};
use crate::ids::{AccountId, RuleName};
use crate::job::Subject;
use crate::rules::{Ensure, Rule, SubjectKind};
use crate::work::{Picture, Privilege, Sides, Verdict, Who, grants};
use crate::zoom::{Assistant, Edit, User, Zoom, ZoomError};

/// Which of the two lists of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum List {
    /// Who may schedule for the user.
    Assistants,
    /// For whom the user may schedule: Zoom's word.
    Schedulers,
}

/// Somebody may schedule for somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    pub assistant: Who,
    pub user: Who,
}

/// What one user can do for another, as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    pub user: Who,
    pub each: Vec<(UserKey, Privilege)>,
}

/// Looks, adds and removes.
#[derive(Debug)]
pub struct Assistants {
    parts: Parts,
}

/// Whose list of assistants is looked at, with whoever is left on it.
struct Host {
    user: User,
    left: Vec<Assistant>,
}

impl Assistants {
    pub const fn new(parts: Parts) -> Self {
        Self { parts }
    }

    /// The user, and everybody on this list; Zoom may cut a long one of schedulers short.
    pub async fn list(&self, account: &AccountId, user: &UserKey, list: List) -> Result<(Who, Vec<Who>), UsersError> {
        let (account, zoom) = held(&self.parts, account)?;
        let listed = listed(&*zoom, &account, user, list).await;
        called(&self.parts, &account, zoom.calls()).await?;
        listed
    }

    /// Whether this one can schedule for the user; where nobody is named, each API user of the account.
    pub async fn verify(
        &self,
        account: &AccountId,
        user: &UserKey,
        who: Option<&UserKey>,
    ) -> Result<Verified, UsersError> {
        let (account, zoom) = held(&self.parts, account)?;
        let verified = self.verified(&account, &*zoom, user, who).await;
        called(&self.parts, &account, zoom.calls()).await?;
        verified
    }

    async fn verified(
        &self,
        account: &Account,
        zoom: &dyn Zoom,
        key: &UserKey,
        who: Option<&UserKey>,
    ) -> Result<Verified, UsersError> {
        let asked = who.map_or_else(|| account.api_users.clone(), |who| vec![who.clone()]);
        if asked.is_empty() {
            let why = format!("account {} has no API user: say who is meant with assistant", account.id);
            return Err(UsersError::Refused(why));
        }
        let user = read(zoom, account, key).await?;
        let host = Who::from(&user);
        let left = match zoom.assistants(&host.key().unwrap_or_else(|| key.clone())).await {
            // Nobody can be on it.
            Err(ZoomError::Pending(_) | ZoomError::NotFound(_)) => Vec::new(),
            left => left?,
        };
        let there: Vec<Who> = left.iter().cloned().map(Who::from).collect();
        let of = Host { user, left };
        let mut each = Vec::new();
        for asked in asked {
            let assistant = known(zoom, account, &asked).await?;
            let grant = assistant.as_ref().map(|user| Grant { assistant: Who::from(user), user: host.clone() });
            let is_there = |grant: &Grant| there.iter().any(|one| one.is(&grant.assistant));
            let missing: Vec<Grant> = grant.into_iter().filter(|grant| !is_there(grant)).collect();
            let rules = self.rules_for(account, zoom, &missing, Some(&of)).await?;
            let (account, user, assistant) = (&account.id, &of.user, assistant.as_ref());
            let sides = Sides { account, user, asked: &asked, assistant, there: &there, rules: &rules };
            let found = Privilege::of(&sides);
            each.push((asked, found));
        }
        Ok(Verified { user: host, each })
    }

    /// The rules that would make these grants where they are not: judged where all are of one host, and else those that
    /// are about such grants at all. What keeps such a rule from it for now, as a licence that is missing, may end.
    async fn rules_for(
        &self,
        account: &Account,
        zoom: &dyn Zoom,
        of: &[Grant],
        host: Option<&Host>,
    ) -> Result<Vec<RuleName>, UsersError> {
        let roster = std::sync::Arc::clone(&self.parts.roster.borrow());
        let mut would = Vec::new();
        for rule in roster.rules_of(account).iter().filter(|rule| rule.subject == SubjectKind::User) {
            let is_granted =
                |one: &Grant| grants(rule, account, (one.assistant.id.as_ref(), one.assistant.email.as_ref()));
            let granted: Vec<&Grant> = of.iter().filter(|one| is_granted(one)).collect();
            let is_meant = match host {
                _ if granted.is_empty() => false,
                // What the next such event says, nobody knows.
                Some(host) if rule.on.is_none() => self.is_wanted(account, zoom, rule, host, &granted).await?,
                _ => true,
            };
            if is_meant {
                would.push(rule.name.clone());
            }
        }
        Ok(would)
    }

    async fn is_wanted(
        &self,
        account: &Account,
        zoom: &dyn Zoom,
        rule: &Rule,
        host: &Host,
        granted: &[&Grant],
    ) -> Result<bool, UsersError> {
        let subject = Subject::User { id: host.user.id.clone(), email: host.user.email.clone() };
        let assistants = rule.ensure.assistants.clone();
        let rule = Rule { ensure: Ensure { assistants, ..Ensure::default() }, ..rule.clone() };
        let mut around = self.parts.facts.around(account, self.parts.clock.now());
        let (user, left) = (Some(host.user.clone()), Some(host.left.clone()));
        let mut picture = Picture { user, assistants: left, ..Picture::of(&subject) };
        let look = Look { parts: &self.parts, account, zoom };
        Ok(match look.verdict(&rule, &subject, &mut around, &mut picture).await? {
            Verdict::Right | Verdict::NotApplicable(_) => false,
            Verdict::Differs(found) => found.iter().any(|one| match &one.edit {
                Edit::AddAssistants { who, .. } => {
                    who.iter().any(|key| granted.iter().any(|grant| grant.assistant.is_named(key)))
                }
                _ => false,
            }),
            _ => true,
        })
    }
}

async fn listed(zoom: &dyn Zoom, account: &Account, key: &UserKey, list: List) -> Result<(Who, Vec<Who>), UsersError> {
    let user = Who::from(&read(zoom, account, key).await?);
    let of = user.key().unwrap_or_else(|| key.clone());
    let people = match list {
        List::Assistants => zoom.assistants(&of).await?.into_iter().map(Who::from).collect(),
        List::Schedulers => zoom.schedulers(&of).await?.into_iter().map(Who::from).collect(),
    };
    Ok((user, people))
}

/// As it stands on record.
fn subject(of: &Who) -> String {
    Subject::User { id: of.id.clone(), email: of.email.clone() }.to_string()
}

/// Names that stand on record at most: who may schedule for a whole account is one of many.
const NAMED_MAX: usize = 100;

fn names<'a>(people: impl ExactSizeIterator<Item = &'a Who>) -> String {
    let more = people.len().saturating_sub(NAMED_MAX);
    let named: Vec<String> = people.take(NAMED_MAX).map(ToString::to_string).collect();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", named.join(", "))
}
