//! Who may schedule for whom in the two schools.

use std::sync::atomic::Ordering;

use adjutant::account::UserKey;
use adjutant::ids::AccountId;
use adjutant::web::admin::assistants::{
    AddedView, KnowsAssistants, PeopleOf, PeopleView, PersonView, PrivilegeView, RemovedView, VerdictView,
    VerifiedView, Withdrawing,
};
use adjutant::web::admin::users::KnowsUsers as _;
use adjutant::web::admin::{ApiProblem, Caller};
use async_trait::async_trait;

use super::{Fakes, person};

impl Fakes {
    /// The user, and somebody who is on each of the two lists.
    async fn both(&self, account: &AccountId, user: &UserKey) -> Result<(PersonView, PersonView), ApiProblem> {
        let user = self.show(account, user).await?;
        let (id, email) = person(account.as_str(), 8);
        let user = PersonView { id: user.id, email: user.email, is_api_user: false };
        Ok((user, PersonView { id: Some(id), email: Some(email), is_api_user: true }))
    }
}

#[async_trait]
impl KnowsAssistants for Fakes {
    async fn people(&self, account: &AccountId, user: &UserKey, _: PeopleOf) -> Result<PeopleView, ApiProblem> {
        let (user, other) = self.both(account, user).await?;
        Ok(PeopleView { user, people: vec![other] })
    }

    async fn add(
        &self,
        account: &AccountId,
        user: &UserKey,
        _: Vec<UserKey>,
        _: &Caller,
        is_check: bool,
    ) -> Result<AddedView, ApiProblem> {
        let (user, _) = self.both(account, user).await?;
        self.0.fetch_add(usize::from(!is_check), Ordering::Relaxed);
        Ok(AddedView { user, assistants: Vec::new(), may: "nothing".to_owned(), is_done: !is_check })
    }

    async fn withdraw(
        &self,
        account: &AccountId,
        user: &UserKey,
        _: Withdrawing,
        _: &Caller,
        is_check: bool,
    ) -> Result<RemovedView, ApiProblem> {
        let (user, assistant) = self.both(account, user).await?;
        self.0.fetch_add(usize::from(!is_check), Ordering::Relaxed);
        let lost = vec![PrivilegeView { assistant, user: user.clone() }];
        Ok(RemovedView { user, lost, rules: vec!["r".to_owned()], is_done: !is_check })
    }

    async fn verify(
        &self,
        account: &AccountId,
        user: &UserKey,
        _: Option<UserKey>,
    ) -> Result<VerifiedView, ApiProblem> {
        let (user, other) = self.both(account, user).await?;
        let assistant = other.name().to_owned();
        let verdict = VerdictView { assistant, facts: Vec::new(), can_schedule: true, missing: None, to_do: None };
        Ok(VerifiedView { user, verdicts: vec![verdict] })
    }
}
