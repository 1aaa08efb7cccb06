//! What decides, as the admin listener asks it.

use std::sync::Arc;

use crate::ids::AccountId;
use crate::rules::{Rule, SubjectKind};
use crate::store::StoredDelivery;
use crate::web::admin::Engine;
use crate::work::{AppliedAccount, DecidedNow, NotPlanned, PlanScope, SavedPlan};
use crate::worker::{self, Parts};

#[derive(Debug)]
pub(super) struct Deciding {
    pub(super) parts: Parts,
    /// Of Zoom's rate limits, for sweeps and what they ask for.
    pub(super) share_percent: u8,
}

#[async_trait::async_trait]
impl Engine for Deciding {
    fn rules(&self) -> Vec<Rule> {
        self.parts.roster.borrow().rules().to_vec()
    }

    async fn plan(&self, account: Option<AccountId>, scope: PlanScope) -> Result<SavedPlan, String> {
        let roster = Arc::clone(&self.parts.roster.borrow());
        if let Some(rule) = scope.rule.as_ref().filter(|rule| roster.rule(rule).is_none()) {
            return Err(format!("there is no rule {rule}"));
        }
        let named = scope.rule.as_ref().and_then(|rule| roster.rule(rule));
        if let Some(rule) = named.filter(|rule| !scope.is_about(rule)) {
            if rule.on.is_some() {
                return Err(format!("rule {} is about events: give --since, as in --since 7d", rule.name));
            }
            let kind =
                if rule.subject == SubjectKind::Meeting { "meetings: give --meetings or --host" } else { "users" };
            return Err(format!("rule {} is about {kind}", rule.name));
        }
        let (mut planned, mut failed) = (Vec::new(), Vec::new());
        for one in roster.accounts().filter(|one| account.as_ref().is_none_or(|account| one.id == *account)) {
            match worker::plan(&self.parts, one, &scope, self.share_percent).await {
                Ok(of) => planned.push(of),
                Err(why) => failed.push(NotPlanned { account: one.id.to_string(), why }),
            }
        }
        if planned.is_empty() {
            let first = failed.first().map(|one| format!("account {}: {}", one.account, one.why));
            let none = match &account {
                Some(account) => format!("no app holds such an account: {account}"),
                None => "no account is served yet: `adjutant accounts invite` or `adjutant accounts add` brings one"
                    .to_owned(),
            };
            return Err(first.unwrap_or(none));
        }
        let hashes =
            roster.hashes().into_iter().filter(|(name, _)| roster.rule(name).is_some_and(|rule| scope.is_about(rule)));
        Ok(SavedPlan::new(hashes.collect(), planned, self.parts.clock.now()).without(failed))
    }

    async fn decide(&self, delivery: &StoredDelivery) -> Result<Vec<DecidedNow>, String> {
        worker::decide(&self.parts, delivery).await
    }

    async fn apply(&self, plan: &SavedPlan, by: &str, is_check: bool) -> Result<Vec<AppliedAccount>, String> {
        worker::apply(&self.parts, plan, by, is_check).await
    }
}
