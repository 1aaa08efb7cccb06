//! `adjutant deliveries`

use clap::{Args, Subcommand};

use super::listing::{Listed, Page, list};
use super::out::Out;
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
    #[command(flatten)]
    page: Page,
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
        Asked::List(List { app, parked, page }) => {
            let parked = parked.then(|| "true".to_owned());
            list::<DeliveryView>(context, vec![("app", app), ("parked", parked)], page, out).await
        }
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

impl Listed for DeliveryView {
    const ONE: &'static str = "delivery";
    const MANY: &'static str = "deliveries";
    const HEAD: &'static [&'static str] = &["DELIVERY", "RECEIVED", "APP", "STATUS", "CODE", "JOBS", "SIZE", "CAME"];

    fn id(&self) -> &str {
        &self.id
    }

    fn row(&self) -> Vec<String> {
        let (code, jobs) = (self.code.clone().unwrap_or_default(), self.jobs.join(" "));
        let bytes = self.bytes.map_or_else(String::new, |bytes| format!("{bytes} B"));
        let came = if self.is_backfilled { "backfilled" } else { "" }.to_owned();
        [&self.id, &self.received_at, &self.app, &self.status, &code, &jobs, &bytes, &came].map(Clone::clone).to_vec()
    }
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
        ("came", delivery.is_backfilled.then(|| "from Zoom's log of deliveries that failed".to_owned())),
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
