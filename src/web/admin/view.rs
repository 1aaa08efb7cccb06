//! What the admin API says: plain JSON with ids as text and times in RFC 3339. Scripts rely on these names.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::redact::redact;
use crate::account::AppKind;
use crate::alarm::{Alarm, Severity};
use crate::audit::{Call, Detail, Entry, Saw};
use crate::event::signature::Verified;
use crate::event::wire;
use crate::job::{Effect, Job, JobState, ParkCause};
use crate::store::{DeliveryStatus, DeliverySummary, ParkedGroup, StoredDelivery};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JobView {
    pub id: String,
    pub app: String,
    pub account: String,
    pub rule: String,
    pub subject: String,
    /// `due`, `running`, `waiting`, `parked`, `done` or `cancelled`.
    pub state: String,
    /// When it becomes due, its lease ends, it began to wait, was parked or finished.
    pub at: String,
    /// Why it was put off, waits or is parked, or what it came to.
    pub why: Option<String>,
    /// The code that `retry --cause` takes, while it is parked; what it waits for, while it waits.
    pub cause: Option<String>,
    /// What a person can do.
    pub advice: Option<String>,
    pub attempts: u32,
    /// The first of the snoozes that it has had in a row.
    pub snoozed_since: Option<String>,
    pub made_at: String,
    pub made_by: String,
    pub asked_by: String,
}

impl From<&Job> for JobView {
    fn from(job: &Job) -> Self {
        let (at, why, cause, advice) = match &job.state {
            JobState::Due { at, why } => (*at, why.clone(), None, None),
            JobState::Running { lease } => (lease.until, None, None, None),
            JobState::Waiting { since, reason } => (*since, Some(reason.to_string()), Some(reason.code()), None),
            JobState::Parked { at, cause } => {
                (*at, Some(cause.to_string()), Some(cause.code()), Some(cause.advice().to_owned()))
            }
            JobState::Done { at, effect } => (*at, Some(effect_in_words(effect)), None, None),
            JobState::Cancelled { at, why } => (*at, Some(why.clone()), None, None),
        };
        Self {
            id: job.id.to_string(),
            app: job.app.to_string(),
            account: job.account.to_string(),
            rule: job.rule.to_string(),
            subject: job.subject.key(),
            state: job.state.name().to_owned(),
            at: at.to_string(),
            why,
            cause: cause.map(str::to_owned),
            advice,
            attempts: job.attempts,
            snoozed_since: job.snoozed_since.map(|since| since.to_string()),
            made_at: job.made_at.to_string(),
            made_by: job.made_by.to_string(),
            asked_by: job.asked_by.to_string(),
        }
    }
}

pub(super) fn effect_in_words(effect: &Effect) -> String {
    match effect {
        Effect::Changed { what } => format!("changed: {what}"),
        Effect::AlreadyRight => Effect::ALREADY_RIGHT.to_owned(),
        Effect::WouldChange { what } => format!("would change: {what}"),
        Effect::NotApplicable { why } => format!("not applicable: {why}"),
        Effect::Reported { what } => what.clone(),
        Effect::Sent { what } => format!("sent: {what}"),
        Effect::WouldSend { what } => format!("would send: {what}"),
        Effect::Refused { why, .. } => format!("refused: {why}"),
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeliveryView {
    pub id: String,
    pub app: String,
    pub received_at: String,
    /// `unplanned`, `planned` or `parked`.
    pub status: String,
    /// What the planner decided, or why it is set aside.
    pub code: Option<String>,
    pub jobs: Vec<String>,
    /// None once the body was pruned.
    pub bytes: Option<u64>,
    /// It did not come by itself: it was found in Zoom's log of deliveries that failed.
    pub is_backfilled: bool,
    pub duplicate_of: Option<String>,
    pub same_request_as: Option<String>,
    /// The event's name. None where the body is none that can be read, or was pruned.
    pub event: Option<String>,
    /// As it came in `x-zm-request-id`. Only where one delivery is shown; that of `adjutant trigger` begins with `adjutant_`.
    pub request_id: Option<String>,
    /// The body with secrets taken out. Only where one delivery is shown; none where it is not JSON or was pruned.
    pub body: Option<serde_json::Value>,
}

impl DeliveryView {
    fn new(id: String, app: String, received_at: String, status: &DeliveryStatus) -> Self {
        let (status, code, jobs) = match status {
            DeliveryStatus::Unplanned => ("unplanned", None, Vec::new()),
            DeliveryStatus::Planned { code, jobs } => {
                ("planned", Some(code.clone()), jobs.iter().map(ToString::to_string).collect())
            }
            DeliveryStatus::Parked { cause } => ("parked", Some(cause.clone()), Vec::new()),
        };
        Self {
            id,
            app,
            received_at,
            status: status.to_owned(),
            code,
            jobs,
            bytes: None,
            is_backfilled: false,
            duplicate_of: None,
            same_request_as: None,
            event: None,
            request_id: None,
            body: None,
        }
    }

    pub fn of(delivery: &StoredDelivery, status: &DeliveryStatus) -> Self {
        let (id, app, at) = (delivery.id.to_string(), delivery.app.to_string(), delivery.received_at.to_string());
        let body = delivery.verified.as_ref().map(Verified::body);
        let mut json = delivery.verified.as_ref().and_then(|verified| wire::body(verified).ok());
        json.as_mut().into_iter().for_each(redact);
        let event = json.as_ref().and_then(|json| json.get("event")?.as_str().map(str::to_owned));
        Self {
            bytes: body.and_then(|body| u64::try_from(body.len()).ok()),
            is_backfilled: delivery.is_backfilled,
            duplicate_of: delivery.duplicate_of.map(|id| id.to_string()),
            same_request_as: delivery.same_request_as.map(|id| id.to_string()),
            event,
            request_id: delivery.verified.as_ref().and_then(Verified::request_id).map(str::to_owned),
            body: json,
            ..Self::new(id, app, at, status)
        }
    }
}

impl From<&DeliverySummary> for DeliveryView {
    fn from(row: &DeliverySummary) -> Self {
        let view = Self::new(row.id.to_string(), row.app.to_string(), row.received_at.to_string(), &row.status);
        Self { bytes: Some(row.bytes), is_backfilled: row.is_backfilled, event: row.event.clone(), ..view }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EntryView {
    /// Its place in the log, from 0, without gaps.
    pub index: u64,
    /// When it was entered.
    pub at: String,
    /// What kind of thing happened: `delivery`, `decision`, `attempt`, `intent`, `call`, `outcome`, `moved`, `refusal`,
    /// `attention`, `service` or `sweep`.
    pub kind: String,
    /// A short, stable word for what came of it: `stored`, `duplicate`, `changed`, `parked` and others.
    pub code: String,
    /// The app of the configuration.
    pub app: Option<String>,
    /// The Zoom account. None for a delivery as it came, which nobody had read, and for what is about the whole service.
    pub account: Option<String>,
    /// The webhook request that it is about, as in `dlv_42`.
    pub delivery: Option<String>,
    /// The job that it is about, as in `job_42`.
    pub job: Option<String>,
    /// The rule whose job that is.
    pub rule: Option<String>,
    /// As in `user:abc` or `meeting:123`, and the email where it is known; none once it was forgotten.
    pub subject: Option<String>,
    /// Who did it, or what it was done for: a person as in `token:ops`, a delivery as in `dlv_12`, `sweep`, `plan`, an
    /// onboarding, an errand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// The number of the entry that led to it: from an outcome back over call, intent, attempt and decision to the delivery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub led_by: Option<u64>,
    /// A sentence for people; none once it was forgotten.
    pub note: Option<String>,
    /// Of a job: at which attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// Of a call: what was asked of Zoom, and how it answered.
    pub call: Option<Call>,
    /// Of an outcome: the parts of the rule's condition, as the attempt saw them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub saw: Vec<Saw>,
    /// Of what a rule sends: `info`, `warning`, `critical`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// The RFC 6962 leaf hash, in hex.
    pub leaf: String,
}

impl From<Entry> for EntryView {
    fn from(entry: Entry) -> Self {
        let Detail { subject, actor, note, attempt, call, saw, severity } = entry.detail.unwrap_or_default();
        Self {
            index: entry.index,
            at: entry.at.to_string(),
            kind: entry.kind.code().to_owned(),
            code: entry.code,
            app: entry.app.map(|id| id.to_string()),
            account: entry.account.map(|id| id.to_string()),
            delivery: entry.delivery.map(|id| id.to_string()),
            job: entry.job.map(|id| id.to_string()),
            rule: entry.rule.map(|id| id.to_string()),
            subject,
            actor,
            led_by: entry.led_by,
            note: Some(note).filter(|note| !note.is_empty()),
            attempt,
            call,
            saw,
            severity,
            leaf: hex::encode(entry.leaf),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EntriesView {
    pub entries: Vec<EntryView>,
    /// Where to go on: give it as `after`. It stays the same where there is nothing new; a page of one account may be empty
    /// before that.
    pub next: String,
    /// Where it begins, entries are older than entries are kept: of those only time, kind and hash are left, and whose they were is not
    /// known any more, so that none of them is among the entries of an account.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_pruned: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HeadView {
    pub size: u64,
    /// The RFC 6962 root, in hex.
    pub root: String,
}

/// The signed head of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CheckpointView {
    /// The newest, as C2SP `tlog-checkpoint` has it; none where nothing was entered yet.
    pub checkpoint: Option<String>,
    /// Why none is signed any more: what is there is not what was signed before.
    pub trouble: Option<String>,
    /// The keys that verify it, as C2SP `signed-note` writes them.
    pub keys: Vec<String>,
}

/// What proves one entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProofView {
    pub index: u64,
    /// The text of C2SP `tlog-proof`; its extra data is what the leaf is the hash of.
    pub proof: String,
    /// What of the entry may name a person, and is in it by hash. None where there is none, or none any more.
    pub detail: Option<DisclosedView>,
}

/// What a detail was: its hash with the salt before it is in the entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DisclosedView {
    /// 16 bytes, in hex.
    pub salt: String,
    /// JSON, just as it was hashed.
    pub detail: String,
}

/// Entries that were read and hashed anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LeavesView {
    /// The RFC 6962 leaf hashes, in hex; null where an entry cannot be read.
    pub leaves: Vec<Option<String>>,
    /// What each leaf is the hash of, in base64, where `lines` asks for it; null where only the leaf is left.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<Option<String>>,
    /// The tree of the entries before them, as the tiles of the log have it: the roots of its complete subtrees, the largest
    /// first, in hex. Whoever trusts a checkpoint of so many entries goes on from it. None where the tiles do not have it.
    pub before: Option<Vec<String>>,
    /// Of these, deliveries whose body was pruned: hashed from the hash of the body, which stays.
    pub pruned: u64,
    pub faults: Vec<FaultView>,
    /// Where to go on: give it as `after`.
    pub next: String,
}

/// Something that is wrong with the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FaultView {
    /// The entries that it is about.
    pub place: String,
    pub what: String,
}

/// Parked jobs of one cause and account: one item for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ParkedView {
    pub cause: String,
    pub account: String,
    /// Where it is rule by rule that they are moved.
    pub rule: Option<String>,
    pub count: u64,
    pub example: String,
    /// The rule of the example.
    pub example_rule: Option<String>,
    pub since: String,
    pub why: Option<String>,
    pub advice: Option<String>,
    /// What lets them go on, once the cause is mended.
    pub command: String,
}

impl ParkedView {
    pub fn new(group: &ParkedGroup, example: Option<&Job>) -> Self {
        let cause: Option<&ParkCause> = example.and_then(|job| match &job.state {
            JobState::Parked { cause, .. } => Some(cause),
            _ => None,
        });
        Self {
            cause: group.cause.clone(),
            account: group.account.to_string(),
            rule: group.rule.as_ref().map(ToString::to_string),
            count: group.count,
            example: group.example.to_string(),
            example_rule: example.map(|job| job.rule.to_string()),
            since: group.since.to_string(),
            why: cause.map(ToString::to_string),
            advice: cause.map(|cause| cause.advice().to_owned()),
            command: command(group),
        }
    }

    /// The same as an alarm: one, however many jobs there are.
    pub fn alarm(&self) -> Alarm {
        let jobs =
            if self.count == 1 { "1 job is parked".to_owned() } else { format!("{} jobs are parked", self.count) };
        let why = self.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        let what = format!("account {}: {jobs} for {}{why}", self.account, self.cause);
        let alarm = Alarm::new("parked", what, self.advice.clone().unwrap_or_default(), self.command.clone());
        let alarm = alarm.of_account(&self.account).about(&self.cause);
        Alarm { rule: self.rule.clone(), since: Some(self.since.clone()), ..alarm }
    }
}

fn command(ParkedGroup { cause, account, rule, .. }: &ParkedGroup) -> String {
    let Some(rule) = rule else { return format!("adjutant jobs retry --cause {cause} --account {account}") };
    match cause.as_str() {
        "takes-away" => format!("adjutant rules resume {rule} --takes-away --account {account}"),
        "rule-gone" => format!("adjutant jobs cancel --cause rule-gone --rule {rule} --account {account}"),
        _ => format!("adjutant rules resume {rule} --account {account}"),
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WaitingView {
    pub reason: String,
    pub count: u64,
    pub meaning: String,
}

/// A configuration that was read again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReloadView {
    /// That are in force now.
    pub rules: u64,
    /// Of these, those that change something, and those that only say what they would change.
    pub enforced: u64,
    pub observed: u64,
    /// By name: what is otherwise than before.
    pub added: Vec<String>,
    pub changed: Vec<String>,
    pub gone: Vec<String>,
    pub accounts: u64,
    /// What else was changed: it stays as it was until the next start.
    pub needs_restart: Vec<String>,
}

/// What the files say and the service does not do, since it read them earlier. Each as it is written there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DifferenceView {
    pub needs_reload: Vec<String>,
    pub needs_restart: Vec<String>,
}

/// A backup that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BackupView {
    pub folder: String,
    pub records: u64,
    pub deliveries: u64,
    /// What could not be read, and so is not in it.
    pub missing: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AttentionView {
    pub alarms: Vec<Alarm>,
    pub parked: Vec<ParkedView>,
    pub parked_deliveries: u64,
    pub waiting: Vec<WaitingView>,
    /// Accounts that a person stopped for a while: no alarm, but nothing is done there.
    #[serde(default)]
    pub paused: Vec<PausedAccountView>,
}

/// An account whose jobs and sweeps stand still.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PausedAccountView {
    pub account: String,
    pub at: String,
    pub by: String,
}

/// What to do about deliveries that are set aside.
pub const DELIVERIES_ADVICE: &str = "the list says why of each. `unclaimed`: have the app installed on the account, or name the \
     account in the configuration, and they are planned by themselves; of an account that is none of yours nothing need be done. \
     `unreadable`: a newer version may read it, then `adjutant deliveries replay`. `backlog` goes on by itself";

impl AttentionView {
    /// All that a person should mend, each thing once.
    pub fn items(&self) -> Vec<Alarm> {
        let deliveries = (self.parked_deliveries > 0).then(|| {
            let what = match self.parked_deliveries {
                1 => "1 delivery is set aside".to_owned(),
                many => format!("{many} deliveries are set aside"),
            };
            Alarm::new("deliveries-parked", what, DELIVERIES_ADVICE, "adjutant deliveries list --parked")
        });
        self.alarms.iter().cloned().chain(self.parked.iter().map(ParkedView::alarm)).chain(deliveries).collect()
    }
}

/// Somebody who is told of alarms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NotifierView {
    pub name: String,
    /// `webhook` or `email`.
    pub kind: String,
    /// Codes of alarms; empty for all.
    pub only: Vec<String>,
    pub every_minutes: u64,
    /// Rules that send to it, how many of their messages go out in an hour, and how many wait for the next.
    pub rules: Vec<String>,
    pub rule_messages_per_hour: u32,
    pub rule_messages_waiting: u64,
    /// Alarms that were told and stand.
    pub standing: u64,
    /// When the last message went out.
    pub sent_at: Option<String>,
    /// The first failure since then, how many there were, and the last.
    pub failing_since: Option<String>,
    pub failed_times: u32,
    pub error: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AppView {
    pub name: String,
    pub kind: AppKind,
    pub accounts: Vec<String>,
    /// The newest delivery whose signature was good.
    pub verified_at: Option<String>,
    /// The newest answered `endpoint.url_validation`, but for those of `adjutant trigger` and `adjutant doctor`.
    pub validated_at: Option<String>,
    pub secrets_changed_at: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RefusedView {
    pub kind: String,
    pub count: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StatusView {
    pub version: String,
    pub started_at: String,
    pub now: String,
    pub store: StoreView,
    /// Deliveries stored since the start.
    pub accepted: u64,
    /// Url validations answered since the start.
    pub validated: u64,
    /// Requests refused since the start, by kind.
    pub refused: Vec<RefusedView>,
}

/// As [`crate::store::Status`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StoreView {
    pub deliveries: u64,
    pub unplanned: u64,
    pub parked_deliveries: u64,
    pub held_deliveries: u64,
    pub due: u64,
    pub running: u64,
    pub waiting: u64,
    pub parked: u64,
    pub done: u64,
    pub cancelled: u64,
    pub index_lag: u64,
    /// Why the index takes in nothing now.
    pub index_trouble: Option<String>,
    pub disk_free_bytes: Option<u64>,
    pub refusing: Option<String>,
}

impl From<crate::store::Status> for StoreView {
    fn from(status: crate::store::Status) -> Self {
        let crate::store::Status { deliveries, unplanned, parked_deliveries, held_deliveries, due, running, .. } =
            status;
        let crate::store::Status { waiting, parked, done, cancelled, index_lag, disk_free_bytes, refusing, .. } =
            status;
        let index_trouble = status.index_trouble.map(|trouble| trouble.why);
        Self {
            deliveries,
            unplanned,
            parked_deliveries,
            held_deliveries,
            due,
            running,
            waiting,
            parked,
            done,
            cancelled,
            index_lag,
            index_trouble,
            disk_free_bytes,
            refusing,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MovedView {
    pub moved: u64,
    /// Of those that were meant, as many are still as they were: too many for one request, or parked again meanwhile.
    pub left: u64,
}
