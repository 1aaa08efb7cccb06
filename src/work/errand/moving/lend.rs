//! A privilege is lent for one move: granted, and taken back when it is over.
//!
//! It is the one grant that no rule makes, to a user who need be no API user, and whoever has it sees the new host's meetings
//! meanwhile. So it is on record before it is granted, and whatever ends the move takes it back. Moves that need the same
//! privilege at once share it: the last one takes it back, unless somebody or a rule grants it for good.

use std::collections::HashSet;

use super::check::Principal;
use super::kept::{Lent, Moving};
use super::{Attempt, Refusal};
use crate::account::UserKey;
use crate::clock::Timestamp;
use crate::ids::{AccountId, UserId};
use crate::job::{Job, Outcome, ParkCause, Subject};
use crate::rules::{Ensure, Rule, SubjectKind};
use crate::store::{Document, Shelf, Store, StoreError, Write};
use crate::work::errand::{Errand, Errandry};
use crate::work::{End, Ended, Hand, Task, Verdict, Who, ensure, grants};
use crate::zoom::{Assistant, Edit, User, ZoomError};

impl Lent {
    fn new((of, by): (&UserId, &Principal), since: Timestamp) -> Self {
        let (of, to, named) = (of.clone(), by.id.clone(), Some(by.name.clone()));
        Self { of, to, named, since, was_there: false, ended: None, stays: None, is_left: false }
    }
}

/// Grants it. None where it is there now.
pub(super) async fn lend(
    attempt: &mut Attempt<'_>,
    moving: &mut Moving,
    (to, by): (&User, &Principal),
) -> Ended<Option<Refusal>> {
    let Some(of) = to.id.clone() else { return Err(End::retry("Zoom does not say the id of the new host")) };
    let facts = std::sync::Arc::clone(&attempt.ctx.facts);
    let mut lent = Lent::new((&of, by), attempt.now());
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
        lent.was_there = is_there && !others(attempt, &lent).await?;
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
    if others(attempt, &lent).await? {
        moving.lent = Some(Lent { ended: Some(attempt.now()), ..lent });
        return attempt.keep(Errandry::Move(moving.clone())).await;
    }
    let there = assistants(attempt, &key).await?;
    let stays = if has(&there, &lent.to) { stays(attempt, &lent, &there).await? } else { None };
    if stays.is_none() && has(&there, &lent.to) {
        withdraw(attempt, &lent, &moving.asked.to).await?;
    }
    // The word that it is for good goes with the last loan.
    let word = no_word(&lent.of, &lent.to);
    moving.lent = Some(Lent { ended: Some(attempt.now()), stays, ..lent });
    attempt.keep_with(Errandry::Move(moving.clone()), vec![word]).await
}

/// Read back.
async fn withdraw(attempt: &Attempt<'_>, lent: &Lent, host: &UserKey) -> Ended<()> {
    let key = UserKey::Id(lent.of.clone());
    let secs = attempt.now().since(lent.since).as_secs();
    let what = format!("take back the privilege to schedule for {host} that was lent {secs} s ago");
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
    if !has(&assistants(attempt, &key).await?, &lent.to) {
        return Ok(());
    }
    let detail = format!("take back the privilege that was lent for {host}");
    Err(if attempt.job.attempts < crate::work::INEFFECTIVE_ATTEMPTS {
        End::retry(format!("Zoom confirmed it, but it cannot be read back: {detail}"))
    } else {
        End::park(ParkCause::NotEffective { detail })
    })
}

/// Why what was lent is not to be taken back: somebody granted it for good meanwhile, or a rule would grant it again.
async fn stays(attempt: &Attempt<'_>, lent: &Lent, there: &[Assistant]) -> Ended<Option<String>> {
    let word = attempt.ctx.store.document(Shelf::Errand, &for_good(&lent.of, &lent.to)).await?;
    if let Some(word) = word {
        return Ok(Some(String::from_utf8_lossy(&word.value).into_owned()));
    }
    let Some(to) = there.iter().find(|one| one.id.as_ref() == Some(&lent.to)) else { return Ok(None) };
    let named = (to.id.as_ref(), to.email.as_ref());
    for rule in attempt.rules.iter().filter(|_| !attempt.account.only_observes) {
        let is_standing = rule.subject == SubjectKind::User && rule.on.is_none();
        if is_standing && grants(rule, attempt.account, named) && would_grant(attempt, rule, (lent, to), there).await? {
            return Ok(Some(format!("rule {} grants it", rule.name)));
        }
    }
    Ok(None)
}

/// Whether the rule would make the one an assistant of the other now, if they were none.
async fn would_grant(
    attempt: &Attempt<'_>,
    rule: &Rule,
    (lent, to): (&Lent, &Assistant),
    there: &[Assistant],
) -> Ended<bool> {
    if attempt.ctx.store.is_stopped(&attempt.account.id, &rule.name).await? {
        return Ok(false);
    }
    let others = there.iter().filter(|one| *one != to).cloned().collect();
    let to = Who::from(to.clone());
    let subject = Subject::User { id: Some(lent.of.clone()), email: None };
    let job = Job { subject, rule: rule.name.clone(), ..attempt.job.clone() };
    let only = Ensure { assistants: rule.ensure.assistants.clone(), ..Ensure::default() };
    let rule = Rule { ensure: only, ..rule.clone() };
    let (account, zoom, ctx) = (attempt.account, attempt.zoom, attempt.ctx);
    let task = Task { job: &job, rule: &rule, rules: attempt.rules, account, zoom, hand: Hand::Observe, ctx };
    let adds = |edit: &Edit| matches!(edit, Edit::AddAssistants { who, .. } if who.iter().any(|who| to.is_named(who)));
    match ensure::says_of(&task, others).await {
        Ok(Verdict::Differs(found)) => Ok(found.iter().any(|one| adds(&one.edit))),
        // What cannot be asked just now is asked again.
        Err(end @ (End::Store(_) | End::Outcome(Outcome::Retry { .. } | Outcome::Snooze(_)))) => Err(end),
        Ok(_) | Err(_) => Ok(false),
    }
}

/// Under which it is kept that somebody granted for good what is lent.
fn for_good(of: &UserId, to: &UserId) -> String {
    format!("{FOR_GOOD} {of} {to}")
}

const FOR_GOOD: &str = "for-good";

/// Nothing of it is lent any more.
pub fn no_word(of: &UserId, to: &UserId) -> Write {
    Write::Remove { shelf: Shelf::Errand, key: for_good(of, to) }
}

/// Somebody takes these away, whatever was said of them. To be told while nothing is lent or taken back in the account.
pub async fn not_for_good(store: &dyn Store, pairs: &[(&UserId, &UserId)], now: Timestamp) -> Result<(), StoreError> {
    let words: HashSet<String> = pairs.iter().map(|(of, to)| for_good(of, to)).collect();
    let kept = store.documents(Shelf::Errand).await?.into_iter().filter(|document| words.contains(&document.key));
    let gone: Vec<Write> = kept.map(|word| Write::Remove { shelf: word.shelf, key: word.key }).collect();
    if gone.is_empty() { Ok(()) } else { store.write_documents(gone, Vec::new(), now).await }
}

/// Words that something is for good which is not lent, each to be removed while nothing is lent in its account
/// ([`crate::work::Facts::lending`]).
pub async fn idle_words(store: &dyn Store, only: Option<&AccountId>) -> Result<Vec<(AccountId, Write)>, StoreError> {
    let lent = lending(store, only).await?;
    let is_idle = |document: &Document| {
        let is_word = document.key.split_once(' ').is_some_and(|(kind, _)| kind == FOR_GOOD);
        is_word && lent.iter().all(|(_, _, lent)| for_good(&lent.of, &lent.to) != document.key)
    };
    let words = store.documents(Shelf::Errand).await?.into_iter().filter(is_idle).filter_map(|word| {
        let account = word.account.filter(|account| only.is_none_or(|only| account == only))?;
        Some((account, Write::Remove { shelf: word.shelf, key: word.key }))
    });
    Ok(words.collect())
}

/// Somebody grants this for good: where it is lent just now, it stays. To be told while nothing is lent or taken back in the
/// account ([`crate::work::Facts::lending`]). Whether it is lent.
pub async fn granted_for_good(
    store: &dyn Store,
    account: &AccountId,
    (of, to): (&UserId, &UserId),
    (by, now): (&str, Timestamp),
) -> Result<bool, StoreError> {
    if !lending(store, Some(account)).await?.iter().any(|(_, _, lent)| lent.is_between(of, to)) {
        return Ok(false);
    }
    let value = format!("{by} granted it for good").into_bytes();
    let word = Document { shelf: Shelf::Errand, key: for_good(of, to), account: Some(account.clone()), value };
    store.write_documents(vec![Write::Put(word)], Vec::new(), now).await?;
    Ok(true)
}

/// Whether somebody granted for good what is lent.
pub async fn is_for_good(store: &dyn Store, lent: &Lent) -> Result<bool, StoreError> {
    Ok(store.document(Shelf::Errand, &for_good(&lent.of, &lent.to)).await?.is_some())
}

/// Moves of the account, or of all, that have something lent which is not taken back, each with what that is.
pub async fn lending(
    store: &dyn Store,
    account: Option<&AccountId>,
) -> Result<Vec<(Errand, Moving, Lent)>, StoreError> {
    let errands = store.documents(Shelf::Errand).await?;
    let open = |errand: Errand| match &errand.what {
        Errandry::Move(moving) if account.is_none_or(|account| errand.account == *account) => {
            let (moving, lent) = (moving.clone(), moving.open()?.clone());
            Some((errand, moving, lent))
        }
        _ => None,
    };
    Ok(errands.iter().filter_map(Errand::read).filter_map(open).collect())
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

async fn others(attempt: &Attempt<'_>, lent: &Lent) -> Result<bool, StoreError> {
    is_shared(&*attempt.ctx.store, &attempt.kept, lent).await
}

/// Whether another move has lent the same, and has not taken it back.
pub async fn is_shared(store: &dyn Store, kept: &Errand, lent: &Lent) -> Result<bool, StoreError> {
    let all = lending(store, Some(&kept.account)).await?;
    Ok(all.iter().any(|(errand, _, other)| errand.id != kept.id && other.is_same(lent)))
}

/// What is said of how long it was lent.
pub(super) fn in_words(moving: &Moving) -> Option<String> {
    let lent = moving.lent.as_ref()?;
    if lent.was_there {
        return None;
    }
    let secs = lent.ended?.since(lent.since).as_secs();
    Some(match &lent.stays {
        Some(why) => format!("the privilege was lent for {secs} s, and stays: {why}"),
        None => format!("the privilege was lent for {secs} s, and taken back"),
    })
}
