//! `adjutant tokens`: who may ask the running service, for what, and of which account.

use clap::{Args, Subcommand};

use super::out::{Out, count};
use super::remote::{Remote, segment};
use super::{Context, Exit, Failure};
use crate::web::admin::{NewTokenView, Role, TokenAsked, TokenView};

const PATH: &str = "/v1/tokens";

#[derive(Debug, Subcommand)]
pub(super) enum Asked {
    /// Make a token, which is printed this once
    Create(Create),
    /// Whose tokens there are, and which were used since the start
    List(super::JsonOnly),
    /// End a token: the next request with it is refused
    Revoke(Revoke),
}

#[derive(Debug, Args)]
pub(super) struct Create {
    /// Whose it is, as the audit log names them: letters, digits, dots, - and _
    #[arg(long)]
    name: String,
    /// What it is for: operator (everything), onboarder (users and their onboarding), auditor (reads everything) or scheduler (meetings)
    #[arg(long)]
    role: Role,
    /// The one account that it sees; all where this is left out
    #[arg(long, value_name = "ID")]
    account: Option<String>,
    /// How long it is good, as in 90d or 12h, or until when, in RFC 3339; for good where this is left out
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Revoke {
    /// As the list has it
    id: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(context: &Context, asked: Asked, out: &mut Out) -> Result<Exit, Failure> {
    let remote = Remote::running(&context.admin()?)?;
    match asked {
        Asked::Create(asked) => create(&remote, asked, out).await?,
        Asked::List(asked) => list(&remote, asked.json, out).await?,
        Asked::Revoke(asked) => {
            let gone: TokenView = remote.delete(&format!("{PATH}/{}", segment(&asked.id)), &[]).await?;
            if asked.json {
                out.json(&gone)?;
            } else {
                out.line(format!("revoked {} ({})", gone.id, gone.name))?;
            }
        }
    }
    Ok(Exit::Good)
}

async fn create(remote: &Remote, asked: Create, out: &mut Out) -> Result<(), Failure> {
    let Create { name, role, account, expires, json } = asked;
    let made: NewTokenView = remote.post_json(PATH, &[], &TokenAsked { name, role, account, expires }).await?;
    if json {
        return out.json(&made);
    }
    let TokenView { id, name, role, account, expires_at, .. } = made.about;
    let of = account.map_or_else(|| "all accounts".to_owned(), |account| format!("account {account} alone"));
    let until = expires_at.map_or_else(|| "until it is revoked".to_owned(), |at| format!("until {at}"));
    out.line(format!("{id} ({name}) is good for the role {role} and {of}, {until}. it is shown this once:"))?;
    out.line(made.token)
}

async fn list(remote: &Remote, json: bool, out: &mut Out) -> Result<(), Failure> {
    let found: Vec<TokenView> = remote.get(PATH, &[]).await?;
    if json {
        return out.json(&found);
    }
    let row = |of: &TokenView| {
        let or = |text: &Option<String>, none: &str| text.clone().unwrap_or_else(|| none.to_owned());
        let never = if of.is_revocable { "never" } else { "never: delete [admin] token_file and restart" };
        vec![
            of.id.clone(),
            of.name.clone(),
            of.role.to_string(),
            or(&of.account, "all"),
            or(&of.created_at, "-"),
            or(&of.created_by, "-"),
            or(&of.expires_at, never),
            or(&of.last_used_at, "-"),
        ]
    };
    let rows: Vec<_> = found.iter().map(row).collect();
    out.table(&["ID", "NAME", "ROLE", "ACCOUNT", "CREATED", "BY", "EXPIRES", "LAST USED"], &rows)?;
    out.line(count(found.len(), "token", "tokens"))
}
