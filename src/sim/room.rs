//! Who is at a meeting: waiting for its host, in its waiting room, or inside. And the record of it, for comparing with what
//! somebody else made of the events.
//!
//! The host, or an alternative host, starts a meeting by coming, and others do where they may join before the host. The last
//! one out ends it \[I].

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use serde_json::Value;

use crate::clock::Timestamp;

use super::account::fresh_id;
use super::answer::Refusal;
use super::event::{Moment, Notice};
use super::meeting::Meeting;
use super::world::{Act, World, WorldError};

/// Somebody who comes to meetings.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Person {
    pub name: String,
    /// Often empty for people from outside \[DOC].
    pub email: String,
    /// A user of the account; empty for people from outside, and for those who have not signed in.
    pub id: String,
    pub registrant_id: Option<String>,
}

/// Where somebody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Nobody has started the meeting.
    AwaitsHost,
    WaitingRoom,
    Inside,
}

/// One device of one person at a meeting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visit {
    pub person: Person,
    pub place: Place,
    /// Zoom's `user_id`: another for each connection.
    pub user_id: String,
    /// Of one connection as well \[M].
    pub participant_uuid: String,
}

/// One run of a meeting, as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    pub meeting: u64,
    pub uuid: String,
    pub host_id: String,
    pub started_at: Timestamp,
    /// None while it runs.
    pub ended_at: Option<Timestamp>,
    /// In the order in which they came.
    pub stays: Vec<Stay>,
}

/// One connection to a run of a meeting.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stay {
    pub person: Person,
    pub user_id: String,
    pub joined_at: Timestamp,
    /// None while they are inside.
    pub left_at: Option<Timestamp>,
}

/// Somebody's wait for a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    pub meeting: u64,
    /// Of the run that they waited for.
    pub uuid: String,
    pub person: Person,
    pub from: Timestamp,
    /// None while they wait.
    pub until: Option<Timestamp>,
}

/// All that was.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record {
    /// In the order of their starts.
    pub instances: Vec<Instance>,
    pub waits: Vec<Wait>,
}

#[derive(Debug, Clone)]
struct Guest {
    visit: Visit,
    /// Their place in the record: among the stays of the run, or among the waits.
    entry: usize,
}

#[derive(Debug, Default)]
struct Room {
    guests: BTreeMap<u64, Guest>,
    /// The place of the running instance in the record.
    instance: Option<usize>,
}

/// Who is at which meeting of an account.
#[derive(Debug, Default)]
pub(crate) struct Rooms {
    by_meeting: HashMap<u64, Room>,
    /// Visits so far.
    visits: u64,
    record: Record,
}

impl Rooms {
    fn guest(&self, meeting: u64, visit: u64) -> Option<&Guest> {
        self.by_meeting.get(&meeting)?.guests.get(&visit)
    }

    /// Numbers of those in a place, in the order in which they came.
    fn numbers(&self, meeting: u64, place: Place) -> Vec<u64> {
        let room = self.by_meeting.get(&meeting);
        let guests = room.into_iter().flat_map(|room| &room.guests);
        guests.filter(|(_, guest)| guest.visit.place == place).map(|(number, _)| *number).collect()
    }

    fn begin(&mut self, meeting: &Meeting, now: Timestamp) {
        self.by_meeting.entry(meeting.id).or_default().instance = Some(self.record.instances.len());
        self.record.instances.push(Instance {
            meeting: meeting.id,
            uuid: meeting.uuid.clone(),
            host_id: meeting.host_id.clone(),
            started_at: now,
            ended_at: None,
            stays: Vec::new(),
        });
    }

    fn running(&mut self, meeting: u64) -> Option<&mut Instance> {
        let place = self.by_meeting.get(&meeting)?.instance?;
        self.record.instances.get_mut(place)
    }

    fn enter(&mut self, meeting: &Meeting, number: u64, visit: Visit, now: Timestamp) {
        let person = visit.person.clone();
        let entry = match visit.place {
            Place::AwaitsHost => {
                let (meeting, uuid) = (meeting.id, meeting.uuid.clone());
                self.record.waits.push(Wait { meeting, uuid, person, from: now, until: None });
                self.record.waits.len()
            }
            Place::WaitingRoom => 0,
            Place::Inside => self.running(meeting.id).map_or(0, |run| {
                run.stays.push(Stay { person, user_id: visit.user_id.clone(), joined_at: now, left_at: None });
                run.stays.len()
            }),
        };
        let guest = Guest { visit, entry: entry.saturating_sub(1) };
        self.by_meeting.entry(meeting.id).or_default().guests.insert(number, guest);
    }

    fn exit(&mut self, meeting: u64, number: u64, now: Timestamp) -> Option<Visit> {
        let guest = self.by_meeting.get_mut(&meeting)?.guests.remove(&number)?;
        match guest.visit.place {
            Place::AwaitsHost => {
                if let Some(wait) = self.record.waits.get_mut(guest.entry) {
                    wait.until = Some(now);
                }
            }
            Place::WaitingRoom => {}
            Place::Inside => {
                if let Some(stay) = self.running(meeting).and_then(|run| run.stays.get_mut(guest.entry)) {
                    stay.left_at = Some(now);
                }
            }
        }
        Some(guest.visit)
    }
}

impl Meeting {
    fn setting(&self, name: &str) -> bool {
        self.settings.get(name).and_then(Value::as_bool).unwrap_or(false)
    }

    /// Whether this person starts it by coming.
    fn is_started_by(&self, person: &Person) -> bool {
        let alternative = self.settings.get("alternative_hosts").and_then(Value::as_str).unwrap_or_default();
        let mut alternative = alternative.split([';', ',']).map(str::trim).filter(|email| !email.is_empty());
        person.id == self.host_id || alternative.any(|email| email.eq_ignore_ascii_case(&person.email))
    }

    /// Whether anybody may start it: at any time, or so many minutes before its start \[D MT, `jbh_time`].
    fn is_open(&self, now: Timestamp) -> bool {
        let mins = self.settings.get("jbh_time").and_then(Value::as_u64).unwrap_or(0);
        let soon = || self.start_time.is_none_or(|start| now >= start.minus(Duration::from_secs(mins * 60)));
        self.setting("join_before_host") && (mins == 0 || soon())
    }
}

impl Act<'_> {
    pub(crate) fn arrive(&mut self, id: u64, person: Person) -> Result<u64, Refusal> {
        let meeting = self.live_meeting(id)?;
        let hosts = meeting.is_started_by(&person);
        if !meeting.started && (hosts || meeting.is_open(self.now)) {
            self.start_meeting(id)?;
        }
        self.account.rooms.visits += 1;
        let number = self.account.rooms.visits;
        let visit = Visit {
            person,
            place: self.place_for(id, hosts),
            user_id: (16_778_240 + 1_024 * number).to_string(),
            participant_uuid: fresh_id(self.chance),
        };
        self.enter(id, number, visit);
        Ok(number)
    }

    fn place_for(&self, id: u64, hosts: bool) -> Place {
        match self.account.meetings.get(id) {
            Some(meeting) if meeting.started && meeting.setting("waiting_room") && !hosts => Place::WaitingRoom,
            Some(meeting) if meeting.started => Place::Inside,
            _ => Place::AwaitsHost,
        }
    }

    fn enter(&mut self, id: u64, number: u64, visit: Visit) {
        let moment = match visit.place {
            Place::AwaitsHost => Moment::AwaitsHost,
            Place::WaitingRoom => Moment::EntersWaitingRoom,
            Place::Inside => Moment::Joins,
        };
        self.tell_of_visit(id, moment, &visit);
        if let Some(meeting) = self.account.meetings.get(id) {
            self.account.rooms.enter(meeting, number, visit, self.now);
        }
    }

    fn exit(&mut self, id: u64, number: u64, host_ended: bool) -> Option<Visit> {
        let visit = self.account.rooms.exit(id, number, self.now)?;
        let moment = match visit.place {
            Place::AwaitsHost => Moment::GivesUp,
            Place::WaitingRoom => Moment::LeavesWaitingRoom,
            Place::Inside => Moment::Leaves { host_ended },
        };
        self.tell_of_visit(id, moment, &visit);
        Some(visit)
    }

    /// Goes, wherever they are. Nothing happens where they have gone.
    pub(crate) fn depart(&mut self, id: u64, number: u64) -> Result<(), Refusal> {
        let gone = self.exit(id, number, false);
        let was_inside = gone.is_some_and(|visit| visit.place == Place::Inside);
        if was_inside && self.account.rooms.numbers(id, Place::Inside).is_empty() {
            self.end_meeting(id)?;
        }
        Ok(())
    }

    /// Lets somebody in from the waiting room; nothing happens to those who are elsewhere.
    pub(crate) fn admit(&mut self, id: u64, number: u64) {
        let guest = self.account.rooms.guest(id, number);
        if guest.is_none_or(|guest| guest.visit.place != Place::WaitingRoom) {
            return;
        }
        if let Some(visit) = self.account.rooms.exit(id, number, self.now) {
            self.tell_of_visit(id, Moment::Admitted, &visit);
            self.enter(id, number, Visit { place: Place::Inside, ..visit });
        }
    }

    /// The run is on record, and whoever waited for it comes in.
    pub(crate) fn begin(&mut self, id: u64) {
        let Some(meeting) = self.account.meetings.get(id) else { return };
        self.account.rooms.begin(meeting, self.now);
        for number in self.account.rooms.numbers(id, Place::AwaitsHost) {
            if let Some(visit) = self.exit(id, number, false) {
                self.enter(id, number, Visit { place: self.place_for(id, false), ..visit });
            }
        }
    }

    /// Everybody out, before the end is told \[I].
    pub(crate) fn clear(&mut self, id: u64) {
        for place in [Place::WaitingRoom, Place::Inside] {
            for number in self.account.rooms.numbers(id, place) {
                self.exit(id, number, true);
            }
        }
        let now = self.now;
        if let Some(run) = self.account.rooms.running(id) {
            run.ended_at = Some(now);
        }
    }

    fn tell_of_visit(&mut self, id: u64, moment: Moment, visit: &Visit) {
        if let Some(meeting) = self.account.meetings.get(id) {
            let body = self.account.scene(meeting, self.now).of(moment, visit);
            self.emit(moment.event(), body);
        }
    }
}

impl World {
    /// Somebody comes to a meeting, on one device. Gives the number of the visit.
    pub fn arrive(&self, account: &str, meeting: u64, person: Person) -> Result<u64, WorldError> {
        self.act(account, |act| Ok(act.arrive(meeting, person)?))
    }

    /// They go, wherever they are; the last one out ends the meeting.
    pub fn depart(&self, account: &str, meeting: u64, visit: u64) -> Result<(), WorldError> {
        self.act(account, |act| Ok(act.depart(meeting, visit)?))
    }

    /// The host lets them in from the waiting room.
    pub fn admit(&self, account: &str, meeting: u64, visit: u64) -> Result<(), WorldError> {
        self.act(account, |act| {
            act.admit(meeting, visit);
            Ok(())
        })
    }

    /// The host makes somebody a co-host; nothing happens to those who are not inside.
    pub fn make_co_host(&self, account: &str, meeting: u64, visit: u64) -> Result<(), WorldError> {
        self.act(account, |act| {
            let guest = act.account.rooms.guest(meeting, visit);
            if let Some(guest) = guest.filter(|guest| guest.visit.place == Place::Inside) {
                let visit = guest.visit.clone();
                act.tell_of_visit(meeting, Moment::BecomesCoHost, &visit);
            }
            Ok(())
        })
    }

    /// Zoom notices something of a meeting, and tells of it.
    pub fn notice(&self, account: &str, meeting: u64, notice: Notice) -> Result<(), WorldError> {
        self.act(account, |act| {
            let meeting = act.live_meeting(meeting)?;
            let body = act.account.scene(meeting, act.now).noticed(notice);
            act.emit(notice.event(), body);
            Ok(())
        })
    }

    /// Who is at a meeting, in the order in which they came.
    pub fn visits(&self, account: &str, meeting: u64) -> Vec<Visit> {
        self.state(|state| {
            let room = state.accounts.get(account).and_then(|account| account.rooms.by_meeting.get(&meeting));
            room.map(|room| room.guests.values().map(|guest| guest.visit.clone()).collect()).unwrap_or_default()
        })
    }

    /// Who was at which meeting, since the world began.
    pub fn record(&self, account: &str) -> Record {
        self.state(|state| state.accounts.get(account).map(|account| account.rooms.record.clone()).unwrap_or_default())
    }
}
