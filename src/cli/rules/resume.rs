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
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Where,
}

pub(super) async fn run(context: &Context, asked: Resume, out: &mut Out) -> Result<Exit, Failure> {
    let remote = Remote::open(context, asked.place).await?;
    let path = format!("/v1/rules/{}/resume", segment(&asked.rule));
    let query: Vec<_> = asked.account.into_iter().map(|account| ("account", account)).collect();
    let moved: MovedView = remote.post(&path, &query).await?;
    remote.close().await?;
    if asked.json {
        out.json(&moved)?;
        return Ok(Exit::Good);
    }
    let jobs = count(moved.moved, "job is", "jobs are");
    out.line(format!("rule {} goes on; {jobs} tried again", asked.rule))?;
    if moved.left > 0 {
        let left = count(moved.left, "job is", "jobs are");
        out.line(format!("{left} left: adjutant jobs retry --cause over-share"))?;
    }
    Ok(Exit::Good)
}
