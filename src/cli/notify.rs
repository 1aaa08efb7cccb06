//! `adjutant notify`: who is told what needs a person.

use clap::{Args, Subcommand};

use super::out::{Out, count};
use super::remote::Remote;
use super::{Context, Exit, Failure};
use crate::clock::{Clock as _, SystemClock};
use crate::rules::nearest;
use crate::web::admin::NotifierView;

#[derive(Debug, Subcommand)]
pub(super) enum Asked {
    /// Notifiers of the running service, and how they are doing
    List(super::JsonOnly),
    /// Send a test message now, by the configuration as it is on disk, and say what came back
    Test(Test),
}

#[derive(Debug, Args)]
pub(super) struct Test {
    /// As the configuration names it
    name: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(context: &Context, asked: Asked, out: &mut Out) -> Result<Exit, Failure> {
    match asked {
        Asked::List(asked) => list(context, asked.json, out).await,
        Asked::Test(asked) => test(context, &asked, out).await,
    }
}

async fn list(context: &Context, json: bool, out: &mut Out) -> Result<Exit, Failure> {
    let remote = Remote::running(&context.admin()?)?;
    let found: Vec<NotifierView> = remote.get("/v1/notify", &[]).await?;
    if json {
        out.json(&found)?;
        return Ok(Exit::Good);
    }
    let row = |of: &NotifierView| {
        let only = if of.only.is_empty() { "all".to_owned() } else { of.only.join(", ") };
        let doing = match (&of.failing_since, &of.error) {
            (Some(since), Some(error)) => {
                format!("failing since {since}, {} so far: {error}", count(of.failed_times, "time", "times"))
            }
            _ => "good".to_owned(),
        };
        let waiting = match of.rule_messages_waiting {
            0 => String::new(),
            waiting => format!(" ({waiting} wait)"),
        };
        let sent = of.sent_at.clone().unwrap_or_else(|| "never".to_owned());
        vec![
            of.name.clone(),
            of.kind.clone(),
            only,
            format!("{} min", of.every_minutes),
            format!("{}{waiting}", of.rules.join(", ")),
            of.standing.to_string(),
            sent,
            doing,
        ]
    };
    let rows: Vec<_> = found.iter().map(row).collect();
    out.table(&["NAME", "KIND", "ONLY", "EVERY", "RULES", "STANDING", "LAST SENT", "DOING"], &rows)?;
    out.line(count(found.len(), "notifier", "notifiers"))?;
    Ok(Exit::Good)
}

async fn test(context: &Context, Test { name, json }: &Test, out: &mut Out) -> Result<Exit, Failure> {
    let config = context.config()?;
    let Some(notify) = config.notify.iter().find(|notify| notify.name == *name) else {
        let names: Vec<&str> = config.notify.iter().map(|notify| notify.name.as_str()).collect();
        let help = match nearest(name, names.iter().copied()) {
            Some(near) => format!("did you mean {near}?"),
            None if names.is_empty() => "the configuration has no [[notify]]".to_owned(),
            None => format!("expected one of {}", names.join(", ")),
        };
        return Err(Failure::new(Exit::Failed, format!("there is no [[notify]] {name}. {help}")));
    };
    match notify.test(SystemClock.now()).await {
        Ok(said) if *json => {
            out.json(&serde_json::json!({ "name": name, "kind": notify.kind(), "answer": said }))?;
        }
        Ok(said) => out.line(format!("sent by {} {name}; it answered {said}", notify.kind()))?,
        Err(error) => {
            let what = format!("the test message of {} {name} did not go out: {error}", notify.kind());
            return Err(Failure::new(Exit::Io, what));
        }
    }
    out.flush()?;
    super::show_config::tell_difference(&config.admin).await;
    Ok(Exit::Good)
}
