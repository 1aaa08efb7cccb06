//! What is asked of a plan, and a plan as it is kept: what it was made from and when, and a hash that tells when somebody altered it. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::PlannedAccount;
use crate::account::UserKey;
use crate::clock::Timestamp;
use crate::ids::RuleName;
use crate::rules::{Rule, SubjectKind};

/// The only one there is.
const VERSION: u32 = 1;
/// How long a plan says what is true enough.
const GOOD_FOR: Duration = Duration::from_secs(24 * 3600);

/// A plan, whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SavedPlan {
    pub version: u32,
    /// In words, for whoever reads the file.
    pub created_at: String,
    pub created_at_ms: i64,
    /// Of each rule that was planned, what tells it from what it was, in hex.
    pub rules: BTreeMap<RuleName, String>,
    pub accounts: Vec<PlannedAccount>,
    /// Accounts that could not be read, so that nothing is planned in them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<NotPlanned>,
    /// SHA-256 of all the rest, in hex. No seal: whoever holds the admin token may do more than apply a plan.
    pub hash: String,
}

/// An account that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NotPlanned {
    pub account: String,
    pub why: String,
}

impl SavedPlan {
    pub fn new(rules: BTreeMap<RuleName, String>, accounts: Vec<PlannedAccount>, at: Timestamp) -> Self {
        let (created_at, created_at_ms) = (at.to_string(), at.as_millis());
        let (failed, hash) = (Vec::new(), String::new());
        Self { version: VERSION, created_at, created_at_ms, rules, accounts, failed, hash }.sealed()
    }

    /// With what could not be planned.
    #[must_use]
    pub fn without(self, failed: Vec<NotPlanned>) -> Self {
        Self { failed, ..self }.sealed()
    }

    fn sealed(self) -> Self {
        let hash = self.hashed();
        Self { hash, ..self }
    }

    fn hashed(&self) -> String {
        let bare = Self { hash: String::new(), ..self.clone() };
        // Encoding plain data into memory has nothing that could fail.
        hex::encode(Sha256::digest(serde_json::to_vec(&bare).unwrap_or_default()))
    }

    /// When it, and all that it allows, is over.
    pub fn good_until(&self) -> Timestamp {
        Timestamp::from_millis(self.created_at_ms).plus(GOOD_FOR)
    }

    /// Why it may not be applied now, with these rules in force.
    pub fn refused(&self, rules: &BTreeMap<RuleName, String>, now: Timestamp) -> Option<String> {
        if self.version != VERSION {
            return Some(format!("the plan has version {}, and this program knows {VERSION}: plan anew", self.version));
        }
        if self.hash != self.hashed() {
            return Some("the plan is not as it was written: it was altered, or cut off. plan anew".to_owned());
        }
        if now > self.good_until() {
            return Some(format!("the plan is of {}, more than 24 h ago: plan anew", self.created_at));
        }
        let changed = |(name, hash): &(&RuleName, &String)| rules.get(*name) != Some(*hash);
        let changed = self.rules.iter().find(changed)?;
        Some(format!("rule {} is not what it was when this was planned: plan anew", changed.0))
    }
}

/// What is to be planned.
#[derive(Debug, Clone, Default)]
pub struct PlanScope {
    /// The only rule; none for all.
    pub rule: Option<RuleName>,
    pub meetings: PlannedMeetings,
    /// Only what something happened to since then, of both kinds; and rules about events, by the events since then.
    pub since: Option<Timestamp>,
}

/// Which meetings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum PlannedMeetings {
    /// Users alone.
    #[default]
    None,
    /// Users, and the upcoming meetings of all that are active: one call for each, and one for each meeting.
    All,
    /// The upcoming meetings of one host alone.
    Of(UserKey),
}

impl PlanScope {
    pub fn is_about(&self, rule: &Rule) -> bool {
        let is_kind = match (&self.meetings, rule.subject) {
            (PlannedMeetings::None, kind) => kind == SubjectKind::User,
            (PlannedMeetings::All, _) => true,
            (PlannedMeetings::Of(_), kind) => kind == SubjectKind::Meeting,
        };
        // What a rule does when an event comes, only events that came can show.
        let is_listed = is_kind && rule.on.is_none();
        (is_listed || self.since.is_some()) && self.rule.as_ref().is_none_or(|only| rule.name == *only)
    }
}

/// What would become of one step of the delivery's plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DecidedNow {
    /// None where it is about all work for the subject.
    pub rule: Option<String>,
    pub subject: String,
    /// As a sentence.
    pub answer: String,
}

/// What is asked for of a plan in one account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AppliedAccount {
    pub account: String,
    pub rules: Vec<AppliedRule>,
    /// One for each change; none of a check.
    pub jobs: Vec<String>,
    /// Changes that no job could be made for: the account has too many.
    pub left: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AppliedRule {
    pub rule: String,
    pub changes: u64,
    /// The rule changes nothing, so that these are left out.
    pub observes: bool,
}

impl AppliedAccount {
    /// Those that are not left out.
    pub fn changes(&self) -> u64 {
        self.rules.iter().filter(|rule| !rule.observes).map(|rule| rule.changes).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn plan() -> SavedPlan {
        let rules = BTreeMap::from([(RuleName::parse("assist").unwrap(), "aa".to_owned())]);
        SavedPlan::new(rules, vec![PlannedAccount { account: "acme".to_owned(), ..PlannedAccount::default() }], AT)
    }

    #[test]
    fn a_plan_is_good_for_a_day_under_its_rules_and_as_it_was_written() {
        let plan = plan();
        let said = |plan: &SavedPlan, at| plan.refused(&self::plan().rules, at).unwrap_or_default();
        assert_eq!(said(&plan, AT.plus(GOOD_FOR)), "");
        assert!(said(&plan, AT.plus(GOOD_FOR).plus(Duration::from_secs(1))).contains("more than 24 h ago"));
        let altered = SavedPlan { created_at_ms: plan.created_at_ms + 1, ..plan.clone() };
        assert!(said(&altered, AT).contains("altered"));
        let newer = SavedPlan { version: 2, ..plan.clone() };
        assert!(said(&newer, AT).contains("version 2"));
        let others = BTreeMap::from([(RuleName::parse("assist").unwrap(), "bb".to_owned())]);
        assert!(plan.refused(&others, AT).unwrap().contains("rule assist is not what it was"));
        assert!(plan.refused(&BTreeMap::new(), AT).unwrap().contains("rule assist is not what it was"));
    }

    #[test]
    fn a_plan_is_the_same_after_a_file() {
        let text = serde_json::to_string_pretty(&plan()).unwrap();
        let read: SavedPlan = serde_json::from_str(&text).unwrap();
        assert_eq!(read.refused(&plan().rules, AT), None);
    }
}
