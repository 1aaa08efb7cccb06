//! `adjutant deliveries`

use clap::{Args, Subcommand};
use serde::Serialize;

use super::listing::{Listed, Page, list};
use super::out::Out;
use super::remote::{Remote, Where, segment};
use super::{Context, Exit, Failure};
use crate::web::admin::view::{DeliveryView, JobView, MovedView};
use crate::work::DecidedNow;

#[derive(Debug, Subcommand)]
pub(super) enum Asked {
    /// List deliveries, the newest first
    List(List),
    /// Show one delivery, its body with secrets taken out
    Show(One),
    /// Plan a delivery again, whatever was decided before
    Replay(Replay),
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// Only deliveries to this app
    #[arg(long)]
    app: Option<String>,
    /// Only those whose body names this account
    #[arg(long)]
    account: Option<String>,
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

#[derive(Debug, Args)]
pub(super) struct Replay {
    #[command(flatten)]
    one: One,
    /// Plan nothing: say what it came to then, and what the rules of now would do, as Zoom is now
    #[arg(long, conflicts_with = "offline")]
    diff: bool,
}

/// What a delivery came to, and would come to now.
#[derive(Debug, Serialize)]
struct Diff {
    then: DeliveryView,
    jobs: Vec<JobView>,
    now: Vec<DecidedNow>,
}

pub(super) async fn run(context: &Context, asked: Asked, out: &mut Out) -> Result<Exit, Failure> {
    match asked {
        Asked::List(List { app, account, parked, page }) => {
            let parked = parked.then(|| "true".to_owned());
            list::<DeliveryView>(context, vec![("app", app), ("account", account), ("parked", parked)], page, out).await
        }
        Asked::Show(asked) => {
            let remote = Remote::open(context, asked.place).await?;
            let path = format!("/v1/deliveries/{}", segment(&asked.delivery));
            let delivery: DeliveryView = remote.get(&path, &[]).await?;
            remote.close().await?;
            show(&delivery, asked.json, out)
        }
        Asked::Replay(Replay { one, diff: true }) => diff(context, &one, out).await,
        Asked::Replay(Replay { one: asked, .. }) => {
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

async fn diff(context: &Context, asked: &One, out: &mut Out) -> Result<Exit, Failure> {
    let remote = Remote::running(&context.admin()?)?;
    let path = format!("/v1/deliveries/{}", segment(&asked.delivery));
    let then: DeliveryView = remote.get(&path, &[]).await?;
    let mut jobs = Vec::new();
    for id in &then.jobs {
        match remote.get(&format!("/v1/jobs/{}", segment(id)), &[]).await {
            // Finished so long ago that it is not kept any more.
            Err(failure) if failure.exit == Exit::Failed => {}
            job => jobs.push(job?),
        }
    }
    let now = remote.get(&format!("{path}/decide"), &[]).await?;
    let diff = Diff { then, jobs, now };
    if asked.json {
        out.json(&diff)?;
        return Ok(Exit::Good);
    }
    let Diff { then, jobs, now } = diff;
    let code = then.code.map(|code| format!(": {code}")).unwrap_or_default();
    out.line(format!("{} {}, received {}", then.id, then.event.unwrap_or_default(), then.received_at))?;
    out.line(format!("then  {}{code}", then.status))?;
    for job in &jobs {
        let why = job.why.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
        out.line(format!("then  {} for {}: {} is {}{why}", job.rule, job.subject, job.id, job.state))?;
    }
    for one in &now {
        let rule = one.rule.as_deref().unwrap_or("all rules");
        out.line(format!("now   {rule} for {}: {}", one.subject, one.answer))?;
    }
    if now.is_empty() {
        out.line("now   no rule is about it")?;
    }
    Ok(Exit::Good)
}

impl Listed for DeliveryView {
    const ONE: &'static str = "delivery";
    const MANY: &'static str = "deliveries";
    const HEAD: &'static [&'static str] =
        &["DELIVERY", "RECEIVED", "APP", "EVENT", "STATUS", "CODE", "JOBS", "SIZE", "CAME"];

    fn id(&self) -> &str {
        &self.id
    }

    fn row(&self) -> Vec<String> {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let (event, code, jobs) = (text(&self.event), text(&self.code), self.jobs.join(" "));
        let bytes = self.bytes.map_or_else(String::new, |bytes| format!("{bytes} B"));
        let came = if self.is_backfilled { "backfilled" } else { "" }.to_owned();
        let [id, at, app, status] = [&self.id, &self.received_at, &self.app, &self.status].map(Clone::clone);
        vec![id, at, app, event, status, code, jobs, bytes, came]
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
