//! `adjutant deliveries`

use clap::{Args, Subcommand};

use super::out::{Out, count};
use super::remote::{Remote, Where, segment};
use super::{Context, Exit, Failure};
use crate::web::admin::view::{DeliveryView, MovedView};

#[derive(Debug, Subcommand)]
pub(super) enum Asked {
    /// List deliveries, the newest first
    List(List),
    /// Show one delivery, its body with secrets taken out
    Show(One),
    /// Plan a delivery again, whatever was decided before
    Replay(One),
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// Only deliveries to this app
    #[arg(long)]
    app: Option<String>,
    /// Only those that are set aside
    #[arg(long)]
    parked: bool,
    /// Only deliveries before this one
    #[arg(long, value_name = "DELIVERY")]
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

#[derive(Debug, Args)]
pub(super) struct One {
    /// As the list prints it: `dlv_42`
    delivery: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Where,
}

pub(super) async fn run(context: &Context, asked: Asked, out: &mut Out) -> Result<Exit, Failure> {
    match asked {
        Asked::List(asked) => list(context, asked, out).await,
        Asked::Show(asked) => {
            let remote = Remote::open(context, asked.place).await?;
            let path = format!("/v1/deliveries/{}", segment(&asked.delivery));
            let delivery: DeliveryView = remote.get(&path, &[]).await?;
            remote.close().await?;
            show(&delivery, asked.json, out)
        }
        Asked::Replay(asked) => {
            let remote = Remote::open(context, asked.place).await?;
            let path = format!("/v1/deliveries/{}/replay", segment(&asked.delivery));
            let moved: MovedView = remote.post(&path, &[]).await?;
            remote.close().await?;
            if asked.json {
                out.json(&moved)?;
            } else {
                out.line(format!("{} is planned again", asked.delivery))?;
            }
            Ok(Exit::Good)
        }
    }
}

async fn list(context: &Context, asked: List, out: &mut Out) -> Result<Exit, Failure> {
    let remote = Remote::open(context, asked.place).await?;
    let parked = asked.parked.then(|| "true".to_owned());
    let filters = [("app", asked.app), ("parked", parked), ("before", asked.before)];
    let mut query: Vec<_> = filters.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
    query.push(("limit", asked.limit.to_string()));
    let deliveries: Vec<DeliveryView> = remote.get("/v1/deliveries", &query).await?;
    remote.close().await?;
    if asked.json {
        out.json(&deliveries)?;
        return Ok(Exit::Good);
    }
    let rows = deliveries.iter().map(|row| {
        let code = row.code.clone().unwrap_or_default();
        let bytes = row.bytes.map_or_else(String::new, |bytes| format!("{bytes} B"));
        vec![
            row.id.clone(),
            row.received_at.clone(),
            row.app.clone(),
            row.status.clone(),
            code,
            row.jobs.join(" "),
            bytes,
        ]
    });
    let rows: Vec<_> = rows.collect();
    out.table(&["DELIVERY", "RECEIVED", "APP", "STATUS", "CODE", "JOBS", "SIZE"], &rows)?;
    out.line(count(rows.len(), "delivery", "deliveries"))?;
    if let Some(last) = deliveries.last().filter(|_| deliveries.len() == asked.limit) {
        out.line(format!("older ones: adjutant deliveries list --before {}", last.id))?;
    }
    Ok(Exit::Good)
}

fn show(delivery: &DeliveryView, json: bool, out: &mut Out) -> Result<Exit, Failure> {
    if json {
        out.json(delivery)?;
        return Ok(Exit::Good);
    }
    let some = |text: &String| Some(text.clone());
    out.fields(&[
        ("delivery", some(&delivery.id)),
        ("received", some(&delivery.received_at)),
        ("app", some(&delivery.app)),
        ("event", delivery.event.clone()),
        ("status", some(&delivery.status)),
        ("code", delivery.code.clone()),
        ("jobs", Some(delivery.jobs.join(" ")).filter(|jobs| !jobs.is_empty())),
        ("same body as", delivery.duplicate_of.clone()),
        ("same id as", delivery.same_request_as.clone()),
        ("size", delivery.bytes.map(|bytes| format!("{bytes} B"))),
    ])?;
    match &delivery.body {
        Some(body) => {
            out.line("")?;
            out.json(body)?;
        }
        None if delivery.bytes.is_none() => out.line("the body was pruned")?,
        None => out.line("the body is not JSON")?,
    }
    Ok(Exit::Good)
}
