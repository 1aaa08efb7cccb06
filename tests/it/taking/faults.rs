//! Each kind under all faults together: receivers that are down, slow and at fault, and a service that is killed again and
//! again. With `ADJUTANT_LONG=1` it is killed every ten seconds for some minutes.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use adjutant::chance::{Chance as _, SeededChance};
use serde_json::Value;

use super::streams::framed;
use super::{consumer, event, hook, inbox, is_signed, service, size, wait_for};
use crate::process::service::{Service, free};
use crate::process::{long, say, seed, since_epoch};

/// A receiver of syslog that can go down, and come up again at its address.
struct Collector {
    address: SocketAddr,
    messages: Arc<Mutex<Vec<String>>>,
    accepting: Option<(Arc<AtomicBool>, std::thread::JoinHandle<()>)>,
}

impl Collector {
    fn new() -> Self {
        let listener = free();
        let mut collector = Self { address: listener.local_addr().unwrap(), messages: Arc::default(), accepting: None };
        collector.accept(listener);
        collector
    }

    fn accept(&mut self, listener: TcpListener) {
        let (is_down, messages) = (Arc::<AtomicBool>::default(), Arc::clone(&self.messages));
        let until = Arc::clone(&is_down);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if until.load(Ordering::SeqCst) {
                    return;
                }
                for message in framed(stream.unwrap()) {
                    // Slow on purpose.
                    std::thread::sleep(Duration::from_micros(500));
                    messages.lock().unwrap().push(message);
                }
            }
        });
        self.accepting = Some((is_down, thread));
    }

    fn down(&mut self) {
        let (is_down, thread) = self.accepting.take().unwrap();
        is_down.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address).unwrap());
        thread.join().unwrap();
    }

    fn up(&mut self) {
        self.accept(TcpListener::bind(self.address).unwrap());
    }
}

/// What came to one consumer, each as its id and its text.
struct Came(Vec<(String, String)>);

impl Came {
    /// How many came again, where all came in order, none is missing, and each that came again was the same.
    fn checked(&self, whose: &str, (last, seed): (u64, u64)) -> usize {
        let mut texts: BTreeMap<&str, &str> = BTreeMap::new();
        let mut next = 0;
        for (id, text) in &self.0 {
            if let Some(before) = texts.insert(id, text) {
                assert_eq!(before, text, "ADJUTANT_SEED={seed} {whose}: {id} is of one entry for ever");
                continue;
            }
            let index: u64 = id.rsplit('/').next().unwrap().parse().unwrap();
            assert_eq!(index, next, "ADJUTANT_SEED={seed} {whose}: in order, and none is missing");
            next += 1;
        }
        assert!(next >= last, "ADJUTANT_SEED={seed} {whose}: {next} of {last}");
        self.0.len() - texts.len()
    }
}

fn with_id(text: &str) -> (String, String) {
    let event: Value = serde_json::from_str(text).unwrap();
    (event["id"].as_str().unwrap().to_owned(), text.to_owned())
}

/// The lines of the file and of those that were put aside, the oldest first. Half a line is of a sudden end.
fn lines(folder: &Path) -> Came {
    let aside = (1..1_000).map(|number| folder.join(format!("lines.jsonl.{number}")));
    let paths: Vec<_> =
        std::iter::once(folder.join("lines.jsonl")).chain(aside).take_while(|path| path.exists()).collect();
    let texts = paths.iter().rev().map(|path| std::fs::read_to_string(path).unwrap());
    let text: String = texts.collect();
    Came(text.lines().filter(|line| serde_json::from_str::<Value>(line).is_ok()).map(with_id).collect())
}

const NAMES: [&str; 3] = ["siem", "collector", "lines"];

/// A life of the service in which nobody takes anything.
fn nobody_is_there(service: &mut Service, collector: &mut Collector, is_down: &AtomicBool, life: u64) {
    let (lines, aside) = (service.folder().join("lines.jsonl"), service.folder().join("aside"));
    collector.down();
    is_down.store(true, Ordering::SeqCst);
    std::fs::rename(&lines, &aside).unwrap();
    std::fs::create_dir(&lines).unwrap();
    assert!(service.start(&[]), "{}", service.log());
    // They may have all that came before.
    assert_eq!(service.deliver(&event(1_000_000 + life)).unwrap(), 200);
    for name in NAMES {
        while consumer(service, name)["failed_times"].as_u64().unwrap() < 2 {
            std::thread::yield_now();
        }
    }
    service.kill();
    std::fs::remove_dir(&lines).unwrap();
    std::fs::rename(&aside, &lines).unwrap();
    is_down.store(false, Ordering::SeqCst);
    collector.up();
}

#[test]
fn under_all_faults_together_every_entry_arrives_at_each_consumer_in_order_and_under_one_id() {
    let seed = seed();
    let (lives, events) = if long() { (18_u64, 300) } else { (4, 60) };
    let (chance, is_down) = (SeededChance::new(seed), Arc::<AtomicBool>::default());
    let down = Arc::clone(&is_down);
    let (url, told) = inbox(move |_| {
        // Slow on purpose.
        std::thread::sleep(Duration::from_millis(10));
        if down.load(Ordering::SeqCst) {
            503
        } else if chance.unit() < 0.05 {
            500
        } else {
            200
        }
    });
    let mut collector = Collector::new();
    let mut service = service(&format!(
        "{}[[consumer]]\nname = \"collector\"\nkind = \"syslog\"\naddress = \"{}\"\ntls = false\ninclude = [\"audit\"]\n\
         from = \"start\"\n[[consumer]]\nname = \"lines\"\nkind = \"file\"\npath = \"lines.jsonl\"\n\
         include = [\"audit\"]\nfrom = \"start\"\nrotate_mib = 1\nkeep = 1000\n",
        hook("siem", &url, "batch_max = 10\n"),
        collector.address
    ));
    for life in 0..lives {
        if life % 6 == 1 {
            nobody_is_there(&mut service, &mut collector, &is_down, life);
        }
        assert!(service.start(&[]), "ADJUTANT_SEED={seed}: {}", service.log());
        let started = since_epoch();
        while long() && since_epoch() < started + Duration::from_secs(10) {
            std::thread::yield_now();
        }
        for id in life * events..(life + 1) * events {
            assert_eq!(service.deliver(&event(id)).unwrap(), 200);
        }
        // In the midst of what is sent.
        service.kill();
    }
    assert!(service.start(&[]), "{}", service.log());
    let last = size(&service);
    for name in NAMES {
        wait_for(&service, name, last);
    }
    service.kill();
    // The kernel has the rest of it.
    collector.down();
    let (mut siem, mut failed) = (Vec::new(), 0);
    for (status, asked) in told.try_iter() {
        assert!(is_signed(&asked), "{:?}", asked.headers);
        if status == 200 {
            let events: Vec<&serde_json::value::RawValue> = serde_json::from_slice(&asked.body).unwrap();
            siem.extend(events.into_iter().map(|event| with_id(event.get())));
        } else {
            failed += 1;
        }
    }
    let messages = collector.messages.lock().unwrap();
    let messages = messages.iter().map(|message| with_id(message.splitn(8, ' ').nth(7).unwrap())).collect();
    let again = [("siem", Came(siem)), ("collector", Came(messages)), ("lines", lines(service.folder()))];
    let again = again.map(|(whose, came)| (whose, came.checked(whose, (last, seed))));
    assert!(failed >= 2, "{failed}");
    say(&format!(
        "ADJUTANT_SEED={seed}: {last} entries, {} kills, {failed} requests refused or failed; came again: {again:?}",
        lives + lives.div_ceil(6)
    ));
}
