//! An account's rate limits, kept before Zoom has to keep them: per second and per UTC day, by category.
//!
//! Shared by all handles of an account, since Zoom counts all apps of an account together. Guarantees: no more than the
//! account's share of Zoom's rate starts in any second, counted from any moment; what Zoom says (a 429, a smaller rest of
//! the day) holds for everybody.
//!
//! Own code and not a token bucket from a library: a bucket lets a full burst and a full refill into one second, which is
//! twice the rate, and it has no reservations on a clock that tests move.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Mutex;
use std::time::Duration;

use http::HeaderMap;

use super::port::Category;
use super::told::{Told, ToldLimit};
use crate::account::Plan;
use crate::account::QuotaUse;
use crate::clock::{Timestamp, lock};

/// Zoom's answers near midnight may tell of the day that ended.
const DAY_SETTLES: Duration = Duration::from_secs(120);
/// How long Zoom's word that a day is used up is taken without trying again: it may be about another bucket.
const TOLD_EMPTY: Duration = Duration::from_secs(900);
/// Limits that are remembered as Zoom states them: there are two for each category.
const TOLD_MAX: usize = 16;

/// Calls that are so late on their way do not meet those of the next second.
const LATE_MILLIS: u64 = 30;

/// When a call may start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Turn {
    /// At this moment, which may be now; the place is reserved.
    At(Timestamp),
    /// Not soon. Nothing is reserved.
    Limited { until: Timestamp, why: String },
}

/// What Zoom publishes: calls per second, and per day where there is such a limit. Heavy calls share their day with
/// resource-intensive ones, of which we make none.
const fn published(plan: Plan, category: Category) -> (u32, Option<u64>) {
    match (plan, category) {
        (Plan::Free, Category::Light) => (4, Some(6000)),
        (Plan::Free, Category::Medium) => (2, Some(2000)),
        (Plan::Free, Category::Heavy) => (1, Some(1000)),
        (Plan::Pro, Category::Light) => (30, None),
        (Plan::Pro, Category::Medium) => (20, None),
        (Plan::Pro, Category::Heavy) => (10, Some(30_000)),
        (Plan::Business, Category::Light) => (80, None),
        (Plan::Business, Category::Medium) => (60, None),
        (Plan::Business, Category::Heavy) => (40, Some(60_000)),
    }
}

/// How many calls of a category Zoom allows an account in a second.
pub const fn per_second(plan: Plan, category: Category) -> u32 {
    published(plan, category).0
}

/// The plans for which Zoom publishes this very limit.
pub fn plans_with(limit: &ToldLimit) -> Vec<Plan> {
    let has = |plan: &Plan| match published(*plan, limit.category) {
        (_, per_day) if limit.is_daily => per_day == Some(limit.calls),
        (per_second, _) => u64::from(per_second) == limit.calls,
    };
    Plan::ALL.into_iter().filter(has).collect()
}

#[derive(Debug)]
pub(super) struct Limits {
    state: Mutex<State>,
    /// The part of it that sweeps may use: what is left is for events.
    sweeps: Option<Mutex<State>>,
    told: Mutex<BTreeSet<ToldLimit>>,
}

#[derive(Debug)]
struct State {
    day: i64,
    light: Bucket,
    medium: Bucket,
    heavy: Bucket,
}

#[derive(Debug)]
struct Bucket {
    /// Calls in one slice at most. A second is cut into slices so that a burst is short.
    slice_calls: usize,
    slice: Duration,
    day_calls: Option<u64>,
    /// The starts of about the last slice and those that are reserved, oldest first. Events start between those that a sweep
    /// reserved, since it may wait for its part longer than they do.
    starts: VecDeque<Timestamp>,
    used: u64,
    /// What Zoom said is left of the day, less what was started since.
    left: Option<u64>,
    pause: Option<(Timestamp, String)>,
}

impl Bucket {
    fn new(plan: Plan, category: Category, share_percent: u8) -> Self {
        let (per_second, per_day) = published(plan, category);
        let share = |calls: u64| (calls.saturating_mul(share_percent.into()) / 100).max(1);
        let calls = share(per_second.into());
        // Slices of one size, so that no part of the rate is lost.
        let slice_calls = (1..=calls / 4).rev().find(|size| calls % size == 0).unwrap_or(1);
        let slices = (calls / slice_calls).max(1);
        Self {
            slice_calls: usize::try_from(slice_calls).unwrap_or(1),
            slice: Duration::from_millis(1000_u64.saturating_add(LATE_MILLIS).div_ceil(slices)),
            day_calls: per_day.map(share),
            starts: VecDeque::new(),
            used: 0,
            left: None,
            pause: None,
        }
    }

    fn new_day(&mut self) {
        self.used = 0;
        self.left = None;
    }

    fn paused(&mut self, now: Timestamp) -> Option<&(Timestamp, String)> {
        self.pause.take_if(|(until, _)| *until <= now);
        self.pause.as_ref()
    }

    /// A reserved start was not used: it is no call of the day. Its place in the second stays taken, which errs on the safe
    /// side.
    fn give_back(&mut self) {
        self.used = self.used.saturating_sub(1);
        self.left = self.left.map(|left| left.saturating_add(1));
    }

    fn pause(&mut self, until: Timestamp, why: &str) {
        if self.pause.as_ref().is_none_or(|(paused, _)| *paused < until) {
            self.pause = Some((until, why.to_owned()));
        }
    }

    /// The first moment from `from` on at which a call may start, for one that comes `now`. Reserves nothing.
    fn first(&mut self, now: Timestamp, from: Timestamp, latest: Timestamp) -> Turn {
        if self.day_calls.is_some_and(|limit| self.used >= limit) {
            let why = format!("our share of the day's calls is used up ({} made)", self.used);
            return Turn::Limited { until: now.next_utc_midnight(), why };
        }
        if self.left == Some(0) {
            self.left = None;
            let until = now.plus(TOLD_EMPTY).min(now.next_utc_midnight());
            self.pause(until, "Zoom says that the day's calls are used up");
        }
        let mut at = from;
        let mut why = "too many calls at once";
        if let Some((until, told)) = self.paused(now) {
            at = at.max(*until);
            if at > latest {
                return Turn::Limited { until: at, why: told.clone() };
            }
            why = "waiting behind a rate limit that Zoom told of";
        }
        while let Some(later) = self.full_until(at).filter(|_| at <= latest) {
            at = later;
        }
        if at > latest { Turn::Limited { until: at, why: why.to_owned() } } else { Turn::At(at) }
    }

    /// Where one more start at this moment would leave a slice, counted from any moment, with too many: when it would not for
    /// those that are there. It has to come a slice after the first of them, be that before this moment or after.
    fn full_until(&self, at: Timestamp) -> Option<Timestamp> {
        let behind = self.starts.partition_point(|start| start.plus(self.slice) <= at);
        let near = self.starts.iter().zip(self.starts.iter().skip(self.slice_calls.saturating_sub(1))).skip(behind);
        let near = near.take_while(|(first, _)| **first < at.plus(self.slice));
        let full = near.filter(|(first, last)| at.max(**last).since(at.min(**first)) < self.slice);
        full.last().map(|(first, _)| first.plus(self.slice))
    }

    fn reserve(&mut self, now: Timestamp, at: Timestamp) {
        // What is a slice ago counts no more; twice that, since callers read the clock before they come.
        let over = self.starts.partition_point(|start| start.plus(self.slice.saturating_mul(2)) <= now);
        self.starts.drain(..over);
        self.starts.insert(self.starts.partition_point(|start| *start <= at), at);
        self.used = self.used.saturating_add(1);
        self.left = self.left.map(|left| left.saturating_sub(1));
    }
}

impl State {
    fn bucket(&mut self, category: Category, now: Timestamp) -> &mut Bucket {
        if self.day != now.utc_day() {
            self.day = now.utc_day();
            self.light.new_day();
            self.medium.new_day();
            self.heavy.new_day();
        }
        match category {
            Category::Light => &mut self.light,
            Category::Medium => &mut self.medium,
            Category::Heavy => &mut self.heavy,
        }
    }
}

impl Limits {
    pub(super) fn new(plan: Plan, share_percent: u8, now: Timestamp) -> Self {
        let bucket = |category| Bucket::new(plan, category, share_percent);
        let (light, medium, heavy) = (bucket(Category::Light), bucket(Category::Medium), bucket(Category::Heavy));
        Self {
            state: Mutex::new(State { day: now.utc_day(), light, medium, heavy }),
            sweeps: None,
            told: Mutex::default(),
        }
    }

    /// Sweeps get no more than this share of Zoom's rate.
    pub(super) fn with_sweeps(self, plan: Plan, share_percent: u8, now: Timestamp) -> Self {
        Self { sweeps: Some(Self::new(plan, share_percent, now).state), ..self }
    }

    /// Reserves the next start, if it is not after `latest`; for a sweep, the next that its part allows as well.
    pub(super) fn turn_of(&self, is_sweep: bool, category: Category, now: Timestamp, latest: Timestamp) -> Turn {
        let (mut part, mut whole) = (self.part_of(is_sweep).map(lock), lock(&self.state));
        let mut buckets: Vec<&mut Bucket> =
            part.iter_mut().chain([&mut whole]).map(|state| state.bucket(category, now)).collect();
        let mut at = now;
        loop {
            let from = at;
            for bucket in &mut buckets {
                match bucket.first(now, at, latest) {
                    Turn::At(first) => at = first,
                    limited @ Turn::Limited { .. } => return limited,
                }
            }
            if at == from {
                for bucket in buckets {
                    bucket.reserve(now, at);
                }
                return Turn::At(at);
            }
        }
    }

    fn part_of(&self, is_sweep: bool) -> Option<&Mutex<State>> {
        self.sweeps.as_ref().filter(|_| is_sweep)
    }

    fn with<T>(&self, category: Category, now: Timestamp, act: impl FnOnce(&mut Bucket) -> T) -> T {
        act(lock(&self.state).bucket(category, now))
    }

    pub(super) fn is_paused(&self, category: Category, now: Timestamp) -> bool {
        self.with(category, now, |bucket| bucket.paused(now).is_some())
    }

    /// The start that [`Limits::turn_of`] reserved was not used.
    pub(super) fn give_back(&self, is_sweep: bool, category: Category, now: Timestamp) {
        self.with(category, now, Bucket::give_back);
        if let Some(part) = self.part_of(is_sweep) {
            lock(part).bucket(category, now).give_back();
        }
    }

    /// No call of the category starts before `until`.
    pub(super) fn pause(&self, category: Category, now: Timestamp, until: Timestamp, why: &str) {
        self.with(category, now, |bucket| bucket.pause(until, why));
    }

    /// Takes in what an answer says. Of what is left only a daily limit counts, and only the category that it names.
    pub(super) fn told(&self, headers: &HeaderMap, now: Timestamp) {
        let Some(told) = Told::read(headers) else { return };
        if let Some(limit) = told.limit {
            let mut known = lock(&self.told);
            if known.len() < TOLD_MAX {
                known.insert(limit);
            }
        }
        let settled = now.minus(DAY_SETTLES).utc_day() == now.utc_day();
        if let (true, true, Some(remaining)) = (told.is_daily, settled, told.remaining) {
            self.with(told.category, now, |bucket| {
                bucket.left = Some(bucket.left.map_or(remaining, |left| left.min(remaining)));
            });
        }
    }

    /// Every limit that Zoom told of so far.
    pub(super) fn told_so_far(&self) -> BTreeSet<ToldLimit> {
        lock(&self.told).clone()
    }

    /// Takes in what is known of the day from before the start. A number that is lower than what was counted is ignored.
    pub(super) fn seed_today(&self, used: QuotaUse, now: Timestamp) {
        let seed = |category, used: u64| self.with(category, now, |bucket| bucket.used = bucket.used.max(used));
        seed(Category::Light, used.light);
        seed(Category::Medium, used.medium);
        seed(Category::Heavy, used.heavy);
    }

    pub(super) fn used_today(&self, now: Timestamp) -> QuotaUse {
        let used = |category| self.with(category, now, |bucket| bucket.used);
        QuotaUse { light: used(Category::Light), medium: used(Category::Medium), heavy: used(Category::Heavy) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::{Chance, SeededChance};

    const NOON: Timestamp = Timestamp::from_secs(1_700_000_000 / 86_400 * 86_400 + 43_200);

    fn limits(plan: Plan) -> Limits {
        Limits::new(plan, 80, NOON)
    }

    fn headers(kind: &str, category: &str, remaining: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("x-ratelimit-type", kind.parse().unwrap());
        headers.insert("x-ratelimit-category", category.parse().unwrap());
        headers.insert("x-ratelimit-remaining", remaining.parse().unwrap());
        headers
    }

    fn until(turn: &Turn) -> Option<Timestamp> {
        match turn {
            Turn::At(_) => None,
            Turn::Limited { until, .. } => Some(*until),
        }
    }

    fn most_in_a_second(starts: &[Timestamp]) -> usize {
        let within = |(first, at): (usize, &Timestamp)| {
            starts[first..].iter().take_while(|start| **start < at.plus(Duration::from_secs(1))).count()
        };
        starts.iter().enumerate().map(within).max().unwrap_or(0)
    }

    #[test]
    fn no_second_holds_more_than_the_share_of_the_rate() {
        for plan in [Plan::Free, Plan::Pro, Plan::Business] {
            for category in [Category::Light, Category::Medium, Category::Heavy] {
                for percent in [1, 33, 80, 100] {
                    let limits = Limits::new(plan, percent, NOON);
                    let allowed =
                        usize::try_from(published(plan, category).0 * u32::from(percent) / 100).unwrap().max(1);
                    let mut starts = Vec::new();
                    // Callers that come faster than they can go, for ten seconds, at an uneven pace.
                    let mut now = NOON;
                    while now < NOON.plus(Duration::from_secs(10)) {
                        for _ in 0..7 {
                            if let Turn::At(at) = limits.turn_of(false, category, now, now.plus(Duration::from_secs(3)))
                            {
                                starts.push(at);
                            }
                        }
                        let uneven = u64::try_from(now.as_millis() % 37).unwrap();
                        now = now.plus(Duration::from_millis(3 + uneven));
                    }
                    assert!(starts.is_sorted());
                    let most = most_in_a_second(&starts);
                    assert!(most <= allowed, "{plan:?} {category:?} {percent} %: {most} > {allowed}");
                    let reached = starts.len() * 100 / (allowed * 13);
                    // Few calls a second are few to count.
                    let least = if allowed < 10 { 70 } else { 90 };
                    assert!(
                        reached >= least,
                        "{plan:?} {category:?} {percent} %: only {reached} % of the rate was used"
                    );
                }
            }
        }
    }

    #[test]
    fn events_and_sweeps_together_keep_the_rate_and_sweeps_keep_their_part() {
        for seed in 0..40 {
            let chance = SeededChance::new(seed);
            let below = |bound: u64| chance.next_u64() % bound;
            let plan = [Plan::Free, Plan::Pro, Plan::Business][usize::try_from(seed % 3).unwrap()];
            let limits = Limits::new(plan, 80, NOON).with_sweeps(plan, 30, NOON);
            let (mut now, mut starts, mut of_sweeps) = (NOON, Vec::new(), Vec::new());
            while now < NOON.plus(Duration::from_secs(20)) {
                let latest = now.plus(Duration::from_millis(below(4) * 1000));
                // Spells of sweeps alone, then of both.
                let is_sweep = now.as_millis() / 3000 % 2 == 0 || below(2) == 0;
                if let Turn::At(at) = limits.turn_of(is_sweep, Category::Light, now, latest) {
                    starts.push(at);
                    of_sweeps.extend(is_sweep.then_some(at));
                }
                if below(2000) == 0 {
                    limits.pause(Category::Light, now, now.plus(Duration::from_millis(below(2000))), "told so");
                }
                now = now.plus(Duration::from_millis(below(2) * below(30)));
            }
            for (percent, starts) in [(80, &mut starts), (30, &mut of_sweeps)] {
                starts.sort();
                let allowed = usize::try_from(per_second(plan, Category::Light) * percent / 100).unwrap();
                let most = most_in_a_second(starts);
                assert!(most <= allowed, "seed {seed}, {plan:?}, {percent} %: {most} > {allowed}");
            }
        }
    }

    #[test]
    fn an_event_starts_before_what_a_sweep_reserved_for_later() {
        let limits = Limits::new(Plan::Business, 100, NOON).with_sweeps(Plan::Business, 1, NOON);
        let latest = NOON.plus(Duration::from_secs(3));
        let later = NOON.plus(Duration::from_millis(1000 + LATE_MILLIS));
        assert_eq!(limits.turn_of(true, Category::Light, NOON, latest), Turn::At(NOON));
        assert_eq!(limits.turn_of(true, Category::Light, NOON, latest), Turn::At(later), "the part has one a second");
        assert_eq!(limits.turn_of(false, Category::Light, NOON, latest), Turn::At(NOON));
    }

    #[test]
    fn a_call_whose_turn_is_too_far_off_is_not_reserved() {
        let limits = limits(Plan::Free);
        assert_eq!(limits.turn_of(false, Category::Medium, NOON, NOON), Turn::At(NOON));
        for _ in 0..5 {
            assert_eq!(
                until(&limits.turn_of(false, Category::Medium, NOON, NOON)),
                Some(NOON.plus(Duration::from_millis(1000 + LATE_MILLIS)))
            );
        }
        assert_eq!(limits.used_today(NOON), QuotaUse { medium: 1, ..QuotaUse::default() });
    }

    #[test]
    fn the_day_is_counted_from_what_it_was_seeded_with_and_starts_again_at_midnight() {
        let limits = limits(Plan::Free);
        limits.seed_today(QuotaUse { light: 4799, medium: 0, heavy: 0 }, NOON);
        limits.seed_today(QuotaUse { light: 10, medium: 0, heavy: 0 }, NOON);
        assert_eq!(limits.turn_of(false, Category::Light, NOON, NOON), Turn::At(NOON));
        let later = NOON.plus(Duration::from_secs(60));
        assert_eq!(until(&limits.turn_of(false, Category::Light, later, later)), Some(NOON.next_utc_midnight()));
        assert_eq!(
            limits.turn_of(false, Category::Medium, later, later),
            Turn::At(later),
            "another category has its own day"
        );
        let midnight = NOON.next_utc_midnight();
        assert_eq!(limits.turn_of(false, Category::Light, midnight, midnight), Turn::At(midnight));
    }

    #[test]
    fn a_sweep_uses_up_its_part_of_the_day_by_calls_alone() {
        let limits = limits(Plan::Free).with_sweeps(Plan::Free, 1, NOON);
        let (soon, mut now) = (NOON.plus(Duration::from_secs(600)), NOON);
        limits.pause(Category::Medium, NOON, soon, "told so");
        for _ in 0..100 {
            now = now.plus(Duration::from_secs(2));
            assert_eq!(until(&limits.turn_of(true, Category::Medium, now, now)), Some(soon), "the part has 20 a day");
        }
        now = soon;
        for call in 0..100 {
            now = now.plus(Duration::from_secs(2));
            assert_eq!(limits.turn_of(true, Category::Medium, now, now), Turn::At(now), "call {call}");
            limits.give_back(true, Category::Medium, now);
        }
        for _ in 0..20 {
            now = now.plus(Duration::from_secs(2));
            assert_eq!(limits.turn_of(true, Category::Medium, now, now), Turn::At(now));
        }
        now = now.plus(Duration::from_secs(2));
        let why = "our share of the day's calls is used up (20 made)".to_owned();
        let spent = Turn::Limited { until: NOON.next_utc_midnight(), why };
        assert_eq!(limits.turn_of(true, Category::Medium, now, now), spent);
        assert_eq!(limits.used_today(now).medium, 20);
    }

    #[test]
    fn a_smaller_rest_of_the_day_is_believed_and_a_larger_one_is_not() {
        let limits = limits(Plan::Pro);
        limits.told(&headers("Daily-limit", "Light", "2"), NOON);
        limits.told(&headers("Daily-limit", "Light", "5893"), NOON);
        assert_eq!(limits.turn_of(false, Category::Light, NOON, NOON), Turn::At(NOON));
        assert_eq!(limits.turn_of(false, Category::Light, NOON, NOON), Turn::At(NOON));
        let again = NOON.plus(TOLD_EMPTY);
        assert_eq!(until(&limits.turn_of(false, Category::Light, NOON, NOON)), Some(again));
        assert_eq!(
            limits.turn_of(false, Category::Light, again, again),
            Turn::At(again),
            "it is tried again after a while"
        );
    }

    #[test]
    fn what_is_no_daily_limit_or_is_about_another_bucket_is_ignored() {
        let limits = limits(Plan::Pro);
        limits.told(&headers("QPS", "Light", "0"), NOON);
        limits.told(&headers("Daily-limit", "Resource-intensive", "0"), NOON);
        limits.told(&headers("Daily-limit", "Medium", "0"), NOON);
        limits.told(&headers("Daily-limit", "Light", "many"), NOON);
        limits.told(&HeaderMap::new(), NOON);
        limits.told(&headers("Daily-limit", "Light", "0"), NOON.next_utc_midnight().plus(Duration::from_secs(1)));
        assert_eq!(limits.turn_of(false, Category::Light, NOON, NOON), Turn::At(NOON));
    }

    #[test]
    fn a_pause_holds_for_its_category_and_the_longest_wins() {
        let limits = limits(Plan::Pro);
        let soon = NOON.plus(Duration::from_secs(2));
        limits.pause(Category::Light, NOON, soon, "told so");
        limits.pause(Category::Light, NOON, NOON.plus(Duration::from_secs(1)), "told less");
        assert!(limits.is_paused(Category::Light, NOON));
        assert_eq!(
            limits.turn_of(false, Category::Light, NOON, NOON),
            Turn::Limited { until: soon, why: "told so".to_owned() },
        );
        assert_eq!(
            limits.turn_of(false, Category::Light, NOON, soon),
            Turn::At(soon),
            "a short pause is waited out in place"
        );
        assert_eq!(limits.turn_of(false, Category::Medium, NOON, NOON), Turn::At(NOON));
        assert!(!limits.is_paused(Category::Light, soon));
    }

    #[test]
    fn a_clock_that_goes_back_stops_nothing() {
        let limits = limits(Plan::Free);
        assert_eq!(limits.turn_of(false, Category::Heavy, NOON, NOON), Turn::At(NOON));
        let earlier = NOON.minus(Duration::from_secs(3600));
        assert_eq!(limits.turn_of(false, Category::Heavy, earlier, earlier), Turn::At(earlier));
    }
}
