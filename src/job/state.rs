//! The state machine of a job.

use serde::{Deserialize, Serialize};

use super::{Asker, Effect, Job, ParkCause, Planned, WaitReason};
use crate::clock::Timestamp;

/// The right to run a job for a while. The token tells one claim from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    pub token: u64,
    pub until: Timestamp,
}

/// Where a job stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobState {
    /// A worker takes it at `at` or later. `why` says what it was put off for, if anything.
    Due { at: Timestamp, why: Option<String> },
    /// The worker that holds the lease settles it; when the lease ends, any worker may take it again.
    Running { lease: Lease },
    /// An event about its subject makes it due; so does a person.
    Waiting { since: Timestamp, reason: WaitReason },
    /// A person retries it. One that was not found is made due by an event about its subject as well: it is there now; one
    /// whose rule or account was gone, by a configuration that has it again, or by the rule itself that asks once more.
    Parked { at: Timestamp, cause: ParkCause },
    /// Nobody: it is finished.
    Done { at: Timestamp, effect: Effect },
    /// Nobody: it is finished.
    Cancelled { at: Timestamp, why: String },
}

/// What can happen to a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Input {
    /// A worker takes it.
    Claim(Lease),
    /// The holder of the lease counts an attempt, before its first call.
    Start {
        token: u64,
    },
    Settle {
        token: u64,
        at: Timestamp,
        to: Settled,
    },
    /// The lease ended, was given back, or the process that held it ended. An attempt that was counted stays counted.
    LeaseEnded {
        at: Timestamp,
    },
    /// An event or a sweep asks for the same work (`ensure`).
    Ask {
        at: Timestamp,
        by: Asker,
        /// The event's `event_ts`.
        event_at: Option<Timestamp>,
        /// See [`Job::on`].
        on: Option<[u8; 16]>,
    },
    /// A person applies a plan in which these differences are: it is done now, whatever held it up.
    Apply {
        at: Timestamp,
        planned: Planned,
        /// See [`Job::on`].
        on: Option<[u8; 16]>,
    },
    /// What it waits for comes at another moment; an older event may have asked for it.
    Reschedule {
        at: Timestamp,
        event_at: Option<Timestamp>,
    },
    /// An event says that something changed for what waits.
    Wake {
        at: Timestamp,
    },
    /// The subject is gone, or a person wants no more of it.
    Cancel {
        at: Timestamp,
        why: String,
    },
    /// A person, or what the person changed in the configuration, wants it tried again.
    Retry {
        at: Timestamp,
    },
    /// A person lets it take away what it was parked for.
    Allow {
        at: Timestamp,
    },
    /// A person, or a limit, sets it aside.
    Park {
        at: Timestamp,
        cause: ParkCause,
    },
}

/// What an attempt came to, with its due times worked out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Settled {
    Done(Effect),
    /// Uses no attempt.
    Snoozed {
        until: Timestamp,
        why: String,
    },
    /// Uses no attempt, and is no part of a row of snoozes.
    NextBudget {
        until: Timestamp,
        why: String,
    },
    /// Uses no attempt.
    Waits(WaitReason),
    Retries {
        at: Timestamp,
        error: String,
    },
    Parks(ParkCause),
}

/// A move that the state does not allow. The job is as before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a job that is {from} cannot take {input}")]
pub struct IllegalMove {
    pub from: &'static str,
    pub input: &'static str,
}

impl JobState {
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Due { .. } => "due",
            Self::Running { .. } => "running",
            Self::Waiting { .. } => "waiting",
            Self::Parked { .. } => "parked",
            Self::Done { .. } => "done",
            Self::Cancelled { .. } => "cancelled",
        }
    }

    pub const fn is_finished(&self) -> bool {
        matches!(self, Self::Done { .. } | Self::Cancelled { .. })
    }
}

impl Input {
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Claim(_) => "claim",
            Self::Start { .. } => "start",
            Self::Settle { .. } => "settle",
            Self::LeaseEnded { .. } => "lease ended",
            Self::Ask { .. } => "ask",
            Self::Apply { .. } => "apply",
            Self::Reschedule { .. } => "reschedule",
            Self::Wake { .. } => "wake",
            Self::Cancel { .. } => "cancel",
            Self::Retry { .. } => "retry",
            Self::Allow { .. } => "allow",
            Self::Park { .. } => "park",
        }
    }
}

impl Job {
    /// Moves the job on, or says that the move is illegal and leaves it as it was.
    pub fn apply(&mut self, input: Input) -> Result<(), IllegalMove> {
        let illegal = IllegalMove { from: self.state.name(), input: input.name() };
        let due = |at| JobState::Due { at, why: None };
        match (&self.state, input) {
            (JobState::Due { .. }, Input::Claim(lease)) => self.state = JobState::Running { lease },
            (JobState::Running { lease }, Input::Start { token }) if lease.token == token => {
                self.attempts = self.attempts.saturating_add(1);
            }
            (JobState::Running { lease }, Input::Settle { token, at, to }) if lease.token == token => {
                self.settle(at, to);
            }
            // The next run starts after whatever was asked meanwhile.
            (JobState::Running { .. }, Input::LeaseEnded { at }) => {
                (self.again, self.state) = (false, due(at));
            }
            // Whoever asks while it runs may have seen something newer than what the run read.
            (JobState::Running { .. }, Input::Ask { by, event_at, on, .. }) => {
                self.asked(by, event_at, on);
                self.again = true;
            }
            (JobState::Running { .. }, Input::Apply { planned, on, .. }) => {
                (self.planned, self.on, self.again) = (Some(planned), on, true);
            }
            (
                JobState::Due { .. } | JobState::Waiting { .. } | JobState::Parked { .. },
                Input::Apply { at, planned, on },
            ) => {
                (self.planned, self.on, self.attempts, self.snoozed_since) = (Some(planned), on, 0, None);
                self.state = due(at);
            }
            (JobState::Due { why, .. }, Input::Reschedule { at, event_at }) => {
                (self.event_at, self.state) = (event_at, JobState::Due { at, why: why.clone() });
            }
            (JobState::Running { .. }, Input::Wake { .. }) => self.again = true,
            // What went wrong before says nothing of what is there now.
            (
                JobState::Waiting { .. }
                | JobState::Parked { cause: ParkCause::NotFound | ParkCause::RuleGone { .. }, .. },
                Input::Ask { at, by, event_at, on },
            ) => {
                self.asked(by, event_at, on);
                self.attempts = 0;
                self.state = due(at);
            }
            (JobState::Due { .. } | JobState::Parked { .. }, Input::Ask { by, event_at, on, .. }) => {
                self.asked(by, event_at, on);
            }
            (JobState::Due { .. } | JobState::Parked { .. }, Input::Wake { .. }) => {}
            (JobState::Waiting { .. }, Input::Wake { at }) => {
                self.attempts = 0;
                self.state = due(at);
            }
            (JobState::Due { .. } | JobState::Waiting { .. } | JobState::Parked { .. }, Input::Retry { at }) => {
                (self.attempts, self.snoozed_since, self.retried_at) = (0, None, Some(at));
                self.state = due(at);
            }
            (JobState::Parked { cause: ParkCause::TakesAway { what }, .. }, Input::Allow { at }) => {
                self.allowed = Some(what.clone());
                (self.attempts, self.snoozed_since, self.retried_at) = (0, None, Some(at));
                self.state = due(at);
            }
            (
                JobState::Due { .. } | JobState::Running { .. } | JobState::Waiting { .. } | JobState::Parked { .. },
                Input::Cancel { at, why },
            ) => {
                self.again = false;
                self.state = JobState::Cancelled { at, why };
            }
            (JobState::Due { .. } | JobState::Waiting { .. }, Input::Park { at, cause }) => {
                self.state = JobState::Parked { at, cause };
            }
            _ => return Err(illegal),
        }
        Ok(())
    }

    /// Whoever came last; the event may be older than one that came before.
    fn asked(&mut self, by: Asker, event_at: Option<Timestamp>, on: Option<[u8; 16]>) {
        (self.asked_by, self.on) = (by, on);
        self.event_at = self.event_at.max(event_at);
    }

    fn settle(&mut self, at: Timestamp, to: Settled) {
        let again = std::mem::take(&mut self.again);
        let snoozed_since = self.snoozed_since.take();
        if matches!(to, Settled::Done(_) | Settled::Parks(_)) {
            self.allowed = None;
        }
        self.state = match to {
            // It was asked for again meanwhile, so what it came to may be old news.
            Settled::Done(_) | Settled::Waits(_) | Settled::Parks(ParkCause::NotFound | ParkCause::RuleGone { .. })
                if again =>
            {
                // What it changes next is another change.
                (self.attempts, self.counted) = (0, None);
                JobState::Due { at, why: Some("asked again while it ran".to_owned()) }
            }
            Settled::Done(effect) => JobState::Done { at, effect },
            Settled::Snoozed { until, why } => {
                self.attempts = self.attempts.saturating_sub(1);
                self.snoozed_since = snoozed_since.or(Some(at));
                JobState::Due { at: until, why: Some(why) }
            }
            Settled::NextBudget { until, why } => {
                self.attempts = self.attempts.saturating_sub(1);
                JobState::Due { at: until, why: Some(why) }
            }
            Settled::Waits(reason) => {
                self.attempts = self.attempts.saturating_sub(1);
                JobState::Waiting { since: at, reason }
            }
            Settled::Retries { at, error } => JobState::Due { at, why: Some(error) },
            Settled::Parks(cause) => JobState::Parked { at, cause },
        };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ids::{AccountId, AppName, DeliveryId, JobId, RuleName, UserId};
    use crate::job::{NewJob, Subject};

    const TOKEN: u64 = 7;
    const NOW: Timestamp = Timestamp::from_secs(100);
    const LATER: Timestamp = Timestamp::from_secs(200);

    fn job(state: JobState, attempts: u32, again: bool) -> Job {
        let new = NewJob {
            app: AppName::parse("main").unwrap(),
            account: AccountId::parse("acc").unwrap(),
            rule: RuleName::parse("rule").unwrap(),
            subject: Subject::User { id: Some(UserId::parse("u1").unwrap()), email: None },
            by: Asker::Delivery(DeliveryId::from_number(1)),
            event_at: Some(NOW),
            on: None,
        };
        Job { attempts, again, state, ..new.into_job(JobId::from_number(1), Timestamp::EPOCH) }
    }

    fn states() -> Vec<JobState> {
        vec![
            JobState::Due { at: NOW, why: Some("put off".to_owned()) },
            JobState::Running { lease: Lease { token: TOKEN, until: LATER } },
            JobState::Waiting { since: NOW, reason: WaitReason::UserPending },
            JobState::Parked { at: NOW, cause: ParkCause::AssistantsFull },
            JobState::Done { at: NOW, effect: Effect::AlreadyRight },
            JobState::Cancelled { at: NOW, why: "gone".to_owned() },
        ]
    }

    fn settle(token: u64, to: Settled) -> Input {
        Input::Settle { token, at: LATER, to }
    }

    fn ask() -> Input {
        Input::Ask { at: LATER, by: Asker::Delivery(DeliveryId::from_number(2)), event_at: None, on: None }
    }

    fn inputs() -> Vec<(&'static str, Input)> {
        vec![
            ("claim", Input::Claim(Lease { token: 9, until: LATER })),
            ("start", Input::Start { token: TOKEN }),
            ("start, other lease", Input::Start { token: 8 }),
            ("done", settle(TOKEN, Settled::Done(Effect::AlreadyRight))),
            ("snoozed", settle(TOKEN, Settled::Snoozed { until: LATER, why: "429".to_owned() })),
            ("next budget", settle(TOKEN, Settled::NextBudget { until: LATER, why: "hour".to_owned() })),
            ("waits", settle(TOKEN, Settled::Waits(WaitReason::UserUnlicensed))),
            ("retries", settle(TOKEN, Settled::Retries { at: LATER, error: "503".to_owned() })),
            ("parks", settle(TOKEN, Settled::Parks(ParkCause::AssistantsFull))),
            ("done, other lease", settle(8, Settled::Done(Effect::AlreadyRight))),
            ("lease ended", Input::LeaseEnded { at: LATER }),
            ("ask", ask()),
            ("apply", Input::Apply { at: LATER, planned: Planned { hash: [1; 16], until: LATER }, on: None }),
            ("reschedule", Input::Reschedule { at: LATER, event_at: Some(NOW) }),
            ("wake", Input::Wake { at: LATER }),
            ("cancel", Input::Cancel { at: LATER, why: "deleted".to_owned() }),
            ("retry", Input::Retry { at: LATER }),
            ("allow", Input::Allow { at: LATER }),
            ("park", Input::Park { at: LATER, cause: ParkCause::ByPerson }),
        ]
    }

    /// Columns: due, running, waiting, parked, done, cancelled. A cell is the state afterwards with what changed beside it
    /// (attempts from 3, `again`, asked by the second delivery), `=` where nothing changes, `-` where the move is illegal.
    const TABLE: &[(&str, [&str; 6])] = &[
        ("claim", ["running", "-", "-", "-", "-", "-"]),
        ("start", ["-", "running 4", "-", "-", "-", "-"]),
        ("start, other lease", ["-", "-", "-", "-", "-", "-"]),
        ("done", ["-", "done", "-", "-", "-", "-"]),
        ("snoozed", ["-", "due 2", "-", "-", "-", "-"]),
        ("next budget", ["-", "due 2", "-", "-", "-", "-"]),
        ("waits", ["-", "waiting 2", "-", "-", "-", "-"]),
        ("retries", ["-", "due", "-", "-", "-", "-"]),
        ("parks", ["-", "parked", "-", "-", "-", "-"]),
        ("done, other lease", ["-", "-", "-", "-", "-", "-"]),
        ("lease ended", ["-", "due", "-", "-", "-", "-"]),
        ("ask", ["due asked", "running again asked", "due 0 asked", "parked asked", "-", "-"]),
        ("apply", ["due 0 planned", "running again planned", "due 0 planned", "due 0 planned", "-", "-"]),
        ("reschedule", ["due", "-", "-", "-", "-", "-"]),
        ("wake", ["=", "running again", "due 0", "=", "-", "-"]),
        ("cancel", ["cancelled", "cancelled", "cancelled", "cancelled", "-", "-"]),
        ("retry", ["due 0", "-", "due 0", "due 0", "-", "-"]),
        ("allow", ["-", "-", "-", "-", "-", "-"]),
        ("park", ["parked", "-", "parked", "-", "-", "-"]),
    ];

    fn cell(before: &Job, after: &Job) -> String {
        if before == after {
            return "=".to_owned();
        }
        let mut cell = after.state.name().to_owned();
        if after.attempts != before.attempts {
            cell = format!("{cell} {}", after.attempts);
        }
        if after.again {
            cell += " again";
        }
        if after.asked_by != before.asked_by {
            cell += " asked";
        }
        if after.planned != before.planned {
            cell += " planned";
        }
        cell
    }

    #[test]
    fn every_state_takes_or_refuses_every_input_as_the_table_says() {
        let inputs = inputs();
        assert_eq!(inputs.len(), TABLE.len());
        for ((name, input), (row, cells)) in inputs.into_iter().zip(TABLE) {
            assert_eq!(&name, row);
            for (state, expected) in states().into_iter().zip(cells) {
                let before = job(state, 3, false);
                let mut after = before.clone();
                match after.apply(input.clone()) {
                    Ok(()) => assert_eq!(&cell(&before, &after), expected, "{name} when {}", before.state.name()),
                    Err(illegal) => {
                        assert_eq!(*expected, "-", "{name} when {}", before.state.name());
                        assert_eq!(illegal, IllegalMove { from: before.state.name(), input: input.name() });
                        assert_eq!(after, before, "an illegal move changed the job");
                    }
                }
            }
        }
    }

    /// What comes of a run during which somebody asked again.
    #[test]
    fn a_run_that_was_asked_again_goes_on_only_where_its_result_may_be_old_news() {
        for (name, expected) in
            [("done", "due 0"), ("waits", "due 0"), ("snoozed", "due 2"), ("retries", "due"), ("parks", "parked")]
        {
            let before = job(states()[1].clone(), 3, true);
            let mut after = before.clone();
            after.apply(inputs().into_iter().find(|(input, _)| *input == name).unwrap().1).unwrap();
            assert_eq!(cell(&before, &after), expected, "{name}");
        }
    }

    #[test]
    fn what_a_person_let_it_take_away_is_good_until_it_is_done_or_parks_again() {
        let takes_away = |what: &str| ParkCause::TakesAway { what: what.to_owned() };
        let parked = JobState::Parked { at: NOW, cause: takes_away("a licence") };
        let mut plain = job(parked.clone(), 5, false);
        plain.apply(Input::Retry { at: LATER }).unwrap();
        assert_eq!(plain.allowed, None, "to look again lets nothing through");
        for (to, kept) in [
            (Settled::Retries { at: LATER, error: "503".to_owned() }, Some("a licence")),
            (Settled::Done(Effect::AlreadyRight), None),
            (Settled::Parks(takes_away("a host")), None),
        ] {
            let mut job = job(parked.clone(), 5, false);
            job.apply(Input::Allow { at: LATER }).unwrap();
            assert_eq!((job.allowed.as_deref(), job.attempts, job.state.name()), (Some("a licence"), 0, "due"));
            job.apply(Input::Claim(Lease { token: TOKEN, until: LATER })).unwrap();
            job.apply(Input::Start { token: TOKEN }).unwrap();
            job.apply(settle(TOKEN, to)).unwrap();
            assert_eq!(job.allowed.as_deref(), kept);
        }
    }

    #[test]
    fn what_was_not_found_is_looked_for_again_when_an_event_tells_of_it() {
        let before = job(JobState::Parked { at: NOW, cause: ParkCause::NotFound }, 5, false);
        let mut after = before.clone();
        after.apply(ask()).unwrap();
        assert_eq!(cell(&before, &after), "due 0 asked");
    }

    #[test]
    fn what_was_not_found_in_a_run_that_was_asked_again_is_looked_for_again() {
        let before = job(states()[1].clone(), 5, true);
        let mut after = before.clone();
        after.apply(settle(TOKEN, Settled::Parks(ParkCause::NotFound))).unwrap();
        assert_eq!(cell(&before, &after), "due 0");
    }

    #[test]
    fn a_row_of_snoozes_began_with_its_first_and_ends_with_anything_else() {
        let snooze = |at| {
            let to = Settled::Snoozed { until: LATER, why: "429".to_owned() };
            (Input::Settle { token: TOKEN, at, to }, Some(NOW))
        };
        let ends = |to| (settle(TOKEN, to), None);
        let mut job = job(states()[0].clone(), 0, false);
        for (input, since) in [
            snooze(NOW),
            snooze(LATER),
            ends(Settled::NextBudget { until: LATER, why: "hour".to_owned() }),
            snooze(NOW),
            ends(Settled::Retries { at: LATER, error: "503".to_owned() }),
            snooze(NOW),
        ] {
            job.state = states()[1].clone();
            job.apply(input).unwrap();
            assert_eq!(job.snoozed_since, since);
        }
        job.apply(Input::Ask { at: LATER, by: Asker::Delivery(DeliveryId::from_number(2)), event_at: None, on: None })
            .unwrap();
        assert_eq!(job.snoozed_since, Some(NOW), "another event says nothing about the limit");
        job.apply(Input::Retry { at: LATER }).unwrap();
        assert_eq!(job.snoozed_since, None);
    }

    #[test]
    fn a_job_knows_the_newest_of_the_events_that_asked_for_it_in_whatever_order_they_came() {
        let mut job = job(states()[0].clone(), 0, false);
        for (event_at, newest) in [(None, NOW), (Some(LATER), LATER), (Some(NOW), LATER)] {
            job.apply(Input::Ask { at: LATER, by: Asker::Delivery(DeliveryId::from_number(2)), event_at, on: None })
                .unwrap();
            assert_eq!(job.event_at, Some(newest));
        }
        assert!(job.is_asked_after(Some(NOW)));
        assert!(!job.is_asked_after(Some(LATER)), "in the same millisecond the order in which they came counts");
        assert!(!job.is_asked_after(None));
    }

    #[test]
    fn a_refusal_reads_as_a_sentence() {
        let refused = job(states()[4].clone(), 0, false).apply(Input::Retry { at: NOW }).unwrap_err();
        assert_eq!(refused.to_string(), "a job that is done cannot take retry");
    }

    proptest! {
        #[test]
        fn whatever_happens_a_job_stays_sound(steps in proptest::collection::vec(0_usize..19, 0..60)) {
            let mut job = job(JobState::Due { at: NOW, why: None }, 0, false);
            let (mut started, mut token) = (0_u32, TOKEN);
            for step in steps {
                let before = job.clone();
                let inputs = inputs();
                // The claim of the table has another token than its settles: here the next claim takes theirs.
                let input = match inputs.get(step) {
                    Some((_, Input::Claim(_))) | None => Input::Claim(Lease { token: TOKEN, until: LATER }),
                    Some((_, input)) => input.clone(),
                };
                let (taken, name) = (job.apply(input.clone()), input.name());
                if taken.is_err() || before.state.is_finished() {
                    prop_assert!(taken.is_err(), "{} was taken when finished", name);
                    prop_assert_eq!(&job, &before);
                }
                if let JobState::Running { lease } = before.state {
                    token = lease.token;
                }
                if let Input::Start { token: by } | Input::Settle { token: by, .. } = input {
                    prop_assert!(taken.is_err() || by == token, "{} went through with another token", name);
                }
                started += u32::from(taken.is_ok() && matches!(input, Input::Start { .. }));
                prop_assert!(job.attempts <= started, "more attempts than were started");
                prop_assert!(!job.again || matches!(job.state, JobState::Running { .. }), "{} again", job.state.name());
            }
        }
    }
}
