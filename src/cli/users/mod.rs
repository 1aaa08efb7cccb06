//! `adjutant users`: people become users, and are looked at and let go.

mod let_go;
mod onboard;
mod rows;
mod show;

use clap::{Args, Subcommand};

use super::out::Out;
use super::remote::Remote;
use super::{Context, Exit, Failure};
use crate::web::admin::view::AppView;

#[derive(Debug, Subcommand)]
pub(super) enum Asked {
    /// Make people users: created at Zoom or found there, with licence and groups, then handed to the rules
    ///
    /// One person by email, or many from a file: CSV whose first line names its columns, or a line of JSON for each. Columns
    /// are email, `first_name`, `last_name`, `display_name`, licence, groups parted by ;, action, label and notify. The same
    /// file, given again, asks for nothing twice. The exit code is 1 where a row failed.
    Onboard(Box<onboard::Onboard>),
    /// List the users of an account, as Zoom has them now
    List(show::List),
    /// Show one user, as Zoom has them now
    Show(show::Show),
    /// Take a user's right to log in, and the licence
    Deactivate(let_go::Deactivate),
    /// Take a user out of the account, or delete them for good
    Remove(let_go::Remove),
    /// Say who has what of the rules, who waits for what, and what was set aside
    Coverage(show::Coverage),
}

/// Which account.
#[derive(Debug, Args)]
struct Of {
    /// Zoom's id of the account. Default: the only one of the configuration
    #[arg(long, value_name = "ID")]
    account: Option<String>,
}

impl Of {
    async fn account(&self, remote: &Remote) -> Result<String, Failure> {
        if let Some(account) = &self.account {
            return Ok(account.clone());
        }
        let apps: Vec<AppView> = remote.get("/v1/apps", &[]).await?;
        let mut all = apps.into_iter().flat_map(|app| app.accounts);
        match (all.next(), all.next()) {
            (Some(only), None) => Ok(only),
            (None, _) => Err(Failure::new(Exit::Failed, "no app holds an account")),
            _ => Err(Failure::new(Exit::Usage, "there is more than one account: say which one with --account")),
        }
    }
}

pub(super) async fn run(context: &Context, asked: Asked, out: &mut Out) -> Result<Exit, Failure> {
    let remote = Remote::running(&context.admin()?)?.patient()?;
    match asked {
        Asked::Onboard(asked) => onboard::run(&remote, *asked, out).await,
        Asked::List(asked) => show::list(&remote, asked, out).await,
        Asked::Show(asked) => show::show(&remote, asked, out).await,
        Asked::Coverage(asked) => show::coverage(&remote, asked, out).await,
        Asked::Deactivate(asked) => let_go::deactivate(&remote, asked, out).await,
        Asked::Remove(asked) => let_go::remove(&remote, asked, out).await,
    }
}
