//! The audit log: read, and read anew from disk.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::Deserialize;

use super::caller::Caller;
use super::cursor::Cursors;
use super::guard::Credentials;
use super::problem::ApiProblem;
use super::readers::Waiter;
use super::reading::{Place, Reading, kinds};
use super::routes::{Answer, Asked, Shared, asked, maybe, parsed, rows};
use super::view::{CheckpointView, DisclosedView, EntriesView, FaultView, HeadView, LeavesView, ProofView};
use super::{AdminState, reading};
use crate::audit::leaf::Disclosed;
use crate::audit::{Detail, Entry, Kind};
use crate::clock::Timestamp;
use crate::ids::AccountId;
use crate::store::Note;
use crate::store::local::{LocalStore, Proved};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AuditAsked {
    /// Only entries of this account.
    account: Option<String>,
    /// Only these kinds, as in `intent,outcome`.
    kind: Option<String>,
    /// Only those that meet a condition over `entry`, as in `entry.call.status >= 400`. For operators of all accounts.
    filter: Option<String>,
    /// The cursor after which to go on: `next` of the page before.
    after: Option<String>,
    /// From here on, instead of `after`: the number of an entry, or a time.
    from: Option<String>,
    /// Up to here, and without it: the number of an entry, or a time.
    to: Option<String>,
    limit: Option<usize>,
    /// The newest so many, instead of `after`.
    last: Option<u64>,
    /// Where there is nothing yet, wait so long for it, in seconds: 60 at most.
    wait_secs: Option<u64>,
}

/// How long anybody is kept waiting.
const WAIT_SECS_MAX: u64 = 60;

pub(super) async fn entries(
    State(state): Shared,
    caller: Caller,
    credentials: Credentials,
    query: Asked<AuditAsked>,
) -> Answer<EntriesView> {
    let AuditAsked { account, kind, filter, after, from, to, limit, last, wait_secs } = asked(query)?;
    let account = caller.scope(maybe(account.as_ref())?)?;
    if after.is_none() {
        is_known(&state, account.as_ref()).await?;
    }
    let (kinds, limit) = (kinds(kind.as_deref())?, rows(limit)?);
    let cursors = Cursors::of(&state)?;
    let filter = reading::filter(filter.as_deref(), &caller)?;
    if let Some(last) = last {
        if after.is_some() || from.is_some() || to.is_some() || wait_secs.is_some() {
            return Err(ApiProblem::bad_request(
                "give after or last, not both, and last without from, to and wait_secs",
            ));
        }
        let last = usize::try_from(last).unwrap_or(usize::MAX);
        let reading = Reading { account, kinds, filter, to: u64::MAX };
        let (entries, next) = reading.newest(&*state.store, last, limit).await?;
        return Ok(Json(page(&cursors, entries, next, false)));
    }
    let from = begins(&state, after.as_deref(), from.as_deref()).await?;
    let reading = Reading { account, kinds, filter, to: ends(&state, to.as_deref()).await? };
    match wait_secs {
        None | Some(0) => {
            let (entries, next) = reading.page(&*state.store, from, limit).await?;
            let has_pruned = reading::is_pruned(&*state.store, from..next).await?;
            Ok(Json(page(&cursors, entries, next, has_pruned)))
        }
        Some(secs @ 1..=WAIT_SECS_MAX) => {
            let _seat = state.readers.enter(&caller.actor)?;
            let until = state.clock.now().plus(Duration::from_secs(secs));
            let who = Who { caller: &caller, credentials: &credentials };
            let (entries, next) = waited(&state, &reading, (from, limit), until, &who).await?;
            let has_pruned = reading::is_pruned(&*state.store, from..next).await?;
            Ok(Json(page(&cursors, entries, next, has_pruned)))
        }
        Some(more) => Err(ApiProblem::bad_request(format!("wait_secs is {more}, expected 0 to {WAIT_SECS_MAX}"))),
    }
}

fn page(cursors: &Cursors, entries: Vec<Entry>, next: u64, has_pruned: bool) -> EntriesView {
    EntriesView { entries: entries.into_iter().map(Into::into).collect(), next: cursors.encode(next), has_pruned }
}

/// 404 for an account that no app holds and no entry is about: an empty log would be taken for one of an account where nothing
/// happened. Whoever goes on after a cursor was told before.
pub(super) async fn is_known(state: &AdminState, account: Option<&AccountId>) -> Result<(), ApiProblem> {
    let Some(account) = account.filter(|account| state.app_of(account).is_none()) else { return Ok(()) };
    let (size, mut next) = (state.store.tree_head().await?.size, 0);
    while next < size {
        let (found, after) = state.store.entries_of(account, next..size, 1).await?;
        if !found.is_empty() {
            return Ok(());
        }
        if after <= next {
            break;
        }
        next = after;
    }
    Err(ApiProblem::no_account(account.as_str()))
}

/// Who waits, and what was shown of that.
struct Who<'a> {
    caller: &'a Caller,
    credentials: &'a Credentials,
}

impl Who<'_> {
    /// Refused where the token is not good any more, or another one than it was.
    async fn is_still(&self, state: &AdminState) -> Result<(), ApiProblem> {
        if self.credentials.caller(state).await? == *self.caller {
            return Ok(());
        }
        Err(ApiProblem::new(StatusCode::UNAUTHORIZED, "the token was changed meanwhile: ask again"))
    }
}

/// The entry at which a reader begins: behind a cursor, or at a place.
pub(super) async fn begins(state: &AdminState, after: Option<&str>, from: Option<&str>) -> Result<u64, ApiProblem> {
    match (after, from) {
        (Some(_), Some(_)) => Err(ApiProblem::bad_request("give after or from, not both")),
        (Some(after), None) => Cursors::of(state)?.decode(after),
        (None, Some(from)) => {
            let (place, size) = (parsed::<Place>(from)?, state.store.tree_head().await?.size);
            if let Place::Entry(from) = place
                && from > size
            {
                let end =
                    format!("from is {from}, beyond the end: the log has {size} entries, the next is number {size}");
                return Err(ApiProblem::bad_request(end));
            }
            Ok(place.index(&*state.store).await?)
        }
        (None, None) => Ok(0),
    }
}

/// The entry before which a reader ends; beyond all of them where no place is named.
pub(super) async fn ends(state: &AdminState, to: Option<&str>) -> Result<u64, ApiProblem> {
    match to {
        Some(to) => Ok(parsed::<Place>(to)?.index(&*state.store).await?),
        None => Ok(u64::MAX),
    }
}

/// The first page that has something, or where to go on when the time is over.
async fn waited(
    state: &AdminState,
    reading: &Reading,
    (mut from, limit): (u64, usize),
    until: Timestamp,
    who: &Who<'_>,
) -> Result<(Vec<Entry>, u64), ApiProblem> {
    loop {
        let waiter = Waiter::new(state);
        let (found, next) = reading.page(&*state.store, from, limit).await?;
        let is_over = next >= reading.to || state.clock.now() >= until || state.readers.is_ended();
        if !found.is_empty() || is_over {
            return Ok((found, next));
        }
        if next == from {
            waiter.wait(state, until).await;
        }
        // It may have been revoked while it waited.
        who.is_still(state).await?;
        from = next;
    }
}

pub(super) async fn head(State(state): Shared) -> Answer<HeadView> {
    let head = state.store.tree_head().await?;
    Ok(Json(HeadView { size: head.size, root: hex::encode(head.root) }))
}

pub(super) async fn checkpoint(State(state): Shared) -> Answer<CheckpointView> {
    let store = files(&state)?;
    let keys = store.log_keys().await?.iter().map(ToString::to_string).collect();
    let mut checkpoint = store.checkpoint().await?;
    let mut trouble = store.log_trouble();
    if checkpoint.is_none() && trouble.is_none() {
        // The first minute is not over.
        trouble = store.sign_checkpoint().await.err().map(|error| error.to_string());
        checkpoint = store.checkpoint().await?;
    }
    Ok(Json(CheckpointView { checkpoint, trouble, keys }))
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
    /// With what the leaves are hashes of.
    #[serde(default)]
    lines: bool,
}

/// A page of the log, read and hashed anew: whoever asks for all of them verifies the log.
pub(super) async fn verify(State(state): Shared, query: Asked<VerifyAsked>) -> Answer<LeavesView> {
    let VerifyAsked { after, from, limit, lines } = asked(query)?;
    let (store, cursors) = (files(&state)?, Cursors::of(&state)?);
    let from = match (after, from) {
        (Some(_), Some(_)) => return Err(ApiProblem::bad_request("give after or from, not both")),
        (Some(after), None) => cursors.decode(&after)?,
        (None, from) => from.unwrap_or(0),
    };
    let page = store.leaves(from, rows(limit)?, lines).await?;
    let next = from.saturating_add(u64::try_from(page.leaves.len()).unwrap_or(u64::MAX));
    Ok(Json(LeavesView {
        leaves: page.leaves.into_iter().map(|leaf| leaf.map(hex::encode)).collect(),
        lines: page.lines.into_iter().map(|line| line.map(|line| STANDARD.encode(line))).collect(),
        before: page.before.map(|tree| tree.roots().iter().map(hex::encode).collect()),
        pruned: page.pruned,
        faults: page.findings.into_iter().map(|found| FaultView { place: found.place, what: found.what }).collect(),
        next: cursors.encode(next),
    }))
}
