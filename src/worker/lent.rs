//! What moves have lent in an account that is let go: taken back while Zoom takes calls for it, and named where it does not.

use std::collections::BTreeSet;

use super::by_hand::ByHand;
use super::onboard::called;
use super::take_back::stops_all;
use super::{Errands, Parts};
use crate::account::{Account, UserKey};
use crate::audit::{Detail, Kind};
use crate::clock::Timestamp;
use crate::ids::{AccountId, AppName, ErrandId, RuleName};
use crate::job::Subject;
use crate::store::{JobFilter, Note, StoreError, Write};
use crate::work::{Errand, Errandry, Lent, Moving, errand_kept, idle_words, is_for_good, is_shared, lending, no_word};
use crate::zoom::{Edit, Zoom, ZoomError};

impl Errands {
    /// Whether a move of the account is tried just now.
    pub async fn is_moving(&self, account: &AccountId) -> Result<bool, StoreError> {
        let running = JobFilter {
            state: Some("running".to_owned()),
            account: Some(account.clone()),
            rule: Some(RuleName::moving()),
            limit: 1,
            ..JobFilter::default()
        };
        Ok(!self.parts().store.jobs(running).await?.is_empty())
    }

    /// Takes back all that is lent in the account, whose jobs are cancelled: an error passes, and what is left then is tried
    /// again. What Zoom refuses for good stays lent, for [`Errands::tell_left`].
    pub async fn give_back(&self, account: &AccountId, by: &str) -> Result<Result<(), ZoomError>, StoreError> {
        let parts = self.parts();
        let turn = parts.facts.lending(account);
        let _one_after_the_other = turn.lock().await;
        let lent = lending(&*parts.store, Some(account)).await?;
        let roster = std::sync::Arc::clone(&parts.roster.borrow());
        let (Some(account), Some(zoom)) = (roster.by_id(account), parts.zooms.zoom(account)) else { return Ok(Ok(())) };
        let mut came = Ok(());
        for (errand, _, lent) in lent {
            match self.back(account, &*zoom, &lent, by).await? {
                Ok(()) => self.closed(errand.id, &lent).await?,
                Err(error) if passes(&error) => {
                    came = Err(error);
                    break;
                }
                Err(_) => {}
            }
        }
        called(parts, account, zoom.calls()).await?;
        Ok(came)
    }

    /// On record before and after, and read back.
    async fn back(
        &self,
        account: &Account,
        zoom: &dyn Zoom,
        lent: &Lent,
        by: &str,
    ) -> Result<Result<(), ZoomError>, StoreError> {
        let parts = self.parts();
        if is_for_good(&*parts.store, lent).await? {
            return Ok(Ok(()));
        }
        let (of, who) = (UserKey::Id(lent.of.clone()), UserKey::Id(lent.to.clone()));
        match is_there(zoom, lent).await {
            Ok(true) => {}
            Ok(false) => return Ok(Ok(())),
            Err(error) => return Ok(Err(error)),
        }
        let subject = Subject::User { id: Some(lent.of.clone()), email: None }.to_string();
        let by_hand = ByHand { parts, account, subject };
        let words = format!("take back the privilege to schedule that was lent to {}", lent.to_name());
        let intent = by_hand.intend(&words, by).await?;
        let changed = match zoom.change(&intent, Edit::RemoveAssistant { of, who }).await {
            Ok(_) | Err(ZoomError::NotFound(_)) => is_there(zoom, lent).await,
            Err(error) => Err(error),
        };
        match changed {
            Ok(false) => by_hand.changed(&words).await.map(Ok),
            Ok(true) => {
                let why = "Zoom confirmed it, and reading it back does not show it".to_owned();
                by_hand.parked(format!("{words}: {why}")).await?;
                Ok(Err(ZoomError::Transient(why)))
            }
            Err(error) => {
                by_hand.parked(format!("{words}: {error}")).await?;
                Ok(Err(error))
            }
        }
    }

    /// Nothing is lent for it any more. The word that it is for good goes with the last loan.
    pub(super) async fn closed(&self, id: ErrandId, lent: &Lent) -> Result<(), StoreError> {
        let (store, now) = (&self.parts().store, self.parts().clock.now());
        let Some((errand, moving)) = self.still_lent(id, lent).await? else { return Ok(()) };
        let word = if is_shared(&**store, &errand, lent).await? { None } else { Some(no_word(&lent.of, &lent.to)) };
        let kept = with_lent(errand, moving, Lent { ended: Some(now), ..lent.clone() });
        store.write_documents([kept].into_iter().chain(word).collect(), Vec::new(), now).await
    }

    /// As it is kept now, where that is lent for it still: an attempt may have gone on, or ended it.
    async fn still_lent(&self, id: ErrandId, lent: &Lent) -> Result<Option<(Errand, Moving)>, StoreError> {
        let newest = errand_kept(&*self.parts().store, id).await?.filter(|errand| errand.ended.is_none());
        Ok(newest.and_then(|errand| match &errand.what {
            Errandry::Move(moving) if moving.open().is_some_and(|open| open.is_same(lent)) => {
                let moving = moving.clone();
                Some((errand, moving))
            }
            _ => None,
        }))
    }

    /// Words that something is for good which is not lent any more go.
    pub(super) async fn prune_words(&self, now: Timestamp) -> Result<(), StoreError> {
        let Parts { store, facts, .. } = self.parts();
        let idle = idle_words(&**store, None).await?;
        let accounts: BTreeSet<AccountId> = idle.into_iter().map(|(account, _)| account).collect();
        for account in accounts {
            let turn = facts.lending(&account);
            // Where something is lent or taken back just now, another time.
            let Ok(_nothing_is_lent_meanwhile) = turn.try_lock() else { continue };
            let idle: Vec<Write> =
                idle_words(&**store, Some(&account)).await?.into_iter().map(|(_, gone)| gone).collect();
            if !idle.is_empty() {
                store.write_documents(idle, Vec::new(), now).await?;
            }
        }
        Ok(())
    }

    /// Names in the audit log, once, what stays lent at Zoom, since Zoom takes no calls for the account.
    pub async fn tell_left(&self, account: &AccountId, app: &AppName) -> Result<(), StoreError> {
        let (store, now) = (&self.parts().store, self.parts().clock.now());
        let turn = self.parts().facts.lending(account);
        let _one_after_the_other = turn.lock().await;
        for (errand, _, lent) in
            lending(&**store, Some(account)).await?.into_iter().filter(|(_, _, lent)| !lent.is_left)
        {
            let Some((errand, moving)) = self.still_lent(errand.id, &lent).await? else { continue };
            let what = format!(
                "{} can schedule for {} still: it was lent at {} for the move of meeting {}, and Zoom takes no calls for the account; \
                 an admin of the account takes it back in Zoom's pages",
                lent.to_name(),
                moving.asked.to,
                lent.since,
                moving.asked.meeting
            );
            let subject = Subject::User { id: Some(lent.of.clone()), email: None }.to_string();
            let note = Note {
                kind: Kind::Service,
                app: Some(app.clone()),
                account: Some(account.clone()),
                code: "stays-lent".to_owned(),
                detail: Detail { subject: Some(subject), note: what, ..Detail::default() },
            };
            let kept = with_lent(errand, moving, Lent { is_left: true, ..lent });
            store.write_documents(vec![kept], vec![note], now).await?;
        }
        Ok(())
    }
}

/// All else of it stays as it is.
fn with_lent(mut errand: Errand, moving: Moving, lent: Lent) -> Write {
    errand.what = Errandry::Move(Moving { lent: Some(lent), ..moving });
    Write::Put(errand.document())
}

/// Whether the next try may come to something else.
const fn passes(error: &ZoomError) -> bool {
    stops_all(error) && !matches!(error, ZoomError::Credentials(_) | ZoomError::ScopesMissing(_))
}

async fn is_there(zoom: &dyn Zoom, lent: &Lent) -> Result<bool, ZoomError> {
    match zoom.assistants(&UserKey::Id(lent.of.clone())).await {
        Ok(there) => Ok(there.iter().any(|one| one.id.as_ref() == Some(&lent.to))),
        Err(ZoomError::NotFound(_) | ZoomError::Pending(_)) => Ok(false),
        Err(error) => Err(error),
    }
}
