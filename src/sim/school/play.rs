//! Plays a school day in an account of the world.

use serde_json::json;

use crate::clock::{Clock, ManualClock, Timestamp};
use crate::sim::answer::rfc3339;
use crate::sim::room::Person;
use crate::sim::user::{Assistant, NewUser};
use crate::sim::world::{Act, World, WorldError};

use super::day::{Day, Does, Loss, Meddling, MeetingKind, Planned, Who};
use super::truth::{Lost, Meddled, Truth, unattended};

/// So many meetings are made by one API user, who may do a hundred creates and updates a day; teachers make the others.
const MEETINGS_OF_ONE_API_USER: usize = 50;

/// A day that is played.
#[derive(Debug)]
pub struct Playing {
    world: World,
    account: String,
    day: Day,
    next: usize,
    /// By the numbers of the plan: ids of teachers, meetings and visits, as far as they are there.
    teachers: Vec<String>,
    meetings: Vec<Option<u64>>,
    visits: Vec<Option<u64>>,
    meddled: Vec<Meddled>,
    lost: Vec<Lost>,
    refused: Vec<(Timestamp, String)>,
}

impl Day {
    /// Adds teachers to the account, as if they had been there for ever and had each of these API users as an assistant, and
    /// makes the meetings of the day, with their events.
    pub fn open(self, world: &World, account: &str, api_users: &[&str]) -> Result<Playing, WorldError> {
        let (teachers, meetings) = world.act(account, |act| act.open(&self, api_users))?;
        let visits = vec![None; self.visits.len()];
        Ok(Playing {
            world: world.clone(),
            account: account.to_owned(),
            day: self,
            next: 0,
            teachers,
            meetings,
            visits,
            meddled: Vec::new(),
            lost: Vec::new(),
            refused: Vec::new(),
        })
    }
}

impl Act<'_> {
    fn open(&mut self, day: &Day, api_users: &[&str]) -> Result<(Vec<String>, Vec<Option<u64>>), WorldError> {
        let api: Vec<String> =
            api_users.iter().map(|user| Ok(self.one(user)?.id.clone())).collect::<Result<_, WorldError>>()?;
        let domain = format!("{}.example", self.account.id.to_lowercase());
        let teachers: Vec<String> = (1..=day.teachers)
            .map(|number| self.add_user(NewUser::licensed(&format!("teacher-{number}@{domain}"))))
            .collect::<Result<_, _>>()?;
        let assistant = |id: &String| Assistant { id: id.clone(), can_manage_host_private_event: false };
        for teacher in &teachers {
            self.account.users.edit(teacher, |user| user.assistants = api.iter().map(assistant).collect());
        }
        let (mut meetings, mut made) = (Vec::new(), 0);
        for (number, planned) in day.meetings.iter().enumerate() {
            if planned.kind == MeetingKind::Instant {
                meetings.push(None);
                continue;
            }
            let teacher =
                teachers.get(planned.teacher).ok_or(WorldError::State("a meeting is planned with a teacher"))?;
            let maker = api.get(made / MEETINGS_OF_ONE_API_USER).filter(|_| planned.by_api);
            made += usize::from(maker.is_some());
            let id = self.plan_lesson(number, planned, teacher, maker)?;
            meetings.push(Some(id));
        }
        Ok((teachers, meetings))
    }

    fn plan_lesson(
        &mut self,
        number: usize,
        planned: &Planned,
        teacher: &str,
        maker: Option<&String>,
    ) -> Result<u64, WorldError> {
        let mut fields = json!({
            "topic": format!("Lesson {}", number + 1), "type": 2, "start_time": rfc3339(planned.starts_at), "duration": 45,
            "settings": { "waiting_room": planned.waiting_room, "join_before_host": planned.open },
        });
        if let Some(fields) = fields.as_object_mut() {
            if planned.kind == MeetingKind::Series {
                fields.insert("type".to_owned(), json!(8));
                let weekly = json!({ "type": 2, "repeat_interval": 1, "end_times": 10 });
                fields.insert("recurrence".to_owned(), weekly);
            }
            if maker.is_some() {
                fields.insert("schedule_for".to_owned(), json!(teacher));
            }
            let path = maker.map_or(teacher, String::as_str);
            self.account.acting = maker.is_none().then(|| teacher.to_owned());
            let made = self.create_meeting(path, fields, maker.is_some());
            self.account.acting = None;
            return Ok(made?);
        }
        Err(WorldError::State("a meeting is planned with fields"))
    }
}

impl Playing {
    /// When the next thing happens; none when the day is over.
    pub fn next_at(&self) -> Option<Timestamp> {
        self.day.steps.get(self.next).map(|step| step.at)
    }

    pub fn closes_at(&self) -> Timestamp {
        self.day.closes_at()
    }

    /// When something is still to happen, each moment once.
    pub fn moments(&self) -> Vec<Timestamp> {
        let left = self.day.steps.get(self.next..).unwrap_or_default();
        left.chunk_by(|one, next| one.at == next.at).filter_map(|same| Some(same.first()?.at)).collect()
    }

    /// Does all that is due by the world's clock, as the world does it: at its own time, which is now. Whoever wants every
    /// moment right sets the clock to [`Playing::next_at`] first.
    pub fn act(&mut self) {
        let now = self.world.now();
        while let Some(step) = self.day.steps.get(self.next).copied().filter(|step| step.at <= now) {
            self.next += 1;
            if let Err(error) = self.step(step.does) {
                self.refused.push((now, error.to_string()));
            }
        }
    }

    /// Plays the rest of the day on a clock, which is that of the world.
    pub fn to_the_end(&mut self, clock: &ManualClock) {
        while let Some(at) = self.next_at() {
            clock.set(at.max(clock.now()));
            self.act();
        }
    }

    /// What was so until now.
    pub fn truth(&self) -> Truth {
        let (record, now) = (self.world.record(&self.account), self.world.now());
        Truth {
            at: now,
            unattended: unattended(&record, now),
            instances: record.instances,
            meddled: self.meddled.clone(),
            lost: self.lost.clone(),
            refused: self.refused.clone(),
        }
    }

    /// The number of a meeting of the plan at Zoom.
    fn meeting(&self, number: usize) -> Result<u64, WorldError> {
        self.meetings.get(number).copied().flatten().ok_or(WorldError::State("the meeting was never made"))
    }

    fn teacher_of(&self, meeting: usize) -> Result<String, WorldError> {
        let planned = self.day.meetings.get(meeting);
        let id = planned.and_then(|planned| self.teachers.get(planned.teacher));
        id.cloned().ok_or(WorldError::State("the meeting has no teacher"))
    }

    fn step(&mut self, does: Does) -> Result<(), WorldError> {
        let (world, account) = (self.world.clone(), self.account.clone());
        match does {
            Does::Lose(teacher, what) => self.lose(teacher, what),
            Does::Meddle(meeting, what) => self.meddle(meeting, what),
            Does::MakeInstant(meeting) => {
                let waiting_room = self.day.meetings.get(meeting).is_some_and(|planned| planned.waiting_room);
                let settings = json!({ "waiting_room": waiting_room });
                let fields = json!({ "topic": "Quick talk", "type": 1, "settings": settings });
                let id = world.create_meeting(&account, &self.teacher_of(meeting)?, &fields)?;
                if let Some(place) = self.meetings.get_mut(meeting) {
                    *place = Some(id);
                }
                Ok(())
            }
            Does::Arrive(visit) => self.arrive(visit),
            Does::Depart(visit) => self.at(visit, |meeting, visit| world.depart(&account, meeting, visit)),
            Does::Admit(visit) => self.at(visit, |meeting, visit| world.admit(&account, meeting, visit)),
            Does::Promote(visit) => self.at(visit, |meeting, visit| world.make_co_host(&account, meeting, visit)),
            Does::Notice(meeting, notice) => world.notice(&account, self.meeting(meeting)?, notice),
            Does::End(meeting) => world.end_meeting(&account, self.meeting(meeting)?),
        }
    }

    /// Something about a visit, where there was one.
    fn at(&self, visit: usize, act: impl FnOnce(u64, u64) -> Result<(), WorldError>) -> Result<(), WorldError> {
        let planned = self.day.visits.get(visit).zip(self.visits.get(visit).copied().flatten());
        planned.map_or(Ok(()), |(planned, visit)| act(self.meeting(planned.meeting)?, visit))
    }

    fn arrive(&mut self, visit: usize) -> Result<(), WorldError> {
        let Some(planned) = self.day.visits.get(visit).copied() else { return Ok(()) };
        let person = self.person(planned.who)?;
        let number = self.world.arrive(&self.account, self.meeting(planned.meeting)?, person)?;
        if let Some(place) = self.visits.get_mut(visit) {
            *place = Some(number);
        }
        Ok(())
    }

    fn person(&self, who: Who) -> Result<Person, WorldError> {
        match who {
            Who::Teacher(number) => {
                let id = self.teachers.get(number).cloned().unwrap_or_default();
                let user = self.world.user(&self.account, &id).ok_or(WorldError::NoUser(id))?;
                Ok(Person { name: user.display_name, email: user.email, id: user.id, registrant_id: None })
            }
            Who::Pupil(number) => {
                let nameless = self.day.people.get(number).is_none_or(|pupil| pupil.nameless);
                let email = if nameless { String::new() } else { format!("pupil-{number}@home.example") };
                Ok(Person { name: format!("Pupil {number}"), email, id: String::new(), registrant_id: None })
            }
        }
    }

    fn lose(&mut self, teacher: usize, what: Loss) -> Result<(), WorldError> {
        let id = self.teachers.get(teacher).cloned().unwrap_or_default();
        let user = self.world.user(&self.account, &id).ok_or(WorldError::NoUser(id))?;
        match what {
            Loss::Deactivated => self.world.deactivate(&self.account, &user.id)?,
            Loss::Downgraded => self.world.set_licence(&self.account, &user.id, 1)?,
        }
        let now = self.world.now();
        let upcoming = self.world.meetings(&self.account).into_iter().filter(|meeting| {
            meeting.host_id == user.id && !meeting.deleted && !meeting.started && meeting.is_upcoming(now)
        });
        let upcoming = upcoming.map(|meeting| meeting.id).collect();
        self.lost.push(Lost { host_id: user.id, email: user.email, what, at: now, upcoming });
        Ok(())
    }

    fn meddle(&mut self, number: usize, what: Meddling) -> Result<(), WorldError> {
        let (meeting, teacher) = (self.meeting(number)?, self.teacher_of(number)?);
        match what {
            Meddling::Changed => {
                let fields = json!({ "topic": format!("Lesson {} (moved)", number + 1), "duration": 90 });
                self.world.update_meeting_as(&self.account, &teacher, meeting, &fields)?;
            }
            Meddling::Deleted => self.world.delete_meeting_as(&self.account, &teacher, meeting)?,
        }
        let made = self.world.meeting(&self.account, meeting);
        if made.is_none_or(|made| made.creation_source != "open_api") {
            return Ok(()); // Their own.
        }
        let by = self.world.user(&self.account, &teacher).map(|user| user.email).unwrap_or_default();
        self.meddled.push(Meddled { meeting, what, by, at: self.world.now() });
        Ok(())
    }
}
