//! `adjutant audit completeness`

use clap::Args;

use crate::cli::out::Out;
use crate::cli::remote::{Remote, Where, segment};
use crate::cli::{Context, Exit, Failure};
use crate::web::admin::completeness::{CompletenessView, DayView};

#[derive(Debug, Args)]
pub(in crate::cli) struct Completeness {
    /// Of which account
    #[arg(long)]
    account: String,
    /// How many UTC days, today included
    #[arg(long, default_value_t = 7)]
    days: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Where,
}

pub(super) async fn run(context: &Context, asked: Completeness, out: &mut Out) -> Result<Exit, Failure> {
    let remote = Remote::open(context, asked.place).await?;
    let path = format!("/v1/accounts/{}/completeness", segment(&asked.account));
    let view: CompletenessView = remote.get(&path, &[("days", asked.days.to_string())]).await?;
    remote.close().await?;
    if asked.json {
        out.json(&view)?;
        return Ok(Exit::Good);
    }
    let head = ["DAY", "RECEIVED", "REPEATED", "BACKFILLED", "SWEPT", "SET ASIDE", "REFUSED", "MISSING", "LAST EVENT"];
    out.table(&head, &view.days.iter().map(row).collect::<Vec<_>>())?;
    out.line("refused requests are those of all accounts: nobody knows whose they were")?;
    for unknown in &view.unknown {
        out.line(format!("not known: {unknown}"))?;
    }
    Ok(Exit::Good)
}

fn row(day: &DayView) -> Vec<String> {
    let known = |count: Option<u64>| count.map_or_else(|| "not known".to_owned(), |count| count.to_string());
    let partly = if day.is_whole { "" } else { " (in part)" };
    vec![
        format!("{}{partly}", day.day),
        day.received.to_string(),
        day.repeated.to_string(),
        day.backfilled.to_string(),
        day.swept.to_string(),
        day.set_aside.to_string(),
        known(day.refused_of_all),
        known(day.missing),
        day.last_event_at.clone().unwrap_or_default(),
    ]
}
