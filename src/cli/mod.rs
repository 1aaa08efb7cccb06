//! The command line: one file a command.
//!
//! Commands about a running service ask its admin listener, whose address and token come from the same configuration; with
//! `--offline` they open the folder of a stopped one. Everything is written through [`out::Out`], which takes a closed pipe
//! as the end of the work, and every failure says what is wrong, where, and what to do, and ends with a code of [`Exit`].

mod accounts;
mod assistants;
mod attention;
mod audit;
mod check_config;
mod consumers;
mod cores;
mod deliveries;
mod demo;
mod doctor;
mod exit;
mod file;
mod jobs;
mod listing;
pub mod logging;
#[cfg(test)]
mod measured;
mod meetings;
mod needs;
mod notify;
mod out;
mod private;
mod reload;
mod remote;
mod rows;
mod rules;
mod serve;
mod setup;
mod show_config;
mod signals;
mod signed;
mod store;
mod sweep;
mod takers;
mod tokens;
mod trigger;
mod users;

pub use exit::{Exit, Failure};

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{self, Admin, Config, ConfigError, Env, Outline, Reach};
use out::Out;

/// Keeps Zoom accounts the way their admins asked for: webhooks in, rules enforced, every step on record.
#[derive(Debug, Parser)]
#[command(name = "adjutant", version, after_help = exit::HELP, max_term_width = 110)]
struct Cli {
    /// The configuration
    #[arg(long, global = true, value_name = "PATH", env = "ADJUTANT_CONFIG", default_value = "config.toml")]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service until SIGTERM or Ctrl-C
    ///
    /// The first of these lets what runs come to its end, a second one stops at once, and both lose nothing. SIGHUP
    /// reads rules and accounts again, as `reload` does. SIGUSR1, SIGUSR2 and SIGALRM change nothing.
    Serve,
    /// Watch the service at work on a simulated Zoom account; nothing leaves this machine
    Demo(demo::Asked),
    /// Ask for what a configuration needs, write it, and say what to click in the Zoom Marketplace
    Setup(Box<setup::Asked>),
    /// Read the configuration and say what is wrong with it
    CheckConfig(JsonOnly),
    /// Print what the configuration says, where each value comes from, and what of it does not run yet; secrets are masked
    Config(show_config::Asked),
    /// Have the running service read its configuration again: rules and accounts, all of it or nothing
    Reload(reload::Asked),
    /// Check configuration, Zoom's side, clock, service, store and disk, one by one
    Doctor(doctor::Asked),
    /// Sign a realistic delivery and post it to the running service
    Trigger(trigger::Asked),
    /// Compare all users with the rules now, for what webhooks missed
    Sweep(sweep::Asked),
    /// Accounts: who is served, invites, adding, pausing, letting go
    #[command(subcommand)]
    Accounts(accounts::Asked),
    /// Assistants: who may schedule for a user. List, add, remove, verify; take back all grants of an API user
    #[command(subcommand)]
    Assistants(assistants::Asked),
    /// Schedulers: for whom a user may schedule, in Zoom's word. List, remove
    ///
    /// None can be added: only whoever is scheduled for can have an assistant, so that a scheduler of KIM comes from
    /// `adjutant assistants add --user SCHEDULER KIM`.
    #[command(subcommand)]
    Schedulers(assistants::AskedOfSchedulers),
    /// Users: make people users, look at them, let them go
    #[command(subcommand)]
    Users(users::Asked),
    /// Meetings: make them for others, give them another host, look at them
    #[command(subcommand)]
    Meetings(meetings::Asked),
    /// Work: what is due, waiting, parked, done
    #[command(subcommand)]
    Jobs(jobs::Asked),
    /// Webhook requests that were stored
    #[command(subcommand)]
    Deliveries(deliveries::Asked),
    /// What should be true: check the rules, try them, ask why, let one that is stopped go on
    #[command(subcommand)]
    Rules(rules::Asked),
    /// To whom rules send events: list them, try one
    #[command(subcommand)]
    Consumers(consumers::Asked),
    /// The log of every event, decision and change
    #[command(subcommand)]
    Audit(audit::Asked),
    /// What is stuck, and what to do
    Attention(attention::Asked),
    /// Who is told what is stuck: by webhook or mail
    #[command(subcommand)]
    Notify(notify::Asked),
    /// Who may ask this service: make, list and revoke access tokens
    #[command(subcommand)]
    Tokens(tokens::Asked),
    /// The store on disk
    #[command(subcommand)]
    Store(store::Asked),
}

#[derive(Debug, Args)]
struct JsonOnly {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What commands share.
struct Context {
    config: PathBuf,
    env: Env,
}

impl Context {
    /// The whole configuration, secrets included.
    fn config(&self) -> Result<Config, Failure> {
        Ok(config::load(&self.config, &self.env)?)
    }

    /// Where the running service is reached, whatever is wrong with the rest of the configuration by now.
    fn admin(&self) -> Result<Admin, Failure> {
        let Reach { admin, elsewhere } = config::load_reach(&self.config, &self.env)?;
        if elsewhere.is_some() {
            exit::warn(&format!(
                "{} has mistakes, which `adjutant check-config` names. this only asks the service that runs",
                self.config.display()
            ));
        }
        Ok(admin)
    }

    /// What is needed of a stopped service.
    fn outline(&self) -> Result<Outline, Failure> {
        Ok(config::load_outline(&self.config, &self.env)?)
    }

    fn path(&self) -> &Path {
        &self.config
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::new(Exit::Config, error.to_string())
    }
}

/// The program.
pub fn main() -> ExitCode {
    cores::forbid();
    let mut out = Out::stdout();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(told) => {
            // Help and version are no failures. A pipe that was closed meanwhile is nobody's loss.
            let _closed = told.print();
            return if told.use_stderr() { Exit::Usage } else { Exit::Good }.into();
        }
    };
    let context = Context { config: cli.config, env: Env::of_process() };
    match run(&context, cli.command, &mut out).and_then(|exit| out.flush().map(|()| exit)) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            failure.tell();
            failure.exit.into()
        }
    }
}

fn run(context: &Context, command: Command, out: &mut Out) -> Result<Exit, Failure> {
    match command {
        Command::Serve => serve::run(context),
        Command::Demo(asked) => demo::run(&asked, out),
        Command::Setup(asked) => wait(setup::run(context, *asked, out)),
        Command::CheckConfig(asked) => check_config::run(context, asked.json, out),
        Command::Config(asked) => wait(show_config::run(context, &asked, out)),
        Command::Reload(asked) => wait(reload::run(context, asked, out)),
        Command::Doctor(asked) => wait(doctor::run(context, &asked, out)),
        Command::Trigger(asked) => wait(trigger::run(context, asked, out)),
        Command::Sweep(asked) => wait(sweep::run(context, asked, out)),
        Command::Accounts(asked) => wait(accounts::run(context, asked, out)),
        Command::Assistants(asked) => wait(assistants::run(context, asked, out)),
        Command::Schedulers(asked) => wait(assistants::run_of_schedulers(context, asked, out)),
        Command::Users(asked) => wait(users::run(context, asked, out)),
        Command::Meetings(asked) => wait(meetings::run(context, asked, out)),
        Command::Jobs(asked) => wait(jobs::run(context, asked, out)),
        Command::Deliveries(asked) => wait(deliveries::run(context, asked, out)),
        Command::Rules(asked) => wait(rules::run(context, asked, out)),
        Command::Consumers(asked) => wait(consumers::run(context, asked, out)),
        Command::Audit(asked) => wait(audit::run(context, asked, out)),
        Command::Attention(asked) => wait(attention::run(context, asked, out)),
        Command::Notify(asked) => wait(notify::run(context, asked, out)),
        Command::Tokens(asked) => wait(tokens::run(context, asked, out)),
        Command::Store(asked) => wait(store::run(context, asked, out)),
    }
}

/// Runs a command that waits for others, on this thread.
fn wait(command: impl Future<Output = Result<Exit, Failure>>) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(Exit::Io, format!("cannot start: {error}")))?;
    let done = runtime.block_on(command);
    // Whoever still waits for somebody to type would be waited for.
    runtime.shutdown_background();
    done
}
