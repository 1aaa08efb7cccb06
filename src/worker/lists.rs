//! What a sweep compares users with: what Zoom's lists say of them.

use std::collections::HashSet;
use std::sync::Arc;

use super::sweeper::{Fault, Sweeper};
use crate::account::{Account, UserKey};
use crate::ids::{Email, UserId};
use crate::job::Subject;
use crate::rules::{self, Rule, Step, SubjectKind};
use crate::work::api_user_gone;
use crate::zoom::{Status, User, Zoom, ZoomError};

/// An API user, and who granted it.
#[derive(Debug)]
pub(super) struct Granted {
    key: UserKey,
    ids: HashSet<UserId>,
    emails: HashSet<Email>,
}

impl Granted {
    fn by(&self, user: &User) -> bool {
        user.id.as_ref().is_some_and(|id| self.ids.contains(id))
            || user.email.as_ref().is_some_and(|email| self.emails.contains(email))
    }
}

impl Sweeper {
    /// What the rule asks for, where the lists say that it is not true for this user.
    pub(super) async fn compare(
        &self,
        account: &Account,
        rule: &Rule,
        user: &User,
        granted: &[Granted],
        zoom: &dyn Zoom,
    ) -> Result<Option<Step>, Fault> {
        let facts = &self.parts.facts;
        let excepted = user.email.as_ref().is_some_and(|email| rule.except.contains(email));
        if excepted || !user.is_licensed() || user.status != Status::Active {
            return Ok(None);
        }
        if let Some(key) = facts.is_api_user(account, user.id.as_ref(), user.email.as_ref()) {
            facts.saw_api_user(&account.id, &key, user.clone(), self.parts.clock.now());
            return Ok(None);
        }
        let subject = Subject::User { id: user.id.clone(), email: user.email.clone() };
        if facts.is_answered(&account.id, &rule.name, &subject, self.parts.clock.now()) {
            return Ok(None);
        }
        for one in granted {
            if !one.by(user) && self.is_usable(account, &one.key, zoom).await? {
                let steps = rules::for_subject(SubjectKind::User, &subject, std::slice::from_ref(rule));
                return Ok(steps.into_iter().next());
            }
        }
        Ok(None)
    }

    /// Whether anybody could be given this API user now; where not, somebody is told, once.
    async fn is_usable(&self, account: &Account, key: &UserKey, zoom: &dyn Zoom) -> Result<bool, Fault> {
        let (facts, now) = (&self.parts.facts, self.parts.clock.now());
        let found = facts.api_user(&account.id, key, zoom, now).await?;
        if let Some(why) = &found.unusable
            && facts.set_reported(&account.id, key)
        {
            self.parts.store.note(api_user_gone(account, key, found.id.as_ref(), why), now).await?;
        }
        Ok(found.unusable.is_none())
    }

    /// One call for each API user. Where Zoom cuts its list short, the users that are not on it get jobs, which ask for each
    /// and find it right; that they did is remembered for a day.
    pub(super) async fn granted(&self, account: &Account, zoom: &dyn Zoom) -> Result<Arc<Vec<Granted>>, ZoomError> {
        if let Some(granted) = self.with(&account.id, |known| known.granted.clone()) {
            return Ok(granted);
        }
        let mut all = Vec::new();
        for key in &account.api_users {
            let schedulers = match zoom.schedulers(key).await {
                Err(ZoomError::NotFound(_)) => Vec::new(),
                listed => listed?,
            };
            let mut one = Granted { key: key.clone(), ids: HashSet::new(), emails: HashSet::new() };
            for scheduler in schedulers {
                match (scheduler.id, scheduler.email) {
                    (Some(id), _) => drop(one.ids.insert(id)),
                    (None, Some(email)) => drop(one.emails.insert(email)),
                    (None, None) => {}
                }
            }
            all.push(one);
        }
        let all = Arc::new(all);
        self.with(&account.id, |known| known.granted = Some(Arc::clone(&all)));
        Ok(all)
    }
}
