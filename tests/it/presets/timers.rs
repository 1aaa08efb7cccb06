//! Which timers fired against what was so. Zoom's deliveries come late, and the service is dead for a while: whether a timer
//! should have fired is a matter of what the service could know then, and where that was a matter of seconds, either is right.

use std::collections::BTreeMap;
use std::time::Duration;

use adjutant::clock::Timestamp;
use serde_json::Value;

use super::day::Played;

/// So close to each other, two things may have happened in either order to the service.
const CLOSE: Duration = Duration::from_secs(5);
/// What is due is done so soon, calls to Zoom and their limits included.
const SOON: Duration = Duration::from_secs(30);
const WAITS: [&str; 2] = ["meeting.participant_jbh_waiting", "meeting.participant_joined_waiting_room"];
const GONE: [&str; 2] = ["meeting.deleted", "meeting.permanently_deleted"];

/// An event as the service may have heard of it.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) event: String,
    pub(super) body: Value,
    at: Timestamp,
    /// When it was first sent: if the service died then, it may know it all the same.
    perhaps: Timestamp,
    /// When it was first acknowledged.
    surely: Timestamp,
}

impl Told {
    pub(super) fn at(&self) -> Timestamp {
        self.at
    }

    fn meeting(&self) -> String {
        let id = &self.body["payload"]["object"]["id"];
        id.as_str().map_or_else(|| id.to_string(), str::to_owned)
    }

    fn run(&self) -> &str {
        self.body["payload"]["object"]["uuid"].as_str().unwrap_or_default()
    }
}

/// Each event once, however often it was sent.
pub(super) fn told(played: &Played) -> Vec<Told> {
    let mut by_body: BTreeMap<&[u8], (Timestamp, Option<Timestamp>)> = BTreeMap::new();
    for attempt in &played.attempts {
        let known = by_body.entry(&attempt.delivery.body).or_insert((attempt.at, None));
        if matches!(attempt.result, adjutant::sim::Sent::Status(200)) {
            known.1.get_or_insert(attempt.at);
        }
    }
    let told = |(body, (perhaps, surely)): (&[u8], (Timestamp, Option<Timestamp>))| {
        let body: Value = serde_json::from_slice(body).unwrap();
        let surely = surely.unwrap_or_else(|| panic!("never delivered: {body}"));
        let (event, at) = (body["event"].as_str().unwrap().to_owned(), body["event_ts"].as_i64().unwrap());
        Told { event, body, at: Timestamp::from_millis(at), perhaps, surely }
    };
    by_body.into_iter().map(told).collect()
}

#[derive(Debug, Default)]
struct Fires {
    must: Vec<String>,
    may: Vec<String>,
    /// From when to when each is due.
    due: BTreeMap<String, (Timestamp, Timestamp)>,
}

/// Which runs the timer fires for.
fn fires(all: &[Told], begins: &[&str], unless: &str, after: Duration) -> Fires {
    let mut by_run: BTreeMap<&str, Vec<&Told>> = BTreeMap::new();
    for one in all.iter().filter(|one| begins.contains(&one.event.as_str())) {
        by_run.entry(one.run()).or_default().push(one);
    }
    let mut fires = Fires::default();
    for (run, began) in by_run {
        let due = |one: &Told, heard: Timestamp| one.at.plus(after).max(heard);
        // The first that the service heard of began it; an older one that comes later makes it due earlier.
        let earliest = began.iter().map(|one| due(one, one.perhaps)).min().unwrap();
        let first = began.iter().map(|one| one.surely).min().unwrap();
        let began: Vec<&Told> = began.into_iter().filter(|one| one.perhaps <= first).collect();
        let latest = began.iter().map(|one| due(one, one.surely)).max().unwrap();
        let meeting = began.first().unwrap().meeting();
        let ends = |one: &&Told| {
            let is_no_older = one.meeting() == meeting && began.iter().all(|began| one.at >= began.at);
            match one.event.as_str() {
                event if event == unless => one.run() == run || is_no_older,
                // One that came back has the same uuid.
                event => GONE.contains(&event) && is_no_older,
            }
        };
        let ends: Vec<&Told> = all.iter().filter(ends).collect();
        fires.due.insert(run.to_owned(), (earliest, latest));
        let surely_ended = ends.iter().any(|end| end.surely.plus(CLOSE) <= earliest);
        // What happened after it was due may be what it did.
        let perhaps_ended = ends.iter().any(|end| end.at < latest && end.perhaps <= latest.plus(CLOSE));
        match (surely_ended, perhaps_ended) {
            (true, _) => {}
            (false, true) => fires.may.push(run.to_owned()),
            (false, false) => fires.must.push(run.to_owned()),
        }
    }
    fires
}

/// Runs for which a rule's timer fired, each once.
fn fired(played: &Played, rule: &str, seed: u64) -> Vec<String> {
    let of_rule = played.jobs.iter().filter(|job| job.rule == rule);
    let (done, open): (Vec<_>, Vec<_>) =
        of_rule.filter(|job| job.state != "cancelled").partition(|job| job.state == "done");
    assert!(open.is_empty(), "seed {seed}: {rule} is not done: {open:#?}");
    let mut runs: Vec<String> =
        done.iter().map(|job| job.subject.strip_prefix("instance:").unwrap().to_owned()).collect();
    runs.sort();
    let all = runs.len();
    runs.dedup();
    assert_eq!(runs.len(), all, "seed {seed}: {rule} fired twice for one run");
    runs
}

/// All that is known of a run, for whoever looks for a mistake.
fn about(played: &Played, run: &str, meeting: u64) -> Vec<String> {
    let subjects = [format!("instance:{run}"), format!("meeting:{meeting}")];
    let of_run = played.jobs.iter().filter(|job| subjects.contains(&job.subject));
    let truth = played.truth.instances.iter().filter(|one| one.meeting == meeting);
    let truth = truth.map(|one| format!("run {} from {} to {:?}", one.uuid, one.started_at, one.ended_at));
    let about = |attempt: &&adjutant::sim::Attempt| {
        let body = String::from_utf8_lossy(&attempt.delivery.body);
        !attempt.delivery.event.contains("participant_") && body.contains(&meeting.to_string())
    };
    let attempts = played.attempts.iter().filter(about);
    let attempts = attempts.map(|one| format!("{} {} {:?}", one.at, one.delivery.event, one.result));
    let jobs: Vec<&str> = of_run.clone().map(|job| job.id.as_str()).collect();
    let entries = played.entries();
    let entries = entries.iter().filter(|entry| entry["job"].as_str().is_some_and(|job| jobs.contains(&job)));
    let entries: Vec<String> = entries
        .map(|entry| format!("{} {} {} {} {}", entry["at"], entry["job"], entry["kind"], entry["code"], entry["note"]))
        .collect();
    truth.chain(attempts).chain(of_run.map(|job| format!("{job:?}"))).chain(entries).collect()
}

fn compare(
    played: &Played,
    all: &[Told],
    seed: u64,
    (rule, begins, unless, hours): (&str, &[&str], &str, f64),
) -> String {
    let Fires { must, may, due } = fires(all, begins, unless, Duration::from_secs_f64(hours * 3600.0));
    let fired = fired(played, rule, seed);
    let about = |runs: Vec<&String>| {
        let meeting = |run: &str| all.iter().find(|one| one.run() == run).map(|one| one.meeting().parse().unwrap());
        runs.into_iter().map(|run| about(played, run, meeting(run).unwrap())).collect::<Vec<_>>()
    };
    let missing = about(must.iter().filter(|run| !fired.contains(run)).collect());
    assert!(missing.is_empty(), "seed {seed}: {rule} did not fire for {missing:#?}");
    let wrong = about(fired.iter().filter(|run| !must.contains(run) && !may.contains(run)).collect());
    assert!(wrong.is_empty(), "seed {seed}: {rule} fired for {wrong:#?}");
    for job in played.jobs.iter().filter(|job| job.rule == rule && job.state == "done") {
        let (earliest, latest) = due[job.subject.strip_prefix("instance:").unwrap()];
        // What was due while the service was dead, or just before, fires when it is there again.
        let dead = played.kills.iter().find(|(died, back)| (died.minus(SOON)..*back).contains(&latest));
        let latest = dead.map_or(latest, |(_, back)| *back);
        let in_time = earliest <= job.at && job.at <= latest.plus(SOON);
        assert!(in_time, "seed {seed}: {rule} fired at {} and was due from {earliest} to {latest}: {job:?}", job.at);
    }
    assert!(!must.is_empty(), "seed {seed}: nothing had to fire, which proves nothing of {rule}");
    format!("{rule}: fired for {} runs, {} had to, {} were close", fired.len(), must.len(), may.len())
}

pub(super) fn check(played: &Played, seed: u64) -> Vec<String> {
    let all = told(played);
    let five_minutes = 5.0 / 60.0;
    let rules: [(&str, &[&str], &str, f64); 4] = [
        ("host-did-not-come", &WAITS, "meeting.started", five_minutes),
        ("substitute-may-start", &WAITS, "meeting.started", five_minutes),
        ("never-ending", &["meeting.started"], "meeting.ended", 12.0),
        ("never-ending-end", &["meeting.started"], "meeting.ended", 13.0),
    ];
    let mut lines: Vec<String> = rules.into_iter().map(|rule| compare(played, &all, seed, rule)).collect();
    // What the simulator says of the day, by its own record and not by its events.
    let fired = fired(played, "host-did-not-come", seed);
    let unattended = played.truth.unattended.iter().filter(|run| fired.contains(&run.uuid)).count();
    assert!(unattended > 0, "seed {seed}: nobody was told of a host who did not come");
    lines.push(format!(
        "of {} runs that people waited for in vain, {unattended} were told",
        played.truth.unattended.len()
    ));
    for run in &played.truth.instances {
        let lasted = run.ended_at.map(|ended| ended.since(run.started_at));
        let is_so = lasted.is_some_and(|lasted| lasted <= Duration::from_secs(13 * 3600 + 60));
        assert!(
            is_so,
            "seed {seed}: a run lasted {lasted:?}: {} of {}: {:#?}",
            run.uuid,
            run.meeting,
            about(played, &run.uuid, run.meeting)
        );
    }
    lines
}
