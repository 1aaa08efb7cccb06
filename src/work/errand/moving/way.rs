//! How a move is done, as it was asked for: pure. What a check says and what the errand does is decided here alone.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::MoveAsked;
use super::check::{Checked, Principal};
use super::look::{Looked, with_offers};
use crate::work::errand::Refusal;

/// In one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// With the same link.
    Direct,
    /// With the same link, by a privilege that is granted for it and taken back.
    Lend,
    /// It is not moved: the new host can start it.
    Alternative,
    /// It is not moved: another meeting, with another link, takes its place.
    Recreate,
    /// It is running, and is looked at again when it has ended.
    WhenEnded,
}

/// What is done. Where it is not moved, with what keeps it from that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// That user hosts it.
    Already,
    Direct(Principal),
    Lend(Principal),
    WhenEnded,
    Alternative(Refusal),
    Recreate(Refusal),
    Refused(Refusal),
}

impl Way {
    pub fn of(looked: &Looked, asked: &MoveAsked, may_lend: bool) -> Self {
        let (refusal, lacks) = match &looked.checked {
            Checked::Already => return Self::Already,
            Checked::Yes { by } => return Self::Direct(by.clone()),
            Checked::No { refusal, lacks } => (refusal, lacks),
        };
        if let Some(by) = lacks.as_ref().filter(|_| asked.lend && may_lend) {
            return Self::Lend(by.clone());
        }
        Self::instead(looked, (refusal, lacks.is_some()), asked, may_lend)
    }

    /// Where Zoom itself refused it, whatever a look says. Nothing can be lent for it.
    pub(super) fn refused_by_zoom(looked: &Looked, asked: &MoveAsked, refusal: &Refusal) -> Self {
        match &looked.checked {
            Checked::Already => Self::Already,
            Checked::Yes { .. } | Checked::No { .. } => Self::instead(looked, (refusal, false), asked, false),
        }
    }

    /// What is done where it cannot be moved.
    fn instead(looked: &Looked, (refusal, is_lendable): (&Refusal, bool), asked: &MoveAsked, may_lend: bool) -> Self {
        if refusal.code == "in-progress" && asked.when_ended {
            return Self::WhenEnded;
        }
        if asked.alternative && looked.can_be_alternative {
            return Self::Alternative(refusal.clone());
        }
        match &looked.anew {
            Some(Ok(())) if asked.recreate => Self::Recreate(refusal.clone()),
            Some(Err(too_large)) if asked.recreate => Self::Refused(too_large.clone()),
            _ => Self::Refused(with_offers(looked, refusal, is_lendable, (asked, may_lend))),
        }
    }

    /// None where nothing is done.
    pub const fn how(&self) -> Option<How> {
        match self {
            Self::Direct(_) => Some(How::Direct),
            Self::Lend(_) => Some(How::Lend),
            Self::WhenEnded => Some(How::WhenEnded),
            Self::Alternative(_) => Some(How::Alternative),
            Self::Recreate(_) => Some(How::Recreate),
            Self::Already | Self::Refused(_) => None,
        }
    }
}
