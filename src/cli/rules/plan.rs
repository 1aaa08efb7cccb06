//! `adjutant rules plan`

use super::{Out, Plan, fits};
use crate::cli::exit::warn;
use crate::cli::private;
use crate::cli::remote::Remote;
use crate::cli::show_config::tell_difference;
use crate::cli::{Context, Exit, Failure};
use crate::web::admin::TOO_LARGE;
use crate::work::{NotPlanned, SavedPlan};

pub(super) async fn run(context: &Context, asked: Plan, out: &mut Out) -> Result<Exit, Failure> {
    let admin = context.admin()?;
    let remote = Remote::running(&admin)?.patient()?;
    // Before the plan: that a rule of the files is not there is answered as a failure.
    tell_difference(&admin).await;
    let meetings = asked.meetings.then(|| "true".to_owned());
    let query = [
        ("account", asked.account),
        ("rule", asked.rule),
        ("host", asked.host),
        ("meetings", meetings),
        ("since", asked.since),
    ];
    let query: Vec<_> = query.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
    let planned: SavedPlan = remote.get("/v1/plan", &query).await?;
    if let Some(file) = &asked.out {
        let failed =
            |error: &dyn std::fmt::Display| Failure::new(Exit::Io, format!("cannot write {}: {error}", file.display()));
        let text = serde_json::to_string_pretty(&planned).map_err(|error| failed(&error))?;
        private::put(file, &text).map_err(|e| failed(&e))?;
        if !fits(&planned)? {
            warn(&format!("{TOO_LARGE}. {} can only be read", file.display()));
        }
    }
    let exit = if planned.failed.is_empty() { Exit::Good } else { Exit::Failed };
    if asked.json {
        out.json(&planned)?;
        return Ok(exit);
    }
    for account in &planned.accounts {
        out.line(account.to_string())?;
    }
    for NotPlanned { account, why } in &planned.failed {
        out.line(format!("account {account}: not planned: {why}"))?;
    }
    Ok(exit)
}
