//! The audit log, proved to those who trust nobody: checkpoints, proofs of single entries, and what was cut off or changed.

use std::path::{Path, PathBuf};
use std::process::Command;

use adjutant::audit::checkpoint::Checkpoint;
use adjutant::audit::note::Signer;
use adjutant::sim::NewUser;
use serde_json::Value;

use crate::process::served::{Served, served};
use crate::process::service::Service;

/// With some entries in its log.
pub(crate) fn worked() -> Served {
    let mut served = served("");
    served.settle();
    served
}

pub(crate) fn folder(service: &Service) -> PathBuf {
    service.folder().join("data")
}

/// Written to a file, whose path this gives.
pub(crate) fn kept(served: &Served, name: &str, text: &str) -> String {
    let path = served.service.folder().join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

pub(crate) fn size(served: &Served) -> u64 {
    served.service.admin("GET", "/v1/audit/head").unwrap()["size"].as_u64().unwrap()
}

/// What an example of ours, which shares nothing with the program, says of a proof.
fn by_example(proof: &str, key: &str) -> (bool, String) {
    example(&[proof, key])
}

fn example(args: &[&str]) -> (bool, String) {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/examples/verify_proof.py");
    let output = Command::new("python3").arg(example).args(args).output().unwrap();
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
        assert!(holds && told.starts_with(said.lines().next().unwrap()), "{said}");
        let entry: Value = serde_json::from_str(said.lines().nth(1).unwrap()).unwrap();
        assert!(
            told.contains(entry["at"].as_str().unwrap()) && told.contains(entry["kind"].as_str().unwrap()),
            "{said}"
        );
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
    let other = Signer::from_seed("adjutant/0123456789abcdef", &[7; 32]).unwrap();
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

#[test]
fn whom_an_entry_names_is_shown_to_whom_one_likes_who_can_check_it() {
    let served = worked();
    let key = served.told(&["audit", "key"], 0).trim().to_owned();
    let page = served.service.admin("GET", "/v1/audit?limit=1000").unwrap();
    let entries = page["entries"].as_array().unwrap();
    let entry = entries.iter().find(|entry| entry["kind"] == "outcome").unwrap();
    assert_eq!((entry["attempt"].as_u64(), entry["actor"].as_str()), (Some(1), Some("sweep")), "{entry}");
    let (index, subject) = (entry["index"].to_string(), entry["subject"].as_str().unwrap());
    let path = |name: &str| served.service.folder().join(name).to_str().unwrap().to_owned();
    let (proof, detail) = (path("proof"), path("detail"));
    served.told(&["audit", "prove", &index, "--output", &proof, "--detail", &detail], 0);
    // Whoever is shown the proof alone learns nothing of whom it is about.
    assert!(!std::fs::read_to_string(&proof).unwrap().contains(subject));
    let bare = served.told(&["audit", "verify-proof", &proof, "--key", &key], 0);
    assert!(!bare.contains(subject), "{bare}");
    let told = served.told(&["audit", "verify-proof", &proof, "--key", &key, "--detail", &detail], 0);
    assert!(told.contains(subject), "{told}");
    let (holds, said) = example(&[&proof, &key, &detail]);
    assert!(holds && said.contains(subject), "{said}");
    let forged = std::fs::read_to_string(&detail).unwrap().replace(subject, "user:somebody-else");
    let forged = kept(&served, "forged", &forged);
    let told = served.told(&["audit", "verify-proof", &proof, "--key", &key, "--detail", &forged], 1);
    assert!(told.contains("the detail is not that of the entry"), "{told}");
    assert!(!example(&[&proof, &key, &forged]).0);
    let salt = "0".repeat(32);
    let made = serde_json::json!({ "salt": salt, "detail": r#"{"subject":"user:mallory","note":"made an owner"}"# });
    let other = entries.iter().rfind(|other| other["kind"] == "outcome" && other["index"] != entry["index"]).unwrap();
    let (other_proof, of_other) = (path("other-proof"), path("of-other"));
    served.told(&["audit", "prove", &other["index"].to_string(), "--output", &other_proof, "--detail", &of_other], 0);
    for forged in [kept(&served, "made", &made.to_string()), of_other] {
        let told = served.told(&["audit", "verify-proof", &proof, "--key", &key, "--detail", &forged, "--json"], 1);
        assert!(told.contains("the detail is not that of the entry") && !told.contains("good"), "{told}");
        assert!(!example(&[&proof, &key, &forged]).0);
    }
    // The first entry says that the service started.
    let none = served.told(&["audit", "prove", "999999", "--detail", &detail], 1);
    assert!(none.contains("entry 999999"), "{none}");
}

#[test]
fn a_log_is_verified_from_a_checkpoint_on_and_a_backup_with_what_was_signed() {
    let mut served = worked();
    let key = served.told(&["audit", "key"], 0).trim().to_owned();
    served.told(&["audit", "prove", &(size(&served) - 1).to_string()], 0);
    let first = kept(&served, "first", &served.told(&["audit", "checkpoint"], 0));
    let told = served.told(&["audit", "verify", "--since", &first], 0);
    assert!(told.contains("the audit log is good"), "nothing came since: {told}");
    served.created(NewUser::licensed("new@school.example"));
    served.service.wait_until_idle();
    let told = served.told(&["audit", "verify", "--since", &first, "--key", &key], 0);
    assert!(told.contains("not read again: the first ") && told.contains(&format!("it agrees with {first}")), "{told}");
    served.told(&["audit", "prove", &(size(&served) - 1).to_string()], 0);
    let last = kept(&served, "last", &served.told(&["audit", "checkpoint"], 0));
    let backup = served.service.folder().join("backup").to_str().unwrap().to_owned();
    served.told(&["store", "backup", &backup], 0);
    let told = served.told(&["audit", "verify", "--folder", &backup, "--against", &last, "--key", &key], 0);
    assert!(told.contains("; whole") && told.contains(&format!("it agrees with {last}")), "{told}");
    let words = ["audit", "verify", "--folder", &backup, "--against", &last, "--json"];
    let told: Value = serde_json::from_str(&served.told(&words, 0)).unwrap();
    assert_eq!(
        (&told["good"], &told["agrees_with"]),
        (&Value::from(true), &Value::from(vec![last.as_str()])),
        "{told}"
    );
    served.created(NewUser::licensed("newer@school.example"));
    served.service.wait_until_idle();
    served.told(&["audit", "prove", &(size(&served) - 1).to_string()], 0);
    let beyond = kept(&served, "beyond", &served.told(&["audit", "checkpoint"], 0));
    let told = served.told(&["audit", "verify", "--folder", &backup, "--against", &beyond], 1);
    assert!(told.contains(&format!("{beyond}: covers ")) && told.contains("rolled back"), "{told}");
    let other = Signer::from_seed("adjutant/0123456789abcdef", &[7; 32]).unwrap();
    let wrong = kept(&served, "wrong", &Checkpoint { origin: "x".to_owned(), size: 3, root: [1; 32] }.sign(&[&other]));
    served.told(&["audit", "verify", "--since", &wrong], 1);
    served.told(&["audit", "verify", "--key", &key], 2);
}

#[test]
fn a_key_that_is_changed_signs_from_then_on_and_what_was_signed_before_verifies_as_ever() {
    let mut served = worked();
    let old = served.told(&["audit", "key"], 0).trim().to_owned();
    let before = kept(&served, "before", &served.told(&["audit", "prove", "3"], 0));
    let told = served.told(&["audit", "key", "--change"], 0);
    let (new, rest) = told.trim().split_once('\n').unwrap();
    assert!(rest == old && new != old, "{told}");
    let name = |key: &str| key.split('+').next().unwrap().to_owned();
    assert_eq!(name(new), name(&old), "it is the same log");
    let bridge = kept(&served, "bridge", &served.told(&["audit", "checkpoint"], 0));
    for key in [new, &old] {
        served.told(&["audit", "verify", "--against", &bridge, "--key", key], 0);
    }
    served.created(NewUser::licensed("new@school.example"));
    served.service.wait_until_idle();
    for restarted in [false, true] {
        if restarted {
            assert_eq!(served.service.terminate(), Some(0));
            served.told(&["store", "verify"], 0);
            assert!(served.service.start(&[]), "{}", served.service.log());
            served.service.wait_until_idle();
        }
        let after = served.told(&["audit", "prove", &(size(&served) - 1).to_string()], 0);
        let after = kept(&served, "after", &after);
        served.told(&["audit", "verify-proof", &after, "--key", new], 0);
        served.told(&["audit", "verify-proof", &after, "--key", &old], 1);
        served.told(&["audit", "verify-proof", &before, "--key", &old], 0);
        // Both at once, as the command prints them.
        let all = served.told(&["audit", "key"], 0);
        served.told(&["audit", "verify", "--against", &bridge, "--key", &all], 0);
        for proof in [&before, &after] {
            served.told(&["audit", "verify-proof", proof, "--key", &all], 0);
            let (holds, said) = by_example(proof, &all);
            assert!(holds, "{said}");
        }
        served.told(&["audit", "verify"], 0);
    }
}

#[test]
fn a_backup_that_is_behind_what_was_signed_becomes_a_store_only_with_another_log() {
    let mut served = worked();
    let elsewhere = served.service.folder().join("elsewhere").to_str().unwrap().to_owned();
    let set = |config: String| config.replace("[store]\n", "[store]\ncheckpoint_file = \"elsewhere\"\n");
    let path = served.service.folder().join("config.toml");
    std::fs::write(&path, set(std::fs::read_to_string(&path).unwrap())).unwrap();
    assert_eq!(served.service.terminate(), Some(0));
    assert!(served.service.start(&[]), "{}", served.service.log());
    let old = served.told(&["audit", "key"], 0).trim().to_owned();
    let backup = served.service.folder().join("backup").to_str().unwrap().to_owned();
    served.told(&["store", "backup", &backup], 0);
    served.created(NewUser::licensed("new@school.example"));
    served.service.wait_until_idle();
    served.told(&["audit", "prove", &(size(&served) - 1).to_string()], 0);
    assert_eq!(served.service.terminate(), Some(0));
    let last = std::fs::read_to_string(&elsewhere).unwrap();
    // The disk as it was: the next start sees it.
    let data = folder(&served.service);
    std::fs::remove_dir_all(&data).unwrap();
    copied(Path::new(&backup), &data);
    assert!(served.service.start(&[]), "{}", served.service.log());
    assert!(served.told(&["audit", "verify"], 1).contains("what came after was lost"));
    assert!(served.alarms().contains("log-not-signed"), "{}", served.alarms());
    served.service.kill();
    std::fs::remove_dir_all(&data).unwrap();
    let told = served.told(&["store", "restore", &backup], 1);
    assert!(told.contains("it is behind what its audit log had signed") && told.contains("--new-log"), "{told}");
    assert!(!data.join("journal").exists(), "nothing was restored");
    served.told(&["store", "restore", &backup, "--new-log"], 0);
    for _ in 0..2 {
        assert!(served.service.start(&[]), "{}", served.service.log());
        served.service.wait_until_idle();
        let new = served.told(&["audit", "key"], 0).trim().to_owned();
        assert!(!new.contains('\n') && new.split('+').next() != old.split('+').next(), "{new}");
        let page = served.service.admin("GET", "/v1/audit?limit=1000").unwrap();
        let entries = page["entries"].as_array().unwrap();
        let begun: Vec<_> = entries.iter().filter(|entry| entry["code"] == "new-log").collect();
        let size = last.lines().nth(1).unwrap();
        assert_eq!(begun.len(), 1);
        let note = begun[0]["note"].as_str().unwrap();
        assert!(note.contains(&format!("covers {size} entries")), "{note}");
        let proof = served.told(&["audit", "prove", &begun[0]["index"].to_string()], 0);
        served.told(&["audit", "verify-proof", &kept(&served, "proof", &proof), "--key", &new], 0);
        assert!(served.told(&["audit", "verify"], 0).contains("the audit log is good"));
        assert!(!served.alarms().contains("log-not-signed"), "{}", served.alarms());
        assert_eq!(served.service.terminate(), Some(0));
    }
    served.told(&["store", "verify"], 0);
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
