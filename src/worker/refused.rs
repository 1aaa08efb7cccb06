//! Lists that Zoom refuses: the rules that need one are left out of the sweep, somebody is told, and the others go on.
//!
//! The notice stands, also over a restart, until a sweep of its kind over the rule ends without it, or the rule is gone.

use super::Roster;
use super::due::is_of;
use super::sweeper::{Fault, Sweeper};
use crate::account::Account;
use crate::audit::{Detail, Kind};
use crate::rules::{Rule, Step};
use crate::store::{Note, Notice, StoreError, SweepKind};
use crate::zoom::ZoomError;

pub(super) const REFUSED: &str = "list-refused";

impl Fault {
    /// Of a list: it concerns only the rules that need it, unless it heals by itself or the app may do nothing at all.
    pub(super) fn of_list(list: impl Into<String>, fault: impl Into<Self>) -> Self {
        use ZoomError::{Credentials, Limited, Transient, Unreadable};
        match fault.into() {
            Self::Zoom(error @ (Limited { .. } | Transient(_) | Unreadable(_) | Credentials(_))) => Self::Zoom(error),
            Self::Zoom(error) | Self::Endless(error) => Self::List(list.into(), error),
            other => other,
        }
    }
}

impl Sweeper {
    /// Goes on without these rules where the fault is about a list that they need.
    pub(super) async fn leave_out(
        &self,
        account: &Account,
        kind: SweepKind,
        rules: &[&Rule],
        fault: Fault,
    ) -> Result<(), Fault> {
        let Fault::List(list, error) = fault else { return Err(fault) };
        for rule in rules {
            let subject = format!("{}{}", about(kind, rule), list.replace(' ', "-"));
            self.with(&account.id, |known| known.left_out.push((rule.name.clone(), subject.clone())));
            let kind = kind.code();
            let note =
                format!("{list} cannot be read: {error}; sweeps of {kind} leave rule {} out until they can", rule.name);
            let note = Note {
                kind: Kind::Attention,
                app: Some(account.app.clone()),
                account: Some(account.id.clone()),
                code: REFUSED.to_owned(),
                detail: Detail { subject: Some(subject), note, ..Detail::default() },
            };
            self.parts.store.note(note, self.parts.clock.now()).await?;
        }
        Ok(())
    }

    /// What a rule asks for; nothing, where it is left out from now on.
    pub(super) async fn or_leave_out(
        &self,
        account: &Account,
        (kind, rule): (SweepKind, &Rule),
        asked: Result<Option<Step>, Fault>,
    ) -> Result<Option<Step>, Fault> {
        match asked {
            Err(fault) => self.leave_out(account, kind, &[rule], fault).await.map(|()| None),
            step => step,
        }
    }

    pub(super) fn is_left_out(&self, account: &Account, rule: &Rule) -> bool {
        self.with(&account.id, |known| known.left_out.iter().any(|(name, _)| *name == rule.name))
    }

    /// The sweep came to its end: what it read well, nobody needs to be told of any more.
    pub(super) async fn end_refused(
        &self,
        account: &Account,
        kind: SweepKind,
        rules: &[&Rule],
    ) -> Result<(), StoreError> {
        let left_out = self.with(&account.id, |known| known.left_out.clone());
        for notice in self.parts.store.notices().await? {
            let is_again = left_out.iter().any(|(_, subject)| notice.subject.as_ref() == Some(subject));
            let is_of_sweep = notice.account == account.id && rules.iter().any(|rule| is_about(&notice, kind, rule));
            if is_of_sweep && !is_again {
                self.parts.store.mend(&notice, self.parts.clock.now()).await?;
            }
        }
        Ok(())
    }
}

/// Whether no sweep would look at the rule any more.
pub(super) fn is_moot(notice: &Notice, roster: &Roster) -> bool {
    let is_swept =
        |rule: &Rule| SweepKind::ALL.into_iter().any(|kind| is_of(kind, rule) && is_about(notice, kind, rule));
    !roster.rules().iter().any(is_swept)
}

fn is_about(notice: &Notice, kind: SweepKind, rule: &Rule) -> bool {
    notice.code == REFUSED && notice.subject.as_ref().is_some_and(|subject| subject.starts_with(&about(kind, rule)))
}

/// What the subject of the notice begins with. No space: what follows the last one tells alarms apart.
fn about(kind: SweepKind, rule: &Rule) -> String {
    format!("list:{}:{}:", kind.code(), rule.name)
}
