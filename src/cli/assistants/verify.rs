//! Whether somebody can schedule for a user, and what is missing.

use clap::Args;

use super::{Which, Whose};
use crate::cli::out::Out;
use crate::cli::remote::Remote;
use crate::cli::{Exit, Failure};
use crate::web::admin::assistants::VerifiedView;

#[derive(Debug, Args)]
pub(in crate::cli) struct Verify {
    #[command(flatten)]
    whose: Whose,
    /// Who would schedule, by email or id. Default: each API user of the account
    #[arg(long, value_name = "USER")]
    assistant: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn verify(remote: &Remote, asked: Verify, out: &mut Out) -> Result<Exit, Failure> {
    let path = format!("{}/verify", asked.whose.path(remote, Which::Assistants).await?);
    let query: Vec<_> = asked.assistant.map(|assistant| ("assistant", assistant)).into_iter().collect();
    let found: VerifiedView = remote.get(&path, &query).await?;
    let is_good = found.verdicts.iter().all(|one| one.can_schedule);
    let exit = if is_good { Exit::Good } else { Exit::Failed };
    if asked.json {
        out.json(&found)?;
        return Ok(exit);
    }
    let user = found.user.name();
    for one in &found.verdicts {
        for fact in &one.facts {
            out.line(format!("{}  {}", if fact.holds { "yes" } else { "no " }, fact.what))?;
        }
        let verdict = match (&one.missing, &one.to_do) {
            (Some(missing), Some(to_do)) => format!("{} cannot schedule for {user}: {missing}. {to_do}", one.assistant),
            _ => format!("{} can schedule for {user}", one.assistant),
        };
        out.line(verdict)?;
    }
    Ok(exit)
}
