//! Notifiers, put together: what they watch, where they keep what they told, and how the admin listener shows them.

use std::sync::Arc;

use crate::alarm::Alarm;
use crate::config::Config;
use crate::feed::notify::{Doing, Memory, Notifier, Notifiers, Parts, Watched};
use crate::rules::Rule;
use crate::store::{LocalStore, StoreError};
use crate::web::admin::{self, AdminState, NotifierView};

use super::Machine;

/// What `attention` lists.
#[derive(Debug)]
pub(super) struct Attention(pub(super) Arc<AdminState>);

#[async_trait::async_trait]
impl Watched for Attention {
    async fn alarms(&self) -> Result<Vec<Alarm>, StoreError> {
        Ok(admin::attention(&self.0).await?.items())
    }
}

#[async_trait::async_trait]
impl Memory for LocalStore {
    async fn keep(&self, name: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        self.keep_aside(name, bytes).await
    }

    async fn kept(&self, name: &str) -> Option<Vec<u8>> {
        self.kept_aside(name).await
    }
}

pub(super) fn notifiers(config: &Config, local: &LocalStore, machine: &Machine) -> Arc<Notifiers> {
    let (clock, chance) = (Arc::clone(&machine.clock), Arc::clone(&machine.chance));
    let parts = Parts { memory: Arc::new(local.clone()), clock, chance };
    Arc::new(Notifiers::new(&config.notify, parts))
}

pub(super) fn view(notifier: &Notifier, rules: &[Rule]) -> NotifierView {
    let sends = |rule: &&Rule| {
        rule.send.as_ref().is_some_and(|send| send.is_to_people && send.consumer.as_str() == notifier.notify().name)
    };
    let (notify, Doing { standing, sent_at, failing }) = (notifier.notify(), notifier.doing());
    NotifierView {
        name: notify.name.clone(),
        kind: notify.kind().to_owned(),
        only: notify.only.iter().map(|code| (*code).to_owned()).collect(),
        every_minutes: notify.every.as_secs() / 60,
        rules: rules.iter().filter(sends).map(|rule| rule.name.to_string()).collect(),
        rule_messages_per_hour: notify.rule_messages_per_hour,
        rule_messages_waiting: u64::try_from(notifier.waiting()).unwrap_or(u64::MAX),
        standing: u64::try_from(standing).unwrap_or(u64::MAX),
        sent_at: sent_at.map(|at| at.to_string()),
        failing_since: failing.as_ref().map(|failing| failing.since.to_string()),
        failed_times: failing.as_ref().map_or(0, |failing| failing.times),
        error: failing.map(|failing| failing.why),
    }
}
