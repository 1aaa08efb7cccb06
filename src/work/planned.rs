//! What rules would change in an account: what a plan says, and what it costs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::judge::{Difference, Verdict, edits};
use crate::account::Plan;
use crate::job::Effect;
use crate::rules::{NOT_KEPT, Rule, SubjectKind, is_secret, is_secret_name};
use crate::zoom::{Category, Edit, Endpoint, per_second};

/// Names of one reason in a plan: what a plan may weigh is bounded.
const NAMED_MAX: usize = 10_000;
/// Of these, those that a person is shown.
const SHOWN_MAX: usize = 10;

/// What the rules would change in one account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlannedAccount {
    pub account: String,
    /// Where it is only about what something happened to since a moment; none for a plan over all.
    pub since: Option<PlannedSince>,
    /// Users that were looked at.
    pub users: u64,
    /// Meetings that were looked at; none where nobody asked for them.
    pub meetings: Option<u64>,
    pub rules: Vec<PlannedRule>,
    /// Calls of all changes together.
    pub cost: Cost,
    /// How long they take at the share of the account's limits that sweeps may use, and under the rules' own limits.
    pub secs: u64,
    /// The same for a plan that is applied, which the rules' own limits do not hold up.
    pub applied_secs: u64,
}

/// What a plan over a time was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlannedSince {
    pub at: String,
    /// That were read.
    pub deliveries: u64,
    /// There were more than a plan looks at: these are the newest.
    pub is_cut: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlannedRule {
    pub rule: String,
    pub subject: SubjectKind,
    /// Whether the changes are made when the time comes, or only recorded.
    pub is_enforced: bool,
    pub changes: Vec<PlannedChange>,
    /// The users or meetings for which nothing is to be changed, by the reason.
    pub others: BTreeMap<String, PlannedOthers>,
    max_changes_per_hour: u32,
}

/// Users or meetings for which nothing is to be changed, for one reason.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlannedOthers {
    pub count: u64,
    /// Those that wait, or are left out, as in `user:abc jill@example.com`: the first 10,000. Who is right already is not
    /// named.
    pub named: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlannedChange {
    /// As in `user:abc jill@example.com`.
    pub subject: String,
    pub differences: Vec<PlannedDifference>,
    /// The calls that change something, as in `POST /users/abc/assistants`.
    pub calls: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlannedDifference {
    pub about: String,
    /// Of a secret a mark, which tells it from others.
    pub is: Value,
    pub wanted: Value,
}

impl PlannedDifference {
    /// One side of it, for whoever may look over a shoulder.
    fn shown(&self, value: &Value) -> String {
        let leaf = self.about.rsplit('.').next().unwrap_or_default();
        if is_secret_name(leaf) && !value.is_boolean() { NOT_KEPT.to_owned() } else { value.to_string() }
    }
}

impl From<&Difference> for PlannedDifference {
    fn from(one: &Difference) -> Self {
        let leaf = one.about.rsplit('.').next().unwrap_or_default();
        let kept = |value: &Value| if is_secret(leaf, value) { mark(one, value) } else { value.clone() };
        Self { about: one.about.clone(), is: kept(&one.is), wanted: kept(&one.wanted) }
    }
}

/// What stands for a secret: the same one has another mark elsewhere, so that nobody sees who shares one.
fn mark(of: &Difference, secret: &Value) -> Value {
    let place = of.edit.call().map(|(_, path)| path);
    // Encoding plain data into memory has nothing that could fail.
    let whole = serde_json::to_vec(&(place, &of.about, secret)).unwrap_or_default();
    let hash: [u8; 32] = Sha256::digest(whole).into();
    format!("{NOT_KEPT} {}", hex::encode(hash.first_chunk::<8>().copied().unwrap_or_default())).into()
}

/// Tells differences from others, and from the same by a rule that was changed. Whoever else is an assistant, and in which
/// other groups a user is, says nothing.
pub(super) fn planned(rule: &Rule, differences: &[Difference]) -> [u8; 16] {
    hashed(rule, differences.iter().map(PlannedDifference::from).collect())
}

fn hashed(rule: &Rule, mut differences: Vec<PlannedDifference>) -> [u8; 16] {
    for difference in &mut differences {
        if matches!(difference.about.as_str(), "assistants" | "groups") {
            difference.is = Value::Null;
        }
    }
    // Encoding plain data into memory has nothing that could fail.
    let hash: [u8; 32] =
        Sha256::digest(serde_json::to_vec(&(rule.fingerprint(), differences)).unwrap_or_default()).into();
    hash.first_chunk().copied().unwrap_or_default()
}

/// Calls by rate-limit category.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cost {
    pub light: u64,
    pub medium: u64,
    pub heavy: u64,
}

impl Cost {
    fn add(&mut self, category: Category, calls: u64) {
        let of = match category {
            Category::Light => &mut self.light,
            Category::Medium => &mut self.medium,
            Category::Heavy => &mut self.heavy,
        };
        *of = of.saturating_add(calls);
    }

    fn secs(self, plan: Plan, share_percent: u8) -> u64 {
        let of = |category, calls: u64| {
            let rate = u64::from(per_second(plan, category)).saturating_mul(share_percent.into());
            calls.saturating_mul(100).div_ceil(rate.max(100))
        };
        let each = [(Category::Light, self.light), (Category::Medium, self.medium), (Category::Heavy, self.heavy)];
        each.into_iter().map(|(category, calls)| of(category, calls)).max().unwrap_or(0)
    }
}

impl PlannedRule {
    pub fn new(rule: &Rule) -> Self {
        Self {
            rule: rule.name.to_string(),
            is_enforced: rule.mode == crate::rules::Mode::Enforce,
            subject: rule.subject,
            changes: Vec::new(),
            others: BTreeMap::new(),
            max_changes_per_hour: rule.max_changes_per_hour,
        }
    }

    /// Takes in what the rule says of one subject.
    pub fn add(&mut self, rule: &Rule, subject: String, verdict: &Verdict) {
        match would_change(rule, verdict) {
            Ok(differences) => self.changes.push(PlannedChange::new(subject, &differences)),
            Err(reason) => {
                let is_right = *verdict == Verdict::Right;
                let others = self.others.entry(reason).or_default();
                others.count = others.count.saturating_add(1);
                if !is_right && others.named.len() < NAMED_MAX {
                    others.named.push(subject);
                }
            }
        }
    }
}

/// Why nothing is to be changed for an event that a rule sends.
pub const WOULD_SEND: &str = "an event that it sends";

/// What the rule would change, or, in a few words that are alike for many, why nothing.
pub fn would_change(rule: &Rule, verdict: &Verdict) -> Result<Vec<Difference>, String> {
    Err(match verdict {
        Verdict::Differs(differences) if differences.iter().any(|one| one.is_allowed(rule)) => {
            return Ok(differences.iter().filter(|one| one.is_allowed(rule)).cloned().collect());
        }
        Verdict::Differs(_) => "parks: it would take something away, which the rule does not allow".to_owned(),
        Verdict::Right if rule.send.is_some() => WOULD_SEND.to_owned(),
        Verdict::Right => Effect::ALREADY_RIGHT.to_owned(),
        Verdict::Reports(what) => what.clone(),
        Verdict::Waits(reason) => format!("waits: {}", reason.short()),
        Verdict::Unanswered(_) => "its condition has no answer".to_owned(),
        Verdict::NotApplicable(why) | Verdict::Unclear(why) => why.clone(),
        Verdict::Impossible(cause) => format!("parks: {cause}"),
        Verdict::Needs(_) => "could not be read".to_owned(),
    })
}

impl PlannedChange {
    fn new(subject: String, differences: &[Difference]) -> Self {
        let edits = edits(differences);
        let calls = edits.iter().filter_map(Edit::call);
        Self {
            subject,
            differences: differences.iter().map(PlannedDifference::from).collect(),
            calls: calls.map(|(endpoint, path)| format!("{} {path}", endpoint.method())).collect(),
        }
    }

    /// What a job of the rule is asked for with it.
    pub fn hash(&self, rule: &Rule) -> [u8; 16] {
        hashed(rule, self.differences.clone())
    }

    /// What is read before and after, and what is written.
    fn cost(&self, cost: &mut Cost) {
        cost.add(Endpoint::GetUser.category(), 1);
        if self.subject.starts_with("meeting:") {
            cost.add(Endpoint::GetMeeting.category(), 2);
            cost.add(Endpoint::UpdateMeeting.category(), 1);
            return;
        }
        let mut kinds = BTreeSet::new();
        for difference in &self.differences {
            let kind = difference.about.split('.').next().unwrap_or_default();
            // What the user states is known by then, and only read back.
            let (reads, read, write) = match kind {
                "assistants" => (2, Endpoint::ListAssistants, Endpoint::AddAssistants),
                "groups" => (1, Endpoint::GetUser, Endpoint::AddGroupMembers),
                "type" => (1, Endpoint::GetUser, Endpoint::UpdateUser),
                _ => (2, Endpoint::GetUserSettings, Endpoint::UpdateUserSettings),
            };
            let is_first = kinds.insert(kind);
            if is_first {
                cost.add(read.category(), reads);
            }
            // All settings of a user are one call.
            if is_first || kind != "settings" {
                cost.add(write.category(), 1);
            }
        }
    }
}

impl PlannedAccount {
    /// Adds up what all of it costs.
    #[must_use]
    pub fn priced(mut self, plan: Plan, share_percent: u8) -> Self {
        let (mut cost, mut hours) = (Cost::default(), 0);
        for rule in &self.rules {
            rule.changes.iter().for_each(|change| change.cost(&mut cost));
            let changes = u64::try_from(rule.changes.len()).unwrap_or(u64::MAX);
            hours = hours.max(changes.saturating_sub(1) / u64::from(rule.max_changes_per_hour.max(1)));
        }
        (self.cost, self.applied_secs) = (cost, cost.secs(plan, share_percent));
        self.secs = self.applied_secs.max(hours.saturating_mul(3_600));
        self
    }
}

/// As a person reads it: each rule with its changes, what they cost, and why all others are left as they are.
impl fmt::Display for PlannedAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { account, since, users, meetings, rules, cost, secs, .. } = self;
        let and = meetings.map(|meetings| format!(" and {}", counted(meetings, SubjectKind::Meeting)));
        write!(f, "account {account}, {}{}", counted(*users, SubjectKind::User), and.unwrap_or_default())?;
        if let Some(PlannedSince { at, deliveries, is_cut }) = since {
            write!(f, " with events or work since {at}, of {deliveries} deliveries")?;
            if *is_cut {
                write!(f, "; there were more, which this plan leaves out")?;
            }
        }
        writeln!(f)?;
        for rule in rules {
            writeln!(f, "\n{rule}")?;
        }
        let Cost { light, medium, heavy } = cost;
        let calls = format!("{light} light, {medium} medium and {heavy} heavy calls");
        write!(f, "\nall changes together: {calls}, about {}", span_in_words(*secs))?;
        if meetings.is_none() { write!(f, ". meetings are looked at with --meetings or --host") } else { Ok(()) }
    }
}

impl fmt::Display for PlannedRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let would = if self.is_enforced { "to be changed" } else { "would be changed, but the rule observes" };
        let changes = u64::try_from(self.changes.len()).unwrap_or(u64::MAX);
        write!(f, "{}: {} {would}", self.rule, counted(changes, self.subject))?;
        for change in &self.changes {
            for one in &change.differences {
                write!(
                    f,
                    "\n  {}: {} {} -> {}",
                    change.subject,
                    one.about,
                    one.shown(&one.is),
                    one.shown(&one.wanted)
                )?;
            }
            write!(f, "\n    {}", change.calls.join("; "))?;
        }
        for (reason, PlannedOthers { count, named }) in &self.others {
            write!(f, "\n  {}: {reason}", counted(*count, self.subject))?;
            named.iter().take(SHOWN_MAX).try_for_each(|subject| write!(f, "\n    {subject}"))?;
            if named.len() > SHOWN_MAX {
                let rest = count.saturating_sub(u64::try_from(SHOWN_MAX).unwrap_or(u64::MAX));
                write!(f, "\n    and {rest} more: see --json")?;
            }
        }
        Ok(())
    }
}

/// A span, as a person counts it.
pub fn span_in_words(secs: u64) -> String {
    match secs {
        0..90 => format!("{secs} s"),
        90..5_400 => format!("{} min", secs.div_ceil(60)),
        5_400..129_600 => format!("{} h", secs.div_ceil(3_600)),
        _ => format!("{} days", secs.div_ceil(86_400)),
    }
}

fn counted(number: u64, kind: SubjectKind) -> String {
    let one = match kind {
        SubjectKind::User => "user",
        SubjectKind::Meeting => "meeting",
        SubjectKind::Event => "event",
    };
    format!("{number} {one}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_keeps_a_mark_of_a_secret_that_tells_it_from_others_and_from_the_same_of_somebody_else() {
        let difference = |user: &str, is: &str| {
            let path = ["schedule_meeting".to_owned(), "pmi_password".to_owned()];
            let to = crate::rules::Leaves::one(&path, &"543210".into());
            let of = crate::account::UserKey::Id(crate::ids::UserId::parse(user).unwrap());
            let about = format!("settings.{}", path.join("."));
            let edit = Edit::SetUserSettings { of, to };
            Difference { about, is: is.into(), wanted: "543210".into(), edit, takes_away: false }
        };
        let (one, other) = (difference("jill", "054321"), difference("jill", "054322"));
        let change = PlannedChange::new("user:jill".to_owned(), std::slice::from_ref(&one));
        let kept = serde_json::to_string(&change).unwrap();
        assert!(!kept.contains("54321") && kept.contains("(not kept) "), "{kept}");
        let rule = toml::from_str("name = \"r\"\nfor = \"user\"\nensure = { assistants = [\"api-user\"] }").unwrap();
        assert_eq!(change.hash(&rule), planned(&rule, std::slice::from_ref(&one)));
        assert_ne!(change.hash(&rule), planned(&rule, &[other]));
        let mark = |difference: &Difference| PlannedDifference::from(difference).is;
        assert_ne!(mark(&one), mark(&difference("jack", "054321")));
    }

    #[test]
    fn a_plan_shows_no_secret_ten_names_of_a_reason_and_short_spans_in_seconds() {
        let difference = |about: &str| PlannedDifference {
            about: format!("settings.schedule_meeting.{about}"),
            is: "054321".into(),
            wanted: "543210".into(),
        };
        let differences = vec![difference("pmi_password"), difference("audio_type")];
        let change = PlannedChange { subject: "user:abc".to_owned(), differences, calls: Vec::new() };
        let rule = PlannedRule {
            rule: "lock".to_owned(),
            subject: SubjectKind::User,
            is_enforced: true,
            changes: vec![change],
            others: BTreeMap::new(),
            max_changes_per_hour: 10,
        };
        let told = rule.to_string();
        assert!(told.contains("pmi_password (not kept) -> (not kept)"), "{told}");
        assert!(told.contains("audio_type \"054321\" -> \"543210\""), "{told}");
        let named: Vec<String> = (0..12).map(|n| format!("user:{n}")).collect();
        let others = BTreeMap::from([("waits".to_owned(), PlannedOthers { count: 12, named })]);
        let told = PlannedRule { others, ..rule }.to_string();
        assert!(told.contains("\n  12 users: waits\n    user:0\n") && !told.contains("user:10"), "{told}");
        assert!(told.ends_with("    user:9\n    and 2 more: see --json"), "{told}");
        let said = [2, 90, 5_399, 5_400, 129_600].map(span_in_words);
        assert_eq!(said, ["2 s", "2 min", "90 min", "2 h", "2 days"]);
    }
}
