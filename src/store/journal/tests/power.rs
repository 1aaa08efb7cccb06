use super::*;
use crate::store::journal::verify_folder;

/// What an owner knows: acknowledged payloads, and the batch whose append did not return `Ok`.
#[derive(Default)]
struct Model {
    acknowledged: Vec<Vec<u8>>,
    open_batch: Vec<Vec<u8>>,
}

/// Appends until the power goes off.
fn run(journal: &mut Journal, chance: &SeededChance, model: &mut Model, batches: u64) {
    for _ in 0..batches {
        let batch = any_batch(chance);
        if journal.append(&refs(&batch)).is_err() {
            model.open_batch = batch;
            return;
        }
        model.acknowledged.extend(batch);
    }
}

/// Opens after a cut, with more cuts on the way.
fn recover(mut files: SimFiles, settings: Settings, chance: &SeededChance) -> (SimFiles, Journal, Recovery) {
    for _ in 0..chance.next_u64() % 4 {
        files.power_off_after(chance.next_u64() % 12);
        let _gone = open_with(&files, settings);
        files = files.cut();
    }
    let (journal, recovery) = open_with(&files, settings).unwrap();
    (files, journal, recovery)
}

/// What is there must be what was acknowledged, and then nothing or the batch that was on its way.
fn compare(model: &mut Model, found: &[Vec<u8>]) -> Result<(), String> {
    let with_open = [model.acknowledged.as_slice(), model.open_batch.as_slice()].concat();
    if found == with_open {
        model.acknowledged = with_open;
    } else if found != model.acknowledged {
        let (wanted, there) = (model.acknowledged.len(), found.len());
        let same = found.iter().zip(&with_open).take_while(|(a, b)| a == b).count();
        return Err(format!("{wanted} were acknowledged, {there} are there, the first {same} as they should be"));
    }
    model.open_batch.clear();
    Ok(())
}

fn rounds(seed: u64, lying: bool) -> Result<(), String> {
    let chance = SeededChance::new(seed);
    // Half of the worlds have many segments of less than a block, the others many blocks in a segment.
    let settings = if seed.is_multiple_of(2) { SMALL } else { BLOCKS };
    let mut files = SimFiles::new(seed ^ 0x5EED);
    let mut model = Model::default();
    for _ in 0..4 {
        let (fresh, mut journal, recovery) = recover(files, settings, &chance);
        files = fresh;
        if !recovery.damage.is_empty() {
            return Err(format!("{:?}", recovery.damage));
        }
        compare(&mut model, &payloads(&journal.reader()))?;
        if recovery.next_number != u64::try_from(model.acknowledged.len()).unwrap() + 1 {
            return Err(format!("{recovery:?}, {} records", model.acknowledged.len()));
        }
        files.set_lying_syncs(lying);
        files.power_off_after(chance.next_u64() % 80);
        run(&mut journal, &chance, &mut model, chance.next_u64() % 40);
        if chance.next_u64().is_multiple_of(8) {
            let _closed = journal.close();
        }
        files = files.cut();
    }
    let (files, journal, recovery) = recover(files, settings, &chance);
    compare(&mut model, &payloads(&journal.reader()))?;
    let report = verify_folder(&files, DIR).unwrap();
    if recovery.damage.is_empty() && report.problems.is_empty() {
        return Ok(());
    }
    Err(format!("{recovery:?} {report:?}"))
}

#[test]
fn whatever_was_acknowledged_outlasts_power_cuts_also_during_recovery() {
    for seed in 0..400 {
        if let Err(loss) = rounds(seed, false) {
            panic!("seed {seed}: {loss}");
        }
    }
}

#[test]
fn with_syncs_that_do_nothing_the_same_rounds_find_losses() {
    let losses = (0..60).filter(|seed| rounds(*seed, true).is_err()).count();
    assert!(losses > 30, "the test above proves nothing: {losses} losses of 60 rounds");
}

#[test]
fn a_failed_sync_a_restart_and_then_a_cut_lose_nothing_acknowledged() {
    for seed in 0..300 {
        let (chance, files) = (SeededChance::new(seed), SimFiles::new(seed));
        let settings = if seed.is_multiple_of(2) { SMALL } else { BLOCKS };
        let mut model = Model::default();
        for _ in 0..3 {
            let (mut journal, recovery) = open_with(&files, settings).unwrap();
            assert!(recovery.damage.is_empty(), "seed {seed}: {recovery:?}");
            assert_eq!(compare(&mut model, &payloads(&journal.reader())), Ok(()), "seed {seed}");
            run(&mut journal, &chance, &mut model, chance.next_u64() % 20);
            // At a batch, at the start of a segment, at a footer or when the journal is closed; and the process starts again
            // with what the cache believes.
            files.fail_syncs(1);
            if chance.next_u64().is_multiple_of(3) {
                assert!(journal.close().is_err(), "seed {seed}");
            } else {
                run(&mut journal, &chance, &mut model, 20);
            }
        }
        let (mut journal, _) = open_with(&files, settings).unwrap();
        assert_eq!(compare(&mut model, &payloads(&journal.reader())), Ok(()), "seed {seed}");
        run(&mut journal, &chance, &mut model, chance.next_u64() % 20);
        let (journal, recovery) = open_with(&files.cut(), settings).unwrap();
        assert!(recovery.damage.is_empty(), "seed {seed}: {recovery:?}");
        assert_eq!(compare(&mut model, &payloads(&journal.reader())), Ok(()), "seed {seed}");
    }
}

#[test]
fn a_cut_at_any_point_of_the_first_open_leaves_nothing_or_a_good_journal() {
    for seed in 0..50 {
        for changes in 0..20 {
            let files = SimFiles::new(seed);
            files.power_off_after(changes);
            let opened = open_with(&files, SMALL).is_ok();
            let (mut journal, recovery) = open(&files.cut());
            assert!(recovery.damage.is_empty(), "seed {seed}, {changes} changes: {recovery:?}");
            assert_eq!((recovery.next_number, recovery.records), (1, 0), "seed {seed}, {changes} changes");
            assert_eq!(append(&mut journal, &[vec![1]]), 1..2);
            assert!(opened || changes < 10);
        }
    }
}

#[test]
fn a_cut_at_any_change_of_a_short_life_loses_nothing_acknowledged() {
    for changes in 0..120 {
        for seed in 0..8 {
            let (chance, files) = (SeededChance::new(seed), SimFiles::new(seed));
            let (mut journal, _) = open(&files);
            let mut model = Model::default();
            files.power_off_after(changes);
            run(&mut journal, &chance, &mut model, 30);
            let (journal, recovery) = open(&files.cut());
            assert!(recovery.damage.is_empty(), "seed {seed}, {changes} changes: {recovery:?}");
            let compared = compare(&mut model, &payloads(&journal.reader()));
            assert_eq!(compared, Ok(()), "seed {seed}, {changes} changes");
        }
    }
}

#[test]
fn random_operations_leave_what_a_list_would() {
    for seed in 0..60 {
        let (chance, mut files) = (SeededChance::new(seed), SimFiles::new(seed));
        let (mut journal, _) = open(&files);
        let mut model = Model::default();
        let mut first = 1;
        for _ in 0..120 {
            match chance.next_u64() % 16 {
                0 => {
                    journal.close().unwrap();
                    journal = open(&files).0;
                }
                1 => {
                    files = files.cut();
                    journal = open(&files).0;
                }
                2 => journal.prepare_next().unwrap(),
                3 => {
                    let number = first + chance.next_u64() % 20;
                    journal.pruner().remove_before(number).unwrap();
                    let kept = journal.reader().first_number();
                    assert!(kept >= first && kept <= number, "seed {seed}");
                    first = kept;
                }
                4 => {
                    let segments = journal.reader().segments();
                    let sealed = segments.iter().find(|segment| segment.sealed);
                    if let Some(segment) = sealed {
                        let keep = |_: &Record| super::super::Rewrite::Keep;
                        journal.pruner().rewrite_segment(segment.first, keep).unwrap();
                    }
                }
                _ => {
                    let batch = any_batch(&chance);
                    append(&mut journal, &batch);
                    model.acknowledged.extend(batch);
                }
            }
            let next = journal.reader().next_number();
            assert_eq!(next, u64::try_from(model.acknowledged.len()).unwrap() + 1, "seed {seed}");
            let number = first + chance.next_u64() % (next - first + 1);
            let expected = model.acknowledged.get(usize::try_from(number - 1).unwrap());
            let found = journal.reader().read(number).unwrap().map(|record| record.payload);
            assert_eq!(found.as_ref(), expected, "seed {seed}, record {number}");
        }
        let kept = &model.acknowledged[usize::try_from(first - 1).unwrap()..];
        assert_eq!(payloads(&journal.reader()), kept, "seed {seed}");
        assert_eq!(verify_folder(&files, DIR).unwrap().problems, [], "seed {seed}");
    }
}
