//! How late timers fire among a hundred thousand that run, in the real service, before it is killed and after.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::net::TcpStream;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use adjutant::clock::Stopwatch;

use super::kit::rounds;
use crate::process::service::{ACCOUNT, SECRET, Service};
use crate::process::{say, since_epoch, spread};
use crate::timers::RULE;

const SENDERS: usize = 8;
const AFTER: Duration = Duration::from_secs(86_400);
/// Over what time the timers of one round come due.
const SPREAD: Duration = Duration::from_secs(5);

const WAITS: &str = "meeting.participant_jbh_waiting";
/// Beside [`RULE`], whose timers they are.
const AT_ONCE: &str = r#"
[[rule]]
name = "at-once"
on = ["meeting.created"]
send = "archive"
template = '{"run": "{{ event.payload.object.uuid }}"}'
mode = "enforce"
"#;

/// What is told of a run: its uuid is its number.
#[derive(Debug, Clone)]
struct Told {
    event: &'static str,
    run: u64,
    at: Duration,
}

impl Told {
    fn body(&self) -> String {
        let Self { event, run, at } = self;
        let (meeting, at) = (90_000_000_000 + run, at.as_millis());
        format!(
            r#"{{"event":"{event}","event_ts":{at},"payload":{{"account_id":"{ACCOUNT}","object":{{"id":"{meeting}","uuid":"{run}","host_id":"jill","topic":"Algebra","type":2}}}}}}"#
        )
    }
}

/// A connection to the receiver that is used again.
struct Line<'a> {
    service: &'a Service,
    stream: Option<TcpStream>,
}

impl Line<'_> {
    fn tell(&mut self, told: &Told) {
        let (body, secs) = (told.body(), i64::try_from(since_epoch().as_secs()).unwrap());
        let signature = adjutant::sim::sign(SECRET, secs, body.as_bytes());
        let (to, length, id) = (self.service.public, body.len(), format!("{}-{}", told.event, told.run));
        let request = format!(
            "POST /webhooks/main HTTP/1.1\r\nhost: {to}\r\ncontent-length: {length}\r\nx-zm-signature: {signature}\r\n\
             x-zm-request-timestamp: {secs}\r\nx-zm-request-id: {id}\r\n\r\n{body}"
        );
        let stream = self.stream.get_or_insert_with(|| TcpStream::connect(to).unwrap());
        stream.write_all(request.as_bytes()).unwrap();
        let (mut answer, mut got) = ([0; 2048], 0);
        while !answer[..got].ends_with(b"\r\n\r\n") {
            let more = stream.read(&mut answer[got..]).unwrap();
            assert!(more > 0, "the connection was closed");
            got += more;
        }
        let answer = String::from_utf8_lossy(&answer[..got]).to_lowercase();
        assert!(answer.starts_with("http/1.1 200") && answer.contains("content-length: 0"), "{answer}");
        if answer.contains("connection: close") {
            self.stream = None;
        }
    }
}

/// Over several connections; all of it was answered 200 when this ends.
fn tell(service: &Service, all: &[Told]) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..SENDERS {
            scope.spawn(|| {
                let mut line = Line { service, stream: None };
                while let Some(told) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    line.tell(told);
                }
            });
        }
    });
}

/// Until all that was told has its decision.
fn wait_until_planned(service: &Service) {
    while service.status().unwrap()["unplanned"] != 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn wait_until_nothing_runs(service: &Service) {
    while service.status().unwrap()["running"] != 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The consumer's end of the file.
struct Archive {
    path: PathBuf,
    read: u64,
    rest: String,
    /// When each run was first seen in it.
    seen: BTreeMap<u64, Duration>,
    /// Runs that were due when the service was killed: what it had sent, and not put on record, it sends again.
    may_repeat: BTreeSet<u64>,
}

impl Archive {
    /// Takes what was appended since; every line is of another run.
    fn take(&mut self) {
        let Ok(mut file) = std::fs::File::open(&self.path) else { return };
        file.seek(SeekFrom::Start(self.read)).unwrap();
        self.read += u64::try_from(file.read_to_string(&mut self.rest).unwrap()).unwrap();
        let now = since_epoch();
        while let Some((line, rest)) = self.rest.split_once('\n') {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            let run = line["run"].as_str().unwrap().parse().unwrap();
            let is_new = !self.seen.contains_key(&run);
            assert!(is_new || self.may_repeat.contains(&run), "run {run} is there twice");
            self.seen.entry(run).or_insert(now);
            self.rest = rest.to_owned();
        }
    }

    /// Follows the file until it has all of these.
    fn wait_for(&mut self, runs: &BTreeSet<u64>) {
        let given_up = since_epoch() + Duration::from_secs(600);
        loop {
            self.take();
            let missing = runs.iter().filter(|run| !self.seen.contains_key(run)).count();
            if missing == 0 {
                return;
            }
            assert!(since_epoch() < given_up, "{missing} of {} never fired", runs.len());
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// Timers that come due spread over some seconds. Of ten one is ended by an event that came before, and one by an event that
/// comes behind.
struct Round {
    due: BTreeMap<u64, Duration>,
    /// The events that end others.
    ends: Vec<Told>,
    /// Runs that fired, or may have, before it was known what ends them.
    may_fire: BTreeSet<u64>,
}

impl Round {
    /// All of these runs are told of.
    fn tell(service: &Service, runs: Range<u64>, first: Duration) -> Self {
        let count = u32::try_from(runs.end - runs.start).unwrap();
        let (mut due, mut before, mut begun, mut behind) = (BTreeMap::new(), Vec::new(), Vec::new(), Vec::new());
        for (place, run) in (0..).zip(runs) {
            // Zoom says when something happened in milliseconds.
            let at = Duration::from_millis(u64::try_from((first + SPREAD * place / count).as_millis()).unwrap());
            due.insert(run, at);
            begun.push(Told { event: WAITS, run, at: at.checked_sub(AFTER).unwrap() });
            let end = Told { event: "meeting.started", run, at: at.checked_sub(AFTER / 2).unwrap() };
            match run % 10 {
                0 => before.push(end),
                5 => behind.push(end),
                _ => {}
            }
        }
        for all in [&before, &begun, &behind] {
            tell(service, all);
            wait_until_planned(service);
        }
        let known = since_epoch();
        let may_fire = behind.iter().map(|told| told.run).filter(|run| due[run] <= known).collect();
        due.retain(|run, _| !matches!(run % 10, 0 | 5));
        Self { due, ends: [before, behind].concat(), may_fire }
    }

    fn runs(&self) -> BTreeSet<u64> {
        self.due.keys().copied().collect()
    }

    /// Each fired, none before its time; those that were ended did not.
    fn check(&self, archive: &Archive, when: &str) {
        let late = |(run, due): (&u64, &Duration)| {
            let seen = archive.seen[run];
            seen.checked_sub(*due).unwrap_or_else(|| panic!("run {run} fired early: due {due:?}, seen {seen:?}"))
        };
        let late: Vec<Duration> = self.due.iter().map(late).collect();
        say(&format!("{} that came due within {SPREAD:?} {when} were late: {}", late.len(), spread(late)));
        for ended in &self.ends {
            let has_fired = archive.seen.contains_key(&ended.run) && !self.may_fire.contains(&ended.run);
            assert!(!has_fired, "{ended:?} did not end it");
        }
    }
}

/// What it takes is printed; what is asserted holds on any machine.
#[test]
fn each_of_many_timers_fires_once_and_none_early_before_a_kill_and_after_and_what_was_ended_never() {
    let (timers, of_round) = (rounds(3_000, 90_000), rounds(1_000, 5_000));
    let mut service = Service::new("http://127.0.0.1:9/v2", "http://127.0.0.1:9/oauth");
    let path = service.folder().join("config.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    let (config, _) = config.split_once("[[rule]]").unwrap();
    let defaults = ["segment_bytes = 4194304\n", "snapshot_every_bytes = 1048576\n"];
    let config = defaults.iter().fold(config.to_owned(), |config, key| config.replace(key, ""));
    std::fs::write(&path, config + RULE + AT_ONCE).unwrap();
    let mut archive = Archive {
        path: service.folder().join("events.jsonl"),
        read: 0,
        rest: String::new(),
        seen: BTreeMap::new(),
        may_repeat: BTreeSet::new(),
    };
    assert!(service.start(&[]), "{}", service.log());

    let resting: Vec<Told> =
        (0..timers).map(|run| Told { event: WAITS, run: 1_000_000 + run, at: since_epoch() }).collect();
    let watch = Stopwatch::start();
    tell(&service, &resting);
    wait_until_planned(&service);
    let took = watch.elapsed();
    say(&format!("{timers} timers began in {took:?}, {} MB resident", service.resident_mb()));
    assert_eq!(service.status().unwrap()["due"], timers);

    // So much later that all of a round is known before its first is due.
    let of_round_took = took * u32::try_from(of_round).unwrap() / u32::try_from(timers).unwrap();
    let ahead = || since_epoch() + Duration::from_secs(2) + of_round_took * 3;
    let first = Round::tell(&service, 0..of_round, ahead());
    let (fired, posted) = (AtomicBool::new(false), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        // Meanwhile other events ask for something at once.
        scope.spawn(|| {
            let mut line = Line { service: &service, stream: None };
            for run in 2_000_000.. {
                line.tell(&Told { event: "meeting.created", run, at: since_epoch() });
                posted.lock().unwrap().insert(run, since_epoch());
                if fired.load(Ordering::Relaxed) {
                    return;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        archive.wait_for(&first.runs());
        fired.store(true, Ordering::Relaxed);
    });
    let posted = posted.into_inner().unwrap();
    archive.wait_for(&posted.keys().copied().collect());
    first.check(&archive, "before a kill");
    let late = posted.iter().map(|(run, at)| archive.seen[run].saturating_sub(*at)).collect();
    say(&format!("{} other jobs meanwhile were done after: {}", posted.len(), spread(late)));

    // A start takes as long as its timers are many.
    let second = Round::tell(&service, of_round..2 * of_round, ahead() + Duration::from_secs(timers / 10_000));
    service.kill();
    let killed = since_epoch();
    archive.may_repeat = posted.keys().copied().chain(first.runs()).collect();
    archive.may_repeat.extend(second.due.iter().filter(|(_, due)| **due <= killed).map(|(run, _)| *run));
    let watch = Stopwatch::start();
    assert!(service.start(&[]), "{}", service.log());
    let (took, running) = (watch.elapsed(), service.status().unwrap()["due"].clone());
    say(&format!("a start with {running} timers took {took:?}, {} MB resident", service.resident_mb()));
    archive.wait_for(&second.runs());
    second.check(&archive, "after it");
    wait_until_nothing_runs(&service);
    archive.take();
    let may_fire = archive.seen.keys().filter(|run| first.may_fire.contains(run) || second.may_fire.contains(run));
    let all = first.due.len() + second.due.len() + posted.len() + may_fire.count();
    assert_eq!((archive.seen.len(), &service.status().unwrap()["due"]), (all, &serde_json::json!(timers)));
    say(&format!("at the end {} MB resident", service.resident_mb()));
    assert_eq!(service.terminate(), Some(0), "{}", service.log());
}
