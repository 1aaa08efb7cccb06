//! All grants of one API user are taken back.

use std::io::{BufRead as _, IsTerminal as _};

use clap::Args;

use crate::cli::out::{Out, count};
use crate::cli::remote::Remote;
use crate::cli::{Exit, Failure};
use crate::web::admin::take_back::GrantsView;

const PATH: &str = "/v1/take-back";

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(in crate::cli) struct TakeBack {
    /// The API user, by email or id; also one that the configuration does not name any more
    #[arg(long, value_name = "USER")]
    api_user: String,
    /// Only in this account
    #[arg(long)]
    account: Option<String>,
    /// Only say who granted it, and which rules would grant it again
    #[arg(long)]
    plan: bool,
    /// Do not ask for a yes
    #[arg(long)]
    yes: bool,
    /// Also where rules are in force that will grant it again
    #[arg(long)]
    though_rules_grant_it_again: bool,
    /// Print JSON; with it --yes or --plan is needed
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(remote: &Remote, asked: TakeBack, out: &mut Out) -> Result<Exit, Failure> {
    let mut query = vec![("api_user", asked.api_user.clone())];
    query.extend(asked.account.clone().map(|account| ("account", account)));
    let grants: Vec<GrantsView> = remote.get(PATH, &query).await?;
    let users: usize = grants.iter().map(|one| one.users.len()).sum();
    if !asked.json {
        show(&grants, out)?;
    }
    // What could not be looked at is not taken back: ask for it again.
    let exit = if grants.iter().any(|one| one.failed.is_some()) { Exit::Failed } else { Exit::Good };
    if asked.plan || users == 0 {
        if asked.json {
            out.json(&grants)?;
        }
        return Ok(exit);
    }
    if grants.iter().any(|one| !one.rules.is_empty()) && !asked.though_rules_grant_it_again {
        let why = "nothing was changed: rules are in force that would grant it again. let them observe or take the user from \
                   api_users, then `adjutant reload`; or say --though-rules-grant-it-again";
        return Err(Failure::new(Exit::Failed, why));
    }
    if !asked.yes && !agreed(users, asked.json, out)? {
        return Err(Failure::new(Exit::Failed, "nothing was changed"));
    }
    query.extend([
        ("users_max", users.to_string()),
        ("though_rules_grant", asked.though_rules_grant_it_again.to_string()),
    ]);
    let begun: Vec<GrantsView> = remote.post(PATH, &query).await?;
    if asked.json {
        out.json(&begun)?;
        return Ok(exit);
    }
    out.line(
        "begun. the service goes on until nobody is left, also after a restart: `adjutant attention` lists it as long",
    )?;
    Ok(exit)
}

fn show(grants: &[GrantsView], out: &mut Out) -> Result<(), Failure> {
    for one in grants {
        if let Some(why) = &one.failed {
            out.line(format!("account {}: who granted {} cannot be said: {why}", one.account, one.api_user))?;
            continue;
        }
        let users = count(one.users.len(), "user has", "users have");
        out.line(format!("account {}: {users} granted {}", one.account, one.api_user))?;
        for user in &one.users {
            out.line(format!("  {user}"))?;
        }
        for rule in &one.rules {
            out.line(format!("  rule {rule} would grant it again"))?;
        }
    }
    Ok(())
}

fn agreed(users: usize, is_json: bool, out: &mut Out) -> Result<bool, Failure> {
    if is_json || !std::io::stdin().is_terminal() {
        return Err(Failure::new(Exit::Usage, "nobody is there to ask: add --yes, or --plan to look only"));
    }
    out.line(format!("take it back from {}? type yes", count(users, "user", "users")))?;
    out.flush()?;
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    read.map_err(|error| Failure::new(Exit::Io, format!("cannot read the answer: {error}")))?;
    Ok(answer.trim() == "yes")
}
