//! `adjutant reload`: the running service reads its configuration again.

use clap::Args;

use super::out::{Out, count};
use super::remote::Remote;
use super::{Context, Exit, Failure};
use crate::web::admin::ReloadView;

#[derive(Debug, Args)]
pub(super) struct Asked {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(context: &Context, asked: Asked, out: &mut Out) -> Result<Exit, Failure> {
    let told = Remote::running(&context.admin()?)?.post::<ReloadView>("/v1/reload", &[]).await;
    let view = told.map_err(|failure| match failure.exit {
        // What is refused is the configuration.
        Exit::Usage => Failure::new(Exit::Config, failure.to_string()),
        _ => failure,
    })?;
    if asked.json {
        out.json(&view)?;
        return Ok(Exit::Good);
    }
    let (rules, accounts) = (count(view.rules, "rule", "rules"), count(view.accounts, "account", "accounts"));
    let modes = [(view.enforced, "enforces", "enforce"), (view.observed, "observes", "observe")];
    let modes = modes.into_iter().filter(|(number, ..)| *number > 0);
    let modes: Vec<String> = modes.map(|(number, one, many)| count(number, one, many)).collect();
    let modes = if modes.is_empty() { String::new() } else { format!(": {}", modes.join(", ")) };
    let news = [("new", &view.added), ("changed", &view.changed), ("gone", &view.gone)];
    let news = news.into_iter().filter(|(_, names)| !names.is_empty());
    let news = news.map(|(what, names)| format!("; {} {what}: {}", names.len(), names.join(", ")));
    out.line(format!("in force: {rules} for {accounts}{modes}{}", news.collect::<Vec<_>>().concat()))?;
    for key in &view.needs_restart {
        out.line(format!("needs a restart: {key}"))?;
    }
    Ok(Exit::Good)
}
