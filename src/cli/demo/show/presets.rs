//! The presets at work, one line each. What takes minutes or hours in life is told late here: an event that happened almost
//! five minutes ago begins a timer that is almost over.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::service::{ACCOUNT, API_USER, OWNER};
use super::{Stage, Told};
use crate::cli::Failure;
use crate::cli::demo::stage::told;
use crate::clock::{Clock as _, SystemClock, Timestamp};
use crate::sim::{Meeting, NewUser, Notice, Person};

const TEACHER: &str = "hana@school.example";
const SUBSTITUTE: &str = "substitute@school.example";
const DEPUTY: &str = "deputy@school.example";
const LEAVER: &str = "ivo@school.example";
/// What is left of a timer when the demo begins it.
const LEFT: Duration = Duration::from_secs(2);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// How long ago something happened so that a timer of so long is almost over.
fn almost(timer: Duration) -> Timestamp {
    SystemClock.now().minus(timer.saturating_sub(LEFT))
}

impl Stage<'_> {
    pub(super) async fn presets(&mut self) -> Result<(), Failure> {
        self.say(
            "",
            "presets, as `adjutant rules presets` prints them: what they send is in ops.jsonl and records.jsonl",
        )?;
        let told = self.people_of_presets();
        if told.is_err() {
            return self.tell(told.map(|()| String::new())).map(drop);
        }
        let told = self.safe_by_default().await;
        self.tell(told)?;
        let told = self.host_did_not_come().await;
        self.tell(told)?;
        let told = self.after_class().await;
        self.tell(told)?;
        let told = self.attendance().await;
        self.tell(told)?;
        let told = self.timetable_guard().await;
        self.tell(told)?;
        let told = self.never_ending().await;
        self.tell(told)?;
        let told = self.orphaned().await;
        self.tell(told)?;
        let told = self.exposure().await;
        self.tell(told).map(drop)
    }

    fn people_of_presets(&self) -> Result<(), String> {
        for email in [TEACHER, SUBSTITUTE, DEPUTY, LEAVER] {
            self.create(NewUser::licensed(email))?;
        }
        let group = told(self.world().add_group(ACCOUNT, "Teachers"))?;
        told(self.world().join_group(ACCOUNT, &group, TEACHER))
    }

    async fn safe_by_default(&self) -> Told {
        let id = self.lesson(TEACHER, &json!({"settings": {"waiting_room": false, "join_before_host": true}}))?;
        let safe = |meeting: &Meeting| {
            let is = |name: &str, wanted: Value| meeting.settings.get(name) == Some(&wanted);
            is("waiting_room", true.into())
                && is("join_before_host", false.into())
                && is("meeting_authentication", true.into())
                && is("alternative_hosts", SUBSTITUTE.into())
        };
        self.meeting_is("safe", id, safe).await?;
        Ok(format!("safe-by-default: meeting {id} of a teacher got a waiting room, a sign-in and a substitute"))
    }

    async fn host_did_not_come(&self) -> Told {
        let id = self.lesson("ada@school.example", &json!({}))?;
        let waits = json!({"participant": {"id": "", "user_name": "Ann", "email": ""}});
        self.happened("meeting.participant_jbh_waiting", almost(5 * MINUTE), id, &waits).await?;
        self.is_told("The host did not come").await?;
        let has_substitute =
            |meeting: &Meeting| meeting.settings.get("alternative_hosts") == Some(&Value::from(SUBSTITUTE));
        self.meeting_is("given a substitute", id, has_substitute).await?;
        Ok(format!(
            "host-did-not-come: people waited five minutes (simulated) for {id}: told, and the substitute may start it"
        ))
    }

    async fn after_class(&self) -> Told {
        let weekly = json!({"type": 2, "repeat_interval": 1, "end_times": 10});
        let id = self.lesson("ada@school.example", &json!({"type": 8, "recurrence": weekly}))?;
        self.come("ada@school.example", id)?;
        let waits = |job: &crate::web::admin::view::JobView| {
            job.rule == "after-class" && job.subject.ends_with(&id.to_string())
        };
        self.until("after-class waits for the end", || async {
            self.jobs("waiting").await.is_ok_and(|jobs| jobs.iter().any(waits))
        })
        .await?;
        told(self.world().end_meeting(ACCOUNT, id))?;
        let is_muted = |meeting: &Meeting| meeting.settings.get("mute_upon_entry") == Some(&Value::Bool(true));
        self.meeting_is("muted", id, is_muted).await?;
        Ok(format!(
            "after-class: meeting {id} ran, so that the rule waited; when it ended, the next lesson starts muted"
        ))
    }

    async fn attendance(&self) -> Told {
        let id = self.lesson("ada@school.example", &json!({}))?;
        let ended = almost(2 * MINUTE);
        let at = |minute: u32| ended.minus(MINUTE * 45).plus(MINUTE * minute);
        let visit = |who: &str, key: &str, at: Timestamp| json!({"participant": {"user_id": who, "user_name": who, "id": "", "email": format!("{who}@home.example"), key: at.to_string()}});
        let stays = [("ann", 0, 20), ("ann", 25, 44), ("bob", 2, 44)];
        // The last comes first.
        for (who, from, to) in stays {
            self.happened("meeting.participant_left", at(to), id, &visit(who, "leave_time", at(to))).await?;
            self.happened("meeting.participant_joined", at(from), id, &visit(who, "join_time", at(from))).await?;
        }
        self.happened("meeting.ended", ended, id, &json!({"end_time": ended.to_string()})).await?;
        let line = self.line_with("records.jsonl", &id.to_string()).await?;
        let record: Value = told(serde_json::from_str(&line))?;
        let people = record.pointer("/data/record/attendance/participants").and_then(Value::as_array);
        let known = people.map(|people| {
            let one = |who: &Value| {
                (who["name"].as_str().map(str::to_owned), who["seconds"].as_u64(), who["rejoined"].as_u64())
            };
            people.iter().map(one).collect::<Vec<_>>()
        });
        let so =
            vec![(Some("ann".to_owned()), Some(39 * 60), Some(1)), (Some("bob".to_owned()), Some(42 * 60), Some(0))];
        if known.as_ref() != Some(&so) {
            return Err(format!("attendance of {id} is {known:?}"));
        }
        Ok(format!("attendance: one record of {id}, though told backwards: ann 39 min, came back once; bob 42 min"))
    }

    async fn timetable_guard(&self) -> Told {
        let id = self.lesson(API_USER, &json!({"schedule_for": "ada@school.example", "topic": "History"}))?;
        self.sim.settle().await;
        told(self.world().update_meeting_as(ACCOUNT, "ada@school.example", id, &json!({"duration": 90})))?;
        self.is_told("was changed by ada@school.example").await?;
        told(self.world().delete_meeting_as(ACCOUNT, "ada@school.example", id))?;
        self.is_told("was deleted by ada@school.example").await?;
        self.meeting_is("there again", id, |meeting| !meeting.deleted).await?;
        Ok(format!("timetable-guard: ada changed and deleted {id}, which the API user had made: told, and recovered"))
    }

    async fn never_ending(&self) -> Told {
        let long = self.lesson("ada@school.example", &json!({"topic": "Study hall"}))?;
        self.happened("meeting.started", almost(12 * HOUR), long, &json!({})).await?;
        self.is_told("A meeting does not end").await?;
        let longer = self.lesson("ada@school.example", &json!({}))?;
        // Told first, so that the timer counts from then.
        self.happened("meeting.started", almost(13 * HOUR), longer, &json!({})).await?;
        self.come("ada@school.example", longer)?;
        self.meeting_is("ended", longer, |meeting| !meeting.started).await?;
        Ok(format!("never-ending: told of {long} after 12 hours (simulated); {longer} was ended after 13"))
    }

    async fn orphaned(&self) -> Told {
        let tomorrow = SystemClock.now().plus(24 * HOUR);
        let id = self.lesson(LEAVER, &json!({"topic": "Physics", "start_time": tomorrow.to_string()}))?;
        told(self.world().deactivate(ACCOUNT, LEAVER))?;
        let line = self.line_with("ops.jsonl", &format!("{LEAVER} cannot host any more")).await?;
        if !line.contains(&id.to_string()) || !line.contains(DEPUTY) {
            return Err(format!("{LEAVER} left meeting {id}, and what was told is {line}"));
        }
        Ok(format!("orphaned: {LEAVER} was deactivated: meeting {id} is told, and that {DEPUTY} could take it"))
    }

    async fn exposure(&self) -> Told {
        let id = self.lesson("ada@school.example", &json!({}))?;
        self.come("ada@school.example", id)?;
        told(self.world().notice(ACCOUNT, id, Notice::StreamStarted))?;
        let line = self.line_with("ops.jsonl", "meeting.live_streaming_started").await?;
        if !line.contains("critical") {
            return Err(format!("no severity in {line}"));
        }
        Ok(format!("exposure: somebody streams meeting {id}: told at once, as critical"))
    }

    // What they are made of.

    fn lesson(&self, of: &str, fields: &Value) -> Result<u64, String> {
        let mut all = json!({"topic": "Mathematics", "type": 2, "duration": 45});
        if let (Some(all), Some(more)) = (all.as_object_mut(), fields.as_object()) {
            all.extend(more.clone());
        }
        // What the app does, Zoom tells as done by the owner of the account.
        let by = if of == API_USER { OWNER } else { of };
        told(self.world().create_meeting_as(ACCOUNT, by, of, &all))
    }

    fn come(&self, email: &str, meeting: u64) -> Result<(), String> {
        let user = self.world().user(ACCOUNT, email).ok_or_else(|| format!("{email} is gone from Zoom"))?;
        let person = Person { name: user.display_name, email: user.email, id: user.id, registrant_id: None };
        told(self.world().arrive(ACCOUNT, meeting, person)).map(drop)
    }

    /// Tells of a meeting's run, as it is now, that this happened then.
    async fn happened(&self, event: &str, at: Timestamp, meeting: u64, more: &Value) -> Result<(), String> {
        let run = self.world().meeting(ACCOUNT, meeting).ok_or_else(|| format!("{meeting} is gone from Zoom"))?;
        let mut object = json!({
            "id": meeting.to_string(), "uuid": run.uuid, "host_id": run.host_id, "topic": run.topic, "type": run.kind,
            "start_time": at.to_string(), "duration": run.duration, "timezone": "UTC",
        });
        if let (Some(object), Some(more)) = (object.as_object_mut(), more.as_object()) {
            object.extend(more.clone());
        }
        let payload = json!({"account_id": ACCOUNT, "object": object});
        let body = json!({"event": event, "event_ts": at.as_millis(), "payload": payload});
        self.deliver(&body.to_string(), super::super::service::SECRET).await
    }

    async fn meeting_is(&self, what: &str, id: u64, is_so: impl Fn(&Meeting) -> bool) -> Result<(), String> {
        let is = || self.world().meeting(ACCOUNT, id).is_some_and(|meeting| is_so(&meeting));
        self.until(&format!("meeting {id} is {what}"), || async { is() }).await
    }

    async fn is_told(&self, text: &str) -> Result<(), String> {
        self.line_with("ops.jsonl", text).await.map(drop)
    }

    /// The first line of what a consumer got that has this in it.
    async fn line_with(&self, file: &str, text: &str) -> Result<String, String> {
        let path = self.service.folder().join(file);
        let find = || {
            let lines = std::fs::read_to_string(&path).unwrap_or_default();
            lines.lines().find(|line| line.contains(text)).map(str::to_owned)
        };
        self.until(&format!("{file} says {text:?}"), || async { find().is_some() }).await?;
        find().ok_or_else(|| format!("{file} does not say {text:?} any more"))
    }
}
