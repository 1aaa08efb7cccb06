//! Assistants or schedulers of a user, as Zoom has them now.

use clap::Args;

use super::{Which, Whose};
use crate::cli::out::{Out, count};
use crate::cli::remote::Remote;
use crate::cli::{Exit, Failure};
use crate::web::admin::assistants::{PeopleView, PersonView};

#[derive(Debug, Args)]
pub(in crate::cli) struct List {
    #[command(flatten)]
    whose: Whose,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn list(remote: &Remote, asked: List, which: Which, out: &mut Out) -> Result<Exit, Failure> {
    let found: PeopleView = remote.get(&asked.whose.path(remote, which).await?, &[]).await?;
    if asked.json {
        out.json(&found)?;
        return Ok(Exit::Good);
    }
    let row = |one: &PersonView| {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let role = if one.is_api_user { "api user" } else { "" };
        vec![text(&one.email), text(&one.id), role.to_owned()]
    };
    out.table(&["EMAIL", "ID", "ROLE"], &found.people.iter().map(row).collect::<Vec<_>>())?;
    let user = found.user.name();
    out.line(match which {
        Which::Assistants => {
            format!("{}: they can schedule for {user}", count(found.people.len(), "assistant", "assistants"))
        }
        Which::Schedulers => {
            format!("{}: {user} can schedule for them", count(found.people.len(), "scheduler", "schedulers"))
        }
    })?;
    Ok(Exit::Good)
}
