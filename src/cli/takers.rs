//! To whom rules send and who is told of alarms, as the configuration has it, and what is wrong with that. Sends nothing.

use std::path::Path;

use crate::config::Config;
use crate::feed::notify::Notify;
use crate::feed::{Consumer, Kind};

/// A consumer or notifier.
pub(super) struct Taker {
    /// As in `consumer archive: file /var/lib/events.jsonl, rules tell`.
    pub(super) line: String,
    pub(super) wrong: Option<String>,
}

pub(super) fn takers(config: &Config) -> Vec<Taker> {
    let consumers = config.consumers.iter().map(|consumer| of_consumer(config, consumer));
    consumers.chain(config.notify.iter().map(|notify| of_notify(config, notify))).collect()
}

fn rules(config: &Config, name: &str) -> Vec<String> {
    let sends =
        config.rules.iter().filter(|rule| rule.send.as_ref().is_some_and(|send| send.consumer.as_str() == name));
    sends.map(|rule| rule.name.to_string()).collect()
}

fn of_consumer(config: &Config, consumer: &Consumer) -> Taker {
    let (name, rules) = (consumer.name.as_str(), rules(config, consumer.name.as_str()));
    let line = format!("consumer {name}: {} {}", consumer.kind.code(), consumer.kind.place());
    let wrong = match &consumer.kind {
        Kind::File { path, .. } => unwritable(path),
        Kind::Webhook(_) | Kind::Stdout | Kind::Syslog(_) => None,
    };
    let is_unused = rules.is_empty() && consumer.push.is_none();
    let unused = || is_unused.then(|| "no rule sends to it".to_owned());
    let takes = consumer
        .push
        .as_ref()
        .map(|push| format!(", takes {} as {}", push.includes().join(" and "), push.format.word()));
    let line = line + &takes.unwrap_or_default();
    Taker { line: with_rules(line, &rules), wrong: wrong.or_else(unused) }
}

/// Who is told of no rule is told of alarms.
fn of_notify(config: &Config, notify: &Notify) -> Taker {
    let only = if notify.only.is_empty() { "all alarms".to_owned() } else { notify.only.join(", ") };
    let line = format!("notifier {}: {}, {only}", notify.name, notify.kind());
    Taker { line: with_rules(line, &rules(config, &notify.name)), wrong: None }
}

fn with_rules(line: String, rules: &[String]) -> String {
    if rules.is_empty() { line } else { format!("{line}, rules {}", rules.join(", ")) }
}

/// Why no line can be appended, by whoever runs this.
fn unwritable(path: &Path) -> Option<String> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let access = rustix::fs::Access::WRITE_OK;
    match std::fs::metadata(path) {
        Ok(found) if !found.is_file() => Some(format!("{} is not a plain file", path.display())),
        Ok(_) => rustix::fs::access(path, access).err().map(|error| format!("{}: {error}", path.display())),
        Err(_) if !folder.is_dir() => Some(format!("the folder {} is not there", folder.display())),
        Err(_) => {
            let access = access | rustix::fs::Access::EXEC_OK;
            rustix::fs::access(folder, access).err().map(|error| format!("the folder {}: {error}", folder.display()))
        }
    }
}
