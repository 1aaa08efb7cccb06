//! When sweeps begin. Pure.
//!
//! A schedule is a cron expression in a time zone, UTC where none is named. Where the clocks change, an expression with a
//! fixed hour runs once: what falls into the hour that is skipped runs when that hour is over, and in the hour that comes
//! twice only the first counts; an expression that runs every hour goes on evenly (the rules of Vixie cron, as `croner`
//! keeps them).

use std::str::FromStr;
use std::time::Duration;

use croner::Cron;
use jiff::tz::TimeZone;

use crate::clock::Timestamp;

/// How long after a moment for which there is no next one it is looked for again.
const NEVER: Duration = Duration::from_secs(86_400);

const EVERY_HOUR: &str = "0 * * * *";

/// None: every hour.
#[derive(Debug, Clone, Default)]
pub struct Schedule(Option<(Cron, TimeZone)>);

impl PartialEq for Schedule {
    fn eq(&self, other: &Self) -> bool {
        let said = |schedule: &Self| schedule.0.as_ref().map(|(cron, zone)| (cron.as_str().to_owned(), zone.clone()));
        said(self) == said(other)
    }
}

impl Eq for Schedule {}

impl Schedule {
    /// None where the expression or the zone cannot be understood, or the moment never comes.
    pub fn new(cron: &str, zone: &str) -> Option<Self> {
        let zone = if zone == "UTC" { TimeZone::UTC } else { TimeZone::get(zone).ok()? };
        let cron = Cron::from_str(cron).ok()?;
        cron.find_next_occurrence(&jiff::Timestamp::UNIX_EPOCH.to_zoned(zone.clone()), false).ok()?;
        Some(Self(Some((cron, zone))))
    }

    /// The same with another expression, or in another zone; where one is none, it stays as it is.
    #[must_use]
    pub fn with(&self, cron: Option<&str>, zone: Option<&str>) -> Option<Self> {
        let (own_cron, own_zone) = match &self.0 {
            Some((cron, zone)) => (cron.as_str().to_owned(), zone.iana_name().unwrap_or("UTC").to_owned()),
            None => (EVERY_HOUR.to_owned(), "UTC".to_owned()),
        };
        Self::new(cron.unwrap_or(&own_cron), zone.unwrap_or(&own_zone))
    }

    /// The first moment of the schedule after `at`.
    pub fn after(&self, at: Timestamp) -> Timestamp {
        let Some((cron, zone)) = &self.0 else {
            return Timestamp::from_secs(at.utc_hour().saturating_add(1).saturating_mul(3600));
        };
        let from = jiff::Timestamp::from_millisecond(at.as_millis()).ok().map(|at| at.to_zoned(zone.clone()));
        let next = from.and_then(|from| cron.find_next_occurrence(&from, false).ok());
        next.map_or_else(|| at.plus(NEVER), |next| Timestamp::from_millis(next.timestamp().as_millisecond()))
    }

    /// When the sweep after the one that began at `began` is due, for an account whose sweeps begin `offset` after the
    /// moments of the schedule. Where it is past, it is due at once, and once, however many were missed.
    pub(super) fn next(&self, began: Timestamp, offset: Duration) -> Timestamp {
        self.after(began.minus(offset)).plus(offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::from_millis(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    fn rows(schedule: &Schedule, from: &str, expected: &[&str]) {
        let mut now = at(from);
        for expected in expected {
            now = schedule.after(now);
            assert_eq!(now, at(expected));
        }
    }

    #[test]
    fn the_default_is_every_hour() {
        rows(&Schedule::default(), "2026-03-29T00:30:00Z", &["2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z"]);
    }

    #[test]
    fn a_fixed_hour_that_a_clock_change_skips_runs_after_it_and_one_that_comes_twice_runs_once() {
        let nightly = Schedule::new("30 2 * * *", "Europe/Berlin").unwrap();
        // 02:30 does not exist on 29 March 2026.
        let spring = ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"];
        rows(&nightly, "2026-03-27T12:00:00Z", &spring);
        // 02:30 comes twice on 25 October 2026.
        let autumn = ["2026-10-24T00:30:00Z", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"];
        rows(&nightly, "2026-10-23T12:00:00Z", &autumn);
    }

    #[test]
    fn every_hour_goes_on_evenly_over_a_clock_change() {
        let hourly = Schedule::new("0 * * * *", "Europe/Berlin").unwrap();
        rows(&hourly, "2026-03-29T00:00:00Z", &["2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z"]);
        let autumn = ["2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z"];
        rows(&hourly, "2026-10-24T23:00:00Z", &autumn);
    }

    #[test]
    fn sweeps_keep_their_distance_from_the_schedule_and_missed_ones_are_one() {
        let (hourly, offset) = (Schedule::default(), Duration::from_secs(600));
        assert_eq!(hourly.next(at("2026-03-01T10:10:00Z"), offset), at("2026-03-01T11:10:00Z"));
        // Somebody asked for one in between.
        assert_eq!(hourly.next(at("2026-03-01T11:05:00Z"), offset), at("2026-03-01T11:10:00Z"));
        assert_eq!(hourly.next(at("2026-03-01T03:10:00Z"), offset), at("2026-03-01T04:10:00Z"));
    }

    #[test]
    fn an_account_may_have_another_hour_or_another_zone() {
        let nightly = Schedule::new("30 2 * * *", "Europe/Berlin").unwrap();
        rows(&nightly.with(None, Some("UTC")).unwrap(), "2026-01-01T00:00:00Z", &["2026-01-01T02:30:00Z"]);
        rows(&nightly.with(Some("0 4 * * *"), None).unwrap(), "2026-01-01T00:00:00Z", &["2026-01-01T03:00:00Z"]);
        let hourly = Schedule::default().with(None, Some("Asia/Kolkata")).unwrap();
        rows(&hourly, "2026-01-01T00:00:00Z", &["2026-01-01T00:30:00Z"]);
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        assert!(Schedule::new("0 0 29 2 *", "UTC").is_some(), "it comes every four years");
        for (cron, zone) in [
            ("0 0 30 2 *", "UTC"),
            ("every hour", "UTC"),
            ("61 * * * *", "UTC"),
            ("", "UTC"),
            ("0 * * * *", "Mars/Olympus"),
        ] {
            assert_eq!(Schedule::new(cron, zone), None, "{cron} {zone}");
        }
    }
}
