//! What the documents tell people to type exists.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// Every `adjutant …` in a document: in blocks and between backticks.
fn commands(document: &str) -> BTreeSet<Vec<String>> {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(document)).unwrap();
    let mut found = BTreeSet::new();
    for piece in text.split(['\n', '`', '&', '|', '(']) {
        let Some(words) = piece.trim().strip_prefix("adjutant ") else { continue };
        let words = words.split('#').next().unwrap().split_whitespace();
        // Prose after the name of the program starts with a word that is no command; a command's words are lower case.
        found.insert(words.map(str::to_owned).collect());
    }
    found
}

fn help(words: &[&str]) -> Option<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_adjutant")).args(words).arg("--help").output().unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

/// The commands below this one that take no `--json`.
fn without_json(words: &[&str], found: &mut BTreeSet<String>) {
    let help = help(words).unwrap();
    let Some((_, below)) = help.split_once("\nCommands:\n") else {
        if !help.contains("--json") {
            found.insert(words.join(" "));
        }
        return;
    };
    for line in below.lines().take_while(|line| !line.is_empty()) {
        // What is indented more goes on with what a command does.
        let name =
            line.strip_prefix("  ").filter(|line| !line.starts_with(' ')).and_then(|line| line.split(' ').next());
        if let Some(name) = name.filter(|name| *name != "help") {
            without_json(&[words, &[name]].concat(), found);
        }
    }
}

#[test]
fn the_commands_that_take_no_json_are_those_that_the_readme_names() {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let (named, _) = text.split_once("All but ").unwrap().1.split_once(" take `--json`").unwrap();
    // Its sheet is JSON.
    let named = named.replace("`setup` (without `--sheet`), ", "");
    let named: BTreeSet<String> = named.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    let mut found = BTreeSet::new();
    without_json(&[], &mut found);
    assert_eq!(found, named);
}

#[test]
fn every_command_that_a_document_names_is_there_with_its_flags() {
    let mut checked = 0;
    for document in ["README.md", "deploy/README.md", "src/README.md", "benches/README.md"] {
        for command in commands(document) {
            let mut words: Vec<&str> = command.iter().map(String::as_str).collect();
            if words.first() == Some(&"--config") {
                words.drain(..2);
            }
            let plain =
                |word: &&&str| word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-') && !word.starts_with('-');
            let path: Vec<&str> = words.iter().take_while(plain).copied().take(2).collect();
            let flags: Vec<&str> = words.iter().copied().filter(|word| word.starts_with("--")).collect();
            let Some(first) = path.first() else { continue };
            if help(&[first]).is_none() {
                let is_prose = words.len() > 3 && flags.is_empty();
                assert!(is_prose, "{document}: `adjutant {}` is no command", command.join(" "));
                continue;
            }
            let said = help(&path).or_else(|| help(&[first])).unwrap();
            for flag in flags {
                let flag = flag.trim_end_matches([',', '.']);
                assert!(said.contains(flag), "{document}: `adjutant {}` has no {flag}", command.join(" "));
            }
            checked += 1;
        }
    }
    assert!(checked >= 15, "only {checked} commands were found");
}

#[test]
fn every_test_that_the_invariants_name_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("src/README.md")).unwrap();
    let named: BTreeSet<&str> = text.split('`').filter(|word| word.matches('_').count() >= 4).collect();
    assert!(named.len() >= 12, "only {} tests are named", named.len());
    let mut sources = String::new();
    let mut folders = vec![root.join("src"), root.join("tests")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                sources.push_str(&std::fs::read_to_string(path).unwrap());
            }
        }
    }
    for name in named {
        assert!(sources.contains(&format!("fn {name}(")), "there is no test {name}");
    }
}
