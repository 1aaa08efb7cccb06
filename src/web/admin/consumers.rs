//! Consumers that take the audit log: how far each has it, and how a person moves it.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::AdminState;
use super::caller::Caller;
use super::problem::ApiProblem;
use super::reading::Place;
use super::routes::{Answer, Asked, Shared, asked, parsed};
use crate::clock::Timestamp;
use crate::feed::push::{Doing, Left, MoveError, Pushers};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConsumerView {
    pub name: String,
    /// `webhook`, `file`, `stdout`, `syslog`; empty where it is not configured, as what else only the configuration says.
    pub kind: String,
    /// The host of its URL, or the path of its file.
    pub place: String,
    /// `audit`, `deliveries`, `checkpoints`.
    pub include: Vec<String>,
    /// `raw`, `cloudevents`, `ocsf`.
    pub format: String,
    pub filter: Option<String>,
    /// The entry that it gets next.
    pub next: u64,
    /// The checkpoint that it had last, by its number, where it gets them.
    pub checkpoint: Option<u64>,
    /// How many entries and checkpoints it has not got, and since when, in seconds, the first of them is there.
    pub behind_entries: u64,
    pub behind_checkpoints: u64,
    pub behind_seconds: u64,
    /// `running`, `failing`, `paused`; `not-configured` where it took the log, and is not in the configuration any more.
    pub state: String,
    /// Since when it is paused or fails, and why.
    pub since: Option<String>,
    pub why: Option<String>,
    /// How often it did not take what it gets next.
    pub failed_times: u32,
    /// When it took something last, and how many entries it took, since the start.
    pub sent_at: Option<String>,
    pub sent: u64,
}

impl ConsumerView {
    fn of(doing: Doing, now: Timestamp) -> Self {
        let behind_seconds = doing.behind_secs(now);
        let failed_times = doing.failing.as_ref().map_or(0, |failing| failing.times);
        let (state, stands) = match (doing.paused, doing.failing) {
            (Some(paused), _) => ("paused", Some((paused.at, paused.why))),
            (None, Some(failing)) => ("failing", Some((failing.since, failing.why))),
            (None, None) => ("running", None),
        };
        let (since, why) = stands.map(|(since, why)| (since.to_string(), why)).unzip();
        Self {
            name: doing.name.to_string(),
            kind: doing.kind.to_owned(),
            place: doing.place,
            include: doing.push.includes().into_iter().map(str::to_owned).collect(),
            format: doing.push.format.word().to_owned(),
            filter: doing.push.filter.map(|filter| filter.as_str().to_owned()),
            next: doing.next,
            checkpoint: doing.checkpoint,
            behind_entries: doing.behind,
            behind_checkpoints: doing.checkpoints_behind,
            behind_seconds,
            state: state.to_owned(),
            since,
            why,
            failed_times,
            sent_at: doing.sent_at.map(|at| at.to_string()),
            sent: doing.sent,
        }
    }
}

impl From<Left> for ConsumerView {
    fn from(left: Left) -> Self {
        Self {
            name: left.name.to_string(),
            kind: String::new(),
            place: String::new(),
            include: Vec::new(),
            format: String::new(),
            filter: None,
            next: left.next,
            checkpoint: None,
            behind_entries: left.behind,
            behind_checkpoints: 0,
            behind_seconds: 0,
            state: "not-configured".to_owned(),
            since: None,
            why: None,
            failed_times: 0,
            sent_at: None,
            sent: 0,
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReplayAsked {
    /// The first entry that it gets again: its number, from 0, or a time.
    from: String,
}

impl From<MoveError> for ApiProblem {
    fn from(error: MoveError) -> Self {
        match error {
            MoveError::Unknown(name) => Self::not_found(format!("consumer {name} that takes the audit log")),
            MoveError::Beyond { .. } | MoveError::NoEntries(_) | MoveError::Configured(_) => {
                Self::bad_request(error.to_string())
            }
            MoveError::Store(error) => error.into(),
        }
    }
}

fn pushers(state: &AdminState) -> Result<&Arc<Pushers>, ApiProblem> {
    state.pushers.as_ref().ok_or_else(|| ApiProblem::bad_request("nothing runs that gives consumers the log"))
}

/// Those of the configuration, then those that are not in it any more.
async fn views(state: &AdminState) -> Result<Vec<ConsumerView>, ApiProblem> {
    let (pushers, now) = (pushers(state)?, state.clock.now());
    let mut views: Vec<_> = pushers.doing().into_iter().map(|doing| ConsumerView::of(doing, now)).collect();
    views.extend(pushers.left().await?.into_iter().map(ConsumerView::from));
    Ok(views)
}

async fn view(state: &AdminState, name: &str) -> Answer<ConsumerView> {
    let found = views(state).await?.into_iter().find(|view| view.name == name);
    found.map(Json).ok_or_else(|| MoveError::Unknown(name.to_owned()).into())
}

pub(super) async fn list(State(state): Shared) -> Answer<Vec<ConsumerView>> {
    views(&state).await.map(Json)
}

pub(super) async fn one(State(state): Shared, Path(name): Path<String>) -> Answer<ConsumerView> {
    view(&state, &name).await
}

pub(super) async fn pause(State(state): Shared, caller: Caller, Path(name): Path<String>) -> Answer<ConsumerView> {
    pushers(&state)?.pause(&name, &caller.actor).await?;
    view(&state, &name).await
}

pub(super) async fn resume(State(state): Shared, caller: Caller, Path(name): Path<String>) -> Answer<ConsumerView> {
    pushers(&state)?.resume(&name, &caller.actor).await?;
    view(&state, &name).await
}

pub(super) async fn replay(
    State(state): Shared,
    caller: Caller,
    Path(name): Path<String>,
    query: Asked<ReplayAsked>,
) -> Answer<ConsumerView> {
    let ReplayAsked { from } = asked(query)?;
    let place = parsed::<Place>(&from)?;
    if let Place::Time(at) = place
        && at > state.clock.now()
    {
        // It would be the end of the log, and what waits would be left out.
        return Err(ApiProblem::bad_request(format!("from is {at}, which is yet to come: nothing was entered then")));
    }
    let from = place.index(&*state.store).await?;
    pushers(&state)?.replay(&name, from, &caller.actor).await?;
    view(&state, &name).await
}

/// As it was before.
pub(super) async fn forget(State(state): Shared, caller: Caller, Path(name): Path<String>) -> Answer<ConsumerView> {
    let before = view(&state, &name).await?;
    pushers(&state)?.forget(&name, &caller.actor).await?;
    Ok(before)
}
