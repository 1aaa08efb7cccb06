//! The source tree keeps its own rules: imports go one way, proofs are made in one place, dependencies are licensed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Parts by level; a part may import from its own level's folder and from higher-numbered levels only.
const LEVELS: &[&[&str]] = &[
    &["main"],
    &["cli"],
    &["app"],
    &["config", "sim"],
    &["web", "worker"],
    &["feed"],
    &["work", "accounts"],
    &["zoom", "store"],
    &["rules", "audit"],
    &["event", "job", "account", "alarm"],
    &["chance", "ids"],
    &["clock", "breakpoint", "plain", "exposed"],
];

fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                // A folder of tests is to the code what a file of tests is.
                folders.extend(Some(path).filter(|path| path.file_name().unwrap() != "tests"));
            } else if path.extension().is_some_and(|e| e == "rs") && path.file_name().unwrap() != "tests.rs" {
                let text = std::fs::read_to_string(&path).unwrap();
                let inside = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap().strip_prefix("src").unwrap();
                found.push((inside.to_owned(), text));
            }
        }
    }
    found
}

/// The code of a file without its tests.
fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap()
}

fn part_of(path: &Path) -> String {
    let first = path.components().next().unwrap().as_os_str().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

#[test]
fn every_break_point_is_at_some_place_of_the_program() {
    let all: String = sources().into_iter().map(|(_, text)| text).collect();
    let nowhere = |name: &&&str| !all.contains(&format!("reached(\"{name}\")"));
    assert_eq!(
        adjutant::breakpoint::ALL.iter().chain(adjutant::breakpoint::RARE).filter(nowhere).collect::<Vec<_>>(),
        Vec::<&&str>::new()
    );
}

#[test]
fn imports_go_only_to_the_right() {
    let level: BTreeMap<&str, usize> =
        LEVELS.iter().enumerate().flat_map(|(n, parts)| parts.iter().map(move |part| (*part, n))).collect();
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let part = part_of(&path);
        if part == "lib" {
            continue;
        }
        let Some(own) = level.get(part.as_str()) else { panic!("{part} has no level: say where it stands") };
        for used in without_tests(&text).split("crate::").skip(1) {
            let used: String = used.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
            let allowed = used == part || level.get(used.as_str()).is_none_or(|theirs| theirs > own);
            if !allowed {
                wrong.push(format!("{} imports {used}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_proof_is_made_in_one_place() {
    for (maker, places) in [
        ("recorded_by_store(", &["store", "job"][..]),
        ("Verified::reread(", &["store"][..]),
        ("Receipt::new(", &["store"][..]),
    ] {
        for (path, text) in sources() {
            let part = part_of(&path);
            let used = without_tests(&text).contains(maker);
            assert!(!used || places.contains(&part.as_str()), "{} makes a proof with {maker}", path.display());
        }
    }
}

#[test]
fn every_dependency_is_licensed_as_we_can_use_it_and_none_is_banned() {
    const ALLOWED: &[&str] = &[
        "MIT",
        "Apache-2.0",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "ISC",
        "Unicode-3.0",
        "Zlib",
        "Unlicense",
        "0BSD",
        "BSL-1.0",
        "CC0-1.0",
        "CDLA-Permissive-2.0",
        "Apache-2.0 WITH LLVM-exception",
        "MIT-0",
    ];
    // One TLS stack, one crypto provider; crates that are no longer kept.
    const BANNED: &[&str] = &[
        "openssl",
        "openssl-sys",
        "native-tls",
        "aws-lc-rs",
        "aws-lc-sys",
        "figment",
        "bincode",
        "failsafe",
        "backoff",
    ];
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--locked", "--filter-platform=x86_64-unknown-linux-gnu"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 100, "only {} packages: is this the whole tree?", packages.len());
    for package in packages {
        let (name, licence) = (package["name"].as_str().unwrap(), package["license"].as_str().unwrap_or("none"));
        assert!(!BANNED.contains(&name), "{name} is banned");
        // A choice is fine when one side is; both sides of an AND must be.
        let fine = licence
            .replace('/', " OR ")
            .split(" AND ")
            .all(|side| side.split(" OR ").any(|choice| ALLOWED.contains(&choice.trim().trim_matches(['(', ')']))));
        assert!(fine, "{name} is licensed as {licence}");
    }
}
