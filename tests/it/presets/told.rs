//! What presets told people, and what they changed at Zoom, against what was so.

use std::collections::{BTreeMap, BTreeSet};

use adjutant::sim::{Meddling, Meeting};
use serde_json::Value;

use super::day::{DEPUTY, Played, SUBSTITUTE};
use super::timers::told;
use crate::process::service::ACCOUNT;

/// The jobs of a rule that came to this; none may be left open.
fn done<'p>(played: &'p Played, rule: &str, seed: u64) -> Vec<&'p str> {
    let of_rule = played.jobs.iter().filter(|job| job.rule == rule);
    let (done, other): (Vec<_>, Vec<_>) = of_rule.partition(|job| job.state == "done");
    let open: Vec<_> = other.iter().filter(|job| job.state != "cancelled").collect();
    assert!(open.is_empty(), "seed {seed}: {rule} is not done: {open:#?}");
    done.iter().map(|job| job.why.as_str()).collect()
}

/// Each event of these was told, with how bad it is, and no other.
fn exposure(played: &Played, seed: u64, (rule, events, severity): (&str, &[&str], &str)) -> String {
    let key = |event: &str, at: &str, object: &Value| {
        let id = &object["id"];
        let id = id.as_str().map_or_else(|| id.to_string(), str::to_owned);
        (event.to_owned(), at.to_owned(), id, object["participant"]["user_id"].as_str().unwrap_or_default().to_owned())
    };
    let happened: BTreeSet<_> = told(played)
        .iter()
        .filter(|one| events.contains(&one.event.as_str()))
        .map(|one| key(&one.event, &one.at().to_string(), &one.body["payload"]["object"]))
        .collect();
    let mut said = BTreeMap::new();
    for line in played.ops.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        let data = &line["data"];
        if data["rule"] == rule {
            assert_eq!(data["severity"], severity, "seed {seed}: {line}");
            let text = |key: &str| line[key].as_str().unwrap().to_owned();
            let key = key(&text("type"), &text("timestamp"), &data["event"]["object"]);
            said.entry(key).or_insert_with(BTreeSet::new).insert(data["delivery"].as_str().unwrap().to_owned());
        }
    }
    let told: BTreeSet<_> = said.keys().cloned().collect();
    assert_eq!(told, happened, "seed {seed}: {rule}");
    let twice: Vec<_> = said.iter().filter(|(_, deliveries)| deliveries.len() > 1).collect();
    assert!(twice.is_empty(), "seed {seed}: {rule} told twice of {twice:?}");
    assert_eq!(done(played, rule, seed).len(), happened.len(), "seed {seed}: jobs of {rule}");
    assert!(!happened.is_empty(), "seed {seed}: nothing to tell proves nothing of {rule}");
    format!("{rule}: {} events, each told once", happened.len())
}

fn waiting_rooms(played: &Played, seed: u64) -> String {
    let off: BTreeSet<_> = played
        .switched_off
        .iter()
        .map(|(meeting, by)| format!("The waiting room of meeting {meeting} was switched off by {by}."))
        .collect();
    let said: BTreeSet<_> = played.ops.iter().filter(|line| line.starts_with("The waiting room")).cloned().collect();
    assert_eq!(said, off, "seed {seed}");
    assert_eq!(done(played, "exposure-waiting-room", seed).len(), off.len(), "seed {seed}");
    assert!(!off.is_empty(), "seed {seed}: none was switched off, which proves nothing");
    format!("exposure-waiting-room: {} switched off, each told", off.len())
}

fn timetable(played: &Played, seed: u64) -> String {
    let mut expected = BTreeSet::new();
    for meddled in &played.truth.meddled {
        let verb = if meddled.what == Meddling::Changed { "changed" } else { "deleted" };
        expected.insert((meddled.meeting.to_string(), format!("was {verb} by {}", meddled.by)));
        let meeting = played.world.meeting(ACCOUNT, meddled.meeting).unwrap();
        assert!(!meeting.deleted, "seed {seed}: {} was not recovered", meddled.meeting);
    }
    let made =
        |meeting: &u64| played.world.meeting(ACCOUNT, *meeting).is_some_and(|made| made.creation_source == "open_api");
    let switched_off: Vec<_> = played.switched_off.iter().filter(|(meeting, _)| made(meeting)).collect();
    for (meeting, by) in &switched_off {
        expected.insert((meeting.to_string(), format!("was changed by {by}")));
    }
    let mut said = BTreeSet::new();
    for line in played.ops.iter().filter(|line| line.contains("(meeting ") && line.contains(" by ")) {
        let meeting = line.split("(meeting ").nth(1).unwrap().split([',', ')']).next().unwrap().to_owned();
        let verb = if line.contains(" was deleted by ") { "deleted" } else { "changed" };
        let by = line.split(&format!(" was {verb} by ")).nth(1).unwrap();
        let by = by.split([':', ' ']).next().unwrap().trim_end_matches('.').to_owned();
        said.insert((meeting, format!("was {verb} by {by}")));
        let is_whole = verb == "deleted"
            || line.contains("duration was 45 and is 90, topic was ")
            || line.contains("{\"waiting_room\": true} and is");
        assert!(is_whole, "seed {seed}: no old and new in {line}");
    }
    assert_eq!(said, expected, "seed {seed}: what was told of the timetable");
    let sent = done(played, "timetable-guard", seed).iter().filter(|why| why.starts_with("sent")).count();
    // Of one meeting more than once, where somebody changes it more than once.
    assert_eq!(sent, played.truth.meddled.len() + switched_off.len(), "seed {seed}: jobs of timetable-guard");
    assert!(!expected.is_empty(), "seed {seed}: nobody meddled, which proves nothing");
    let (all, recovered) =
        (expected.len(), played.truth.meddled.iter().filter(|one| one.what == Meddling::Deleted).count());
    format!("timetable-guard: {all} of others, each told; {recovered} deleted, each recovered")
}

fn orphaned(played: &Played, seed: u64) -> String {
    let (mut hosts, mut meetings) = (0, 0);
    for lost in &played.truth.lost {
        let lines: BTreeSet<_> =
            played.ops.iter().filter(|line| line.contains(&lost.email) && line.contains(DEPUTY)).collect();
        if lost.upcoming.is_empty() {
            assert!(lines.is_empty(), "seed {seed}: nothing is orphaned of {lost:?}, and {lines:?}");
            continue;
        }
        assert_eq!(lines.len(), 1, "seed {seed}: of {lost:?}: {lines:#?}");
        let line = lines.first().unwrap();
        let missing: Vec<_> = lost.upcoming.iter().filter(|id| !line.contains(&id.to_string())).collect();
        assert!(missing.is_empty(), "seed {seed}: {missing:?} is not in {line}");
        (hosts, meetings) = (hosts + 1, meetings + lost.upcoming.len());
    }
    let sent = done(played, "orphaned", seed).iter().filter(|why| why.starts_with("sent")).count();
    assert_eq!(sent, hosts, "seed {seed}: jobs of orphaned");
    assert!(hosts > 0, "seed {seed}: nobody was orphaned, which proves nothing");
    format!("orphaned: {hosts} hosts with {meetings} meetings, each told")
}

/// Meetings that can be looked at when all is over.
fn left(played: &Played) -> impl Iterator<Item = Meeting> {
    let lost: BTreeSet<_> = played.truth.lost.iter().map(|lost| lost.host_id.clone()).collect();
    let all = played.world.meetings(ACCOUNT).into_iter();
    all.filter(move |meeting| !meeting.deleted && !meeting.started && !lost.contains(&meeting.host_id))
}

fn is(meeting: &Meeting, setting: &str, wanted: &Value) -> bool {
    meeting.settings.get(setting) == Some(wanted)
}

fn safe(played: &Played, seed: u64) -> String {
    let (mut teachers, mut others) = (0, 0);
    for meeting in left(played) {
        let safe = is(&meeting, "waiting_room", &true.into())
            && is(&meeting, "join_before_host", &false.into())
            && is(&meeting, "meeting_authentication", &true.into());
        if played.teachers.contains(&meeting.host_id) {
            let hosts = meeting.settings.get("alternative_hosts").and_then(Value::as_str).unwrap_or_default();
            assert!(safe && hosts.contains(SUBSTITUTE), "seed {seed}: not safe: {meeting:?}");
            teachers += 1;
        } else {
            assert!(!is(&meeting, "meeting_authentication", &true.into()), "seed {seed}: of no teacher: {meeting:?}");
            others += 1;
        }
    }
    assert!(teachers > 0 && others > 0, "seed {seed}: {teachers} and {others} meetings prove nothing");
    format!("safe-by-default: {teachers} meetings of teachers are safe, {others} of others were left alone")
}

/// The substitute may start what nobody started.
fn substitute(played: &Played, seed: u64) -> String {
    let jobs = done(played, "substitute-may-start", seed);
    let changed = jobs.iter().filter(|why| **why == format!("changed: set alternative_hosts \"{SUBSTITUTE}\"")).count();
    let right = jobs.iter().filter(|why| **why == "already right").count();
    assert_eq!(changed + right, jobs.len(), "seed {seed}: {jobs:?}");
    assert!(changed > 0, "seed {seed}: nobody was made an alternative host");
    format!("substitute-may-start: {changed} meetings got a substitute, {right} had one")
}

fn after_class(played: &Played, seed: u64) -> String {
    let ran: BTreeSet<_> = played.truth.instances.iter().map(|run| run.meeting).collect();
    let (mut put_back, mut others) = (0, 0);
    for meeting in left(played) {
        let is_so = is(&meeting, "mute_upon_entry", &true.into()) && is(&meeting, "participant_video", &false.into());
        let is_meant = meeting.kind == 8 && ran.contains(&meeting.id);
        assert_eq!(is_so, is_meant, "seed {seed}: {meeting:?}");
        if is_meant { put_back += 1 } else { others += 1 }
    }
    assert!(put_back > 0 && others > 0, "seed {seed}: {put_back} and {others} meetings prove nothing");
    format!("after-class: {put_back} series were put back, {others} meetings left alone")
}

pub(super) fn check(played: &Played, seed: u64) -> Vec<String> {
    let critical = ["meeting.risk_alert", "meeting.live_streaming_started", "meeting.permanently_deleted"];
    let warning = ["meeting.alert", "meeting.participant_role_changed"];
    vec![
        exposure(played, seed, ("exposure-critical", &critical, "critical")),
        exposure(played, seed, ("exposure-warning", &warning, "warning")),
        waiting_rooms(played, seed),
        timetable(played, seed),
        orphaned(played, seed),
        substitute(played, seed),
        safe(played, seed),
        after_class(played, seed),
    ]
}
