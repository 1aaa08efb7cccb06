//! The configuration: one file, overlaid by the environment, read once and whole.
//!
//! [`load`] gives a [`Config`] that is complete and consistent, or everything that is wrong with it, each mistake with its
//! file, line, column and what was expected. Bad input changes nothing. What every key means is written in `config.toml`,
//! which equals the built-in defaults.
//!
//! Text becomes a tree with positions (`source`), the tree becomes typed values (`section`, `secret`), and the values
//! become the parts' own settings (`parts`, `apps`, `rules`, `ensure`). Nothing here opens a socket or looks at a clock.

mod apps;
mod consumers;
mod ensure;
mod form;
mod notify;
mod orphaned;
mod parts;
mod problem;
mod reload;
mod rules;
mod schema;
mod secret;
mod section;
mod source;
mod timer;

pub use apps::{App, AppSecrets};
pub use parts::{Admin, Log, LogFormat, LogLevel, Server, StoreSection, base_url, is_loopback_url};
pub use problem::{Invalid, Place, Problem};
pub use reload::{Unsettled, agree, apart_from_rules};
pub use schema::schema;
pub(crate) use source::read_small;
pub use source::{Effective, Env, Source};

use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::DeTable;

use crate::account::Account;
use crate::feed::Consumer;
use crate::feed::notify::Notify;
use crate::ids::{AccountId, AppName};
use crate::rules::Rule;
use section::{Section, unknown};
use source::Reading;

/// The whole configuration, checked. Its secrets are not in its `Debug`.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file that it was read from.
    pub path: PathBuf,
    pub server: Server,
    pub admin: Admin,
    pub store: StoreSection,
    pub zoom: crate::zoom::Settings,
    pub worker: crate::worker::Settings,
    /// Accounts of one organisation each.
    pub organisations: Vec<Vec<AccountId>>,
    pub sweep: crate::worker::SweepSettings,
    /// Of accounts that are not in the file.
    pub accounts: crate::accounts::Settings,
    pub log: Log,
    pub apps: Vec<App>,
    /// Whom to tell what needs a person.
    pub notify: Vec<Notify>,
    pub rules: Vec<Rule>,
    /// To whom rules send, beside [`Config::notify`].
    pub consumers: Vec<Consumer>,
    /// Where more of them are.
    pub rules_folder: Option<PathBuf>,
    /// A rule that was never planned only observes, whatever its mode.
    pub require_plan: bool,
    /// The files of secrets that were read.
    pub secret_files: Vec<PathBuf>,
    /// Whether the file itself holds a secret.
    pub secrets_inline: bool,
    /// Every key as it is in force, with where it comes from; secrets masked.
    pub effective: Vec<Effective>,
    /// The files that were read, without those of secrets.
    pub sources: Vec<Source>,
    /// The environment that it was read with.
    pub env: Env,
}

impl Config {
    pub fn app(&self, name: &AppName) -> Option<&App> {
        self.apps.iter().find(|app| app.name == *name)
    }

    /// Those of the file.
    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.apps.iter().flat_map(|app| app.accounts.iter())
    }
}

/// Far more than any configuration needs.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read {path}: {error}. {}", what_to_do(error))]
    Unreadable { path: String, error: std::io::Error },
    #[error(transparent)]
    Invalid(#[from] Invalid),
}

fn what_to_do(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::NotFound => {
            "name the file with --config or ADJUTANT_CONFIG, or write one with `adjutant setup`"
        }
        std::io::ErrorKind::PermissionDenied => "run this as a user who may read it",
        std::io::ErrorKind::InvalidData => "save it as UTF-8",
        _ => "name a file with --config or ADJUTANT_CONFIG",
    }
}

/// Reads and checks the file and the environment.
pub fn load(path: &Path, env: &Env) -> Result<Config, ConfigError> {
    Ok(parse(path, &text_of(path)?, env)?)
}

/// What the command line needs of a stopped service. No file of secrets is read for it: whoever may hold the admin token
/// need not be allowed to read those.
#[derive(Debug, Clone)]
pub struct Outline {
    pub path: PathBuf,
    pub server: Server,
    pub admin: Admin,
    pub store: StoreSection,
    pub rules: Vec<Rule>,
    /// Without their secrets.
    pub consumers: Vec<Consumer>,
    pub accounts: Vec<Account>,
    /// As in [`Config::effective`].
    pub effective: Vec<Effective>,
}

/// As [`load`], but reads no file of secrets.
pub fn load_outline(path: &Path, env: &Env) -> Result<Outline, ConfigError> {
    let config = read(path, &text_of(path)?, env, false)?;
    let accounts = config.accounts().cloned().collect();
    let Config { path, server, admin, store, rules, consumers, effective, .. } = config;
    Ok(Outline { path, server, admin, store, rules, consumers, accounts, effective })
}

/// What the command line needs of the running service, which may have read files that are wrong by now.
#[derive(Debug, Clone)]
pub struct Reach {
    pub admin: Admin,
    /// What is wrong elsewhere.
    pub elsewhere: Option<Invalid>,
}

/// Where the running service is reached: a mistake counts only where it is about `[admin]`, so that none in a rule keeps
/// anybody from the service when it is needed most.
pub fn load_reach(path: &Path, env: &Env) -> Result<Reach, ConfigError> {
    let text = text_of(path)?;
    match read(path, &text, env, false) {
        Ok(config) => Ok(Reach { admin: config.admin, elsewhere: None }),
        Err(elsewhere) => Ok(Reach { admin: admin_alone(path, &text, env)?, elsewhere: Some(elsewhere) }),
    }
}

fn admin_alone(path: &Path, text: &str, env: &Env) -> Result<Admin, Invalid> {
    let invalid = |problems| Invalid::new(path.to_owned(), text.to_owned(), problems);
    let (root, errors) = DeTable::parse_recoverable(text);
    if let Some(error) = errors.first() {
        // What a slip of syntax swallows cannot be known, and a default in its place may be another service.
        return Err(invalid(vec![problem::not_toml(text, error)]));
    }
    let reading = Reading::new(text, root.get_ref(), env, folder_of(path), false);
    let server = parts::server(Section::top(&reading, "server"));
    let told = reading.told();
    let admin = parts::admin(Section::top(&reading, "admin"), &server);
    let problems = reading.finish_about("ADMIN__", told);
    if problems.is_empty() { Ok(admin) } else { Err(invalid(problems)) }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn text_of(path: &Path) -> Result<String, ConfigError> {
    read_small(path, FILE_BYTES_MAX)
        .map_err(|error| ConfigError::Unreadable { path: path.display().to_string(), error })
}

/// As [`load`], for a text that was read already; `path` says where relative paths start.
pub fn parse(path: &Path, text: &str, env: &Env) -> Result<Config, Invalid> {
    read(path, text, env, true)
}

fn read(path: &Path, text: &str, env: &Env, with_secrets: bool) -> Result<Config, Invalid> {
    let (root, errors) = DeTable::parse_recoverable(text);
    if let Some(error) = errors.first() {
        return Err(Invalid::new(path.to_owned(), text.to_owned(), vec![problem::not_toml(text, error)]));
    }
    let reading = Reading::new(text, root.get_ref(), env, folder_of(path), with_secrets);
    reading.took(path, text);
    let (config, files) = resolve(path, &reading, &root);
    let (problems, effective) = reading.finish();
    if problems.is_empty() && files.is_empty() {
        Ok(Config { effective, ..config })
    } else {
        Err(Invalid::new(path.to_owned(), text.to_owned(), problems).with(files))
    }
}

const SECTIONS: [&str; 14] = [
    "server", "admin", "store", "zoom", "worker", "moves", "sweep", "accounts", "log", "app", "consumer", "rule",
    "rules", "notify",
];

fn resolve(path: &Path, reading: &Reading<'_>, root: &Spanned<DeTable<'_>>) -> (Config, Vec<Invalid>) {
    for (key, _) in root.get_ref() {
        if !SECTIONS.contains(&key.get_ref().as_ref()) {
            unknown(reading, "the configuration", key, &SECTIONS);
        }
    }
    let server = parts::server(Section::top(reading, "server"));
    let admin = parts::admin(Section::top(reading, "admin"), &server);
    let store = parts::store(Section::top(reading, "store"), &server);
    let (mut zoom, host_writes) = parts::zoom(Section::top(reading, "zoom"));
    let mut sweep = parts::sweep(Section::top(reading, "sweep"), &mut zoom);
    let call_longest = zoom.call_longest();
    let mut worker = parts::worker(Section::top(reading, "worker"), server.drain, call_longest, host_writes);
    let (moves, organisations) = parts::moves(Section::top(reading, "moves"));
    worker.moves = moves;
    let accounts = parts::accounts(Section::top(reading, "accounts"));
    let log = parts::log(Section::top(reading, "log"));
    let apps = apps::apps(reading);
    let own = apps.iter().flat_map(|(app, _)| &app.schedules);
    sweep.accounts = own.filter_map(|(id, own)| Some((id.clone(), own.of(&sweep.schedule)?))).collect();
    let consumers = consumers::consumers(reading);
    let notify = notify::notify(reading, &consumers.names);
    let people = notify.names.into_iter().map(|name| (name, true));
    let takers = consumers.names.into_iter().map(|name| (name, false)).chain(people).collect();
    let rules::Rules { all: rules, folder: rules_folder, require_plan, invalid } = rules::all(reading, &takers);
    apps::check_together(reading, &apps, &rules);
    let config = Config {
        path: path.to_owned(),
        server,
        admin,
        store,
        zoom,
        worker,
        organisations,
        sweep,
        accounts,
        log,
        apps: apps.into_iter().map(|(app, _)| app).collect(),
        notify: notify.all,
        rules,
        consumers: consumers.all,
        rules_folder,
        require_plan,
        secret_files: reading.secret_files.take(),
        secrets_inline: reading.secrets_inline.get(),
        effective: Vec::new(),
        sources: reading.sources.take(),
        env: reading.env.clone(),
    };
    (config, invalid)
}
