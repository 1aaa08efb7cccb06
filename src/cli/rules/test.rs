//! `adjutant rules test`

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::case::{Case, Cases, meets};
use super::{Out, Test};
use crate::account::Account;
use crate::cli::out::count;
use crate::cli::{Context, Exit, Failure};
use crate::config::read_small;
use crate::rules::Rule;

const FILE_BYTES_MAX: u64 = 1 << 20;

/// What a case came to.
#[derive(Debug, Serialize)]
struct Tried {
    file: String,
    case: String,
    passed: bool,
    /// What is not as expected, in words.
    wrong: Vec<String>,
}

pub(super) fn run(context: &Context, asked: &Test, out: &mut Out) -> Result<Exit, Failure> {
    let outline = context.outline()?;
    let beside = context.path().parent().unwrap_or(Path::new(".")).join("tests/rules");
    let paths = if asked.paths.is_empty() { vec![beside] } else { asked.paths.clone() };
    let mut tried = Vec::new();
    for file in files(&paths)? {
        for case in read(&file)?.cases {
            tried.push(one(&file, &case, &outline.rules, &outline.accounts));
        }
    }
    let failed = tried.iter().filter(|tried| !tried.passed).count();
    if asked.json {
        out.json(&tried)?;
    } else {
        for Tried { file, case, passed, wrong } in &tried {
            out.line(format!("{} {case} ({file})", if *passed { "pass" } else { "FAIL" }))?;
            for line in wrong {
                out.line(format!("     {line}"))?;
            }
        }
        out.line(format!("{}, {failed} failed", count(tried.len(), "case", "cases")))?;
    }
    // Whoever runs no case by a mistake must not take it for a success.
    Ok(if failed > 0 || tried.is_empty() { Exit::Failed } else { Exit::Good })
}

/// Folders stand for the files in them, in the order of their names.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut files = BTreeSet::new();
    for path in paths {
        let failed = |error: std::io::Error| {
            let advice = "name files of cases, or write one with `adjutant rules record`";
            Failure::new(Exit::Io, format!("cannot read {}: {error}. {advice}", path.display()))
        };
        if path.is_dir() {
            for entry in std::fs::read_dir(path).map_err(failed)? {
                let path = entry.map_err(failed)?.path();
                files.extend(Some(path).filter(|path| path.extension().is_some_and(|ending| ending == "toml")));
            }
        } else {
            std::fs::metadata(path).map_err(failed)?;
            files.insert(path.clone());
        }
    }
    Ok(files.into_iter().collect())
}

fn read(file: &Path) -> Result<Cases, Failure> {
    let text = read_small(file, FILE_BYTES_MAX)
        .map_err(|error| Failure::new(Exit::Io, format!("cannot read {}: {error}", file.display())))?;
    let wrong = |why: &str| Failure::new(Exit::Usage, format!("{}: {why}", file.display()));
    let cases: Cases = toml::from_str(&text).map_err(|error| wrong(error.to_string().trim_end()))?;
    let unknown = |case: &Case| case.unknown().map(|what| wrong(&format!("case {:?}: {what}", case.name)));
    cases.cases.iter().find_map(unknown).map_or(Ok(()), Err)?;
    Ok(cases)
}

fn one(file: &Path, case: &Case, rules: &[Rule], accounts: &[Account]) -> Tried {
    let mut wrong = Vec::new();
    match case.came_to(rules, accounts) {
        Err(why) => wrong.push(why),
        Ok(all) => {
            for (rule, expected) in &case.expect {
                match all.get(rule) {
                    Some(found) if meets(expected, found) => {}
                    Some(found) => wrong.push(told(rule, expected, found)),
                    None => wrong.push(format!("{rule}: there is no such rule about what the case gives")),
                }
            }
            if case.expect.is_empty() {
                wrong.push("nothing is expected: add [case.expect] with a line for each rule".to_owned());
            }
        }
    }
    Tried { file: file.display().to_string(), case: case.name.clone(), passed: wrong.is_empty(), wrong }
}

fn told(rule: &str, expected: &str, came: &str) -> String {
    match came.strip_prefix("needs: ") {
        Some(key) => format!("{rule}: expected {expected:?}, and the case does not give {key}"),
        None => format!("{rule}: expected {expected:?}, came to {came:?}"),
    }
}
