//! `adjutant audit trace`

use clap::Args;

use crate::cli::out::Out;
use crate::cli::remote::{Remote, Where};
use crate::cli::{Context, Exit, Failure};
use crate::web::admin::trace::TraceView;

#[derive(Debug, Args)]
pub(in crate::cli) struct Trace {
    /// A delivery, job, onboarding or errand by its id, an entry by its number, a user by email or id, a meeting by its number, a rule by its
    /// name, or a subject as entries print it, as in meeting:123
    of: String,
    /// Only entries of this account
    #[arg(long)]
    account: Option<String>,
    /// Begin to look here: the number of an entry, or a time as in 2026-11-21 or 2026-11-21T08:00:00Z
    #[arg(long, value_name = "ENTRY|TIME")]
    from: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Where,
}

pub(super) async fn run(context: &Context, asked: Trace, out: &mut Out) -> Result<Exit, Failure> {
    let remote = Remote::open(context, asked.place).await?;
    let query = [("of", Some(asked.of.clone())), ("account", asked.account), ("from", asked.from)];
    let query: Vec<_> = query.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
    let view: TraceView = remote.get("/v1/audit/trace", &query).await?;
    remote.close().await?;
    if asked.json {
        out.json(&view)?;
    } else {
        show(&view, &asked.of, out)?;
    }
    Ok(if view.lines.is_empty() { Exit::Failed } else { Exit::Good })
}

fn show(view: &TraceView, asked: &str, out: &mut Out) -> Result<(), Failure> {
    for line in &view.lines {
        out.line(super::line(&line.entry, line.depth))?;
    }
    let TraceView { of, from, to, .. } = view;
    if view.lines.is_empty() {
        out.line(format!("no entry from {from} to {to} is about {of}"))?;
    }
    if view.has_earlier {
        out.line(format!("entries before {from} were not looked at: adjutant audit trace {asked:?} --from 0"))?;
    }
    if view.has_later {
        out.line(format!("entries from {to} on were not looked at: adjutant audit trace {asked:?} --from {to}"))?;
    }
    Ok(())
}
