//! `adjutant users onboardings`: what was asked for, and how it stands.

use clap::Args;

use crate::cli::out::{Out, count};
use crate::cli::remote::Remote;
use crate::cli::{Exit, Failure};
use crate::web::admin::onboarding::OnboardingView;

/// In one answer.
const ROWS: usize = 100;

#[derive(Debug, Args)]
pub(in crate::cli) struct Onboardings {
    /// Only those of this account
    #[arg(long, value_name = "ID")]
    account: Option<String>,
    /// Only those of this batch: the name of a file that was given
    #[arg(long)]
    batch: Option<String>,
    /// Only those in this state
    #[arg(long)]
    state: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn list(remote: &Remote, asked: Onboardings, out: &mut Out) -> Result<Exit, Failure> {
    let (mut found, mut after): (Vec<OnboardingView>, Option<String>) = (Vec::new(), None);
    loop {
        let query = [
            ("account", asked.account.clone()),
            ("batch", asked.batch.clone()),
            ("after", after),
            ("limit", Some(ROWS.to_string())),
        ];
        let query: Vec<_> = query.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
        let page: Vec<OnboardingView> = remote.get("/v1/onboardings", &query).await?;
        after = page.last().filter(|_| page.len() == ROWS).map(|last| last.id.clone());
        found.extend(page.into_iter().filter(|one| asked.state.as_ref().is_none_or(|state| one.state == *state)));
        if after.is_none() {
            break;
        }
    }
    if asked.json {
        out.json(&found)?;
        return Ok(Exit::Good);
    }
    let row = |one: &OnboardingView| {
        let of = one.clone();
        vec![of.id, of.account, of.email, of.state, of.batch.unwrap_or_default(), of.why.unwrap_or_default()]
    };
    let rows: Vec<_> = found.iter().map(row).collect();
    out.table(&["ID", "ACCOUNT", "EMAIL", "STATE", "BATCH", "WHY"], &rows)?;
    out.line(count(found.len(), "onboarding", "onboardings"))?;
    Ok(Exit::Good)
}
