//! A plan that a person applies. Each change becomes a job, which judges again and does only what the plan says.

use std::sync::Arc;

use super::{Parts, Roster};
use crate::account::Account;
use crate::ids::{AccountId, RuleName};
use crate::job::{Planned, Subject};
use crate::rules::Mode;
use crate::store::{Applied, AppliedChange};
use crate::work::{AppliedAccount, AppliedRule, PlannedAccount, SavedPlan};

/// Changes that are asked for in one write. Whoever is cut off in between applies the plan again: what is done by then is
/// found right.
const CHANGES_MAX: usize = 300;

/// Asks for all that the plan would change, or, for a check, says what that would be. An error means that nothing was asked
/// for, unless the store failed on the way.
pub async fn apply(parts: &Parts, plan: &SavedPlan, by: &str, is_check: bool) -> Result<Vec<AppliedAccount>, String> {
    let (roster, now) = (Arc::clone(&parts.roster.borrow()), parts.clock.now());
    if let Some(why) = plan.refused(&roster.hashes(), now) {
        return Err(why);
    }
    let mut meant = Vec::new();
    for planned in &plan.accounts {
        meant.push(changes(&roster, plan, planned)?);
    }
    let mut applied = Vec::new();
    for (account, mut one, changes) in meant {
        let asked = if is_check { &[][..] } else { &changes[..] };
        for some in asked.chunks(CHANGES_MAX) {
            let (app, account) = (account.app.clone(), account.id.clone());
            let by = format!("{by}, of the plan {}", plan.hash.get(..12).unwrap_or_default());
            let asked = Applied { app, account, changes: some.to_vec(), by };
            for job in parts.store.apply_plan(asked, now).await.map_err(|error| error.to_string())? {
                match job {
                    Some(job) => one.jobs.push(job.to_string()),
                    None => one.left = one.left.saturating_add(1),
                }
            }
        }
        applied.push(one);
    }
    Ok(applied)
}

/// What the plan wants in one account. A rule that observes by now changes nothing.
fn changes<'r>(
    roster: &'r Roster,
    plan: &SavedPlan,
    planned: &PlannedAccount,
) -> Result<(&'r Account, AppliedAccount, Vec<AppliedChange>), String> {
    let account = AccountId::parse(&planned.account).ok().and_then(|id| roster.by_id(&id));
    let account = account.ok_or_else(|| format!("account {} of the plan is not served any more", planned.account))?;
    let mut one = AppliedAccount { account: planned.account.clone(), ..AppliedAccount::default() };
    let mut changes = Vec::new();
    for of_rule in &planned.rules {
        let name = RuleName::parse(&of_rule.rule).ok().filter(|name| plan.rules.contains_key(name));
        let rule = roster.rules_of(account).iter().find(|rule| name.as_ref() == Some(&rule.name));
        let rule = rule.ok_or_else(|| format!("the plan does not say what rule {} was", of_rule.rule))?;
        let observes = rule.mode == Mode::Observe;
        let count = u64::try_from(of_rule.changes.len()).unwrap_or(u64::MAX);
        one.rules.push(AppliedRule { rule: of_rule.rule.clone(), changes: count, observes });
        for change in of_rule.changes.iter().filter(|_| !observes) {
            let subject = Subject::read(&change.subject);
            let subject = subject.ok_or_else(|| format!("nobody is called {:?}", change.subject))?;
            let planned = Planned { hash: change.hash(rule), until: plan.good_until() };
            changes.push(AppliedChange { rule: rule.name.clone(), subject, on: rule.on_print(), planned });
        }
    }
    Ok((account, one, changes))
}
