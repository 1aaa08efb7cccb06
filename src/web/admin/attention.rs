//! What is stuck: the one place that gathers it, for the API, the command line and notifiers. Asks nothing of Zoom.

use super::view::{AttentionView, ParkedView, WaitingView};
use super::{AdminState, alarms, sweeps};
use crate::store::StoreError;

pub async fn attention(state: &AdminState) -> Result<AttentionView, StoreError> {
    let status = state.store.status().await?;
    let mut found = alarms::refusing(&status);
    found.extend(state.stats.counts().alarms);
    found.extend(alarms::of_store(&status, state.clock.now()));
    found.extend(sweeps::alarms(state).await?);
    found.extend(alarms::of_notices(&state.store.notices().await?));
    found.extend(state.store.put_off(state.clock.now()).await?.iter().map(alarms::put_off));
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
    Ok(AttentionView { alarms: found, parked, parked_deliveries: status.parked_deliveries, waiting: waiting.collect() })
}
