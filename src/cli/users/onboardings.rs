//! `adjutant users onboardings`: what was asked for, and how it stands.

use clap::Args;

use crate::cli::listing::all;
use crate::cli::out::{Out, count};
use crate::cli::remote::Remote;
use crate::cli::{Exit, Failure};
use crate::web::admin::onboarding::OnboardingView;

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
    let filters = [("account", asked.account), ("batch", asked.batch)];
    let mut found = all(remote, "/v1/onboardings", &filters, |one: &OnboardingView| one.id.as_str()).await?;
    found.retain(|one| asked.state.as_ref().is_none_or(|state| one.state == *state));
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
