//! The audit log as a folder that proves itself: exported by the real binary, verified by it and by an example in another language.

use std::path::{Path, PathBuf};
use std::process::Command;

use adjutant::audit::note::Signer;
use adjutant::chance::{Chance as _, SeededChance};
use adjutant::sim::NewUser;
use serde_json::{Value, json};

use crate::process::served::{Served, served};

/// With more entries in its log than a tile has.
fn worked() -> (Served, String) {
    let mut served = served("");
    served.settle();
    filled(&mut served, 150);
    let key = served.told(&["audit", "key"], 0).trim().to_owned();
    (served, key)
}

/// With so many deliveries more.
fn filled(served: &mut Served, count: u64) {
    for number in 0..count {
        let at = count + number;
        let body = format!(r#"{{"event":"meeting.started","event_ts":{at},"payload":{{"account_id":"nobody"}}}}"#);
        assert_eq!(served.service.deliver(&body).unwrap(), 200);
    }
    served.service.wait_until_idle();
}

fn path(served: &Served, name: &str) -> String {
    served.service.folder().join(name).to_str().unwrap().to_owned()
}

fn export(served: &Served, name: &str) -> String {
    let folder = path(served, name);
    let told = served.told(&["audit", "export", "--format", "tlog", "--output", &folder], 0);
    assert!(told.contains("exported ") && told.contains("; of 0 of them only its hash is left"), "{told}");
    folder
}

/// What an example of ours, which shares nothing with the program, says of a folder.
fn by_example(folder: &str, key: &str) -> (Option<i32>, String) {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/examples/verify_export.py");
    let mut command = Command::new("python3");
    let output = command.env("PYTHONDONTWRITEBYTECODE", "1").arg(example).args([folder, key]).output().unwrap();
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

/// All files of a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

#[test]
fn a_log_is_exported_as_tiles_and_verified_without_the_service_also_by_a_verifier_in_another_language() {
    let (mut served, key) = worked();
    // More than a page of them.
    filled(&mut served, 400);
    let folder = export(&served, "export");
    let size: u64 =
        std::fs::read_to_string(format!("{folder}/checkpoint")).unwrap().lines().nth(1).unwrap().parse().unwrap();
    assert!((1_025..1_280).contains(&size), "{size}");
    let rest = size - 1_024;
    let mut names: Vec<String> = ["checkpoint", "keys", "tile/1/000.p/4"].map(str::to_owned).into();
    names.extend((0..4).flat_map(|tile| [format!("tile/0/00{tile}"), format!("tile/entries/00{tile}")]));
    names.extend([format!("tile/0/004.p/{rest}"), format!("tile/entries/004.p/{rest}")]);
    names.sort();
    let found: Vec<_> = files(Path::new(&folder))
        .iter()
        .map(|file| file.strip_prefix(&folder).unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(found, names, "as C2SP tlog-tiles lays it out, and the keys");
    let first = std::fs::read(format!("{folder}/tile/entries/000")).unwrap();
    let length = usize::from(u16::from_be_bytes([first[0], first[1]]));
    let line: Value = serde_json::from_slice(&first[2..2 + length]).unwrap();
    let shown: Value = serde_json::from_str(&served.told(&["audit", "show", "0", "--json"], 0)).unwrap();
    assert_eq!((&line["v"], &line["kind"], &line["at"]), (&json!(2), &shown["kind"], &shown["at"]));

    let checkpoint = path(&served, "first");
    std::fs::copy(format!("{folder}/checkpoint"), &checkpoint).unwrap();
    served.created(NewUser::licensed("new@school.example"));
    let later = {
        served.service.wait_until_idle();
        export(&served, "later")
    };
    // Nobody is asked.
    served.service.kill();
    let told = served.told(&["audit", "verify", "--export", &folder, "--key", &key], 0);
    assert!(told.contains(&format!("the audit log is good: {size} entries, root ")), "{told}");
    assert!(told.contains(&format!("it agrees with its checkpoint, of {size} entries")), "{told}");
    assert!(told.contains(&format!("hashed anew from their lines: {size}; known by their hash alone: 0")), "{told}");
    let (code, said) = by_example(&folder, &key);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.starts_with(&format!("the export holds: {size} entries of log adjutant/")), "{said}");
    let told = served.told(&["audit", "verify", "--export", &later, "--since", &checkpoint, "--key", &key], 0);
    assert!(
        told.contains("not read again: the first 1024") && told.contains(&format!("it agrees with {checkpoint}")),
        "{told}"
    );
    served.told(&["audit", "verify", "--export", &later, "--against", &checkpoint], 0);
    let told = served.told(&["audit", "verify", "--export", &folder, "--against", &format!("{later}/checkpoint")], 1);
    assert!(told.contains("its end was cut off, or it was rolled back"), "{told}");
    let other = Signer::from_seed("adjutant/0123456789abcdef", &[7; 32]).unwrap().verifier().to_string();
    let told = served.told(&["audit", "verify", "--export", &folder, "--key", &other], 1);
    assert!(told.contains("not signed by a key that was given"), "{told}");
    assert_eq!(by_example(&folder, &other).0, Some(1));

    let told = served.told(&["audit", "export", "--format", "tlog", "--output", &folder, "--offline"], 2);
    assert!(told.contains("is not empty"), "{told}");
    served.told(&["audit", "export", "--format", "tlog", "--offline"], 2);
    let offline = path(&served, "offline");
    let told =
        served.told(&["audit", "export", "--format", "tlog", "--output", &offline, "--from", "3", "--offline"], 2);
    assert!(told.contains("the format tlog is of the whole log"), "{told}");
    served.told(&["audit", "export", "--format", "tlog", "--output", &offline, "--offline"], 0);
    served.told(&["audit", "verify", "--export", &offline, "--key", &key], 0);
}

#[test]
fn whatever_is_changed_of_an_export_is_found_by_both_verifiers() {
    let (served, key) = worked();
    let folder = export(&served, "export");
    let files: Vec<PathBuf> = files(Path::new(&folder)).into_iter().filter(|file| !file.ends_with("keys")).collect();
    let chance = SeededChance::new(7);
    let below = |end: usize| usize::try_from(chance.next_u64() % u64::try_from(end).unwrap()).unwrap();
    for round in 0..60 {
        let file = &files[round % files.len()];
        let whole = std::fs::read(file).unwrap();
        let (mut changed, at) = (whole.clone(), below(whole.len()));
        match (round / files.len()) % 5 {
            0 => changed[at] ^= 1 << below(8),
            1 => changed.truncate(at),
            2 => changed.extend(&whole[at..]),
            3 => drop(changed.remove(at)),
            _ => changed.rotate_left(1 + at / 2),
        }
        if changed == whole {
            continue;
        }
        std::fs::write(file, &changed).unwrap();
        let told = served.told(&["audit", "verify", "--export", &folder, "--key", &key], 1);
        // Starting Python takes time.
        if round % 3 == 0 {
            let (code, said) = by_example(&folder, &key);
            assert!(code == Some(1) && said.contains("the export does not hold: "), "{round}, {file:?}: {said}");
        }
        let name = file.strip_prefix(&folder).unwrap().to_str().unwrap();
        assert!(told.contains(name) || told.contains("its checkpoint"), "{round}, {name}: {told}");
        std::fs::remove_file(file).unwrap();
        served
            .told(&["audit", "verify", "--export", &folder, "--key", &key], if name == "checkpoint" { 74 } else { 1 });
        std::fs::write(file, &whole).unwrap();
    }
    served.told(&["audit", "verify", "--export", &folder, "--key", &key], 0);
}

#[test]
fn of_an_entry_whose_line_is_gone_both_verifiers_say_that_it_is_known_by_its_hash_alone() {
    let (served, key) = worked();
    let folder = export(&served, "export");
    let bundle = format!("{folder}/tile/entries/000");
    let (bytes, mut lines, mut at) = (std::fs::read(&bundle).unwrap(), Vec::new(), 0);
    while at < bytes.len() {
        let end = at + 2 + usize::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]));
        lines.push(bytes[at..end].to_vec());
        at = end;
    }
    for gone in [0, 1, 2, 9] {
        lines[gone] = vec![0, 0];
    }
    std::fs::write(&bundle, lines.concat()).unwrap();
    let told = served.told(&["audit", "verify", "--export", &folder, "--key", &key], 0);
    assert!(told.contains("known by their hash alone: 4\n  entries 0 to 2\n  entries 9 to 9"), "{told}");
    let json = served.told(&["audit", "verify", "--export", &folder, "--key", &key, "--json"], 0);
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["by_hash_alone"], json!([[0, 2], [9, 9]]));
    let (code, said) = by_example(&folder, &key);
    assert!(
        code == Some(0) && said.contains("4 known by their hash alone\n  entries 0 to 2\n  entries 9 to 9"),
        "{said}"
    );
}
