//! `adjutant users`: people become users, and are looked at and let go.

mod forget;
mod let_go;
pub(super) mod onboard;
mod onboardings;
mod show;

use clap::{Args, Subcommand};

use super::accounts::NONE_SERVED;
use super::out::Out;
use super::remote::Remote;
use super::{Context, Exit, Failure};
use crate::web::admin::accounts::AccountView;

#[derive(Debug, Subcommand)]
pub(super) enum Asked {
    /// Make people users: created at Zoom or found there, with licence and groups, then handed to the rules
    ///
    /// One person by email, or many from a file: CSV whose first line names its columns, or a line of JSON for each. Columns
    /// are email, `first_name`, `last_name`, `display_name`, licence, groups parted by ;, action, label and notify. The same
    /// file, given again, asks for nothing twice. The exit code is 1 where a row failed.
    Onboard(Box<onboard::Onboard>),
    /// List onboardings, the oldest first: how each stands, and its id
    Onboardings(onboardings::Onboardings),
    /// List the users of an account, as Zoom has them now
    List(show::List),
    /// Show one user, as Zoom has them now
    Show(show::Show),
    /// Take a user's right to log in, and the licence
    Deactivate(let_go::Deactivate),
    /// Take a user out of the account, or delete them for good
    Remove(let_go::Remove),
    /// Forget what the store keeps of a person: deliveries, jobs, onboardings that have ended, and what the audit log says of
    /// them. The log still verifies. Zoom is asked for nothing but who it is
    Forget(forget::Forget),
    /// Say who has what of the rules, who waits for what, and what was set aside
    Coverage(show::Coverage),
}

/// Which account.
#[derive(Debug, Args)]
pub(in crate::cli) struct Of {
    /// Zoom's id of the account. Default: the only one that is served
    #[arg(long, value_name = "ID")]
    account: Option<String>,
}

impl Of {
    pub(in crate::cli) async fn account(&self, remote: &Remote) -> Result<String, Failure> {
        if let Some(account) = &self.account {
            return Ok(account.clone());
        }
        // Also of those at run time; and whoever onboards may ask it.
        let accounts: Vec<AccountView> = remote.get("/v1/accounts", &[]).await?;
        let mut all = accounts.into_iter().map(|account| account.id);
        match (all.next(), all.next()) {
            (Some(only), None) => Ok(only),
            (None, _) => Err(Failure::new(Exit::Failed, NONE_SERVED)),
            _ => Err(Failure::new(Exit::Usage, "there is more than one account: say which one with --account")),
        }
    }
}

pub(super) async fn run(context: &Context, asked: Asked, out: &mut Out) -> Result<Exit, Failure> {
    let remote = Remote::running(&context.admin()?)?.patient()?;
    match asked {
        Asked::Onboard(asked) => onboard::run(&remote, *asked, out).await,
        Asked::Onboardings(asked) => onboardings::list(&remote, asked, out).await,
        Asked::List(asked) => show::list(&remote, asked, out).await,
        Asked::Show(asked) => show::show(&remote, asked, out).await,
        Asked::Coverage(asked) => show::coverage(&remote, asked, out).await,
        Asked::Deactivate(asked) => let_go::deactivate(&remote, asked, out).await,
        Asked::Remove(asked) => let_go::remove(&remote, asked, out).await,
        Asked::Forget(asked) => forget::forget(&remote, asked, out).await,
    }
}
