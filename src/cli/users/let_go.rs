//! Users are let go: what would be lost is said first.

use clap::{ArgGroup, Args};

use super::Of;
use crate::cli::out::{Out, has_to_ask};
use crate::cli::remote::{Remote, segment};
use crate::cli::{Exit, Failure};
use crate::web::admin::users::LossView;

#[derive(Debug, Args)]
pub(in crate::cli) struct Deactivate {
    #[command(flatten)]
    whom: Whom,
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("heir").args(["transfer_to", "transfer_to_nobody"])))]
pub(in crate::cli) struct Remove {
    #[command(flatten)]
    whom: Whom,
    /// Delete the user for good, in place of a membership that ends
    #[arg(long, requires = "heir")]
    delete: bool,
    /// Who gets the meetings, webinars and recordings
    #[arg(long, value_name = "EMAIL")]
    transfer_to: Option<String>,
    /// Nobody gets them: they are lost
    #[arg(long)]
    transfer_to_nobody: bool,
}

#[derive(Debug, Args)]
pub(super) struct Whom {
    /// By email or id
    pub(super) user: String,
    #[command(flatten)]
    pub(super) of: Of,
    /// Do not ask
    #[arg(long)]
    pub(super) yes: bool,
    /// Print JSON; with it --yes is needed
    #[arg(long)]
    pub(super) json: bool,
}

pub(super) async fn deactivate(remote: &Remote, asked: Deactivate, out: &mut Out) -> Result<Exit, Failure> {
    let account = asked.whom.of.account(remote).await?;
    let path = format!("/v1/accounts/{}/users/{}/deactivate", segment(&account), segment(&asked.whom.user));
    let call = async |check: bool| remote.post::<LossView>(&path, &checked(Vec::new(), check)).await;
    let_go(&asked.whom, ("deactivate", "is deactivated"), call, out).await
}

pub(super) async fn remove(remote: &Remote, asked: Remove, out: &mut Out) -> Result<Exit, Failure> {
    let account = asked.whom.of.account(remote).await?;
    let path = format!("/v1/accounts/{}/users/{}", segment(&account), segment(&asked.whom.user));
    let action = if asked.delete { "delete" } else { "disassociate" };
    let mut query = vec![("action", action.to_owned())];
    let nobody = asked.transfer_to_nobody.then(|| "nobody".to_owned());
    query.extend(asked.transfer_to.clone().or(nobody).map(|to| ("transfer_to", to)));
    let call = async |check: bool| remote.delete::<LossView>(&path, &checked(query.clone(), check)).await;
    let words = if asked.delete { ("delete for good", "is deleted") } else { ("remove", "is removed") };
    let_go(&asked.whom, words, call, out).await
}

fn checked(mut query: Vec<(&'static str, String)>, check: bool) -> Vec<(&'static str, String)> {
    query.extend(check.then(|| ("check", "true".to_owned())));
    query
}

async fn let_go(
    whom: &Whom,
    (verb, done): (&str, &str),
    call: impl AsyncFn(bool) -> Result<LossView, Failure>,
    out: &mut Out,
) -> Result<Exit, Failure> {
    if has_to_ask(whom.yes, whom.json)? {
        let loss = call(true).await?;
        out.fields(&super::show::fields(&loss.user))?;
        for lost in &loss.lost {
            out.line(format!("loses {lost}"))?;
        }
        out.agree(&format!("{verb} {}?", whom.user))?;
    }
    let loss = call(false).await?;
    if whom.json {
        out.json(&loss)?;
        return Ok(Exit::Good);
    }
    out.line(format!("{} {done}", whom.user))?;
    if whom.yes {
        for lost in &loss.lost {
            out.line(format!("lost {lost}"))?;
        }
    }
    Ok(Exit::Good)
}
