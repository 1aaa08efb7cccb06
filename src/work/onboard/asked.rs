//! What callers ask for and are told of onboardings: the types that the API, the command line and the parts that run share.

use serde::{Deserialize, Serialize};

use super::kept::{Held, Onboarding, Stands, stands};
use super::wanted::Wanted;
use crate::clock::Timestamp;
use crate::job::Job;

/// One row of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub wanted: Wanted,
    /// The same key is the same onboarding, for as long as that is kept.
    pub key: Option<String>,
}

/// An onboarding with the jobs about its user.
#[derive(Debug, Clone)]
pub struct WithJobs {
    pub kept: Onboarding,
    pub jobs: Vec<Job>,
    /// It was asked for now, and not before.
    pub is_new: bool,
    /// What holds its account up.
    pub held: Held,
}

impl WithJobs {
    pub fn stands(&self, now: Timestamp) -> Stands {
        stands(&self.kept, &self.jobs, self.held, now)
    }
}

/// Why a row was not taken. Nothing was written for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RefusedFor {
    /// What it says cannot be, or its key stood for something else.
    Invalid,
    /// Somebody is being onboarded under this email.
    UnderWay,
    /// There is no such account, or nothing can be asked of it now.
    NoAccount,
    /// Of a look before: Zoom did not say what it has.
    Zoom,
}

/// A row that was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct RowRefused {
    pub code: RefusedFor,
    pub why: String,
}

impl RowRefused {
    pub fn invalid(why: impl Into<String>) -> Self {
        Self { code: RefusedFor::Invalid, why: why.into() }
    }

    pub fn under_way(why: impl Into<String>) -> Self {
        Self { code: RefusedFor::UnderWay, why: why.into() }
    }
}
