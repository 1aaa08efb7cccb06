//! `/metrics`, in the text format of `OpenMetrics`. Labels hold names of the configuration and codes, never ids or emails.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::AdminState;
use super::described::{Operation, Told};
use super::problem::ApiProblem;
use super::sweeps;
use crate::clock::Timestamp;
use crate::feed::push::Doing;

type Labels = Vec<(&'static str, String)>;

/// One scrape: all figures are read when they are asked for.
#[derive(Default)]
struct Scrape(Registry);

impl Scrape {
    fn gauges(&mut self, name: &str, help: &str, values: impl IntoIterator<Item = (Labels, u64)>) {
        let family = Family::<Labels, Gauge>::default();
        for (labels, value) in values {
            family.get_or_create(&labels).set(i64::try_from(value).unwrap_or(i64::MAX));
        }
        self.0.register(name, help, family);
    }

    fn counters(&mut self, name: &str, help: &str, values: impl IntoIterator<Item = (Labels, u64)>) {
        let family = Family::<Labels, Counter>::default();
        for (labels, value) in values {
            family.get_or_create(&labels).inc_by(value);
        }
        self.0.register(name, help, family);
    }

    /// A figure that has no labels.
    fn gauge(&mut self, name: &str, help: &str, value: u64) {
        let gauge: Gauge = Gauge::default();
        gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        self.0.register(name, help, gauge);
    }

    fn text(&self) -> Result<String, ApiProblem> {
        let mut text = String::new();
        encode(&mut text, &self.0).map_err(|error| {
            ApiProblem::new(http::StatusCode::INTERNAL_SERVER_ERROR, format!("cannot write the metrics: {error}"))
        })?;
        Ok(text)
    }
}

fn one(label: &'static str, value: &impl ToString) -> Labels {
    vec![(label, value.to_string())]
}

const KIND: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The text of one scrape.
pub(super) struct Text(String);

impl IntoResponse for Text {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, KIND)], self.0).into_response()
    }
}

impl Told for Text {
    fn describe(operation: &mut Operation) {
        let schema = operation.schema::<String>();
        operation.answer = Some((200, "application/openmetrics-text", schema));
    }
}

pub(super) async fn metrics(State(state): State<Arc<AdminState>>) -> Result<Text, ApiProblem> {
    let status = state.store.status().await?;
    let counts = state.stats.counts();
    let mut scrape = Scrape::default();
    let accepted: Counter = Counter::default();
    accepted.inc_by(counts.accepted);
    scrape.0.register("adjutant_deliveries_accepted", "Deliveries stored and answered 200", accepted);
    let refused = counts.refused.iter().map(|(kind, count)| (one("kind", kind), *count));
    scrape.counters("adjutant_deliveries_refused", "Requests refused, by kind", refused);
    let outcomes = counts.outcomes.iter().map(|(kind, count)| (one("outcome", kind), *count));
    scrape.counters("adjutant_outcomes", "Attempts ended, by what they came to", outcomes);
    let calls = counts.zoom_calls.iter().map(|(class, count)| (one("status", class), *count));
    scrape.counters("adjutant_zoom_calls", "Calls to Zoom, by class of status", calls);
    let jobs = [
        ("due", status.due),
        ("running", status.running),
        ("waiting", status.waiting),
        ("parked", status.parked),
        ("done", status.done),
        ("cancelled", status.cancelled),
    ];
    scrape.gauges("adjutant_jobs", "Jobs, by state", jobs.map(|(state, count)| (one("state", &state), count)));
    let reasons = status.waiting_for.iter().map(|(reason, count)| (one("reason", &reason.code()), *count));
    scrape.gauges("adjutant_jobs_waiting", "Waiting jobs, by what they wait for", reasons);
    let mut alarms = BTreeMap::<&str, u64>::new();
    for alarm in &counts.alarms {
        let count = alarms.entry(&alarm.code).or_default();
        *count = count.saturating_add(1);
    }
    let alarms = alarms.into_iter().map(|(code, count)| (one("code", &code), count));
    scrape.gauges("adjutant_alarms", "What is wrong with the running service, by the code of the alarm", alarms);
    of_consumers(&state, &mut scrape);
    let ages = sweeps::ages(&state).await?.into_iter().map(|(app, secs)| (one("app", &app), secs));
    scrape.gauges(
        "adjutant_sweep_age_seconds",
        "Since the end of the last whole sweep: of the app's account for which that is longest",
        ages,
    );
    let plain = [
        ("adjutant_deliveries_stored", "Deliveries in the store", Some(status.deliveries)),
        ("adjutant_deliveries_unplanned", "Deliveries not planned yet", Some(status.unplanned)),
        ("adjutant_deliveries_parked", "Deliveries set aside", Some(status.parked_deliveries)),
        ("adjutant_index_lag_records", "Journal records that the index has yet to take in", Some(status.index_lag)),
        (
            "adjutant_index_missing",
            "1 while there is no index, until it was built anew",
            Some(u64::from(status.index_trouble.is_some())),
        ),
        (
            "adjutant_apps_backlogged",
            "Apps whose deliveries are refused, since as many as may wait to be planned",
            u64::try_from(status.full_backlogs.len()).ok(),
        ),
        (
            "adjutant_deliveries_given_up",
            "Deliveries given up since the last quiet week",
            Some(status.given_up.map_or(0, |given_up| given_up.count)),
        ),
        ("adjutant_store_free_bytes", "Free space where the store lives", status.disk_free_bytes),
        ("adjutant_store_refusing", "1 while deliveries are refused", Some(u64::from(status.refusing.is_some()))),
        ("adjutant_process_resident_bytes", "Resident memory of the process", resident_bytes()),
    ];
    for (name, help, value) in plain {
        if let Some(value) = value {
            scrape.gauge(name, help, value);
        }
    }
    Ok(Text(scrape.text()?))
}

fn of_consumers(state: &AdminState, scrape: &mut Scrape) {
    let consumers: Vec<_> = state.pushers.iter().flat_map(|pushers| pushers.doing()).collect();
    let now = state.clock.now();
    let of = |value: fn(&Doing, Timestamp) -> u64| {
        consumers.iter().map(move |doing| (one("consumer", &doing.name), value(doing, now))).collect::<Vec<_>>()
    };
    let behind = of(|doing, _| doing.behind);
    scrape.gauges("adjutant_consumer_behind_entries", "Entries of the audit log that a consumer has not got", behind);
    let behind = of(|doing, _| doing.checkpoints_behind);
    scrape.gauges("adjutant_consumer_behind_checkpoints", "Checkpoints that a consumer has not got", behind);
    let secs = of(Doing::behind_secs);
    scrape.gauges("adjutant_consumer_behind_seconds", "Since when the first of them is there", secs);
    let paused = of(|doing, _| u64::from(doing.paused.is_some()));
    scrape.gauges("adjutant_consumer_paused", "1 while a consumer gets nothing", paused);
    let sent = of(|doing, _| doing.sent);
    scrape.counters("adjutant_consumer_sent", "Entries that a consumer took since the start", sent);
}

/// None where the system does not say.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    kib.checked_mul(1_024)
}
