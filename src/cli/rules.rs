//! `adjutant rules`

use clap::{Args, Subcommand};

use super::out::{Out, count};
use super::remote::{Remote, Where, segment};
use super::{Context, Exit, Failure};
use crate::web::admin::view::MovedView;

#[derive(Debug, Subcommand)]
pub(super) enum Asked {
    /// Let a rule go on that came to its limit, with all the jobs that it holds back
    Resume(Resume),
}

#[derive(Debug, Args)]
pub(super) struct Resume {
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

pub(super) async fn run(context: &Context, asked: Asked, out: &mut Out) -> Result<Exit, Failure> {
    let Asked::Resume(asked) = asked;
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
