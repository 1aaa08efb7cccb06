//! Places in the audit log, as readers hold them: opaque, and valid for as long as the log is. Each names its log: a restore may
//! begin another, and whoever went on there from a place of the one before would miss entries and not know it.

use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::AdminState;
use super::problem::ApiProblem;
use crate::store::StoreError;
use crate::store::local::ThisLog;

/// Whose cursors are made and read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cursors(ThisLog);

impl Cursors {
    pub(super) fn of(state: &AdminState) -> Result<Self, StoreError> {
        let none = ThisLog { name: String::new(), is_first: true, size: u64::MAX };
        state.local.as_ref().map_or(Ok(none), crate::store::LocalStore::this_log).map(Self)
    }

    /// A cursor that goes on at entry `index`.
    pub(super) fn encode(&self, index: u64) -> String {
        URL_SAFE_NO_PAD.encode(format!("2:{}:{index}", self.0.name))
    }

    /// The entry at which a cursor goes on.
    pub(super) fn decode(&self, cursor: &str) -> Result<u64, ApiProblem> {
        let ThisLog { name, is_first, size } = &self.0;
        let Some((of, index)) = read(cursor) else {
            let why = "after is no cursor of this log: give `next` of a page before, or to begin leave `after` out";
            return Err(ApiProblem::bad_request(why));
        };
        match of {
            Some(of) if of != *name => {
                Err(gone(format!("after is a cursor of the log {of}, and this one is {name}: a restore began it")))
            }
            // Those that named no log.
            None if !is_first => {
                Err(gone(format!("after may be a cursor of a log before this one, {name}, which a restore began")))
            }
            _ if index > *size => {
                let why = format!("after is a cursor behind entry {index}, and the log has {size}: its end was lost");
                Err(gone(why))
            }
            _ => Ok(index),
        }
    }
}

fn gone(why: String) -> ApiProblem {
    let advice = "read the log anew into a place of its own, from the first entry on or with `from`: leave `after` out";
    let problem = ApiProblem::new(StatusCode::GONE, why);
    ApiProblem { code: Some("other-log".into()), advice: Some(advice.into()), ..problem }
}

/// The name of a log, where the cursor has one, and an entry.
fn read(cursor: &str) -> Option<(Option<String>, u64)> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    if let Some(index) = text.strip_prefix("1:") {
        return Some((None, index.parse().ok()?));
    }
    let (name, index) = text.strip_prefix("2:")?.rsplit_once(':')?;
    Some((Some(name.to_owned()), index.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursors(name: &str, is_first: bool) -> Cursors {
        Cursors(ThisLog { name: name.to_owned(), is_first, size: 100 })
    }

    #[test]
    fn a_cursor_reads_what_it_wrote_and_nothing_else() {
        let log = cursors("adjutant/01", true);
        for index in [0, 1, 100] {
            assert_eq!(log.decode(&log.encode(index)), Ok(index));
        }
        for bad in ["", "7", "MTo", "MTot", "Mjph", "Mjo3"] {
            let told = log.decode(bad).unwrap_err();
            assert!(told.status == 400 && told.detail.contains("leave `after` out"), "{bad}: {told:?}");
        }
    }

    #[test]
    fn a_cursor_of_another_log_or_behind_the_end_is_refused_with_what_to_do() {
        let (log, other) = (cursors("adjutant/01", true), cursors("adjutant/02", false));
        // As cursors were before they named their log.
        let old = URL_SAFE_NO_PAD.encode("1:7");
        assert_eq!(log.decode(&old), Ok(7), "there was no log before it");
        for told in [other.decode(&log.encode(7)), other.decode(&old), log.decode(&log.encode(101))] {
            let told = told.unwrap_err();
            assert_eq!((told.status, told.code.as_deref()), (410, Some("other-log")), "{told:?}");
            assert!(told.advice.unwrap().contains("leave `after` out"));
        }
    }
}
