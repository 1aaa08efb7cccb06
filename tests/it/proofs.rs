//! The audit log, proved to those who trust nobody: checkpoints, proofs of single entries, and what was cut off or changed.

use std::path::{Path, PathBuf};
use std::process::Command;

use adjutant::sim::NewUser;

use crate::process::served::{Served, served};
use crate::process::service::Service;

/// With some entries in its log.
fn worked() -> Served {
    let mut served = served("");
    served.settle();
    served
}

fn folder(service: &Service) -> PathBuf {
    service.folder().join("data")
}

/// Written to a file, whose path this gives.
fn kept(served: &Served, name: &str, text: &str) -> String {
    let path = served.service.folder().join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn size(served: &Served) -> u64 {
    served.service.admin("GET", "/v1/audit/head").unwrap()["size"].as_u64().unwrap()
}

/// What an example of ours, which shares nothing with the program, says of a proof.
fn by_example(proof: &str, key: &str) -> (bool, String) {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/examples/verify_proof.py");
    let output = Command::new("python3").arg(example).args([proof, key]).output().unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (output.status.success(), text)
}

#[test]
fn every_entry_is_proved_to_whoever_has_the_key_also_by_a_verifier_in_another_language() {
    let served = worked();
    let key = served.told(&["audit", "key"], 0).trim().to_owned();
    let size = size(&served);
    assert!(size > 20, "{size}");
    for index in [0, 1, size / 2, size - 1] {
        let proof = served.told(&["audit", "prove", &index.to_string()], 0);
        let file = kept(&served, "proof", &proof);
        let told = served.told(&["audit", "verify-proof", &file, "--key", &key], 0);
        assert!(told.starts_with(&format!("the proof holds: entry {index} is in log adjutant/")), "{told}");
        let (holds, said) = by_example(&file, &key);
        assert!(holds && told.starts_with(said.trim_end()), "{said}");
        let shown = served.told(&["audit", "show", &index.to_string()], 0);
        let leaf = shown.lines().find(|line| line.starts_with("leaf")).unwrap();
        assert!(told.contains(leaf), "the same entry: {told}{shown}");
    }
    served.told(&["audit", "prove", &(size + 1_000_000).to_string()], 1);
}

#[test]
fn a_proof_that_was_changed_in_any_character_holds_for_nobody() {
    let served = worked();
    let key = served.told(&["audit", "key"], 0).trim().to_owned();
    let proof = served.told(&["audit", "prove", "7"], 0);
    for (place, old) in proof.char_indices().step_by(7) {
        let new = if old == 'A' { 'B' } else { 'A' };
        let changed = format!("{}{new}{}", &proof[..place], &proof[place + old.len_utf8()..]);
        let file = kept(&served, "changed", &changed);
        let told = served.told(&["audit", "verify-proof", &file, "--key", &key], 1);
        assert!(told.contains("the proof does not hold: "), "{told}");
        // Starting Python takes time.
        if place % 5 == 0 {
            let (holds, said) = by_example(&file, &key);
            assert!(!holds && said.contains("the proof does not hold: "), "at {place}: {said}");
        }
    }
    let other = adjutant::audit::note::Signer::from_seed("adjutant/0123456789abcdef", &[7; 32]).unwrap();
    let file = kept(&served, "proof", &proof);
    served.told(&["audit", "verify-proof", &file, "--key", &other.verifier().to_string()], 1);
    assert!(!by_example(&file, &other.verifier().to_string()).0);
}

#[test]
fn the_log_goes_on_from_its_checkpoints_after_a_stop_a_kill_and_the_loss_of_its_tiles() {
    let mut served = worked();
    let key = served.told(&["audit", "key"], 0);
    let first = kept(&served, "first", &{
        served.told(&["audit", "prove", &(size(&served) - 1).to_string()], 0);
        served.told(&["audit", "checkpoint"], 0)
    });
    for round in 0..3 {
        if round == 0 {
            assert_eq!(served.service.terminate(), Some(0));
        } else {
            served.service.kill();
        }
        if round == 2 {
            std::fs::remove_dir_all(folder(&served.service).join("log/tile")).unwrap_or_default();
        }
        assert!(served.service.start(&[]), "{}", served.service.log());
        served.service.wait_until_idle();
        let told = served.told(&["audit", "verify", "--against", &first, "--key", key.trim()], 0);
        assert!(told.contains(&format!("it agrees with {first}, of ")), "{told}");
        assert_eq!(served.told(&["audit", "key"], 0), key);
        let proof = kept(&served, "proof", &served.told(&["audit", "prove", "3"], 0));
        served.told(&["audit", "verify-proof", &proof, "--key", key.trim()], 0);
    }
    // A stop signs all that there is.
    assert_eq!(served.service.terminate(), Some(0));
    let told = served.told(&["audit", "verify", "--offline"], 0);
    let entries = told.split("good: ").nth(1).unwrap().split(',').next().unwrap().to_owned();
    assert!(
        told.contains(&format!("the newest checkpoint, of {entries}")) || told.contains("the newest checkpoint, of "),
        "{told}"
    );
}

#[test]
fn a_log_whose_end_was_cut_off_or_that_was_rolled_back_is_told_by_a_checkpoint_that_was_kept_elsewhere() {
    let mut served = worked();
    let key = served.told(&["audit", "key"], 0).trim().to_owned();
    assert_eq!(served.service.terminate(), Some(0));
    let (data, copy) = (folder(&served.service), served.service.folder().join("copy"));
    copied(&data, &copy);
    assert!(served.service.start(&[]), "{}", served.service.log());
    served.created(NewUser::licensed("new@school.example"));
    served.told(&["audit", "prove", &(size(&served) - 1).to_string()], 0);
    let anchor = kept(&served, "anchor", &served.told(&["audit", "checkpoint"], 0));
    served.service.kill();
    // The whole disk as it was: nothing in it says that there was more.
    std::fs::remove_dir_all(&data).unwrap();
    copied(&copy, &data);
    let told = served.told(&["audit", "verify", "--offline"], 0);
    assert!(told.contains("the audit log is good"), "{told}");
    let told = served.told(&["audit", "verify", "--offline", "--against", &anchor, "--key", &key], 1);
    assert!(told.contains("its end was cut off, or it was rolled back"), "{told}");
    // The journal alone as it was: the checkpoint beside it says so.
    std::fs::write(data.join("log/checkpoint"), std::fs::read(&anchor).unwrap()).unwrap();
    assert!(served.service.start(&[]), "{}", served.service.log());
    let told = served.told(&["audit", "verify"], 1);
    assert!(told.contains("it was rolled back"), "{told}");
}

fn copied(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copied(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}
