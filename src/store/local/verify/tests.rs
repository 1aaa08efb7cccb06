//! Whatever is changed of what `verify` covers is found, and nothing is found where nothing was changed.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::{Elsewhere, Finding};
use crate::audit::{Detail, Kind};
use crate::chance::{Chance, SeededChance, SystemChance};
use crate::clock::{Clock, ManualClock, SystemClock, Timestamp};
use crate::event::signature::Verified;
use crate::ids::AppName;
use crate::store::journal::{self, Record, Rewrite};
use crate::store::local::keys::Owner;
use crate::store::local::record::{self, Blob, Stored, StoredBody};
use crate::store::local::seal::Purpose;
use crate::store::local::{Before, LocalStore, MasterKey, Settings};
use crate::store::port::{NewDelivery, Note, Store};
use crate::store::wide;

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);
macro_rules! say {
    ($($what:tt)*) => {
        let _told = writeln!(std::io::stderr(), $($what)*);
    };
}

mod figures;

const MASTER: MasterKey = MasterKey::Bytes([7; 32]);

fn open(folder: &Path, clock: &ManualClock) -> LocalStore {
    let settings = Settings {
        disk_reserve_bytes: 0,
        journal: journal::Settings { segment_bytes: 64 << 10 },
        snapshot_every_bytes: 128 << 10,
        ..Settings::default()
    };
    let (clock, chance) = (Arc::new(clock.clone()), Arc::new(SystemChance));
    LocalStore::open(folder, settings, MASTER, clock, chance, &mut |_, _, _| {}).unwrap().0
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            std::fs::copy(&from, &to).unwrap();
        }
    }
}

/// Hours of a store's life: deliveries, entries, checkpoints.
async fn live(store: &LocalStore, clock: &ManualClock, hours: std::ops::Range<u64>) {
    for hour in hours {
        for n in 0..60 {
            let body = format!(r#"{{"event":"user.created","hour":{hour},"n":{n}}}"#);
            let verified = Verified::reread(body.into(), NOW.as_secs(), None);
            let delivery = NewDelivery { app: AppName::parse("main").unwrap(), received_at: clock.now(), verified };
            store.deliver(delivery).await.unwrap();
            let detail = Detail { subject: Some(format!("user:{n}")), ..Detail::note("something was done") };
            let note = Note { kind: Kind::Service, app: None, account: None, code: "done".to_owned(), detail };
            store.note(note, clock.now()).await.unwrap();
        }
        store.sign_checkpoint().await.unwrap();
        clock.set(clock.now().plus(Duration::from_secs(3600)));
    }
}

struct Logs {
    folder: tempfile::TempDir,
    /// As it was some hours before.
    older: tempfile::TempDir,
    anchor: Elsewhere,
}

impl Logs {
    async fn new() -> Self {
        let clock = ManualClock::at(NOW);
        let (folder, older) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let store = open(folder.path(), &clock);
        live(&store, &clock, 0..4).await;
        store.close_now().unwrap();
        copy(folder.path(), older.path());
        let store = open(folder.path(), &clock);
        live(&store, &clock, 4..6).await;
        // Bodies of the first hours are pruned.
        store.prune(Before::bodies(NOW.plus(Duration::from_secs(7_000))), |_, _| {}).await.unwrap();
        let keys = store.log_keys().await.unwrap();
        let anchor =
            Elsewhere { name: "the anchor".to_owned(), note: store.checkpoint().await.unwrap().unwrap(), keys };
        store.close_now().unwrap();
        Self { folder, older, anchor }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    fn findings(&self, folder: &Path) -> Vec<Finding> {
        match LocalStore::verify_folder(folder, &MASTER, std::slice::from_ref(&self.anchor), &mut |_, _| {}) {
            Ok(verified) => verified.findings,
            Err(error) => vec![Finding { place: "the store".to_owned(), what: error.to_string() }],
        }
    }

    /// Every file that is covered, by its path in the folder.
    fn files(&self) -> Vec<PathBuf> {
        let mut all = Vec::new();
        let mut folders: Vec<PathBuf> = ["journal", "log"].map(|name| self.path().join(name)).into();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
                if entry.path().is_dir() { folders.push(entry.path()) } else { all.push(entry.path()) }
            }
        }
        all.sort();
        all
    }
}

/// A change of one file, and how it is called. None where it would change nothing.
fn edited(bytes: &[u8], chance: &SeededChance) -> Option<(&'static str, Option<Vec<u8>>)> {
    let below = |end: usize| usize::try_from(chance.next_u64() % wide(end.max(1))).unwrap();
    let mut edited = bytes.to_vec();
    let length = bytes.len();
    let (from, until) = {
        let (one, other) = (below(length), below(length));
        (one.min(other), one.max(other))
    };
    let name = match chance.next_u64() % 7 {
        0 => {
            edited[from] ^= 1 << below(8);
            "a bit"
        }
        1 => {
            edited[until..].iter_mut().take(16).for_each(|byte| *byte = !*byte);
            "some bytes"
        }
        2 => {
            edited.truncate(until);
            "its end cut off"
        }
        3 => {
            edited[until..].fill(0);
            "its end made zeroes"
        }
        4 => {
            edited.drain(from..until);
            "a piece cut out"
        }
        5 => {
            let width = (until - from).min(length - until).min(512);
            for n in 0..width {
                edited.swap(from + n, until + n);
            }
            "two pieces swapped"
        }
        _ => return Some(("taken away", None)),
    };
    (edited != bytes).then_some((name, Some(edited)))
}

#[tokio::test]
async fn whatever_is_changed_of_a_log_is_found_and_named_and_nothing_is_where_nothing_was() {
    let is_long = std::env::var_os("ADJUTANT_LONG").is_some();
    let rounds = if is_long { 10_000 } else { 300 };
    let seed = match std::env::var("ADJUTANT_SEED") {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => u64::try_from(SystemClock.now().as_millis()).unwrap(),
    };
    let chance = SeededChance::new(seed);
    let logs = Logs::new().await;
    assert_eq!(logs.findings(&logs.path()), [], "untouched");
    let files = logs.files();
    assert!(files.iter().any(|file| file.to_string_lossy().contains("log/tile/0/000")), "{files:?}");
    let mut told = std::collections::BTreeMap::<&str, usize>::new();
    let mut done = 0;
    while done < rounds {
        let file = &files[usize::try_from(chance.next_u64()).unwrap() % files.len()];
        let bytes = std::fs::read(file).unwrap();
        let Some((name, edited)) = edited(&bytes, &chance) else { continue };
        match edited {
            Some(edited) => std::fs::write(file, edited).unwrap(),
            None => std::fs::remove_file(file).unwrap(),
        }
        let findings = logs.findings(&logs.path());
        std::fs::write(file, &bytes).unwrap();
        assert!(!findings.is_empty(), "ADJUTANT_SEED={seed}, round {done}: {name} of {} is not found", file.display());
        assert!(findings.iter().all(|found| !found.place.is_empty() && !found.what.is_empty()), "{findings:?}");
        *told.entry(name).or_default() += 1;
        done += 1;
    }
    assert_eq!(logs.findings(&logs.path()), [], "as it was");
    say!("ADJUTANT_SEED={seed}: {done} changes of {} files, all found: {told:?}", files.len());
}

#[tokio::test]
async fn what_was_rolled_back_is_found_by_the_last_anchor() {
    let logs = Logs::new().await;
    let found = logs.findings(logs.older.path());
    assert!(found.iter().any(|found| found.place == "the anchor"), "{found:?}");
    for part in ["journal", "log"] {
        let folder = tempfile::tempdir().unwrap();
        copy(&logs.path(), folder.path());
        std::fs::remove_dir_all(folder.path().join(part)).unwrap();
        copy(&logs.older.path().join(part), &folder.path().join(part));
        let found = logs.findings(folder.path());
        assert!(!found.is_empty(), "of {part}");
    }
}

#[tokio::test]
async fn a_tile_that_is_another_is_made_anew_from_the_journal_and_the_log_goes_on() {
    let logs = Logs::new().await;
    let tile = logs.path().join("log/tile/0/001");
    let mut bytes = std::fs::read(&tile).unwrap();
    bytes[77] ^= 1;
    std::fs::write(&tile, &bytes).unwrap();
    assert!(logs.findings(&logs.path()).iter().any(|found| found.what.contains("entry 258 ")));
    let clock = ManualClock::at(NOW.plus(Duration::from_secs(40_000)));
    let store = open(&logs.path(), &clock);
    live(&store, &clock, 6..7).await;
    assert!(store.prove(258).await.unwrap().is_some());
    assert_eq!(store.log_trouble(), None);
    store.close_now().unwrap();
    assert_eq!(logs.findings(&logs.path()), []);
}

/// Rewrites records of a store that runs. How many were replaced.
fn rewrite(store: &LocalStore, mut changed: impl FnMut(&Record) -> Rewrite) -> u64 {
    let core = store.core();
    let sealed = core.reader.segments().into_iter().filter(|segment| segment.sealed);
    sealed.map(|segment| core.pruner.rewrite_segment(segment.first, &mut changed).unwrap().replaced).sum()
}

/// What somebody could change who knows how records are made, checksums and leaves included.
#[tokio::test]
async fn an_entry_that_was_made_another_with_all_that_belongs_to_it_is_found_and_named() {
    let logs = Logs::new().await;
    let changed = |record: &Record, wanted: u64| match Stored::decode(record.kind, record.version, &record.payload) {
        Some(Stored::Changes(mut changes)) if changes.first_index == wanted => {
            let entry = changes.entries.first_mut().unwrap();
            let record::Kept::Told(line) = &mut entry.kept else { panic!("of version 1") };
            line.code = "nothing".to_owned();
            entry.leaf = entry.hashed();
            let payload = changes.encode();
            Rewrite::Replace { kind: record.kind, version: record.version, payload }
        }
        Some(Stored::Delivery(mut delivery)) if delivery.head.index == wanted => {
            delivery.tail.received_at = NOW.plus(Duration::from_secs(1));
            delivery.head.leaf = delivery.hashed();
            let payload = delivery.encode();
            Rewrite::Replace { kind: record.kind, version: record.version, payload }
        }
        _ => Rewrite::Keep,
    };
    for wanted in [100, 101, 300, 333, 640, 641] {
        let folder = tempfile::tempdir().unwrap();
        copy(&logs.path(), folder.path());
        let store = open(folder.path(), &ManualClock::at(NOW.plus(Duration::from_secs(40_000))));
        assert_eq!(rewrite(&store, |record| changed(record, wanted)), 1, "entry {wanted}");
        store.abandon();
        let found = logs.findings(folder.path());
        // Beyond the last full tile, by the checkpoints around it.
        let is_among = |what: &str| {
            let (first, last) = what.split_once("the entries ")?.1.strip_suffix(" now")?.split_once(" to ")?;
            Some((first.parse().ok()?..=last.parse().ok()?).contains(&wanted))
        };
        let is_named = found.iter().any(|found| {
            if wanted < 512 {
                found.what.contains(&format!("entry {wanted} "))
            } else {
                is_among(&found.what) == Some(true)
            }
        });
        assert!(is_named, "entry {wanted}: {found:?}");
    }
}

/// What somebody could change who has the store's keys as well.
#[tokio::test]
async fn a_body_in_the_place_of_another_is_found_and_named_also_while_the_store_runs() {
    let logs = Logs::new().await;
    let store = open(&logs.path(), &ManualClock::at(NOW.plus(Duration::from_secs(40_000))));
    let keys = &store.core().keys;
    let own = keys.of(&Owner::App(AppName::parse("main").unwrap())).unwrap();
    let mut changed = None;
    let replaced = rewrite(&store, |record| match Stored::decode(record.kind, record.version, &record.payload) {
        Some(Stored::Delivery(mut delivery)) if changed.is_none() => {
            let StoredBody::Salted { sealed: Blob(sealed), .. } = &mut delivery.tail.body else { return Rewrite::Keep };
            let mut plain = keys.open_blob(Purpose::Body, sealed).unwrap();
            *plain.last_mut().unwrap() = b' ';
            *sealed = own.seal(Purpose::Body, &[&plain], &SystemChance);
            changed = Some((delivery.head.index, delivery.head.id));
            Rewrite::Replace { kind: record.kind, version: record.version, payload: delivery.encode() }
        }
        _ => Rewrite::Keep,
    });
    let (entry, delivery) = changed.unwrap();
    let what = format!("the body of delivery {delivery} is not the one that entry {entry} says");
    assert_eq!(replaced, 1);
    let online = store.leaves(0, usize::MAX, false).await.unwrap().findings;
    assert_eq!(online, [Finding { place: format!("entry {entry}"), what: what.clone() }]);
    store.abandon();
    let offline = logs.findings(&logs.path());
    assert!(matches!(offline.as_slice(), [only] if only.what == what), "{offline:?}");
}
