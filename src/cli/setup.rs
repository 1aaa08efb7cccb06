//! `adjutant setup`: asks for what a configuration needs, writes it, and says what to click in the Zoom Marketplace. With
//! `--sheet` it only says what an app of a configuration that is there needs at Zoom.
//!
//! Every answer can be given as a flag, or piped line by line. Nothing is written before all of it was checked, and no file
//! is overwritten without `--force`. Secrets go to files of their own, mode 0600.

mod ask;
pub(super) mod sheet;
mod write;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use secrecy::{ExposeSecret, SecretString};

use super::out::Out;
use super::{Context, Exit, Failure};
use crate::account::AppKind;
use crate::config::{Env, parse};
use crate::ids::AppName;
use crate::rules::Rule;
use ask::Asker;
use sheet::{About, Sheet};

#[derive(Debug, Args)]
pub(super) struct Asked {
    /// How the app is let in: by its own account alone, or by any number of accounts, whose admins install it
    #[arg(long, default_value = "server-to-server", value_parser = ["server-to-server", "general"])]
    kind: String,
    /// Write nothing: print what to enter in the Marketplace for this app of the configuration: URLs, scopes and what they
    /// are for, events
    #[arg(long, value_name = "APP")]
    sheet: Option<String>,
    /// With --sheet: print JSON
    #[arg(long, requires = "sheet")]
    json: bool,
    /// The app's name here, which is also in its webhook URL
    #[arg(long, default_value = "main")]
    app: String,
    /// What should be true; may be repeated
    #[arg(long = "rule", value_enum)]
    rules: Vec<RuleKind>,
    /// Whether rules change anything, or only record what they would change
    #[arg(long, value_parser = ["observe", "enforce"])]
    mode: Option<String>,
    /// Account ID, of the page "App Credentials"; none of a general app
    #[arg(long)]
    account_id: Option<String>,
    /// Client ID, of the same page
    #[arg(long)]
    client_id: Option<String>,
    /// A file that holds the client secret, of the same page
    #[arg(long, value_name = "FILE")]
    client_secret_from: Option<PathBuf>,
    /// A file that holds the secret token, of the page Features → Access
    #[arg(long, value_name = "FILE")]
    webhook_secret_from: Option<PathBuf>,
    /// The licensed user that becomes everyone's assistant, by email or id; of a general app "installer" (the admin who installs
    /// it), "ask" (the admin names one), or an email such as zoom-api@{domain}, with the domain of the admin's
    #[arg(long)]
    api_user: Option<String>,
    /// The account's plan, which decides rate limits
    #[arg(long, value_parser = ["free", "pro", "business", "education", "enterprise", "partner"])]
    plan: Option<String>,
    /// Where Zoom will reach this service, as in `https://zoom-hooks.example.com`
    #[arg(long)]
    public_url: Option<String>,
    /// Overwrite files that are there
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum RuleKind {
    /// The API user is everyone's assistant (scheduling privilege)
    Assistants,
    /// Meetings have a waiting room
    WaitingRoom,
}

/// All answers, checked one by one.
struct Answers {
    kind: AppKind,
    app: AppName,
    rules: BTreeSet<RuleKind>,
    mode: String,
    /// None of a general app.
    account: Option<String>,
    client_id: String,
    client_secret: SecretString,
    webhook_secret: SecretString,
    api_user: Option<String>,
    plan: String,
    public_url: String,
}

pub(super) async fn run(context: &Context, asked: Asked, out: &mut Out) -> Result<Exit, Failure> {
    if let Some(app) = &asked.sheet {
        return print_sheet(context, app, asked.json, out);
    }
    let (path, force) = (context.path(), asked.force);
    write::refuse_to_overwrite(path, force)?;
    let answers = collect(asked, out).await?;
    let text = write::config(&answers);
    let rules = check(path, &text, &answers)?;
    write::all(path, &text, &answers, force)?;
    instruct(path, &answers, &rules, out)?;
    Ok(Exit::Good)
}

fn print_sheet(context: &Context, app: &str, json: bool, out: &mut Out) -> Result<Exit, Failure> {
    let config = context.config()?;
    let Some(app) = config.apps.iter().find(|one| one.name.as_str() == app) else {
        let names: Vec<&str> = config.apps.iter().map(|app| app.name.as_str()).collect();
        let text = format!("no [[app]] is named {app:?}. the configuration has {}", names.join(", "));
        return Err(Failure::new(Exit::Usage, text));
    };
    let sheet = Sheet::of(&About {
        app: app.name.as_str(),
        kind: app.kind,
        public_url: config.server.public_url.as_deref(),
        rules: &config.rules,
        reads_log: app.marketplace_id.is_some(),
    });
    if json {
        out.json(&sheet)?;
        return Ok(Exit::Good);
    }
    sheet.tell(out)?;
    steps(&sheet, &of_config(context.path()), out)?;
    Ok(Exit::Good)
}

/// How commands name the configuration, where they have to.
fn of_config(path: &Path) -> String {
    if path == Path::new("config.toml") { String::new() } else { format!(" --config {}", path.display()) }
}

fn steps(sheet: &Sheet, config: &str, out: &mut Out) -> Result<(), Failure> {
    out.line("\nIn the Zoom Marketplace, in this order (Zoom moves its pages: the names may be others by now):")?;
    for (n, step) in sheet.steps(&format!("adjutant serve{config}")).iter().enumerate() {
        out.line(format!("  {}. {step}", n.saturating_add(1)))?;
    }
    Ok(())
}

/// Of the words that `--kind` takes.
fn kind_of(word: &str) -> AppKind {
    if word == "general" { AppKind::General } else { AppKind::ServerToServer }
}

async fn collect(asked: Asked, out: &mut Out) -> Result<Answers, Failure> {
    let kind = kind_of(&asked.kind);
    let is_general = kind == AppKind::General;
    if is_general && asked.account_id.is_some() {
        let text = "--account-id: a general app has none, its accounts are those whose admins install it";
        return Err(Failure::new(Exit::Usage, text));
    }
    let check_user = if is_general { ask::api_user } else { ask::user };
    let check_url = if is_general { ask::https_root } else { ask::https };
    let app = AppName::parse(&asked.app).map_err(|error| Failure::new(Exit::Usage, format!("--app: {error}")))?;
    // All that was given is looked at before anything is asked.
    let account = ask::given("--account-id", asked.account_id, ask::account)?;
    let client_id = ask::given("--client-id", asked.client_id, ask::plain)?;
    let api_user = ask::given("--api-user", asked.api_user, check_user)?;
    let public_url = ask::given("--public-url", asked.public_url, check_url)?;
    let client_secret = ask::given_secret("--client-secret-from", asked.client_secret_from.as_deref())?;
    let webhook_secret = ask::given_secret("--webhook-secret-from", asked.webhook_secret_from.as_deref())?;

    tell_what_is_needed(kind, out)?;
    let mut terminal = Asker::new(out)?;
    let rules =
        if asked.rules.is_empty() { terminal.rules().await? } else { asked.rules.into_iter().collect::<BTreeSet<_>>() };
    let modes = "mode: observe (record what would be done) or enforce (do it)";
    let mode = terminal.choice("--mode", modes, asked.mode, "observe", &["observe", "enforce"]).await?;
    let account = if is_general {
        None
    } else {
        Some(terminal.text("--account-id", "Account ID (App Credentials)", account, ask::account).await?)
    };
    let client_id = terminal.text("--client-id", "Client ID (App Credentials)", client_id, ask::plain).await?;
    let question = "Client Secret (App Credentials)";
    let client_secret = terminal.secret("--client-secret-from", question, client_secret).await?;
    let webhook_secret =
        terminal.secret("--webhook-secret-from", "Secret Token (Features → Access)", webhook_secret).await?;
    let api_user = if is_general {
        let question = "API user of each account: installer (the admin who installs), ask (the admin names one), or an email such \
                        as zoom-api@{domain}";
        Some(terminal.text("--api-user", question, api_user, check_user).await?)
    } else if rules.contains(&RuleKind::Assistants) {
        let question = "API user: the licensed user that becomes everyone's assistant (email or id)";
        Some(terminal.text("--api-user", question, api_user, check_user).await?)
    } else {
        api_user
    };
    let plans = ["free", "pro", "business", "education", "enterprise", "partner"];
    let whose = if is_general { "accounts, until you say otherwise" } else { "account" };
    let question = format!("plan of the {whose} ({})", plans.join(", "));
    let plan = terminal.choice("--plan", &question, asked.plan, "pro", &plans).await?;
    let question = "public URL, where Zoom will reach this service (https://…)";
    let public_url = terminal.text("--public-url", question, public_url, check_url).await?;
    let public_url = without_path(&public_url, &app);
    Ok(Answers {
        kind,
        app,
        rules,
        mode,
        account,
        client_id,
        client_secret,
        webhook_secret,
        api_user,
        plan,
        public_url,
    })
}

/// Whoever gives the webhook URL, or a part of it, means the address before it.
fn without_path(url: &str, app: &AppName) -> String {
    let url = url.trim_end_matches('/');
    let url = url.strip_suffix(&format!("/webhooks/{app}")).or_else(|| url.strip_suffix("/webhooks")).unwrap_or(url);
    url.trim_end_matches('/').to_owned()
}

/// Where the answers are found, so that nobody starts without them.
fn tell_what_is_needed(kind: AppKind, out: &mut Out) -> Result<(), Failure> {
    let app = match kind {
        AppKind::ServerToServer => "a Server-to-Server OAuth App (many accounts: --kind general)",
        AppKind::General => "a General App that is managed by admins (one account, your own: --kind server-to-server)",
    };
    out.line(format!("The answers are on the pages of your app, {app}. If there is none"))?;
    out.line(
        "yet, make it first: marketplace.zoom.us → Develop → Build App. The rest of the clicks are told at the end.\n",
    )
}

/// What will be written is read as the service will read it, before it is written: the rules.
fn check(path: &Path, text: &str, answers: &Answers) -> Result<Vec<Rule>, Failure> {
    let app = answers.app.as_str().to_uppercase().replace('-', "_");
    let secrets = [("CLIENT_SECRET", &answers.client_secret), ("WEBHOOK_SECRETS", &answers.webhook_secret)];
    let vars = secrets.map(|(key, value)| (format!("ADJUTANT__APP__{app}__{key}"), value.expose_secret().to_owned()));
    parse(path, text, &Env::from_vars(vars)).map(|config| config.rules).map_err(|error| {
        Failure::new(Exit::Usage, format!("these answers make no good configuration; nothing was written.\n{error}"))
    })
}

fn instruct(path: &Path, answers: &Answers, rules: &[Rule], out: &mut Out) -> Result<(), Failure> {
    out.line(format!("wrote {}, and beside it client-secret and webhook-secrets (mode 0600)", path.display()))?;
    let sheet = Sheet::of(&About {
        app: answers.app.as_str(),
        kind: answers.kind,
        public_url: Some(&answers.public_url),
        rules,
        reads_log: false,
    });
    sheet.tell(out)?;
    let config = of_config(path);
    steps(&sheet, &config, out)?;
    out.line("\nThen:")?;
    let trigger = match answers.kind {
        AppKind::ServerToServer => "trigger user.created --user EMAIL",
        AppKind::General => "trigger user.created --account ID",
    };
    let then = [
        ("doctor --url", "# is everything in place, also the way in from Zoom?"),
        (trigger, "# as if Zoom had sent it"),
        ("audit tail --follow", "# what was decided and done"),
    ];
    for (command, why) in then {
        out.line(format!("  {:<width$}  {why}", format!("adjutant {command}{config}"), width = 42 + config.len()))?;
    }
    if answers.mode == "observe" {
        let edit = format!(
            "Once the audit log says what you want, set mode = \"enforce\" in the rules, then `adjutant reload{config}`."
        );
        out.line(format!("\nThe rules observe: nothing is changed at Zoom. {edit}"))?;
    }
    Ok(())
}
