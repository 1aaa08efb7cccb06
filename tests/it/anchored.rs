//! Checkpoints as operators keep them: asked for, written to files, and told where they cannot be or say nothing.

use std::path::Path;

use adjutant::audit::checkpoint::Checkpoint;
use adjutant::sim::NewUser;

use crate::process::served::Served;
use crate::proofs::{folder, kept, size, worked};

#[test]
fn a_checkpoint_is_signed_when_it_is_asked_for_and_a_file_keeps_the_last_where_there_is_none() {
    let mut served = worked();
    let anchor = served.service.folder().join("anchor").to_str().unwrap().to_owned();
    // No minute is over since the start.
    served.told(&["audit", "checkpoint", "--output", &anchor], 0);
    let kept = std::fs::read_to_string(&anchor).unwrap();
    assert_eq!(kept, served.told(&["audit", "checkpoint"], 0));
    assert!(Checkpoint::parse_note(&kept).is_some_and(|kept| kept.size > 20), "{kept}");
    served.service.kill();
    served.told(&["audit", "checkpoint", "--output", &anchor], 69);
    assert_eq!(std::fs::read_to_string(&anchor).unwrap(), kept);
    // It covers what the journal has not.
    let data = folder(&served.service);
    let more = kept.replacen(&format!("\n{}\n", Checkpoint::parse_note(&kept).unwrap().size), "\n99999\n", 1);
    std::fs::write(data.join("log/checkpoint"), more).unwrap();
    assert!(served.service.start(&[]), "{}", served.service.log());
    for words in [&["--output", &anchor][..], &["--json"], &[]] {
        let told = served.told(&[&["audit", "checkpoint"], words].concat(), 1);
        assert!(told.contains("no checkpoint is signed any more: ") && !told.contains("damaged: damaged"), "{told}");
    }
    assert_eq!(std::fs::read_to_string(&anchor).unwrap(), kept);
}

#[test]
fn a_file_that_holds_no_checkpoint_is_told_as_that_and_not_as_a_log_that_was_changed() {
    let mut served = worked();
    let anchor = served.told(&["audit", "checkpoint"], 0);
    let backup = served.service.folder().join("backup").to_str().unwrap().to_owned();
    served.told(&["store", "backup", &backup], 0);
    assert_eq!(served.service.terminate(), Some(0));
    std::fs::remove_dir_all(folder(&served.service)).unwrap();
    let empty = kept(&served, "empty", "");
    let cut = kept(&served, "cut", &anchor[..anchor.len() - 9]);
    let other = kept(&served, "other", "[store]\n");
    for (file, what) in [(&empty, "is empty"), (&cut, "holds no checkpoint: "), (&other, "holds no checkpoint: ")] {
        let told = served.told(&["store", "restore", &backup, "--against", file], 2);
        assert!(told.contains(&format!("{file} {what}")) && !told.contains("--new-log"), "{told}");
        let told = served.told(&["audit", "verify", "--folder", &backup, "--against", file], 2);
        assert!(told.contains(&format!("{file} {what}")), "{told}");
    }
    served.told(&["store", "restore", &backup], 0);
    assert!(served.service.start(&[]), "{}", served.service.log());
    for file in [&empty, &cut, &other] {
        for way in ["--against", "--since"] {
            let told = served.told(&["audit", "verify", way, file], 2);
            assert!(told.contains("it says nothing about the log"), "{told}");
        }
    }
}

#[test]
fn entries_without_any_checkpoint_are_not_called_good_and_a_start_that_signs_them_says_so() {
    let mut served = worked();
    // No minute is over since the start: the backup has the log signed.
    let backup = served.service.folder().join("backup").to_str().unwrap().to_owned();
    served.told(&["store", "backup", &backup], 0);
    served.told(&["audit", "verify", "--folder", &backup], 0);
    let anchor = kept(&served, "anchor", &served.told(&["audit", "checkpoint"], 0));
    std::fs::remove_dir_all(Path::new(&backup).join("log")).unwrap();
    let told = served.told(&["audit", "verify", "--folder", &backup], 1);
    assert!(told.contains("log: no checkpoint is there, so nothing shows that") && told.contains("1 fault"), "{told}");
    let told = served.told(&["audit", "verify", "--folder", &backup, "--json"], 1);
    assert!(told.contains("\"good\": false"), "{told}");
    assert!(served.service.terminate() == Some(0) && !served.service.log().contains("no checkpoint of the audit log"));
    std::fs::remove_dir_all(folder(&served.service).join("log")).unwrap();
    assert!(served.service.start(&[]), "{}", served.service.log());
    served.told(&["audit", "verify", "--against", &anchor], 0);
    assert!(served.service.log().contains("no checkpoint of the audit log is there"), "{}", served.service.log());
}

#[test]
fn a_checkpoint_that_cannot_be_written_here_or_elsewhere_is_told_while_that_lasts() {
    let mut served = worked();
    let path = served.service.folder().join("config.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, config.replace("[store]\n", "[store]\ncheckpoint_file = \"mount/elsewhere\"\n")).unwrap();
    let mount = served.service.folder().join("mount");
    let told = served.told(&["check-config"], 0);
    assert!(told.contains(&format!("note: [store] checkpoint_file: there is no folder {}", mount.display())), "{told}");
    assert_eq!(served.service.terminate(), Some(0));
    assert!(served.service.start(&[]), "{}", served.service.log());
    // The newest entry is in no checkpoint yet.
    let signed = |served: &mut Served, code: i32| {
        let name = format!("new{}@school.example", size(served));
        served.created(NewUser::licensed(&name));
        served.told(&["audit", "prove", &(size(served) - 1).to_string()], code);
    };
    let until = |served: &Served, code: &str, is_told: bool| {
        while served.alarms().contains(code) != is_told {
            std::thread::yield_now();
        }
    };
    signed(&mut served, 0);
    until(&served, "checkpoint-file", true);
    let told = served.service.metrics();
    assert!(told.contains("adjutant_alarms{code=\"checkpoint-file\"} 1"), "{told}");
    let (_, told, _) = served.service.command(&["doctor"]);
    assert!(told.contains("checkpoint is not in [store] checkpoint_file"), "{told}");
    std::fs::create_dir(&mount).unwrap();
    assert!(!served.told(&["check-config"], 0).contains("checkpoint_file"));
    signed(&mut served, 0);
    until(&served, "checkpoint-file", false);
    assert!(mount.join("elsewhere").exists());
    let kept = folder(&served.service).join("log/checkpoints");
    let aside = kept.with_file_name("aside");
    std::fs::rename(&kept, &aside).unwrap();
    signed(&mut served, 69);
    until(&served, "log-not-signed", true);
    std::fs::rename(&aside, &kept).unwrap();
    signed(&mut served, 0);
    until(&served, "log-not-signed", false);
}
