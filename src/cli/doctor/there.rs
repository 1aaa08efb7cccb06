//! Checks on Zoom's side: token, scopes, API users, clock.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use http::header::DATE;

use super::super::remote::client_for;
use super::super::{Exit, Failure, needs};
use super::Report;
use crate::account::{Account, UserKey};
use crate::chance::SystemChance;
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::config::Config;
use crate::zoom::{AccountClient, Status, User, Zoom as _, ZoomClients, ZoomError};

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
    let needed = needs::endpoints(&config.rules);
    for Seen { account, scopes, .. } in seen {
        let Ok(granted) = scopes else {
            report.skip("scopes", format!("account {}: there is no token", account.id));
            continue;
        };
        let lacking: BTreeSet<String> = needed
            .iter()
            .map(|endpoint| endpoint.scopes())
            .filter(|scopes| !scopes.is_granted_by(granted))
            .map(|scopes| format!("{} (classic: {})", scopes.granular, scopes.classic))
            .collect();
        if lacking.is_empty() {
            report.ok("scopes", format!("account {}: all {} calls of the rules are granted", account.id, needed.len()));
        } else {
            let list = lacking.into_iter().collect::<Vec<_>>().join(", ");
            let hint = "tick them under Scopes in the Zoom Marketplace; the app's owner must have these rights, too";
            report.fail("scopes", format!("account {}: missing {list}", account.id), hint);
        }
    }
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

async fn clock(report: &mut Report, config: &Config) -> Result<(), Failure> {
    const NAME: &str = "clock";
    // Any answer will do, also a refusal: only its date counts.
    let url = &config.zoom.oauth_url;
    let answer = client_for(url, PATIENCE)?.get(url).send().await;
    let ours = SystemClock.now();
    let date = answer.ok().and_then(|answer| {
        let at = jiff::fmt::rfc2822::parse(answer.headers().get(DATE)?.to_str().ok()?).ok()?;
        Some(Timestamp::from_secs(at.timestamp().as_second()))
    });
    let Some(theirs) = date else {
        report.skip(NAME, format!("{url} did not say what time it is"));
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
