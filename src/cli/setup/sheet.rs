//! What to enter in the Zoom Marketplace for an app, in one place: addresses, scopes with what they are for, events.
//!
//! Where the Secret Token and the event subscriptions are, Zoom documents ("Add Feature page for your app") \[D]; the names of
//! the other pages are from memory \[M], and Zoom moves them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::super::out::Out;
use super::super::{Failure, needs};
use crate::account::AppKind;
use crate::rules::Rule;
use crate::work;
use crate::zoom::Endpoint;

/// What it is made from.
pub(in crate::cli) struct About<'s> {
    pub(in crate::cli) app: &'s str,
    pub(in crate::cli) kind: AppKind,
    /// None where the configuration does not say.
    pub(in crate::cli) public_url: Option<&'s str>,
    pub(in crate::cli) rules: &'s [Rule],
    /// What Zoom could not deliver is read in its log.
    pub(in crate::cli) reads_log: bool,
}

/// A scope to tick: an app has either granular or classic ones.
#[derive(Debug, Serialize)]
struct Scope {
    granular: &'static str,
    classic: &'static str,
    /// Names of rules, or commands.
    needed_by: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Event {
    event: String,
    needed_by: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(in crate::cli) struct Sheet {
    app: String,
    kind: AppKind,
    redirect_url: Option<String>,
    webhook_url: String,
    /// The field of its own for `app_deauthorized`.
    deauthorization_url: Option<String>,
    /// Only who was invited, by `adjutant accounts invite`, or anybody.
    install_url: Option<String>,
    scopes: Vec<Scope>,
    /// Of commands: only if they are used.
    scopes_on_demand: Vec<Scope>,
    events: Vec<Event>,
}

impl Sheet {
    pub(in crate::cli) fn of(about: &About<'_>) -> Self {
        let base = about.public_url.unwrap_or("<public_url>");
        let is_general = about.kind == AppKind::General;
        let webhook_url = format!("{base}/webhooks/{}", about.app);
        let mut needed: Vec<(Endpoint, String)> = Vec::new();
        for rule in about.rules {
            needed.extend(work::needs(rule).into_iter().map(|endpoint| (endpoint, format!("rule {}", rule.name))));
        }
        if is_general {
            let install = [Endpoint::GetUser, Endpoint::ListUsers];
            needed.extend(install.map(|endpoint| (endpoint, "installing".to_owned())));
        }
        if about.reads_log {
            needed.push((Endpoint::ListWebhookLogs, "marketplace_id".to_owned()));
        }
        let scopes = scopes(needed);
        let is_new = |scope: &Scope| !scopes.iter().any(|had| had.granular == scope.granular);
        let of_commands = needs::ON_DEMAND
            .iter()
            .flat_map(|(command, endpoints)| endpoints.iter().map(move |endpoint| (*endpoint, (*command).to_owned())));
        let co_host = (Endpoint::GetAccountSettings, "doctor (the co-host option)".to_owned());
        let on_demand = self::scopes(of_commands.chain([co_host]).collect()).into_iter().filter(is_new).collect();
        Self {
            app: about.app.to_owned(),
            kind: about.kind,
            redirect_url: is_general.then(|| format!("{base}/oauth/callback")),
            deauthorization_url: is_general.then(|| webhook_url.clone()),
            install_url: is_general.then(|| format!("{base}/install/{}", about.app)),
            webhook_url,
            scopes,
            scopes_on_demand: on_demand,
            events: events(about.rules),
        }
    }

    pub(in crate::cli) fn tell(&self, out: &mut Out) -> Result<(), Failure> {
        if let Some(url) = &self.redirect_url {
            out.line(format!("\nOAuth Redirect URL, which goes into the OAuth allow list as well:\n  {url}"))?;
        }
        out.line(format!("\nWebhook URL (Event notification endpoint URL):\n  {}", self.webhook_url))?;
        if let Some(url) = &self.deauthorization_url {
            out.line(format!("\nDeauthorization notification endpoint URL, a field of its own:\n  {url}"))?;
        }
        out.line("\nScopes to tick (granular; for an older app the classic one beside it):")?;
        table(&self.scopes, out)?;
        out.line("\nand, if you use these commands:")?;
        table(&self.scopes_on_demand, out)?;
        out.line("\nEvents to subscribe:")?;
        let rows: Vec<_> =
            self.events.iter().map(|one| vec![format!("  {}", one.event), one.needed_by.join(", ")]).collect();
        out.table(&["  EVENT", "FOR"], &rows)
    }

    /// What to click, in this order; `serve` is the command that starts the service.
    pub(super) fn steps(&self, serve: &str) -> Vec<String> {
        let scopes = "Scopes → Add Scopes: tick the scopes above".to_owned();
        let start = format!("start the service, so that Zoom can validate the URL: {serve}");
        let events = |receiver: &str| {
            format!(
                "Features → Access → Event Subscriptions → Add: a name, the webhook URL above → Validate (the Secret Token is on this \
                 page); Add Events: the events above; event receiver: {receiver} → Save"
            )
        };
        let mut steps = match self.kind {
            AppKind::ServerToServer => vec![
                "marketplace.zoom.us → Develop → Build App → Server-to-Server OAuth App, unless it is there already (as an \
                 admin whose role has these rights)"
                    .to_owned(),
                "App Credentials: Account ID, Client ID and Client Secret are the ones that you gave here".to_owned(),
                "Information: a name, a company, a contact; Zoom asks for them before it activates the app".to_owned(),
                scopes,
                start,
                events("all users in the account"),
                "Activation → Activate your app".to_owned(),
            ],
            AppKind::General => vec![
                "marketplace.zoom.us → Develop → Build App → General App, managed by admins (a user-managed one is refused)"
                    .to_owned(),
                "Basic Information: the OAuth Redirect URL above, also in the OAuth allow list; Client ID and Client Secret of \
                 Development are another app than those of Production: an [[app]] for each"
                    .to_owned(),
                "Basic Information → Deauthorization Notification: the URL above. Zoom sends it of published apps only".to_owned(),
                scopes + ", those that end in :admin",
                start,
                events("of accounts that add the app (\"Only for users who have added this app\")"),
                "Local Test shares it with accounts for testing only; others can add it after Zoom has reviewed it".to_owned(),
                "adjutant accounts invite --label \"School X\": a link for an admin of each account".to_owned(),
            ],
        };
        steps.retain(|step| !step.is_empty());
        steps
    }
}

fn table(scopes: &[Scope], out: &mut Out) -> Result<(), Failure> {
    let row =
        |scope: &Scope| vec![format!("  {}", scope.granular), scope.classic.to_owned(), scope.needed_by.join(", ")];
    out.table(&["  GRANULAR", "CLASSIC", "FOR"], &scopes.iter().map(row).collect::<Vec<_>>())
}

/// Each scope once, with all that needs it.
fn scopes(needed: Vec<(Endpoint, String)>) -> Vec<Scope> {
    let mut by_scope: BTreeMap<&'static str, (&'static str, BTreeSet<String>)> = BTreeMap::new();
    for (endpoint, why) in needed {
        let scopes = endpoint.scopes();
        by_scope.entry(scopes.granular).or_insert((scopes.classic, BTreeSet::new())).1.insert(why);
    }
    let scope = |(granular, (classic, needed_by)): (_, (_, BTreeSet<String>))| Scope {
        granular,
        classic,
        needed_by: needed_by.into_iter().collect(),
    };
    by_scope.into_iter().map(scope).collect()
}

fn events(rules: &[Rule]) -> Vec<Event> {
    let asks = |rule: &&Rule, event: &str| needs::events(std::slice::from_ref(*rule)).contains(&event);
    let of = |event: &str| {
        let asking = rules.iter().filter(|rule| asks(rule, event));
        asking.map(|rule| format!("rule {}", rule.name)).collect()
    };
    let all = needs::events(rules).into_iter();
    all.map(|event| Event { event: event.to_owned(), needed_by: of(event) }).collect()
}
