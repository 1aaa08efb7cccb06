//! What tells a rule from what it was.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Condition, Ensure, Grantee, Leaves, Rule, SendTo, Timer};
use crate::ids::Email;

impl Rule {
    /// Tells a rule from what it was: all that decides what it changes, and not whether it only observes.
    pub fn fingerprint(&self) -> [u8; 16] {
        // Every field is named, so that a new one cannot be forgotten; as text that no later version reads otherwise.
        let Self {
            name,
            subject,
            when,
            on,
            send,
            description: _,
            ensure,
            allow_downgrade,
            allow_end,
            release,
            mode: _,
            except,
            except_roles,
            max_changes_per_hour,
            max_changes_percent,
        } = self;
        let Ensure { assistants, groups, licence, settings, feature, alternative_hosts, report, status } = ensure;
        let assistants = assistants.iter().map(|grantee| match grantee {
            Grantee::ApiUser => "api-user",
            Grantee::Named(email) => email.as_str(),
        });
        let leaves = |leaves: &Leaves| -> Value { leaves.iter().map(|(path, leaf)| json!([path, leaf])).collect() };
        let mut text = json!([
            [name.as_str(), subject, when.as_ref().map(Condition::as_str)],
            on.as_ref().map(|on| (&on.events, on.condition())),
            [assistants.collect::<Vec<_>>(), groups, licence, leaves(settings), leaves(feature), report],
            [allow_downgrade, except.iter().map(Email::as_str).collect::<Vec<_>>(), except_roles],
            [max_changes_per_hour, &u32::from(*max_changes_percent)],
        ]);
        // What came later is there only where a rule has it, so that the hashes of all others stay.
        let mut more = |what: Value| {
            if let Value::Array(parts) = &mut text {
                parts.push(what);
            }
        };
        if !alternative_hosts.is_empty() {
            more(alternative_hosts.iter().map(Email::as_str).collect());
        }
        if let Some(Timer { after, unless }) = on.as_ref().and_then(|on| on.timer.as_ref()) {
            more(json!(["timer", after.as_secs(), unless]));
        }
        if let Some(fold) = on.as_ref().and_then(|on| on.fold) {
            more(json!(["fold", fold]));
        }
        if let Some(orphaned) = on.as_ref().and_then(|on| on.orphaned.as_ref()) {
            more(json!(["orphaned", orphaned.successor.as_str()]));
        }
        if let Some(status) = status {
            more(json!(["status", status, allow_end]));
        }
        if *release != Self::default_release() {
            more(json!(["release", release]));
        }
        if let Some(SendTo { consumer, is_to_people: _, severity, template, names: _ }) = send {
            more(json!({ "send": [consumer.as_str(), template] }));
            if let Some(severity) = severity {
                more(json!({ "severity": severity }));
            }
        }
        hashed(&text)
    }

    /// Tells the events that the rule asks for, and its condition about them, from others; none where it is about subjects.
    /// Only whoever met that condition may follow the rule: nobody can ask it once the event is over.
    pub fn on_print(&self) -> Option<[u8; 16]> {
        self.on.as_ref().map(|on| hashed(&json!([on.events, on.condition()])))
    }
}

fn hashed(text: &Value) -> [u8; 16] {
    let hash: [u8; 32] = Sha256::digest(text.to_string()).into();
    hash.first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kept over restarts and versions: a hash that changes by itself makes every rule one that nobody planned.
    #[test]
    fn a_rule_that_means_the_same_has_the_same_hash_for_ever() {
        let text = "name = \"assist\"\nfor = \"user\"\nensure = { assistants = [\"api-user\"] }\n";
        let hash = |text: &str| toml::from_str::<Rule>(text).unwrap().fingerprint();
        let known = 0x7233_39b2_7e13_334a_338d_1f95_992b_0fe8_u128;
        assert_eq!(hash(text), known.to_be_bytes());
        assert_eq!(hash(&format!("{text}mode = \"enforce\"\ndescription = \"x\"\n")), hash(text));
        for other in ["allow_downgrade = true", "except = [\"a@b.example\"]", "max_changes_per_hour = 501"] {
            assert_ne!(hash(&format!("{text}{other}\n")), hash(text), "{other}");
        }
        assert_ne!(hash(&text.replace("api-user", "a@b.example")), hash(text));
        let hosts = |hosts: &str| {
            hash(&format!("name = \"assist\"\nfor = \"meeting\"\nensure = {{ alternative_hosts = [{hosts}] }}\n"))
        };
        assert_ne!(hosts("\"a@b.example\""), hosts("\"c@b.example\""));
    }
}
