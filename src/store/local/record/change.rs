//! What became true of the live state.

use serde::{Deserialize, Serialize};

use super::Blob;
use crate::clock::Timestamp;
use crate::ids::{AccountId, AppName, RuleName};
use crate::job::Asker;
use crate::store::local::seal::Fingerprint;
use crate::store::port::{AppState, QuotaUse, Shelf};

/// What was decided about a delivery. Part of the format on disk: add at the end only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::store::local) enum Decided {
    Nothing,
    Work,
    Repeated,
    Duplicate,
    /// It was set aside, and then there were too many of these.
    GivenUp,
    Echo,
}

impl Decided {
    pub(in crate::store::local) const fn code(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Work => "work",
            Self::Repeated => "repeated",
            Self::Duplicate => "duplicate",
            Self::GivenUp => "given-up",
            Self::Echo => "echo",
        }
    }
}

/// Why a delivery was set aside. Part of the format on disk: add at the end only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::store::local) enum AsideFor {
    Unreadable,
    /// The body named this account.
    Unclaimed(Option<AccountId>),
    /// This account had too many unfinished jobs.
    Backlog(AccountId),
}

impl AsideFor {
    pub(in crate::store::local) const fn cause(&self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::Unclaimed(_) => "unclaimed",
            Self::Backlog(_) => "backlog",
        }
    }
}

/// What became true. Part of the format on disk: add at the end only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::store::local) enum Change {
    Planned {
        delivery: u64,
        decided: Decided,
        jobs: Vec<u64>,
    },
    SetAside {
        delivery: u64,
        why: AsideFor,
    },
    /// To be planned (again). `record` is where the delivery is.
    Unplanned {
        delivery: u64,
        record: u64,
        app: AppName,
        received_at: Timestamp,
        replayed: bool,
    },
    /// A job as it is now; no lease outlasts the process, so none is in it. Empty where it was forgotten.
    Job {
        id: u64,
        sealed: Blob,
    },
    /// A job was made or merged for an event with this meaning.
    Meaning {
        print: Fingerprint,
        at: Timestamp,
    },
    /// The job's change was counted against the limit of the hour, and where `share` against that of 24 hours.
    Intended {
        account: AccountId,
        rule: RuleName,
        hour: i64,
        job: u64,
        share: bool,
    },
    Noticed {
        account: AccountId,
        rule: RuleName,
        hour: i64,
    },
    /// The rule came to its limit of 24 hours.
    Stopped {
        account: AccountId,
        rule: RuleName,
    },
    /// A person resumed the rule.
    Resumed {
        account: AccountId,
        rule: RuleName,
    },
    Called {
        account: AccountId,
        day: i64,
        calls: QuotaUse,
    },
    App {
        app: AppName,
        state: AppState,
    },
    /// Where the sweeps of an account stand.
    Sweep {
        account: AccountId,
        sealed: Blob,
    },
    /// What stands of an account for a person to mend: all of it.
    Notices {
        account: AccountId,
        sealed: Blob,
    },
    /// Somebody saw what the rule would change.
    RulePlanned {
        rule: RuleName,
        hash: [u8; 16],
    },
    /// A delivery was given up.
    GaveUp {
        at: Timestamp,
    },
    /// A rule's changes of a subject were read back.
    Made {
        of: Fingerprint,
        at: Timestamp,
        by: Asker,
        marks: Vec<Fingerprint>,
    },
    /// What was made so far of it does not count any more.
    MadeAnew {
        of: Fingerprint,
    },
    /// A change counts for the UTC day of a host, of a meeting or of the invitations.
    DayUsed {
        of: Fingerprint,
        day: i64,
        /// The number of the job, or, where each intent counts, that of its entry with the highest bit set.
        by: u64,
    },
    /// It was told that the UTC day is used up, by our count or because Zoom says so.
    DayTold {
        of: Fingerprint,
        day: i64,
        is_spent: bool,
    },
    /// Of a rule and a run of a meeting.
    Remembered {
        account: AccountId,
        print: Fingerprint,
        event_at: Option<Timestamp>,
    },
    /// A delivery belongs to the record of a run of a meeting.
    Folded {
        account: AccountId,
        print: Fingerprint,
        delivery: u64,
        job: u64,
    },
    /// A delivery stated what a meeting is.
    Told {
        account: AccountId,
        print: Fingerprint,
        delivery: u64,
        event_at: Option<Timestamp>,
        is_first: bool,
    },
    /// A document as it is now; none where it was removed. The print is that of its shelf and key, so that what does not
    /// open any more is known to be gone.
    Document {
        shelf: Shelf,
        print: Fingerprint,
        account: Option<AccountId>,
        /// Key and value.
        sealed: Option<Blob>,
    },
    /// An account or a person was taken out of all of this. What it was is forgotten with it.
    Forgotten {
        sealed: Option<Blob>,
    },
}
