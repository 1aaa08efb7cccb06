//! Whether Zoom answers an account's calls, and takes its credentials: by what calls came to, so that nobody asks for it.

use std::sync::Mutex;

use super::port::ZoomError;
use crate::clock::{Timestamp, lock};

/// What calls of one account came to, one after the other.
#[derive(Debug, Default)]
pub(super) struct Health(Mutex<Standing>);

/// What is wrong now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// Since when Zoom refuses the credentials, and why.
    pub refused: Option<(Timestamp, String)>,
    pub unanswered: Option<Unanswered>,
}

/// Calls in a row without an answer that says something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unanswered {
    pub since: Timestamp,
    pub last: Timestamp,
    pub calls: u32,
    pub why: String,
}

impl Health {
    pub(super) fn saw<T>(&self, came_to: &Result<T, ZoomError>, now: Timestamp) {
        let mut standing = lock(&self.0);
        match came_to {
            Err(ZoomError::Credentials(why)) => {
                standing.unanswered = None;
                standing.refused.get_or_insert_with(|| (now, String::new())).1.clone_from(why);
            }
            Err(ZoomError::Transient(why)) => {
                let first = || Unanswered { since: now, last: now, calls: 0, why: String::new() };
                let row = standing.unanswered.get_or_insert_with(first);
                (row.last, row.calls) = (now, row.calls.saturating_add(1));
                row.why.clone_from(why);
            }
            // That may be our own limit: nothing was asked.
            Err(ZoomError::Limited { .. }) => {}
            // An answer, though not the one that was hoped for: the credentials were taken.
            _ => *standing = Standing::default(),
        }
    }

    pub(super) fn standing(&self) -> Standing {
        lock(&self.0).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_known_by_its_first_moment_until_a_call_is_answered() {
        let health = Health::default();
        let at = Timestamp::from_secs;
        let transient = || Err::<(), _>(ZoomError::Transient("no answer".to_owned()));
        health.saw(&transient(), at(1));
        health.saw(&transient(), at(2));
        let row = health.standing().unanswered.unwrap();
        assert_eq!((row.since, row.last, row.calls), (at(1), at(2), 2));
        health.saw::<()>(&Err(ZoomError::Credentials("bad secret".to_owned())), at(3));
        health.saw::<()>(&Err(ZoomError::Credentials("disabled".to_owned())), at(4));
        health.saw(&transient(), at(5));
        let Standing { refused, unanswered } = health.standing();
        assert_eq!((refused, unanswered.unwrap().since), (Some((at(3), "disabled".to_owned())), at(5)));
        health.saw::<()>(&Err(ZoomError::NotFound("user".to_owned())), at(6));
        assert_eq!(health.standing(), Standing::default());
    }
}
