//! Zoom's rate limits: per account and category, shared by all apps of the account; measured on the world's clock.

use std::collections::BTreeMap;

use crate::clock::Timestamp;

use super::answer::{Answer, rfc3339};

/// What an account pays for. `Business` stands for Business, Education, Enterprise and Partner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    Free,
    Pro,
    Business,
}

/// The label that each operation has in Zoom's documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Category {
    Light,
    Medium,
    Heavy,
}

impl Plan {
    /// How many users may be invited in a UTC day \[D U].
    pub const fn invites_per_day(self) -> u32 {
        match self {
            Self::Free => 50,
            Self::Pro => 1_500,
            Self::Business => 10_000,
        }
    }
}

impl Category {
    const fn name(self) -> &'static str {
        match self {
            Self::Light => "Light",
            Self::Medium => "Medium",
            Self::Heavy => "Heavy",
        }
    }

    /// Requests a second \[D].
    pub const fn per_second(self, plan: Plan) -> u32 {
        match (self, plan) {
            (Self::Light, Plan::Free) => 4,
            (Self::Medium, Plan::Free) => 2,
            (Self::Heavy, Plan::Free) => 1,
            (Self::Light, Plan::Pro) => 30,
            (Self::Medium, Plan::Pro) => 20,
            (Self::Heavy, Plan::Pro) => 10,
            (Self::Light, Plan::Business) => 80,
            (Self::Medium, Plan::Business) => 60,
            (Self::Heavy, Plan::Business) => 40,
        }
    }

    /// Requests a UTC day, where there is such a limit \[D].
    pub const fn per_day(self, plan: Plan) -> Option<u32> {
        match (self, plan) {
            (Self::Light, Plan::Free) => Some(6_000),
            (Self::Medium, Plan::Free) => Some(2_000),
            (Self::Heavy, Plan::Free) => Some(1_000),
            (Self::Heavy, Plan::Pro) => Some(30_000),
            (Self::Heavy, Plan::Business) => Some(60_000),
            (Self::Light | Self::Medium, Plan::Pro | Plan::Business) => None,
        }
    }
}

/// Every kind of 429 that Zoom is known to give. All have code 429, so only text and headers tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TooMany {
    PerSecond,
    Daily,
    /// One user's creates and updates of meetings.
    UserDaily,
    /// A second DELETE of one user while the first is under way.
    Concurrent,
    /// Invitations of an account.
    Invites,
    /// The per-second one with no rate-limit header at all: "headers may be absent" \[api.md §4].
    Bare,
}

impl TooMany {
    /// The message, where it depends on the plan: how the number is written is \[I].
    pub(crate) fn text_for(self, plan: Plan) -> String {
        let invites = self == Self::Invites;
        let text = self.text();
        if invites { text.replace("1500", &plan.invites_per_day().to_string()) } else { text.to_owned() }
    }

    /// The message, word for word \[D; F 18928 for the user's].
    pub fn text(self) -> &'static str {
        match self {
            Self::PerSecond | Self::Bare => {
                "You have reached the maximum per-second rate limit for this API. Try again later."
            }
            Self::Daily => {
                "You have reached the maximum daily rate limit for this API. Refer to the response header for details on \
                 when you can make another request."
            }
            Self::UserDaily => {
                "You have exceeded the daily rate limit (100) of Meeting Create/Update API requests permitted for this \
                 particular user. You may resume these requests at GMT 00:00:00."
            }
            Self::Concurrent => {
                "Too many concurrent requests. A request to disassociate this user has already been made."
            }
            Self::Invites => {
                "You have exceeded the daily rate limit (1500) of user invite requests permitted for this account. You may \
                 resume these requests at GMT 00:00:00."
            }
        }
    }

    /// The whole answer, with the headers of its kind.
    pub(crate) fn answer(self, category: Category, plan: Plan, now: Timestamp) -> Answer {
        let answer = Answer::error(429, 429, &self.text_for(plan));
        let limit = category.per_second(plan);
        match self {
            Self::Bare => answer,
            Self::PerSecond | Self::Concurrent | Self::Invites => Meter::headers(answer, category, "QPS", limit, 0),
            Self::Daily => {
                let limit = category.per_day(plan).unwrap_or(60_000);
                // Retry-After is a date-time, not seconds, and there for daily limits only [D].
                let again = rfc3339(now.next_utc_midnight());
                Meter::headers(answer, category, "Daily-limit", limit, 0).with("Retry-After", again)
            }
            // The user's quota comes with the headers of another bucket, and without Retry-After [F 18928].
            Self::UserDaily => Meter::headers(answer, Category::Light, "Daily-limit", 6_000, 5_893),
        }
    }
}

/// One bucket: thousandths of a request, and today's count.
#[derive(Debug, Clone, Copy, Default)]
struct Meter {
    level: i64,
    at: Timestamp,
    day: i64,
    used_today: u32,
}

impl Meter {
    fn headers(answer: Answer, category: Category, kind: &str, limit: u32, remaining: u32) -> Answer {
        answer
            .with("X-RateLimit-Category", category.name().to_owned())
            .with("X-RateLimit-Type", kind.to_owned())
            .with("X-RateLimit-Limit", limit.to_string())
            .with("X-RateLimit-Remaining", remaining.to_string())
    }
}

/// The buckets of one account.
#[derive(Debug, Default)]
pub(crate) struct Limiter(BTreeMap<Category, Meter>);

impl Limiter {
    /// Takes one request, or says which limit it hit.
    pub(crate) fn take(&mut self, category: Category, plan: Plan, now: Timestamp) -> Result<(), TooMany> {
        let rate = i64::from(category.per_second(plan));
        let full = Meter { level: rate * 1000, at: now, day: now.utc_day(), used_today: 0 };
        let meter = self.0.entry(category).or_insert(full);
        if meter.day != now.utc_day() {
            (meter.day, meter.used_today) = (now.utc_day(), 0);
        }
        let elapsed = i64::try_from(now.since(meter.at).as_millis()).unwrap_or(i64::MAX);
        meter.level = meter.level.saturating_add(elapsed.saturating_mul(rate)).min(rate * 1000);
        meter.at = now;
        if category.per_day(plan).is_some_and(|most| meter.used_today >= most) {
            return Err(TooMany::Daily);
        }
        if meter.level < 1000 {
            return Err(TooMany::PerSecond);
        }
        meter.level -= 1000;
        meter.used_today += 1;
        Ok(())
    }

    /// The headers of a call that was let through \[D].
    pub(crate) fn describe(&self, answer: Answer, category: Category, plan: Plan) -> Answer {
        let left = self.0.get(&category).map_or(0, |meter| meter.level / 1000);
        Meter::headers(answer, category, "QPS", category.per_second(plan), u32::try_from(left).unwrap_or(0))
    }
}

/// A quota per UTC day.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct DayQuota {
    day: i64,
    used: u32,
}

impl DayQuota {
    pub(crate) fn used(self, now: Timestamp) -> u32 {
        if self.day == now.utc_day() { self.used } else { 0 }
    }

    pub(crate) fn take(&mut self, now: Timestamp) {
        *self = Self { day: now.utc_day(), used: self.used(now) + 1 };
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_bucket_fills_with_the_clock() {
        let (mut limiter, now) = (Limiter::default(), Timestamp::from_secs(1000));
        for _ in 0..20 {
            assert_eq!(limiter.take(Category::Medium, Plan::Pro, now), Ok(()));
        }
        assert_eq!(limiter.take(Category::Medium, Plan::Pro, now), Err(TooMany::PerSecond));
        assert_eq!(limiter.take(Category::Light, Plan::Pro, now), Ok(()), "categories are apart");
        let later = now.plus(Duration::from_millis(50));
        assert_eq!(limiter.take(Category::Medium, Plan::Pro, later), Ok(()));
        assert_eq!(limiter.take(Category::Medium, Plan::Pro, later), Err(TooMany::PerSecond));
    }

    #[test]
    fn a_free_account_has_a_daily_limit_that_ends_at_midnight_utc() {
        let (mut limiter, mut now) = (Limiter::default(), Timestamp::from_secs(86_400));
        for _ in 0..2_000 {
            assert_eq!(limiter.take(Category::Medium, Plan::Free, now), Ok(()));
            now = now.plus(Duration::from_millis(500));
        }
        assert_eq!(limiter.take(Category::Medium, Plan::Free, now), Err(TooMany::Daily));
        assert_eq!(limiter.take(Category::Medium, Plan::Free, now.next_utc_midnight()), Ok(()));
    }
}
