//! Power cuts: nothing that was acknowledged is lost, whatever the disk did with what was not synced.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use adjutant::chance::{Chance as _, SeededChance};
use adjutant::ids::{DeliveryId, JobId};
use adjutant::store::local::{OpenError, Settings};
use adjutant::store::{DeliveryStatus, Limits, LocalStore, Store, StoreError, TreeHead, Verdict};

use super::kit::{self, Disk, decision, deliver, rounds, settings, work_one};
use crate::contract::kit::{START, changed, ensure, user_with_email, work};

/// What was acknowledged.
#[derive(Debug, Default)]
struct Acknowledged {
    bodies: BTreeMap<DeliveryId, String>,
    planned: BTreeMap<DeliveryId, &'static str>,
    settled: BTreeMap<JobId, String>,
    head: Option<TreeHead>,
}

async fn one_step(store: &LocalStore, task: u64, n: u64, known: &Mutex<Acknowledged>) -> Result<(), StoreError> {
    let body =
        format!("{{\"task\":{task},\"n\":{n},\"p\":\"{}\"}}", "p".repeat(usize::try_from(n * 37 % 900).unwrap()));
    let id = deliver(store, &body).await?;
    known.lock().unwrap().bodies.insert(id, body);
    let who = user_with_email(&format!("u{task}-{n}"), &format!("u{task}-{n}@example.com"));
    let (code, verdict) =
        if n.is_multiple_of(3) { ("work", work(vec![ensure("assist", who)])) } else { ("nothing", Verdict::Nothing) };
    store.record_plan(vec![decision(id, verdict)], START).await?;
    known.lock().unwrap().planned.insert(id, code);
    if n % 4 == 1
        && let Some(job) = work_one(store, changed()).await?
    {
        known.lock().unwrap().settled.insert(job.id, format!("{job:?}"));
    }
    let head = store.tree_head().await?;
    let mut known = known.lock().unwrap();
    if known.head.is_none_or(|old| old.size < head.size) {
        known.head = Some(head);
    }
    Ok(())
}

/// Works until the power goes off. What was acknowledged is known afterwards.
async fn work_until_dark(store: &LocalStore, known: &Arc<Mutex<Acknowledged>>, from: u64) {
    let tasks: Vec<_> = (0..4)
        .map(|task| {
            let (store, known) = (store.clone(), Arc::clone(known));
            tokio::spawn(async move {
                for n in from..from + 60 {
                    if one_step(&store, task, n, &known).await.is_err() {
                        return;
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

/// What is missing of what was acknowledged.
async fn missing(store: &LocalStore, known: &Acknowledged) -> Result<(), String> {
    for (id, body) in &known.bodies {
        let found = store.delivery(*id).await.map_err(|error| format!("{id}: {error}"))?;
        let (stored, status) = found.ok_or(format!("{id} is lost"))?;
        let verified = stored.verified.ok_or(format!("{id} has no body"))?;
        if verified.body() != body.as_bytes() {
            return Err(format!("{id} has another body"));
        }
        if let Some(code) = known.planned.get(id) {
            match status {
                DeliveryStatus::Planned { code: found, .. } if found == *code => {}
                other => return Err(format!("{id} was planned as {code} and is {other:?}")),
            }
        }
    }
    for (id, job) in &known.settled {
        let found = store.job(*id).await.map_err(|error| error.to_string())?;
        if found.map(|job| format!("{job:?}")).as_ref() != Some(job) {
            return Err(format!("{id} was settled and is not as it was"));
        }
    }
    let verified = store.verify(|_, _| {}).await.map_err(|error| error.to_string())?;
    if let Some(finding) = verified.findings.first() {
        return Err(format!("{finding:?}"));
    }
    if let Some(head) = known.head {
        let mut tree = adjutant::audit::tree::Frontier::default();
        for entry in store.entries(0, usize::MAX).await.map_err(|error| error.to_string())? {
            if tree.size() < head.size {
                tree.push(entry.leaf);
            }
        }
        if tree.root() != head.root {
            return Err("the log is not a continuation of the one that was shown".to_owned());
        }
    }
    Ok(())
}

fn small() -> Settings {
    Settings { snapshot_every_bytes: 20 << 10, ..settings(Limits::default()) }
}

/// Two cuts in a row at moments of chance. An error says what was lost.
async fn round(seed: u64, lying: bool) -> Result<(), String> {
    let chance = SeededChance::new(seed);
    let mut disk = Disk::new(chance.next_u64());
    let known = Arc::new(Mutex::new(Acknowledged::default()));
    for cut in 0..2_u64 {
        // Every other first round also has the very first start cut short.
        if cut > 0 || seed.is_multiple_of(2) {
            disk.files.power_off_after(chance.next_u64() % 700);
        }
        match disk.open(small()) {
            Ok((store, _)) => {
                disk.files.set_lying_syncs(lying);
                if cut == 0 && !seed.is_multiple_of(2) {
                    disk.files.power_off_after(chance.next_u64() % 700);
                }
                if cut > 0 {
                    missing_unless_dark(&store, &disk, &known).await?;
                }
                work_until_dark(&store, &known, cut * 60).await;
                store.abandon();
            }
            Err(error) if disk.files.is_off() => drop(error),
            Err(error) => return Err(format!("cannot be opened: {error}")),
        }
        disk = disk.cut();
    }
    let store = match disk.open(small()) {
        Ok((store, _)) => store,
        Err(error @ (OpenError::Damaged(_) | OpenError::JournalShort { .. })) => return Err(error.to_string()),
        Err(error) => return Err(format!("cannot be opened: {error}")),
    };
    let known = std::mem::take(&mut *known.lock().unwrap());
    missing(&store, &known).await?;
    kit::fill(&store, "afterwards", 2).await;
    store.abandon();
    Ok(())
}

async fn missing_unless_dark(store: &LocalStore, disk: &Disk, known: &Mutex<Acknowledged>) -> Result<(), String> {
    let known = {
        let known = known.lock().unwrap();
        Acknowledged {
            bodies: known.bodies.clone(),
            planned: known.planned.clone(),
            settled: known.settled.clone(),
            head: known.head,
        }
    };
    match missing(store, &known).await {
        Err(lost) if !disk.files.is_off() => Err(lost),
        _ => Ok(()),
    }
}

/// Rounds that go on at once. Each has a disk of its own, and mostly waits: for threads, syncs and the index's directory.
const LANES: u64 = 8;

/// Plays the rounds of some seeds. The result: what was lost, by seed.
async fn play(seeds: u64, lying: bool) -> BTreeMap<u64, String> {
    let lane = |lane: u64| async move {
        let mut lost = Vec::new();
        for seed in (0..seeds).skip(usize::try_from(lane).unwrap()).step_by(usize::try_from(LANES).unwrap()) {
            if let Err(what) = round(seed, lying).await {
                lost.push((seed, what));
            }
        }
        lost
    };
    let lanes: Vec<_> = (0..LANES).map(|number| tokio::spawn(lane(number))).collect();
    let mut lost = BTreeMap::new();
    for lane in lanes {
        lost.extend(lane.await.unwrap());
    }
    lost
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn nothing_acknowledged_is_lost_in_a_power_cut() {
    let lost = play(rounds(300, 1000), false).await;
    assert!(lost.is_empty(), "lost, by seed: {lost:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn a_disk_that_only_says_that_it_synced_is_caught() {
    let caught = play(10, true).await.len();
    assert!(caught >= 5, "only {caught} of 10 rounds with a lying disk were caught: the test proves nothing");
}
