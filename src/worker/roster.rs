//! Who is served: the accounts of each app, and the rules.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::account::Account;
use crate::ids::{AccountId, AppName, Email, RuleName};
use crate::rules::{Condition, Ensure, Grantee, Leaves, Mode, Rule};

/// What the configuration says, in the shape in which planner and runner ask for it.
#[derive(Debug, Default)]
pub struct Roster {
    accounts: HashMap<AppName, Vec<Account>>,
    rules: Vec<Rule>,
    unplanned: Vec<RuleName>,
}

impl Roster {
    pub fn new(accounts: impl IntoIterator<Item = Account>, rules: Vec<Rule>) -> Self {
        let mut by_app: HashMap<AppName, Vec<Account>> = HashMap::new();
        for account in accounts {
            by_app.entry(account.app.clone()).or_default().push(account);
        }
        Self { accounts: by_app, rules, unplanned: Vec::new() }
    }

    /// The same, where rules only observe that nobody has planned as they are.
    #[must_use]
    pub fn observing_unplanned(mut self, planned: &BTreeMap<RuleName, [u8; 16]>) -> Self {
        for rule in &mut self.rules {
            if rule.mode == Mode::Enforce && planned.get(&rule.name) != Some(&rule_hash(rule)) {
                rule.mode = Mode::Observe;
                self.unplanned.push(rule.name.clone());
            }
        }
        self
    }

    /// Rules that would enforce and only observe.
    pub fn unplanned(&self) -> &[RuleName] {
        &self.unplanned
    }

    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    pub fn rule(&self, name: &RuleName) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.name == *name)
    }

    /// The account, where the app holds it.
    pub fn account(&self, app: &AppName, id: &AccountId) -> Option<&Account> {
        self.of(app).iter().find(|account| account.id == *id)
    }

    /// The account of an app that holds just one.
    pub fn only_account(&self, app: &AppName) -> Option<&Account> {
        match self.of(app) {
            [account] => Some(account),
            _ => None,
        }
    }

    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.accounts.values().flatten()
    }

    fn of(&self, app: &AppName) -> &[Account] {
        self.accounts.get(app).map_or(&[], Vec::as_slice)
    }
}

/// Tells a rule from what it was: all that decides what it changes, and not whether it only observes.
pub fn rule_hash(rule: &Rule) -> [u8; 16] {
    // Every field is named, so that a new one cannot be forgotten; as text that no later version reads otherwise.
    let Rule {
        name,
        subject,
        when,
        description: _,
        ensure,
        allow_downgrade,
        mode: _,
        except,
        max_changes_per_hour,
        max_changes_percent,
    } = rule;
    let Ensure { assistants, groups, licence, settings, feature, report } = ensure;
    let assistants = assistants.iter().map(|grantee| match grantee {
        Grantee::ApiUser => "api-user",
        Grantee::Named(email) => email.as_str(),
    });
    let leaves = |leaves: &Leaves| -> Value { leaves.iter().map(|(path, leaf)| json!([path, leaf])).collect() };
    let text = json!([
        [name.as_str(), subject, when.as_ref().map(Condition::as_str)],
        [assistants.collect::<Vec<_>>(), groups, licence, leaves(settings), leaves(feature), report],
        [allow_downgrade, except.iter().map(Email::as_str).collect::<Vec<_>>()],
        [max_changes_per_hour, &u32::from(*max_changes_percent)],
    ]);
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
        let hash = |text: &str| rule_hash(&toml::from_str(text).unwrap());
        let known = 0x6ccb_17fd_dc79_1ded_8eaf_ce71_67f1_3310_u128;
        assert_eq!(hash(text), known.to_be_bytes());
        assert_eq!(hash(&format!("{text}mode = \"enforce\"\ndescription = \"x\"\n")), hash(text));
        for other in ["allow_downgrade = true", "except = [\"a@b.example\"]", "max_changes_per_hour = 501"] {
            assert_ne!(hash(&format!("{text}{other}\n")), hash(text), "{other}");
        }
        assert_ne!(hash(&text.replace("api-user", "a@b.example")), hash(text));
    }
}
