//! `adjutant demo`: the real service, as a process of its own, beside a simulated Zoom.

mod check;
mod schools;
mod service;
mod show;
mod stage;

use clap::Args;

use super::out::Out;
use super::signals::Told;
use super::{Exit, Failure, wait};

#[derive(Debug, Args)]
pub(super) struct Asked {
    /// End when the show is over; 0 only if everything came out right
    #[arg(long)]
    once: bool,
    /// Show so many schools instead, each with an account of its own, which install one app: 2 to 50
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(2..=50))]
    schools: Option<u32>,
}

pub(super) fn run(asked: &Asked, out: &mut Out) -> Result<Exit, Failure> {
    wait(demo(asked, out))
}

async fn demo(asked: &Asked, out: &mut Out) -> Result<Exit, Failure> {
    let mut told = Told::listen()?;
    let mut stage = match asked.schools {
        None => show::open(out).await?,
        Some(count) => schools::open(out, count).await?,
    };
    let play = async {
        match asked.schools {
            None => stage.play().await,
            Some(count) => stage.play_schools(count).await,
        }
    };
    // A signal ends it at any time; the service ends with the stage, and its folder goes with it.
    let played = tokio::select! {
        played = play => played,
        () = told.wait() => Ok(()),
    };
    played?;
    if !asked.once && stage.is_over() {
        stage.stay_open()?;
        told.wait().await;
    }
    Ok(if stage.all_right() { Exit::Good } else { Exit::Failed })
}
