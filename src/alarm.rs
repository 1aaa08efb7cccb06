//! Something that a person should know and mend: what `attention` lists and notifiers tell. Pure.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// Every code that an alarm may have. Short and stable: people filter by them.
pub const CODES: [&str; 40] = [
    "account-leaving",
    "api-user",
    "app-deauthorized",
    "app-gone",
    "backfill-failed",
    "backlog",
    "backlog-full",
    "backlog-refused",
    "bad-signatures",
    "checkpoint-file",
    "clock",
    "consumer-behind",
    "consumer-paused",
    "deliveries-parked",
    "disk-filling",
    "given-up",
    "gone-host",
    "group-unknown",
    "index",
    "lent-too-long",
    "list-refused",
    "log-not-signed",
    "lost-host",
    "messages-wait",
    "needs-api-user",
    "needs-authorising",
    "not-forgotten",
    "notify-failing",
    "parked",
    "refusing",
    "reload",
    "rule-limit",
    "rule-unplanned",
    "silence",
    "store-failed",
    "sweep-failed",
    "sweep-stale",
    "take-back",
    "two-apps",
    "zoom-unreachable",
];

/// Those that are known from memory alone: for a while after a start nobody knows whether they are over.
const FROM_MEMORY: [&str; 11] = [
    "backlog-refused",
    "bad-signatures",
    "checkpoint-file",
    "clock",
    "consumer-behind",
    "consumer-paused",
    "messages-wait",
    "needs-authorising",
    "notify-failing",
    "reload",
    "zoom-unreachable",
];

/// How much what a rule sends matters, as whoever wrote the rule says. The order is part of the format on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Info,
    Warning,
    Critical,
}

impl Severity {
    pub const CHOICES: [(&str, Self); 3] =
        [("info", Self::Info), ("warning", Self::Warning), ("critical", Self::Critical)];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Alarm {
    /// One of [`CODES`].
    pub code: String,
    pub account: Option<String>,
    pub rule: Option<String>,
    /// What else tells it from others of its code: an app, a user, a group, a cause, a notifier.
    pub about: Option<String>,
    /// Since when, where that is known.
    pub since: Option<String>,
    pub what: String,
    pub advice: String,
    /// The command that mends it, or shows what to mend.
    pub command: String,
}

impl Alarm {
    pub fn new(code: &str, what: impl Into<String>, advice: impl Into<String>, command: impl Into<String>) -> Self {
        debug_assert!(CODES.contains(&code), "{code} is no code that people could filter by");
        Self {
            code: code.to_owned(),
            account: None,
            rule: None,
            about: None,
            since: None,
            what: what.into(),
            advice: advice.into(),
            command: command.into(),
        }
    }

    #[must_use]
    pub fn of_account(self, account: &(impl ToString + ?Sized)) -> Self {
        Self { account: Some(account.to_string()), ..self }
    }

    #[must_use]
    pub fn of_rule(self, rule: &(impl ToString + ?Sized)) -> Self {
        Self { rule: Some(rule.to_string()), ..self }
    }

    #[must_use]
    pub fn about(self, about: &(impl ToString + ?Sized)) -> Self {
        Self { about: Some(about.to_string()), ..self }
    }

    #[must_use]
    pub fn since(self, at: Timestamp) -> Self {
        Self { since: Some(at.to_string()), ..self }
    }

    /// What tells alarms apart, whatever their counts and words say by now.
    pub fn key(&self) -> (&str, Option<&str>, Option<&str>, Option<&str>) {
        (&self.code, self.account.as_deref(), self.rule.as_deref(), self.about.as_deref())
    }

    pub fn is_from_memory(&self) -> bool {
        FROM_MEMORY.contains(&self.code.as_str())
    }
}
