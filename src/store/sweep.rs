//! What the store knows of sweeps: where each account's stands, and what it came to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::audit::Call;
use crate::clock::Timestamp;
use crate::ids::{AccountId, AppName, JobId, RuleName};
use crate::rules::Step;

/// Why a sweep began. Part of the format on disk: add at the end only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SweepCause {
    Schedule,
    /// None ended within the interval before: the service, or Zoom, was away.
    Outage,
    /// The rules, or the account's API users, are others than at the last one.
    NewRules,
    Person,
    /// The first ones of an account that came while the service ran.
    First,
}

impl SweepCause {
    pub const fn code(self) -> &'static str {
        match self {
            Self::Schedule => "schedule",
            Self::Outage => "outage",
            Self::NewRules => "new-rules",
            Self::Person => "person",
            Self::First => "first",
        }
    }
}

/// What a sweep looks at. Part of the format on disk: add at the end only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SweepKind {
    /// Users, as Zoom's lists have them.
    Users,
    /// Settings of users, which are read one by one.
    Settings,
    /// Upcoming meetings, which are read one by one.
    Meetings,
}

impl SweepKind {
    pub const ALL: [Self; 3] = [Self::Users, Self::Settings, Self::Meetings];

    pub const fn code(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Settings => "settings",
            Self::Meetings => "meetings",
        }
    }
}

/// One sweep over one account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepRun {
    pub kind: SweepKind,
    pub why: SweepCause,
    /// The only rule that it looks at; none for all of them.
    pub rule: Option<RuleName>,
    /// It says what it finds, and asks for no work.
    pub is_dry: bool,
    pub started_at: Timestamp,
    /// None while it runs, also over a restart.
    pub ended_at: Option<Timestamp>,
    /// The token of the page of users to read next; none at the start. It lives 15 minutes at Zoom.
    pub next: Option<String>,
    /// Users that were looked at.
    pub users: u64,
    /// Of so many, as Zoom says; none where it does not.
    pub total: Option<u64>,
    /// Those that differ from what some rule wants, counted for each rule.
    pub found: u64,
    pub found_by_rule: BTreeMap<RuleName, u64>,
    pub made: u64,
    /// Jobs that waited, or were parked as not found, and were made due.
    pub woken: u64,
    /// What no job was made for, since the account has too many: the next sweep finds it again.
    pub left: u64,
    /// Jobs of the sweep that changed something since, until the next one begins.
    pub changed: u64,
}

/// Where the sweeps of one account stand.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SweepState {
    /// The one that runs.
    pub run: Option<SweepRun>,
    /// The last that came to its end and asked for what it found.
    pub last: Option<SweepRun>,
    /// The last that only said what it found.
    pub last_dry: Option<SweepRun>,
    /// The last one of each kind over all of its rules that came to its end.
    pub whole: BTreeMap<SweepKind, WholeSweep>,
    /// The newest one that could not come to its end, where none did since.
    pub failed: Option<SweepFailure>,
    /// Up to when Zoom's log of deliveries that failed was read.
    pub backfilled: Option<Timestamp>,
}

/// A sweep over all rules of its kind that came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WholeSweep {
    pub started_at: Timestamp,
    pub ended_at: Timestamp,
    /// A hash of what it compared with.
    pub with: [u8; 16],
}

/// A sweep that could not come to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepFailure {
    pub at: Timestamp,
    pub is_dry: bool,
    pub why: String,
}

/// What is to be recorded of a sweep.
#[derive(Debug, Clone)]
pub enum SweepStep {
    Begin {
        kind: SweepKind,
        why: SweepCause,
        rule: Option<RuleName>,
        is_dry: bool,
    },
    /// A page of users was compared.
    Page {
        users: u64,
        total: Option<u64>,
        /// Those of [`Step::Ensure`] count; nothing else is taken.
        steps: Vec<Step>,
        next: Option<String>,
        /// When the page was asked for: what its users were then.
        seen_at: Timestamp,
    },
    /// The page tokens are over: the users are read from the first page again.
    Again,
    /// All was compared, with what this is the hash of.
    End {
        with: [u8; 16],
    },
    /// It cannot come to its end.
    GiveUp {
        why: String,
    },
    /// Zoom's log of deliveries that failed was read up to this moment.
    Backfilled {
        until: Timestamp,
        stored: u64,
        /// Without a signature of ours, or longer than is taken.
        refused: u64,
    },
    /// Zoom was called without the sweep getting further, or only to look.
    Called,
}

impl SweepStep {
    /// Of a sweep that runs, which is led to by its beginning.
    pub const fn is_of_run(&self) -> bool {
        matches!(self, Self::Page { .. } | Self::Again | Self::End { .. } | Self::GiveUp { .. })
    }
}

/// A step of a sweep and the calls that were made for it.
#[derive(Debug, Clone)]
pub struct SweepRecord {
    pub app: AppName,
    pub account: AccountId,
    pub step: SweepStep,
    pub calls: Vec<Call>,
}

/// What came of a step.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Swept {
    pub state: SweepState,
    /// The jobs that were made, in the order of the steps.
    pub made: Vec<JobId>,
}

impl SweepState {
    pub(in crate::store) fn begin(
        &mut self,
        (kind, why): (SweepKind, SweepCause),
        rule: Option<RuleName>,
        is_dry: bool,
        at: Timestamp,
    ) {
        self.run = Some(SweepRun {
            kind,
            why,
            rule,
            is_dry,
            started_at: at,
            ended_at: None,
            next: None,
            users: 0,
            total: None,
            found: 0,
            found_by_rule: BTreeMap::new(),
            made: 0,
            woken: 0,
            left: 0,
            changed: 0,
        });
    }

    /// The page tokens are over.
    pub(in crate::store) fn again(&mut self) {
        if let Some(run) = &mut self.run {
            (run.next, run.users, run.found) = (None, 0, 0);
            run.found_by_rule.clear();
        }
    }

    pub(in crate::store) fn end(&mut self, with: [u8; 16], at: Timestamp) {
        let Some(mut run) = self.run.take() else { return };
        (run.ended_at, run.next) = (Some(at), None);
        self.failed = None;
        if run.is_dry {
            self.last_dry = Some(run);
            return;
        }
        if run.rule.is_none() {
            self.whole.insert(run.kind, WholeSweep { started_at: run.started_at, ended_at: at, with });
        }
        self.last = Some(run);
    }

    pub(in crate::store) fn give_up(&mut self, why: String, at: Timestamp) {
        if let Some(run) = self.run.take() {
            self.failed = Some(SweepFailure { at, is_dry: run.is_dry, why });
        }
    }

    /// A job of the sweep changed something.
    pub(in crate::store) fn changed(&mut self) {
        if let Some(run) = self.run.as_mut().filter(|run| !run.is_dry).or(self.last.as_mut()) {
            run.changed = run.changed.saturating_add(1);
        }
    }

    /// The counts of the run, as a sentence for the log.
    pub(in crate::store) fn told(&self) -> String {
        self.run.as_ref().map_or_else(String::new, |run| {
            let SweepRun { users, found, made, woken, left, .. } = run;
            let differ = match run.kind {
                SweepKind::Users => "differ",
                SweepKind::Settings => "have settings to be read",
                SweepKind::Meetings => "meetings to be read",
            };
            let (users, jobs) = (counted(*users, "user", "users"), counted(*made, "job", "jobs"));
            if run.is_dry {
                return format!("{users}, {found} {differ}; a dry run, which asks for nothing");
            }
            format!("{users}, {found} {differ}: {jobs} made, {woken} woken, {left} left for the next")
        })
    }
}

fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// What reading Zoom's log came to, as a sentence for the log; none where there was nothing.
pub(in crate::store) fn backfill_told(stored: u64, refused: u64) -> Option<String> {
    let told = || format!("{} of Zoom's log stored, {refused} refused", counted(stored, "delivery", "deliveries"));
    (stored > 0 || refused > 0).then(told)
}

impl SweepRun {
    /// A page was compared.
    pub(in crate::store) fn page(&mut self, users: u64, total: Option<u64>, next: Option<String>) {
        (self.next, self.users) = (next, self.users.saturating_add(users));
        self.total = total.or(self.total);
    }

    /// The rule wants something else for one of its users.
    pub(in crate::store) fn found(&mut self, rule: &RuleName) {
        self.found = self.found.saturating_add(1);
        let of_rule = self.found_by_rule.entry(rule.clone()).or_default();
        *of_rule = of_rule.saturating_add(1);
    }

    /// As in the log: of what kind it is, why it began, and that it asks for nothing.
    pub(in crate::store) fn began(&self) -> String {
        let dry = if self.is_dry { ", a dry run" } else { "" };
        format!("{}, {}{dry}", self.kind.code(), self.why.code())
    }
}
