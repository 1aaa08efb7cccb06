use super::*;
use crate::store::journal::snapshot::{self, Snapshot, newest_good};

const SNAPS: &str = "snapshots";

fn content(seed: u64, bytes: usize) -> Vec<u8> {
    let mut content = vec![0; bytes];
    SeededChance::new(seed).fill(&mut content);
    content
}

fn path(number: u64) -> String {
    format!("{SNAPS}/{number:020}.snap")
}

#[test]
fn the_newest_snapshot_is_read_back_and_two_are_kept() {
    let files = SimFiles::new(1);
    assert_eq!(newest_good(&files, SNAPS).unwrap().snapshot, None);
    for (number, bytes) in [(10, 0), (20, 1), (30, 1 << 20), (40, (5 << 20) / 2)] {
        snapshot::write(&files, SNAPS, number, &content(number, bytes)).unwrap();
        let found = newest_good(&files.cut(), SNAPS).unwrap();
        assert_eq!(found.snapshot, Some(Snapshot { number, bytes: content(number, bytes) }));
        assert_eq!(found.damaged, []);
    }
    assert_eq!(snapshot::numbers(&files, SNAPS).unwrap(), [40, 30]);
}

#[test]
fn every_flipped_bit_and_every_other_length_is_found_and_the_older_one_serves() {
    let files = SimFiles::new(2);
    snapshot::write(&files, SNAPS, 1, &content(1, 60)).unwrap();
    snapshot::write(&files, SNAPS, 2, &content(2, 60)).unwrap();
    let len = u64::try_from(files.content(&path(2)).unwrap().len()).unwrap();
    let check = |files: &SimFiles, what: &str| {
        let found = newest_good(files, SNAPS).unwrap();
        assert_eq!(found.snapshot, Some(Snapshot { number: 1, bytes: content(1, 60) }), "{what}");
        assert_eq!(found.damaged.len(), 1, "{what}");
    };
    for bit in 0..len * 8 {
        assert!(files.flip_bit(&path(2), bit / 8, u8::try_from(bit % 8).unwrap()));
        check(&files, &format!("bit {bit}"));
        assert!(files.flip_bit(&path(2), bit / 8, u8::try_from(bit % 8).unwrap()));
    }
    for shorter in 0..len {
        let files = files.cut();
        assert!(files.shorten(&path(2), shorter));
        check(&files, &format!("{shorter} bytes"));
    }
    let mut longer = files.content(&path(2)).unwrap();
    longer.push(0);
    let file = files.create(&path(2)).unwrap();
    file.write_all_at(&longer, 0).unwrap();
    check(&files, "a byte too many");
}

#[test]
fn a_cut_or_a_full_disk_while_a_snapshot_is_written_leaves_the_ones_before() {
    for seed in 0..100 {
        let files = SimFiles::new(seed);
        snapshot::write(&files, SNAPS, 1, &content(1, 3000)).unwrap();
        snapshot::write(&files, SNAPS, 2, &content(2, 3000)).unwrap();
        files.set_free(1000);
        assert!(matches!(snapshot::write(&files, SNAPS, 3, &content(3, 3000)), Err(snapshot::SnapshotError::Full(_))));
        files.set_free(1 << 20);
        files.power_off_after(seed % 12);
        let written = snapshot::write(&files, SNAPS, 3, &content(3, 3000)).is_ok();
        let found = newest_good(&files.cut(), SNAPS).unwrap();
        let number = found.snapshot.as_ref().unwrap().number;
        assert_eq!(found.damaged, [], "seed {seed}");
        assert!(number == 3 || (number == 2 && !written), "seed {seed}: {number}");
        assert_eq!(found.snapshot.unwrap().bytes, content(number, 3000), "seed {seed}");
    }
}
