//! Who is served: the accounts of each app, and the rules.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use crate::account::Account;
use crate::ids::{AccountId, AppName, RuleName};
use crate::rules::{Mode, Rule};

/// What the configuration says, in the shape in which planner and runner ask for it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Roster {
    /// One app acts for each.
    accounts: HashMap<AccountId, Account>,
    of_app: HashMap<AppName, Vec<AccountId>>,
    rules: Vec<Rule>,
    /// The same, where they only observe.
    observing: Vec<Rule>,
    unplanned: Vec<RuleName>,
    paused: BTreeSet<AccountId>,
    /// Accounts that are one to Zoom where users assign scheduling privilege.
    organisations: Arc<[Vec<AccountId>]>,
}

impl Roster {
    pub fn new(accounts: impl IntoIterator<Item = Account>, rules: Vec<Rule>) -> Self {
        let accounts: HashMap<AccountId, Account> =
            accounts.into_iter().map(|account| (account.id.clone(), account)).collect();
        let mut of_app: HashMap<AppName, Vec<AccountId>> = HashMap::new();
        for account in accounts.values() {
            of_app.entry(account.app.clone()).or_default().push(account.id.clone());
        }
        let observing = rules.iter().map(|rule| Rule { mode: Mode::Observe, ..rule.clone() }).collect();
        Self {
            accounts,
            of_app,
            rules,
            observing,
            unplanned: Vec::new(),
            paused: BTreeSet::new(),
            organisations: Arc::default(),
        }
    }

    /// The same, where a person stopped the jobs and sweeps of some accounts for a while.
    #[must_use]
    pub fn with_paused(mut self, paused: impl IntoIterator<Item = AccountId>) -> Self {
        self.paused = paused.into_iter().collect();
        self
    }

    #[must_use]
    pub fn with_organisations(self, organisations: Arc<[Vec<AccountId>]>) -> Self {
        Self { organisations, ..self }
    }

    /// The other accounts of its organisation.
    pub fn kin(&self, id: &AccountId) -> impl Iterator<Item = &Account> {
        let own = self.organisations.iter().filter(|all| all.contains(id));
        own.flatten().filter(move |other| *other != id).filter_map(|other| self.by_id(other))
    }

    /// The same without some of the accounts.
    #[must_use]
    pub fn without(&self, gone: &HashSet<AccountId>) -> Self {
        let left = self.accounts().filter(|account| !gone.contains(&account.id)).cloned();
        Self {
            observing: self.observing.clone(),
            unplanned: self.unplanned.clone(),
            paused: self.paused.clone(),
            organisations: Arc::clone(&self.organisations),
            ..Self::new(left, self.rules.clone())
        }
    }

    pub const fn paused(&self) -> &BTreeSet<AccountId> {
        &self.paused
    }

    /// Whose jobs nobody takes: they are paused, or nobody has looked at their API users yet.
    pub fn standing_still(&self) -> Arc<BTreeSet<AccountId>> {
        let not_looked = self.accounts().filter(|account| account.waits_for_look).map(|account| &account.id);
        Arc::new(self.paused.iter().chain(not_looked).cloned().collect())
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

    /// As they are for the account: where its API user is missing, all of them only observe.
    pub fn rules_of(&self, account: &Account) -> &[Rule] {
        if account.only_observes { &self.observing } else { &self.rules }
    }

    /// What tells each rule from what it was, in hex.
    pub fn hashes(&self) -> BTreeMap<RuleName, String> {
        self.rules.iter().map(|rule| (rule.name.clone(), hex::encode(rule.fingerprint()))).collect()
    }

    /// The account, where the app holds it.
    pub fn account(&self, app: &AppName, id: &AccountId) -> Option<&Account> {
        self.by_id(id).filter(|account| account.app == *app)
    }

    /// The account of an app that holds just one.
    pub fn only_account(&self, app: &AppName) -> Option<&Account> {
        match self.of_app.get(app)?.as_slice() {
            [account] => self.by_id(account),
            _ => None,
        }
    }

    /// The account, whatever app acts for it.
    pub fn by_id(&self, id: &AccountId) -> Option<&Account> {
        self.accounts.get(id)
    }

    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.accounts.values()
    }
}
