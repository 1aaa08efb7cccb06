//! Explanations, as they are answered.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::audit::Saw;

/// Why somebody did, or did not, get what the rules want.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExplainView {
    /// None for a delivery that is about no user and no meeting.
    pub subject: Option<String>,
    /// Where a delivery was asked about.
    pub delivery: Option<AskedByView>,
    /// Whether anything is stored about the subject, or the configuration names it.
    pub is_known: bool,
    /// One for each rule that is about such subjects.
    pub rules: Vec<ExplainedView>,
    /// The audit log was read back to this moment; none where all of it was.
    pub looked_back_to: Option<String>,
}

/// What a delivery came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AskedByView {
    pub id: String,
    pub event: Option<String>,
    pub received_at: String,
    pub answer: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExplainedView {
    pub rule: String,
    /// `observe` or `enforce`.
    pub mode: String,
    pub wants: String,
    /// The events that it is about; none where it is about its subjects at all times.
    pub on: Vec<String>,
    pub when: Option<String>,
    /// `due`, `put-off`, `running`, `waits`, `parked`, `done`, `cancelled`, `excepted`, `api-user`, `not-met`, `unanswered`, `no-job`; where the job is not kept any
    /// more, the code of its last entry.
    pub code: String,
    /// The same as a sentence, with what a person can do.
    pub answer: String,
    pub since: Option<String>,
    pub account: Option<String>,
    pub job: Option<String>,
    /// The parts of the condition, as the last attempt that asked it saw them; of a condition about events, as they are for
    /// the delivery that is asked about, or that asked last.
    pub saw: Vec<Saw>,
    /// The entries of the audit log that prove it.
    pub entries: Vec<u64>,
    /// The rule's last change, where something newer came since: the event of our own change asks again, and finds it right.
    pub last_change: Option<ChangeView>,
}

/// A change that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChangeView {
    pub at: String,
    pub what: String,
    pub job: String,
    pub entries: Vec<u64>,
}
