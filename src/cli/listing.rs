//! Lists of what the service holds, page by page, the newest first.

use clap::Args;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::out::{Out, count};
use super::remote::{Remote, Where};
use super::{Context, Exit, Failure};

/// Which page, and how it is printed.
#[derive(Debug, Args)]
pub(super) struct Page {
    /// Only those before this one
    #[arg(long, value_name = "ID")]
    before: Option<String>,
    /// How many, 1000 at most
    #[arg(long, default_value_t = 100)]
    limit: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Where,
}

/// What can be listed.
pub(super) trait Listed: DeserializeOwned + Serialize {
    const ONE: &'static str;
    /// Also its place under `/v1`.
    const MANY: &'static str;
    const HEAD: &'static [&'static str];

    fn id(&self) -> &str;

    fn row(&self) -> Vec<String>;
}

/// In one answer.
const ROWS: usize = 1_000;

/// All of a list whose pages go on after the last of the page before, the oldest first.
pub(super) async fn all<T: DeserializeOwned>(
    remote: &Remote,
    path: &str,
    filters: &[(&'static str, Option<String>)],
    id: impl Fn(&T) -> &str,
) -> Result<Vec<T>, Failure> {
    let filters = filters.iter().filter_map(|(key, value)| Some((*key, value.clone()?)));
    let filters: Vec<_> = filters.chain([("limit", ROWS.to_string())]).collect();
    let mut found: Vec<T> = Vec::new();
    loop {
        let after = found.last().map(|last| ("after", id(last).to_owned()));
        let query: Vec<_> = filters.iter().cloned().chain(after).collect();
        let page: Vec<T> = remote.get(path, &query).await?;
        let is_last = page.len() < ROWS;
        found.extend(page);
        if is_last {
            return Ok(found);
        }
    }
}

/// Lists those that meet all filters that are given.
pub(super) async fn list<T: Listed>(
    context: &Context,
    filters: Vec<(&str, Option<String>)>,
    page: Page,
    out: &mut Out,
) -> Result<Exit, Failure> {
    let remote = Remote::open(context, page.place).await?;
    let paging = [("before", page.before), ("limit", Some(page.limit.to_string()))];
    let query: Vec<_> = filters.into_iter().chain(paging).filter_map(|(key, value)| Some((key, value?))).collect();
    let found: Vec<T> = remote.get(&format!("/v1/{}", T::MANY), &query).await?;
    remote.close().await?;
    if page.json {
        out.json(&found)?;
        return Ok(Exit::Good);
    }
    out.table(T::HEAD, &found.iter().map(T::row).collect::<Vec<_>>())?;
    out.line(count(found.len(), T::ONE, T::MANY))?;
    if let Some(last) = found.last().filter(|_| found.len() == page.limit) {
        out.line(format!("older ones: the same with --before {}", last.id()))?;
    }
    Ok(Exit::Good)
}
