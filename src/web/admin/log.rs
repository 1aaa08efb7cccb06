//! The audit log: read, and read anew from disk.

use axum::Json;
use axum::extract::{Path, State};
use schemars::JsonSchema;
use serde::Deserialize;

use super::caller::Caller;
use super::problem::ApiProblem;
use super::routes::{Answer, Asked, Shared, asked, maybe, rows};
use super::view::{CheckpointView, DisclosedView, EntriesView, FaultView, HeadView, LeavesView, ProofView};
use super::{AdminState, cursor};
use crate::audit::leaf::Disclosed;
use crate::audit::{Detail, Entry, Kind};
use crate::ids::AccountId;
use crate::store::Note;
use crate::store::local::{LocalStore, Proved};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AuditAsked {
    /// Only entries of this account.
    account: Option<String>,
    after: Option<String>,
    limit: Option<usize>,
    /// The newest so many, instead of `after`.
    last: Option<u64>,
}

pub(super) async fn entries(State(state): Shared, caller: Caller, query: Asked<AuditAsked>) -> Answer<EntriesView> {
    let AuditAsked { account, after, limit, last } = asked(query)?;
    let (of, limit) = (caller.scope(maybe(account.as_ref())?)?, rows(limit)?);
    if let (Some(account), None, Some(last)) = (&of, &after, last) {
        let last = usize::try_from(last).unwrap_or(usize::MAX);
        return newest(&state, account, last, limit).await.map(Json);
    }
    let mut from = match (after, last) {
        (Some(_), Some(_)) => return Err(ApiProblem::bad_request("give after or last, not both")),
        (Some(after), None) => {
            cursor::decode(&after).ok_or_else(|| ApiProblem::bad_request("after is no cursor of this log"))?
        }
        (None, Some(last)) => state.store.tree_head().await?.size.saturating_sub(last),
        (None, None) => 0,
    };
    let entries = match of {
        None => {
            let entries = state.store.entries(from, limit).await?;
            from = entries.last().map_or(from, |entry| entry.index.saturating_add(1));
            entries
        }
        // One look: the log may be long, and hold little of the account. Whoever asks goes on from `next`.
        Some(account) => {
            let (entries, next) = state.store.entries_of(&account, from..u64::MAX, limit).await?;
            from = next;
            entries
        }
    };
    Ok(Json(EntriesView { entries: entries.into_iter().map(Into::into).collect(), next: cursor::encode(from) }))
}

/// How many entries one look back takes in.
const LOOK: u64 = 1_000;
/// How many looks back there are at most.
const LOOKS: u64 = 100;

/// The `last` newest entries of an account, of the newest 100,000 of all: `limit` of them at once.
async fn newest(state: &AdminState, account: &AccountId, last: usize, limit: usize) -> Result<EntriesView, ApiProblem> {
    let size = state.store.tree_head().await?.size;
    let mut found: Vec<Entry> = Vec::new();
    let mut end = size;
    for _ in 0..LOOKS {
        if end == 0 || found.len() >= last {
            break;
        }
        let start = end.saturating_sub(LOOK);
        let (mut page, _) = state.store.entries_of(account, start..end, usize::MAX).await?;
        page.append(&mut found);
        found = page;
        end = start;
    }
    let mut newest = found.split_off(found.len().saturating_sub(last));
    // What does not fit comes after.
    let is_cut = newest.len() > limit;
    newest.truncate(limit);
    let next = newest.last().filter(|_| is_cut).map_or(size, |entry| entry.index.saturating_add(1));
    Ok(EntriesView { entries: newest.into_iter().map(Into::into).collect(), next: cursor::encode(next) })
}

pub(super) async fn head(State(state): Shared) -> Answer<HeadView> {
    let head = state.store.tree_head().await?;
    Ok(Json(HeadView { size: head.size, root: hex::encode(head.root) }))
}

pub(super) async fn checkpoint(State(state): Shared) -> Answer<CheckpointView> {
    let store = files(&state)?;
    let keys = store.log_keys().await?.iter().map(ToString::to_string).collect();
    Ok(Json(CheckpointView { checkpoint: store.checkpoint().await?, trouble: store.log_trouble(), keys }))
}

/// What proves an entry; one that no checkpoint covers yet has one signed.
pub(super) async fn proof(State(state): Shared, Path(index): Path<String>) -> Answer<ProofView> {
    let wrong = || ApiProblem::bad_request("an entry is known by its place in the log, a number from 0");
    let index: u64 = index.parse().map_err(|_| wrong())?;
    let proved = files(&state)?.prove(index).await?;
    let Proved { proof, detail } = proved.ok_or_else(|| ApiProblem::not_found(format!("entry {index}")))?;
    let detail = detail.map(|Disclosed { salt, detail }| DisclosedView { salt, detail });
    Ok(Json(ProofView { index, proof: proof.to_text(), detail }))
}

/// Another key signs the log from now on.
pub(super) async fn turn_key(State(state): Shared, caller: Caller) -> Answer<CheckpointView> {
    let store = files(&state)?;
    let detail = Detail::by(&caller.actor);
    let note = Note { kind: Kind::Service, app: None, account: None, code: "log-key-changed".to_owned(), detail };
    state.store.note(note, state.clock.now()).await?;
    store.turn_log_key().await?;
    checkpoint(State(state)).await
}

fn files(state: &AdminState) -> Result<&LocalStore, ApiProblem> {
    state.local.as_ref().ok_or_else(|| ApiProblem::bad_request("this store has no files to verify"))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct VerifyAsked {
    after: Option<String>,
    /// The entry to begin with, instead of `after`.
    from: Option<u64>,
    limit: Option<usize>,
}

/// A page of the log, read and hashed anew: whoever asks for all of them verifies the log.
pub(super) async fn verify(State(state): Shared, query: Asked<VerifyAsked>) -> Answer<LeavesView> {
    let VerifyAsked { after, from, limit } = asked(query)?;
    let store = files(&state)?;
    let from = match (after, from) {
        (Some(_), Some(_)) => return Err(ApiProblem::bad_request("give after or from, not both")),
        (Some(after), None) => {
            cursor::decode(&after).ok_or_else(|| ApiProblem::bad_request("after is no cursor of this log"))?
        }
        (None, from) => from.unwrap_or(0),
    };
    let page = store.leaves(from, rows(limit)?).await?;
    let next = from.saturating_add(u64::try_from(page.leaves.len()).unwrap_or(u64::MAX));
    Ok(Json(LeavesView {
        leaves: page.leaves.into_iter().map(|leaf| leaf.map(hex::encode)).collect(),
        before: page.before.map(|tree| tree.roots().iter().map(hex::encode).collect()),
        pruned: page.pruned,
        faults: page.findings.into_iter().map(|found| FaultView { place: found.place, what: found.what }).collect(),
        next: cursor::encode(next),
    }))
}
