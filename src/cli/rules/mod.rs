//! `adjutant rules`

mod apply;
mod case;
mod explain;
mod plan;
pub(super) mod presets;
mod pseudonyms;
mod record;
mod resume;
mod test;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::out::{Out, count};
use super::remote::{Where, json};
use super::{Context, Exit, Failure, check_config};
use crate::account::Role;
use crate::alarm::Severity;
use crate::rules::{Mode, Rule, SubjectKind};
use crate::web::admin::{PLAN_BYTES_MAX, wants};
use crate::work::{SHARE_FROM_USERS, SavedPlan};

#[derive(Debug, Subcommand)]
pub(super) enum Asked {
    /// Read the rules, show what each wants, and say what is wrong with them
    Check(Check),
    /// Say why a user or meeting got, or did not get, what the rules want
    ///
    /// Answers from what is stored, without asking Zoom: for each rule what it wants, what its condition saw, what was done
    /// or why not, and the entries of the audit log that prove it.
    Explain(Explain),
    /// Say what the rules would change now, which calls that takes, and how long
    ///
    /// Reads the account at Zoom, within the share of its rate limits that sweeps may use, and changes nothing.
    Plan(Plan),
    /// Do what a plan says, each change only where it is still as planned
    ///
    /// The changes carry their own allowance: the limits of the rules neither hold them up nor count them. A plan is refused
    /// after 24 hours, and after its rules changed.
    Apply(Apply),
    /// Run the cases of tests/rules, beside the configuration
    ///
    /// A case gives a user, a meeting or an event, and says what each rule should come to. Nothing is asked of Zoom.
    Test(Test),
    /// Write such a case from a delivery, with people and secrets replaced
    Record(Record),
    /// List rules that many accounts want, or print one as a file to begin with
    Presets(presets::Presets),
    /// Let a rule go on that came to its limit, with all the jobs that it holds back
    Resume(resume::Resume),
}

#[derive(Debug, Args)]
pub(super) struct Check {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Explain {
    /// A user's email or id, the number of a meeting, or an id as in `dlv_42` or `job_42`
    subject: String,
    /// Look through the whole audit log, however long it is
    #[arg(long)]
    all: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Where,
}

#[derive(Debug, Args)]
pub(super) struct Plan {
    /// Only this account
    #[arg(long)]
    account: Option<String>,
    /// Only this rule
    #[arg(long)]
    rule: Option<String>,
    /// Also the upcoming meetings of all active users: one call for each, and one for each meeting
    #[arg(long)]
    meetings: bool,
    /// Only the upcoming meetings of this host, by email or id
    #[arg(long, value_name = "USER", conflicts_with = "meetings")]
    host: Option<String>,
    /// Only users and meetings that something happened to since then, as stored: `2h`, `7d`, or a moment as in
    /// 2026-11-20T00:00:00Z. Also what rules about events would have done for the events since then
    #[arg(long, value_name = "WHEN", conflicts_with_all = ["meetings", "host"])]
    since: Option<String>,
    /// Also write the plan to a file, as JSON
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Apply {
    /// As `rules plan --out` wrote it
    file: PathBuf,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Do not wait until all is done
    #[arg(long)]
    no_wait: bool,
    /// Print JSON
    #[arg(long, requires = "yes")]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Test {
    /// Files of cases, or folders of such [default: tests/rules beside the configuration]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Record {
    /// As the list prints it: `dlv_42`
    delivery: String,
    /// Write it there instead of to standard output; an existing file is left as it is
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    place: Where,
}

pub(super) async fn run(context: &Context, asked: Asked, out: &mut Out) -> Result<Exit, Failure> {
    match asked {
        Asked::Check(asked) => check(context, asked.json, out),
        Asked::Explain(asked) => explain::run(context, asked, out).await,
        Asked::Plan(asked) => plan::run(context, asked, out).await,
        Asked::Apply(asked) => apply::run(context, asked, out).await,
        Asked::Test(asked) => test::run(context, &asked, out),
        Asked::Record(asked) => record::run(context, asked, out).await,
        Asked::Presets(asked) => presets::run(&asked, out),
        Asked::Resume(asked) => resume::run(context, asked, out).await,
    }
}

/// Whether the service takes the plan.
fn fits(plan: &SavedPlan) -> Result<bool, Failure> {
    Ok(json(plan)?.len() <= PLAN_BYTES_MAX)
}

/// A rule as `rules check` prints it.
#[derive(Debug, Serialize)]
struct Shown {
    name: String,
    r#for: SubjectKind,
    mode: Mode,
    wants: String,
    sends_to: Option<String>,
    severity: Option<Severity>,
    on: Vec<String>,
    when: Option<String>,
    except: usize,
    except_roles: Vec<Role>,
    max_changes_per_hour: u32,
    max_changes_percent: u8,
    description: Option<String>,
}

impl From<&Rule> for Shown {
    fn from(rule: &Rule) -> Self {
        Self {
            name: rule.name.to_string(),
            r#for: rule.subject,
            mode: rule.mode,
            wants: wants(rule),
            sends_to: rule.send.as_ref().map(|send| send.consumer.to_string()),
            severity: rule.send.as_ref().and_then(|send| send.severity),
            on: rule.on.as_ref().map(|on| on.events.clone()).unwrap_or_default(),
            when: rule.condition().map(str::to_owned),
            except: rule.except.len(),
            except_roles: rule.except_roles.clone(),
            max_changes_per_hour: rule.max_changes_per_hour,
            max_changes_percent: rule.max_changes_percent,
            description: rule.description.clone(),
        }
    }
}

fn check(context: &Context, json: bool, out: &mut Out) -> Result<Exit, Failure> {
    let config = context.config()?;
    let rules: Vec<Shown> = config.rules.iter().map(Shown::from).collect();
    if json {
        out.json(&rules)?;
        return Ok(Exit::Good);
    }
    for rule in &rules {
        let subject = match rule.r#for {
            SubjectKind::User => "users",
            SubjectKind::Meeting => "meetings",
            SubjectKind::Event => "events",
        };
        let mode = match rule.mode {
            Mode::Observe => "observed",
            Mode::Enforce => "enforced",
        };
        out.line(format!("{} ({mode}, for {subject})", rule.name))?;
        let excepted: Vec<&str> = rule.except_roles.iter().map(|role| role.name()).collect();
        let per_hour = count(rule.max_changes_per_hour, "change", "changes");
        out.fields(&[
            ("  for", rule.description.clone()),
            ("  wants", (!rule.wants.is_empty()).then(|| rule.wants.clone())),
            ("  sends to", rule.sends_to.clone()),
            ("  severity", rule.severity.map(|severity| severity.word().to_owned())),
            ("  on", (!rule.on.is_empty()).then(|| rule.on.join(", "))),
            ("  when", rule.when.clone()),
            ("  except", (rule.except > 0).then(|| count(rule.except, "user", "users"))),
            ("  except roles", (!excepted.is_empty()).then(|| excepted.join(", "))),
            (
                "  limits",
                rule.sends_to.is_none().then(|| {
                    format!(
                        "{per_hour} an hour, {} % of the users a day (from {SHARE_FROM_USERS} active users on)",
                        rule.max_changes_percent
                    )
                }),
            ),
        ])?;
    }
    out.line(format!(
        "{}, and nothing is wrong with {}",
        count(rules.len(), "rule", "rules"),
        context.path().display()
    ))?;
    if let Some(note) = check_config::note(&config) {
        out.line(format!("note: {note}"))?;
    }
    Ok(Exit::Good)
}
