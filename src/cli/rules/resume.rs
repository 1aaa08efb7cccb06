//! `adjutant rules resume`

use clap::Args;

use crate::cli::out::{Out, count};
use crate::cli::remote::{Remote, Where, segment};
use crate::cli::{Context, Exit, Failure};
use crate::web::admin::view::MovedView;

#[derive(Debug, Args)]
pub(in crate::cli) struct Resume {
    /// The name of the rule
    rule: String,
    /// Only for this account
    #[arg(long)]
    account: Option<String>,
    /// Let through what it would take away from somebody, just as `attention` and the jobs tell it, and nothing else
    #[arg(long)]
    takes_away: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Where,
}

pub(super) async fn run(context: &Context, asked: Resume, out: &mut Out) -> Result<Exit, Failure> {
    let remote = Remote::open(context, asked.place).await?;
    let path = format!("/v1/rules/{}/resume", segment(&asked.rule));
    let mut query: Vec<_> = asked.account.into_iter().map(|account| ("account", account)).collect();
    query.extend(asked.takes_away.then(|| ("takes_away", true.to_string())));
    let moved: MovedView = remote.post(&path, &query).await?;
    remote.close().await?;
    if asked.json {
        out.json(&moved)?;
        return Ok(Exit::Good);
    }
    let jobs = count(moved.moved, "job is", "jobs are");
    if asked.takes_away {
        out.line(format!("{jobs} tried again and may take away what was told: {}", asked.rule))?;
    } else {
        out.line(format!("rule {} goes on; {jobs} tried again", asked.rule))?;
    }
    if moved.left > 0 {
        let left = count(moved.left, "job is", "jobs are");
        out.line(format!("{left} left: ask again"))?;
    }
    Ok(Exit::Good)
}
