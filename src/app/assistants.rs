//! Who knows which users may schedule for which, as the admin listener asks it.

use std::sync::Arc;

use super::users::{Known, problem};
use crate::account::UserKey;
use crate::ids::AccountId;
use crate::web::admin::assistants::{
    AddedPersonView, AddedView, FactView, KnowsAssistants, PeopleOf, PeopleView, PersonView, PrivilegeView,
    RemovedView, VerdictView, VerifiedView, Withdrawing,
};
use crate::web::admin::{ApiProblem, Caller};
use crate::work::{Privilege, Who};
use crate::worker::{AddedOne, Came, Grant, List, UsersError, Withdraw};

/// What an assistant may see and do \[D: "Scheduling privilege"]; that the meetings are seen follows from it.
fn may(user: &str) -> String {
    format!(
        "an assistant can schedule meetings for {user}, see and manage all meetings of {user}, and act as their alternative \
         host where the account has co-hosts on"
    )
}

impl From<PeopleOf> for List {
    fn from(of: PeopleOf) -> Self {
        match of {
            PeopleOf::Assistants => Self::Assistants,
            PeopleOf::Schedulers => Self::Schedulers,
        }
    }
}

impl Known {
    fn person(&self, account: &AccountId, who: &Who) -> PersonView {
        let (id, email) = (who.id.as_ref(), who.email.as_ref());
        PersonView {
            id: id.map(ToString::to_string),
            email: email.map(ToString::to_string),
            is_api_user: self.is_api_user(account, (id, email)),
        }
    }

    fn added(&self, account: &AccountId, AddedOne { asked, who, came }: AddedOne) -> AddedPersonView {
        let (state, code, why) = match came {
            Came::Already => ("already", None, None),
            Came::Would => ("would", None, None),
            Came::Added => ("added", None, None),
            Came::Refused { code, why } => (AddedPersonView::REFUSED, Some(code.to_owned()), Some(why)),
        };
        let person = who.map(|who| self.person(account, &who));
        AddedPersonView { asked: asked.to_string(), person, state: state.to_owned(), code, why }
    }
}

fn verdict((asked, Privilege { facts, missing }): (UserKey, Privilege)) -> VerdictView {
    let (missing, to_do) = missing.map(|missing| (missing.what, missing.to_do)).unzip();
    VerdictView {
        assistant: asked.to_string(),
        facts: facts.into_iter().map(|fact| FactView { what: fact.what, holds: fact.holds }).collect(),
        can_schedule: missing.is_none(),
        missing,
        to_do,
    }
}

/// Whoever asked may be gone by then: what was intended gets its outcome all the same.
async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, UsersError>> + Send + 'static,
) -> Result<T, ApiProblem> {
    let done = tokio::spawn(work).await.unwrap_or_else(|error| Err(UsersError::Refused(error.to_string())));
    done.map_err(|error| problem(&error))
}

#[async_trait::async_trait]
impl KnowsAssistants for Known {
    async fn people(&self, account: &AccountId, user: &UserKey, list: PeopleOf) -> Result<PeopleView, ApiProblem> {
        let listed = self.assistants.list(account, user, list.into()).await;
        let (user, people) = listed.map_err(|error| problem(&error))?;
        let people = people.iter().map(|who| self.person(account, who)).collect();
        Ok(PeopleView { user: self.person(account, &user), people })
    }

    async fn add(
        &self,
        account: &AccountId,
        user: &UserKey,
        who: Vec<UserKey>,
        by: &Caller,
        is_check: bool,
    ) -> Result<AddedView, ApiProblem> {
        let (assistants, of, whom) = (Arc::clone(&self.assistants), account.clone(), user.clone());
        let actor = by.actor.clone();
        let added = to_its_end(async move { assistants.add(&of, (&whom, &who), &actor, is_check).await }).await?;
        let user = self.person(account, &added.user);
        let may = may(user.name());
        let assistants = added.each.into_iter().map(|one| self.added(account, one)).collect();
        Ok(AddedView { user, assistants, may, is_done: !is_check })
    }

    async fn withdraw(
        &self,
        account: &AccountId,
        user: &UserKey,
        Withdrawing { list, who, at_most }: Withdrawing,
        by: &Caller,
        is_check: bool,
    ) -> Result<RemovedView, ApiProblem> {
        let (assistants, of, whom) = (Arc::clone(&self.assistants), account.clone(), user.clone());
        let (what, by) = (Withdraw { list: list.into(), who, at_most }, by.into());
        let removed = to_its_end(async move { assistants.remove(&of, (&whom, &what), &by, is_check).await }).await?;
        let view = |Grant { assistant, user }: &Grant| PrivilegeView {
            assistant: self.person(account, assistant),
            user: self.person(account, user),
        };
        Ok(RemovedView {
            user: self.person(account, &removed.user),
            lost: removed.lost.iter().map(view).collect(),
            rules: removed.rules.iter().map(ToString::to_string).collect(),
            is_done: !is_check,
        })
    }

    async fn verify(
        &self,
        account: &AccountId,
        user: &UserKey,
        who: Option<UserKey>,
    ) -> Result<VerifiedView, ApiProblem> {
        let verified = self.assistants.verify(account, user, who.as_ref()).await;
        let verified = verified.map_err(|error| problem(&error))?;
        let verdicts = verified.each.into_iter().map(verdict).collect();
        Ok(VerifiedView { user: self.person(account, &verified.user), verdicts })
    }
}
