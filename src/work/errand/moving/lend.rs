//! A privilege is lent for one move: granted, and taken back when it is over.
//!
//! It is the one grant that no rule makes, to a user who need be no API user, and whoever has it sees the new host's meetings
//! meanwhile. So it is on record before it is granted, and whatever ends the move takes it back. Moves that need the same
//! privilege at once share it: the last one takes it back.

use super::check::Principal;
use super::kept::{Lent, Moving};
use super::{Attempt, Refusal};
use crate::account::UserKey;
use crate::ids::{ErrandId, UserId};
use crate::job::ParkCause;
use crate::store::{Shelf, Store, StoreError};
use crate::work::errand::{Errand, Errandry};
use crate::work::{End, Ended};
use crate::zoom::{Assistant, Edit, User, ZoomError};

/// Grants it. None where it is there now.
pub(super) async fn lend(
    attempt: &mut Attempt<'_>,
    moving: &mut Moving,
    (to, by): (&User, &Principal),
) -> Ended<Option<Refusal>> {
    let Some(of) = to.id.clone() else { return Err(End::retry("Zoom does not say the id of the new host")) };
    let facts = std::sync::Arc::clone(&attempt.ctx.facts);
    let mut lent = Lent { of: of.clone(), to: by.id.clone(), since: attempt.now(), was_there: false, ended: None };
    // Of another user it is no use any more.
    if moving.open().is_some_and(|open| !open.is_same(&lent)) {
        take_back(attempt, moving).await?;
    }
    let turn = facts.lending(&attempt.account.id);
    let _one_after_the_other = turn.lock().await;
    let key = UserKey::Id(of);
    let there = assistants(attempt, &key).await?;
    let is_there = has(&there, &by.id);
    if let Some(open) = moving.open() {
        // It was granted before, whether or not that was answered.
        lent.since = open.since;
    } else {
        // What another move has lent is there for a while only.
        lent.was_there = is_there && !others(&*attempt.ctx.store, &attempt.kept, &lent).await?;
    }
    moving.lent = Some(lent);
    attempt.keep(Errandry::Move(moving.clone())).await?;
    crate::breakpoint::reached("lend-kept");
    if is_there {
        return Ok(None);
    }
    let what =
        format!("lend the privilege to schedule for {} to {}, for the move of a meeting", moving.asked.to, by.name);
    let Ok(intent) = attempt.intend(what, Vec::new()).await? else {
        return Err(End::retry("the store allows it at no time"));
    };
    let edit = Edit::AddAssistants { of: key, who: vec![UserKey::Id(by.id.clone())] };
    match attempt.zoom.change(&intent, edit).await {
        Ok(_) | Err(ZoomError::AlreadyGranted) => {}
        Err(ZoomError::Full(said)) => {
            return Ok(Some(refusal(
                "assistants-full",
                format!("the new host has no room for another assistant: {said}"),
            )));
        }
        Err(ZoomError::Unlicensed(said)) => {
            return Ok(Some(refusal("not-licensed", format!("the privilege cannot be lent: {said}"))));
        }
        Err(error) => return Err(attempt.failed(error)),
    }
    crate::breakpoint::reached("lent");
    Ok(None)
}

fn refusal(code: &str, why: String) -> Refusal {
    Refusal { code: code.to_owned(), why, advice: None }
}

/// Takes back what was lent, unless another move needs it still. Read back.
pub(super) async fn take_back(attempt: &mut Attempt<'_>, moving: &mut Moving) -> Ended<()> {
    let Some(lent) = moving.open().cloned() else { return Ok(()) };
    let facts = std::sync::Arc::clone(&attempt.ctx.facts);
    let turn = facts.lending(&attempt.account.id);
    let _one_after_the_other = turn.lock().await;
    let key = UserKey::Id(lent.of.clone());
    let is_needed = others(&*attempt.ctx.store, &attempt.kept, &lent).await?;
    if !is_needed && has(&assistants(attempt, &key).await?, &lent.to) {
        let secs = attempt.now().since(lent.since).as_secs();
        let what = format!("take back the privilege to schedule for {} that was lent {secs} s ago", moving.asked.to);
        let Ok(intent) = attempt.intend(what, Vec::new()).await? else {
            return Err(End::retry("the store allows it at no time"));
        };
        let edit = Edit::RemoveAssistant { of: key.clone(), who: UserKey::Id(lent.to.clone()) };
        match attempt.zoom.change(&intent, edit).await {
            // Whoever is gone has lent nothing.
            Ok(_) | Err(ZoomError::NotFound(_)) => {}
            Err(error) => return Err(attempt.failed(error)),
        }
        crate::breakpoint::reached("taken-back");
        if has(&assistants(attempt, &key).await?, &lent.to) {
            let detail = format!("take back the privilege that was lent for {}", moving.asked.to);
            return Err(if attempt.job.attempts < crate::work::INEFFECTIVE_ATTEMPTS {
                End::retry(format!("Zoom confirmed it, but it cannot be read back: {detail}"))
            } else {
                End::park(ParkCause::NotEffective { detail })
            });
        }
    }
    moving.lent = Some(Lent { ended: Some(attempt.now()), ..lent });
    attempt.keep(Errandry::Move(moving.clone())).await
}

/// Nobody has assistants who is gone.
async fn assistants(attempt: &Attempt<'_>, of: &UserKey) -> Ended<Vec<Assistant>> {
    match attempt.zoom.assistants(of).await {
        Ok(there) => Ok(there),
        Err(ZoomError::NotFound(_) | ZoomError::Pending(_)) => Ok(Vec::new()),
        Err(error) => Err(attempt.failed(error)),
    }
}

fn has(there: &[Assistant], who: &UserId) -> bool {
    there.iter().any(|one| one.id.as_ref() == Some(who))
}

/// Whether another move has lent the same, and has not taken it back.
async fn others(store: &dyn Store, kept: &Errand, lent: &Lent) -> Result<bool, StoreError> {
    let mine: ErrandId = kept.id;
    let errands = store.documents(Shelf::Errand).await?;
    let is_same = |errand: Errand| match errand.what {
        Errandry::Move(moving) if errand.id != mine && errand.account == kept.account => {
            moving.open().is_some_and(|open| open.is_same(lent))
        }
        _ => false,
    };
    Ok(errands.iter().filter_map(Errand::read).any(is_same))
}

/// What is said of how long it was lent.
pub(super) fn in_words(moving: &Moving) -> Option<String> {
    let lent = moving.lent.as_ref()?;
    if lent.was_there {
        return Some("the privilege was there already, and stays".to_owned());
    }
    let ended = lent.ended?;
    Some(format!("the privilege was lent for {} s, and taken back", ended.since(lent.since).as_secs()))
}
