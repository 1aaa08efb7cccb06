//! What a rule says of a subject as Zoom is now: reads until there is a verdict, within the rate limits, and writes nothing.

use std::time::Duration;

use super::Parts;
use crate::account::{Account, UserKey};
use crate::clock::Timestamp;
use crate::ids::{DeliveryId, MeetingId};
use crate::job::Subject;
use crate::rules::Rule;
use crate::store::{SweepRecord, SweepStep};
use crate::work::{Around, Need, Past, Picture, PlannedRule, Told, Verdict, judge};
use crate::zoom::{Zoom, ZoomError};

/// Reads for one user and rule; each is needed once.
const READS_MAX: usize = 64;
/// The shortest wait for a rate limit.
const LIMITED_MIN: Duration = Duration::from_millis(250);

pub(super) struct Look<'a> {
    pub(super) parts: &'a Parts,
    pub(super) account: &'a Account,
    pub(super) zoom: &'a dyn Zoom,
}

impl Look<'_> {
    /// What was asked is on record, whatever it came to.
    pub(super) async fn record(&self) -> Result<(), String> {
        let (app, account) = (self.account.app.clone(), self.account.id.clone());
        let record = SweepRecord { app, account, step: SweepStep::Called, calls: self.zoom.calls() };
        let recorded = self.parts.store.record_sweep(record, self.parts.clock.now()).await;
        recorded.map(drop).map_err(|error| error.to_string())
    }

    /// What each of the rules says of the subject, into the plan of each.
    pub(super) async fn ask(
        &self,
        rules: impl Iterator<Item = (&Rule, &mut PlannedRule)>,
        subject: &Subject,
        around: &mut Around<'_>,
        mut picture: Picture,
    ) -> Result<(), ZoomError> {
        for (rule, planned) in rules {
            let verdict = self.verdict(rule, subject, around, &mut picture).await?;
            planned.add(rule, subject.to_string(), &verdict);
        }
        Ok(())
    }

    /// What the rule says of the subject, or of what happened, where an event asks for it.
    pub(super) async fn told(
        &self,
        rule: &Rule,
        (subject, delivery): (&Subject, DeliveryId),
        around: &mut Around<'_>,
    ) -> Result<Verdict, ZoomError> {
        let (parts, now) = (self.parts, self.parts.clock.now());
        let event = Told::read(&*parts.store, delivery, &self.account.id, &parts.facts, now).await;
        let event = event.map_err(|error| ZoomError::Transient(error.to_string()))?;
        let about = match subject {
            Subject::Event { .. } => event.as_ref().and_then(Told::subject),
            _ => None,
        };
        let about = about.as_ref().unwrap_or(subject);
        let mut picture = Picture { event, ..Picture::of(about) };
        self.verdict(rule, about, around, &mut picture).await
    }

    /// Reads until there is a verdict. A user that Zoom does not know any more is left without one.
    pub(super) async fn verdict(
        &self,
        rule: &Rule,
        subject: &Subject,
        around: &mut Around<'_>,
        picture: &mut Picture,
    ) -> Result<Verdict, ZoomError> {
        let mut reads = 0;
        while reads < READS_MAX {
            let need = match judge(rule, around, picture) {
                Verdict::Needs(need) => need,
                verdict => return Ok(verdict),
            };
            match self.read(&need, (rule, subject), around, picture).await {
                Err(ZoomError::Limited { until, .. }) => self.wait(until).await,
                // That it is gone is what such a rule is about.
                Err(ZoomError::NotFound(_)) if need == Need::Meeting && rule.recovers() && picture.gone.is_none() => {
                    picture.gone = meeting(subject);
                }
                Err(ZoomError::NotFound(_)) => return Ok(Verdict::Needs(need)),
                read => {
                    read?;
                    reads += 1;
                }
            }
        }
        Ok(Verdict::Needs(Need::User))
    }

    async fn read(
        &self,
        need: &Need,
        (rule, subject): (&Rule, &Subject),
        around: &mut Around<'_>,
        picture: &mut Picture,
    ) -> Result<(), ZoomError> {
        let (facts, id, now) = (&self.parts.facts, &self.account.id, self.parts.clock.now());
        match need {
            Need::Groups => around.groups = Some(facts.groups(id, self.zoom, now).await?),
            Need::ApiUser(key) => around.learn(facts.api_user(id, key, self.zoom, now).await?),
            Need::User => {
                let user = match (self.zoom.user(&key_of(subject)?).await, picture.told_instead(rule)) {
                    (Err(ZoomError::NotFound(_)), Some(told)) => {
                        (told.user().ok_or_else(unnamed)?, picture.is_told = true).0
                    }
                    (read, _) => read?,
                };
                (picture.user, picture.is_listed_row) = (Some(user), false);
            }
            Need::Assistants => picture.assistants = Some(self.zoom.assistants(&key_of(subject)?).await?),
            Need::Settings => picture.settings = Some(self.zoom.user_settings(&key_of(subject)?).await?),
            Need::Meeting => {
                let read = match picture.told_instead(rule) {
                    Some(told) if told.is_last() => Err(unnamed()),
                    _ => self.zoom.meeting(meeting_of(subject)?).await,
                };
                let instead = picture.told_instead(rule).or(picture.event.as_ref().filter(|_| rule.recovers()));
                let meeting = match (read, instead) {
                    (Err(ZoomError::NotFound(_)), Some(told)) => {
                        let past = self.past(meeting_of(subject)?).await?;
                        let meeting = past.meeting(Some(told)).ok_or_else(unnamed)?;
                        (picture.past, picture.is_told) = (Some(past), true);
                        picture.gone = Some(meeting.id).filter(|_| rule.recovers());
                        meeting
                    }
                    (read, _) => read?,
                };
                picture.meeting = Some(meeting);
            }
            Need::Past => picture.past = Some(self.past(meeting_of(subject)?).await?),
            Need::Host => {
                let host = picture.meeting.as_ref().and_then(|meeting| meeting.host_id.clone());
                let read = match host {
                    Some(host) => self.zoom.user(&UserKey::Id(host)).await,
                    None => Err(unnamed()),
                };
                match read {
                    Err(ZoomError::NotFound(_)) if picture.told_instead(rule).is_some() => picture.has_no_host = true,
                    read => picture.host = Some(read?),
                }
            }
        }
        Ok(())
    }

    async fn past(&self, meeting: MeetingId) -> Result<Past, ZoomError> {
        let past = Past::read(&*self.parts.store, (&self.account.app, &self.account.id), meeting).await;
        past.map_err(|error| ZoomError::Transient(error.to_string()))
    }

    pub(super) async fn wait(&self, until: Timestamp) {
        let clock = &self.parts.clock;
        clock.sleep_until(until.max(clock.now().plus(LIMITED_MIN))).await;
    }
}

/// How Zoom is asked for a user; none where it is none, or nothing is known of it.
pub(super) fn user_key(subject: &Subject) -> Option<UserKey> {
    match subject {
        Subject::User { id, email } => UserKey::of(id.as_ref(), email.as_ref()),
        _ => None,
    }
}

const fn meeting(subject: &Subject) -> Option<MeetingId> {
    match subject {
        Subject::Meeting { id } | Subject::Instance { meeting: id, .. } => Some(*id),
        Subject::User { .. } | Subject::Event { .. } | Subject::Errand { .. } => None,
    }
}

fn key_of(subject: &Subject) -> Result<UserKey, ZoomError> {
    user_key(subject).ok_or_else(unnamed)
}

fn meeting_of(subject: &Subject) -> Result<MeetingId, ZoomError> {
    match subject {
        Subject::Meeting { id } | Subject::Instance { meeting: id, .. } => Ok(*id),
        _ => Err(unnamed()),
    }
}

fn unnamed() -> ZoomError {
    ZoomError::NotFound("nothing says who or what is meant".to_owned())
}
