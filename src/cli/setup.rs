//! `adjutant setup`: asks for what a configuration needs, writes it, and says what to click in the Zoom Marketplace.
//!
//! Every answer can be given as a flag, or piped line by line. Nothing is written before all of it was checked, and no file
//! is overwritten without `--force`. Secrets go to files of their own, mode 0600.

mod ask;
mod write;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use secrecy::{ExposeSecret, SecretString};

use super::out::Out;
use super::{Context, Exit, Failure, needs};
use crate::config::{Env, parse};
use crate::ids::AppName;
use crate::rules::Rule;
use crate::zoom::{Endpoint, Scopes};
use ask::Asker;

#[derive(Debug, Args)]
pub(super) struct Asked {
    /// How the app is let in by accounts: one account, its own, is all there is so far
    #[arg(long, default_value = "server-to-server", value_parser = ["server-to-server"])]
    kind: String,
    /// The app's name here, which is also in its webhook URL
    #[arg(long, default_value = "main")]
    app: String,
    /// What should be true; may be repeated
    #[arg(long = "rule", value_enum)]
    rules: Vec<RuleKind>,
    /// Whether rules change anything, or only record what they would change
    #[arg(long, value_parser = ["observe", "enforce"])]
    mode: Option<String>,
    /// Account ID, of the page "App Credentials"
    #[arg(long)]
    account_id: Option<String>,
    /// Client ID, of the same page
    #[arg(long)]
    client_id: Option<String>,
    /// A file that holds the client secret, of the same page
    #[arg(long, value_name = "FILE")]
    client_secret_from: Option<PathBuf>,
    /// A file that holds the secret token, of the page "Feature"
    #[arg(long, value_name = "FILE")]
    webhook_secret_from: Option<PathBuf>,
    /// The licensed user that becomes everyone's assistant, by email or id
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
    kind: String,
    app: AppName,
    rules: BTreeSet<RuleKind>,
    mode: String,
    account: String,
    client_id: String,
    client_secret: SecretString,
    webhook_secret: SecretString,
    api_user: Option<String>,
    plan: String,
    public_url: String,
}

pub(super) async fn run(context: &Context, asked: Asked, out: &mut Out) -> Result<Exit, Failure> {
    let (path, force) = (context.path(), asked.force);
    write::refuse_to_overwrite(path, force)?;
    let answers = collect(asked, out).await?;
    let text = write::config(&answers);
    let rules = check(path, &text, &answers)?;
    write::all(path, &text, &answers, force)?;
    instruct(path, &answers, &rules, out)?;
    Ok(Exit::Good)
}

async fn collect(asked: Asked, out: &mut Out) -> Result<Answers, Failure> {
    let app = AppName::parse(&asked.app).map_err(|error| Failure::new(Exit::Usage, format!("--app: {error}")))?;
    // All that was given is looked at before anything is asked.
    let account = ask::given("--account-id", asked.account_id, ask::account)?;
    let client_id = ask::given("--client-id", asked.client_id, ask::plain)?;
    let api_user = ask::given("--api-user", asked.api_user, ask::user)?;
    let public_url = ask::given("--public-url", asked.public_url, ask::https)?;
    let client_secret = ask::given_secret("--client-secret-from", asked.client_secret_from.as_deref())?;
    let webhook_secret = ask::given_secret("--webhook-secret-from", asked.webhook_secret_from.as_deref())?;

    tell_what_is_needed(out)?;
    let mut terminal = Asker::new(out)?;
    let rules =
        if asked.rules.is_empty() { terminal.rules().await? } else { asked.rules.into_iter().collect::<BTreeSet<_>>() };
    let modes = "mode: observe (record what would be done) or enforce (do it)";
    let mode = terminal.choice("--mode", modes, asked.mode, "observe", &["observe", "enforce"]).await?;
    let account = terminal.text("--account-id", "Account ID (App Credentials)", account, ask::account).await?;
    let client_id = terminal.text("--client-id", "Client ID (App Credentials)", client_id, ask::plain).await?;
    let question = "Client Secret (App Credentials)";
    let client_secret = terminal.secret("--client-secret-from", question, client_secret).await?;
    let webhook_secret = terminal.secret("--webhook-secret-from", "Secret Token (Feature)", webhook_secret).await?;
    let api_user = if rules.contains(&RuleKind::Assistants) {
        let question = "API user: the licensed user that becomes everyone's assistant (email or id)";
        Some(terminal.text("--api-user", question, api_user, ask::user).await?)
    } else {
        api_user
    };
    let plans = ["free", "pro", "business", "education", "enterprise", "partner"];
    let question = format!("plan of the account ({})", plans.join(", "));
    let plan = terminal.choice("--plan", &question, asked.plan, "pro", &plans).await?;
    let question = "public URL, where Zoom will reach this service (https://…)";
    let public_url = terminal.text("--public-url", question, public_url, ask::https).await?;
    let public_url = without_path(&public_url, &app);
    let kind = asked.kind;
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
fn tell_what_is_needed(out: &mut Out) -> Result<(), Failure> {
    out.line("The answers are on the pages of your app, a Server-to-Server OAuth App: the only kind so far. If there is none")?;
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
    out.line("\nScopes to tick (granular; for an older app the classic one beside it):")?;
    let mut rows: Vec<Vec<String>> = Vec::new();
    for endpoint in needs::endpoints(rules) {
        let scopes = endpoint.scopes();
        let call = format!("{} {}", endpoint.method(), endpoint.template());
        rows.push(vec![format!("  {}", scopes.granular), scopes.classic.to_owned(), call]);
    }
    out.table(&["  GRANULAR", "CLASSIC", "FOR"], &rows)?;
    if answers.rules.contains(&RuleKind::Assistants) {
        let Scopes { granular, classic } = Endpoint::GetAccountSettings.scopes();
        out.line(format!(
            "  and if you like {granular} (classic: {classic}), by which `doctor` sees the co-host option"
        ))?;
    }
    out.line("\nEvents to subscribe:")?;
    for event in needs::events(rules) {
        out.line(format!("  {event}"))?;
    }
    out.line(format!(
        "\nWebhook URL (Event notification endpoint):\n  {}/webhooks/{}",
        answers.public_url, answers.app
    ))?;
    let config = if path == Path::new("config.toml") { String::new() } else { format!(" --config {}", path.display()) };
    let steps = [
        "marketplace.zoom.us → Develop → Build App → Server-to-Server OAuth App, unless it is there already (as an admin whose role has these rights)",
        "App Credentials: Account ID, Client ID and Client Secret are the ones that you gave here",
        "Information: a name, a company, a contact; Zoom asks for them before it activates the app",
        "Scopes → Add Scopes: tick the scopes above",
        &format!("start the service, so that Zoom can validate the URL: adjutant serve{config}"),
        "Feature → Event Subscriptions → Add: a name, the webhook URL above → Validate (the Secret Token is on this page)",
        "in the same subscription → Add Events: the events above; event receiver: all users in the account → Done → Save",
        "Activation → Activate your app",
    ];
    out.line("\nIn the Zoom Marketplace, in this order:")?;
    for (n, step) in steps.iter().enumerate() {
        out.line(format!("  {}. {step}", n.saturating_add(1)))?;
    }
    out.line("\nThen:")?;
    let then = [
        ("doctor --url", "# is everything in place, also the way in from Zoom?"),
        ("trigger user.created --user EMAIL", "# as if Zoom had sent it"),
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
