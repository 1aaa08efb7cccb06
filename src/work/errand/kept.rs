//! An errand as it is kept, and where it stands: pure.

use serde::{Deserialize, Serialize};

use super::making::{Making, Scheduling};
use super::moving::{Lent, Moving};
use crate::account::UserKey;
use crate::clock::Timestamp;
use crate::ids::{AccountId, AppName, ErrandId, MeetingId, RuleName};
use crate::job::{Asker, Job, JobState, NewJob, Subject};
use crate::store::{Document, Shelf, StoreError, Write};

/// The form of what is kept. A new one reads the old ones.
const FORM: u8 = 1;

/// What is to be done, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "most are moves, and few are read at once")]
pub enum Errandry {
    Schedule(Scheduling),
    Move(Moving),
}

impl Errandry {
    /// Of the job that does it.
    pub fn rule(&self) -> RuleName {
        match self {
            Self::Schedule(_) => RuleName::schedule(),
            Self::Move(_) => RuleName::moving(),
        }
    }

    /// Who is to host.
    pub const fn host(&self) -> &UserKey {
        match self {
            Self::Schedule(scheduling) => &scheduling.asked.host,
            Self::Move(moving) => &moving.asked.to,
        }
    }

    /// Whether this user is to host, as they were named or as Zoom knows them.
    pub fn is_for(&self, user: &UserKey) -> bool {
        let making = match self {
            Self::Schedule(scheduling) => &scheduling.making,
            Self::Move(moving) => &moving.anew,
        };
        let lent = if let Self::Move(moving) = self { moving.lent.as_ref() } else { None };
        self.host() == user || user.is(making.host().or(lent.map(|lent| &lent.of)), None)
    }

    /// Whether it may be done at Zoom already, answered or not.
    pub fn may_be_done(&self) -> bool {
        match self {
            Self::Schedule(scheduling) => scheduling.making != Making::Asked,
            Self::Move(moving) => moving.verdict.is_none() && (moving.tried.is_some() || moving.anew != Making::Asked),
        }
    }

    /// What has to be taken back still.
    pub fn lent(&self) -> Option<&Lent> {
        match self {
            Self::Schedule(_) => None,
            Self::Move(moving) => moving.open(),
        }
    }

    /// Of what has ended nobody needs more than who, which meeting, and what tells its request from another.
    fn without_what_was_asked(self, account: &AccountId) -> Self {
        match self {
            Self::Schedule(scheduling) => Self::Schedule(scheduling.without_fields(account)),
            Self::Move(moving) => Self::Move(Moving { said: None, before: None, verdict: None, ..moving }),
        }
    }
}

/// Why something cannot be. `code` is short and stable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    pub code: String,
    /// The one thing that is missing, in a sentence.
    pub why: String,
    /// What somebody can do about it, or ask for instead.
    pub advice: Option<String>,
}

/// What it came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Result {
    /// `notes` say what whoever asked should know: what differs from what was asked for, or from before.
    Done {
        meeting: MeetingId,
        notes: Vec<String>,
    },
    Refused(Refusal),
    Cancelled(String),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    pub at: Timestamp,
    pub result: Result,
}

/// What somebody asked to be done to one meeting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Errand {
    form: u8,
    pub id: ErrandId,
    pub app: AppName,
    pub account: AccountId,
    pub what: Errandry,
    /// Who asked.
    pub by: String,
    pub asked_at: Timestamp,
    pub ended: Option<Ended>,
}

impl Errand {
    pub fn new(
        id: ErrandId,
        (app, account): (AppName, AccountId),
        what: Errandry,
        (by, at): (String, Timestamp),
    ) -> Self {
        Self { form: FORM, id, app, account, what, by, asked_at: at, ended: None }
    }

    /// None for what this program cannot read, and for what is kept beside errands.
    pub fn read(document: &Document) -> Option<Self> {
        serde_json::from_slice(&document.value).ok().filter(|kept: &Self| kept.form == FORM)
    }

    /// By its shelf it says whether it has ended: those that have not are looked at often, and are few.
    pub fn document(&self) -> Document {
        let on = if self.ended.is_some() { Shelf::ErrandEnded } else { Shelf::Errand };
        // Encoding plain data into memory has nothing that could fail.
        let value = serde_json::to_vec(self).unwrap_or_default();
        Document { shelf: on, key: self.id.to_string(), account: Some(self.account.clone()), value }
    }

    /// Whether the same was asked for, however far it is.
    pub fn is_asked_by(&self, what: &Errandry) -> bool {
        match (&self.what, what) {
            (Errandry::Schedule(one), Errandry::Schedule(other)) => one.asks_as(&other.asked, &self.account),
            (Errandry::Move(one), Errandry::Move(other)) => one.asked == other.asked,
            _ => false,
        }
    }

    /// With what it came to, and without what it was asked.
    #[must_use]
    pub fn into_ended(self, ended: Ended) -> Self {
        let what = self.what.without_what_was_asked(&self.account);
        Self { what, ended: Some(ended), ..self }
    }

    /// That it has ended, in one write.
    pub fn end_writes(&self) -> Vec<Write> {
        let gone = [self.id.to_string(), Self::asking_key(self.id), Self::off_key(self.id)];
        let gone = gone.into_iter().map(|key| Write::Remove { shelf: Shelf::Errand, key });
        gone.chain([Write::Put(self.document())]).collect()
    }

    pub fn asking_key(id: ErrandId) -> String {
        format!("asking {id}")
    }

    /// It is there from before the errand is kept until its job is made: one that has no job, and no such document, had one.
    pub fn asking(&self) -> Document {
        let (key, account) = (Self::asking_key(self.id), Some(self.account.clone()));
        Document { shelf: Shelf::Errand, key, account, value: Vec::new() }
    }

    pub fn off_key(id: ErrandId) -> String {
        format!("off {id}")
    }

    /// Why its job was cancelled, where it may be done already: it ends when that was looked at. Beside it, since an attempt
    /// that goes on still writes the errand itself.
    pub fn called_off(&self, why: String) -> Document {
        let (key, account) = (Self::off_key(self.id), Some(self.account.clone()));
        Document { shelf: Shelf::Errand, key, account, value: why.into_bytes() }
    }

    /// What its job is about: a meeting that is there goes through one lane with all other work for it.
    pub fn subject(&self) -> Subject {
        match &self.what {
            Errandry::Schedule(_) => Subject::Errand { id: self.id },
            Errandry::Move(moving) => Subject::Meeting { id: moving.asked.meeting },
        }
    }

    pub fn job(&self, now: Timestamp) -> NewJob {
        NewJob {
            app: self.app.clone(),
            account: self.account.clone(),
            rule: self.what.rule(),
            subject: self.subject(),
            by: Asker::Errand(self.id),
            // An event from before it was asked for does not end it.
            event_at: Some(now),
            on: None,
        }
    }
}

/// What a caller is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrandState {
    /// It goes on by itself.
    Working,
    /// For what `why` says.
    Waiting,
    Done,
    /// It cannot be, and why; nothing of it is left at Zoom.
    Refused,
    /// Set aside for a person.
    Parked,
    Cancelled,
}

impl ErrandState {
    pub const ALL: [Self; 6] = [Self::Working, Self::Waiting, Self::Done, Self::Refused, Self::Parked, Self::Cancelled];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Working => "working",
            Self::Waiting => "waiting",
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Parked => "parked",
            Self::Cancelled => "cancelled",
        }
    }
}

impl std::str::FromStr for ErrandState {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let found = Self::ALL.into_iter().find(|state| state.name() == text);
        found.ok_or_else(|| format!("state is {text:?}, expected one of {}", Self::ALL.map(Self::name).join(", ")))
    }
}

/// Which of them; what is given must all hold.
#[derive(Debug, Clone, Default)]
pub struct ErrandFilter {
    pub account: Option<AccountId>,
    pub state: Option<ErrandState>,
    /// Who is to host.
    pub user: Option<UserKey>,
}

/// Where an errand stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrandStands {
    pub state: ErrandState,
    pub why: Option<String>,
    pub code: Option<String>,
    pub advice: Option<String>,
}

impl ErrandStands {
    fn saying(state: ErrandState, why: impl Into<String>) -> Self {
        Self { state, why: Some(why.into()), code: None, advice: None }
    }

    /// By what is kept, and by its job.
    pub fn of(kept: &Errand, job: Option<&Job>, is_paused: bool, now: Timestamp) -> Self {
        // Until its job has ended too, another one about the same meeting cannot be asked for.
        let ended = kept.ended.as_ref().filter(|_| job.is_none_or(|job| job.state.is_finished()));
        match ended.map(|ended| &ended.result) {
            Some(Result::Done { .. }) => {
                return Self { state: ErrandState::Done, why: None, code: None, advice: None };
            }
            Some(Result::Refused(Refusal { code, why, advice })) => {
                return Self {
                    code: Some(code.clone()),
                    advice: advice.clone(),
                    ..Self::saying(ErrandState::Refused, why.clone())
                };
            }
            Some(Result::Cancelled(why)) => return Self::saying(ErrandState::Cancelled, why.clone()),
            None => {}
        }
        match job.map(|job| &job.state) {
            Some(JobState::Due { .. }) if is_paused => Self {
                code: Some("account-paused".to_owned()),
                advice: Some(format!("let it go on with `adjutant accounts resume {}`", kept.account)),
                ..Self::saying(ErrandState::Waiting, "the account is paused")
            },
            Some(JobState::Due { at, why: Some(why) }) if *at > now => {
                Self::saying(ErrandState::Waiting, format!("{why}; it goes on at {at}"))
            }
            Some(JobState::Waiting { reason, .. }) => {
                Self { code: Some(reason.code().to_owned()), ..Self::saying(ErrandState::Waiting, reason.to_string()) }
            }
            Some(JobState::Parked { cause, .. }) => Self {
                code: Some(cause.code().to_owned()),
                advice: Some(cause.advice().to_owned()),
                ..Self::saying(ErrandState::Parked, cause.to_string())
            },
            Some(JobState::Cancelled { .. }) if kept.what.may_be_done() => {
                let why = "its job was cancelled, and whether Zoom had done it by then is looked at";
                Self::saying(ErrandState::Working, why)
            }
            Some(JobState::Cancelled { why, .. }) => Self::saying(ErrandState::Cancelled, why.clone()),
            Some(JobState::Due { .. } | JobState::Running { .. } | JobState::Done { .. }) | None => {
                Self { state: ErrandState::Working, why: None, code: None, advice: None }
            }
        }
    }
}

/// Why an errand was not taken. Nothing was written for it.
#[derive(Debug, thiserror::Error)]
pub enum ErrandRefused {
    /// What it says cannot be.
    #[error("{0}")]
    Invalid(String),
    #[error("the key was used for another request, {0}")]
    KeyUsed(ErrandId),
    #[error("meeting {0} is being moved: {1}")]
    UnderWay(MeetingId, ErrandId),
    #[error("no app holds account {0}")]
    NoAccount(AccountId),
    #[error("the account has too many unfinished jobs: ask again later")]
    Full,
    #[error("account {0} has {1} unfinished errands, and no more are kept: ask again when some of them have ended")]
    TooMany(AccountId, usize),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An errand, with its job.
#[derive(Debug, Clone)]
pub struct ErrandNow {
    pub kept: Errand,
    pub job: Option<Job>,
    /// It was asked for now, and not before.
    pub is_new: bool,
    pub is_paused: bool,
}

impl ErrandNow {
    pub fn stands(&self, now: Timestamp) -> ErrandStands {
        ErrandStands::of(&self.kept, self.job.as_ref(), self.is_paused, now)
    }
}
