//! Checks on Zoom's side: token, scopes, API users, what the account allows, clock.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use http::header::DATE;

use super::super::remote::client_for;
use super::super::signed::root;
use super::super::{Exit, Failure, needs};
use super::{Report, Verdict};
use crate::account::{Account, Plan, UserKey};
use crate::chance::SystemChance;
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::config::Config;
use crate::zoom::{
    AccountClient, Endpoint, Scopes, Status, ToldLimit, User, Zoom as _, ZoomClients, ZoomError, plans_with,
};

const PATIENCE: Duration = Duration::from_secs(15);
/// Beyond it the clock is worth a look.
const SKEW_WARN_SECS: u64 = 30;

/// What one account came to.
struct Seen<'c> {
    account: &'c Account,
    client: AccountClient,
    scopes: Result<BTreeSet<String>, ZoomError>,
}

pub(super) async fn all(report: &mut Report, config: &Config) -> Result<(), Failure> {
    let clients = ZoomClients::new(config.zoom.clone(), Arc::new(SystemClock), Arc::new(SystemChance));
    let clients = clients.map_err(|error| Failure::new(Exit::Io, error.to_string()))?;
    let mut seen = Vec::new();
    for app in &config.apps {
        for account in &app.accounts {
            let client = clients.account(account, app.credentials());
            let scopes = client.granted_scopes().await;
            seen.push(Seen { account, client, scopes });
        }
    }
    tokens(report, &seen);
    scopes(report, config, &seen);
    for one in &seen {
        api_users(report, one).await;
    }
    for one in &seen {
        co_host(report, config, one).await;
    }
    // After all calls to Zoom: their answers are what it goes by.
    for one in &seen {
        plan(report, one);
    }
    clock(report, config).await
}

fn tokens(report: &mut Report, seen: &[Seen<'_>]) {
    for Seen { account, scopes, .. } in seen {
        let named = format!("app {}, account {}", account.app, account.id);
        match scopes {
            Ok(_) => report.ok("token", format!("{named}: Zoom gives one")),
            Err(error) => {
                let hint = match error {
                    ZoomError::Credentials(_) | ZoomError::Refused { .. } => {
                        "compare account id, client id and client secret with the page App Credentials; is the app activated?"
                    }
                    _ => "check the network and [zoom] oauth_url",
                };
                report.fail("token", format!("{named}: {error}"), hint);
            }
        }
    }
}

fn scopes(report: &mut Report, config: &Config, seen: &[Seen<'_>]) {
    for Seen { account, scopes, .. } in seen {
        let Ok(granted) = scopes else {
            report.skip("scopes", format!("account {}: there is no token", account.id));
            continue;
        };
        let has_log = config.apps.iter().any(|app| app.name == account.app && app.marketplace_id.is_some());
        let of_rules = needs::endpoints(&config.rules).into_iter();
        let needed: Vec<Endpoint> = of_rules.chain(has_log.then_some(Endpoint::ListWebhookLogs)).collect();
        let lacking = needs::lacking(&needed, granted);
        if lacking.is_empty() {
            let found =
                format!("account {}: all {} calls that the rules may make are granted", account.id, needed.len());
            report.ok("scopes", found + &on_demand(granted));
        } else {
            let list = lacking.join(", ");
            let hint = "tick them under Scopes in the Zoom Marketplace; the app's owner must have these rights, too";
            report.fail("scopes", format!("account {}: missing {list}", account.id), hint);
        }
    }
}

/// What only commands need that may never be given, where it is not granted.
fn on_demand(granted: &BTreeSet<String>) -> String {
    let lacking = needs::ON_DEMAND.iter().filter_map(|(command, endpoints)| {
        let lacking = needs::lacking(endpoints, granted);
        (!lacking.is_empty()).then(|| format!("; `{command}` would need {}", lacking.join(", ")))
    });
    lacking.collect()
}

async fn api_users(report: &mut Report, Seen { account, client, scopes }: &Seen<'_>) {
    const NAME: &str = "API user";
    if scopes.is_err() {
        report.skip(NAME, format!("account {}: there is no token", account.id));
    } else if account.api_users.is_empty() {
        report.skip(NAME, format!("account {} has none", account.id));
    } else {
        for key in &account.api_users {
            let found = client.handle().user(key).await;
            api_user(report, key, found);
        }
    }
}

fn api_user(report: &mut Report, key: &UserKey, found: Result<User, ZoomError>) {
    const NAME: &str = "API user";
    match found {
        Err(ZoomError::NotFound(_)) => {
            report.fail(NAME, format!("{key}: Zoom does not know them"), "correct api_users, or add the user at Zoom");
        }
        Err(error) => report.fail(NAME, format!("{key}: {error}"), "check scopes and [zoom] api_url"),
        Ok(user) if user.status != Status::Active => {
            let status = format!("{key}: exists, but is {:?}", user.status).to_lowercase();
            report.fail(NAME, status, "let the user accept the invitation, or activate them");
        }
        Ok(user) if !user.is_licensed() => {
            let hint = "give the user a Licensed seat: Basic users can neither have nor be an assistant";
            report.fail(NAME, format!("{key}: exists and is active, but has no licence"), hint);
        }
        Ok(_) => report.ok(NAME, format!("{key}: exists, active, licensed")),
    }
}

/// Without it an assistant can schedule for somebody, and not be the alternative host of their meetings.
async fn co_host(report: &mut Report, config: &Config, Seen { account, client, scopes }: &Seen<'_>) {
    const NAME: &str = "co-host option";
    let id = &account.id;
    if !needs::endpoints(&config.rules).contains(&Endpoint::AddAssistants) {
        return report.skip(NAME, format!("account {id}: no rule is about assistants"));
    }
    let Ok(granted) = scopes else {
        return report.skip(NAME, format!("account {id}: there is no token"));
    };
    let needed = Endpoint::GetAccountSettings.scopes();
    if !needed.is_granted_by(granted) {
        let Scopes { granular, classic } = needed;
        let why = format!("account {id}: not checked, which only the scope {granular} (classic: {classic}) allows");
        return report.skip(NAME, why);
    }
    let settings = match client.handle().account_settings().await {
        Ok(settings) => settings,
        Err(error) => return report.skip(NAME, format!("account {id}: not checked: {error}")),
    };
    match settings.get("in_meeting").and_then(|branch| branch.get("co_host")?.as_bool()) {
        Some(true) => report.ok(NAME, format!("account {id}: on, so that assistants can be alternative hosts")),
        Some(false) => report.warn(
            NAME,
            format!("account {id}: off, so that assistants cannot be alternative hosts"),
            "switch it on in Zoom's web portal: Account Management, Account Settings, Meeting, In Meeting (Basic), Co-host",
        ),
        None => report.skip(NAME, format!("account {id}: Zoom's answer does not state it")),
    }
}

/// Whether the plan of the configuration is the one by which Zoom counts.
fn plan(report: &mut Report, Seen { account, client, scopes }: &Seen<'_>) {
    const NAME: &str = "plan";
    let id = &account.id;
    if scopes.is_err() {
        return report.skip(NAME, format!("account {id}: there is no token"));
    }
    let (verdict, found, hint) = compared(account.plan, client.told_limits());
    report.add(NAME, verdict, format!("account {id}: {found}"), hint.as_deref());
}

fn compared(plan: Plan, mut told: BTreeSet<ToldLimit>) -> (Verdict, String, Option<String>) {
    if told.iter().any(|limit| !limit.is_daily) {
        // A day's limit may be another bucket's.
        told.retain(|limit| !limit.is_daily);
    }
    let other = told.iter().find(|limit| !plans_with(limit).contains(&plan));
    let Some(limit) = other.or_else(|| told.first()) else {
        return (Verdict::Skipped, "Zoom's answers do not state its limits".to_owned(), None);
    };
    let span = if limit.is_daily { "day" } else { "second" };
    let says = format!("Zoom's limit for {} calls is {} a {span}", limit.category.name(), limit.calls);
    let plan = plan.name();
    if other.is_none() {
        return (Verdict::Ok, format!("{says}, as for {plan}"), None);
    }
    let plans: Vec<&str> = plans_with(limit).into_iter().map(Plan::name).collect();
    let (found, hint) = if let [one] = plans.as_slice() {
        let hint = format!("set plan = \"{one}\" in its [[app.account]], and restart the service");
        (format!("{says}, as for {one}, and the configuration says {plan}"), hint)
    } else {
        let hint = "Zoom publishes no such limit: lower [zoom] rate_share_percent where it throttles";
        (format!("{says}, which is not that of {plan}"), hint.to_owned())
    };
    (Verdict::Warn, found, Some(hint))
}

async fn clock(report: &mut Report, config: &Config) -> Result<(), Failure> {
    const NAME: &str = "clock";
    // Any answer will do, also a refusal: only its date counts.
    let url = &config.zoom.oauth_url;
    let answer = match client_for(url, PATIENCE)?.get(url).send().await {
        Ok(answer) => answer,
        Err(error) => {
            report.skip(NAME, format!("{url} cannot be reached: {}", root(&error)));
            return Ok(());
        }
    };
    let ours = SystemClock.now();
    let date = Some(answer).and_then(|answer| {
        let at = jiff::fmt::rfc2822::parse(answer.headers().get(DATE)?.to_str().ok()?).ok()?;
        Some(Timestamp::from_secs(at.timestamp().as_second()))
    });
    let Some(theirs) = date else {
        report.skip(NAME, format!("{url} answers, and does not say what time it is"));
        return Ok(());
    };
    let skew = ours.as_secs().abs_diff(theirs.as_secs());
    let found = format!("{skew} s from Zoom's");
    let hint = "let the machine keep time (NTP): deliveries outside the window are answered 503";
    if skew > u64::from(config.server.receiver.window_future_secs) {
        report.fail(NAME, found, hint);
    } else if skew > SKEW_WARN_SECS {
        report.warn(NAME, found, hint);
    } else {
        report.ok(NAME, found);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zoom::Category;

    #[test]
    fn a_plan_is_compared_with_what_zoom_states_and_with_nothing_else() {
        let light = |is_daily, calls| ToldLimit { category: Category::Light, is_daily, calls };
        for (told, verdict, words) in [
            (vec![], Verdict::Skipped, "Zoom's answers do not state its limits"),
            (vec![light(false, 30)], Verdict::Ok, "Zoom's limit for light calls is 30 a second, as for pro"),
            (vec![light(false, 30), light(true, 6000)], Verdict::Ok, "30 a second"),
            (vec![light(true, 6000)], Verdict::Warn, "6000 a day, as for free, and the configuration says pro"),
            (vec![light(false, 80)], Verdict::Warn, "80 a second, as for business, and the configuration says pro"),
            (vec![light(false, 50)], Verdict::Warn, "50 a second, which is not that of pro"),
        ] {
            let found = compared(Plan::Pro, told.into_iter().collect());
            assert!(found.0 == verdict && found.1.contains(words), "{found:?}");
            assert_eq!(found.2.is_some(), verdict == Verdict::Warn, "{found:?}");
        }
    }
}
