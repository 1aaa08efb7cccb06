//! `adjutant assistants` and `adjutant schedulers`: who may schedule for whom.

mod add;
mod list;
mod remove;
mod take_back;
mod verify;

use clap::{Args, Subcommand};

use super::out::Out;
use super::remote::{Remote, segment};
use super::users::Of;
use super::{Context, Exit, Failure};

#[derive(Debug, Subcommand)]
pub(super) enum Asked {
    /// List who may schedule for a user
    List(list::List),
    /// Make others assistants of a user
    ///
    /// An assistant can schedule meetings for the user, see and manage all meetings of the user, and act as their alternative
    /// host where the account has co-hosts on. Both have to be active, with a licence, in one account, and Zoom allows 30 for
    /// one user. Many come from a file: CSV whose first line names its columns, user and assistant, or a line of JSON for each.
    /// Who is an assistant already stays one, so that the same file can be given again. The exit code is 1 where one was
    /// refused.
    Add(add::Add),
    /// Take one assistant from a user
    Remove(remove::Remove),
    /// Take all assistants from a user
    RemoveAll(remove::RemoveAll),
    /// Say whether the API users, or somebody, can schedule for a user: what has to be so, whether it is, what to do
    Verify(verify::Verify),
    /// Take back all grants of one API user, from everybody who gave one
    TakeBack(take_back::TakeBack),
}

#[derive(Debug, Subcommand)]
pub(super) enum AskedOfSchedulers {
    /// List for whom a user may schedule
    List(list::List),
    /// Take the right to schedule for one other from a user
    Remove(remove::Remove),
    /// Take the right to schedule for anybody from a user; of an API user, with an operator's token alone
    RemoveAll(remove::RemoveAll),
}

/// Whose list.
#[derive(Debug, Args)]
struct Whose {
    /// By email or id
    #[arg(long, value_name = "USER")]
    user: String,
    #[command(flatten)]
    of: Of,
}

/// Which list, by its place in the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    Assistants,
    Schedulers,
}

impl Which {
    const fn name(self) -> &'static str {
        match self {
            Self::Assistants => "assistants",
            Self::Schedulers => "schedulers",
        }
    }
}

fn path(account: &str, user: &str, which: Which) -> String {
    format!("/v1/accounts/{}/users/{}/{}", segment(account), segment(user), which.name())
}

impl Whose {
    async fn path(&self, remote: &Remote, which: Which) -> Result<String, Failure> {
        Ok(path(&self.of.account(remote).await?, &self.user, which))
    }
}

pub(super) async fn run(context: &Context, asked: Asked, out: &mut Out) -> Result<Exit, Failure> {
    let remote = Remote::running(&context.admin()?)?.patient()?;
    match asked {
        Asked::List(asked) => list::list(&remote, asked, Which::Assistants, out).await,
        Asked::Add(asked) => add::add(&remote, asked, out).await,
        Asked::Remove(asked) => remove::one(&remote, asked, Which::Assistants, out).await,
        Asked::RemoveAll(asked) => remove::all(&remote, asked, Which::Assistants, out).await,
        Asked::Verify(asked) => verify::verify(&remote, asked, out).await,
        Asked::TakeBack(asked) => take_back::run(&remote, asked, out).await,
    }
}

pub(super) async fn run_of_schedulers(
    context: &Context,
    asked: AskedOfSchedulers,
    out: &mut Out,
) -> Result<Exit, Failure> {
    let remote = Remote::running(&context.admin()?)?.patient()?;
    match asked {
        AskedOfSchedulers::List(asked) => list::list(&remote, asked, Which::Schedulers, out).await,
        AskedOfSchedulers::Remove(asked) => remove::one(&remote, asked, Which::Schedulers, out).await,
        AskedOfSchedulers::RemoveAll(asked) => remove::all(&remote, asked, Which::Schedulers, out).await,
    }
}
