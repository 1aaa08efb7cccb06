//! `adjutant rules record`

use std::io::Write as _;

use serde_json::Value;

use super::case::{Case, Cases, documented, without_nulls};
use super::pseudonyms::Pseudonyms;
use super::{Out, Record};
use crate::cli::remote::{Remote, segment};
use crate::cli::{Context, Exit, Failure};
use crate::rules::Topic;
use crate::web::admin::view::DeliveryView;
use crate::zoom::Object;

pub(super) async fn run(context: &Context, asked: Record, out: &mut Out) -> Result<Exit, Failure> {
    let outline = context.outline()?;
    let remote = Remote::open(context, asked.place).await?;
    let delivery: DeliveryView = remote.get(&format!("/v1/deliveries/{}", segment(&asked.delivery)), &[]).await?;
    remote.close().await?;
    let Some(Value::Object(body)) = delivery.body else {
        let text = format!("{} has no body that can be read: it was pruned, or is not JSON", delivery.id);
        return Err(Failure::new(Exit::Failed, text));
    };
    let account = body.get("payload").and_then(|payload| payload.get("account_id")?.as_str()).map(str::to_owned);
    let mut case = case(delivery.event.as_deref().unwrap_or("an event"), body);
    // The first of the configuration needs no name, and neither does one that is gone.
    let is_another = |id: &String| outline.accounts.iter().skip(1).any(|account| account.id.as_str() == id);
    case.account = account.filter(is_another);
    let found = case.came_to(&outline.rules, &outline.accounts);
    case.expect = found.map_err(|why| Failure::new(Exit::Failed, format!("{}: {why}", delivery.id)))?;
    let text = written(case)?;
    let Some(file) = asked.out else {
        out.line(text.trim_end())?;
        return Ok(Exit::Good);
    };
    let made = std::fs::File::create_new(&file).and_then(|mut file| file.write_all(text.as_bytes()));
    made.map_err(|error| Failure::new(Exit::Io, format!("cannot write {}: {error}", file.display())))?;
    out.line(format!("{} is written: read it, and add what Zoom would say where it is assumed", file.display()))?;
    Ok(Exit::Good)
}

/// The event, with people replaced, and what it says of its subject for what Zoom would say.
fn case(event: &str, body: Object) -> Case {
    let name = format!("after {event}");
    let Value::Object(body) = Pseudonyms::default().replace("", Value::Object(without_nulls(body))) else {
        return Case { name, ..Case::default() };
    };
    let object = body.get("payload").and_then(|payload| payload.get("object")?.as_object()).cloned();
    let (is_user, is_meeting) = (event.starts_with("user."), event.starts_with("meeting."));
    let user = object.clone().filter(|_| is_user).map(|mut user| {
        // Events about users leave it out.
        user.entry("status").or_insert_with(|| "active".into());
        documented(user, Topic::User)
    });
    let meeting = object.filter(|_| is_meeting).map(|meeting| documented(meeting, Topic::Meeting));
    let assistants = user.is_some().then(Vec::new);
    // The account's own are people, too.
    let api_users = user.is_some().then(|| vec!["api-user@example.com".to_owned()]);
    Case { name, api_users, assistants, event: Some(body), user, meeting, ..Case::default() }
}

fn written(case: Case) -> Result<String, Failure> {
    let text = toml::to_string_pretty(&Cases { cases: vec![case] })
        .map_err(|error| Failure::new(Exit::Io, format!("the case cannot be written: {error}")))?;
    Ok(format!(
        "# Recorded by `adjutant rules record`, with people and secrets replaced. What Zoom would say of the subject is taken\n\
         # from the event; assistants and status are assumed. What is expected is what the rules say now: read it.\n\n{text}"
    ))
}
