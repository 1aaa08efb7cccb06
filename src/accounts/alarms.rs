//! What a person should know of accounts that are not the configuration's.

use std::collections::BTreeSet;

use super::Accounts;
use super::kept::{KeptAccount, Standing};
use super::serving::Listed;
use crate::alarm::Alarm;
use crate::clock::{Timestamp, lock};
use crate::ids::{AccountId, AppName};

/// What is done about an account that is let go, and fails again and again.
#[derive(Debug, Clone)]
pub struct Failing {
    pub tries: u32,
    pub since: Timestamp,
    pub why: String,
}

/// Fewer failures in a row nobody need know.
const TRIES: u32 = 3;

impl Accounts {
    /// How letting an account go fares; none where nothing fails any more.
    pub fn tell_failing(&self, account: &AccountId, failing: Option<Failing>) {
        let mut all = lock(&self.failing);
        match failing {
            Some(failing) => drop(all.insert(account.clone(), failing)),
            None => drop(all.remove(account)),
        }
    }

    fn not_forgotten(&self) -> Vec<Alarm> {
        let all = lock(&self.failing).clone();
        let alarm = |(id, failing): (AccountId, Failing)| {
            let what = format!(
                "account {id} is not let go yet, tried {} times since {}: {}",
                failing.tries, failing.since, failing.why
            );
            let advice = "what is kept of it stays until this ends: mend the cause; it is tried again by itself";
            Alarm::new("not-forgotten", what, advice, format!("adjutant accounts show {id}"))
                .of_account(&id)
                .since(failing.since)
        };
        let is_let_go = |id: &AccountId| self.account(id).is_some_and(|account| !account.standing.is_served());
        all.into_iter().filter(|(id, failing)| failing.tries >= TRIES && is_let_go(id)).map(alarm).collect()
    }

    pub fn alarms(&self) -> Vec<Alarm> {
        let listed = self.list();
        let of_its_own = listed.iter().filter(|listed| listed.configured.is_none());
        let rivals = listed.iter().filter_map(rival);
        let configured: BTreeSet<AppName> = lock(&self.configured).values().cloned().collect();
        let gone = listed.iter().flat_map(|listed| self.gone(listed, &configured));
        let alarms = of_its_own.filter_map(|listed| self.alarm(&listed.account)).chain(rivals).chain(gone);
        alarms.chain(self.not_forgotten()).collect()
    }

    /// Apps of an account that are neither in the configuration nor were added: nothing is done by them.
    fn gone(&self, listed: &Listed, configured: &BTreeSet<AppName>) -> Vec<Alarm> {
        let account = &listed.account;
        let acts = Some(&account.app).filter(|_| listed.configured.is_none() && account.standing.is_reached());
        let installed = listed.installations.iter().filter(|one| one.lost.is_none()).map(|one| &one.app);
        let apps: BTreeSet<&AppName> = installed.chain(acts).collect();
        let is_gone = |app: &&AppName| {
            self.general_app(app).is_none()
                && self.read(|kept| !kept.apps.contains_key(*app))
                && !configured.contains(*app)
        };
        let alarm = |app: &AppName| {
            let what = format!(
                "account {}: app {app} is not in the configuration: nothing is done by it, and its tokens end",
                account.id
            );
            let advice = format!("put [[app]] {app} back and start again, or let the account go");
            Alarm::new("app-gone", what, advice, format!("adjutant accounts show {}", account.id))
                .of_account(&account.id)
        };
        apps.into_iter().filter(is_gone).map(alarm).collect()
    }

    fn alarm(&self, account: &KeptAccount) -> Option<Alarm> {
        let id = &account.id;
        let name = account.label.as_ref().map(|label| format!(" ({label})")).unwrap_or_default();
        let (code, what, advice, command, since) = match &account.standing {
            Standing::Active | Standing::Leaving { take_back: false, .. } => return None,
            Standing::NeedsApiUser { why, since, is_looked } => (
                "needs-api-user",
                format!(
                    "account {id}{name}: {}, since {why}",
                    if *is_looked { "rules only observe" } else { "its jobs wait" }
                ),
                "license the user at Zoom, or name another; it is looked at again by itself".to_owned(),
                format!("adjutant accounts show {id}"),
                since,
            ),
            Standing::Lost { why, since, .. } => {
                let link = self.install_url(&account.app);
                let link = link.map(|link| format!(": {link}")).unwrap_or_default();
                let until = self.forgotten_at(account);
                let until = until.map(|at| format!("; what is kept of it is forgotten at {at}")).unwrap_or_default();
                (
                    "needs-authorising",
                    format!(
                        "account {id}{name}: no admin's authorisation of app {} is good any more: {why}{until}",
                        account.app
                    ),
                    format!("have an admin of the account authorise the app again{link}"),
                    format!("adjutant accounts show {id}"),
                    since,
                )
            }
            Standing::Leaving { since, by, take_back: true, .. } => (
                "account-leaving",
                format!("account {id}{name}: {by} removes it, and what was granted there is not taken back yet"),
                "it goes on by itself; without the option it is removed as it is".to_owned(),
                format!("adjutant accounts remove {id}"),
                since,
            ),
        };
        Some(Alarm::new(code, what, advice, command).of_account(id).since(*since))
    }
}

/// Two apps on one account: a person says which of them acts.
fn rival(listed: &Listed) -> Option<Alarm> {
    let account = &listed.account;
    let (id, acts, other) = match (&listed.configured, &account.rival) {
        (Some(configured), _) => (&account.id, configured, &account.app),
        (None, Some(rival)) => (&account.id, &account.app, rival),
        (None, None) => return None,
    };
    let what = format!("account {id}: app {acts} acts, and app {other} was installed as well");
    let advice = match listed.configured {
        Some(_) => {
            format!("take the account out of [[app]] {acts} for {other} to act, or have {other} removed at Zoom")
        }
        None => format!("say which acts; nothing changes until then, and {acts} goes on"),
    };
    let command = format!("adjutant accounts change {id} --app {other}");
    Some(Alarm::new("two-apps", what, advice, command).of_account(id))
}
