//! Why somebody did, or did not, get what the rules want: from the store alone, without Zoom.
//!
//! Every rule about the subject is answered, also where it never made a job. What an attempt saw of its rule's condition is in
//! the audit entry of its outcome, so that the past can be explained after the subject has changed.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;

use super::AdminState;
use super::caller::Caller;
use super::delivered::Delivered;
use super::explained::{ChangeView, ExplainView, ExplainedView};
use super::problem::ApiProblem;
use super::routes::{Answer, Asked, Shared, asked};
use super::view::effect_in_words;
use crate::audit::{Entry, Kind};
use crate::clock::Timestamp;
use crate::ids::{AccountId, DeliveryId, Email, JobId, MeetingId, RuleName, UserId};
use crate::job::{Asker, Effect, Job, JobState, Subject};
use crate::rules::{Grantee, Mode, Report, Rule, SubjectKind};
use crate::store::{JobFilter, StoreError};
use crate::work::is_excepted;

/// Entries of the audit log in one look.
const PAGE: u64 = 1_000;
/// How far back to look in the audit log where no job says how old its story is.
const LOOK_BACK: u64 = 100_000;
/// How far back the whole log is, for whoever is bound to one account.
const LOOK_BACK_OF_ONE: u64 = 1_000_000;
/// Jobs about one subject that are looked at, the newest first.
const JOBS_MAX: usize = 100;

/// The state, as far as the caller may see it.
struct View<'a> {
    state: &'a AdminState,
    caller: &'a Caller,
}

impl std::ops::Deref for View<'_> {
    type Target = AdminState;

    fn deref(&self) -> &AdminState {
        self.state
    }
}

impl View<'_> {
    /// Whether something of this account, or of none that is known, may be looked at.
    fn sees(&self, account: Option<&AccountId>) -> bool {
        self.caller.account.is_none() || account.is_some_and(|account| self.caller.sees(account))
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ExplainAsked {
    subject: String,
    /// Look through the whole audit log, however long it is.
    #[serde(default)]
    all: bool,
}

pub(super) async fn explain(State(state): Shared, caller: Caller, query: Asked<ExplainAsked>) -> Answer<ExplainView> {
    let asked = asked(query)?;
    let state = &View { state: &state, caller: &caller };
    let (subject, delivered) = match asked.subject.parse::<DeliveryId>() {
        Ok(id) => {
            let delivered = Delivered::read(state.state, state.caller, id).await?;
            (delivered.subject(), Some(delivered))
        }
        Err(_) => (Some(subject_of(state, &asked.subject).await?), None),
    };
    let all = state.engine.rules();
    let Some(subject) = subject else {
        let delivery = delivered.as_ref().map(|delivered| delivered.view(&all, &[]));
        let view = ExplainView { subject: None, delivery, is_known: true, rules: Vec::new(), looked_back_to: None };
        return Ok(Json(view));
    };
    let (subject, jobs) = jobs_about(state, subject).await?;
    let oldest = jobs.iter().map(|job| job.made_at).min();
    let from = delivered.as_ref().map(|delivered| delivered.received_at);
    let is_named = delivered.is_some() || !jobs.is_empty();
    let since = match (oldest, from) {
        (Some(oldest), Some(from)) => Some(oldest.min(from)),
        (oldest, from) => oldest.or(from),
    };
    let past = Past::read(state, &subject, &jobs, since, asked.all).await?;
    let kind = match subject {
        Subject::User { .. } => SubjectKind::User,
        Subject::Meeting { .. } | Subject::Instance { .. } => SubjectKind::Meeting,
        Subject::Event { .. } | Subject::Errand { .. } => SubjectKind::Event,
    };
    let delivery = delivered.as_ref().map(|delivered| delivered.view(&all, &past.ended_by(delivered.id)));
    let has_runs = kind == SubjectKind::Meeting;
    let mut rules: Vec<ExplainedView> = Vec::new();
    for rule in all.iter().filter(|rule| rule.subject == kind || (has_runs && rule.is_about_runs())) {
        let explained = one(state, rule, &subject, &jobs, &past).await?;
        rules.push(on_event(state, rule, &jobs, delivered.as_ref(), explained).await?);
    }
    let is_configured = rules.iter().any(|rule| matches!(rule.code.as_str(), "excepted" | "api-user"));
    Ok(Json(ExplainView {
        subject: Some(subject.to_string()),
        delivery,
        is_known: is_named || !past.entries.is_empty() || is_configured,
        rules,
        looked_back_to: past.looked_back_to.map(|at| at.to_string()),
    }))
}

/// As long as the ids that Zoom makes: 16 bytes as URL-safe base64. Others can be given as in `user:abc`.
const ID_CHARS: usize = 22;

/// What a person means: `job_42`, an email, the number of a meeting, a user's id, or a subject as it is printed.
async fn subject_of(state: &View<'_>, text: &str) -> Result<Subject, ApiProblem> {
    let text = text.trim();
    if let Ok(id) = text.parse::<JobId>() {
        return Ok(super::jobs::seen(state.state, state.caller, id).await?.subject);
    }
    subject_named(text).ok_or_else(|| {
        let expected = "a user's email or id, the number of a meeting, or an id as in dlv_42, job_42 or user:abc";
        ApiProblem::bad_request(format!("{text:?} names nobody: expected {expected}"))
    })
}

/// A user by email or id, a meeting by its number, or a subject as it is printed.
pub(super) fn subject_named(text: &str) -> Option<Subject> {
    if let Some(subject) = Subject::read(text) {
        return Some(subject);
    }
    if let Ok(email) = Email::parse(text) {
        return Some(Subject::User { id: None, email: Some(email) });
    }
    if text.bytes().all(|b| b.is_ascii_digit() || b == b' ')
        && let Ok(id) = MeetingId::parse(&text.replace(' ', ""))
    {
        return Some(Subject::Meeting { id });
    }
    let is_id = text.len() == ID_CHARS && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    let id = UserId::parse(text).ok().filter(|_| is_id)?;
    Some(Subject::User { id: Some(id), email: None })
}

/// Jobs about the subject, newest first, and all that they know it by.
async fn jobs_about(state: &View<'_>, mut subject: Subject) -> Result<(Subject, Vec<Job>), StoreError> {
    let listed = async |subject: &Subject| {
        let filter = JobFilter { subject: Some(subject.clone()), limit: JOBS_MAX, ..JobFilter::default() };
        let filter = JobFilter { account: state.caller.account.clone(), ..filter };
        state.store.jobs(filter).await
    };
    let jobs = listed(&subject).await?;
    let before = subject.clone();
    for job in &jobs {
        subject.learn(&job.subject);
    }
    let jobs = if subject == before { jobs } else { listed(&subject).await? };
    Ok((subject, jobs))
}

/// What the audit log says of the subject, newest first.
struct Past {
    entries: Vec<Entry>,
    /// None where there is nothing older.
    looked_back_to: Option<Timestamp>,
}

impl Past {
    async fn read(
        state: &View<'_>,
        subject: &Subject,
        jobs: &[Job],
        since: Option<Timestamp>,
        all: bool,
    ) -> Result<Self, StoreError> {
        let asked_by: Vec<DeliveryId> =
            jobs.iter().flat_map(|job| [job.made_by, job.asked_by]).filter_map(delivery).collect();
        let is_about = |entry: &Entry| {
            let named = entry.detail.as_ref().and_then(|detail| Subject::read(detail.subject.as_ref()?));
            named.is_some_and(|named| named.is_part_of(subject))
                || (entry.kind == Kind::Decision && entry.delivery.is_some_and(|id| asked_by.contains(&id)))
        };
        let mut end = state.store.tree_head().await?.size;
        let (mut looked, mut entries, mut oldest) = (0_u64, Vec::new(), None);
        while end > 0 {
            let far_enough = match since {
                // One who may see little of it has not all of it read at once.
                _ if all => state.caller.account.is_some() && looked >= LOOK_BACK_OF_ONE,
                None => looked >= LOOK_BACK,
                since => oldest < since,
            };
            if oldest.is_some() && far_enough {
                return Ok(Self { entries, looked_back_to: oldest });
            }
            let start = end.saturating_sub(PAGE);
            let limit = usize::try_from(end.saturating_sub(start)).unwrap_or(usize::MAX);
            let page = state.store.entries(start, limit).await?;
            oldest = page.first().map(|entry| entry.at).or(oldest);
            let is_seen = |entry: &Entry| state.sees(entry.account.as_ref());
            entries.extend(page.into_iter().rev().filter(is_seen).filter(is_about));
            looked = looked.saturating_add(end.saturating_sub(start));
            end = start;
        }
        Ok(Self { entries, looked_back_to: None })
    }

    /// Work that the delivery ended.
    fn ended_by(&self, delivery: DeliveryId) -> Vec<JobId> {
        let ended = self.entries.iter().filter(|entry| entry.kind == Kind::Moved && entry.delivery == Some(delivery));
        ended.filter(|entry| entry.code == "cancelled").filter_map(|entry| entry.job).collect()
    }

    /// Of the job's newest attempt, and of what asked for it: oldest first.
    fn proof(&self, id: JobId, job: Option<&Job>) -> Vec<u64> {
        let asked_by = job.and_then(|job| delivery(job.asked_by));
        let mut indices = Vec::new();
        let mut in_attempt = true;
        for entry in &self.entries {
            let is_asked = entry.kind == Kind::Decision && entry.delivery.is_some() && entry.delivery == asked_by;
            if is_asked || (entry.job == Some(id) && (in_attempt || entry.kind == Kind::Decision)) {
                indices.push(entry.index);
            }
            if entry.job == Some(id) && entry.kind == Kind::Attempt {
                in_attempt = false;
            }
        }
        indices.reverse();
        indices
    }

    /// The rule's last change of the subject, with its attempt. None where that is the newest thing that came of it.
    fn last_change(&self, rule: &RuleName) -> Option<ChangeView> {
        let mut outcomes = self.entries.iter().enumerate().filter(|(_, entry)| {
            entry.kind == Kind::Outcome && entry.rule.as_ref() == Some(rule) && entry.job.is_some()
        });
        let (place, change) = outcomes.find(|(_, entry)| entry.code == "changed")?;
        if self.newest_outcome(rule).is_some_and(|newest| newest.index == change.index) {
            return None;
        }
        let mut indices = Vec::new();
        for entry in self.entries.iter().skip(place).filter(|entry| entry.job == change.job) {
            indices.push(entry.index);
            if entry.kind == Kind::Attempt {
                break;
            }
        }
        indices.reverse();
        Some(ChangeView {
            at: change.at.to_string(),
            what: change.detail.as_ref().map(|detail| detail.note.clone()).unwrap_or_default(),
            job: change.job.map(|id| id.to_string()).unwrap_or_default(),
            entries: indices,
        })
    }

    fn newest_outcome(&self, rule: &RuleName) -> Option<&Entry> {
        let is_its = |entry: &&Entry| entry.kind == Kind::Outcome && entry.rule.as_ref() == Some(rule);
        self.entries.iter().find(is_its)
    }

    fn newest_of(&self, rule: &RuleName) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.rule.as_ref() == Some(rule) && entry.job.is_some())
    }
}

const fn delivery(asker: Asker) -> Option<DeliveryId> {
    match asker {
        Asker::Delivery(id) => Some(id),
        Asker::Sweep | Asker::Plan | Asker::Onboarding(_) | Asker::Errand(_) => None,
    }
}

async fn one(
    state: &View<'_>,
    rule: &Rule,
    subject: &Subject,
    jobs: &[Job],
    past: &Past,
) -> Result<ExplainedView, StoreError> {
    let job = jobs.iter().find(|job| job.rule == rule.name);
    let newest = past.newest_of(&rule.name);
    let id = job.map(|job| job.id).or_else(|| newest.and_then(|entry| entry.job));
    let (mut code, mut answer, since) = match (job, newest) {
        (Some(job), _) => stands(job),
        (None, Some(entry)) => {
            let note = entry.detail.as_ref().map(|detail| detail.note.clone()).filter(|note| !note.is_empty());
            let said = note.map_or_else(|| entry.code.clone(), |note| format!("{}: {note}", entry.code));
            (entry.code.clone(), said, Some(entry.at))
        }
        (None, None) => never(state, rule, subject).await?,
    };
    let why = match job.map(|job| &job.state) {
        Some(JobState::Done { effect: Effect::NotApplicable { why }, .. }) => Some(why),
        Some(_) => None,
        None => newest.and_then(|entry| entry.detail.as_ref()).map(|detail| &detail.note),
    };
    if let Some(email) = excepted(rule, subject) {
        let before = if job.is_some() || newest.is_some() { format!("; before that: {answer}") } else { String::new() };
        (code, answer) = ("excepted".to_owned(), format!("the rule excepts {email}{before}"));
    } else if why.is_some_and(|why| is_excepted(why)) {
        "excepted".clone_into(&mut code);
    }
    let is_its = |entry: &&Entry| entry.kind == Kind::Outcome && entry.job.is_some() && entry.job == id;
    let seen = past
        .entries
        .iter()
        .filter(is_its)
        .find_map(|entry| entry.detail.as_ref().map(|detail| detail.saw.clone()).filter(|saw| !saw.is_empty()));
    Ok(ExplainedView {
        rule: rule.name.to_string(),
        mode: if rule.mode == Mode::Observe { "observe" } else { "enforce" }.to_owned(),
        wants: wants(rule),
        on: rule.on.as_ref().map(|on| on.events.clone()).unwrap_or_default(),
        when: rule.condition().map(str::to_owned),
        code,
        answer,
        since: since.map(|at| at.to_string()),
        saw: seen.unwrap_or_default(),
        last_change: past.last_change(&rule.name),
        entries: id.map(|id| past.proof(id, job)).unwrap_or_default(),
        job: id.map(|id| id.to_string()),
        account: job.map(|job| job.account.to_string()),
    })
}

/// What a rule wants, in words.
pub fn wants(rule: &Rule) -> String {
    let ensure = &rule.ensure;
    let grantee = |grantee: &Grantee| match grantee {
        Grantee::ApiUser => "the API users".to_owned(),
        Grantee::Named(email) => email.to_string(),
    };
    let assistants: Vec<_> = ensure.assistants.iter().map(grantee).collect();
    let settings = if rule.subject == SubjectKind::User { ensure.user_settings() } else { ensure.settings.clone() };
    let parts = [
        (!assistants.is_empty()).then(|| format!("{} as assistants", assistants.join(", "))),
        (!ensure.groups.is_empty()).then(|| format!("member of {}", ensure.groups.join(", "))),
        ensure.licence.map(|licence| format!("type {licence}")),
        (!settings.is_empty()).then(|| format!("settings {settings}")),
        (!ensure.alternative_hosts.is_empty()).then(|| {
            let hosts: Vec<_> = ensure.alternative_hosts.iter().map(ToString::to_string).collect();
            format!("{} as alternative hosts", hosts.join(", "))
        }),
        ensure.report.map(|Report::Movable| "a report whether it can be moved".to_owned()),
        ensure.status.map(|status| format!("the meeting {}", status.as_str())),
        rule.orphaned().map(|orphaned| {
            format!("a record of the user's upcoming meetings, and how {} could host them", orphaned.successor)
        }),
        rule.send.as_ref().map(|send| format!("sent to {}", send.consumer)),
        rule.in_time(),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// How the job stands: a code, a sentence, and since when.
fn stands(job: &Job) -> (String, String, Option<Timestamp>) {
    let (code, answer, at) = match &job.state {
        JobState::Due { at, why: Some(why) } => ("put-off", format!("it is put off until {at}: {why}"), *at),
        JobState::Due { at, why: None } => ("due", "its work is due and has not begun".to_owned(), *at),
        JobState::Running { lease } => ("running", "its work is being done now".to_owned(), lease.until),
        JobState::Waiting { since, reason } => ("waits", format!("it waits: {reason}"), *since),
        JobState::Parked { at, cause } => {
            ("parked", format!("it is set aside: {cause}. to do: {}", cause.advice()), *at)
        }
        JobState::Done { at, effect } => ("done", effect_in_words(effect), *at),
        JobState::Cancelled { at, why } => ("cancelled", format!("it was cancelled: {why}"), *at),
    };
    (code.to_owned(), answer, Some(at))
}

/// There is no trace of work for this rule: why there may be none.
async fn never(
    state: &View<'_>,
    rule: &Rule,
    subject: &Subject,
) -> Result<(String, String, Option<Timestamp>), StoreError> {
    let mut swept: Option<(AccountId, Timestamp)> = None;
    for account in &state.accounts_of(state.caller) {
        let last = state.store.sweep_state(account).await?.last.and_then(|last| last.ended_at);
        let newest = swept.as_ref().map(|(_, at)| *at);
        swept = last.filter(|at| newest.is_none_or(|newest| newest < *at)).map(|at| (account.clone(), at)).or(swept);
    }
    if is_api_user(state, subject) {
        return Ok(("api-user".to_owned(), "it is an API user itself: no rule is about those".to_owned(), None));
    }
    let last = swept.map_or_else(
        || "no sweep has ended yet".to_owned(),
        |(account, at)| format!("the last sweep, of account {account}, ended at {at}"),
    );
    // A sweep stores nothing of those that it found right, or to whom the rule does not apply.
    let answer = match &rule.on {
        Some(on) => format!("none of its events asked for work: {}", on.events.join(", ")),
        None => format!("no event and no sweep asked for work: `adjutant rules plan` judges it now; {last}"),
    };
    // Who has such a role, and who hosts, only Zoom says.
    let roles: Vec<&str> = rule.except_roles.iter().map(|role| role.name()).collect();
    let by_role = (!roles.is_empty()).then(|| format!("; it leaves alone who has the role {}", roles.join(" or ")));
    let hosts = (rule.subject == SubjectKind::Meeting && !rule.except.is_empty())
        .then(|| format!("; it leaves alone the meetings of {}", count(rule.except.len())));
    let answer = [Some(answer), by_role, hosts].into_iter().flatten().collect();
    Ok(("no-job".to_owned(), answer, None))
}

fn count(hosts: usize) -> String {
    if hosts == 1 { "one host".to_owned() } else { format!("{hosts} hosts") }
}

/// Whom the rule excepts by name, where that is the subject.
fn excepted<'a>(rule: &Rule, subject: &'a Subject) -> Option<&'a Email> {
    let Subject::User { email: Some(email), .. } = subject else { return None };
    Some(email).filter(|email| rule.except.contains(email))
}

/// Of a rule about events, what its condition saw of the delivery that is asked about, or of the one that asked last.
async fn on_event(
    state: &View<'_>,
    rule: &Rule,
    jobs: &[Job],
    asked: Option<&Delivered>,
    mut explained: ExplainedView,
) -> Result<ExplainedView, ApiProblem> {
    if rule.on.is_none() {
        return Ok(explained);
    }
    let mut found = asked.and_then(|delivered| delivered.on(rule));
    if let Some((code, answer)) = found.as_mut().and_then(|found| found.not_asked.take()) {
        (explained.code, explained.answer, explained.since) = (code.to_owned(), answer, None);
    }
    let by = jobs.iter().find(|job| job.rule == rule.name).and_then(|job| delivery(job.asked_by));
    if found.is_none()
        && let Some(id) = by
    {
        found = match Delivered::read(state.state, state.caller, id).await {
            Ok(delivered) => delivered.on(rule),
            Err(problem) if problem.status == StatusCode::NOT_FOUND => None,
            Err(problem) => return Err(problem),
        };
    } else if by != asked.map(|asked| asked.id) {
        explained.saw.clear();
    }
    // What the event answered, then what the work asked of it.
    explained.saw.splice(..0, found.map(|found| found.saw).unwrap_or_default());
    Ok(explained)
}

fn is_api_user(state: &View<'_>, subject: &Subject) -> bool {
    let Subject::User { id, email } = subject else { return false };
    let apps = state.apps.borrow();
    let mut known = apps.iter().flat_map(|app| &app.accounts).filter(|account| state.caller.sees(&account.id));
    known.any(|account| account.api_users.iter().any(|key| key.is(id.as_ref(), email.as_ref())))
}
