//! An event is sent: read it back, and give it to whoever knows the consumers. Nothing at Zoom is changed, and nothing is asked
//! there but what the rule speaks of.

use std::fmt;

use serde_json::Value;

use super::ensure::look;
use super::fold::{Folded, Record, fold};
use super::told::{Told, told_by};
use super::{End, Ended, Task};
use crate::alarm::Severity;
use crate::audit::Saw;
use crate::clock::Timestamp;
use crate::ids::{AccountId, AppName, ConsumerName, DeliveryId, RuleName};
use crate::job::{Job, Outcome, ParkCause};
use crate::rules::{Mode, SendTo, without_secrets};
use crate::zoom::Object;

/// What is sent. Secrets are not in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The same whenever it is tried again; another one when a delivery is replayed.
    pub id: String,
    /// The event's name.
    pub event: String,
    /// When it happened; where Zoom does not say, when it came.
    pub at: Timestamp,
    pub account: AccountId,
    pub app: AppName,
    pub rule: RuleName,
    /// As the rule says that it matters.
    pub severity: Option<Severity>,
    /// Of events that were collected, the first; none where no event is what it is about.
    pub delivery: Option<DeliveryId>,
    /// The body that Zoom sent; nothing where events were collected.
    pub whole: Value,
    /// `meeting`, `host` and `user`, as far as the rule speaks of them and they are known.
    pub about: Object,
    /// What was made of the events that were collected ([`Record`]), or found out about whom the event names
    /// ([`super::OrphanedRecord`]).
    pub record: Option<Value>,
}

/// One message for one consumer or notifier.
#[derive(Debug, Clone, Copy)]
pub struct Sending<'a> {
    pub to: &'a ConsumerName,
    /// Of the body; without one, the message as it is.
    pub template: Option<&'a str>,
    pub message: &'a Message,
}

/// The consumers.
#[async_trait::async_trait]
pub trait Feed: fmt::Debug + Send + Sync {
    /// What becomes of a message with this id now, where it has to wait whatever it says: nothing need be read for it.
    async fn holds_back(&self, to: &ConsumerName, id: &str) -> Option<Outcome>;

    /// Whether there is such a consumer or notifier.
    fn knows(&self, to: &ConsumerName) -> bool;

    /// Sends it once. What comes back decides what becomes of the job.
    async fn send(&self, sending: Sending<'_>) -> Outcome;

    /// What it would send. Sends nothing.
    fn would_send(&self, sending: Sending<'_>) -> Outcome;
}

pub(super) async fn send(task: &Task<'_>, to: &SendTo, saw: &mut Vec<Saw>) -> Ended<Outcome> {
    let (job, rule, ctx) = (task.job, task.rule, task.ctx);
    if rule.mode == Mode::Enforce
        && let Some(outcome) = ctx.feed.holds_back(&to.consumer, &message_id(job)).await
    {
        return Ok(outcome);
    }
    let message = match rule.on.as_ref().and_then(|on| on.fold) {
        None if rule.orphaned().is_some() => reported(task, saw).await?,
        Some(how) => match fold(&*ctx.store, job, how).await? {
            Folded::Record(record) => folded(job, &record),
            Folded::Nothing(why) => return Err(End::not_applicable(why)),
        },
        None => message(task, saw).await?,
    };
    let Some(message) = message.map(|message| Message { severity: to.severity, ..message }) else {
        let why = "the delivery's body was pruned, or is not kept any more".to_owned();
        return Err(End::park(ParkCause::NotSendable { why }));
    };
    let sending = Sending { to: &to.consumer, template: to.template.as_deref(), message: &message };
    Ok(match rule.mode {
        Mode::Observe => ctx.feed.would_send(sending),
        Mode::Enforce => ctx.feed.send(sending).await,
    })
}

/// The event as a message, where the rule's condition holds for what it is about as well.
async fn message(task: &Task<'_>, saw: &mut Vec<Saw>) -> Ended<Option<Message>> {
    let job = task.job;
    let (delivery, told) = (told_by(job), task.told().await?);
    let (Some(delivery), Some(mut told)) = (delivery, told) else { return Ok(None) };
    let about = if task.rule.looks_further() { look(task, told.clone(), saw).await? } else { Object::new() };
    without_secrets(&mut told.whole, None);
    let Told { event, whole, at, .. } = told;
    Ok(Some(Message { event: event.name, at, whole, about, ..blank(job, Some(delivery)) }))
}

/// What is found out about whom the event names, where the rule's condition holds for them as well.
async fn reported(task: &Task<'_>, saw: &mut Vec<Saw>) -> Ended<Option<Message>> {
    let (Some(orphaned), Some(told)) = (task.rule.orphaned(), task.told().await?) else { return Ok(None) };
    if task.rule.looks_further() {
        look(task, told.clone(), saw).await?;
    }
    super::orphaned::message(task, orphaned, &told).await.map(Some)
}

/// The record of what was collected, as a message that no event has the name of.
fn folded(job: &Job, record: &Record) -> Option<Message> {
    let record = Some(serde_json::to_value(record).ok()?);
    Some(Message { event: "adjutant.attendance".to_owned(), record, ..blank(job, told_by(job)) })
}

/// A store that begins anew counts its jobs from 1 again.
fn message_id(job: &Job) -> String {
    format!("msg_{}_{}", job.id.number(), job.made_at.as_millis())
}

/// What a job says by itself.
pub(super) fn blank(job: &Job, delivery: Option<DeliveryId>) -> Message {
    Message {
        id: message_id(job),
        event: String::new(),
        at: job.made_at,
        account: job.account.clone(),
        app: job.app.clone(),
        rule: job.rule.clone(),
        severity: None,
        delivery,
        whole: Value::Null,
        about: Object::new(),
        record: None,
    }
}
