//! Reading the configuration again while it is in force: whether two readings agree, and what only a start takes in.

use std::fmt::Display;

use super::{Config, ConfigError};

/// Why a reading may not be believed: files are being written, or renamed into their places.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unsettled {
    #[error("{0} was there before, is still there, and was not found in its folder")]
    Missed(String),
    #[error("the files changed between two readings")]
    Differs,
}

/// Whether `second`, read some time after `first`, says the same; `before` is what is in force.
///
/// # Errors
/// A list of a folder that is written to may lack files that are there all the time, so each file of the rules in force is
/// looked for by its name.
pub fn agree(
    before: &Config,
    first: &Result<Config, ConfigError>,
    second: &Result<Config, ConfigError>,
) -> Result<(), Unsettled> {
    match (first, second) {
        (Ok(first), Ok(second)) if first.sources == second.sources => second.lacks_nothing_of(before),
        (Err(first), Err(second)) if first.to_string() == second.to_string() => Ok(()),
        _ => Err(Unsettled::Differs),
    }
}

impl Config {
    /// An error where a file that was read before is still there, in the folder of the rules, and was not read now.
    fn lacks_nothing_of(&self, before: &Self) -> Result<(), Unsettled> {
        let missed = before.sources.iter().find(|source| {
            source.path.parent() == self.rules_folder.as_deref()
                && self.sources.iter().all(|found| found.path != source.path)
                && source.path.exists()
        });
        missed.map_or(Ok(()), |source| Err(Unsettled::Missed(source.path.display().to_string())))
    }
}

/// What differs between two configurations beside rules, consumers, notifiers and accounts: only a start takes it in. Sections
/// and keys as they are written in the file.
pub fn apart_from_rules(running: &Config, new: &Config) -> Vec<String> {
    let mut changed = Vec::new();
    let mut note = |what: &dyn Display| {
        let what = what.to_string();
        if !changed.contains(&what) {
            changed.push(what);
        }
    };
    for app in running.apps.iter().chain(&new.apps) {
        match (running.app(&app.name), new.app(&app.name)) {
            (Some(old), Some(new)) if !old.secrets.are(&new.secrets) => {
                note(&format_args!("[[app]] {}: its secrets", app.name));
            }
            (Some(_), Some(_)) => {}
            _ => note(&format_args!("[[app]] {}", app.name)),
        }
    }
    let is_rule = |section: &str| {
        let of = ["[[rule]]", "[[consumer]]", "[[notify]]"];
        section == "[rules]" || of.iter().any(|list| section.starts_with(list))
    };
    let counts = |section: &str| {
        let lone_app = section.strip_prefix("[[app]] ").is_some_and(|name| {
            let known = |config: &Config| config.apps.iter().any(|app| app.name.as_str() == name);
            !known(running) || !known(new)
        });
        !is_rule(section) && !section.ends_with("[[app.account]]") && !lone_app
    };
    for (one, other) in [(running, new), (new, running)] {
        for key in one.effective.iter().filter(|key| counts(&key.section)) {
            let same = |other: &&super::Effective| other.section == key.section && other.key == key.key;
            let theirs = other.effective.iter().find(same).and_then(|other| other.value.as_ref());
            if theirs != key.value.as_ref() {
                note(&format_args!("{} {}", key.section, key.key));
            }
        }
    }
    for account in new.accounts() {
        match running.accounts().find(|old| old.id == account.id) {
            Some(old) if old.plan != account.plan => note(&format_args!("account {}: its plan", account.id)),
            Some(old) if old.app != account.app => note(&format_args!("account {}: its app", account.id)),
            _ => {}
        }
        if running.sweep.accounts.get(&account.id) != new.sweep.accounts.get(&account.id) {
            note(&format_args!("account {}: when it is swept", account.id));
        }
    }
    changed
}
