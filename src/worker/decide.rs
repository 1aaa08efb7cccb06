//! What the rules of now would do about a delivery, as Zoom is now. Changes nothing.

use std::sync::Arc;

use super::Parts;
use super::look::Look;
use super::planner::{Whose, whose};
use crate::account::Account;
use crate::event::wire;
use crate::ids::DeliveryId;
use crate::job::Subject;
use crate::rules::{self, Mode, Rule, Step, Timer};
use crate::store::StoredDelivery;
use crate::work::{DecidedNow, Verdict, in_words, would_change};

/// An error says why nothing would be decided, or could be read.
pub async fn decide(parts: &Parts, delivery: &StoredDelivery) -> Result<Vec<DecidedNow>, String> {
    let roster = Arc::clone(&parts.roster.borrow());
    let verified = delivery.verified.as_ref().ok_or("its body was pruned: nobody can say what it asks for")?;
    let event = wire::parse(verified).map_err(|why| format!("it cannot be understood: {why}"))?;
    let account = match whose(&roster, &delivery.app, &event) {
        Whose::Account(account) => account,
        Whose::Nobody => return Err("it is about the app itself, and asks for no work".to_owned()),
        Whose::Unclaimed => return Err("the app does not hold its account".to_owned()),
    };
    let zoom = parts.zooms.zoom(&account.id).ok_or("the account is not held")?;
    let look = Look { parts, account, zoom: &*zoom };
    let mut decided = Vec::new();
    let mut steps = rules::plan(&event, roster.rules());
    let body = || wire::body(verified).map_err(|why| why.to_string());
    let asked = rules::on_event((delivery.id, &event), Some(&account.id), parts.clock.now(), roster.rules(), body);
    steps.extend(asked.steps);
    for (rule, why) in &asked.unanswered {
        let answer = format!("its condition has no answer: {why}");
        decided.push(DecidedNow { rule: Some(rule.to_string()), subject: event.name.clone(), answer });
    }
    for step in steps {
        decided.push(match step {
            Step::Wake { subject } => said(None, &subject, "what waits for it would go on".to_owned()),
            Step::Cancel { subject, why, .. } => {
                said(None, &subject, format!("what is unfinished for it would end: {why}"))
            }
            Step::Unless { rule, meeting, why, .. } => {
                let answer = format!("a timer that runs would end: {why}");
                DecidedNow {
                    rule: Some(rule.to_string()),
                    subject: Subject::Meeting { id: meeting }.to_string(),
                    answer,
                }
            }
            Step::Release { rule, meeting } => {
                let answer = "what waits for it would go on".to_owned();
                DecidedNow {
                    rule: Some(rule.to_string()),
                    subject: Subject::Meeting { id: meeting }.to_string(),
                    answer,
                }
            }
            Step::Remember { .. } => continue,
            Step::Collect { rule, subject, .. } => {
                let answer = "it would belong to the record of the run".to_owned();
                DecidedNow { rule: Some(rule.to_string()), subject: subject.to_string(), answer }
            }
            Step::Later { rule, subject, after, .. } => {
                let answer =
                    format!("its timer would run for {}, unless it has run for this meeting", Timer::in_words(after));
                DecidedNow { rule: Some(rule.to_string()), subject: subject.to_string(), answer }
            }
            Step::Ensure { rule, subject, .. } => match roster.rules_of(account).iter().find(|own| own.name == rule) {
                Some(rule) => said(Some(rule), &subject, answer(&look, account, rule, (&subject, delivery.id)).await),
                None => continue,
            },
        });
    }
    look.record().await?;
    Ok(decided)
}

fn said(rule: Option<&Rule>, subject: &Subject, answer: String) -> DecidedNow {
    DecidedNow { rule: rule.map(|rule| rule.name.to_string()), subject: subject.to_string(), answer }
}

async fn answer(
    look: &Look<'_>,
    account: &Account,
    rule: &Rule,
    (subject, delivery): (&Subject, DeliveryId),
) -> String {
    let mut around = look.parts.facts.around(account, look.parts.clock.now());
    let asked = if rule.send.is_some() && !rule.looks_further() {
        Ok(Verdict::Right)
    } else {
        look.told(rule, (subject, delivery), &mut around).await
    };
    let verdict = match asked {
        Ok(verdict) => verdict,
        Err(error) => return format!("cannot be said: {error}"),
    };
    if let (Some(send), Verdict::Right) = (&rule.send, &verdict) {
        let observes = if rule.mode == Mode::Enforce { "" } else { ", but the rule observes" };
        let what = if rule.orphaned().is_some() { "what can become of the user's upcoming meetings" } else { "it" };
        return format!("would send {what} to {}{observes}", send.consumer);
    }
    match would_change(rule, &verdict) {
        Ok(differences) if rule.mode == Mode::Enforce => format!("would {}", in_words(&differences)),
        Ok(differences) => format!("would {}, but the rule observes", in_words(&differences)),
        Err(reason) => reason,
    }
}
