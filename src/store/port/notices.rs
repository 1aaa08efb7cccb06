//! What is told to people: notes, and notices that stand.

use serde::{Deserialize, Serialize};

use crate::audit::{Detail, Kind};
use crate::clock::Timestamp;
use crate::ids::{AccountId, AppName};

/// An audit entry about something that is no job.
#[derive(Debug, Clone)]
pub struct Note {
    pub kind: Kind,
    pub app: Option<AppName>,
    pub account: Option<AccountId>,
    pub code: String,
    pub detail: Detail,
}

/// Something that a person should know and mend, and that stands until it is mended, also over a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    pub account: AccountId,
    pub code: String,
    /// As [`Detail::subject`].
    pub subject: Option<String>,
    pub what: String,
    pub since: Timestamp,
}

impl Notice {
    /// What a note leaves standing.
    pub(in crate::store) fn of(note: &Note, at: Timestamp) -> Option<Self> {
        let account = note.account.clone().filter(|_| note.kind == Kind::Attention)?;
        let Detail { subject, note: what, .. } = note.detail.clone();
        Some(Self { account, code: note.code.clone(), subject, what, since: at })
    }

    /// Whom it is about, without the kind: the last word of the subject.
    pub fn about(&self) -> &str {
        let last = self.subject.as_deref().and_then(|subject| subject.rsplit(' ').next()).unwrap_or_default();
        last.strip_prefix("user:").unwrap_or(last)
    }

    /// Whether it can stand beside these of its account, in place of the one with its key: they are kept as one, which has a
    /// limit. What makes it no more always can.
    pub(in crate::store) fn has_room<'n>(&self, standing: impl Iterator<Item = &'n Self>, bytes_max: usize) -> bool {
        let (mut others, mut before) = (0_usize, 0);
        for notice in standing {
            if notice.key() == self.key() {
                before = notice.bytes();
            } else {
                others = others.saturating_add(notice.bytes());
            }
        }
        self.bytes() <= before || others.saturating_add(self.bytes()) <= bytes_max
    }

    /// What it takes, about.
    fn bytes(&self) -> usize {
        const REST: usize = 32;
        let subject = self.subject.as_deref().unwrap_or_default();
        [self.account.as_str(), &self.code, subject, &self.what].iter().map(|text| text.len()).sum::<usize>() + REST
    }

    /// What tells notices apart.
    pub(in crate::store) fn key(&self) -> (&AccountId, &str, Option<&str>) {
        (&self.account, &self.code, self.subject.as_deref())
    }
}
