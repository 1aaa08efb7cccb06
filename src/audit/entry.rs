//! One line of the audit log.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::tree::Hash;
use crate::alarm::Severity;
use crate::clock::Timestamp;
use crate::ids::{AccountId, AppName, DeliveryId, JobId, RuleName};
use crate::job::Job;

/// What kind of thing happened. The order is part of the format on disk: add at the end only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A verified request was stored.
    Delivery,
    /// What a delivery led to: jobs, nothing, a duplicate, set aside.
    Decision,
    /// An attempt at a job began; it may only read.
    Attempt,
    /// Something is about to be changed at Zoom.
    Intent,
    /// A call to Zoom and its answer.
    Call,
    /// What an attempt came to; an effect was read back.
    Outcome,
    /// Somebody, or a limit, moved a job.
    Moved,
    /// Requests were refused; counted by minute and kind.
    Refusal,
    /// Something that a person should know.
    Attention,
    /// The service started, stopped, or took a new configuration.
    Service,
    /// A sweep over an account began, ended, or could not.
    Sweep,
}

impl Kind {
    pub const fn code(self) -> &'static str {
        match self {
            Self::Delivery => "delivery",
            Self::Decision => "decision",
            Self::Attempt => "attempt",
            Self::Intent => "intent",
            Self::Call => "call",
            Self::Outcome => "outcome",
            Self::Moved => "moved",
            Self::Refusal => "refusal",
            Self::Attention => "attention",
            Self::Service => "service",
            Self::Sweep => "sweep",
        }
    }
}

/// One entry, as it is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Its place in the log, from 0, without gaps.
    pub index: u64,
    pub at: Timestamp,
    pub kind: Kind,
    pub app: Option<AppName>,
    pub account: Option<AccountId>,
    pub delivery: Option<DeliveryId>,
    pub job: Option<JobId>,
    pub rule: Option<RuleName>,
    /// A short, stable word for what came of it: `stored`, `duplicate`, `changed`, `parked` …
    pub code: String,
    /// What may name a person; sealed on disk, and none once it was forgotten.
    pub detail: Option<Detail>,
    /// The entry that led to it.
    pub led_by: Option<u64>,
    /// The RFC 6962 hash of the entry as it is stored.
    #[serde(serialize_with = "as_hex")]
    pub leaf: Hash,
}

fn as_hex<S: serde::Serializer>(hash: &Hash, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&hex::encode(hash))
}

/// The part of an entry that may name a person. On disk it is JSON: its fields may grow in number, and none changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct Detail {
    /// As in `user:abc` or `meeting:123`, and the email where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Who did it, or what it was done for: a person as in `token:ops`, a delivery as in `dlv_12`, `sweep`, `plan`, an
    /// onboarding, an errand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// A sentence.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// Of a job: at which attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call: Option<Call>,
    /// Of an outcome: the parts of the rule's condition, as the attempt saw them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub saw: Vec<Saw>,
    /// Of an outcome: as the rule says that what it sends matters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
}

impl Detail {
    pub fn note(note: impl Into<String>) -> Self {
        Self { note: note.into(), ..Self::default() }
    }

    /// A person did it.
    pub fn by(actor: &str) -> Self {
        Self { actor: Some(actor.to_owned()), ..Self::note(format!("by {actor}")) }
    }

    /// Of an entry of this kind about a job.
    #[must_use]
    pub fn about(self, job: &Job, kind: Kind) -> Self {
        let is_of_attempt = matches!(kind, Kind::Attempt | Kind::Intent | Kind::Call | Kind::Outcome);
        Self {
            subject: Some(job.subject.to_string()),
            actor: self.actor.or_else(|| Some(job.asked_by.to_string())),
            attempt: is_of_attempt.then_some(job.attempts),
            ..self
        }
    }
}

/// A part of a condition that is true or false by itself, and what it came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Saw {
    /// As the condition has it.
    pub text: String,
    /// The facts that it looked at, by name, each cut short. No secret is among them.
    pub facts: Vec<(String, String)>,
    /// `true`, `false`, or why there is no answer.
    pub outcome: String,
}

/// A call to Zoom, without secrets and bodies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Call {
    /// `GET`, `POST`, `PUT`, `PATCH` or `DELETE`.
    pub method: String,
    /// The path below the API's base, as it was sent.
    pub path: String,
    /// Zoom's rate-limit category of the call: `light`, `medium`, `heavy`.
    pub category: String,
    /// None where no answer came.
    pub status: Option<u16>,
    /// How long it took, in milliseconds.
    pub millis: u64,
    /// The entry of the intent under which it was made, until it is entered itself.
    #[serde(skip)]
    pub intent: Option<u64>,
}
