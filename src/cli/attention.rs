//! `adjutant attention`: what is stuck, and what to do.

use clap::Args;

use super::out::{Out, count};
use super::remote::{Remote, Where};
use super::{Context, Exit, Failure};
use crate::web::admin::view::{AttentionView, DELIVERIES_ADVICE};

#[derive(Debug, Args)]
pub(super) struct Asked {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Where,
}

pub(super) async fn run(context: &Context, asked: Asked, out: &mut Out) -> Result<Exit, Failure> {
    let remote = Remote::open(context, asked.place).await?;
    let found: AttentionView = remote.get("/v1/attention", &[]).await?;
    remote.close().await?;
    if asked.json {
        out.json(&found)?;
        return Ok(Exit::Good);
    }
    tell(&found, out)?;
    Ok(Exit::Good)
}

fn tell(found: &AttentionView, out: &mut Out) -> Result<(), Failure> {
    for alarm in &found.alarms {
        out.line(format!("ALARM  {}: {}", alarm.code, alarm.what))?;
        out.line(format!("       to do: {}", alarm.advice))?;
        out.line(format!("       then: {}", alarm.command))?;
    }
    for group in &found.parked {
        let jobs = count(group.count, "job", "jobs");
        let why = group.why.clone().unwrap_or_default();
        out.line(format!(
            "PARKED  {jobs} of account {} since {}: {} ({why})",
            group.account, group.since, group.cause
        ))?;
        if let Some(advice) = &group.advice {
            out.line(format!("        to do: {advice}"))?;
        }
        let of_rule = group.example_rule.as_ref().map(|rule| format!(", of rule {rule}")).unwrap_or_default();
        out.line(format!("        then: {}   (one of them: {}{of_rule})", group.command, group.example))?;
    }
    if found.parked_deliveries > 0 {
        let deliveries = count(found.parked_deliveries, "delivery is", "deliveries are");
        out.line(format!("PARKED  {deliveries} set aside: their bodies cannot be read, or the account that they name is none of their app's"))?;
        out.line(format!("        to do: {DELIVERIES_ADVICE}"))?;
        out.line("        then: adjutant deliveries list --parked")?;
    }
    for waiting in &found.waiting {
        let jobs = count(waiting.count, "job waits", "jobs wait");
        out.line(format!("waiting  {jobs}: {}", waiting.meaning))?;
    }
    for paused in &found.paused {
        let account = &paused.account;
        out.line(format!(
            "paused   account {account} since {} by {}: `adjutant accounts resume {account}` lets it go on",
            paused.at, paused.by
        ))?;
    }
    if found.alarms.is_empty() && found.parked.is_empty() && found.parked_deliveries == 0 {
        out.line("nothing needs a person")?;
    }
    Ok(())
}
