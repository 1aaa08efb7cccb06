//! Checks on Zoom's side: token, scopes, API users, clock.

use std::collections::BTreeSet;
use std::time::Duration;

use super::super::remote::client;
use super::super::{Failure, needs};
use super::Report;
use crate::account::{Account, UserKey};
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::config::{App, Config};
use crate::rules::SubjectKind;
use crate::zoom::probe::{self, ProbeError, Token};
use crate::zoom::{Status, User};

const PATIENCE: Duration = Duration::from_secs(15);
/// Beyond it the clock is worth a look.
const SKEW_WARN_SECS: u64 = 30;

/// What one account came to.
struct Seen<'c> {
    account: &'c Account,
    token: Result<Token, ProbeError>,
    /// Our time when the token came.
    at: Timestamp,
}

pub(super) async fn all(report: &mut Report, config: &Config) -> Result<(), Failure> {
    let client = client(PATIENCE)?;
    let mut seen = Vec::new();
    for app in &config.apps {
        for account in &app.accounts {
            let token = token(&client, config, app, account).await;
            seen.push(Seen { account, token, at: SystemClock.now() });
        }
    }
    tokens(report, &seen);
    scopes(report, config, &seen);
    api_users(report, &client, config, &seen).await;
    clock(report, config, &seen);
    Ok(())
}

async fn token(client: &reqwest::Client, config: &Config, app: &App, account: &Account) -> Result<Token, ProbeError> {
    let credentials = (app.client_id.as_str(), &app.secrets.client);
    probe::token(client, &config.zoom.oauth_url, credentials, &account.id).await
}

fn tokens(report: &mut Report, seen: &[Seen<'_>]) {
    for Seen { account, token, .. } in seen {
        let named = format!("app {}, account {}", account.app, account.id);
        match token {
            Ok(_) => report.ok("token", format!("{named}: Zoom gives one")),
            Err(error) => {
                let hint = match error {
                    ProbeError::NoAnswer { .. } => "check network, proxy and [zoom] oauth_url",
                    ProbeError::Refused { .. } => {
                        "compare account id, client id and client secret with the page App Credentials; is the app activated?"
                    }
                    ProbeError::Unreadable(_) => "check [zoom] oauth_url: does something else answer there?",
                };
                report.fail("token", format!("{named}: {error}"), hint);
            }
        }
    }
}

fn scopes(report: &mut Report, config: &Config, seen: &[Seen<'_>]) {
    let subjects: Vec<SubjectKind> = config.rules.iter().map(|rule| rule.subject).collect();
    let needed = needs::endpoints(&subjects);
    for Seen { account, token, .. } in seen {
        let Ok(token) = token else {
            report.skip("scopes", format!("account {}: there is no token", account.id));
            continue;
        };
        let lacking: BTreeSet<String> = needed
            .iter()
            .map(|endpoint| endpoint.scopes())
            .filter(|scopes| !scopes.is_granted_by(&token.scopes))
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

async fn api_users(report: &mut Report, client: &reqwest::Client, config: &Config, seen: &[Seen<'_>]) {
    for Seen { account, token, .. } in seen {
        let Ok(token) = token else {
            report.skip("API user", format!("account {}: there is no token", account.id));
            continue;
        };
        if account.api_users.is_empty() {
            report.skip("API user", format!("account {} has none", account.id));
        }
        for key in &account.api_users {
            let found = probe::user(client, &config.zoom.api_url, token, key).await;
            api_user(report, key, found);
        }
    }
}

fn api_user(report: &mut Report, key: &UserKey, found: Result<Option<User>, ProbeError>) {
    const NAME: &str = "API user";
    match found {
        Err(error) => report.fail(NAME, format!("{key}: {error}"), "check scopes and [zoom] api_url"),
        Ok(None) => {
            report.fail(NAME, format!("{key}: Zoom does not know them"), "correct api_users, or add the user at Zoom")
        }
        Ok(Some(user)) if user.status != Status::Active => {
            let status = format!("{key}: exists, but is {:?}", user.status).to_lowercase();
            report.fail(NAME, status, "let the user accept the invitation, or activate them");
        }
        Ok(Some(user)) if !user.is_licensed() => {
            let hint = "give the user a Licensed seat: Basic users can neither have nor be an assistant";
            report.fail(NAME, format!("{key}: exists and is active, but has no licence"), hint);
        }
        Ok(Some(_)) => report.ok(NAME, format!("{key}: exists, active, licensed")),
    }
}

fn clock(report: &mut Report, config: &Config, seen: &[Seen<'_>]) {
    let theirs = seen.iter().find_map(|seen| Some((seen.token.as_ref().ok()?.at?, seen.at)));
    let Some((theirs, ours)) = theirs else {
        report.skip("clock", "Zoom did not say what time it is");
        return;
    };
    let skew = ours.as_secs().abs_diff(theirs.as_secs());
    let future = u64::from(config.server.receiver.window_future_secs);
    let found = format!("{skew} s from Zoom's");
    let hint = "let the machine keep time (NTP): deliveries outside the window are answered 503";
    if skew > future {
        report.fail("clock", found, hint);
    } else if skew > SKEW_WARN_SECS {
        report.warn("clock", found, hint);
    } else {
        report.ok("clock", found);
    }
}
