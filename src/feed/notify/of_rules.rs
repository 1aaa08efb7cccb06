//! Messages that rules send through a notifier: each by itself and at once, within the hour's number.

use super::budget::Budget;
use super::message::Message;
use super::{Notifier, SendError, place_of};
use crate::alarm::Alarm;
use crate::clock::{Timestamp, lock};

/// What became of a message of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// The code of the answer.
    Sent(String),
    /// The hour's messages have gone out: again at this time.
    NextHour {
        at: Timestamp,
        why: String,
    },
    Failed(SendError),
}

impl Notifier {
    /// Sends a rule's message. `id` is the same however often it is tried.
    pub async fn tell_for_rule(&self, id: &str, message: &Message) -> Told {
        let now = self.parts.clock.now();
        let per_hour = self.notify.rule_messages_per_hour;
        self.know_budget().await;
        if !lock(&self.budget).as_mut().is_some_and(|budget| budget.take(id, per_hour, now)) {
            return self.next_hour(now);
        }
        match self.sender.send(message, now).await {
            Ok(answer) => {
                self.keep_budget().await;
                let end = answer.find(|c: char| !c.is_ascii_digit()).unwrap_or(answer.len());
                Told::Sent(answer.get(..end).unwrap_or_default().to_owned())
            }
            Err(error) => {
                if let Some(budget) = lock(&self.budget).as_mut() {
                    budget.give_back(now);
                }
                Told::Failed(error)
            }
        }
    }

    /// What becomes of a rule's message now, where it has to wait whatever it says.
    pub async fn holds_back(&self, id: &str) -> Option<Told> {
        let (now, per_hour) = (self.parts.clock.now(), self.notify.rule_messages_per_hour);
        self.know_budget().await;
        let is_spent = lock(&self.budget).as_mut().is_some_and(|budget| budget.is_spent(id, per_hour, now));
        is_spent.then(|| self.next_hour(now))
    }

    fn next_hour(&self, now: Timestamp) -> Told {
        let (per_hour, name) = (self.notify.rule_messages_per_hour, &self.notify.name);
        Told::NextHour {
            at: now.next_utc_hour(),
            why: format!("{per_hour} messages of rules went to {name} in this hour"),
        }
    }

    /// Messages of rules that wait for the next hour.
    pub fn waiting(&self) -> usize {
        let now = self.parts.clock.now();
        lock(&self.budget).as_ref().map_or(0, |budget| budget.waiting(now))
    }

    pub(super) fn waiting_alarm(&self) -> Option<Alarm> {
        let (name, per_hour) = (&self.notify.name, self.notify.rule_messages_per_hour);
        let waiting = Some(self.waiting()).filter(|waiting| *waiting > 0)?;
        let wait = if waiting == 1 { "1 message waits".to_owned() } else { format!("{waiting} messages wait") };
        let what = format!("{wait} for notifier {name}: it sends {per_hour} messages of rules an hour");
        let advice = "they go out by themselves, hour by hour. let its rules ask for less, or raise rule_messages_per_hour, \
                      and `adjutant reload`; `adjutant jobs cancel` ends what nobody needs any more";
        Some(Alarm::new("messages-wait", what, advice, "adjutant jobs list").about(name))
    }

    async fn know_budget(&self) {
        if lock(&self.budget).is_none() {
            let bytes = self.parts.memory.kept(&place_of("budget", &self.notify.name)).await;
            let known: Option<Budget> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
            // Another message may have been here meanwhile.
            lock(&self.budget).get_or_insert_with(|| known.unwrap_or_default());
        }
    }

    /// Where it cannot be kept, a restart within the hour begins to count anew.
    async fn keep_budget(&self) {
        let bytes = lock(&self.budget).as_ref().and_then(|budget| serde_json::to_vec(budget).ok());
        let place = place_of("budget", &self.notify.name);
        if let Err(error) = self.parts.memory.keep(&place, bytes.unwrap_or_default()).await {
            tracing::debug!(notify = %self.notify.name, %error, "how many messages were sent could not be kept");
        }
    }
}
