//! The plan of a school day: pure, and the same for the same seed.

use std::time::Duration;

use crate::chance::{Chance, SeededChance};
use crate::clock::Timestamp;
use crate::sim::event::Notice;

/// How a day is made up. Percentages are chances, case by case.
#[derive(Debug, Clone)]
pub struct School {
    /// At what time the first bell rings.
    pub opens_at: Timestamp,
    pub teachers: usize,
    /// Meetings that are there before the day; instant ones come on top.
    pub meetings: usize,
    /// People who come to lessons, each to one.
    pub participants: usize,
    /// Meetings of a series that runs twice on this day.
    pub twice_percent: u8,
    /// Meetings that an API user made for the teacher, where there are API users.
    pub by_api_percent: u8,
    /// Of those, which somebody else changes or deletes.
    pub meddled_percent: u8,
    /// Lessons whose host never comes while pupils wait.
    pub hostless_percent: u8,
    /// Lessons whose host comes three to twelve minutes after the bell.
    pub late_host_percent: u8,
    /// Lessons that nobody ends.
    pub endless_percent: u8,
    /// Teachers who are deactivated, or lose their licence, before lessons of theirs.
    pub lost_percent: u8,
    /// Instant meetings, by the number of all others.
    pub instant_percent: u8,
    /// Meetings with a waiting room; one in twenty is never let in.
    pub waiting_room_percent: u8,
    /// Meetings that pupils may join before the host.
    pub open_percent: u8,
    /// People who lose the connection and come again.
    pub rejoin_percent: u8,
    /// People who come on two devices.
    pub two_devices_percent: u8,
    /// People whose email Zoom does not tell.
    pub nameless_percent: u8,
    /// Lessons in which Zoom notices something: a stream, an alert, a risk.
    pub noticed_percent: u8,
}

impl Default for School {
    fn default() -> Self {
        Self {
            opens_at: Timestamp::from_secs(1_790_060_400), // 2026-09-22T07:00:00Z
            teachers: 60,
            meetings: 300,
            participants: 6_000,
            twice_percent: 20,
            by_api_percent: 60,
            meddled_percent: 5,
            hostless_percent: 3,
            late_host_percent: 3,
            endless_percent: 2,
            lost_percent: 5,
            instant_percent: 5,
            waiting_room_percent: 20,
            open_percent: 10,
            rejoin_percent: 5,
            two_devices_percent: 4,
            nameless_percent: 40,
            noticed_percent: 2,
        }
    }
}

/// What a teacher loses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// The account, and the licence with it.
    Deactivated,
    /// The licence alone.
    Downgraded,
}

/// What somebody else does to a meeting that the API user made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meddling {
    Changed,
    Deleted,
}

/// A plan. It knows meetings and people by number; the account gives them ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Day {
    pub(super) opens_at: Timestamp,
    pub(super) teachers: usize,
    pub(super) meetings: Vec<Planned>,
    pub(super) people: Vec<Pupil>,
    /// Visits by number: who, and to which meeting.
    pub(super) visits: Vec<Visiting>,
    pub(super) steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Planned {
    pub(super) teacher: usize,
    pub(super) starts_at: Timestamp,
    pub(super) kind: MeetingKind,
    pub(super) by_api: bool,
    pub(super) waiting_room: bool,
    pub(super) open: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MeetingKind {
    Once,
    Series,
    Instant,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pupil {
    pub(super) nameless: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Visiting {
    pub(super) meeting: usize,
    pub(super) who: Who,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    Teacher(usize),
    Pupil(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) at: Timestamp,
    pub(super) does: Does,
}

/// What happens; numbers are those of teachers, meetings and visits in the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Does {
    Lose(usize, Loss),
    Meddle(usize, Meddling),
    MakeInstant(usize),
    Arrive(usize),
    Depart(usize),
    Admit(usize),
    Promote(usize),
    Notice(usize, Notice),
    End(usize),
}

const MINUTE: u64 = 60_000;
const LESSON_MINS: u64 = 45;
/// Bells ring an hour apart.
const BELLS: u64 = 8;

/// One run of a meeting, while it is planned.
struct Lesson {
    meeting: usize,
    starts_at: Timestamp,
    pupils: usize,
}

struct Planner<'a> {
    school: &'a School,
    chance: SeededChance,
    day: Day,
}

impl School {
    /// The plan that this seed gives.
    pub fn day(&self, seed: u64) -> Day {
        let day = Day {
            opens_at: self.opens_at,
            teachers: self.teachers.max(1),
            meetings: Vec::new(),
            people: Vec::new(),
            visits: Vec::new(),
            steps: Vec::new(),
        };
        let mut planner = Planner { school: self, chance: SeededChance::new(seed), day };
        let lessons = planner.lessons();
        let lost = planner.lose_teachers();
        for lesson in &lessons {
            planner.play(lesson, &lost);
        }
        planner.meddle(&lessons);
        let mut day = planner.day;
        day.steps.sort_by_key(|step| step.at); // Stable: what was planned first at a moment happens first.
        day
    }
}

impl Day {
    pub fn opens_at(&self) -> Timestamp {
        self.opens_at
    }

    /// The last thing that somebody does.
    pub fn closes_at(&self) -> Timestamp {
        self.steps.last().map_or(self.opens_at, |step| step.at)
    }
}

fn count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn wide(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

impl Planner<'_> {
    fn below(&self, limit: u64) -> u64 {
        self.chance.next_u64() % limit.max(1)
    }

    fn hits(&self, percent: u8) -> bool {
        self.below(100) < u64::from(percent)
    }

    /// Somewhere from so many to so many seconds after a moment: whole seconds, since events tell no finer times of people.
    fn after(&self, at: Timestamp, from_secs: u64, to_secs: u64) -> Timestamp {
        at.plus(Duration::from_secs(from_secs + self.below(to_secs - from_secs)))
    }

    fn step(&mut self, at: Timestamp, does: Does) {
        self.day.steps.push(Step { at, does });
    }

    fn bell(&self, number: u64) -> Timestamp {
        self.day.opens_at.plus(Duration::from_millis((1 + number) * 60 * MINUTE))
    }

    /// All meetings, and the lessons in them; a teacher's meetings are at different bells, as long as there are enough.
    fn lessons(&mut self) -> Vec<Lesson> {
        let scheduled = self.school.meetings;
        let instant = count(wide(scheduled) * u64::from(self.school.instant_percent) / 100);
        let (mut lessons, mut left) = (Vec::new(), self.school.participants);
        for meeting in 0..scheduled + instant {
            let teacher = meeting % self.day.teachers;
            let bell = wide(meeting / self.day.teachers) % BELLS;
            let kind = match meeting {
                meeting if meeting >= scheduled => MeetingKind::Instant,
                _ if self.hits(self.school.twice_percent) => MeetingKind::Series,
                _ => MeetingKind::Once,
            };
            let starts_at = self.bell(bell);
            let scheduled_alone = kind != MeetingKind::Instant;
            let planned = Planned {
                teacher,
                starts_at,
                kind,
                by_api: scheduled_alone && self.hits(self.school.by_api_percent),
                waiting_room: self.hits(self.school.waiting_room_percent),
                open: scheduled_alone && self.hits(self.school.open_percent),
            };
            self.day.meetings.push(planned);
            let pupils = left / (scheduled + instant - meeting);
            left -= pupils;
            let again = if kind == MeetingKind::Series { pupils / 2 } else { 0 };
            lessons.push(Lesson { meeting, starts_at, pupils: pupils - again });
            if kind == MeetingKind::Series {
                // After the last bell, and never into the first lesson.
                let starts_at = starts_at.plus(Duration::from_millis((BELLS + 1) * 60 * MINUTE));
                lessons.push(Lesson { meeting, starts_at, pupils: again });
            }
        }
        lessons
    }

    /// Who loses what, and when: before some of their lessons.
    fn lose_teachers(&mut self) -> Vec<Option<Timestamp>> {
        let mut gone = vec![None; self.day.teachers];
        for (teacher, gone) in gone.iter_mut().enumerate() {
            if self.hits(self.school.lost_percent) {
                let loss = if self.hits(50) { Loss::Deactivated } else { Loss::Downgraded };
                // Between two lessons.
                let at = self.after(self.bell(self.below(BELLS / 2)), 50 * 60, 52 * 60);
                self.step(at, Does::Lose(teacher, loss));
                *gone = Some(at).filter(|_| loss == Loss::Deactivated);
            }
        }
        gone
    }

    fn visit(&mut self, meeting: usize, who: Who, at: Timestamp) -> usize {
        let number = self.day.visits.len();
        self.day.visits.push(Visiting { meeting, who });
        self.step(at, Does::Arrive(number));
        number
    }

    fn planned(&self, meeting: usize) -> Planned {
        let none = Planned {
            teacher: 0,
            starts_at: self.day.opens_at,
            kind: MeetingKind::Once,
            by_api: false,
            waiting_room: false,
            open: false,
        };
        self.day.meetings.get(meeting).cloned().unwrap_or(none)
    }

    fn play(&mut self, lesson: &Lesson, lost: &[Option<Timestamp>]) {
        let planned = self.planned(lesson.meeting);
        let (bell, instant) = (lesson.starts_at, planned.kind == MeetingKind::Instant);
        let is_gone = lost.get(planned.teacher).copied().flatten().is_some_and(|at| at < bell);
        if instant && is_gone {
            return; // Who has no account starts nothing.
        }
        let hostless = !instant && (self.hits(self.school.hostless_percent) || is_gone);
        let late = !instant && self.hits(self.school.late_host_percent);
        // A series that never ends would swallow its second lesson.
        let endless = planned.kind == MeetingKind::Once && self.hits(self.school.endless_percent);
        let ends_at = bell.plus(Duration::from_millis(LESSON_MINS * MINUTE));
        // Nobody comes more than two minutes early, so that a host who is not late starts within five of the first.
        let host_at = match (instant, late) {
            (true, _) => bell,
            (false, false) => self.after(bell.minus(Duration::from_secs(240)), 0, 360),
            (false, true) => self.after(bell, 3 * 60, 12 * 60),
        };
        if instant {
            self.step(bell, Does::MakeInstant(lesson.meeting));
        }
        let host = (!hostless).then(|| self.visit(lesson.meeting, Who::Teacher(planned.teacher), host_at));
        if !hostless && self.hits(self.school.noticed_percent) {
            let notice = match self.below(3) {
                0 => Notice::StreamStarted,
                1 => Notice::Alert,
                _ => Notice::RiskAlert,
            };
            let at = self.after(bell, 20 * 60, 25 * 60);
            self.step(at, Does::Notice(lesson.meeting, notice));
        }
        for number in 0..lesson.pupils {
            let promoted = number == 0 && !hostless && self.hits(10);
            self.pupil(lesson, host_at, hostless, promoted);
        }
        match host {
            Some(_) if !endless => self.step(ends_at, Does::End(lesson.meeting)),
            _ => {}
        }
    }

    /// One pupil: comes, perhaps on two devices, perhaps twice, and goes before the end or stays.
    fn pupil(&mut self, lesson: &Lesson, host_at: Timestamp, hostless: bool, promoted: bool) {
        let pupil = self.day.people.len();
        let nameless = self.hits(self.school.nameless_percent);
        self.day.people.push(Pupil { nameless });
        let bell = lesson.starts_at;
        let is_instant = self.planned(lesson.meeting).kind == MeetingKind::Instant;
        // Nobody can come to what is not there yet.
        let early = if is_instant { 0 } else { 120 };
        let comes_at = self.after(bell.minus(Duration::from_secs(early)), 1, 300);
        let goes_at =
            if hostless { self.after(comes_at, 10 * 60, 20 * 60) } else { self.after(bell, 30 * 60, 60 * 60) };
        let mut from = comes_at;
        if !hostless && self.hits(self.school.rejoin_percent) {
            let breaks_at = self.after(bell, 13 * 60, 20 * 60);
            let visit = self.come(lesson.meeting, pupil, comes_at, host_at);
            self.step(breaks_at, Does::Depart(visit));
            from = self.after(breaks_at, 10, 120);
        }
        let visit = self.come(lesson.meeting, pupil, from, host_at);
        self.step(goes_at, Does::Depart(visit));
        if promoted {
            let at = self.after(bell, 25 * 60, 28 * 60);
            self.step(at, Does::Promote(visit));
        }
        if self.hits(self.school.two_devices_percent) {
            let second_at = self.after(comes_at, 5, 90);
            let second = self.come(lesson.meeting, pupil, second_at, host_at);
            let at = goes_at.plus(Duration::from_secs(3));
            self.step(at, Does::Depart(second));
        }
    }

    fn come(&mut self, meeting: usize, pupil: usize, at: Timestamp, host_at: Timestamp) -> usize {
        let visit = self.visit(meeting, Who::Pupil(pupil), at);
        if self.planned(meeting).waiting_room && !self.hits(5) {
            let seen_at = self.after(at.max(host_at), 5, 60);
            self.step(seen_at, Does::Admit(visit));
        }
        visit
    }

    /// Changes are made before the lesson, by its teacher.
    fn meddle(&mut self, lessons: &[Lesson]) {
        let firsts: Vec<(usize, Timestamp)> = lessons.iter().map(|lesson| (lesson.meeting, lesson.starts_at)).collect();
        for (number, (meeting, bell)) in firsts.iter().copied().enumerate() {
            let is_first = number == 0 || firsts.get(number - 1).is_none_or(|(other, _)| *other != meeting);
            if is_first && self.planned(meeting).by_api && self.hits(self.school.meddled_percent) {
                let what = if self.hits(50) { Meddling::Changed } else { Meddling::Deleted };
                let at = self.after(bell.minus(Duration::from_millis(50 * MINUTE)), 0, 30 * 60);
                self.step(at, Does::Meddle(meeting, what));
            }
        }
    }
}
