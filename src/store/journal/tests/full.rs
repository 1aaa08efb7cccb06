use super::*;
use crate::store::journal::{AppendError, verify_folder};

#[test]
fn a_full_disk_loses_nothing_and_the_numbers_stay_contiguous_when_there_is_room_again() {
    // With large segments only some seeds meet the end of one while there is no room.
    let mut refusals = [0, 0];
    for seed in 0..100 {
        let (chance, files) = (SeededChance::new(seed), SimFiles::new(seed));
        let settings = if seed.is_multiple_of(3) { BLOCKS } else { SMALL };
        let (mut journal, _) = open_with(&files, settings).unwrap();
        files.set_copy_on_write(seed % 2 == 0);
        let mut model: Vec<Vec<u8>> = Vec::new();
        let mut refused = 0;
        for round in 0..80 {
            if round % 10 == 3 {
                files.set_free(chance.next_u64() % 3000);
            }
            let batch = any_batch(&chance);
            match journal.append(&refs(&batch)) {
                Ok(numbers) => {
                    assert_eq!(numbers.start, u64::try_from(model.len()).unwrap() + 1, "seed {seed}");
                    model.extend(batch);
                }
                Err(AppendError::Full { .. }) => {
                    refused += 1;
                    // The same again, as often as one likes; then with room; or another batch instead.
                    let again = journal.append(&refs(&batch));
                    if again.is_ok() {
                        model.extend(batch);
                    } else if chance.next_u64().is_multiple_of(3) {
                        files.set_free(1 << 30);
                        append(&mut journal, &batch);
                        model.extend(batch);
                    }
                }
                Err(error) => panic!("seed {seed}: {error}"),
            }
            if round % 10 == 9 {
                files.set_free(1 << 30);
            }
            assert_eq!(payloads(&journal.reader()), model, "seed {seed}, round {round}");
        }
        refusals[usize::from(settings.segment_bytes == BLOCKS.segment_bytes)] += refused;
        files.set_free(1 << 30);
        append(&mut journal, &[vec![9]]);
        model.push(vec![9]);
        assert_eq!(verify_folder(&files, DIR).unwrap().problems, [], "seed {seed}");
        let (journal, recovery) = open_with(&files.cut(), settings).unwrap();
        assert_eq!((&recovery.damage[..], &recovery.torn[..]), (&[][..], &[][..]), "seed {seed}");
        assert_eq!(payloads(&journal.reader()), model, "seed {seed}");
    }
    assert!(refusals.iter().all(|refused| *refused > 20), "{refusals:?}");
}

#[test]
fn a_cut_while_the_disk_is_full_loses_nothing_acknowledged() {
    for seed in 0..200 {
        let (chance, files) = (SeededChance::new(seed), SimFiles::new(seed));
        let settings = if seed.is_multiple_of(3) { BLOCKS } else { SMALL };
        let (mut journal, _) = open_with(&files, settings).unwrap();
        files.set_copy_on_write(true);
        let (mut model, mut refused) = (Vec::new(), Vec::new());
        for round in 0..40 {
            files.set_free(if round % 4 == 0 { chance.next_u64() % 600 } else { 1 << 20 });
            let batch = any_batch(&chance);
            match journal.append(&refs(&batch)) {
                Ok(_) => {
                    model.extend(batch);
                    refused.clear();
                }
                Err(_) => refused = batch,
            }
            let (after, recovery) = open_with(&files.cut(), settings).unwrap();
            assert!(recovery.damage.is_empty(), "seed {seed}, round {round}: {recovery:?}");
            let found = payloads(&after.reader());
            // A refused batch may be there as a whole: nobody was told that it is not.
            let fits = found == model || found == [model.as_slice(), refused.as_slice()].concat();
            assert!(fits, "seed {seed}, round {round}: {} records, {} found", model.len(), found.len());
        }
    }
}

#[test]
fn a_journal_opens_on_a_full_disk_and_takes_batches_when_there_is_room() {
    let files = SimFiles::new(1);
    let (mut journal, _) = open(&files);
    append(&mut journal, &[vec![1]]);
    journal.close().unwrap();
    files.set_free(100);
    let (mut journal, recovery) = open(&files);
    assert!(recovery.clean);
    for _ in 0..3 {
        assert!(matches!(journal.append(&refs(&[vec![2]])), Err(AppendError::Full { .. })));
    }
    assert_eq!(payloads(&journal.reader()), [[1]]);
    files.set_free(1 << 20);
    assert_eq!(append(&mut journal, &[vec![2]]), 2..3);
}

#[test]
fn a_failed_sync_poisons_the_journal_and_keeps_what_was_acknowledged_before() {
    for seed in 0..100 {
        let (chance, files) = (SeededChance::new(seed), SimFiles::new(seed));
        let settings = if seed.is_multiple_of(3) { BLOCKS } else { SMALL };
        let (mut journal, _) = open_with(&files, settings).unwrap();
        let mut model = Vec::new();
        for _ in 0..chance.next_u64() % 20 {
            let batch = any_batch(&chance);
            append(&mut journal, &batch);
            model.extend(batch);
        }
        files.fail_syncs(1);
        let batch = any_batch(&chance);
        assert!(matches!(journal.append(&refs(&batch)), Err(AppendError::Failed { .. })), "seed {seed}");
        for _ in 0..3 {
            assert!(matches!(journal.append(&refs(&batch)), Err(AppendError::Poisoned)), "seed {seed}");
        }
        assert!(matches!(journal.prepare_next(), Err(AppendError::Poisoned)));
        assert_eq!(payloads(&journal.reader()), model, "seed {seed}: readers go on");
        assert!(matches!(journal.close(), Err(AppendError::Poisoned)));
        let (journal, recovery) = open_with(&files.cut(), settings).unwrap();
        assert!(recovery.damage.is_empty(), "seed {seed}: {recovery:?}");
        let found = payloads(&journal.reader());
        let with_batch = [model.clone(), batch].concat();
        assert!(found == model || found == with_batch, "seed {seed}");
    }
}

#[test]
fn a_failed_sync_of_the_pruner_poisons_the_writer() {
    let files = SimFiles::new(1);
    let (mut journal, _) = open(&files);
    for number in 0..60_u8 {
        append(&mut journal, &[vec![number; 100]]);
    }
    files.fail_syncs(1);
    assert!(journal.pruner().remove_before(50).is_err());
    assert!(matches!(journal.append(&refs(&[vec![1]])), Err(AppendError::Poisoned)));
}

#[test]
fn on_a_disk_without_room_for_a_segment_nothing_is_written_in_the_attempt() {
    let files = SimFiles::new(3);
    let (journal, _) = open(&files);
    files.set_free(SMALL.segment_bytes - 1);
    files.power_off_after(0);
    let error = journal.spare_maker().make().unwrap_err();
    assert_eq!((error.kind(), files.is_off()), (std::io::ErrorKind::StorageFull, false), "it changed the disk");
}
