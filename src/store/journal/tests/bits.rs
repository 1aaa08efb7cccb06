use super::*;
use crate::store::journal::{Fault, verify_folder};

/// Four segments, of two lives: each sealed one and closed one.
fn closed() -> (SimFiles, Vec<Vec<u8>>) {
    let files = SimFiles::new(20);
    let tiny = Settings { segment_bytes: 512 };
    let mut model = Vec::new();
    for round in 0..2_u8 {
        let (mut journal, _) = open_with(&files, tiny).unwrap();
        for number in 0..6_u8 {
            let batch = [vec![number, round], vec![0x55; 27], Vec::new()];
            append(&mut journal, &batch);
            model.extend(batch);
        }
        journal.close().unwrap();
    }
    (files, model)
}

fn each_bit(files: &SimFiles, mut check: impl FnMut(&str, u64, u8)) -> u64 {
    let mut bits = 0;
    for name in files.list(DIR).unwrap() {
        let path = format!("{DIR}/{name}");
        let len = u64::try_from(files.content(&path).unwrap().len()).unwrap();
        for byte in 0..len {
            for bit in 0..8 {
                assert!(files.flip_bit(&path, byte, bit));
                check(&name, byte, bit);
                assert!(files.flip_bit(&path, byte, bit));
                bits += 1;
            }
        }
    }
    bits
}

#[test]
fn every_single_flipped_bit_of_a_closed_journal_is_told_with_its_file_and_offset() {
    let (files, _) = closed();
    assert_eq!(verify_folder(&files, DIR).unwrap().problems, []);
    assert!(files.list(DIR).unwrap().len() > 2);
    let bits = each_bit(&files, |name, byte, bit| {
        let problems = verify_folder(&files, DIR).unwrap().problems;
        let told = problems.iter().any(|problem| {
            let until = match problem.what {
                Fault::Unreadable { until, .. } => until,
                Fault::BadHeader => 32,
                _ => u64::MAX,
            };
            problem.file == name && problem.offset <= byte && byte < until
        });
        assert!(told, "{name}, byte {byte}, bit {bit}: {problems:?}");
    });
    assert!(bits > 8000, "{bits}");
}

#[test]
fn every_single_flipped_bit_of_a_zeroed_tail_is_told_with_its_file_and_offset() {
    let files = SimFiles::new(21);
    let (mut journal, _) = open_with(&files, Settings { segment_bytes: 512 }).unwrap();
    append(&mut journal, &[vec![1; 20], vec![2; 21]]);
    append(&mut journal, &[vec![3; 20]]);
    assert_eq!(verify_folder(&files, DIR).unwrap().problems, []);
    each_bit(&files, |name, byte, bit| {
        let problems = verify_folder(&files, DIR).unwrap().problems;
        let told = problems.iter().any(|problem| problem.file == name && problem.offset <= byte);
        assert!(told, "{name}, byte {byte}, bit {bit}: {problems:?}");
    });
}

#[test]
fn no_single_flipped_bit_makes_a_changed_record_pass_for_good() {
    let (files, model) = closed();
    each_bit(&files, |name, byte, bit| {
        let damaged = files.cut();
        let (journal, recovery) = open_with(&damaged, Settings { segment_bytes: 512 }).unwrap();
        let mut good = 0;
        for record in journal.reader().scan(1).flatten() {
            let index = usize::try_from(record.number - 1).unwrap();
            let same = (record.kind, record.version, &record.payload) == (7, 1, &model[index]);
            assert!(same, "{name}, byte {byte}, bit {bit}: {record:?}");
            good += 1;
        }
        let told = !recovery.damage.is_empty() || !recovery.torn.is_empty() || !recovery.clean;
        assert!(told, "{name}, byte {byte}, bit {bit}: {recovery:?}");
        assert!(good == model.len() || !recovery.damage.is_empty() || !recovery.torn.is_empty());
    });
}

#[test]
fn a_live_journal_reports_every_flipped_bit_below_what_was_synced() {
    let files = SimFiles::new(22);
    let (mut journal, _) = open_with(&files, Settings { segment_bytes: 512 }).unwrap();
    for number in 0..8_u8 {
        append(&mut journal, &[vec![number; 60]]);
    }
    let reader = journal.reader();
    let end = 32 + 2 * 88;
    let newest = format!("{:020}.seg", reader.segments().last().unwrap().first);
    assert_eq!(reader.verify(|| true).problems, []);
    each_bit(&files, |name, byte, bit| {
        if name != newest || byte < end {
            let problems = reader.verify(|| true).problems;
            let told = problems.iter().any(|problem| problem.file == name && problem.offset <= byte);
            assert!(told, "{name}, byte {byte}, bit {bit}: {problems:?}");
        }
    });
}
