//! Those who wait for entries of the audit log, or have much of it looked through: how many there may be, and when they are told to go.
//!
//! Guarantees: however many wait, there is room on the listener for others; whoever has one token takes no more than a part of
//! what there is; at a stop of the service none of them holds it up.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::StatusCode;
use tokio_util::sync::CancellationToken;

use super::AdminState;
use super::problem::ApiProblem;
use crate::clock::{Timestamp, lock};

/// Readers that wait at once: half of the connections that the listener takes.
const PLACES: usize = 64;
/// Of one token.
const PLACES_OF_ONE: usize = 16;
/// Not all that is entered tells whoever waits for a change.
const LOOK_AFTER: Duration = Duration::from_secs(1);

/// Who waits.
#[derive(Debug, Clone, Default)]
pub struct Readers {
    ended: CancellationToken,
    /// By who asks.
    places: Arc<Mutex<BTreeMap<String, usize>>>,
}

/// A reader's place, free when it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    places: Arc<Mutex<BTreeMap<String, usize>>>,
    actor: String,
}

impl Readers {
    /// From the end of this on whoever waits goes, and nobody waits any more.
    pub async fn end_after(self, stop: impl Future<Output = ()> + Send) {
        stop.await;
        self.ended.cancel();
    }

    /// How many wait.
    pub fn count(&self) -> usize {
        lock(&self.places).values().sum()
    }

    pub(super) fn is_ended(&self) -> bool {
        self.ended.is_cancelled()
    }

    /// 503 where as many wait as may.
    pub(super) fn enter(&self, actor: &str) -> Result<Seat, ApiProblem> {
        let mut places = lock(&self.places);
        let own = places.get(actor).copied().unwrap_or_default();
        let refused = match (places.values().sum::<usize>(), own) {
            (PLACES.., _) => {
                Some(format!("{PLACES} readers wait for entries or have the log looked through, and no more may"))
            }
            (_, PLACES_OF_ONE..) => Some(format!(
                "{PLACES_OF_ONE} readers with this token wait or have the log looked through, and no more may"
            )),
            _ => None,
        };
        if let Some(why) = refused {
            let advice = "close one of them, or ask later; without wait_secs /v1/audit answers at once";
            let problem = ApiProblem::new(StatusCode::SERVICE_UNAVAILABLE, why);
            return Err(ApiProblem { advice: Some(advice.into()), ..problem });
        }
        places.insert(actor.to_owned(), own.saturating_add(1));
        Ok(Seat { places: Arc::clone(&self.places), actor: actor.to_owned() })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut places = lock(&self.places);
        if let Some(left) = places.remove(&self.actor).and_then(|own| own.checked_sub(1)).filter(|left| *left > 0) {
            places.insert(self.actor.clone(), left);
        }
    }
}

/// What may be told of next. Made before looking, so that nothing that comes in between is missed.
pub(super) struct Waiter {
    changed: tokio::sync::watch::Receiver<u64>,
    look_at: Timestamp,
}

impl Waiter {
    pub(super) fn new(state: &AdminState) -> Self {
        let mut changed = state.store.changed();
        changed.borrow_and_update();
        Self { changed, look_at: state.clock.now().plus(LOOK_AFTER) }
    }

    /// Ends when there may be more, or it is time to look, or to go.
    pub(super) async fn wait(mut self, state: &AdminState, until: Timestamp) {
        tokio::select! {
            _changed_or_closed = self.changed.changed() => {}
            () = state.clock.sleep_until(self.look_at.min(until)) => {}
            () = state.readers.ended.cancelled() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_token_has_a_part_of_the_places_and_each_is_free_when_it_is_left() {
        let readers = Readers::default();
        let mut own: Vec<_> = (0..PLACES_OF_ONE).map(|_| readers.enter("own").unwrap()).collect();
        assert_eq!(readers.enter("own").unwrap_err().status, 503);
        let others: Vec<_> =
            (PLACES_OF_ONE..PLACES).map(|n| readers.enter(&format!("other-{}", n % 4)).unwrap()).collect();
        assert_eq!(readers.enter("late").unwrap_err().status, 503);
        own.pop();
        drop(readers.enter("late").unwrap());
        drop((own, others));
        assert!(lock(&readers.places).is_empty());
    }
}
