//! Whether an account's events came, day by day: what the audit log, the sweeps and Zoom's own log of failures say together. What
//! none of them knows is said to be unknown.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::AdminState;
use super::caller::Caller;
use super::problem::ApiProblem;
use super::reading::Place;
use super::routes::{Answer, Asked, Shared, asked, parsed};
use crate::audit::{Entry, Kind};
use crate::clock::Timestamp;
use crate::ids::{AccountId, DeliveryId};
use crate::store::StoreError;

/// Days that are told of, where nobody says how many, and at most.
const DAYS: u32 = 7;
const DAYS_MAX: u32 = 31;
/// Entries that are looked at: the newest.
const LOOKED_MAX: u64 = 500_000;
/// Entries that are read at once.
const PAGE: u64 = 1_000;
const DAY: Duration = Duration::from_secs(86_400);

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CompletenessAsked {
    /// How many UTC days, today included: 1 to 31, and 7 where nothing is said.
    days: Option<u32>,
}

/// What is known of an account's events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CompletenessView {
    pub account: String,
    /// The oldest first.
    pub days: Vec<DayView>,
    /// When the newest delivery of the account came, of those that were looked at.
    pub last_event_at: Option<String>,
    /// Up to when Zoom's own log of deliveries that failed was read: what it had by then is stored, or was refused. None where it is not
    /// read.
    pub zooms_log_read_to: Option<String>,
    /// What is not known, in sentences.
    pub unknown: Vec<String>,
}

/// One UTC day of an account. A delivery counts for the day on which it came.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DayView {
    pub day: String,
    /// All of its entries were looked at.
    pub is_whole: bool,
    /// Deliveries that came by themselves, repeated ones too.
    pub received: u64,
    /// Of these, those that had come before.
    pub repeated: u64,
    /// Deliveries that did not come by themselves, and were found in Zoom's log.
    pub backfilled: u64,
    /// Jobs that a sweep made, since no event had asked for what it found.
    pub swept: u64,
    /// Deliveries that are set aside, and were not planned since.
    pub set_aside: u64,
    /// Requests that were refused, of all accounts: nobody knows whose they were. None for whoever sees one account alone.
    pub refused_of_all: Option<u64>,
    pub last_event_at: Option<String>,
    /// Deliveries that Zoom says failed, and that are not here: 0 where its log was read to the end of the day, since then
    /// those are here or were refused; none where that is not known.
    pub missing: Option<u64>,
}

pub(super) async fn show(
    State(state): Shared,
    caller: Caller,
    Path(account): Path<String>,
    query: Asked<CompletenessAsked>,
) -> Answer<CompletenessView> {
    let account: AccountId = parsed(&account)?;
    let days = asked(query)?.days.unwrap_or(DAYS);
    if !(1..=DAYS_MAX).contains(&days) {
        return Err(ApiProblem::bad_request(format!("days is {days}, expected 1 to {DAYS_MAX}")));
    }
    let _seat = state.readers.enter(&caller.actor)?;
    let end = state.clock.now().next_utc_midnight();
    let first = end.minus(DAY.saturating_mul(days));
    let size = state.store.tree_head().await?.size;
    let wanted = Place::Time(first).index(&*state.store).await?;
    let start = wanted.max(size.saturating_sub(LOOKED_MAX));
    let mut tally = Tally::new(&account);
    let mut whole_from = (start == wanted).then_some(first);
    let mut next = start;
    while next < size {
        let count = usize::try_from(size.saturating_sub(next).min(PAGE)).unwrap_or(usize::MAX);
        for entry in state.store.entries(next, count).await? {
            // What the service did is of no account's days: an entry `forgotten` of it says that something was.
            let is_gone = ["pruned", "forgotten"].contains(&entry.code.as_str()) && entry.kind != Kind::Service;
            if whole_from.is_none() || is_gone {
                whole_from = whole_from.max(Some(entry.at.next_utc_midnight()));
            }
            tally.add(&entry);
        }
        next = next.saturating_add(PAGE);
    }
    if !tally.is_known && state.app_of(&account).is_none() {
        return Err(ApiProblem::no_account(account.as_str()));
    }
    let read_to = read_to(&state, &account).await?;
    let whole_from = whole_from.unwrap_or(first);
    let is_of_all = caller.account.is_none();
    let told = (0..days).map(|number| first.plus(DAY.saturating_mul(number)));
    let told: Vec<DayView> = told.map(|day| tally.day(day, (whole_from, read_to), is_of_all)).collect();
    Ok(Json(CompletenessView {
        account: account.to_string(),
        last_event_at: told.iter().rev().find_map(|day| day.last_event_at.clone()),
        zooms_log_read_to: read_to.map(|at| at.to_string()),
        unknown: unknown(read_to, start > wanted, whole_from > first),
        days: told,
    }))
}

/// Up to when Zoom's log was read, with the token of this account or of another one of its app.
async fn read_to(state: &AdminState, account: &AccountId) -> Result<Option<Timestamp>, StoreError> {
    let of_app: Vec<AccountId> = {
        let apps = state.apps.borrow();
        let app = apps.iter().find(|app| app.ids().any(|id| id == account));
        app.map_or_else(|| vec![account.clone()], |app| app.ids().cloned().collect())
    };
    let mut newest = None;
    for account in &of_app {
        newest = state.store.sweep_state(account).await?.backfilled.max(newest);
    }
    Ok(newest)
}

fn unknown(read_to: Option<Timestamp>, is_cut: bool, is_partly: bool) -> Vec<String> {
    let all = [
        Some(
            "what Zoom neither delivered nor wrote into its log of failures: a sweep finds its effects alone"
                .to_owned(),
        ),
        Some(match read_to {
            Some(at) => format!("what failed after {at}, up to when Zoom's log of failures was read"),
            None => "what failed at Zoom: its log of failures is not read for this account".to_owned(),
        }),
        Some(
            "rows of Zoom's log that bear no good signature are refused; entries `backfilled` say how many".to_owned(),
        ),
        is_cut.then(|| format!("what was before the newest {LOOKED_MAX} entries: those alone were looked at")),
        (is_partly && !is_cut).then(|| "what the entries were that were forgotten or pruned since".to_owned()),
    ];
    all.into_iter().flatten().collect()
}

/// The entries of an account, counted.
struct Tally<'a> {
    account: &'a AccountId,
    /// There is an entry of it.
    is_known: bool,
    deliveries: BTreeMap<DeliveryId, Came>,
    /// By the number of the UTC day.
    days: BTreeMap<i64, Other>,
}

/// A delivery, of any account until it is planned.
struct Came {
    at: Timestamp,
    is_backfilled: bool,
    /// What was decided last, once it is known to be of the account.
    decided: Option<String>,
}

/// What is counted as it is.
#[derive(Default)]
struct Other {
    swept: u64,
    refused: u64,
}

/// What sets a delivery aside.
const SET_ASIDE: [&str; 3] = ["unreadable", "unclaimed", "backlog"];

impl<'a> Tally<'a> {
    fn new(account: &'a AccountId) -> Self {
        Self { account, is_known: false, deliveries: BTreeMap::new(), days: BTreeMap::new() }
    }

    fn add(&mut self, entry: &Entry) {
        let is_its = entry.account.as_ref() == Some(self.account);
        self.is_known |= is_its;
        let day = entry.at.utc_day();
        match (entry.kind, entry.delivery) {
            (Kind::Delivery, Some(id)) => {
                let came = Came { at: entry.at, is_backfilled: entry.code == "backfilled", decided: None };
                self.deliveries.insert(id, came);
            }
            (Kind::Decision, Some(id)) if is_its => {
                // It came before the first entry that is looked at.
                let came =
                    self.deliveries.entry(id).or_insert(Came { at: entry.at, is_backfilled: false, decided: None });
                came.decided = Some(entry.code.clone());
                self.days.entry(came.at.utc_day()).or_default();
            }
            // Of another account: it is not asked about any more.
            (Kind::Decision, Some(id)) => drop(self.deliveries.remove(&id)),
            (Kind::Decision, None) if is_its && entry.code == "swept" => {
                let other = self.days.entry(day).or_default();
                other.swept = other.swept.saturating_add(1);
            }
            (Kind::Refusal, _) => {
                let note = entry.detail.as_ref().map(|detail| detail.note.as_str()).unwrap_or_default();
                let count = note.split(' ').next().and_then(|count| count.parse::<u64>().ok()).unwrap_or(1);
                let other = self.days.entry(day).or_default();
                other.refused = other.refused.saturating_add(count);
            }
            _ if is_its => drop(self.days.entry(day).or_default()),
            _ => {}
        }
    }

    fn day(
        &self,
        begins: Timestamp,
        (whole_from, read_to): (Timestamp, Option<Timestamp>),
        is_of_all: bool,
    ) -> DayView {
        let ends = begins.plus(DAY);
        let other = self.days.get(&begins.utc_day());
        let mut view = DayView {
            day: begins.to_string().chars().take_while(|c| *c != 'T').collect(),
            is_whole: begins >= whole_from,
            swept: other.map_or(0, |other| other.swept),
            refused_of_all: is_of_all.then(|| other.map_or(0, |other| other.refused)),
            missing: read_to.filter(|read_to| *read_to >= ends).map(|_| 0),
            ..DayView::default()
        };
        let mut last = None;
        for came in self.deliveries.values().filter(|came| begins <= came.at && came.at < ends) {
            let Some(decided) = came.decided.as_deref() else { continue };
            let counted = if came.is_backfilled { &mut view.backfilled } else { &mut view.received };
            *counted = counted.saturating_add(1);
            view.repeated = view.repeated.saturating_add(u64::from(decided == "duplicate"));
            view.set_aside = view.set_aside.saturating_add(u64::from(SET_ASIDE.contains(&decided)));
            last = last.max(Some(came.at));
        }
        view.last_event_at = last.map(|at| at.to_string());
        view
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Detail;

    fn entry(hours: i64, kind: Kind, code: &str, account: Option<&str>, delivery: Option<u64>) -> Entry {
        Entry {
            index: 0,
            at: Timestamp::from_secs(hours * 3600),
            kind,
            app: None,
            account: account.map(|account| AccountId::parse(account).unwrap()),
            delivery: delivery.map(DeliveryId::from_number),
            job: None,
            rule: None,
            code: code.to_owned(),
            detail: None,
            led_by: None,
            leaf: [0; 32],
        }
    }

    #[test]
    fn a_delivery_counts_for_the_day_on_which_it_came_and_as_what_was_decided_last() {
        let own = AccountId::parse("own").unwrap();
        let mut tally = Tally::new(&own);
        tally.add(&entry(22, Kind::Refusal, "signature", None, None));
        tally.add(&entry(22, Kind::Decision, "work", Some("other"), Some(9)));
        assert!(!tally.is_known, "what is refused, or of another account, makes none known");
        let refused = Entry {
            detail: Some(Detail::note("12 requests in the minute of now")),
            ..entry(30, Kind::Refusal, "signature", None, None)
        };
        for one in [
            entry(23, Kind::Delivery, "stored", None, Some(1)),
            entry(24, Kind::Decision, "unclaimed", Some("own"), Some(1)),
            entry(25, Kind::Delivery, "stored", None, Some(2)),
            entry(25, Kind::Decision, "work", Some("other"), Some(2)),
            entry(26, Kind::Delivery, "backfilled", None, Some(3)),
            entry(26, Kind::Decision, "nothing", Some("own"), Some(3)),
            entry(27, Kind::Delivery, "stored", None, Some(4)),
            entry(27, Kind::Decision, "duplicate", Some("own"), Some(4)),
            entry(28, Kind::Delivery, "stored", None, Some(5)),
            entry(28, Kind::Decision, "backlog", Some("own"), Some(5)),
            entry(28, Kind::Decision, "swept", Some("own"), None),
            refused,
            entry(30, Kind::Decision, "work", Some("own"), Some(1)),
        ] {
            tally.add(&one);
        }
        let day = |day: i64| {
            let read_to = Some(Timestamp::from_secs(30 * 3600));
            tally.day(Timestamp::from_secs(day * 86_400), (Timestamp::EPOCH, read_to), day == 1)
        };
        let first = day(0);
        assert_eq!((first.received, first.set_aside, first.missing), (1, 0, Some(0)), "{first:?}");
        assert_eq!((first.day.as_str(), first.refused_of_all), ("1970-01-01", None));
        let second = day(1);
        assert_eq!((second.received, second.repeated, second.backfilled), (2, 1, 1), "{second:?}");
        assert_eq!((second.set_aside, second.swept, second.refused_of_all), (1, 1, Some(12)), "{second:?}");
        assert_eq!((second.missing, second.last_event_at.as_deref()), (None, Some("1970-01-02T04:00:00.000Z")));
        assert_eq!(day(2).received, 0);
    }
}
