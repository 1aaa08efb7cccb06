//! What a 429 means: Zoom has at least five kinds under one code, and only words tell them apart.

use std::time::Duration;

use http::HeaderMap;

use super::errors::{DayOf, Limited};
use crate::clock::Timestamp;

/// Where nothing says how long: the worker's backoff does the rest.
const UNKNOWN: Duration = Duration::from_secs(60);

/// When a throttled call may be tried again, and whom that holds back. `said` is Zoom's message, `unit` a random number
/// in `0.0..1.0`.
pub(super) fn throttled(said: &str, headers: &HeaderMap, now: Timestamp, unit: f64) -> Limited {
    let text = said.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let kind = header(headers, "x-ratelimit-type").unwrap_or_default().to_ascii_lowercase();
    let jittered = |from: f64, spread: f64| now.plus(Duration::from_secs_f64(from + spread * unit.clamp(0.0, 1.0)));
    let limited = |until, why: &str, all| Limited { until, why: format!("{why}: {}", shown(said)), all, day: None };
    let one = |until, why: &str| limited(until, why, false);
    let all = |until, why: &str| limited(until, why, true);

    // The headers of these describe another bucket (seen: `Light`, 5893 left), so that their words come first.
    if has(&["particular user", "create/update"]) {
        return Limited { day: Some(DayOf::Host), ..one(now.next_utc_midnight(), "Zoom's limit per user and day") };
    }
    if has(&["invite"]) {
        let one = one(now.next_utc_midnight(), "Zoom's limit of invitations per day");
        return Limited { day: Some(DayOf::Invitations), ..one };
    }
    if has(&["concurrent", "already been made"]) {
        return one(jittered(2.0, 3.0), "another request about the same is under way");
    }
    if has(&["per-second", "per second"]) || (kind == "qps" && !has(&["daily"])) {
        return all(jittered(1.0, 1.0), "Zoom's limit per second");
    }
    let named = retry_after(headers, now);
    if has(&["daily"]) || kind.contains("daily") {
        return all(named.unwrap_or_else(|| now.next_utc_midnight()), "Zoom's limit per day");
    }
    if has(&["gmt 00:00"]) {
        return one(now.next_utc_midnight(), "a limit of Zoom's per day");
    }
    all(named.unwrap_or_else(|| now.plus(UNKNOWN)), "a limit of Zoom's")
}

fn shown(said: &str) -> &str {
    if said.is_empty() { "429 without a message" } else { said }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim)
}

/// When `Retry-After` ends: Zoom sends a moment in ISO 8601; seconds and an HTTP date are read as well. At least a second
/// from now, and at most an hour after the next midnight UTC, when every quota of Zoom's has started again.
pub(crate) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Timestamp> {
    let text = header(headers, "retry-after")?;
    let at = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a number holds are absurd, and capped like every absurd number.
        now.plus(Duration::from_secs(text.parse().unwrap_or(u64::MAX)))
    } else {
        moment(text)?
    };
    let earliest = now.plus(Duration::from_secs(1));
    let latest = now.next_utc_midnight().plus(Duration::from_secs(3600));
    Some(at.clamp(earliest, latest))
}

fn moment(text: &str) -> Option<Timestamp> {
    let millis = text.parse::<jiff::Timestamp>().map(jiff::Timestamp::as_millisecond);
    let without_zone = || {
        let civil = text.parse::<jiff::civil::DateTime>()?;
        civil.to_zoned(jiff::tz::TimeZone::UTC).map(|zoned| zoned.timestamp().as_millisecond())
    };
    let http_date = || jiff::fmt::rfc2822::parse(text).map(|zoned| zoned.timestamp().as_millisecond());
    millis.or_else(|_| without_zone()).or_else(|_| http_date()).ok().map(Timestamp::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-20T12:00:00Z
    const NOW: Timestamp = Timestamp::from_secs(1_795_176_000);
    const QPS: &str = "You have reached the maximum per-second rate limit for this API. Try again later.";
    const DAILY: &str = "You have reached the maximum daily rate limit for this API. Refer to the response header for \
                         details on when you can make another request.";
    const USER: &str = "You have exceeded the daily rate limit (100) of Meeting Create/Update API requests permitted for \
                        this particular user. You may resume these requests at GMT 00:00:00.";
    const INVITE: &str = "You have exceeded the daily rate limit (1500) of user invite requests permitted for this \
                          account. You may resume these requests at GMT 00:00:00.";
    const BUSY: &str = "Too many concurrent requests. A request to disassociate this user has already been made.";

    type Row<'a> = (&'a str, &'a str, &'a [(&'static str, &'a str)], i64, bool);

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn every_kind_of_429_is_told_apart() {
        const SECOND: i64 = 1000;
        let midnight = NOW.next_utc_midnight().as_millis() - NOW.as_millis();
        let at_three = "2026-11-20T15:00:00Z";
        let rows: &[Row<'_>] = &[
            ("per second", QPS, &[("x-ratelimit-type", "QPS")], 1500, true),
            ("per second, no headers", QPS, &[], 1500, true),
            ("per second, only the header says so", "", &[("x-ratelimit-type", "QPS")], 1500, true),
            ("per second, shouted", &QPS.to_uppercase(), &[], 1500, true),
            ("daily with a moment", DAILY, &[("retry-after", at_three)], 3 * 3600 * SECOND, true),
            ("daily without a moment", DAILY, &[("x-ratelimit-type", "Daily-limit")], midnight, true),
            (
                "daily, only the headers say so",
                "",
                &[("x-ratelimit-type", "Daily-limit"), ("retry-after", at_three)],
                3 * 3600 * SECOND,
                true,
            ),
            ("daily in words, QPS in the header", DAILY, &[("x-ratelimit-type", "QPS")], midnight, true),
            (
                "per user with headers of another bucket",
                USER,
                &[
                    ("x-ratelimit-category", "Light"),
                    ("x-ratelimit-type", "QPS"),
                    ("x-ratelimit-remaining", "5893"),
                    ("retry-after", "5"),
                ],
                midnight,
                false,
            ),
            ("invitations", INVITE, &[], midnight, false),
            ("at the same time", BUSY, &[], 3500, false),
            (
                "another limit until midnight",
                "Some limit. You may resume these requests at GMT 00:00:00.",
                &[],
                midnight,
                false,
            ),
            ("nothing but the code", "", &[], 60 * SECOND, true),
            ("unknown words", "Slow down.", &[], 60 * SECOND, true),
            ("unknown words with seconds", "Slow down.", &[("retry-after", "7")], 7 * SECOND, true),
        ];
        for (name, said, pairs, millis, all) in rows {
            let limited = throttled(said, &headers(pairs), NOW, 0.5);
            assert_eq!(limited.until.as_millis() - NOW.as_millis(), *millis, "{name}");
            assert_eq!(limited.all, *all, "{name}");
            let day = [(USER, DayOf::Host), (INVITE, DayOf::Invitations)].into_iter().find(|(words, _)| words == said);
            assert_eq!(limited.day, day.map(|(_, day)| day), "{name}");
            assert!(!limited.why.is_empty(), "{name}");
        }
    }

    #[test]
    fn a_limit_per_second_waits_one_to_two_seconds() {
        let until = |unit| throttled(QPS, &HeaderMap::new(), NOW, unit).until.since(NOW);
        assert_eq!(until(0.0), Duration::from_secs(1));
        assert_eq!(until(1.0), Duration::from_secs(2));
    }

    #[test]
    fn retry_after_is_read_in_every_shape_and_kept_within_reason() {
        let latest = NOW.next_utc_midnight().plus(Duration::from_secs(3600));
        let soon = NOW.plus(Duration::from_secs(1));
        let three = Timestamp::from_secs(1_795_176_000 + 3 * 3600);
        for (text, expected) in [
            ("2026-11-20T15:00:00Z", Some(three)),
            ("2026-11-20T16:00:00+01:00", Some(three)),
            ("2026-11-20T15:00:00.000Z", Some(three)),
            ("2026-11-20T15:00:00", Some(three)),
            ("2026-11-20 15:00:00", Some(three)),
            ("Fri, 20 Nov 2026 15:00:00 GMT", Some(three)),
            ("10800", Some(three)),
            (" 10800 ", Some(three)),
            ("0", Some(soon)),
            ("2001-01-01T00:00:00Z", Some(soon)),
            ("9999-01-01T00:00:00Z", Some(latest)),
            ("99999999999999999999999999", Some(latest)),
            ("soon", None),
            ("-5", None),
        ] {
            assert_eq!(retry_after(&headers(&[("retry-after", text)]), NOW), expected, "{text}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), NOW), None);
    }
}
