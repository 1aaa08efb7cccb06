//! Accounts that are served beside the configuration: how each stands, as the running service knows it. Their tokens are its
//! own, so nothing is asked of Zoom here.

use std::collections::BTreeSet;

use super::super::needs;
use super::super::out::count;
use super::{Report, Verdict};
use crate::account::AppKind;
use crate::alarm::Alarm;
use crate::config::Config;
use crate::web::admin::accounts::AccountView;
use crate::web::admin::sweeps::SweepView;

const NAME: &str = "accounts";
/// Where there are more, those that are well are only counted.
pub(super) const TOLD_MAX: usize = 20;

/// What the service says of all its accounts.
pub(super) struct Known<'v> {
    pub(super) accounts: &'v [AccountView],
    pub(super) alarms: &'v [Alarm],
    pub(super) sweeps: &'v [SweepView],
}

pub(super) fn all(report: &mut Report, config: &Config, known: &Known<'_>) {
    let others: Vec<&AccountView> = known.accounts.iter().filter(|one| one.origin != "configuration").collect();
    if others.is_empty() {
        let has_general = config.apps.iter().any(|app| app.kind == AppKind::General);
        let next = if has_general { ": `adjutant accounts invite` makes a link for an admin" } else { "" };
        return report.skip(NAME, format!("none is served beside the configuration{next}"));
    }
    let is_short = others.len() <= TOLD_MAX;
    let mut well = 0_usize;
    for account in others {
        let (verdict, found, hint) = stands(config, account, known);
        if verdict == Verdict::Ok && !is_short {
            well = well.saturating_add(1);
        } else {
            report.add(NAME, verdict, format!("{}: {found}", named(account)), hint.as_deref());
        }
    }
    if well > 0 {
        report.ok(NAME, format!("{} active, with nothing to mend", count(well, "more is", "more are")));
    }
}

fn named(AccountView { id, label, app, .. }: &AccountView) -> String {
    let label = label.as_ref().map(|label| format!(" ({label})")).unwrap_or_default();
    format!("account {id}{label}, app {app}")
}

fn stands(config: &Config, account: &AccountView, known: &Known<'_>) -> (Verdict, String, Option<String>) {
    let standing = match (&account.why, &account.since) {
        (Some(why), Some(since)) => format!("{} since {since}: {why}", account.standing),
        _ => account.standing.clone(),
    };
    let own = || known.alarms.iter().filter(|alarm| alarm.account.as_deref() == Some(account.id.as_str()));
    match account.standing.as_str() {
        "needs-authorising" => {
            let link = account.install_url.as_ref().map(|link| format!(": {link}")).unwrap_or_default();
            (Verdict::Fail, standing, Some(format!("have an admin of the account authorise the app again{link}")))
        }
        "leaving" => (Verdict::Ok, standing, None),
        _ => {
            let refused = own().find(|alarm| alarm.code == "needs-authorising");
            let (verdict, found, hint) = match (refused, lacking(config, account), own().next()) {
                (Some(alarm), ..) => (Verdict::Fail, alarm.what.clone(), to_authorise(account, alarm)),
                // What else is told of it follows from that.
                (None, Some(lacking), _) => {
                    let hint =
                        "tick them under Scopes in the Zoom Marketplace; then an admin has to authorise the app again";
                    (Verdict::Fail, format!("scopes are missing: {lacking}"), hint.to_owned())
                }
                (None, None, Some(alarm)) => (Verdict::Warn, alarm.what.clone(), alarm.advice.clone()),
                (None, None, None) => return quiet(account, known.sweeps, &standing),
            };
            (verdict, format!("{standing}; {found}"), Some(hint))
        }
    }
}

/// What to do where Zoom refuses it.
fn to_authorise(account: &AccountView, alarm: &Alarm) -> String {
    if account.origin == "added" {
        return "compare its id, client id and secret with its app's page; `adjutant accounts remove` and `accounts add` take in others"
            .to_owned();
    }
    alarm.advice.clone()
}

/// One of whom no alarm speaks.
fn quiet(account: &AccountView, sweeps: &[SweepView], standing: &str) -> (Verdict, String, Option<String>) {
    if let Some(paused) = &account.paused {
        let hint = format!("`adjutant accounts resume {}` lets it go on", account.id);
        return (Verdict::Warn, format!("paused since {} by {}", paused.at, paused.by), Some(hint));
    }
    let refreshed = account.installations.iter().filter(|one| one.lost_at.is_none()).map(|one| &one.refreshed_at).max();
    let refreshed = refreshed.map(|at| format!("; tokens refreshed {at}")).unwrap_or_default();
    let whole = sweeps.iter().find(|view| view.account == account.id).and_then(|view| view.whole_at.as_ref());
    let whole = whole.map_or_else(|| "; not swept yet".to_owned(), |at| format!("; last whole sweep {at}"));
    (Verdict::Ok, format!("{standing}{refreshed}{whole}"), None)
}

/// What the tokens of an account may not do and rules ask for; none where nobody knows, as of an app of its own.
fn lacking(config: &Config, account: &AccountView) -> Option<String> {
    let good = account.installations.iter().filter(|one| one.lost_at.is_none() && one.app == account.app);
    let granted: BTreeSet<String> = good.flat_map(|one| one.scopes.iter().cloned()).collect();
    if granted.is_empty() {
        return None;
    }
    let lacking = needs::lacking(&needs::of_general(&config.rules), &granted);
    (!lacking.is_empty()).then(|| lacking.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(id: usize) -> AccountView {
        let json = serde_json::json!({
            "id": format!("acc-{id}"), "app": "platform", "label": null, "origin": "added", "standing": "active",
            "why": null, "since": null, "plan": null, "api_users": [], "may_grant": [], "invites_per_day": null,
            "paused": null, "added_at": null, "added_by": null, "installations": [], "rival": null, "install_url": null,
        });
        serde_json::from_value(json).unwrap()
    }

    fn config() -> Config {
        let text = "[[app]]\nname = \"main\"\nkind = \"server-to-server\"\nclient_id = \"a\"\nclient_secret = \"client-secret-of-it\"\n\
                    webhook_secrets = [\"webhook-secret-of-it\"]\n[[app.account]]\nid = \"own\"\n";
        crate::config::parse(std::path::Path::new("config.toml"), text, &crate::config::Env::default()).unwrap()
    }

    #[test]
    fn of_many_accounts_those_that_are_well_are_counted_and_the_others_are_told_each() {
        let mut accounts: Vec<AccountView> = (0..1_000).map(account).collect();
        accounts[7].standing = "needs-authorising".to_owned();
        let alarm = Alarm::new("needs-authorising", "Zoom refuses the app's credentials", "correct them", "x");
        let alarms = [alarm.of_account("acc-9")];
        let known = Known { accounts: &accounts, alarms: &alarms, sweeps: &[] };
        let mut report = Report::default();
        all(&mut report, &config(), &known);
        let told: Vec<(&str, &str)> =
            report.checks.iter().map(|check| (check.verdict.word(), check.found.as_str())).collect();
        assert_eq!(
            told,
            [
                ("FAIL", "account acc-7, app platform: needs-authorising"),
                ("FAIL", "account acc-9, app platform: active; Zoom refuses the app's credentials"),
                ("ok", "998 more are active, with nothing to mend"),
            ]
        );
    }
}
