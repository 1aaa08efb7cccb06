//! A meeting has the settings that a rule names.

use crate::account::UserKey;
use crate::ids::MeetingId;
use crate::job::{Effect, WaitReason};
use crate::rules::MeetingSettings;
use crate::zoom::{Meeting, MeetingStatus, ZoomError};

use super::{End, Ended, Hand, Task};

pub(super) async fn ensure(task: &Task<'_>, id: MeetingId) -> Ended<Effect> {
    let meeting = read(task, id).await?;
    if !task.rule.except.is_empty() && excepted(task, &meeting).await? {
        return Err(End::not_applicable("the host is excepted by the rule"));
    }
    task.condition("meeting", &meeting.whole)?;
    let wanted = task.rule.ensure.settings.unwrap_or_default();
    let differing = wanted.differing_from(meeting.settings);
    if differing == MeetingSettings::default() {
        return Ok(Effect::AlreadyRight);
    }
    let what = format!("set {differing}");
    let guard = match task.hand {
        Hand::Observe => return Ok(Effect::WouldChange { what }),
        Hand::Enforce(guard) => guard,
    };
    if meeting.status == MeetingStatus::Started {
        return Err(End::waits(WaitReason::MeetingInProgress));
    }
    let intent = task.intend(guard, what.clone()).await?;
    task.zoom.set_meeting(&intent, id, differing).await.map_err(|error| task.failed(error))?;
    let left = wanted.differing_from(read(task, id).await?.settings);
    if left == MeetingSettings::default() {
        Ok(Effect::Changed { what })
    } else {
        Err(task.not_effective(format!("still to be set: {left}")))
    }
}

/// The meeting; one that Zoom does not know, also after some tries, is over or was deleted, and nobody needs to look.
async fn read(task: &Task<'_>, id: MeetingId) -> Ended<Meeting> {
    task.zoom.meeting(id).await.map_err(|error| match error {
        ZoomError::NotFound(_) if task.job.attempts > super::UNKNOWN_ATTEMPTS => {
            End::not_applicable("Zoom does not know the meeting: it is over or was deleted")
        }
        error => task.failed(error),
    })
}

async fn excepted(task: &Task<'_>, meeting: &Meeting) -> Ended<bool> {
    if meeting.host_email.is_some() {
        return Ok(task.is_excepted(meeting.host_email.as_ref()));
    }
    let Some(host) = &meeting.host_id else { return Err(End::retry("Zoom does not say who hosts the meeting")) };
    let host = task.user(&UserKey::Id(host.clone())).await?;
    if host.email.is_none() {
        return Err(End::retry("Zoom does not say the host's email, and the rule excepts some hosts"));
    }
    Ok(task.is_excepted(host.email.as_ref()))
}
