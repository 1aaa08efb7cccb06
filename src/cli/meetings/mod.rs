//! `adjutant meetings`: meetings are made for others, looked at, and given another host.

mod errand;
mod errands;
mod leaver;
mod look;
mod movable;

use clap::Subcommand;

use super::out::Out;
use super::remote::Remote;
use super::{Context, Exit, Failure};

#[derive(Debug, Subcommand)]
pub(super) enum Asked {
    /// Make a meeting for anybody whom the account's API users can schedule for
    ///
    /// It is made once, however often it is tried. By default in the path of the API user who has the most left of Zoom's 100
    /// creates and changes a day, so that it can be moved later; with --own in the host's path, against whose 100 it counts.
    Create(Box<errand::Create>),
    /// Give a meeting another host, with the same link; or all of one host's to another, with --from
    ///
    /// Zoom takes it only where the user in whose path the meeting was made is an assistant of the new host, and both have a
    /// licence. --check says whether it will, or the one thing that is missing. The exit code is 1 where it was refused.
    Move(Box<errand::Move>),
    /// List a host's meetings
    List(look::List),
    /// List upcoming meetings that cannot be given to another host through the API users, and why
    ///
    /// Reads every meeting at Zoom, at the share of the rate that sweeps have. The exit code is 0 where it could be said of all.
    Movable(movable::Asked),
    /// Show one meeting, with its links
    Show(look::Show),
    /// Change Zoom's fields of a meeting
    Update(look::Update),
    /// Delete a meeting
    Delete(look::Delete),
    /// End the meeting that is running, for everybody in it
    End(look::End),
    /// Say what of Zoom's daily limit of creates and changes is used
    Budgets(look::Budgets),
    /// List what was asked for, and how it stands; or show one of them
    Errands(errands::Errands),
}

pub(super) async fn run(context: &Context, asked: Asked, out: &mut Out) -> Result<Exit, Failure> {
    let remote = Remote::running(&context.admin()?)?.patient()?;
    match asked {
        Asked::Create(asked) => errand::create(&remote, *asked, out).await,
        Asked::Move(asked) => errand::give(&remote, *asked, out).await,
        Asked::List(asked) => look::list(&remote, asked, out).await,
        Asked::Movable(asked) => movable::list(&remote, asked, out).await,
        Asked::Show(asked) => look::show(&remote, asked, out).await,
        Asked::Update(asked) => look::update(&remote, asked, out).await,
        Asked::Delete(asked) => look::delete(&remote, asked, out).await,
        Asked::End(asked) => look::end(&remote, asked, out).await,
        Asked::Budgets(asked) => look::budgets(&remote, asked, out).await,
        Asked::Errands(asked) => errands::run(&remote, asked, out).await,
    }
}
