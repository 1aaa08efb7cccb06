//! What decides, as the admin listener asks it.

use std::sync::Arc;

use crate::ids::{AccountId, RuleName};
use crate::rules::Rule;
use crate::web::admin::Engine;
use crate::work::{AppliedAccount, SavedPlan};
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

    async fn plan(&self, account: Option<AccountId>, rule: Option<RuleName>) -> Result<SavedPlan, String> {
        let roster = Arc::clone(&self.parts.roster.borrow());
        if let Some(rule) = rule.as_ref().filter(|rule| roster.rule(rule).is_none()) {
            return Err(format!("there is no rule {rule}"));
        }
        let mut planned = Vec::new();
        for one in roster.accounts().filter(|one| account.as_ref().is_none_or(|account| one.id == *account)) {
            let of = worker::plan(&self.parts, one, rule.as_ref(), self.share_percent).await;
            planned.push(of.map_err(|why| format!("account {}: {why}", one.id))?);
        }
        if planned.is_empty() {
            return Err("no app holds such an account".to_owned());
        }
        let hashes = roster.hashes().into_iter().filter(|(name, _)| rule.as_ref().is_none_or(|rule| rule == name));
        Ok(SavedPlan::new(hashes.collect(), planned, self.parts.clock.now()))
    }

    async fn apply(&self, plan: &SavedPlan, by: &str, is_check: bool) -> Result<Vec<AppliedAccount>, String> {
        worker::apply(&self.parts, plan, by, is_check).await
    }
}
