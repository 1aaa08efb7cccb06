//! Assistants and schedulers are removed: who loses what is said first, and which rules grant it again.

use clap::Args;

use super::{Which, Whose};
use crate::cli::out::{Out, count, has_to_ask};
use crate::cli::remote::{Remote, segment};
use crate::cli::{Exit, Failure};
use crate::web::admin::assistants::RemovedView;

#[derive(Debug, Args)]
pub(in crate::cli) struct Remove {
    #[command(flatten)]
    whose: Whose,
    /// Who is taken off the list, by email or id
    #[arg(value_name = "WHO")]
    who: String,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct RemoveAll {
    #[command(flatten)]
    whose: Whose,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, Args)]
struct How {
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Print JSON; with it --yes is needed
    #[arg(long)]
    json: bool,
}

pub(super) async fn one(remote: &Remote, asked: Remove, which: Which, out: &mut Out) -> Result<Exit, Failure> {
    let path = asked.whose.path(remote, which).await?;
    withdraw(remote, &format!("{path}/{}", segment(&asked.who)), &asked.how, false, out).await
}

pub(super) async fn all(remote: &Remote, asked: RemoveAll, which: Which, out: &mut Out) -> Result<Exit, Failure> {
    withdraw(remote, &asked.whose.path(remote, which).await?, &asked.how, true, out).await
}

async fn withdraw(remote: &Remote, path: &str, how: &How, is_all: bool, out: &mut Out) -> Result<Exit, Failure> {
    let mut query = Vec::new();
    if has_to_ask(how.yes, how.json)? {
        let found: RemovedView = remote.delete(path, &[("check", "true".to_owned())]).await?;
        say(&found, out)?;
        if found.lost.is_empty() {
            return Ok(Exit::Good);
        }
        out.agree("remove?")?;
        // Nobody loses anything who was not named.
        query.extend(is_all.then(|| ("at_most", found.lost.len().to_string())));
    }
    let done: RemovedView = remote.delete(path, &query).await?;
    if how.json {
        out.json(&done)?;
    } else if how.yes {
        say(&done, out)?;
    } else {
        out.line(format!("removed: {}", count(done.lost.len(), "privilege", "privileges")))?;
    }
    Ok(Exit::Good)
}

/// Who loses what, or lost it.
fn say(found: &RemovedView, out: &mut Out) -> Result<(), Failure> {
    let verb = if found.is_done { "can no longer" } else { "could no longer" };
    for one in &found.lost {
        let (assistant, user) = (one.assistant.name(), one.user.name());
        out.line(format!("{assistant} {verb} schedule for {user}, nor manage or move meetings of {user}"))?;
    }
    if found.lost.is_empty() {
        out.line("nobody is on the list: there is nothing to remove")?;
    }
    for rule in &found.rules {
        out.line(format!(
            "rule {rule} grants it again: let it observe, or leave the user out of it, and `adjutant reload`"
        ))?;
    }
    Ok(())
}
