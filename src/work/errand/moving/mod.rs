//! A meeting is given another host, in place: number, link, passcode and recurrence stay.
//!
//! Guarantees: it is said before the call whether Zoom will take it, and why not; what was lent for it is taken back, whatever
//! ends it; the host is read back before it counts as moved, and what changed beside the host is told.

mod check;
mod kept;
mod lend;
mod look;
mod other;
mod pool;
mod way;

use check::Principal;
pub use kept::{Lent, MoveAsked, Moving, Verdict};
pub use lend::{granted_for_good, idle_words, is_for_good, is_shared, lending, no_word, not_for_good};
pub use look::{Within, look};
pub use other::api_assistants;
pub use pool::{InPool, Pool};
pub use way::{How, Way};

use super::schedule::told_no;
use super::{Attempt, Errandry, Refusal, fullest, known_of_meeting, named};
use crate::account::UserKey;
use crate::ids::{MeetingId, UserId};
use crate::job::{Intent, Outcome, ParkCause, WaitReason};
use crate::store::{Allowance, Document, Shelf, Store, StoreError, Write};
use crate::work::{End, Ended, INEFFECTIVE_ATTEMPTS, lost};
use crate::zoom::{Edit, Meeting, User, ZoomError};

/// The code of Zoom's refusal that another's privilege may mend.
const CANNOT: &str = "cannot-schedule-for";

pub(super) async fn run(attempt: &mut Attempt<'_>, moving: Moving) -> Ended<Outcome> {
    let mut one = One { attempt, moving };
    if one.moving.verdict.is_none() {
        let went = match one.attempt.called_off.clone() {
            None => one.go().await,
            Some(why) => one.called_off(why).await,
        };
        let verdict = match went {
            Ok(verdict) => verdict,
            Err(end) => match one.put_off(end).await? {
                Some(end) => return Err(end),
                None => one.too_long().await?,
            },
        };
        one.decide(verdict).await?;
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
                // Again where the process ended in between: what is asked for twice is one job.
                let Attempt { ctx, account, .. } = &*self.attempt;
                lost::look_again(ctx, account, self.moving.from.as_ref()).await?;
                notes.extend(lent.clone());
                let what = [Some(what), lent].into_iter().flatten().collect::<Vec<_>>().join("; ");
                self.attempt.done(meeting, notes, what).await
            }
            Some(Verdict::Refused(refusal)) => {
                let why = [Some(refusal.why), lent].into_iter().flatten().collect::<Vec<_>>().join("; ");
                self.attempt.refuse(Refusal { why, ..refusal }).await
            }
            Some(Verdict::Cancelled(why)) => self.attempt.cancel(why).await,
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
            let within = Within { account, zoom, kin: &self.attempt.ctx.kin };
            let looked = look(within, asked, remembered.as_ref(), &self.moving.refused).await;
            let looked = looked.map_err(|error| self.attempt.failed(error))?;
            let to = looked.to.as_ref();
            let last_word = self.last_word(looked.meeting.as_ref(), remembered.as_ref());
            let way = match last_word {
                Some(refusal) => Way::refused_by_zoom(&looked, asked, refusal),
                None => Way::of(&looked, asked, self.attempt.ctx.moves.lend),
            };
            let said = self.moving.said.as_ref().filter(|_| last_word.is_none()).map(|said| said.why.clone());
            let verdict = match (way, &looked.meeting) {
                (Way::Already, Some(meeting)) => Some(self.moved(meeting).await?),
                (Way::Direct(by), Some(meeting)) => {
                    // What is there may be lent to another move alone, which takes it back: then it is shared.
                    let may_lend = asked.lend && self.attempt.ctx.moves.lend && looked.anew.is_some();
                    let is_own = to.is_some_and(|to| to.id.as_ref() == Some(&by.id));
                    self.patch((meeting, to, &by), may_lend && !is_own).await?
                }
                (Way::Lend(by), Some(meeting)) => self.patch((meeting, to, &by), true).await?,
                (Way::WhenEnded, _) => return Err(End::waits(WaitReason::MeetingInProgress)),
                (Way::Alternative(refusal), Some(meeting)) => {
                    Some(other::alternative(self.attempt, &self.moving, (meeting, to), &refusal).await?)
                }
                (Way::Recreate(_), _) => Some(other::recreate(self.attempt, &mut self.moving).await?),
                (Way::Refused(mut refusal), _) => {
                    // What the next one lacks is not all that is wrong.
                    refusal.why = [said, Some(refusal.why)].into_iter().flatten().collect::<Vec<_>>().join("; ");
                    Some(Verdict::Refused(refusal))
                }
                (_, None) => return Err(End::retry("Zoom's answers do not fit each other")),
            };
            if let Some(verdict) = verdict {
                return Ok(verdict);
            }
        }
    }

    /// What Zoom said against it, where nobody is left whose privilege could be tried.
    fn last_word(&self, meeting: Option<&Meeting>, remembered: Option<&UserId>) -> Option<&Refusal> {
        let (said, meeting) = (self.moving.said.as_ref()?, meeting?);
        let is_over = said.code != CANNOT || check::principals(meeting, remembered, &self.moving.refused).is_empty();
        is_over.then_some(said)
    }

    /// Zoom refused it. What that leads to is found by looking again, as after a crash.
    async fn denied(&mut self, refusal: Refusal, to: &User) -> Ended<Option<Verdict>> {
        let why = named(&refusal.why, to.id.as_ref().map(|id| (id, self.moving.asked.to.to_string())));
        self.moving.said = Some(Refusal { why, ..refusal });
        self.moving.tried = None;
        self.keep().await?;
        crate::breakpoint::reached("move-denied");
        // It is no use any more.
        lend::take_back(self.attempt, &mut self.moving).await?;
        Ok(None)
    }

    /// Its job was cancelled: it is told as done where Zoom has done it by then.
    async fn called_off(&mut self, why: String) -> Ended<Verdict> {
        lend::take_back(self.attempt, &mut self.moving).await?;
        if self.moving.anew != super::Making::Asked {
            return other::called_off(self.attempt, &mut self.moving, why).await;
        }
        Ok(match self.has_moved().await? {
            Some(Verdict::Done { meeting, mut notes, what }) => {
                notes.push(super::done_before(&why));
                Verdict::Done { meeting, notes, what }
            }
            _ => Verdict::Cancelled(why),
        })
    }

    /// Done, where it may have been moved and the new host has it.
    async fn has_moved(&mut self) -> Ended<Option<Verdict>> {
        let MoveAsked { meeting, to, .. } = self.moving.asked.clone();
        if self.moving.tried.is_none() {
            return Ok(None);
        }
        let read = match self.attempt.zoom.meeting(meeting).await {
            Ok(read) => read,
            Err(ZoomError::NotFound(_)) => return Ok(None),
            Err(error) => return Err(self.attempt.failed(error)),
        };
        let mut is_hosted = to.is(read.host_id.as_ref(), read.host_email.as_ref());
        if !is_hosted {
            let user = match self.attempt.zoom.user(&to).await {
                Ok(user) => user,
                Err(ZoomError::NotFound(_)) => return Ok(None),
                Err(error) => return Err(self.attempt.failed(error)),
            };
            is_hosted = user.id.is_some() && user.id == read.host_id;
        }
        if is_hosted { self.moved(&read).await.map(Some) } else { Ok(None) }
    }

    /// It failed for as long as a privilege may be lent. That it was not moved is said only where that was read.
    async fn too_long(&mut self) -> Ended<Verdict> {
        let known = match self.has_moved().await {
            Ok(Some(verdict)) => return Ok(verdict),
            Ok(None) => true,
            Err(End::Store(error)) => return Err(error.into()),
            Err(_) => false,
        };
        let unknown = "Zoom cannot be asked, so that it is not known whether it was moved";
        let id = self.moving.asked.meeting;
        if let Some(why) = &self.attempt.called_off {
            return Ok(Verdict::Cancelled(if known { why.clone() } else { format!("{why}; {unknown}") }));
        }
        let mut why = "it could not be moved for as long as a privilege may be lent".to_owned();
        let mut advice = "see what Zoom answers in the audit log, then ask again".to_owned();
        if !known {
            why = format!("{why}; {unknown}");
            advice = format!("see who hosts it with `adjutant meetings show {id}`; {advice}");
        }
        Ok(Verdict::Refused(Refusal { code: "lent-too-long".to_owned(), why, advice: Some(advice) }))
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
        if self.moving.tried.is_none() {
            self.moving.from.clone_from(&meeting.host_id);
        }
        let days = self.attempt.ctx.host_writes.of_change(meeting.host_id.as_ref(), Some(&by.id), meeting.id);
        // What cannot be moved today is lent on the day on which it can be.
        let is_full = is_lent && self.attempt.is_full(&days).await?;
        if is_lent
            && !is_full
            && let Some(refusal) = lend::lend(self.attempt, &mut self.moving, (to, by)).await?
        {
            return self.denied(refusal, to).await;
        }
        let what = format!("move meeting {} to {}", meeting.id, self.moving.asked.to);
        let intent = match self.attempt.intend(what, days).await? {
            Ok(_) if is_full => return Err(End::retry("there is room again, and nothing is lent yet")),
            Ok(intent) => intent,
            Err(Allowance::NextDay { at, notice, .. }) => {
                let host = meeting.host_id.as_ref().zip(meeting.host_email.as_ref().map(ToString::to_string));
                let notice = named(&notice, host.into_iter().chain([(&by.id, by.name.clone())]));
                return other::full(&self.moving, at, notice).map(Some);
            }
            Err(_) => return Err(End::retry("the store allows it at no time")),
        };
        self.moving.tried = Some(by.id.clone());
        self.keep().await?;
        crate::breakpoint::reached("move-tried");
        self.sent((meeting, to, by), &intent).await
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
                let advice = Some("`adjutant assistants verify` says what either user lacks".to_owned());
                let refusal = Refusal { code: CANNOT.to_owned(), why: format!("Zoom says: {said}"), advice };
                return self.denied(refusal, to).await;
            }
            Err(ZoomError::HostDay { why, .. }) => {
                let days = self.attempt.ctx.host_writes.of_change(meeting.host_id.as_ref(), Some(&by.id), meeting.id);
                let account = &self.attempt.account.id;
                if let Some(of) = fullest(&*self.attempt.ctx.store, account, days, began).await? {
                    self.attempt.guard.day_spent(&of, began).await?;
                }
                return other::full(&self.moving, began.next_utc_midnight(), why).map(Some);
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
                return self.denied(refusal, to).await;
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
            return Ok(Verdict::already(&self.moving.asked));
        };
        let differs = self.moving.before.as_ref().map(|before| kept::differs(before, meeting)).unwrap_or_default();
        let (notes, stays) = if differs.is_empty() {
            (Vec::new(), "link, passcode, settings and recurrence as before".to_owned())
        } else {
            let names = differs.join(", ");
            (vec![format!("otherwise than before: {names}")], format!("otherwise than before: {names}"))
        };
        remember(self.attempt, &self.moving, (meeting, &tried)).await?;
        let what = format!("move meeting {} to {to}; {stays}", meeting.id);
        Ok(Verdict::Done { meeting: meeting.id, notes, what })
    }
}

fn principal_key(meeting: MeetingId) -> String {
    format!("principal {meeting}")
}

async fn remembered(attempt: &Attempt<'_>, moving: &Moving) -> Ended<Option<UserId>> {
    Ok(remembered_principal(&*attempt.ctx.store, moving.asked.meeting).await?)
}

/// Whose privilege counted when it was moved before, where the meeting does not say it.
pub async fn remembered_principal(store: &dyn Store, meeting: MeetingId) -> Result<Option<UserId>, StoreError> {
    let known = known_of_meeting(store, &principal_key(meeting)).await?;
    let text = known.and_then(|value| String::from_utf8(value).ok());
    Ok(text.and_then(|text| UserId::parse(&text).ok()))
}

/// Only where Zoom took another's than the favoured one, or names that user no more.
async fn remember(attempt: &Attempt<'_>, moving: &Moving, (meeting, by): (&Meeting, &UserId)) -> Ended<()> {
    let is_named = [&meeting.assistant_id, &meeting.host_id].into_iter().flatten().any(|named| named == by);
    if moving.refused.is_empty() && is_named {
        return Ok(());
    }
    let account = Some(attempt.kept.account.clone());
    let value = by.as_str().as_bytes().to_vec();
    let document = Document { shelf: Shelf::ErrandEnded, key: principal_key(moving.asked.meeting), account, value };
    Ok(attempt.ctx.store.write_documents(vec![Write::Put(document)], Vec::new(), attempt.now()).await?)
}
