use super::*;
use crate::store::journal::{Fault, PruneError, ReadError, Rewrite, verify_folder};

/// Sixty records of 100 bytes in several segments.
fn filled(files: &SimFiles) -> Journal {
    let (mut journal, _) = open(files);
    for number in 1..=30_u8 {
        append(&mut journal, &[vec![number; 100], vec![number; 100]]);
    }
    journal
}

fn stub(record: &Record) -> Rewrite {
    if record.number.is_multiple_of(2) {
        Rewrite::Replace { kind: 99, version: 2, payload: vec![1, 2, 3] }
    } else {
        Rewrite::Keep
    }
}

fn is_stubbed(record: &Record) -> bool {
    (record.kind, record.version, record.payload.as_slice()) == (99, 2, [1, 2, 3].as_slice())
}

#[test]
fn a_rewritten_segment_keeps_its_numbers_and_verifies() {
    let files = SimFiles::new(1);
    let journal = filled(&files);
    let (reader, pruner) = (journal.reader(), journal.pruner());
    let segments = reader.segments();
    assert!(segments.len() > 3);
    for segment in segments.iter().filter(|segment| segment.sealed) {
        let done = pruner.rewrite_segment(segment.first, stub).unwrap();
        assert!(done.replaced > 0 && done.bytes_after < done.bytes_before, "{done:?}");
        assert_eq!(done.records, segment.next - segment.first);
    }
    let last_sealed = segments[segments.len() - 2].next;
    let check = |reader: &Reader| {
        let records = all(reader);
        assert_eq!(records.len(), 60);
        for (record, number) in records.iter().zip(1..) {
            let stubbed = number % 2 == 0 && number < last_sealed;
            assert_eq!((record.number, is_stubbed(record)), (number, stubbed));
            assert_eq!(reader.read(number).unwrap().as_ref(), Some(record));
        }
    };
    check(&reader);
    assert_eq!(reader.verify(|| true).problems, []);
    assert_eq!(verify_folder(&files, DIR).unwrap().problems, []);
    assert!(matches!(pruner.rewrite_segment(2, stub), Err(PruneError::NoSuchSegment { first: 2 })));
    drop(journal);
    let (journal, recovery) = open(&files);
    assert!(recovery.damage.is_empty());
    check(&journal.reader());
}

#[test]
fn a_scan_that_stands_in_a_segment_goes_on_while_it_is_rewritten_and_removed() {
    let files = SimFiles::new(2);
    let journal = filled(&files);
    let mut scan = journal.reader().scan(1);
    assert_eq!(scan.next().unwrap().unwrap().number, 1);
    let second = journal.reader().segments()[1].first;
    journal.pruner().rewrite_segment(1, stub).unwrap();
    journal.pruner().remove_before(second).unwrap();
    for number in 2..second {
        let record = scan.next().unwrap().unwrap();
        assert_eq!((record.number, record.payload.len()), (number, 100), "as it was before");
    }
    assert_eq!(scan.next().unwrap().unwrap().number, second);
    assert!(matches!(journal.reader().read(1), Err(ReadError::Removed { first }) if first == second));
    assert_eq!(journal.reader().first_number(), second);
}

#[test]
fn what_was_removed_is_not_missed_and_what_was_lost_is() {
    let files = SimFiles::new(3);
    let mut journal = filled(&files);
    let segments = journal.reader().segments();
    assert_eq!(journal.pruner().remove_before(segments[2].first).unwrap(), 2);
    assert_eq!(journal.pruner().remove_before(segments[2].first).unwrap(), 0);
    assert_eq!(journal.pruner().remove_before(u64::MAX).unwrap(), segments.len() - 3, "never the newest");
    append(&mut journal, &[vec![1]]);
    assert_eq!(journal.reader().verify(|| true).problems, []);
    assert_eq!(verify_folder(&files, DIR).unwrap().problems, []);
    drop(journal);
    let (_, recovery) = open(&files);
    let first = segments[segments.len() - 1].first;
    assert_eq!((recovery.first_number, recovery.next_number, recovery.damage.len()), (first, 62, 0));
    for bit in 0..8 * 24 {
        let damaged = files.cut();
        assert!(damaged.flip_bit("journal/floor", bit / 8, u8::try_from(bit % 8).unwrap()));
        let problems = verify_folder(&damaged, DIR).unwrap().problems;
        assert!(problems.iter().any(|problem| problem.what == Fault::BadFloor && problem.file == "floor"));
    }
    files.remove("journal/floor").unwrap();
    assert!(matches!(verify_folder(&files, DIR).unwrap().problems[0].what, Fault::Missing { .. }));
}

#[test]
fn a_cut_at_any_change_of_pruning_leaves_the_old_or_the_new_records() {
    for seed in 0..30 {
        for changes in 0..30 {
            let files = SimFiles::new(seed);
            let journal = filled(&files);
            let second = journal.reader().segments()[1].first;
            let third = journal.reader().segments()[2].first;
            files.power_off_after(changes);
            let rewritten = journal.pruner().rewrite_segment(second, stub).is_ok();
            let removed = journal.pruner().remove_before(third).is_ok();
            let (journal, recovery) = open(&files.cut());
            assert!(recovery.damage.is_empty(), "seed {seed}, {changes} changes: {recovery:?}");
            let records = all(&journal.reader());
            let first = records[0].number;
            assert!([1, second, third].contains(&first), "seed {seed}, {changes} changes");
            assert!(!removed || first == third, "seed {seed}, {changes} changes");
            assert_eq!(records.last().unwrap().number, 60);
            let of_second: Vec<_> = records.iter().filter(|record| (second..third).contains(&record.number)).collect();
            let stubs = of_second.iter().filter(|record| is_stubbed(record)).count();
            let evens = of_second.iter().filter(|record| record.number % 2 == 0).count();
            assert!(stubs == evens || (stubs == 0 && !rewritten), "seed {seed}, {changes} changes");
        }
    }
}

#[test]
fn a_full_disk_leaves_a_segment_as_it_is() {
    let files = SimFiles::new(4);
    let journal = filled(&files);
    files.set_free(10);
    assert!(matches!(journal.pruner().rewrite_segment(1, stub), Err(PruneError::Full(_))));
    files.set_free(1 << 20);
    let mut journal = journal;
    append(&mut journal, &[vec![1]]);
    assert!(all(&journal.reader()).iter().all(|record| !is_stubbed(record)));
    assert_eq!(verify_folder(&files, DIR).unwrap().problems, []);
    assert!(files.list(DIR).unwrap().iter().all(|name| !name.contains("tmp")));
}

#[test]
fn a_damaged_segment_is_not_rewritten() {
    let files = SimFiles::new(5);
    let journal = filled(&files);
    assert!(files.flip_bit("journal/00000000000000000001.seg", 200, 3));
    let before = files.content("journal/00000000000000000001.seg");
    assert!(matches!(journal.pruner().rewrite_segment(1, stub), Err(PruneError::Damaged { .. })));
    assert_eq!(files.content("journal/00000000000000000001.seg"), before);
}

#[test]
fn segments_may_be_rewritten_and_removed_between_two_pages_of_a_verification() {
    let files = SimFiles::new(6);
    let journal = filled(&files);
    let (segments, pruner) = (journal.reader().segments(), journal.pruner());
    assert!(segments.len() > 4);
    let mut pages = 0;
    let report = journal.reader().verify(|| {
        match pages {
            // After the first, before the second.
            1 => drop(pruner.rewrite_segment(segments[1].first, stub).unwrap()),
            2 => drop(pruner.remove_before(segments[4].first).unwrap()),
            _ => {}
        }
        pages += 1;
        true
    });
    assert_eq!(report.problems, []);
    assert_eq!((pages, report.segments), (segments.len(), segments.len() - 2), "two went before their page was read");
    assert_eq!(journal.reader().first_number(), segments[4].first);
    assert_eq!(journal.reader().verify(|| false).segments, 0, "nobody wants it any more");
}
