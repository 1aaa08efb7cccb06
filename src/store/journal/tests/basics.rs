use super::*;
use crate::store::journal::files::{BLOCK_BYTES, Blocks, RealFiles};
use crate::store::journal::{AppendError, Fault, PAYLOAD_BYTES_MAX, ReadError, verify_folder};

#[test]
fn what_was_appended_is_read_back_by_number_and_by_scan_across_segments() {
    let files = SimFiles::new(1);
    let (mut journal, recovery) = open(&files);
    assert!(recovery.clean && recovery.next_number == 1, "{recovery:?}");
    let reader = journal.reader();
    let chance = SeededChance::new(5);
    let mut model = Vec::new();
    for _ in 0..60 {
        let batch = any_batch(&chance);
        let numbers = append(&mut journal, &batch);
        assert_eq!(
            numbers,
            u64::try_from(model.len() + 1).unwrap()..u64::try_from(model.len() + 1 + batch.len()).unwrap()
        );
        model.extend(batch);
        assert_eq!(reader.next_number(), numbers.end);
    }
    let kept_open = reader.shared.segments().iter().filter(|segment| segment.file.is_some()).count();
    assert_eq!((kept_open, reader.segments().len() > 16), (16, true));
    assert_eq!(payloads(&reader), model);
    for (number, payload) in (1..).zip(&model) {
        assert_eq!(&reader.read(number).unwrap().unwrap().payload, payload);
    }
    assert!(reader.read(u64::try_from(model.len()).unwrap() + 1).unwrap().is_none());
    assert!(matches!(reader.read(0), Err(ReadError::Removed { first: 1 })));
    assert_eq!(reader.verify(|| true).problems, []);
}

#[test]
fn a_closed_journal_opens_clean_and_goes_on_with_the_next_number() {
    let files = SimFiles::new(2);
    for round in 0..5_u64 {
        let (mut journal, recovery) = open(&files);
        assert!(recovery.clean && recovery.torn.is_empty() && recovery.damage.is_empty(), "{recovery:?}");
        assert_eq!(recovery.next_number, 1 + round * 2);
        append(&mut journal, &[vec![1], vec![2]]);
        journal.close().unwrap();
        assert_eq!(verify_folder(&files, DIR).unwrap().problems, []);
        // Opened and closed with nothing in between.
        open(&files).0.close().unwrap();
    }
}

#[test]
fn a_scan_goes_on_with_what_is_appended_later() {
    let files = SimFiles::new(3);
    let (mut journal, _) = open(&files);
    let mut scan = journal.reader().scan(1);
    assert!(scan.next().is_none());
    for number in 1..100_u8 {
        append(&mut journal, &[vec![number; 100]]);
        assert_eq!(scan.next().unwrap().unwrap().payload, vec![number; 100]);
        assert!(scan.next().is_none());
    }
}

#[test]
fn a_batch_that_can_never_fit_is_refused_and_changes_nothing() {
    let files = SimFiles::new(4);
    let (mut journal, _) = open(&files);
    for payload in [vec![0; 2048], vec![0; PAYLOAD_BYTES_MAX + 1]] {
        assert!(matches!(journal.append(&refs(&[payload])), Err(AppendError::TooLarge { .. })));
    }
    assert_eq!(append(&mut journal, &[vec![1]]), 1..2);
    assert_eq!(append(&mut journal, &[]), 2..2);
}

#[test]
fn a_newer_format_is_refused_by_name() {
    let files = SimFiles::new(5);
    open(&files).0.close().unwrap();
    let path = "journal/00000000000000000001.seg";
    let mut header = files.content(path).unwrap();
    header[8] = 2;
    let crc = crc32c::crc32c_append(crc32c::crc32c(&header[..12]), &header[16..32]);
    files.scribble(path, 8, &[2]);
    files.scribble(path, 12, &crc.to_le_bytes());
    let error = open_with(&files, SMALL).unwrap_err();
    assert_eq!(
        error.to_string(),
        "00000000000000000001.seg has format version 2, this program knows 1: use a newer one"
    );
}

#[test]
fn a_segment_file_that_is_missing_or_cut_off_is_found() {
    let files = SimFiles::new(6);
    let (mut journal, _) = open(&files);
    for number in 0..40_u8 {
        append(&mut journal, &[vec![number; 150]]);
    }
    let segments = journal.reader().segments();
    assert!(segments.len() > 3);
    let newest = segments.len() - 1;
    for (index, segment) in segments.iter().enumerate() {
        let path = format!("{DIR}/{:020}.seg", segment.first);
        let cut = files.cut();
        cut.remove(&path).unwrap();
        let report = verify_folder(&cut, DIR).unwrap();
        assert!(
            report.problems.iter().any(|problem| matches!(problem.what, Fault::Missing { .. })),
            "segment {index}: {report:?}"
        );
        let (journal, recovery) = open(&cut);
        assert!(!recovery.damage.is_empty(), "segment {index}");
        drop(journal);
        if index < newest {
            let cut = files.cut();
            assert!(cut.shorten(&path, segment.bytes - 32), "the footer");
            assert_ne!(verify_folder(&cut, DIR).unwrap().problems, [], "segment {index}");
            let (journal, recovery) = open(&cut);
            assert!(!recovery.clean && recovery.damage.is_empty(), "segment {index}: nothing but its footer is gone");
            assert_eq!(payloads(&journal.reader()).len(), 40);
            let cut = files.cut();
            assert!(cut.shorten(&path, segment.bytes - 40), "the footer and the end of a record");
            assert_ne!(open(&cut).1.damage, [], "segment {index}");
        }
    }
}

#[test]
fn damage_to_acknowledged_batches_of_an_open_segment_is_no_torn_end() {
    let files = SimFiles::new(7);
    let (mut journal, _) = open(&files);
    for number in 1..=5_u8 {
        append(&mut journal, &[vec![number; 40], vec![number; 40]]);
    }
    // Each frame is 64 bytes: the fourth record is in the second batch.
    let path = "journal/00000000000000000001.seg";
    assert!(files.flip_bit(path, 32 + 3 * 64 + 30, 0));
    let before = files.content(path);
    let (journal, recovery) = open(&files);
    let what = Fault::Unreadable { until: 32 + 4 * 64, missing: 4..5 };
    assert_eq!(recovery.damage.len(), 1, "{recovery:?}");
    assert_eq!((recovery.damage[0].offset, &recovery.damage[0].what), (32 + 3 * 64, &what));
    assert_eq!((recovery.next_number, recovery.clean, &recovery.torn[..]), (11, false, &[][..]));
    assert_eq!(files.content(path), before, "evidence is left alone");
    let reader = journal.reader();
    assert!(matches!(reader.read(4), Err(ReadError::Damaged(gap)) if gap.missing == (4..5)));
    assert_eq!(reader.read(5).unwrap().unwrap().payload, vec![3; 40]);
    let found: Vec<_> = reader.scan(1).map(|item| item.map(|record| record.number).ok()).collect();
    let numbers = [Some(1), Some(2), Some(3), None, Some(5), Some(6), Some(7), Some(8), Some(9), Some(10)];
    assert_eq!(found, numbers);
}

#[test]
fn damage_to_the_last_batch_only_looks_torn_and_drops_all_of_that_batch() {
    let files = SimFiles::new(8);
    let (mut journal, _) = open(&files);
    append(&mut journal, &[vec![1; 40], vec![1; 40]]);
    append(&mut journal, &[vec![2; 40], vec![2; 40], vec![2; 40]]);
    assert!(files.flip_bit("journal/00000000000000000001.seg", 32 + 3 * 64, 0));
    let (journal, recovery) = open(&files);
    assert_eq!((recovery.next_number, recovery.records, &recovery.damage[..]), (3, 2, &[][..]));
    assert_eq!(recovery.torn.len(), 1);
    assert_eq!(recovery.torn[0].bytes, 32 + 2 * 64..32 + 5 * 64);
    assert_eq!(payloads(&journal.reader()), vec![vec![1; 40]; 2]);
}

#[test]
fn what_a_refused_batch_left_behind_does_not_pass_for_the_rest_of_another() {
    // The same segment id on both disks, so the checksums of one hold on the other.
    let (refused, files) = (SimFiles::new(1), SimFiles::new(1));
    append(&mut open(&refused).0, &[vec![1; 40], vec![2; 40], vec![3; 40]]);
    append(&mut open(&files).0, &[vec![4; 40]]);
    let path = "journal/00000000000000000001.seg";
    let left = refused.content(path).unwrap();
    assert!(files.scribble(path, 32 + 64, &left[32 + 64..32 + 3 * 64]));
    let (journal, recovery) = open(&files);
    assert_eq!(payloads(&journal.reader()), [[4; 40]]);
    assert_eq!((recovery.next_number, recovery.damage.len(), recovery.torn.len()), (2, 0, 1));
}

#[test]
fn readers_on_other_threads_see_a_growing_prefix() {
    let files = SimFiles::new(9);
    let (mut journal, _) = open(&files);
    let reader = journal.reader();
    std::thread::scope(|scope| {
        let checks = scope.spawn(move || {
            let (mut scan, mut expected) = (reader.scan(1), 1_u64);
            while expected <= 300 {
                match scan.next() {
                    Some(record) => {
                        let record = record.unwrap();
                        assert_eq!((record.number, record.payload), (expected, expected.to_le_bytes().to_vec()));
                        expected += 1;
                    }
                    None => std::thread::yield_now(),
                }
            }
        });
        for number in 1..=300_u64 {
            append(&mut journal, &[number.to_le_bytes().to_vec()]);
        }
        checks.join().unwrap();
    });
}

#[test]
fn a_spare_segment_made_elsewhere_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let real: Arc<dyn Files> = Arc::new(RealFiles::new(folder.path()));
    let sim: Arc<dyn Files> = Arc::new(SimFiles::new(10));
    for files in [sim, real] {
        let chance = Arc::new(SeededChance::new(1));
        let open = || Journal::open(Arc::clone(&files), DIR, SMALL, chance.clone()).unwrap();
        let (mut journal, _) = open();
        let maker = journal.spare_maker();
        let mut given = 0;
        for number in 0..100_u8 {
            if journal.wants_spare() {
                let maker = maker.clone();
                journal.put_spare(std::thread::spawn(move || maker.make().unwrap()).join().unwrap());
                given += 1;
            }
            append(&mut journal, &[vec![number; 100]]);
        }
        assert!(given > 3, "{given}");
        journal.close().unwrap();
        assert!(files.list(DIR).unwrap().iter().all(|name| !name.contains("tmp")));
        assert_eq!(open().1.records, 100);
    }
}

#[test]
fn a_real_folder_holds_the_same_journal() {
    let folder = tempfile::tempdir().unwrap();
    let files: Arc<dyn Files> = Arc::new(RealFiles::new(folder.path()));
    let chance = Arc::new(SeededChance::new(1));
    let mut model = Vec::new();
    for round in 0..3 {
        let (mut journal, recovery) = Journal::open(Arc::clone(&files), DIR, SMALL, chance.clone()).unwrap();
        assert_eq!((recovery.damage.len(), recovery.clean), (0, round == 0), "{recovery:?}");
        for _ in 0..20 {
            let batch = any_batch(&chance);
            append(&mut journal, &batch);
            model.extend(batch);
        }
        assert_eq!(payloads(&journal.reader()), model);
        assert_eq!(journal.reader().verify(|| true).problems, []);
        // Not closed: as after a kill.
    }
    assert!(files.free_space().unwrap() > 0);
}

#[test]
fn blocks_lie_in_memory_as_a_disk_wants_them_however_often_they_are_used() {
    let mut blocks = Blocks::default();
    for room in [1, 4096, 100_000, 5, 1 << 20, 0] {
        blocks.begin(room);
        blocks.tail().extend_from_slice(&vec![7; room]);
        let whole = room.next_multiple_of(BLOCK_BYTES);
        blocks.pad(whole);
        assert_eq!(blocks.bytes().len(), whole);
        assert_eq!(blocks.bytes().as_ptr().align_offset(BLOCK_BYTES), 0);
        assert!(blocks.bytes().iter().take(room).all(|byte| *byte == 7));
        assert!(blocks.bytes().iter().skip(room).all(|byte| *byte == 0));
    }
}

#[test]
fn what_is_written_past_the_page_cache_is_read_through_it_at_once_and_the_other_way_round() {
    let folder = tempfile::tempdir().unwrap();
    let files = RealFiles::new(folder.path());
    let file = files.create_for_blocks("file").unwrap();
    let seed = 11;
    let chance = SeededChance::new(seed);
    let mut model = vec![0; 20 * BLOCK_BYTES];
    let mut blocks = Blocks::default();
    for round in 0..200_u8 {
        let first = usize::try_from(chance.next_u64() % 16).unwrap() * BLOCK_BYTES;
        if round.is_multiple_of(3) {
            // Through the cache: neither the place nor the length is a block's.
            file.write_all_at(&[round; 700], (first + 33).try_into().unwrap()).unwrap();
            model[first + 33..first + 733].fill(round);
        } else {
            blocks.begin(2 * BLOCK_BYTES);
            blocks.tail().extend_from_slice(&[round; 2 * BLOCK_BYTES]);
            file.write_all_at(blocks.bytes(), first.try_into().unwrap()).unwrap();
            model[first..first + 2 * BLOCK_BYTES].fill(round);
        }
        let mut read = vec![0; usize::try_from(file.size().unwrap()).unwrap()];
        file.read_exact_at(&mut read, 0).unwrap();
        assert!(read == model[..read.len()], "seed {seed}, round {round}");
    }
    file.sync_all().unwrap();
}

#[test]
fn a_batch_leaves_what_was_acknowledged_in_its_block_as_it_is() {
    // Batches of all lengths from a few bytes to more than a block, so that they end everywhere in one.
    let folder = tempfile::tempdir().unwrap();
    let real: Arc<dyn Files> = Arc::new(RealFiles::new(folder.path()));
    let sim: Arc<dyn Files> = Arc::new(SimFiles::new(12));
    let settings = Settings { segment_bytes: 1 << 20 };
    for files in [sim, real] {
        let chance = Arc::new(SeededChance::new(1));
        let (mut journal, _) = Journal::open(Arc::clone(&files), DIR, settings, chance.clone()).unwrap();
        let mut model = Vec::new();
        for number in 0..600_u16 {
            let record = vec![number.to_le_bytes()[0]; usize::from(number) * 8];
            append(&mut journal, std::slice::from_ref(&record));
            model.push(record);
        }
        drop(journal);
        let (journal, _) = Journal::open(files, DIR, settings, chance).unwrap();
        assert_eq!(payloads(&journal.reader()), model);
    }
}
