//! The sweeper, as the admin listener shows it.

use std::sync::Arc;

use crate::account::Account;
use crate::clock::Clock;
use crate::ids::{AccountId, RuleName};
use crate::store::StoreError;
use crate::web::admin::sweeps::{SweepFailedView, SweepKindView, SweepView, Sweeps};
use crate::worker::{KindStanding, Order, Standing, Sweeper};

#[derive(Debug)]
pub(super) struct Swept {
    pub(super) sweeper: Arc<Sweeper>,
    pub(super) clock: Arc<dyn Clock>,
}

#[async_trait::async_trait]
impl Sweeps for Swept {
    async fn list(&self) -> Result<Vec<SweepView>, StoreError> {
        let mut views = Vec::new();
        for account in self.sweeper.accounts() {
            views.push(self.view(&account, self.sweeper.standing(&account).await?));
        }
        views.sort_by(|one, other| one.account.cmp(&other.account));
        Ok(views)
    }

    async fn of(&self, account: &AccountId) -> Result<Option<SweepView>, StoreError> {
        match self.sweeper.account(account) {
            Some(account) => Ok(Some(self.view(&account, self.sweeper.standing(&account).await?))),
            None => Ok(None),
        }
    }

    async fn ask(&self, account: &AccountId, rule: Option<RuleName>, is_dry: bool) -> Result<bool, StoreError> {
        self.sweeper.ask(account, Order { rule, is_dry }).await
    }

    fn is_not_swept(&self, rule: Option<&RuleName>) -> Option<String> {
        self.sweeper.is_not_swept(rule)
    }
}

impl Swept {
    fn view(&self, account: &Account, standing: Standing) -> SweepView {
        let Standing { state, is_asked, kinds } = standing;
        let word = match &state.run {
            Some(_) => "runs",
            None if kinds.is_empty() => "off",
            None if is_asked => "asked",
            None => "waits",
        };
        let failed = state.failed.as_ref().map(|failed| SweepFailedView {
            at: failed.at.to_string(),
            is_dry: failed.is_dry,
            why: failed.why.clone(),
        });
        let kind = |of: &KindStanding| SweepKindView {
            kind: of.kind.code().to_owned(),
            whole_at: of.whole_at.map(|at| at.to_string()),
            next_at: of.next.0.to_string(),
            next_why: of.next.1.code().to_owned(),
        };
        let stalest = kinds.iter().min_by_key(|of| of.stale_at);
        let view = SweepView {
            stalest: stalest.map(|of| of.kind.code().to_owned()),
            state: word.to_owned(),
            run: state.run.as_ref().map(Into::into),
            last: state.last.as_ref().map(Into::into),
            last_dry: state.last_dry.as_ref().map(Into::into),
            failed,
            kinds: kinds.iter().map(kind).collect(),
            ..SweepView::new(&account.id)
        };
        view.with_whole(stalest.and_then(|of| of.whole_at), stalest.map(|of| of.stale_at), self.clock.now())
    }
}
