//! Meetings: who hosts them, in whose path they were made, and who may move them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::clock::Timestamp;

use super::account::{Principal, fresh_number, fresh_uuid};
use super::answer::{Refusal, rfc3339};
use super::event;
use super::limit::DayQuota;
use super::user::Changes;
use super::world::Act;

/// Creates and updates a user may be billed for in a UTC day \[D MT].
pub const MEETING_WRITES_PER_DAY: u32 = 100;

/// Zoom's number for an instant meeting.
pub(crate) const INSTANT: i64 = 1;

/// Zoom's number for a webinar; 6 and 9 are recurring ones \[D MT].
pub(crate) const WEBINAR: i64 = 5;

/// One meeting.
#[derive(Debug, Clone)]
pub struct Meeting {
    pub id: u64,
    /// Of the next or running instance; a new one after each end \[DOC].
    pub uuid: String,
    pub host_id: String,
    /// The user in whose path it was made.
    pub path_user: String,
    /// Who scheduled it on behalf of the host \[D MT].
    pub assistant_id: Option<String>,
    pub topic: String,
    pub agenda: String,
    /// Zoom's `type`: 1 instant, 2 scheduled, 3 recurring without time, 8 recurring.
    pub kind: i64,
    pub started: bool,
    /// Deleted, and can be recovered.
    pub deleted: bool,
    pub start_time: Option<Timestamp>,
    /// Minutes.
    pub duration: u64,
    pub timezone: String,
    pub password: String,
    pub settings: Map<String, Value>,
    pub recurrence: Option<Value>,
    /// In Zoom's calendar integrations, before it has a time \[D MT].
    pub pre_schedule: bool,
    pub created_at: Timestamp,
    /// `open_api` or `web_portal` \[D MT].
    pub creation_source: &'static str,
}

/// All meetings of an account by id, with what finds those of a host.
#[derive(Debug, Default)]
pub(crate) struct Meetings {
    rows: BTreeMap<u64, Meeting>,
    of_host: HashMap<String, BTreeSet<u64>>,
}

impl Meetings {
    pub(crate) fn get(&self, id: u64) -> Option<&Meeting> {
        self.rows.get(&id)
    }

    /// To change anything but the host.
    fn get_mut(&mut self, id: u64) -> Option<&mut Meeting> {
        self.rows.get_mut(&id)
    }

    fn insert(&mut self, meeting: Meeting) {
        if let Some(old) = self.rows.get(&meeting.id)
            && let Some(ids) = self.of_host.get_mut(&old.host_id)
        {
            ids.remove(&meeting.id);
        }
        self.of_host.entry(meeting.host_id.clone()).or_default().insert(meeting.id);
        self.rows.insert(meeting.id, meeting);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Meeting> {
        self.rows.values()
    }

    pub(crate) fn of(&self, host: &str) -> impl Iterator<Item = &Meeting> {
        self.of_host.get(host).into_iter().flatten().filter_map(|id| self.rows.get(id))
    }

    fn remove(&mut self, id: u64) {
        if let Some(gone) = self.rows.remove(&id)
            && let Some(ids) = self.of_host.get_mut(&gone.host_id)
        {
            ids.remove(&id);
        }
    }

    /// Gives everything of one host to another, who then counts as the one who made it \[I].
    pub(crate) fn transfer(&mut self, from: &str, to: &str) {
        for id in self.of_host.remove(from).unwrap_or_default() {
            if let Some(meeting) = self.rows.get_mut(&id) {
                to.clone_into(&mut meeting.host_id);
                if meeting.path_user == from {
                    to.clone_into(&mut meeting.path_user);
                }
                self.of_host.entry(to.to_owned()).or_default().insert(id);
            }
        }
    }

    pub(crate) fn remove_of(&mut self, host: &str) {
        for id in self.of_host.remove(host).unwrap_or_default() {
            self.rows.remove(&id);
        }
    }
}

impl Meeting {
    /// Whether `type=upcoming` lists it: within six months \[D MT]; recurring ones always \[I].
    pub(crate) fn is_upcoming(&self, now: Timestamp) -> bool {
        let latest = now.plus(Duration::from_secs(183 * 86_400));
        matches!(self.kind, 3 | 8) || self.start_time.is_some_and(|start| now <= start && start <= latest)
    }

    /// Stays the same when the host changes \[C ithaca-recovery].
    pub fn join_url(&self) -> String {
        format!("https://example.com/j/{}?pwd={}", self.id, self.password)
    }

    /// The occurrences of a daily (1) or weekly (2) recurrence with `end_times`; other recurrences have none here.
    pub(crate) fn occurrences(&self) -> Option<Value> {
        let (recurrence, start) = (self.recurrence.as_ref()?, self.start_time?);
        let number = |key: &str, missing: u64| recurrence.get(key).and_then(Value::as_u64).unwrap_or(missing);
        let days = number("repeat_interval", 1) * if number("type", 1) == 2 { 7 } else { 1 };
        let rows = (0..number("end_times", 1).min(60)).map(|turn| {
            let at = start.plus(Duration::from_secs(turn * days * 86_400));
            json!({ "occurrence_id": at.as_millis().to_string(), "start_time": rfc3339(at), "duration": self.duration, "status": "available" })
        });
        Some(rows.collect())
    }

    /// Sets a field under Zoom's name for it; gives what it was, and what it is then.
    fn set(&mut self, name: &str, value: &Value, now: Timestamp) -> Option<(Value, Value)> {
        let text = match name {
            "topic" => &mut self.topic,
            "agenda" => &mut self.agenda,
            "timezone" => &mut self.timezone,
            "password" => &mut self.password,
            "duration" => {
                let old = std::mem::replace(&mut self.duration, value.as_u64()?);
                return Some((json!(old), json!(self.duration)));
            }
            "start_time" => {
                // A start in the past is ignored [D MT].
                let start = parse_time(value).filter(|start| *start > now)?;
                let old = self.start_time.replace(start).map(rfc3339);
                return Some((json!(old), json!(rfc3339(start))));
            }
            "recurrence" => {
                let old = self.recurrence.replace(value.clone());
                return Some((json!(old), value.clone()));
            }
            "settings" => {
                let (mut old, mut new) = (Map::new(), Map::new());
                for (key, value) in value.as_object()? {
                    let before = self.settings.insert(key.clone(), value.clone()).unwrap_or(Value::Null);
                    if before != *value {
                        old.insert(key.clone(), before);
                        new.insert(key.clone(), value.clone());
                    }
                }
                return Some((old.into(), new.into()));
            }
            _ => return None,
        };
        let old = json!(*text);
        value.as_str()?.clone_into(text);
        Some((old, value.clone()))
    }
}

/// `2022-03-25T07:29:29Z`; a time without zone is taken as UTC, whatever `timezone` says.
fn parse_time(value: &Value) -> Option<Timestamp> {
    let text = value.as_str()?;
    let zoned = if text.ends_with('Z') { text.to_owned() } else { format!("{text}Z") };
    zoned.parse::<jiff::Timestamp>().ok().map(|at| Timestamp::from_millis(at.as_millisecond()))
}

impl Act<'_> {
    /// Makes a meeting in a user's path; `by_api` is billed to that user's 100 a day.
    pub(crate) fn create_meeting(
        &mut self,
        path_key: &str,
        wanted: &Map<String, Value>,
        by_api: bool,
    ) -> Result<u64, Refusal> {
        let meeting = self.drafted(path_key, wanted, by_api)?;
        let (id, path_user) = (meeting.id, meeting.path_user.clone());
        let body = event::meeting_scheduled("meeting.created", self.account, &meeting, self.now);
        self.account.meetings.insert(meeting);
        self.bill(by_api, &path_user);
        self.emit("meeting.created", body);
        Ok(id)
    }

    /// Makes a webinar, which has a number as meetings do, and is none. Its events are left out.
    pub(crate) fn create_webinar(&mut self, host: &str, wanted: &Map<String, Value>) -> Result<u64, Refusal> {
        let webinar = Meeting { kind: WEBINAR, ..self.drafted(host, wanted, false)? };
        let id = webinar.id;
        self.account.meetings.insert(webinar);
        Ok(id)
    }

    fn drafted(&self, path_key: &str, wanted: &Map<String, Value>, by_api: bool) -> Result<Meeting, Refusal> {
        let now = self.now;
        let no_user = || Refusal::NoSuchUser(path_key.to_owned());
        let path_user = self.account.users.find(path_key).ok_or_else(no_user)?;
        if !path_user.is_active() {
            return Err(Refusal::MayNotHost); // [I] which of the refusals a pending or deactivated user gets.
        }
        if by_api && path_user.meeting_writes.used(now) >= MEETING_WRITES_PER_DAY {
            return Err(Refusal::UserDaily);
        }
        let kind = wanted.get("type").map_or(Some(2), Value::as_i64).unwrap_or(0);
        if !matches!(kind, 1 | 2 | 3 | 8 | 10) {
            return Err(Refusal::Validation { field: "type", message: "Invalid field.".to_owned() });
        }
        let path_id = path_user.id.clone();
        let host_id = match wanted.get("schedule_for") {
            None => path_id.clone(),
            Some(_) if kind == INSTANT => return Err(Refusal::InstantMeeting),
            Some(target) => self.may_host_for(target, &path_id, wanted.get("settings"))?,
        };
        let mut meeting = Meeting {
            id: fresh_number(self.chance, 90_000_000_000, 99_999_999_999),
            uuid: fresh_uuid(self.chance),
            assistant_id: (host_id != path_id).then(|| path_id.clone()),
            host_id,
            path_user: path_id.clone(),
            topic: "Zoom Meeting".to_owned(),
            agenda: String::new(),
            kind,
            started: false,
            deleted: false,
            start_time: None,
            duration: 60,
            timezone: "UTC".to_owned(),
            password: fresh_number(self.chance, 100_000, 999_999).to_string(),
            settings: default_settings(),
            recurrence: None,
            pre_schedule: wanted.get("pre_schedule").and_then(Value::as_bool).unwrap_or(false),
            created_at: now,
            creation_source: if by_api { "open_api" } else { "web_portal" },
        };
        for (name, value) in wanted {
            meeting.set(name, value, Timestamp::EPOCH);
        }
        if meeting.kind == 2 && meeting.start_time.is_none() {
            meeting.start_time = Some(now); // [D MT] without a start it starts now.
        }
        Ok(meeting)
    }

    /// Changes fields, moves the host with `schedule_for`; refused while it runs.
    pub(crate) fn update_meeting(&mut self, id: u64, wanted: &Map<String, Value>, by_api: bool) -> Result<(), Refusal> {
        let (now, quirks) = (self.now, self.account.quirks.clone());
        let meeting = self.live_meeting(id)?.clone();
        if meeting.started {
            return Err(Refusal::InProgress);
        }
        let one = |principal| if principal == Principal::Host { &meeting.host_id } else { &meeting.path_user };
        let (payer, principal) = (one(quirks.update_bills).clone(), one(quirks.move_needs).clone());
        let used = self.account.users.find(&payer).map_or(0, |user| user.meeting_writes.used(now));
        if by_api && used >= MEETING_WRITES_PER_DAY {
            return Err(Refusal::UserDaily);
        }
        let mut wished = meeting.clone();
        if let Some(target) = wanted.get("schedule_for") {
            let host_id = self.new_host(&meeting, target, &principal)?;
            if host_id != meeting.host_id {
                let is_named = quirks.moved_names_path_user && host_id != principal;
                wished.assistant_id = is_named.then_some(principal); // [I]
                wished.host_id = host_id;
            }
        }
        let mut changes = Changes::new();
        for (name, value) in wanted {
            if let Some((old, new)) = wished.set(name, value, now).filter(|(old, new)| old != new) {
                changes.push((name.clone(), old, new));
            }
        }
        let moved = wished.host_id != meeting.host_id && quirks.move_emits_update;
        self.account.meetings.insert(wished);
        self.bill(by_api, &payer);
        if moved || !changes.is_empty() {
            let body = event::meeting_updated(self.account, id, &changes, now);
            self.emit("meeting.updated", body);
        }
        Ok(())
    }

    /// Draws on no user's 100 a day \[F 59670].
    pub(crate) fn delete_meeting(&mut self, id: u64) -> Result<(), Refusal> {
        if self.live_meeting(id)?.started {
            return Err(Refusal::InProgress);
        }
        self.change_and_tell(id, "meeting.deleted", |meeting| meeting.deleted = true)
    }

    pub(crate) fn recover_meeting(&mut self, id: u64) -> Result<(), Refusal> {
        let known = self.account.meetings.get(id).ok_or_else(|| Refusal::NoSuchMeeting(id.to_string()))?;
        if !known.deleted {
            return Ok(()); // [I]
        }
        self.change_and_tell(id, "meeting.recovered", |meeting| meeting.deleted = false)
    }

    /// Does nothing to a meeting that runs already.
    pub(crate) fn start_meeting(&mut self, id: u64) -> Result<(), Refusal> {
        if self.live_meeting(id)?.started {
            return Ok(());
        }
        let untold = self.account.quirks.instant_starts_untold;
        if let Some(meeting) = self.account.meetings.get_mut(id).filter(|meeting| untold && meeting.kind == INSTANT) {
            meeting.started = true;
        } else {
            self.change_and_tell(id, "meeting.started", |meeting| meeting.started = true)?;
        }
        self.begin(id);
        Ok(())
    }

    /// The next instance has a new UUID \[DOC]; an instant meeting is gone. Does nothing to a meeting that does not run: no error
    /// is documented for that, and a 204 without an effect was seen \[F zoom/api #28].
    pub(crate) fn end_meeting(&mut self, id: u64) -> Result<(), Refusal> {
        if !self.live_meeting(id)?.started {
            return Ok(());
        }
        self.clear(id);
        self.change_and_tell(id, "meeting.ended", |meeting| meeting.started = false)?;
        let uuid = fresh_uuid(self.chance);
        if let Some(meeting) = self.account.meetings.get_mut(id) {
            meeting.uuid = uuid;
            meeting.deleted = meeting.kind == INSTANT;
        }
        Ok(())
    }

    /// Out of the trash, and out of reach of `recover`. What is not in the trash goes there first \[I].
    pub(crate) fn purge_meeting(&mut self, id: u64) -> Result<(), Refusal> {
        if self.account.meetings.get(id).is_some_and(|meeting| !meeting.deleted) {
            self.delete_meeting(id)?;
        }
        self.change_and_tell(id, "meeting.permanently_deleted", |meeting| meeting.deleted = true)?;
        self.account.meetings.remove(id);
        Ok(())
    }

    /// A meeting that is not deleted.
    pub(crate) fn live_meeting(&self, id: u64) -> Result<&Meeting, Refusal> {
        let found = self.account.meetings.get(id).filter(|meeting| !meeting.deleted);
        found.ok_or_else(|| Refusal::NoSuchMeeting(id.to_string()))
    }

    fn change_and_tell(&mut self, id: u64, event: &'static str, change: fn(&mut Meeting)) -> Result<(), Refusal> {
        let found = self.account.meetings.get_mut(id);
        let meeting = found.ok_or_else(|| Refusal::NoSuchMeeting(id.to_string()))?;
        change(meeting);
        let meeting = meeting.clone();
        let body = match event {
            "meeting.started" | "meeting.ended" => self.account.scene(&meeting, self.now).ran(event),
            _ => event::meeting_scheduled(event, self.account, &meeting, self.now),
        };
        self.emit(event, body);
        Ok(())
    }

    fn bill(&mut self, by_api: bool, user: &str) {
        let now = self.now;
        if by_api {
            self.account.users.edit(user, |user| user.meeting_writes.take(now));
        }
    }
}

fn default_settings() -> Map<String, Value> {
    let settings = json!({
        "waiting_room": false, "join_before_host": false, "meeting_authentication": false, "jbh_time": 0, "alternative_hosts": "", "use_pmi": false,
        "host_video": false, "participant_video": false, "mute_upon_entry": false, "audio": "both",
        "auto_recording": "none", "approval_type": 2,
    });
    if let Value::Object(settings) = settings { settings } else { Map::new() }
}

/// What a user has left of the 100 a day.
pub(crate) fn writes_left(quota: DayQuota, now: Timestamp) -> u32 {
    MEETING_WRITES_PER_DAY.saturating_sub(quota.used(now))
}
