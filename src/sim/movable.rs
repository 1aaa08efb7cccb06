//! Who can host a meeting, and whether it can be given to them: whose privilege counts, and what Zoom says where it is missing.

use serde_json::Value;

use super::answer::Refusal;
use super::meeting::{INSTANT, Meeting};
use super::user::User;
use super::world::Act;

impl Act<'_> {
    /// A user of the account, or of those with which it shares privileges \[KB 201362803].
    pub(crate) fn known(&self, key: &str) -> Option<&User> {
        let is_it = |user: &&User| user.id == key || user.email.eq_ignore_ascii_case(key);
        self.account.users.find(key).or_else(|| self.kin.iter().find(is_it))
    }

    fn target(&self, target: &Value) -> Result<&User, Refusal> {
        target.as_str().and_then(|key| self.known(key)).ok_or(Refusal::BadScheduleFor)
    }

    /// Who hosts a meeting that is given to this one; whoever hosts it already needs nothing.
    pub(crate) fn new_host(&self, meeting: &Meeting, target: &Value, principal: &str) -> Result<String, Refusal> {
        if meeting.kind == INSTANT {
            return Err(Refusal::InstantMeeting);
        }
        if meeting.pre_schedule {
            return Err(Refusal::PreScheduled);
        }
        let host = self.target(target)?.id.clone();
        if host == meeting.host_id {
            return Ok(host);
        }
        let settings = Value::Object(meeting.settings.clone());
        self.may_host_for(target, principal, Some(&settings)).map_err(|refusal| match refusal {
            Refusal::CannotScheduleFor(_) if self.account.quirks.lost_privilege_is_3003 => Refusal::NotMeetingHost,
            refusal => refusal,
        })
    }

    /// The new host's id, where the principal may schedule for that host: both licensed and active, and the principal an
    /// assistant of the host \[F 88501, D U]. Nobody needs a privilege for themselves.
    pub(crate) fn may_host_for(
        &self,
        target: &Value,
        principal: &str,
        settings: Option<&Value>,
    ) -> Result<String, Refusal> {
        let host = self.target(target)?;
        if host.id == principal {
            return Ok(host.id.clone());
        }
        if let Some(blocked) = &self.account.quirks.blocked_domain
            && host.email.rsplit_once('@').is_some_and(|(_, domain)| domain == blocked)
        {
            return Err(Refusal::BlockedDomain(host.email.clone()));
        }
        let chats = settings.and_then(|settings| settings.pointer("/continuous_meeting_chat/enable")?.as_bool());
        if chats == Some(true) && self.account.users.find(&host.id).is_none() {
            return Err(Refusal::ChatOutside);
        }
        let fit = |user: &User| user.is_active() && user.is_licensed();
        let allowed = fit(host) && host.has_assistant(principal) && self.known(principal).is_some_and(fit);
        if allowed { Ok(host.id.clone()) } else { Err(Refusal::CannotScheduleFor(host.id.clone())) }
    }
}
