//! An onboarding as it is kept, and where it stands: pure.

use serde::{Deserialize, Serialize};

use super::wanted::Wanted;
use crate::clock::Timestamp;
use crate::ids::{AccountId, AppName, OnboardingId, UserId};
use crate::job::{Asker, Effect, Job, JobState, Subject, WaitReason};
use crate::store::{Document, Shelf, Write};

/// The form of what is kept. A new one reads the old ones.
const FORM: u8 = 1;

/// How far an onboarding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    Asked,
    /// A user may have been created, whether or not Zoom's answer came.
    Creating,
    /// The user is there.
    There,
    /// The rules have been asked for the user.
    Rules {
        at: Timestamp,
    },
}

/// How the user came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Came {
    Created,
    /// There was one in the account already.
    Adopted,
    /// The email has a user in another account, who joins only if the person accepts.
    Elsewhere,
}

impl Came {
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Adopted => "was there already",
            Self::Elsewhere => "invited from another account",
        }
    }
}

/// What it came to, for as long as it is kept after its job is not any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    pub at: Timestamp,
    /// None where it is done.
    pub cancelled: Option<String>,
}

/// One person's onboarding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Onboarding {
    form: u8,
    pub id: OnboardingId,
    pub app: AppName,
    pub account: AccountId,
    pub wanted: Wanted,
    pub batch: Option<String>,
    /// Who asked.
    pub by: String,
    pub asked_at: Timestamp,
    pub step: Step,
    pub came: Option<Came>,
    pub user: Option<UserId>,
    /// A group was asked for while the user was pending.
    #[serde(default)]
    pub pending_group: bool,
    /// When the user, or the open invitation, was found gone.
    #[serde(default)]
    pub gone_at: Option<Timestamp>,
    pub ended: Option<Ending>,
}

impl Onboarding {
    pub fn new(
        id: OnboardingId,
        (app, account): (AppName, AccountId),
        wanted: Wanted,
        batch: Option<String>,
        (by, at): (String, Timestamp),
    ) -> Self {
        Self {
            form: FORM,
            id,
            app,
            account,
            wanted,
            batch,
            by,
            asked_at: at,
            step: Step::Asked,
            came: None,
            user: None,
            pending_group: false,
            gone_at: None,
            ended: None,
        }
    }

    /// The same, which has come to its end.
    #[must_use]
    pub fn ended(self, at: Timestamp, cancelled: Option<String>) -> Self {
        Self { ended: Some(Ending { at, cancelled }), ..self }
    }

    /// None for what this program cannot read.
    pub fn read(document: &Document) -> Option<Self> {
        serde_json::from_slice(&document.value).ok().filter(|kept: &Self| kept.form == FORM)
    }

    pub fn document(&self) -> Document {
        // Encoding plain data into memory has nothing that could fail.
        let value = serde_json::to_vec(self).unwrap_or_default();
        Document { shelf: Shelf::Onboarding, key: self.id.to_string(), account: Some(self.account.clone()), value }
    }

    /// Whom it is about, as far as that is known.
    pub fn subject(&self) -> Subject {
        Subject::User { id: self.user.clone(), email: Some(self.wanted.email.clone()) }
    }

    /// Whether the job is its own.
    pub fn is_of(&self, job: &Job) -> bool {
        job.rule.is_onboard() && job.made_by == Asker::Onboarding(self.id)
    }
}

/// What is kept beside onboardings, on their shelf.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "beside")]
pub enum Beside {
    /// Their jobs are being asked for. One that has none, and is in no such list, had one that is not kept any more.
    Asking { ids: Vec<OnboardingId> },
    /// What the consumer was last told of it.
    Told { of: OnboardingId, what: String },
}

impl Beside {
    pub fn read(document: &Document) -> Option<Self> {
        serde_json::from_slice(&document.value).ok()
    }

    pub fn asks(self) -> Vec<OnboardingId> {
        if let Self::Asking { ids } = self { ids } else { Vec::new() }
    }

    pub fn told(self) -> Option<(OnboardingId, String)> {
        if let Self::Told { of, what } = self { Some((of, what)) } else { None }
    }

    pub fn told_key(of: OnboardingId) -> String {
        format!("told {of}")
    }

    /// It belongs to the account of this onboarding: a list to that of its first.
    pub fn document(&self, of: &Onboarding) -> Document {
        let key = match self {
            Self::Asking { .. } => format!("asking {}", of.id),
            Self::Told { of, .. } => Self::told_key(*of),
        };
        self.keyed(key, Some(of.account.clone()))
    }

    fn keyed(&self, key: String, account: Option<AccountId>) -> Document {
        Document { shelf: Shelf::Onboarding, key, account, value: serde_json::to_vec(self).unwrap_or_default() }
    }

    /// A list that is empty goes.
    pub fn put_or_remove(&self, first: &Onboarding) -> Write {
        self.in_place_of(&self.document(first))
    }

    /// The same, in place of what was read.
    pub fn in_place_of(&self, before: &Document) -> Write {
        match self {
            Self::Asking { ids } if ids.is_empty() => Write::Remove { shelf: before.shelf, key: before.key.clone() },
            _ => Write::Put(self.keyed(before.key.clone(), before.account.clone())),
        }
    }
}

/// What holds up the work of an account.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Held {
    /// A person stopped it for a while.
    pub is_paused: bool,
    /// It has no API user that is fit: rules only observe.
    pub only_observes: bool,
}

/// What a caller is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Asked,
    Creating,
    /// The person has to accept the invitation.
    Invited,
    /// For what `why` says.
    Waiting,
    Working,
    Done,
    Parked,
    Cancelled,
}

impl Standing {
    pub const ALL: [Self; 8] = [
        Self::Asked,
        Self::Creating,
        Self::Invited,
        Self::Waiting,
        Self::Working,
        Self::Done,
        Self::Parked,
        Self::Cancelled,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Creating => "creating",
            Self::Invited => "invited",
            Self::Waiting => "waiting",
            Self::Working => "working",
            Self::Done => "done",
            Self::Parked => "parked",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether it goes on by itself and soon: who waits for it waits on.
    pub const fn is_moving(self) -> bool {
        matches!(self, Self::Asked | Self::Creating | Self::Working)
    }
}

/// Where an onboarding stands, made from what is kept and from the jobs about its user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stands {
    pub standing: Standing,
    /// What it waits for, was parked for, or came to.
    pub why: Option<String>,
    /// The code of what it waits or is parked for.
    pub cause: Option<&'static str>,
    pub advice: Option<String>,
}

impl Stands {
    const fn just(standing: Standing) -> Self {
        Self { standing, why: None, cause: None, advice: None }
    }

    fn saying(standing: Standing, why: impl Into<String>) -> Self {
        Self { why: Some(why.into()), ..Self::just(standing) }
    }
}

/// Jobs of rules that are there because the person is a user now: what they come to belongs to the onboarding.
pub fn of_rules<'a>(kept: &Onboarding, jobs: &'a [Job]) -> Vec<&'a Job> {
    let asked = |job: &&Job| matches!(kept.step, Step::Rules { .. }) && !job.rule.is_onboard();
    let is_its = |job: &&Job| job.made_at >= kept.asked_at || !job.state.is_finished();
    jobs.iter().filter(|job| job.subject.is_same(&kept.subject())).filter(asked).filter(is_its).collect()
}

/// `jobs` are those about its user, its own among them.
pub fn stands(kept: &Onboarding, jobs: &[Job], held: Held, now: Timestamp) -> Stands {
    if let Some(Ending { cancelled: Some(why), .. }) = &kept.ended {
        return Stands::saying(Standing::Cancelled, why.clone());
    }
    let own = jobs.iter().find(|job| kept.is_of(job)).map(|job| &job.state);
    let going = match kept.step {
        Step::Asked => Standing::Asked,
        Step::Creating => Standing::Creating,
        Step::There | Step::Rules { .. } => Standing::Working,
    };
    match own {
        Some(JobState::Due { .. }) if held.is_paused => Stands {
            cause: Some("account-paused"),
            advice: Some(format!("let it go on with `adjutant accounts resume {}`", kept.account)),
            ..Stands::saying(Standing::Waiting, "the account is paused")
        },
        Some(JobState::Due { at, why: Some(why) }) if *at > now && !matches!(kept.step, Step::Rules { .. }) => {
            Stands::saying(Standing::Waiting, format!("{why}; it goes on at {at}"))
        }
        Some(JobState::Due { .. } | JobState::Running { .. }) | None if kept.ended.is_none() => Stands::just(going),
        Some(JobState::Waiting { reason: WaitReason::UserPending, .. }) => invited(kept),
        Some(JobState::Waiting { reason, .. }) => {
            Stands { cause: Some(reason.code()), ..Stands::saying(Standing::Waiting, reason.to_string()) }
        }
        Some(JobState::Parked { cause, .. }) => Stands {
            standing: Standing::Parked,
            why: Some(cause.to_string()),
            cause: Some(cause.code()),
            advice: Some(cause.advice().to_owned()),
        },
        Some(JobState::Cancelled { why, .. }) => Stands::saying(Standing::Cancelled, why.clone()),
        Some(JobState::Done { effect: Effect::NotApplicable { why }, .. }) => {
            Stands::saying(Standing::Done, why.clone())
        }
        _ => after(kept, jobs, held),
    }
}

fn invited(kept: &Onboarding) -> Stands {
    let why = match kept.came {
        Some(Came::Elsewhere) => "the email belongs to another Zoom account: joins only if the person accepts",
        _ => "the person has not accepted the invitation",
    };
    Stands { cause: Some(WaitReason::UserPending.code()), ..Stands::saying(Standing::Invited, why) }
}

/// What is left for the rules to do, the worst first.
fn after(kept: &Onboarding, jobs: &[Job], held: Held) -> Stands {
    let of_rules = of_rules(kept, jobs);
    for job in &of_rules {
        if let JobState::Parked { cause, .. } = &job.state {
            return Stands {
                standing: Standing::Parked,
                why: Some(format!("rule {}: {cause}", job.rule)),
                cause: Some(cause.code()),
                advice: Some(cause.advice().to_owned()),
            };
        }
    }
    for job in &of_rules {
        if let JobState::Waiting { reason, .. } = &job.state {
            let why = format!("rule {}: {reason}", job.rule);
            return Stands { cause: Some(reason.code()), ..Stands::saying(Standing::Waiting, why) };
        }
    }
    if let Some(job) = of_rules.iter().find(|job| !job.state.is_finished()) {
        return Stands::saying(Standing::Working, format!("rule {} is at work", job.rule));
    }
    let has_observed = |job: &&&Job| matches!(job.state, JobState::Done { effect: Effect::WouldChange { .. }, .. });
    if let Some(job) = of_rules.iter().find(has_observed).filter(|_| held.only_observes) {
        let why = format!(
            "rule {}: the account has no API user that is active and licensed, so that rules only observe",
            job.rule
        );
        return Stands {
            cause: Some("needs-api-user"),
            advice: Some(format!("`adjutant accounts show {}` says what is missing", kept.account)),
            ..Stands::saying(Standing::Waiting, why)
        };
    }
    Stands::saying(Standing::Done, kept.came.map_or("done", Came::in_words))
}
