//! `adjutant check-config`

use serde_json::json;

use super::out::{Out, count};
use super::private::folder_of;
use super::store::master_key_trouble;
use super::takers::{Taker, takers};
use super::{Context, Exit, Failure};
use crate::config::Config;
use crate::rules::Mode;

pub(super) fn run(context: &Context, json: bool, out: &mut Out) -> Result<Exit, Failure> {
    let config = context.config()?;
    if let Some(why) = master_key_trouble(&config.store) {
        return Err(Failure::new(Exit::Config, format!("[store] master_key_file: {why}")));
    }
    let enforced = config.rules.iter().filter(|rule| rule.mode == Mode::Enforce).count();
    if json {
        let taker = |Taker { line, wrong }: &Taker| json!({ "taker": line, "note": wrong });
        out.json(&json!({
            "file": context.path().display().to_string(),
            "apps": config.apps.len(),
            "accounts": config.accounts().count(),
            "rules": config.rules.len(),
            "enforced": enforced,
            "takers": takers(&config).iter().map(taker).collect::<Vec<_>>(),
            "note": note(&config),
            "checkpoint_file": no_folder(&config),
        }))?;
        return Ok(Exit::Good);
    }
    out.line(format!(
        "{} is good: {}, {}, {} ({enforced} enforced, {} observed)",
        context.path().display(),
        count(config.apps.len(), "app", "apps"),
        count(config.accounts().count(), "account", "accounts"),
        count(config.rules.len(), "rule", "rules"),
        config.rules.len().saturating_sub(enforced),
    ))?;
    for Taker { line, wrong } in takers(&config) {
        out.line(line)?;
        if let Some(wrong) = wrong {
            out.line(format!("note: {wrong}"))?;
        }
    }
    if let Some(note) = note(&config) {
        out.line(format!("note: {note}"))?;
    }
    if let Some(note) = no_folder(&config) {
        out.line(format!("note: {note}"))?;
    }
    Ok(Exit::Good)
}

/// A checkpoint cannot be kept where no folder is: it may be a mount that is not there now.
fn no_folder(config: &Config) -> Option<String> {
    let folder = folder_of(config.store.settings.checkpoint_file.as_deref()?);
    let is_there = folder.is_dir();
    (!is_there).then(|| format!("[store] checkpoint_file: there is no folder {}", folder.display()))
}

/// What is no mistake, but may surprise whoever waits for something to happen.
pub(super) fn note(config: &Config) -> Option<&'static str> {
    if config.rules.is_empty() {
        Some("there is no [[rule]]: deliveries are stored and recorded, and nothing is done about them")
    } else if config.rules.iter().all(|rule| rule.mode == Mode::Observe) {
        Some("no rule has mode = \"enforce\": what they would change is recorded, and nothing is changed")
    } else {
        None
    }
}
