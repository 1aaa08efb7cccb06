//! Silence: a sweep by its schedule had to make changes, and no delivery came for a long time before it. Webhooks may not
//! arrive, and without a word everything would come an hour late for ever. A delivery ends it.

use std::time::Duration;

use super::Parts;
use crate::account::Account;
use crate::audit::{Detail, Kind};
use crate::clock::Timestamp;
use crate::store::{Note, Notice, StoreError, SweepCause, SweepState};

pub(super) const SILENCE: &str = "silence";

/// Whoever has no delivery for so long before a sweep that found something hears of it.
const LONG: Duration = Duration::from_secs(3600);

/// Tells of accounts that are silent now.
pub(super) async fn tell(parts: &Parts, standing: &[Notice]) -> Result<(), StoreError> {
    let roster = std::sync::Arc::clone(&parts.roster.borrow());
    for account in roster.accounts() {
        let is_told = standing.iter().any(|notice| notice.account == account.id && notice.code == SILENCE);
        let (swept, app) = (parts.store.sweep_state(&account.id).await?, parts.store.app_state(&account.app).await?);
        if let Some(what) = found(&swept, app.verified_at).filter(|_| !is_told) {
            parts.store.note(note(account, what), parts.clock.now()).await?;
        }
    }
    Ok(())
}

/// What the last sweep found that nobody announced. One after an outage, for new rules or for a person finds what no event
/// could have brought about.
fn found(swept: &SweepState, verified_at: Option<Timestamp>) -> Option<String> {
    let run = swept.last.as_ref().filter(|run| run.why == SweepCause::Schedule && run.changed > 0)?;
    let is_heard = verified_at.is_some_and(|at| at.plus(LONG) > run.started_at);
    let last = verified_at.map_or_else(|| "none ever came".to_owned(), |at| format!("the last came at {at}"));
    let changes = if run.changed == 1 { "1 change".to_owned() } else { format!("{} changes", run.changed) };
    (!is_heard)
        .then(|| format!("the sweep of {} had to make {changes} that no delivery asked for; {last}", run.started_at))
}

fn note(account: &Account, what: String) -> Note {
    Note {
        kind: Kind::Attention,
        app: Some(account.app.clone()),
        account: Some(account.id.clone()),
        code: SILENCE.to_owned(),
        detail: Detail::note(what),
    }
}

/// Whether a delivery came since.
pub(super) async fn is_over(parts: &Parts, account: &Account, notice: &Notice) -> Result<bool, StoreError> {
    Ok(parts.store.app_state(&account.app).await?.verified_at.is_some_and(|at| at > notice.since))
}
