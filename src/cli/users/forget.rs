//! What the store keeps of a person is forgotten: who that is, and what goes, is said first.

use std::io::IsTerminal as _;

use clap::Args;

use super::let_go::Whom;
use crate::cli::out::{Out, count, has_to_ask};
use crate::cli::remote::{Remote, segment};
use crate::cli::store::bar;
use crate::cli::{Exit, Failure};
use crate::web::admin::forgetting::ForgettingView;

#[derive(Debug, Args)]
pub(in crate::cli) struct Forget {
    #[command(flatten)]
    whom: Whom,
    /// The person's id where USER is the email, or the other way round, if neither Zoom nor the store knows it any more
    #[arg(long, value_name = "USER")]
    also: Option<String>,
}

/// Between two looks at how far it is.
const LOOK: &str = "1s";

pub(super) async fn forget(remote: &Remote, asked: Forget, out: &mut Out) -> Result<Exit, Failure> {
    let Forget { whom, also } = asked;
    let account = whom.of.account(remote).await?;
    let path = format!("/v1/accounts/{}/users/{}/forget", segment(&account), segment(&whom.user));
    let query = |more: (&'static str, &str)| {
        let also = also.clone().map(|also| ("also", also));
        also.into_iter().chain([(more.0, more.1.to_owned())]).collect::<Vec<_>>()
    };
    if has_to_ask(whom.yes, whom.json)? {
        let found: ForgettingView = remote.post(&path, &query(("check", "true"))).await?;
        said(&found, out)?;
        out.agree(&format!("forget {}?", whom.user))?;
    }
    let bar = (std::io::stderr().is_terminal() && !whom.json).then(|| bar("forgetting", "files"));
    let ended = loop {
        let far: ForgettingView = remote.post(&path, &query(("wait", LOOK))).await?;
        if far.state != "running" {
            break far;
        }
        if let Some(bar) = &bar {
            bar.tell(far.files_done, far.files);
        }
    };
    drop(bar);
    if whom.json {
        out.json(&ended)?;
        return Ok(Exit::Good);
    }
    if whom.yes {
        said(&ended, out)?;
    }
    let records = count(ended.records.unwrap_or(0), "record was rewritten", "records were rewritten");
    out.line(format!("{} is forgotten: {records}", whom.user))?;
    Ok(Exit::Good)
}

/// Who it is, and what goes.
fn said(found: &ForgettingView, out: &mut Out) -> Result<(), Failure> {
    out.fields(&[("email", found.email.clone()), ("id", found.id.clone())])?;
    for (what, is_missing) in [("id", found.id.is_none()), ("email", found.email.is_none())] {
        if is_missing {
            out.line(format!(
                "nobody knows the {what}: what names the person by that alone stays, unless --also says it"
            ))?;
        }
    }
    let (jobs, onboardings) = (count(found.jobs, "job", "jobs"), count(found.onboardings, "onboarding", "onboardings"));
    out.line(format!("{jobs} and {onboardings} go, and whatever deliveries and the audit log say of the person"))?;
    out.line("backups from before keep it")?;
    if found.is_at_zoom == Some(true) {
        out.line("Zoom has the user still: what it tells of them from now on is stored. remove them first, where that is meant")?;
    }
    Ok(())
}
