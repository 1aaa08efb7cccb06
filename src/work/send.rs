//! An event is sent: read it back, and give it to whoever knows the consumers. Nothing at Zoom is asked or changed.

use std::fmt;

use serde_json::Value;

use super::Ctx;
use super::fold::{Folded, Record, fold};
use crate::clock::Timestamp;
use crate::event::wire;
use crate::ids::{AccountId, AppName, ConsumerName, DeliveryId, RuleName};
use crate::job::{Asker, Effect, Job, Outcome, ParkCause, Subject};
use crate::rules::{Mode, Rule, SendTo, without_secrets};
use crate::store::StoreError;

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
    /// Of events that were collected, the first.
    pub delivery: DeliveryId,
    /// The body that Zoom sent; nothing where events were collected.
    pub whole: Value,
    /// What was made of the events that were collected ([`Record`]), or found out about whom the event names
    /// ([`super::OrphanedRecord`]).
    pub record: Option<Value>,
}

/// One message for one consumer.
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
    /// Sends it once. What comes back decides what becomes of the job.
    async fn send(&self, sending: Sending<'_>) -> Outcome;

    /// What it would send. Sends nothing.
    fn would_send(&self, sending: Sending<'_>) -> Outcome;
}

pub(super) async fn send(job: &Job, (rule, to): (&Rule, &SendTo), ctx: &Ctx) -> Result<Outcome, StoreError> {
    let message = match rule.on.as_ref().and_then(|on| on.fold) {
        Some(how) => match fold(&*ctx.store, job, how).await? {
            Folded::Record(record) => folded(job, &record),
            Folded::Nothing(why) => return Ok(Outcome::Done(Effect::NotApplicable { why: why.to_owned() })),
        },
        None => message(job, ctx).await?,
    };
    let Some(message) = message else {
        let why = "the delivery's body was pruned, or is not kept any more".to_owned();
        return Ok(Outcome::Park(ParkCause::NotSendable { why }));
    };
    Ok(give(&message, (rule, to), ctx).await)
}

/// Sends it, or says what would be sent.
pub(super) async fn give(message: &Message, (rule, to): (&Rule, &SendTo), ctx: &Ctx) -> Outcome {
    let sending = Sending { to: &to.consumer, template: to.template.as_deref(), message };
    match rule.mode {
        Mode::Observe => ctx.feed.would_send(sending),
        Mode::Enforce => ctx.feed.send(sending).await,
    }
}

async fn message(job: &Job, ctx: &Ctx) -> Result<Option<Message>, StoreError> {
    let Some(delivery) = told_by(job) else { return Ok(None) };
    let Some((stored, _)) = ctx.store.delivery(delivery).await? else { return Ok(None) };
    let Some(verified) = &stored.verified else { return Ok(None) };
    // It was read before, or there would be no job.
    let (Ok(event), Ok(mut whole)) = (wire::parse(verified), wire::body(verified)) else { return Ok(None) };
    without_secrets(&mut whole, None);
    let at = event.at.unwrap_or(stored.received_at);
    Ok(Some(Message { event: event.name, at, whole, ..blank(job, delivery) }))
}

/// The delivery that a message is about: itself, or that which began the timer.
const fn told_by(job: &Job) -> Option<DeliveryId> {
    match (&job.subject, job.made_by) {
        (Subject::Event { delivery }, _) => Some(*delivery),
        (_, Asker::Delivery(delivery)) => Some(delivery),
        _ => None,
    }
}

/// The record of what was collected, as a message that no event has the name of.
fn folded(job: &Job, record: &Record) -> Option<Message> {
    let record = Some(serde_json::to_value(record).ok()?);
    Some(Message { event: "adjutant.attendance".to_owned(), record, ..blank(job, told_by(job)?) })
}

/// What a job says by itself.
pub(super) fn blank(job: &Job, delivery: DeliveryId) -> Message {
    Message {
        // A store that begins anew counts its jobs from 1 again.
        id: format!("msg_{}_{}", job.id.number(), job.made_at.as_millis()),
        event: String::new(),
        at: job.made_at,
        account: job.account.clone(),
        app: job.app.clone(),
        rule: job.rule.clone(),
        delivery,
        whole: Value::Null,
        record: None,
    }
}
