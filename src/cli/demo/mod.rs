//! `adjutant demo`: the real service, as a process of its own, beside a simulated Zoom.

mod check;
mod service;
mod show;

use clap::Args;

use super::out::Out;
use super::signals::Told;
use super::{Exit, Failure, wait};
use show::Show;

#[derive(Debug, Args)]
pub(super) struct Asked {
    /// End when the show is over; 0 only if everything came out right
    #[arg(long)]
    once: bool,
}

pub(super) fn run(asked: &Asked, out: &mut Out) -> Result<Exit, Failure> {
    wait(demo(asked.once, out))
}

async fn demo(once: bool, out: &mut Out) -> Result<Exit, Failure> {
    let mut told = Told::listen()?;
    let mut show = Show::open(out).await?;
    // A signal ends it at any time; the service ends with `show`, and its folder goes with it.
    let played = tokio::select! {
        played = show.play() => played,
        () = told.wait() => Ok(()),
    };
    played?;
    if !once && show.is_over() {
        show.stay_open()?;
        told.wait().await;
    }
    Ok(if show.all_right() { Exit::Good } else { Exit::Failed })
}
