//! `adjutant consumers`: to whom rules send and who takes the audit log, and whether they take it.

mod pushed;

use std::sync::Arc;

use clap::Subcommand;
use serde::Serialize;
use serde_json::json;

use super::out::{Out, count};
use super::{Context, Exit, Failure, JsonOnly};
use crate::clock::{Clock as _, SystemClock};
use crate::feed::push::Push;
use crate::feed::{Body, Consumer, Consumers};
use crate::ids::{ConsumerName, DeliveryId, RuleName};
use crate::job::{Effect, Outcome, Snooze};
use crate::web::admin::ConsumerView;
use crate::work::{Feed as _, Message, Sending};

/// What such a message says it is.
const TEST: &str = "adjutant.test";

#[derive(Debug, Subcommand)]
pub(super) enum Asked {
    /// List the consumers of the configuration, which rules send to them, and how far those are that take the audit log
    List(JsonOnly),
    /// Show a consumer that takes the audit log: how far it has it, and why it does not go on
    Show(pushed::Named),
    /// Give a consumer nothing more of the audit log until it is resumed
    Pause(pushed::Named),
    /// Let a consumer go on where it was
    Resume(pushed::Named),
    /// Give a consumer the audit log again from an entry on, under the same ids
    Replay(pushed::Replay),
    /// Forget how far a consumer was that is not in the configuration any more: under its name, another begins anew
    Forget(pushed::Forget),
    /// Send a consumer a test message now, and say what was sent and what came back
    ///
    /// It goes from this process, and beside all jobs. A file that is not there yet is made: run this as the user that the
    /// service runs as. Exit code 1 where the consumer did not take it.
    Test {
        /// The name of the consumer
        name: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// One consumer in a listing.
#[derive(Debug, Serialize)]
struct Shown {
    name: String,
    kind: &'static str,
    /// The host of its URL, or the path of its file.
    place: String,
    /// Rules that send to it.
    rules: Vec<String>,
    /// What it takes of the audit log.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    include: Vec<&'static str>,
    /// How far it has that, where the service runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<ConsumerView>,
}

/// What came of a test.
#[derive(Debug, Serialize)]
struct Tried {
    consumer: String,
    place: String,
    id: String,
    body: String,
    taken: bool,
    answer: String,
}

pub(super) async fn run(context: &Context, asked: Asked, out: &mut Out) -> Result<Exit, Failure> {
    match asked {
        Asked::List(JsonOnly { json }) => list(context, json, out).await,
        Asked::Show(asked) => pushed::show(context, asked, out).await,
        Asked::Pause(asked) => pushed::moved(context, asked, "/pause", out).await,
        Asked::Resume(asked) => pushed::moved(context, asked, "/resume", out).await,
        Asked::Replay(asked) => pushed::replay(context, asked, out).await,
        Asked::Forget(asked) => pushed::forget(context, asked, out).await,
        Asked::Test { name, json } => test(context, &name, json, out).await,
    }
}

async fn list(context: &Context, json: bool, out: &mut Out) -> Result<Exit, Failure> {
    let outline = context.outline()?;
    let sends_to = |consumer: &Consumer| {
        let rules = outline.rules.iter();
        let rules = rules.filter(|rule| rule.send.as_ref().is_some_and(|send| send.consumer == consumer.name));
        rules.map(|rule| rule.name.to_string()).collect()
    };
    let running = pushed::all(context).await;
    let shown = outline.consumers.iter().map(|consumer| Shown {
        name: consumer.name.to_string(),
        kind: consumer.kind.code(),
        place: consumer.kind.place(),
        rules: sends_to(consumer),
        include: consumer.push.as_ref().map(Push::includes).unwrap_or_default(),
        log: running.iter().find(|view| view.name == consumer.name.as_str()).cloned(),
    });
    let is_left = |view: &&ConsumerView| outline.consumers.iter().all(|consumer| consumer.name.as_str() != view.name);
    let left = running.iter().filter(is_left).map(|view| Shown {
        name: view.name.clone(),
        kind: "",
        place: String::new(),
        rules: Vec::new(),
        include: Vec::new(),
        log: Some(view.clone()),
    });
    let shown: Vec<Shown> = shown.chain(left).collect();
    if json {
        out.json(&shown)?;
        return Ok(Exit::Good);
    }
    let row = |one: &Shown| {
        let log = one.log.as_ref();
        let state = log.map_or_else(String::new, pushed::state);
        let (takes, behind) = (one.include.join(", "), log.map_or_else(String::new, pushed::behind));
        vec![one.name.clone(), one.kind.to_owned(), one.place.clone(), one.rules.join(", "), takes, behind, state]
    };
    let rows: Vec<_> = shown.iter().map(row).collect();
    if !rows.is_empty() {
        out.table(&["NAME", "KIND", "WHERE", "RULES", "TAKES", "BEHIND", "STATE"], &rows)?;
    }
    out.line(count(rows.len(), "consumer", "consumers"))?;
    Ok(Exit::Good)
}

async fn test(context: &Context, name: &str, json: bool, out: &mut Out) -> Result<Exit, Failure> {
    let config = context.config()?;
    let Some(consumer) = config.consumers.iter().find(|consumer| consumer.name.as_str() == name) else {
        let known: Vec<&str> = config.consumers.iter().map(|consumer| consumer.name.as_str()).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        let is_notify = config.notify.iter().any(|notify| notify.name == name);
        let text = if is_notify {
            format!("{name} is a [[notify]]: adjutant notify test {name}")
        } else {
            format!("there is no [[consumer]] named {name:?}; the configuration has {known}")
        };
        return Err(Failure::new(Exit::Failed, text));
    };
    let account = config.accounts().next();
    let account = account.ok_or_else(|| Failure::new(Exit::Config, "the configuration has no account"))?;
    let now = SystemClock.now();
    let message = Message {
        id: format!("msg_test_{}", now.as_millis()),
        event: TEST.to_owned(),
        at: now,
        account: account.id.clone(),
        app: account.app.clone(),
        rule: RuleName::parse("consumers-test").map_err(|error| Failure::new(Exit::Usage, error.to_string()))?,
        severity: None,
        delivery: Some(DeliveryId::from_number(0)),
        whole: json!({ "event": TEST, "payload": { "object": { "text": "a test: adjutant consumers test" } } }),
        about: serde_json::Map::new(),
        record: None,
    };
    let body = Body::of(&message, None).map_err(|why| Failure::new(Exit::Failed, why))?;
    let consumers = Consumers::new(std::slice::from_ref(consumer), Arc::new(SystemClock));
    let outcome = consumers.send(Sending { to: &consumer.name, template: None, message: &message }).await;
    let (taken, answer) = came(&outcome, &consumer.name);
    let (place, body) = (consumer.kind.place(), body.text);
    let tried = Tried { consumer: name.to_owned(), place, id: message.id, body, taken, answer };
    if json {
        out.json(&tried)?;
    } else {
        let Tried { place, id, body, answer, .. } = tried;
        out.fields(&[("to", Some(format!("{name} at {place}"))), ("id", Some(id)), ("sent", Some(body))])?;
        out.fields(&[(if taken { "taken" } else { "FAIL" }, Some(answer))])?;
    }
    Ok(if taken { Exit::Good } else { Exit::Failed })
}

/// Whether the consumer took it, and what came back.
fn came(outcome: &Outcome, name: &ConsumerName) -> (bool, String) {
    let bare = |text: &str| text.strip_prefix(&format!("{name}: ")).unwrap_or(text).to_owned();
    match outcome {
        Outcome::Done(Effect::Sent { what }) => (true, what.rsplit(": ").next().unwrap_or_default().to_owned()),
        Outcome::Done(_) => (false, "nothing was sent".to_owned()),
        Outcome::Snooze(Snooze::Until { at, why } | Snooze::NextBudget { at, why }) => {
            (false, format!("{}; again from {at} on", bare(why)))
        }
        Outcome::Snooze(Snooze::ForEvent(reason)) => (false, reason.to_string()),
        Outcome::Retry { error } => (false, bare(error)),
        Outcome::Park(cause) => (false, format!("{cause}. {}", cause.advice())),
    }
}
