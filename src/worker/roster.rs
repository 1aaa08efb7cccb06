//! Who is served: the accounts of each app, and the rules.

use std::collections::{BTreeMap, HashMap};

use crate::account::Account;
use crate::ids::{AccountId, AppName, RuleName};
use crate::rules::{Mode, Rule};

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
            if rule.mode == Mode::Enforce && planned.get(&rule.name) != Some(&rule.fingerprint()) {
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

    /// What tells each rule from what it was, in hex.
    pub fn hashes(&self) -> BTreeMap<RuleName, String> {
        self.rules.iter().map(|rule| (rule.name.clone(), hex::encode(rule.fingerprint()))).collect()
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
