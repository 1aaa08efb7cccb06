//! Meetings over REST.

use serde_json::{Map, Value};

use crate::sim::answer::{Answer, Refusal, rfc3339};
use crate::sim::body::Object;
use crate::sim::call::Request;
use crate::sim::meeting::{INSTANT, Meeting, WEBINAR};
use crate::sim::user::User;
use crate::sim::world::Act;

use super::page::Page;

impl Meeting {
    fn row(&self) -> Object {
        Object::new()
            .put("uuid", &self.uuid)
            .put("id", self.id)
            .put("host_id", &self.host_id)
            .put("topic", &self.topic)
            .put("type", self.kind)
            .put_some("start_time", self.start_time.map(rfc3339))
            .put("duration", self.duration)
            .put("timezone", &self.timezone)
            .put("agenda", &self.agenda)
            .put("created_at", rfc3339(self.created_at))
            .put("join_url", self.join_url())
    }

    /// `host_id` apart from the meeting's own: the answer of a create may name another \[C moodle].
    fn details(&self, host_id: &str, host_email: &str) -> Object {
        Object::new()
            .put("uuid", &self.uuid)
            .put("id", self.id)
            .put("host_id", host_id)
            .put("host_email", host_email)
            .put_some("assistant_id", self.assistant_id.as_ref())
            .put("topic", &self.topic)
            .put("type", self.kind)
            .put("status", if self.started { "started" } else { "waiting" })
            .put_some("start_time", self.start_time.map(rfc3339))
            .put("duration", self.duration)
            .put("timezone", &self.timezone)
            .put("agenda", &self.agenda)
            .put("created_at", rfc3339(self.created_at))
            // It belongs to the host, so it changes with them [api.md §6].
            .put("start_url", format!("https://example.com/s/{}?zak={host_id}", self.id))
            .put("join_url", self.join_url())
            .put("password", &self.password)
            .put_some("occurrences", self.occurrences())
            .put_some("recurrence", self.recurrence.as_ref())
            .put("settings", &self.settings)
            .put("creation_source", self.creation_source)
            .put("pre_schedule", self.pre_schedule)
    }
}

impl Act<'_> {
    fn number(text: &str) -> Result<u64, Refusal> {
        text.parse().map_err(|_| Refusal::NoSuchMeeting(text.to_owned()))
    }

    /// A webinar is none \[D MT].
    fn of_number(&self, text: &str) -> Result<&Meeting, Refusal> {
        let meeting = self.live_meeting(Self::number(text)?)?;
        if meeting.kind == WEBINAR { Err(Refusal::Webinar) } else { Ok(meeting) }
    }

    fn host_email(&self, meeting: &Meeting) -> String {
        self.known(&meeting.host_id).map(|user| user.email.clone()).unwrap_or_default()
    }

    /// Those that the user hosts: `type=live` only those that run, `type=upcoming` those of the next six months \[D MT], all
    /// other types are treated alike. Instant ones are listed while they run and never else \[D MT].
    pub(super) fn rest_list_meetings(&self, host: &str, request: &Request) -> Result<Answer, Refusal> {
        let (host, kind) = (&self.find(host)?.id, request.param("type").unwrap_or_default());
        let page = Page::of(request, format!("meetings {host} {kind}"), 300, self.now)?;
        let wanted = |meeting: &&Meeting| {
            !meeting.deleted
                && meeting.kind != WEBINAR
                && match kind.as_str() {
                    "live" => meeting.started,
                    "upcoming" | "upcoming_meetings" => meeting.kind != INSTANT && meeting.is_upcoming(self.now),
                    _ => meeting.kind != INSTANT,
                }
        };
        let all = || self.account.meetings.of(host).filter(wanted);
        let rows = all().filter(|meeting| meeting.id > page.after);
        Ok(page.answer("meetings", all().count(), rows.map(|meeting| (meeting.id, meeting.row())), self.now))
    }

    pub(super) fn rest_create_meeting(&mut self, path_user: &str, request: &Request) -> Result<Answer, Refusal> {
        let wanted = request.object()?;
        self.check_settings(&wanted)?;
        let id = self.create_meeting(path_user, &wanted, true)?;
        let meeting = self.live_meeting(id)?;
        let path_named = self.account.quirks.create_answers_path_user;
        let host_id = if path_named { &meeting.path_user } else { &meeting.host_id };
        Ok(Answer::object(201, meeting.details(host_id, &self.host_email(meeting))))
    }

    pub(super) fn rest_get_meeting(&self, id: &str) -> Result<Answer, Refusal> {
        let meeting = self.of_number(id)?;
        Ok(Answer::object(200, meeting.details(&meeting.host_id, &self.host_email(meeting))))
    }

    pub(super) fn rest_update_meeting(&mut self, id: &str, request: &Request) -> Result<Answer, Refusal> {
        let (id, wanted) = (self.of_number(id)?.id, request.object()?);
        self.check_settings(&wanted)?;
        self.update_meeting(id, &wanted, true)?;
        Ok(Answer::empty(204))
    }

    /// Whether settings are of the kind that Zoom documents \[D MT], and alternative hosts are licensed users of the account
    /// \[api.md §6]. Code and words of the last are \[I].
    fn check_settings(&self, wanted: &Map<String, Value>) -> Result<(), Refusal> {
        let invalid = |field| Refusal::Validation { field, message: "Invalid field.".to_owned() };
        let Some(settings) = wanted.get("settings") else { return Ok(()) };
        let settings = settings.as_object().ok_or_else(|| invalid("settings"))?;
        for flag in ["waiting_room", "join_before_host", "meeting_authentication"] {
            if settings.get(flag).is_some_and(|value| !value.is_boolean()) {
                return Err(invalid(flag));
            }
        }
        if settings.get("jbh_time").is_some_and(|mins| !matches!(mins.as_u64(), Some(0 | 5 | 10 | 15))) {
            return Err(invalid("jbh_time"));
        }
        let Some(hosts) = settings.get("alternative_hosts") else { return Ok(()) };
        let hosts = hosts.as_str().ok_or_else(|| invalid("alternative_hosts"))?;
        for email in hosts.split([';', ',']).map(str::trim).filter(|email| !email.is_empty()) {
            let fit = |user: &User| user.is_active() && user.is_licensed();
            if !self.account.users.find(email).is_some_and(fit) {
                let message = format!("{email} cannot be an alternative host.");
                return Err(Refusal::Validation { field: "alternative_hosts", message });
            }
        }
        Ok(())
    }

    pub(super) fn rest_delete_meeting(&mut self, id: &str) -> Result<Answer, Refusal> {
        let id = self.of_number(id)?.id;
        self.delete_meeting(id)?;
        Ok(Answer::empty(204))
    }

    pub(super) fn rest_set_meeting_status(&mut self, id: &str, request: &Request) -> Result<Answer, Refusal> {
        let (id, body) = (Self::number(id)?, request.object()?);
        match body.get("action").and_then(Value::as_str) {
            Some("end") => self.end_meeting(id)?,
            Some("recover") => self.recover_meeting(id)?,
            _ => return Err(Refusal::Validation { field: "action", message: "Invalid field.".to_owned() }),
        }
        Ok(Answer::empty(204))
    }
}
