//! What is stuck: the one place that gathers it, for the API, the command line and notifiers. Asks nothing of Zoom.

use std::collections::{BTreeMap, BTreeSet};

use super::view::{AttentionView, ParkedView, PausedAccountView, WaitingView};
use super::{AdminState, alarms, sweeps};
use crate::ids::{AccountId, JobId};
use crate::job::JobState;
use crate::store::{DeliveryFilter, JobFilter, StoreError};

pub async fn attention(state: &AdminState) -> Result<AttentionView, StoreError> {
    let status = state.store.status().await?;
    let mut found = alarms::refusing(&status);
    found.extend(state.stats.counts().alarms);
    found.extend(alarms::of_store(&status, state.clock.now()));
    found.extend(sweeps::alarms(state).await?);
    found.extend(alarms::of_notices(&state.store.notices().await?));
    found.extend(state.store.put_off(state.clock.now()).await?.iter().map(alarms::put_off));
    if let Some(errands) = &state.errands {
        found.extend(errands.alarms().await?);
    }
    let mut parked = Vec::new();
    for group in state.store.parked().await? {
        let example = state.store.job(group.example).await?;
        let view = ParkedView::new(&group, example.as_ref());
        for alarm in [alarms::api_user(&view), alarms::credentials(&view)].into_iter().flatten() {
            if !alarms::names(&found, &alarm.code, &view.account) {
                found.push(alarm);
            }
        }
        parked.push(view);
    }
    let waiting = status.waiting_for.into_iter().map(|(reason, count)| WaitingView {
        reason: reason.code().to_owned(),
        count,
        meaning: reason.to_string(),
    });
    let (parked_deliveries, waiting) = (status.parked_deliveries, waiting.collect());
    Ok(AttentionView { alarms: found, parked, parked_deliveries, waiting, paused: paused(state) })
}

fn paused(state: &AdminState) -> Vec<PausedAccountView> {
    let Some(accounts) = &state.accounts else { return Vec::new() };
    let paused = accounts.paused().into_iter().collect::<BTreeSet<_>>().into_iter();
    let paused = paused.filter_map(|id| accounts.paused_by(&id));
    paused
        .map(|one| PausedAccountView { account: one.account.to_string(), at: one.at.to_string(), by: one.by })
        .collect()
}

/// Jobs, or deliveries, in one look.
const LOOK: usize = 1_000;

/// The same of one account alone: what is about the whole service, or about no account, is left out.
pub(super) async fn of_account(state: &AdminState, account: &AccountId) -> Result<AttentionView, StoreError> {
    let all = attention(state).await?;
    Ok(AttentionView {
        alarms: all.alarms.into_iter().filter(|alarm| alarm.account.as_deref() == Some(account.as_str())).collect(),
        parked: all.parked.into_iter().filter(|parked| parked.account == account.as_str()).collect(),
        parked_deliveries: parked_deliveries(state, account).await?,
        waiting: waiting(state, account).await?,
        paused: all.paused.into_iter().filter(|paused| paused.account == account.as_str()).collect(),
    })
}

async fn parked_deliveries(state: &AdminState, account: &AccountId) -> Result<u64, StoreError> {
    let Some(app) = state.app_of(account) else { return Ok(0) };
    let mut filter =
        DeliveryFilter { app: Some(app), account: Some(account.clone()), parked: true, before: None, limit: LOOK };
    let mut count = 0_u64;
    loop {
        let page = state.store.deliveries(filter.clone()).await?;
        count = count.saturating_add(u64::try_from(page.len()).unwrap_or(u64::MAX));
        match page.last() {
            Some(last) if page.len() == LOOK => filter.before = Some(last.id),
            _ => return Ok(count),
        }
    }
}

async fn waiting(state: &AdminState, account: &AccountId) -> Result<Vec<WaitingView>, StoreError> {
    let mut reasons: BTreeMap<String, WaitingView> = BTreeMap::new();
    let mut before: Option<JobId> = None;
    loop {
        let (state_name, own) = (Some("waiting".to_owned()), Some(account.clone()));
        let filter = JobFilter { state: state_name, account: own, before, limit: LOOK, ..JobFilter::default() };
        let page = state.store.jobs(filter).await?;
        for job in &page {
            if let JobState::Waiting { reason, .. } = &job.state {
                let code = reason.code().to_owned();
                let view = WaitingView { reason: code.clone(), count: 0, meaning: reason.to_string() };
                let view = reasons.entry(code).or_insert(view);
                view.count = view.count.saturating_add(1);
            }
        }
        match page.last() {
            Some(last) if page.len() == LOOK => before = Some(last.id),
            _ => return Ok(reasons.into_values().collect()),
        }
    }
}
