//! A meeting is given another host, in place: number, link, passcode and recurrence stay.
//!
//! Guarantees: it is said before the call whether Zoom will take it, and why not; what was lent for it is taken back, whatever
//! ends it; the host is read back before it counts as moved, and what changed beside the host is told.

mod check;
mod kept;
mod lend;
mod look;
mod other;

pub use check::Checked;
use check::Principal;
pub use kept::{MoveAsked, Moving, Verdict};
pub use look::{Looked, look, with_offers};

use super::schedule::told_no;
use super::{Attempt, Errandry, Refusal, fullest};
use crate::account::UserKey;
use crate::ids::UserId;
use crate::job::{Intent, Outcome, ParkCause, Snooze, WaitReason};
use crate::store::{Allowance, Document, Shelf, Write};
use crate::work::{End, Ended, INEFFECTIVE_ATTEMPTS};
use crate::zoom::{Edit, Meeting, User, ZoomError};

pub(super) async fn run(attempt: &mut Attempt<'_>, moving: Moving) -> Ended<Outcome> {
    let mut one = One { attempt, moving };
    if one.moving.verdict.is_none() {
        match one.go().await {
            Ok(verdict) => one.decide(verdict).await?,
            Err(end) => match one.put_off(end).await? {
                Some(end) => return Err(end),
                None => one.decide(too_long()).await?,
            },
        }
    }
    one.finish().await
}

/// One attempt at a move.
struct One<'a, 'b> {
    attempt: &'a mut Attempt<'b>,
    moving: Moving,
}

impl One<'_, '_> {
    async fn keep(&mut self) -> Ended<()> {
        self.attempt.keep(Errandry::Move(self.moving.clone())).await
    }

    /// On disk, so that what is left to do is only to take back what was lent.
    async fn decide(&mut self, verdict: Verdict) -> Ended<()> {
        self.moving.verdict = Some(verdict);
        self.keep().await?;
        crate::breakpoint::reached("move-decided");
        Ok(())
    }

    /// Nothing stays lent while it waits. A failure is tried again within seconds, and may be the taking back itself; but not for
    /// longer than may be lent: none then.
    async fn put_off(&mut self, end: End) -> Ended<Option<End>> {
        let is_over = self
            .moving
            .open()
            .is_some_and(|lent| self.attempt.now().since(lent.since) >= self.attempt.ctx.moves.lend_max);
        if is_over {
            return Ok(None);
        }
        let is_retry = matches!(&end, End::Outcome(Outcome::Retry { .. }) | End::Store(_));
        if self.moving.open().is_some() && !is_retry {
            lend::take_back(self.attempt, &mut self.moving).await?;
        }
        Ok(Some(end))
    }

    async fn finish(&mut self) -> Ended<Outcome> {
        lend::take_back(self.attempt, &mut self.moving).await?;
        let lent = lend::in_words(&self.moving);
        match self.moving.verdict.clone() {
            Some(Verdict::Done { meeting, mut notes, what }) => {
                notes.extend(lent.clone());
                let what = [Some(what), lent].into_iter().flatten().collect::<Vec<_>>().join("; ");
                self.attempt.done(meeting, notes, what).await
            }
            Some(Verdict::Refused(refusal)) => {
                let why = [Some(refusal.why), lent].into_iter().flatten().collect::<Vec<_>>().join("; ");
                self.attempt.refuse(Refusal { why, ..refusal }).await
            }
            Some(Verdict::Cancelled(why)) => {
                self.attempt.end(super::kept::Result::Cancelled(why.clone())).await?;
                Ok(Outcome::Done(crate::job::Effect::NotApplicable { why }))
            }
            None => Err(End::retry("nothing was decided")),
        }
    }

    async fn go(&mut self) -> Ended<Verdict> {
        if self.moving.anew != super::Making::Asked {
            return other::recreate(self.attempt, &mut self.moving).await;
        }
        loop {
            let remembered = remembered(self.attempt, &self.moving).await?;
            let asked = &self.moving.asked;
            let (account, zoom) = (self.attempt.account, self.attempt.zoom);
            let looked = look(account, zoom, asked, remembered.as_ref(), &self.moving.refused).await;
            let looked = looked.map_err(|error| self.attempt.failed(error))?;
            match (&looked.checked, &looked.meeting) {
                (Checked::Already, Some(meeting)) => return self.moved(meeting).await,
                (Checked::Yes { by }, Some(meeting)) => {
                    if let Some(verdict) = self.patch((meeting, looked.to.as_ref(), by), false).await? {
                        return Ok(verdict);
                    }
                }
                (Checked::No { lacks: Some(by), .. }, Some(meeting)) if self.may_lend() => {
                    if let Some(verdict) = self.patch((meeting, looked.to.as_ref(), by), true).await? {
                        return Ok(verdict);
                    }
                }
                _ => return self.refused(&looked).await,
            }
        }
    }

    fn may_lend(&self) -> bool {
        self.moving.asked.lend && self.attempt.ctx.moves.lend
    }

    async fn refused(&mut self, looked: &Looked) -> Ended<Verdict> {
        let Some(refusal) = with_offers(looked, &self.moving.asked, self.attempt.ctx.moves.lend) else {
            return Err(End::retry("Zoom's answers do not fit each other"));
        };
        if refusal.code == "in-progress" && self.moving.asked.when_ended {
            return Err(End::waits(WaitReason::MeetingInProgress));
        }
        if let Some(meeting) = &looked.meeting {
            if self.moving.asked.alternative && looked.can_be_alternative {
                return other::alternative(self.attempt, &self.moving, (meeting, looked.to.as_ref()), &refusal).await;
            }
            if self.moving.asked.recreate && looked.to.is_some() && refusal.code != "in-progress" {
                return other::recreate(self.attempt, &mut self.moving).await;
            }
        }
        Ok(Verdict::Refused(refusal))
    }

    /// Moves it; none where another user's privilege has to be tried.
    async fn patch(
        &mut self,
        (meeting, to, by): (&Meeting, Option<&User>, &Principal),
        is_lent: bool,
    ) -> Ended<Option<Verdict>> {
        let Some(to) = to else { return Err(End::retry("Zoom does not say who the new host is")) };
        // What may be moved already is not read anew.
        self.moving.before.get_or_insert_with(|| kept::before(meeting));
        if is_lent && let Some(refusal) = lend::lend(self.attempt, &mut self.moving, (to, by)).await? {
            return Ok(Some(Verdict::Refused(refusal)));
        }
        let days = self.attempt.ctx.host_writes.of_change(meeting.host_id.as_ref(), Some(&by.id), meeting.id);
        let what = format!("move meeting {} to {}", meeting.id, self.moving.asked.to);
        let intent = match self.attempt.intend(what, days).await? {
            Ok(intent) => intent,
            Err(Allowance::NextDay { at, notice, .. }) => return self.full(at, notice).map(Some),
            Err(_) => return Err(End::retry("the store allows it at no time")),
        };
        self.moving.tried = Some(by.id.clone());
        self.keep().await?;
        crate::breakpoint::reached("move-tried");
        self.sent((meeting, to, by), &intent).await
    }

    fn full(&self, at: crate::clock::Timestamp, notice: String) -> Ended<Verdict> {
        if self.moving.asked.no_wait {
            let advice = Some(format!("ask again after {at}, or without --no-wait"));
            return Ok(Verdict::Refused(Refusal { code: "budget-used-up".to_owned(), why: notice, advice }));
        }
        Err(End::Outcome(Outcome::Snooze(Snooze::NextBudget { at, why: notice })))
    }

    async fn sent(
        &mut self,
        (meeting, to, by): (&Meeting, &User, &Principal),
        intent: &Intent,
    ) -> Ended<Option<Verdict>> {
        let began = self.attempt.now();
        // Zoom is sent the email, as its own example does, which ids were not seen to be refused for.
        let key = to.email.clone().map_or_else(|| self.moving.asked.to.clone(), UserKey::Email);
        let sent = self.attempt.zoom.change(intent, Edit::MoveMeeting { id: meeting.id, to: key }).await;
        match sent {
            Ok(_) => {}
            Err(ZoomError::CannotScheduleFor(said)) => {
                self.moving.refused.push(by.id.clone());
                self.moving.tried = None;
                self.keep().await?;
                let left = check::principals(meeting, None, &self.moving.refused);
                if left.is_empty() {
                    let why = format!("Zoom says: {said}");
                    let advice = "`adjutant assistants verify` says what either user lacks".to_owned();
                    return Ok(Some(Verdict::Refused(Refusal {
                        code: "cannot-schedule-for".to_owned(),
                        why,
                        advice: Some(advice),
                    })));
                }
                // What was lent to this one is no use.
                lend::take_back(self.attempt, &mut self.moving).await?;
                return Ok(None);
            }
            Err(ZoomError::HostDay { why, .. }) => {
                let days = self.attempt.ctx.host_writes.of_change(meeting.host_id.as_ref(), Some(&by.id), meeting.id);
                let account = &self.attempt.account.id;
                if let Some(of) = fullest(&*self.attempt.ctx.store, account, days, began).await? {
                    self.attempt.guard.day_spent(&of, began).await?;
                }
                return self.full(began.next_utc_midnight(), why).map(Some);
            }
            Err(ZoomError::InProgress) => {
                let why = format!("meeting {} is running, and cannot be given another host meanwhile", meeting.id);
                if self.moving.asked.when_ended {
                    return Err(End::waits(WaitReason::MeetingInProgress));
                }
                let advice = Some("ask with --when-ended: it is moved when it has ended".to_owned());
                return Ok(Some(Verdict::Refused(Refusal { code: "in-progress".to_owned(), why, advice })));
            }
            Err(error) => {
                let refusal = told_no(error).map_err(|error| self.attempt.failed(error))?;
                return Ok(Some(Verdict::Refused(refusal)));
            }
        }
        let read = self.attempt.zoom.meeting(meeting.id).await.map_err(|error| self.attempt.failed(error))?;
        if to.id.is_some() && read.host_id != to.id {
            let detail = format!("move meeting {} to {}", meeting.id, self.moving.asked.to);
            return Err(if self.attempt.job.attempts < INEFFECTIVE_ATTEMPTS {
                End::retry(format!("Zoom confirmed it, but it cannot be read back: {detail}"))
            } else {
                End::park(ParkCause::NotEffective { detail })
            });
        }
        self.moved(&read).await.map(Some)
    }

    /// That user hosts it.
    async fn moved(&mut self, meeting: &Meeting) -> Ended<Verdict> {
        let to = &self.moving.asked.to;
        let Some(tried) = self.moving.tried.clone() else {
            let notes = vec![format!("{to} hosts it already")];
            let what = format!("meeting {} is {to}'s already", meeting.id);
            return Ok(Verdict::Done { meeting: meeting.id, notes, what });
        };
        let differs = self.moving.before.as_ref().map(|before| kept::differs(before, meeting)).unwrap_or_default();
        let (notes, stays) = if differs.is_empty() {
            (Vec::new(), "link, passcode, settings and recurrence as before".to_owned())
        } else {
            let names = differs.join(", ");
            (vec![format!("otherwise than before: {names}")], format!("otherwise than before: {names}"))
        };
        remember(self.attempt, &self.moving, &tried).await?;
        let what = format!("move meeting {} to {to}; {stays}", meeting.id);
        Ok(Verdict::Done { meeting: meeting.id, notes, what })
    }
}

fn too_long() -> Verdict {
    Verdict::Refused(Refusal {
        code: "lent-too-long".to_owned(),
        why: "it could not be moved for as long as a privilege may be lent".to_owned(),
        advice: Some("see what Zoom answers in the audit log, then ask again".to_owned()),
    })
}

fn principal_key(moving: &Moving) -> String {
    format!("principal {}", moving.asked.meeting)
}

/// Whose privilege counted when it was moved before, where that was not the favoured one.
async fn remembered(attempt: &Attempt<'_>, moving: &Moving) -> Ended<Option<UserId>> {
    let known = attempt.ctx.store.document(Shelf::Errand, &principal_key(moving)).await?;
    let text = known.and_then(|known| String::from_utf8(known.value).ok());
    Ok(text.and_then(|text| UserId::parse(&text).ok()))
}

/// Only where Zoom took another's than the favoured one: the meeting itself does not say it.
async fn remember(attempt: &Attempt<'_>, moving: &Moving, by: &UserId) -> Ended<()> {
    if moving.refused.is_empty() {
        return Ok(());
    }
    let account = Some(attempt.kept.account.clone());
    let value = by.as_str().as_bytes().to_vec();
    let document = Document { shelf: Shelf::Errand, key: principal_key(moving), account, value };
    Ok(attempt.ctx.store.write_documents(vec![Write::Put(document)], Vec::new(), attempt.now()).await?)
}
