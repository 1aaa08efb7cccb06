//! `adjutant rules plan`

use std::io::Write as _;

use super::{Out, Plan};
use crate::cli::out::count;
use crate::cli::remote::Remote;
use crate::cli::{Context, Exit, Failure};
use crate::work::{PlannedAccount, PlannedRule};

pub(super) async fn run(context: &Context, asked: Plan, out: &mut Out) -> Result<Exit, Failure> {
    let remote = Remote::running(&context.outline()?)?.patient()?;
    let query = [("account", asked.account), ("rule", asked.rule)];
    let query: Vec<_> = query.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
    let planned: Vec<PlannedAccount> = remote.get("/v1/plan", &query).await?;
    if let Some(file) = &asked.out {
        let failed =
            |error: &dyn std::fmt::Display| Failure::new(Exit::Io, format!("cannot write {}: {error}", file.display()));
        let text = serde_json::to_string_pretty(&planned).map_err(|error| failed(&error))?;
        std::fs::File::create(file).and_then(|mut file| file.write_all(text.as_bytes())).map_err(|e| failed(&e))?;
    }
    if asked.json {
        out.json(&planned)?;
        return Ok(Exit::Good);
    }
    for account in &planned {
        show(account, out)?;
    }
    Ok(Exit::Good)
}

fn show(account: &PlannedAccount, out: &mut Out) -> Result<(), Failure> {
    out.line(format!("account {}, {}", account.account, count(account.users, "user", "users")))?;
    for rule in &account.rules {
        out.line("")?;
        show_rule(rule, out)?;
    }
    let cost = account.cost;
    out.line("")?;
    out.line(format!(
        "all changes together: {} light, {} medium and {} heavy calls, about {} min. meetings are not planned",
        cost.light,
        cost.medium,
        cost.heavy,
        account.secs.div_ceil(60),
    ))
}

fn show_rule(rule: &PlannedRule, out: &mut Out) -> Result<(), Failure> {
    let changes = count(rule.changes.len(), "user", "users");
    let would = if rule.is_enforced { "to be changed" } else { "would be changed, but the rule observes" };
    out.line(format!("{}: {changes} {would}", rule.rule))?;
    for change in &rule.changes {
        for one in &change.differences {
            out.line(format!("  {}: {} {} -> {}", change.subject, one.about, one.is, one.wanted))?;
        }
        out.line(format!("    {}", change.calls.join("; ")))?;
    }
    for (reason, users) in &rule.others {
        out.line(format!("  {}: {reason}", count(*users, "user", "users")))?;
    }
    Ok(())
}
