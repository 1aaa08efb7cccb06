//! `[[app]]` and `[[app.account]]`.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use toml::de::DeTable;

use super::form;
use super::parts::{CRON, TIME_ZONE, base_url, is_cron, is_time_zone};
use super::problem::Place;
use super::secret::{is_placeholder, many, one};
use super::section::{Section, tables_of};
use super::source::{PREFIX, Reading};
use crate::account::{Account, AppKind, Plan, UserKey};
use crate::accounts::{ApiUserIs, GeneralApp};
use crate::event::signature::Secret;
use crate::ids::{AccountId, AppName, Email, MarketplaceId};
use crate::rules::{Grantee, Rule, nearest};
use crate::web::admin::AdminApp;
use crate::web::webhook::ReceiverApp;
use crate::worker::{Backfilled, Schedule};
use crate::zoom::Credentials;

/// One `[[app]]`.
#[derive(Debug, Clone)]
pub struct App {
    pub name: AppName,
    pub kind: AppKind,
    pub client_id: String,
    pub secrets: AppSecrets,
    pub accounts: Vec<Account>,
    /// Of accounts that are swept by a schedule of their own.
    pub schedules: Vec<(AccountId, OwnSchedule)>,
    /// The app's id in the Zoom Marketplace, under which Zoom keeps the log of its webhooks.
    pub marketplace_id: Option<MarketplaceId>,
    /// Of a general app: how accounts install it.
    pub general: Option<General>,
}

/// What only a general app has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct General {
    pub api_user: ApiUserIs,
    /// Only who was invited may install it.
    pub is_invited: bool,
    pub plan: Plan,
}

/// What of `[sweep]` an account has otherwise.
#[derive(Debug, Clone, Default)]
pub struct OwnSchedule {
    cron: Option<String>,
    time_zone: Option<String>,
}

impl OwnSchedule {
    /// None where it is as all others have it.
    pub fn of(&self, common: &Schedule) -> Option<Schedule> {
        let is_own = self.cron.is_some() || self.time_zone.is_some();
        is_own.then(|| common.with(self.cron.as_deref(), self.time_zone.as_deref()))?
    }
}

/// What Zoom and the app alone know.
#[derive(Clone)]
pub struct AppSecrets {
    pub client: SecretString,
    /// One or more: any of them verifies, so that a secret can be rotated.
    pub webhook: Vec<SecretString>,
    /// The same, ready to verify with.
    verifiers: Vec<Secret>,
}

impl App {
    /// The app as the receiver knows it.
    pub fn for_receiver(&self) -> ReceiverApp {
        ReceiverApp { name: self.name.clone(), secrets: self.secrets.verifiers.clone() }
    }

    /// Whose log at Zoom is read, where its id is known. A body is taken as by the receiver.
    pub fn for_backfill(&self, body_bytes_max: usize, known_for: Duration) -> Option<Backfilled> {
        Some(Backfilled {
            app: self.name.clone(),
            // Of several accounts, each could read it.
            account: self.accounts.first()?.id.clone(),
            marketplace_id: self.marketplace_id.clone()?,
            secrets: self.secrets.verifiers.clone(),
            body_bytes_max,
            known_for,
        })
    }

    /// The app as the admin listener shows it.
    pub fn for_admin(&self) -> AdminApp {
        AdminApp { name: self.name.clone(), kind: self.kind, accounts: self.accounts.clone() }
    }

    /// The app as accounts install it, where they can.
    pub fn for_install(&self) -> Option<GeneralApp> {
        let General { api_user, is_invited, plan } = self.general.clone()?;
        Some(GeneralApp { name: self.name.clone(), credentials: self.credentials(), api_user, is_invited, plan })
    }

    /// What the Zoom client gets tokens with.
    pub fn credentials(&self) -> Credentials {
        Credentials { client_id: self.client_id.clone(), client_secret: self.secrets.client.clone() }
    }
}

impl AppSecrets {
    fn texts(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.client).chain(&self.webhook).map(ExposeSecret::expose_secret)
    }

    /// Whether these are the same secrets.
    pub(super) fn are(&self, others: &Self) -> bool {
        self.texts().eq(others.texts())
    }
}

impl fmt::Debug for AppSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AppSecrets(client, {} for webhooks)", self.webhook.len())
    }
}

/// With the place of each, for checks over several.
pub(super) type Placed<T> = Vec<(T, Place)>;

const NAME: &str = "1 to 32 of a-z, 0-9 and -";

/// The name of a section in a list, which is also how variables speak of it.
pub(super) fn named<'t, 'r>(
    reading: &'r Reading<'t>,
    list: &'static str,
    (table, place): (&'t DeTable<'t>, Place),
    seen: &mut BTreeSet<String>,
) -> Option<Section<'t, 'r>> {
    let title = format!("[[{list}]]");
    reading.knows("", list, || form::list(&form::inner(list)));
    let Some(name) = table.get("name") else {
        reading.problem(place, format!("{title} has no name"), format!("add name = \"…\": {NAME}"));
        return None;
    };
    let at = Place::File(name.span());
    let Some(text) = name.get_ref().as_str().filter(|text| AppName::parse(text).is_ok()) else {
        reading.problem(at, format!("{title} has a name that cannot be taken"), format!("expected {NAME}"));
        return None;
    };
    if !seen.insert(text.to_owned()) {
        reading.problem(at, format!("two {title} are named {text:?}"), "expected each name once");
    }
    reading.record(&format!("[[{list}]] {text}"), "name", Some(format!("{text:?}")), "file");
    let vars = format!("{PREFIX}{}__{}__", list.to_uppercase(), variable(text));
    let title = format!("[[{list}]] {text}");
    let mut section = Section::new(reading, list.to_owned(), (title, vars), Some(table), place);
    section.knows("name", || form::text_like("^[a-z0-9-]{1,32}$"));
    Some(section)
}

/// A name as it is written in a variable.
fn variable(name: &str) -> String {
    name.to_uppercase().replace('-', "_")
}

/// Variables about an app or a rule that is not in the file are mistakes: a name cannot be made by misspelling one.
pub(super) fn check_variables(reading: &Reading<'_>, list: &str, seen: &BTreeSet<String>) {
    let prefix = format!("{PREFIX}{}__", list.to_uppercase());
    for (variable_name, rest) in reading.vars_after(&prefix) {
        let name = rest.split("__").next().unwrap_or_default();
        if seen.iter().all(|known| variable(known) != name) {
            let known = seen.iter().map(String::as_str);
            let name = name.to_lowercase().replace('_', "-");
            let help = nearest(&name, known).map_or_else(
                || format!("add [[{list}]] with name = {name:?} to the file"),
                |near| format!("did you mean {prefix}{}__…?", variable(near)),
            );
            let _known = reading.var(&variable_name);
            reading.problem(Place::Env(variable_name), format!("no [[{list}]] is named {name:?}"), help);
        }
    }
}

/// Whether anything is said of where browsers reach the public listener: what is wrong with it is told where it stands.
fn has_address(reading: &Reading<'_>) -> bool {
    let server = reading.root.get("server").and_then(|server| server.get_ref().as_table());
    server.is_some_and(|server| server.contains_key("public_url"))
        || reading.var(&format!("{PREFIX}SERVER__PUBLIC_URL")).is_some()
}

/// Behind a path webhooks arrive where a proxy takes it off; the pages that admins see lead to the root.
fn check_root(reading: &Reading<'_>) {
    let variable = format!("{PREFIX}SERVER__PUBLIC_URL");
    let server = reading.root.get("server").and_then(|server| server.get_ref().as_table());
    let in_file = || server.and_then(|server| server.get("public_url"));
    let (place, text) = match (reading.var(&variable), in_file()) {
        (Some(text), _) => (Place::Env(variable), text),
        (None, Some(value)) => (Place::File(value.span()), value.get_ref().as_str().unwrap_or_default().to_owned()),
        (None, None) => return,
    };
    let has_path = base_url(&text).is_some_and(|url| url.split("://").nth(1).is_some_and(|rest| rest.contains('/')));
    if has_path {
        let what = format!("[server] public_url is {text:?}");
        let help = "expected it without a path where an [[app]] has kind = \"general\": install pages and /oauth/callback are at \
                    the root of the name, as in \"https://zoom-hooks.example.com\"";
        reading.problem(place, what, help);
    }
}

pub(super) fn apps(reading: &Reading<'_>) -> Placed<App> {
    let mut seen = BTreeSet::new();
    let tables = reading.root.get("app").map(|value| tables_of(reading, value, "app")).unwrap_or_default();
    if tables.is_empty() {
        let help = "add [[app]] with name, kind, client_id, client_secret_file, webhook_secrets_file and [[app.account]], \
                    or run `adjutant setup`";
        reading.problem(Place::Whole, "the configuration has no [[app]]", help);
    }
    let apps = tables.into_iter().filter_map(|table| {
        let place = table.1.clone();
        app(named(reading, "app", table, &mut seen)?).map(|app| (app, place))
    });
    let apps: Placed<App> = apps.collect();
    if apps.iter().any(|(app, _)| app.general.is_some()) {
        check_root(reading);
    }
    check_variables(reading, "app", &seen);
    apps
}

fn app(mut section: Section<'_, '_>) -> Option<App> {
    let name = section.in_file("name").and_then(|name| name.get_ref().as_str()).and_then(|n| AppName::parse(n).ok());
    let kind = section.required_of("kind", &KINDS);
    let client_id = section.required("client_id", "the client id of the app in the Zoom Marketplace", filled);
    let client = one(&mut section, "client_secret", "client_secret_file");
    let webhook = many(&mut section, "webhook_secrets", "webhook_secrets_file");
    // What is no secret was noted when it was read.
    let verifiers = webhook.iter().filter_map(|secret| Secret::new(secret).ok()).collect();
    let marketplace_id =
        section.optional("marketplace_id", "the app id of the app's page in the Zoom Marketplace", |text| {
            MarketplaceId::parse(&filled(text)?).ok()
        });
    let general = (kind == Some(AppKind::General)).then(|| general(&mut section));
    if general.is_none() {
        for key in OF_GENERAL {
            section.knows(key, || form::NOTHING);
        }
        if kind.is_some() {
            section.foreign(&OF_GENERAL, "kind = \"general\"");
        }
    }
    if general.is_some() && !has_address(section.reading) {
        let what = format!("{}: nobody can install it", section.title);
        let help = "add public_url to [server]: where admins' browsers reach the public listener, which serves \
                    /install/{app} and /oauth/callback";
        section.reading.problem(section.place.clone(), what, help);
    }
    let accounts = match (&name, kind) {
        (_, Some(AppKind::General)) => no_accounts(&mut section),
        // Of what kind it is, and so whether it has any, nobody knows.
        (_, None) if section.tables("account").is_empty() => Vec::new(),
        (Some(name), _) => accounts(&mut section, name),
        (None, _) => Vec::new(),
    };
    section.finish();
    let schedules = accounts.iter().map(|(account, own)| (account.id.clone(), own.clone())).collect();
    Some(App {
        name: name?,
        kind: kind?,
        client_id: client_id?,
        secrets: AppSecrets { client: client?, webhook, verifiers },
        accounts: accounts.into_iter().map(|(account, _)| account).collect(),
        schedules,
        marketplace_id,
        general,
    })
}

const OF_GENERAL: [&str; 3] = ["api_user", "install", "plan"];
const KINDS: [(&str, AppKind); 2] = [("server-to-server", AppKind::ServerToServer), ("general", AppKind::General)];

fn general(section: &mut Section<'_, '_>) -> General {
    let expected = "\"installer\" (the admin who installs the app), \"ask\", or an email, in which {domain} stands for that \
                    of the admin's, as in \"zoom-api@{domain}\"";
    let api_user = section.required("api_user", expected, |text| match text {
        "installer" => Some(ApiUserIs::Installer),
        "ask" => Some(ApiUserIs::Ask),
        template => {
            let filled = filled(template)?.replace("{domain}", "a.example");
            Email::parse(&filled).ok().filter(|_| !filled.contains(['{', '}']))?;
            Some(ApiUserIs::Template(template.to_owned()))
        }
    });
    let is_invited = section.flag_like("install", &[("invited", true), ("open", false)], true);
    let plan = section.one_of_or_default("plan", &PLANS);
    General { api_user: api_user.unwrap_or(ApiUserIs::Ask), is_invited, plan }
}

/// Of a general app they are not in the file: their admins install it.
fn no_accounts(section: &mut Section<'_, '_>) -> Vec<(Account, OwnSchedule)> {
    if let Some((_, place)) = section.tables("account").into_iter().next() {
        let what = format!("{} has an account", section.title);
        let help = "expected none: the accounts of a general app are those whose admins install it, and are changed with \
                    `adjutant accounts`";
        section.reading.problem(place, what, help);
    }
    Vec::new()
}

fn filled(text: &str) -> Option<String> {
    let printable = text.chars().all(|c| c.is_ascii_graphic());
    (printable && !is_placeholder(text)).then(|| text.to_owned())
}

fn accounts(section: &mut Section<'_, '_>, app: &AppName) -> Vec<(Account, OwnSchedule)> {
    let tables = section.tables("account");
    let alone = tables.len() <= 1;
    let vars = format!("{}ACCOUNT__", section.vars);
    let title = format!("{} [[app.account]]", section.title);
    // Variables speak of an app's only account; several have no names to tell them apart by.
    let mut parts: Vec<_> = tables.into_iter().map(|(table, place)| (Some(table), place)).collect();
    if parts.is_empty() {
        if !section.reading.has_vars(&vars) {
            section.missing("[[app.account]]", "add [[app.account]] with id = \"…\", the account id of the app's page");
            return Vec::new();
        }
        parts.push((None, section.place.clone()));
    }
    let accounts = parts.into_iter().filter_map(|(table, place)| {
        let vars = if alone { vars.clone() } else { String::new() };
        let path = "app.account".to_owned();
        account(Section::new(section.reading, path, (title.clone(), vars), table, place), app)
    });
    accounts.collect()
}

fn account(mut section: Section<'_, '_>, app: &AppName) -> Option<(Account, OwnSchedule)> {
    let id = section.required("id", "the account id of the app's page in the Zoom Marketplace", |text| {
        AccountId::parse(&filled(text)?).ok()
    });
    let plan = section.one_of_or_default("plan", &PLANS);
    let users = "users by email or id, as in [\"api-user@example.com\"]";
    let api_users = section.list("api_users", users, |text| filled(text)?.parse::<UserKey>().ok());
    let emails = "emails, as in [\"jill@example.com\"]";
    let may_grant = section.list_in("may_grant", form::email, emails, |text| Email::parse(text).ok());
    let acts_as = section.list("acts_as", users, |text| filled(text)?.parse::<UserKey>().ok());
    let invites = section.number("invites_per_day", plan.invites_per_day(), 1..=10_000, "invitations");
    let own = OwnSchedule {
        cron: section.optional("sweep_cron", CRON, is_cron),
        time_zone: section.optional("sweep_time_zone", TIME_ZONE, is_time_zone),
    };
    section.finish();
    let account =
        Account { api_users, may_grant, acts_as, invites_per_day: invites, ..Account::new(id?, app.clone(), plan) };
    Some((account, own))
}

/// Zoom's names of plans, as far as they decide rate limits.
const PLANS: [(&str, Plan); 6] = [
    ("free", Plan::Free),
    ("pro", Plan::Pro),
    ("business", Plan::Business),
    ("education", Plan::Business),
    ("enterprise", Plan::Business),
    ("partner", Plan::Business),
];

/// What one app or rule alone cannot know.
pub(super) fn check_together(reading: &Reading<'_>, apps: &Placed<App>, rules: &[Rule]) {
    let grants = rules.iter().find(|rule| rule.ensure.assistants.contains(&Grantee::ApiUser));
    let mut taken: Vec<(&AccountId, &AppName)> = Vec::new();
    for (app, place) in apps {
        for account in &app.accounts {
            if let Some((id, holder)) = taken.iter().find(|(id, _)| **id == account.id) {
                let what = format!("account {id} is held by [[app]] {holder} and by [[app]] {}", app.name);
                reading.problem(place.clone(), what, "expected each account under one app only");
            }
            taken.push((&account.id, &app.name));
            if let Some(rule) = grants.filter(|_| account.api_users.is_empty()) {
                let what = format!("[[app]] {}: account {} has no api_users", app.name, account.id);
                let help = format!("add api_users = [\"…\"]: [[rule]] {} makes them everyone's assistant", rule.name);
                reading.problem(place.clone(), what, help);
            }
            check_named(reading, (app, place), account, rules);
        }
    }
}

/// Whom a rule names as assistant, each account must allow.
fn check_named(reading: &Reading<'_>, (app, place): (&App, &Place), account: &Account, rules: &[Rule]) {
    for rule in rules {
        for grantee in &rule.ensure.assistants {
            if let Grantee::Named(email) = grantee
                && !account.may_grant.contains(email)
            {
                let what = format!(
                    "[[rule]] {} makes {email} an assistant, and may_grant of account {} of [[app]] {} does not name them",
                    rule.name, account.id, app.name
                );
                let help = format!("add may_grant = [\"{email}\"] to [[app.account]], or take them out of the rule");
                reading.problem(place.clone(), what, help);
            }
        }
    }
}
