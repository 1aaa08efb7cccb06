//! `adjutant doctor`: is everything in place? Checks by name, each with what to do where it is not.
//!
//! It changes nothing, at Zoom or here. What depends on something that failed is skipped, and says so.

mod accounts;
mod here;
mod round_trip;
mod there;

use clap::Args;
use serde::Serialize;

use super::out::{Out, count};
use super::{Context, Exit, Failure};

#[derive(Debug, Args)]
pub(super) struct Asked {
    /// Also send a signed url validation to each app through the public URL, as Zoom does
    ///
    /// Without a value, the public URL of the configuration is taken.
    #[arg(long, value_name = "URL", num_args = 0..=1, default_missing_value = round_trip::AS_CONFIGURED)]
    url: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    Warn,
    Fail,
    Skipped,
}

impl Verdict {
    const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
            Self::Skipped => "skipped",
        }
    }
}

#[derive(Debug, Clone, Serialize)]
struct Check {
    /// Stays from version to version; there may be several of a name.
    name: &'static str,
    verdict: Verdict,
    /// What was found, or why it was skipped.
    found: String,
    /// What to do.
    hint: Option<String>,
}

/// Checks as they are made.
#[derive(Debug, Default, Serialize)]
struct Report {
    checks: Vec<Check>,
}

impl Report {
    fn add(&mut self, name: &'static str, verdict: Verdict, found: impl Into<String>, hint: Option<&str>) {
        self.checks.push(Check { name, verdict, found: found.into(), hint: hint.map(str::to_owned) });
    }

    fn ok(&mut self, name: &'static str, found: impl Into<String>) {
        self.add(name, Verdict::Ok, found, None);
    }

    fn warn(&mut self, name: &'static str, found: impl Into<String>, hint: &str) {
        self.add(name, Verdict::Warn, found, Some(hint));
    }

    fn fail(&mut self, name: &'static str, found: impl Into<String>, hint: &str) {
        self.add(name, Verdict::Fail, found, Some(hint));
    }

    fn skip(&mut self, name: &'static str, why: impl Into<String>) {
        self.add(name, Verdict::Skipped, why, None);
    }
}

const NAMES: [&str; 18] = [
    "configuration",
    "file permissions",
    "master key",
    "token",
    "scopes",
    "API user",
    "co-host option",
    "plan",
    "clock",
    "service",
    "last verified delivery",
    "last url validation",
    "accounts",
    "sweeps",
    "store",
    "public URL",
    "disk",
    "telling others",
];

pub(super) async fn run(context: &Context, asked: &Asked, out: &mut Out) -> Result<Exit, Failure> {
    let mut report = Report::default();
    match context.config() {
        Ok(config) => {
            let (apps, rules) = (count(config.apps.len(), "app", "apps"), count(config.rules.len(), "rule", "rules"));
            report.ok("configuration", format!("{}: {apps}, {rules}", context.path().display()));
            here::permissions(&mut report, &config);
            here::master_key(&mut report, &config);
            there::all(&mut report, &config).await?;
            let remote = here::running(&mut report, &config).await;
            round_trip::all(&mut report, &config, asked.url.as_deref(), remote.as_ref()).await;
            here::disk(&mut report, &config);
            here::telling(&mut report, &config);
        }
        Err(failure) => {
            report.fail("configuration", failure.to_string(), "correct it; `adjutant check-config` says the same");
            NAMES.iter().skip(1).for_each(|name| report.skip(name, "there is no configuration to check with"));
        }
    }
    let failed = report.checks.iter().any(|check| check.verdict == Verdict::Fail);
    if asked.json {
        out.json(&report)?;
    } else {
        tell(&report, out)?;
    }
    Ok(if failed { Exit::Failed } else { Exit::Good })
}

fn tell(report: &Report, out: &mut Out) -> Result<(), Failure> {
    for Check { name, verdict, found, hint } in &report.checks {
        let found = found.replace('\n', "\n                                 ");
        out.line(format!("{:<7}  {name:<22}  {found}", verdict.word()))?;
        if let Some(hint) = hint {
            out.line(format!("{:33}to do: {hint}", ""))?;
        }
    }
    let number_of = |verdict| report.checks.iter().filter(|check| check.verdict == verdict).count();
    let (ok, warn) = (number_of(Verdict::Ok), number_of(Verdict::Warn));
    let (fail, skipped) = (number_of(Verdict::Fail), number_of(Verdict::Skipped));
    out.line(format!("{ok} ok, {warn} to look at, {fail} failed, {skipped} skipped"))
}
