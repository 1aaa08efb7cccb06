//! What a rule says of a subject as Zoom is now: reads until there is a verdict, within the rate limits, and writes nothing.

use std::time::Duration;

use super::Parts;
use crate::account::{Account, UserKey};
use crate::clock::Timestamp;
use crate::ids::MeetingId;
use crate::job::Subject;
use crate::rules::Rule;
use crate::store::{SweepRecord, SweepStep};
use crate::work::{Around, Need, Picture, PlannedRule, Verdict, judge};
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
            match self.read(&need, subject, around, picture).await {
                Err(ZoomError::Limited { until, .. }) => self.wait(until).await,
                // That it is gone is what such a rule is about.
                Err(ZoomError::NotFound(_)) if need == Need::Meeting && rule.recovers() => {
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
        subject: &Subject,
        around: &mut Around<'_>,
        picture: &mut Picture,
    ) -> Result<(), ZoomError> {
        let (facts, id, now) = (&self.parts.facts, &self.account.id, self.parts.clock.now());
        match need {
            Need::Groups => around.groups = Some(facts.groups(id, self.zoom, now).await?),
            Need::ApiUser(key) => around.learn(facts.api_user(id, key, self.zoom, now).await?),
            Need::User => {
                (picture.user, picture.is_listed_row) = (Some(self.zoom.user(&key_of(subject)?).await?), false);
            }
            Need::Assistants => picture.assistants = Some(self.zoom.assistants(&key_of(subject)?).await?),
            Need::Settings => picture.settings = Some(self.zoom.user_settings(&key_of(subject)?).await?),
            Need::Meeting => {
                picture.meeting = Some(self.zoom.meeting(meeting(subject).ok_or_else(unnamed)?).await?);
            }
            Need::Host => {
                let host = picture.meeting.as_ref().and_then(|meeting| meeting.host_id.clone()).ok_or_else(unnamed)?;
                picture.host = Some(self.zoom.user(&UserKey::Id(host)).await?);
            }
        }
        Ok(())
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
        Subject::User { .. } | Subject::Event { .. } => None,
    }
}

fn key_of(subject: &Subject) -> Result<UserKey, ZoomError> {
    user_key(subject).ok_or_else(unnamed)
}

fn unnamed() -> ZoomError {
    ZoomError::NotFound("nothing says who or what is meant".to_owned())
}
