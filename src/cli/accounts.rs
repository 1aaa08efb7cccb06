//! `adjutant accounts`: who is served and by which app; invites to install a general app.

use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args, Subcommand};

use super::out::{Out, count, has_to_ask};
use super::remote::{Remote, segment};
use super::setup::sheet::{About, Sheet};
use super::{Context, Exit, Failure, JsonOnly};
use crate::account::AppKind;
use crate::config::{Outline, read_small};
use crate::web::admin::accounts::{AccountAsked, AccountChange, AccountView, InviteAsked, InviteView, InvitedView};

const PATH: &str = "/v1/accounts";
/// What to do first, where there is none.
pub(super) const NONE_SERVED: &str = "no account is served yet: invite one to install a general app (`adjutant accounts invite`), add \
     one with an app of its own (`adjutant accounts add`), or name one in [[app.account]]";
const INVITES: &str = "/v1/invites";
/// A file of a secret is small; something else was meant where it is not.
const FILE_BYTES_MAX: u64 = 65_536;

#[derive(Debug, Subcommand)]
pub(super) enum Asked {
    /// Accounts that are served, of the configuration and all others
    List(JsonOnly),
    /// One account: how it stands, and who installed the app
    Show(One),
    /// Serve an account by a server-to-server app of its own, without a restart. It is stored, sealed, and not in the
    /// configuration
    Add(Box<Add>),
    /// Change label, plan, API users, who may be granted, or which of two apps acts
    Change(Change),
    /// Stop an account's jobs and sweeps for a while. Deliveries are stored and planned as ever
    Pause(One),
    /// Let a paused account go on
    Resume(One),
    /// Let an account go: its jobs are cancelled, its tokens given back and erased, and then all of it is forgotten, while
    /// the audit log still verifies
    Remove(Remove),
    /// Make a link that lets one account install a general app. It is good once
    Invite(Invite),
    /// Invites, the newest first
    Invites(JsonOnly),
    /// End an invite that was not used
    RevokeInvite(RevokeInvite),
}

#[derive(Debug, Args)]
pub(super) struct One {
    /// Zoom's id of the account
    account: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Add {
    /// Zoom's id of the account
    account: String,
    /// A name for its app: Zoom posts to /webhooks/NAME
    #[arg(long, value_name = "NAME")]
    app: String,
    #[arg(long)]
    client_id: String,
    /// A file with the client secret
    #[arg(long, value_name = "FILE")]
    client_secret_file: PathBuf,
    /// A file with the webhook secrets, one a line; any of them verifies
    #[arg(long, value_name = "FILE")]
    webhook_secrets_file: PathBuf,
    /// What people call it
    #[arg(long)]
    label: Option<String>,
    /// free, pro or business
    #[arg(long)]
    plan: Option<String>,
    /// Whom rules make everyone's assistant, by email or id. Can be given several times
    #[arg(long = "api-user", value_name = "USER")]
    api_users: Vec<String>,
    /// Whom else a rule may make an assistant, by email. Can be given several times
    #[arg(long = "may-grant", value_name = "EMAIL")]
    may_grant: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("what").required(true).multiple(true).args([
    "label", "plan", "api_users", "may_grant", "no_may_grant", "invites_per_day", "app", "client_secret_file",
    "webhook_secrets_file",
])))]
pub(super) struct Change {
    /// Zoom's id of the account
    account: String,
    #[arg(long)]
    label: Option<String>,
    /// free, pro or business
    #[arg(long)]
    plan: Option<String>,
    /// In the place of those that it has. Can be given several times
    #[arg(long = "api-user", value_name = "USER")]
    api_users: Vec<String>,
    /// In the place of those that it has. Can be given several times
    #[arg(long = "may-grant", value_name = "EMAIL")]
    may_grant: Vec<String>,
    /// Nobody but the API users may be granted
    #[arg(long, conflicts_with = "may_grant")]
    no_may_grant: bool,
    /// How many people onboarding invites in a UTC day at most
    #[arg(long, value_name = "COUNT")]
    invites_per_day: Option<u32>,
    /// Which of two apps acts
    #[arg(long, value_name = "NAME")]
    app: Option<String>,
    /// A file with the new client secret of an app that was added at run time
    #[arg(long, value_name = "FILE")]
    client_secret_file: Option<PathBuf>,
    /// A file with its webhook secrets, one a line, in the place of those that it has
    #[arg(long, value_name = "FILE")]
    webhook_secrets_file: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Remove {
    /// Zoom's id of the account
    account: String,
    /// First take back all that its API users were granted
    #[arg(long)]
    take_back: bool,
    /// Do not ask for a yes
    #[arg(long)]
    yes: bool,
    /// Print JSON; with it --yes is needed
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Invite {
    /// For whom it is, as in "School X": the account gets this name
    #[arg(long)]
    label: Option<String>,
    /// Needed where there is more than one general app
    #[arg(long, value_name = "NAME")]
    app: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct RevokeInvite {
    /// As `accounts invites` lists it
    id: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(context: &Context, asked: Asked, out: &mut Out) -> Result<Exit, Failure> {
    let remote = Remote::running(&context.admin()?)?;
    match asked {
        Asked::List(asked) => list(&remote, asked.json, out).await,
        Asked::Show(One { account, json }) => shown(remote.get(&path(&account), &[]).await?, json, out),
        Asked::Add(asked) => add(context, &remote, *asked, out).await,
        Asked::Change(asked) => change(&remote, asked, out).await,
        Asked::Pause(One { account, json }) => {
            shown(remote.post(&format!("{}/pause", path(&account)), &[]).await?, json, out)
        }
        Asked::Resume(One { account, json }) => {
            shown(remote.post(&format!("{}/resume", path(&account)), &[]).await?, json, out)
        }
        Asked::Remove(asked) => remove(&remote, asked, out).await,
        Asked::Invite(asked) => invite(&remote, asked, out).await,
        Asked::Invites(asked) => invites(&remote, asked.json, out).await,
        Asked::RevokeInvite(RevokeInvite { id, json }) => {
            let view: InviteView = remote.delete(&format!("{INVITES}/{}", segment(&id)), &[]).await?;
            if json {
                out.json(&view)?;
            } else {
                out.line(format!("invite {} is {}", view.id, view.state))?;
            }
            Ok(Exit::Good)
        }
    }
}

fn path(account: &str) -> String {
    format!("{PATH}/{}", segment(account))
}

async fn list(remote: &Remote, json: bool, out: &mut Out) -> Result<Exit, Failure> {
    let found: Vec<AccountView> = remote.get(PATH, &[]).await?;
    if json {
        out.json(&found)?;
        return Ok(Exit::Good);
    }
    let row = |of: &AccountView| {
        let standing = match &of.paused {
            Some(_) => format!("{}, paused", of.standing),
            None => of.standing.clone(),
        };
        let good = of.installations.iter().filter(|one| one.lost_at.is_none()).count();
        let installed = if of.origin == "installed" { count(good, "admin", "admins") } else { of.origin.clone() };
        vec![
            of.id.clone(),
            of.label.clone().unwrap_or_default(),
            of.app.clone(),
            standing,
            of.api_users.join(", "),
            installed,
        ]
    };
    let rows: Vec<_> = found.iter().map(row).collect();
    out.table(&["ACCOUNT", "LABEL", "APP", "STANDING", "API USERS", "BY"], &rows)?;
    let how_many = count(found.len(), "account", "accounts");
    out.line(if found.is_empty() { NONE_SERVED } else { &how_many })?;
    Ok(Exit::Good)
}

fn shown(view: AccountView, json: bool, out: &mut Out) -> Result<Exit, Failure> {
    if json {
        out.json(&view)?;
        return Ok(Exit::Good);
    }
    let some = |list: &[String]| (!list.is_empty()).then(|| list.join(", "));
    let standing = match (&view.why, &view.since) {
        (Some(why), Some(since)) => format!("{} since {since}: {why}", view.standing),
        _ => view.standing.clone(),
    };
    out.fields(&[
        ("account", Some(view.id)),
        ("label", view.label),
        ("app", Some(view.app)),
        ("origin", Some(view.origin)),
        ("standing", Some(standing)),
        ("paused", view.paused.map(|paused| format!("since {} by {}", paused.at, paused.by))),
        ("plan", view.plan),
        ("api users", some(&view.api_users)),
        ("may grant", some(&view.may_grant)),
        ("invites a day", view.invites_per_day.map(|count| count.to_string())),
        ("added", view.added_at.zip(view.added_by).map(|(at, by)| format!("{at} by {by}"))),
        ("also installed", view.rival.map(|rival| format!("app {rival}, which does not act"))),
        ("authorise at", view.install_url),
    ])?;
    for one in &view.installations {
        let who = one.email.as_ref().unwrap_or(&one.user);
        let lost = match (&one.lost_at, &one.lost_why) {
            (Some(at), Some(why)) => format!("; gone since {at}: {why}"),
            _ => format!("; tokens refreshed {}", one.refreshed_at),
        };
        out.line(format!("  installed {} by {who} (app {}){lost}", one.installed_at, one.app))?;
    }
    Ok(Exit::Good)
}

fn secrets_of(path: &Path) -> Result<Vec<String>, Failure> {
    let text = read_small(path, FILE_BYTES_MAX)
        .map_err(|error| Failure::new(Exit::Io, format!("cannot read {}: {error}", path.display())))?;
    Ok(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

fn secret_of(path: &Path) -> Result<String, Failure> {
    let mut secrets = secrets_of(path)?;
    match (secrets.pop(), secrets.len()) {
        (Some(only), 0) => Ok(only),
        (None, _) => Err(Failure::new(Exit::Usage, format!("{} is empty, expected one line", path.display()))),
        (Some(_), more) => {
            let what = format!("{} has {} lines, expected one", path.display(), more.saturating_add(1));
            Err(Failure::new(Exit::Usage, what))
        }
    }
}

async fn add(context: &Context, remote: &Remote, asked: Add, out: &mut Out) -> Result<Exit, Failure> {
    let body = AccountAsked {
        id: asked.account,
        app: asked.app,
        client_id: asked.client_id,
        client_secret: secret_of(&asked.client_secret_file)?,
        webhook_secrets: secrets_of(&asked.webhook_secrets_file)?,
        label: asked.label,
        plan: asked.plan,
        api_users: asked.api_users,
        may_grant: asked.may_grant,
    };
    let view: AccountView = remote.post_json(PATH, &[], &body).await?;
    let app = view.app.clone();
    shown(view, asked.json, out)?;
    if !asked.json {
        out.line("\nwhat its app needs in the Zoom Marketplace, by the configuration as it is on disk:")?;
        let Outline { server, rules, .. } = context.outline()?;
        let kind = AppKind::ServerToServer;
        let public_url = server.public_url.as_deref();
        Sheet::of(&About { app: &app, kind, public_url, rules: &rules, reads_log: false }).tell(out)?;
    }
    Ok(Exit::Good)
}

async fn change(remote: &Remote, asked: Change, out: &mut Out) -> Result<Exit, Failure> {
    let some = |list: Vec<String>| (!list.is_empty()).then_some(list);
    let body = AccountChange {
        label: asked.label,
        plan: asked.plan,
        api_users: some(asked.api_users),
        may_grant: if asked.no_may_grant { Some(Vec::new()) } else { some(asked.may_grant) },
        invites_per_day: asked.invites_per_day,
        app: asked.app,
        client_secret: asked.client_secret_file.as_deref().map(secret_of).transpose()?,
        webhook_secrets: asked.webhook_secrets_file.as_deref().map(secrets_of).transpose()?,
    };
    let is_of_api_users = body.api_users.is_some();
    let view: AccountView = remote.patch_json(&path(&asked.account), &body).await?;
    let (id, former) = (view.id.clone(), view.former_api_users.clone());
    shown(view, asked.json, out)?;
    for user in former.iter().filter(|_| is_of_api_users && !asked.json) {
        out.line(format!(
            "{user} keeps what was granted before; to take that back: adjutant assistants take-back --api-user {user} --account {id}"
        ))?;
    }
    Ok(Exit::Good)
}

async fn remove(remote: &Remote, asked: Remove, out: &mut Out) -> Result<Exit, Failure> {
    let before: AccountView = remote.get(&path(&asked.account), &[]).await?;
    if before.origin == "configuration" {
        let what = format!("account {} is in the configuration, by app {}", before.id, before.app);
        return Err(Failure::new(Exit::Failed, format!("{what}: take it out there and reload; nothing was changed")));
    }
    if has_to_ask(asked.yes, asked.json)? {
        let name = before.label.as_ref().map(|label| format!(" ({label})")).unwrap_or_default();
        let kept = if asked.take_back { "" } else { " What its API users were granted stays with them at Zoom." };
        let question = format!(
            "let account {}{name} go? its jobs are cancelled, its tokens erased, and all of it is forgotten for good.{kept}",
            before.id
        );
        out.agree(&question)?;
    }
    let query = [("take_back", asked.take_back.to_string())];
    let view: AccountView = remote.delete(&path(&asked.account), &query).await?;
    if asked.json {
        out.json(&view)?;
    } else {
        out.line(format!(
            "account {} is {}; what is left to do goes on by itself, also after a restart, and takes {}. `adjutant accounts list` \
             has it as long",
            view.id,
            view.standing,
            if asked.take_back { "three calls to Zoom for each user who is taken back" } else { "some seconds" }
        ))?;
        for lent in &view.lent {
            let and = if lent.stays {
                "stays so at Zoom until an admin of the account takes it back"
            } else {
                "that is taken back first"
            };
            out.line(format!("{} can schedule for {}, lent at {}: {and}", lent.assistant, lent.user, lent.since))?;
        }
    }
    Ok(Exit::Good)
}

async fn invite(remote: &Remote, asked: Invite, out: &mut Out) -> Result<Exit, Failure> {
    let body = InviteAsked { app: asked.app, label: asked.label };
    let invited: InvitedView = remote.post_json(INVITES, &[], &body).await?;
    if asked.json {
        out.json(&invited)?;
        return Ok(Exit::Good);
    }
    out.line(&invited.link)?;
    out.line(format!(
        "send it to an admin of the account: it is good once, until {}, and not shown again",
        invited.invite.until
    ))?;
    Ok(Exit::Good)
}

async fn invites(remote: &Remote, json: bool, out: &mut Out) -> Result<Exit, Failure> {
    let found: Vec<InviteView> = remote.get(INVITES, &[]).await?;
    if json {
        out.json(&found)?;
        return Ok(Exit::Good);
    }
    let row = |of: &InviteView| {
        vec![
            of.id.clone(),
            of.label.clone().unwrap_or_default(),
            of.app.clone(),
            of.state.clone(),
            of.until.clone(),
            of.account.clone().unwrap_or_default(),
        ]
    };
    let rows: Vec<_> = found.iter().map(row).collect();
    out.table(&["INVITE", "LABEL", "APP", "STATE", "UNTIL", "USED BY"], &rows)?;
    out.line(count(found.len(), "invite", "invites"))?;
    Ok(Exit::Good)
}
