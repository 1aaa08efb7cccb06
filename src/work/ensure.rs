//! A rule is made true for one subject: read what is needed, judge, intend, change, read back, judge again. One path for
//! rules of all kinds.

use super::around::Around;
use super::judge::{Difference, Need, Picture, Verdict, edits, in_words, judge};
use super::planned::planned;
use super::seen::seen;
use super::told::{Past, Told, told_by};
use super::{Ctx, End, Ended, Guard, Hand, Task, UNKNOWN_ATTEMPTS, fullest, granted_for_good, grants};
use crate::account::UserKey;
use crate::audit::Saw;
use crate::clock::Timestamp;
use crate::ids::MeetingId;
use crate::job::{Asker, DayUse, Effect, Intent, Outcome, ParkCause, Planned, Subject};
use crate::rules::{MeetingState, Mode, Rule, SubjectKind};
use crate::zoom::{Assistant, Edit, Object, ZoomError};

/// Rounds of changes in one attempt: one may make another possible, as a licence does an assistant.
const ROUNDS_MAX: usize = 3;
/// Reads between two changes. Each is needed once, so that more would be a defect.
const READS_MAX: usize = 100;

/// What the job's subject is at Zoom.
#[derive(Debug, Clone)]
enum Of {
    User(UserKey),
    Meeting(MeetingId),
    /// What happened is about neither, or about many.
    Nobody,
}

/// `saw` becomes how the rule's condition looked, as far as that was asked.
pub(super) async fn ensure(task: &Task<'_>, saw: &mut Vec<Saw>) -> Ended<Effect> {
    let told = if task.rule.asked().is_some() && task.rule.on.is_some() { task.told().await? } else { None };
    let mut look = Look::begin(task, told)?;
    if task.is_only_planned()
        && look.picture.event.is_none()
        && task.rule.asked().is_some_and(|asked| asked.names("event").is_some())
    {
        // It was asked when that was planned, and there is no event any more.
        look.asked_enough();
    }
    let mut done: Vec<Difference> = Vec::new();
    for _ in 0..ROUNDS_MAX {
        let verdict = look.verdict().await?;
        if done.is_empty() {
            *saw = seen(task.rule, &look.around, &look.picture);
        }
        if done.is_empty() && task.is_only_planned() && !task.is_as_planned(&verdict) {
            let why = task.planned().map_or("the plan was over before its turn came", |_| "changed since the plan");
            return Err(End::not_applicable(why));
        }
        if matches!(verdict, Verdict::Right) {
            look.is_for_good().await?;
        }
        let differences = match verdict {
            Verdict::Differs(differences) => differences,
            // The change itself may have made the rule's condition false, so that it is not asked again.
            Verdict::Right if !done.is_empty() => return Ok(look.changed(&done)),
            verdict => return end(verdict),
        };
        let Hand::Enforce(guard) = task.hand else {
            return Ok(Effect::WouldChange { what: in_words(&differences) });
        };
        let is_again = |one: &Difference| done.iter().any(|before| before.edit == one.edit);
        if differences.iter().any(is_again) {
            return Err(look.ineffective(&done).await?);
        }
        // What became possible only now, nobody has seen in the plan.
        if !done.is_empty() && task.is_only_planned() {
            return Ok(look.changed(&done));
        }
        let (mut now, left): (Vec<_>, Vec<_>) = differences.into_iter().partition(|one| one.is_allowed(task.rule));
        if !left.is_empty() {
            let what = losses(&left);
            // A person let just this through: what has changed since is told anew.
            if task.job.allowed.as_ref() == Some(&what) {
                now.extend(left);
            } else if now.is_empty() {
                return Err(End::park(ParkCause::TakesAway { what }));
            }
        }
        look.change(guard, &now).await?;
        done.extend(now);
    }
    Err(task.not_effective(format!("it still differs after {ROUNDS_MAX} rounds: {}", in_words(&done))))
}

/// What the rule says of the job's user, if these were the assistants. Changes nothing.
pub(super) async fn says_of(task: &Task<'_>, assistants: Vec<Assistant>) -> Ended<Verdict> {
    let mut look = Look::begin(task, None)?;
    look.picture.assistants = Some(assistants);
    look.verdict().await
}

/// Reads what the event is about, as far as a rule that sends speaks of it: that is what there is where it is to be sent.
pub(super) async fn look(task: &Task<'_>, told: Told, saw: &mut Vec<Saw>) -> Ended<Object> {
    let mut look = Look::begin(task, Some(told))?;
    let verdict = look.verdict().await?;
    *saw = seen(task.rule, &look.around, &look.picture);
    match verdict {
        Verdict::Right => Ok(look.picture.about()),
        verdict => Err(end(verdict).map_or_else(|end| end, |effect| End::Outcome(Outcome::Done(effect)))),
    }
}

impl Task<'_> {
    /// The event that the job is about; none where it is not kept any more.
    pub(super) async fn told(&self) -> Ended<Option<Told>> {
        let Some(delivery) = told_by(self.job) else { return Ok(None) };
        let Ctx { store, facts, clock, .. } = self.ctx;
        Ok(Told::read(&**store, delivery, &self.account.id, facts, clock.now()).await?)
    }

    /// Nobody but a person who applied a plan asked for it.
    fn is_only_planned(&self) -> bool {
        self.job.asked_by == Asker::Plan
    }

    /// What a person applied a plan for, where that plan is not over.
    fn planned(&self) -> Option<Planned> {
        let now = self.ctx.clock.now();
        self.job.planned.filter(|planned| now <= planned.until)
    }

    /// Whether a person saw just these in a plan of the rule as it is.
    fn is_planned(&self, differences: &[Difference]) -> bool {
        self.planned().is_some_and(|seen| seen.hash == planned(self.rule, differences))
    }

    /// Whether the verdict allows what the plan said, and nothing else.
    fn is_as_planned(&self, verdict: &Verdict) -> bool {
        match verdict {
            Verdict::Differs(differences) => {
                let allowed: Vec<_> = differences.iter().filter(|one| one.is_allowed(self.rule)).cloned().collect();
                self.is_planned(&allowed)
            }
            Verdict::Right | Verdict::Reports(_) | Verdict::Unclear(_) | Verdict::Needs(_) => true,
            Verdict::Waits(_) | Verdict::NotApplicable(_) | Verdict::Unanswered(_) | Verdict::Impossible(_) => false,
        }
    }
}

/// What a verdict comes to that asks for no change.
fn end(verdict: Verdict) -> Ended<Effect> {
    match verdict {
        Verdict::Right => Ok(Effect::AlreadyRight),
        Verdict::Reports(what) => Ok(Effect::Reported { what }),
        Verdict::Waits(reason) => Err(End::waits(reason)),
        Verdict::NotApplicable(why) => Err(End::not_applicable(why)),
        Verdict::Unanswered(why) => Err(End::park(ParkCause::ConditionUnanswered { why })),
        Verdict::Impossible(cause) => Err(End::park(cause)),
        Verdict::Unclear(why) => Err(End::retry(why)),
        Verdict::Needs(_) | Verdict::Differs(_) => Err(End::retry("too much would have to be read")),
    }
}

/// What somebody would lose: what is there, and what would be there instead.
fn losses(differences: &[Difference]) -> String {
    let one = |one: &Difference| format!("{} {} would become {}", one.about, one.is, one.wanted);
    differences.iter().map(one).collect::<Vec<_>>().join("; ")
}

/// What one attempt sees.
struct Look<'a> {
    task: &'a Task<'a>,
    /// The rule; without its condition, once that held and something was changed.
    rule: Rule,
    around: Around<'a>,
    picture: Picture,
    of: Of,
    /// The groups were read anew, since the user seemed to be in one that was not among them.
    has_groups_anew: bool,
    /// What was changed, and when that began.
    wrote: Vec<(Timestamp, Edit)>,
}

impl<'a> Look<'a> {
    fn begin(task: &'a Task<'a>, told_of: Option<Told>) -> Ended<Self> {
        let subject = match task.rule.subject {
            SubjectKind::Event => told_of.as_ref().and_then(Told::subject),
            SubjectKind::User | SubjectKind::Meeting => Some(task.job.subject.clone()),
        };
        let of = match (subject.as_ref().unwrap_or(&task.job.subject), task.rule.subject) {
            (Subject::User { id: Some(id), .. }, SubjectKind::User) => Of::User(UserKey::Id(id.clone())),
            (Subject::User { id: None, email: Some(email) }, SubjectKind::User) => {
                Of::User(UserKey::Email(email.clone()))
            }
            (Subject::User { id: None, email: None }, SubjectKind::User) => {
                return Err(End::not_applicable("the event names no user"));
            }
            // What is ended is one run.
            (Subject::Meeting { .. }, SubjectKind::Meeting) if task.rule.ends() => {
                return Err(End::not_applicable("it was asked for under another rule, about no run of the meeting"));
            }
            (
                Subject::Meeting { id } | Subject::Instance { meeting: id, .. },
                SubjectKind::Meeting | SubjectKind::Event,
            ) => Of::Meeting(*id),
            (Subject::User { id, email }, SubjectKind::Event) => {
                UserKey::of(id.as_ref(), email.as_ref()).map_or(Of::Nobody, Of::User)
            }
            (Subject::Event { .. }, SubjectKind::Event) => Of::Nobody,
            // The rule of that name is about something else now.
            _ => return Err(End::park(ParkCause::RuleGone { is_another: true })),
        };
        let (facts, now) = (&task.ctx.facts, task.ctx.clock.now());
        let user = facts.take_listed(task.job, now);
        let of_subject = Picture::of(subject.as_ref().unwrap_or(&task.job.subject));
        let picture = Picture { is_listed_row: user.is_some(), user, event: told_of, ..of_subject };
        // Whoever is needed is asked for by name, so that somebody is told of one that cannot be granted.
        let around = facts.around(task.account, now).with_nobody();
        Ok(Self { task, rule: task.rule.clone(), around, picture, of, has_groups_anew: false, wrote: Vec::new() })
    }

    /// Reads until there is a verdict.
    async fn verdict(&mut self) -> Ended<Verdict> {
        for _ in 0..READS_MAX {
            match judge(&self.rule, &self.around, &self.picture) {
                Verdict::Needs(need) => self.read(need).await?,
                Verdict::Differs(found) if self.is_too_old_for(&found) => self.read(Need::User).await?,
                // A group may be newer than the list of them.
                Verdict::Unclear(_) if !self.has_groups_anew && self.asks_for_group_names() => {
                    self.task.ctx.facts.forget_groups(&self.task.account.id);
                    (self.around.groups, self.has_groups_anew) = (None, true);
                }
                verdict => return Ok(verdict),
            }
        }
        Ok(Verdict::Needs(Need::User))
    }

    /// A row of a list may be a minute old: nothing is taken away by its word, and nobody changed who may have become one of
    /// those whose role keeps them out.
    fn is_too_old_for(&self, found: &[Difference]) -> bool {
        let is_at_stake = !self.rule.except_roles.is_empty() || found.iter().any(|one| one.takes_away);
        self.picture.is_listed_row && is_at_stake && matches!(self.task.hand, Hand::Enforce(_))
    }

    fn asks_for_group_names(&self) -> bool {
        let asks = ["user", "host"].into_iter().any(|fact| self.rule.looks_at(fact, "groups"));
        self.around.groups.is_some() && (asks || self.rule.asks_for("groups"))
    }

    async fn read(&mut self, need: Need) -> Ended<()> {
        let (task, zoom) = (self.task, self.task.zoom);
        let failed = |error| task.failed(error);
        let facts = &task.ctx.facts;
        match (need, self.of.clone()) {
            (Need::User, Of::User(of)) => self.read_user(&of).await?,
            (Need::Assistants, Of::User(of)) => {
                self.picture.assistants = Some(zoom.assistants(&self.named(of)).await.map_err(failed)?);
            }
            (Need::Settings, Of::User(of)) => {
                self.picture.settings = Some(zoom.user_settings(&self.named(of)).await.map_err(failed)?);
            }
            (Need::Meeting, Of::Meeting(id)) => self.read_meeting(id).await?,
            (Need::Host, Of::Meeting(_)) => self.read_host().await?,
            (Need::Past, Of::Meeting(id)) => self.picture.past = Some(self.past(id).await?),
            (Need::Groups, _) => {
                let now = task.ctx.clock.now();
                self.around.groups = Some(facts.groups(&task.account.id, zoom, now).await.map_err(failed)?);
            }
            (Need::ApiUser(key), _) => self.around.learn(task.api_user(&key).await?),
            (Need::User | Need::Assistants | Need::Settings, Of::Meeting(_) | Of::Nobody)
            | (Need::Meeting | Need::Host | Need::Past, Of::User(_) | Of::Nobody) => {
                if task.rule.subject == SubjectKind::Event {
                    let why = "the event does not say which user or meeting it is about".to_owned();
                    return Err(End::park(ParkCause::ConditionUnanswered { why }));
                }
                return Err(End::park(ParkCause::RuleGone { is_another: true }));
            }
        }
        Ok(())
    }

    async fn read_user(&mut self, of: &UserKey) -> Ended<()> {
        let task = self.task;
        let user = match (task.zoom.user(of).await, self.told_instead().and_then(Told::user)) {
            (Err(ZoomError::NotFound(_)), Some(user)) => {
                self.picture.is_told = true;
                user
            }
            (read, _) => read.map_err(|error| task.failed(error))?,
        };
        let email = user.email.as_ref().or(self.picture.told.as_ref());
        if let Some(key) = self.around.api_user(user.id.as_ref(), email)
            && !self.picture.is_told
        {
            // An event about an API user brought us here, and it may be the one that makes it unusable.
            task.ctx.facts.saw_api_user(&task.account.id, &key, user.clone(), task.ctx.clock.now());
            task.api_user(&key).await?;
        }
        (self.picture.user, self.picture.is_listed_row) = (Some(user), false);
        Ok(())
    }

    /// The event, where it stands for what Zoom does not know: not where Zoom may only not show it yet.
    fn told_instead(&self) -> Option<&Told> {
        let told = self.picture.told_instead(&self.rule)?;
        (!told.is_first() || self.task.job.attempts > UNKNOWN_ATTEMPTS).then_some(told)
    }

    async fn past(&self, meeting: MeetingId) -> Ended<Past> {
        let (job, store) = (self.task.job, &*self.task.ctx.store);
        Ok(Past::read(store, (&job.app, &job.account), meeting).await?)
    }

    /// That Zoom does not know the meeting is what a rule is about that recovers it: its condition is asked of what events told.
    async fn is_gone(&mut self, id: MeetingId) -> Ended<()> {
        (self.picture.gone, self.picture.meeting) = (Some(id), None);
        if self.rule.asked().is_some() {
            let past = self.past(id).await?;
            let meeting = past.meeting(self.picture.event.as_ref());
            (self.picture.past, self.picture.is_told) = (Some(past), true);
            self.picture.meeting = Some(meeting.ok_or_else(|| End::retry("no event says what the meeting was"))?);
        }
        Ok(())
    }

    /// One that Zoom does not know, also after some tries, is over or was deleted, and nobody needs to look; but what is told of
    /// it may be asked of what it was.
    async fn read_meeting(&mut self, id: MeetingId) -> Ended<()> {
        let (task, is_last) = (self.task, self.told_instead().is_some_and(Told::is_last));
        let read = if is_last { Err(ZoomError::NotFound("deleted".to_owned())) } else { task.zoom.meeting(id).await };
        let read = match read {
            Err(ZoomError::NotFound(_)) if self.rule.recovers() => return self.is_gone(id).await,
            // With its end, an instant meeting is gone.
            Err(ZoomError::NotFound(_)) if self.rule.ends() && !self.wrote.is_empty() => {
                self.picture.gone = Some(id);
                return Ok(());
            }
            Err(ZoomError::NotFound(_)) if self.told_instead().is_some() => {
                let past = self.past(id).await?;
                let meeting = past.meeting(self.told_instead());
                (self.picture.past, self.picture.is_told) = (Some(past), true);
                meeting.ok_or_else(|| End::retry("no event says what the meeting was"))
            }
            Err(ZoomError::NotFound(_)) if task.job.attempts > UNKNOWN_ATTEMPTS => {
                Err(End::not_applicable("Zoom does not know the meeting: it is over or was deleted"))
            }
            read => read.map_err(|error| task.failed(error)),
        };
        self.picture.meeting = Some(read?);
        Ok(())
    }

    async fn read_host(&mut self) -> Ended<()> {
        let host = self.picture.meeting.as_ref().and_then(|meeting| meeting.host_id.clone());
        let is_gone = self.rule.subject == SubjectKind::Event;
        let read = match host {
            Some(host) => self.task.zoom.user(&UserKey::Id(host)).await,
            None if self.picture.is_told => Err(ZoomError::NotFound("nobody".to_owned())),
            None => return Err(End::retry("Zoom does not say who hosts the meeting")),
        };
        match read {
            Err(ZoomError::NotFound(_)) if is_gone => self.picture.has_no_host = true,
            read => self.picture.host = Some(read.map_err(|error| self.task.failed(error))?),
        }
        Ok(())
    }

    /// The user as calls name them: by id where it is known.
    fn named(&self, of: UserKey) -> UserKey {
        let id = self.picture.user.as_ref().and_then(|user| user.id.clone());
        id.map_or(of, UserKey::Id)
    }

    /// What an event has a rule grant stays, where it is there only because it is lent. Of what other rules grant, whoever takes it
    /// back asks them.
    async fn is_for_good(&self) -> Ended<()> {
        let (task, picture) = (self.task, &self.picture);
        let is_asked = task.rule.on.is_some() && task.rule.mode == Mode::Enforce;
        let (true, Some(there)) = (is_asked, &picture.assistants) else { return Ok(()) };
        let read = picture.user.as_ref().and_then(|user| user.id.clone());
        let named = if let Subject::User { id, .. } = &task.job.subject { id.clone() } else { None };
        let Some(of) = read.or(named) else { return Ok(()) };
        let lending = task.ctx.facts.lending(&task.account.id);
        let _nothing_is_taken_back_meanwhile = lending.lock().await;
        let is_granted = |one: &&Assistant| grants(task.rule, task.account, (one.id.as_ref(), one.email.as_ref()));
        for one in there.iter().filter(is_granted) {
            let Some(to) = &one.id else { continue };
            let by = format!("rule {}", task.rule.name);
            granted_for_good(&*task.ctx.store, &task.account.id, (&of, to), (&by, task.ctx.clock.now())).await?;
        }
        Ok(())
    }

    /// What was done is read back: events that tell of it alone are no news.
    fn changed(&mut self, done: &[Difference]) -> Effect {
        let (task, wrote) = (self.task, std::mem::take(&mut self.wrote));
        task.ctx.facts.wrote(task.job, task.rule, wrote, task.ctx.clock.now());
        Effect::Changed { what: in_words(done) }
    }

    /// Makes the changes, and forgets what they were about, so that it is read back.
    async fn change(&mut self, guard: &dyn Guard, differences: &[Difference]) -> Ended<()> {
        let (task, facts) = (self.task, &self.task.ctx.facts);
        let now = task.ctx.clock.now();
        for one in differences.iter().filter(|one| is_exclusive(one)) {
            if let Some(other) = task.opponent(&one.about, &one.wanted, now) {
                let (about, other) = (one.about.clone(), other.name.to_string());
                return Err(End::park(ParkCause::RulesDisagree { about, other }));
            }
        }
        // Of the changes of meetings in a day, others are none.
        let is_counted = differences.iter().any(|one| matches!(one.edit, Edit::SetMeeting { .. }));
        let days = if is_counted { self.days() } else { Vec::new() };
        let is_planned = task.is_planned(differences);
        let intent = task.intend(guard, differences, is_planned, days).await?;
        for one in differences.iter().filter(|one| is_exclusive(one)) {
            facts.changes(task.job, task.rule, (&one.about, &one.wanted), now);
        }
        for edit in edits(differences) {
            let began = task.ctx.clock.now();
            self.apply(guard, &intent, (edit.clone(), began)).await?;
            self.wrote.push((began, edit));
        }
        for one in differences {
            match &one.edit {
                Edit::AddAssistants { .. } | Edit::RemoveAssistant { .. } | Edit::RemoveAssistants { .. } => {
                    self.picture.assistants = None;
                }
                Edit::CreateUser(_)
                | Edit::SetUserActive { .. }
                | Edit::RemoveUser { .. }
                | Edit::SetPendingGroup { .. }
                | Edit::SetUserKind { .. } => self.picture.user = None,
                Edit::AddToGroup { .. } | Edit::RemoveFromGroup { .. } => {
                    (self.picture.user, self.picture.groups) = (None, None);
                }
                Edit::SetUserSettings { .. } => self.picture.settings = None,
                // Of others nobody asks here.
                Edit::RemoveScheduler { .. } | Edit::RemoveSchedulers { .. } | Edit::CreateMeeting { .. } => {}
                Edit::SetMeeting { .. }
                | Edit::UpdateMeeting { .. }
                | Edit::MoveMeeting { .. }
                | Edit::DeleteMeeting { .. }
                | Edit::SetMeetingStatus { .. } => {
                    (self.picture.meeting, self.picture.gone) = (None, None);
                }
            }
        }
        self.asked_enough();
        Ok(())
    }

    /// The condition is not asked again.
    fn asked_enough(&mut self) {
        self.rule.when = None;
        if let Some(on) = &mut self.rule.on {
            on.later = None;
        }
    }

    async fn apply(&mut self, guard: &dyn Guard, intent: &Intent, (edit, began): (Edit, Timestamp)) -> Ended<()> {
        match self.task.zoom.change(intent, edit.clone()).await {
            // What was granted meanwhile is read back like what we granted.
            Ok(_) | Err(ZoomError::AlreadyGranted) => Ok(()),
            Err(error) => match (error, edit) {
                (error @ (ZoomError::Unlicensed(_) | ZoomError::NotFound(_)), Edit::AddAssistants { who, .. }) => {
                    Err(self.blame(who, error).await?)
                }
                // It is over, and so gone.
                (
                    ZoomError::Refused { status: 404, message, .. },
                    Edit::SetMeetingStatus { to: MeetingState::Ended, .. },
                ) => Err(self.task.failed(ZoomError::NotFound(message))),
                (ZoomError::HostDay { why, .. }, _) => Err(self.host_spent(guard, began, why).await?),
                (error, _) => Err(self.task.failed(error)),
            },
        }
    }

    /// What a change of the meeting uses up.
    fn days(&self) -> Vec<DayUse> {
        self.picture.meeting.as_ref().map(|meeting| self.task.ctx.host_writes.of_rule(meeting)).unwrap_or_default()
    }

    /// The day in which the call began is used up; its answer may have come after midnight.
    async fn host_spent(&self, guard: &dyn Guard, began: Timestamp, why: String) -> Ended<End> {
        let (store, account) = (&*self.task.ctx.store, &self.task.account.id);
        if let Some(of) = fullest(store, account, self.days(), began).await? {
            guard.day_spent(&of, began).await?;
        }
        Ok(self.task.failed(ZoomError::HostDay { until: began.next_utc_midnight(), why }))
    }

    /// Zoom does not say which of the two users it means, so both are read.
    async fn blame(&mut self, who: Vec<UserKey>, error: ZoomError) -> Ended<End> {
        self.read_again().await?;
        for who in &who {
            self.task.ctx.facts.forget_api_user(&self.task.account.id, who);
        }
        self.around = self.around.clone().with_nobody();
        match self.verdict().await? {
            Verdict::Differs(_) | Verdict::Right => {
                Ok(End::retry(format!("{error}, though both users look as they should")))
            }
            verdict => end(verdict).map(|_| End::retry(error.to_string())),
        }
    }

    async fn read_again(&mut self) -> Ended<()> {
        match self.of.clone() {
            Of::User(of) => self.read_user(&self.named(of)).await,
            Of::Meeting(id) => self.read_meeting(id).await,
            Of::Nobody => Ok(()),
        }
    }

    /// What was done does not show. Zoom answers success to writes on pending users and does nothing.
    async fn ineffective(&mut self, done: &[Difference]) -> Ended<End> {
        self.read_again().await?;
        match self.verdict().await? {
            Verdict::Differs(_) | Verdict::Right => Ok(self.task.not_effective(in_words(done))),
            verdict => end(verdict).map(|_| self.task.not_effective(in_words(done))),
        }
    }
}

/// Whether two rules can want different things of it.
fn is_exclusive(difference: &Difference) -> bool {
    matches!(difference.edit, Edit::SetUserKind { .. } | Edit::SetUserSettings { .. } | Edit::SetMeeting { .. })
}
