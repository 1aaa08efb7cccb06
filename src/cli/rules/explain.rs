//! `adjutant rules explain`

use super::{Explain, Out};
use crate::cli::audit::seen;
use crate::cli::remote::Remote;
use crate::cli::show_config::tell_difference;
use crate::cli::{Context, Exit, Failure};
use crate::web::admin::explained::{ExplainView, ExplainedView};

pub(super) async fn run(context: &Context, asked: Explain, out: &mut Out) -> Result<Exit, Failure> {
    // One answer is made of all entries since the subject's first job.
    let remote = if asked.place.offline {
        Remote::open(context, asked.place).await?
    } else {
        let admin = context.admin()?;
        let remote = Remote::running(&admin)?;
        tell_difference(&admin).await;
        remote
    };
    let remote = remote.patient()?;
    let query = [("subject", asked.subject), ("all", asked.all.to_string())];
    let view: ExplainView = remote.get("/v1/explain", &query).await?;
    remote.close().await?;
    let exit = if view.is_known { Exit::Good } else { Exit::Failed };
    if asked.json {
        out.json(&view)?;
        return Ok(exit);
    }
    if let Some(delivery) = &view.delivery {
        let event = delivery.event.as_deref().unwrap_or("which cannot be read");
        out.line(format!("{}, {event}, received {}: {}", delivery.id, delivery.received_at, delivery.answer))?;
    }
    if let Some(subject) = &view.subject {
        out.line(subject)?;
        if !view.is_known {
            out.line(format!("nothing is stored about {subject}"))?;
        }
    }
    for rule in &view.rules {
        out.line("")?;
        show(rule, out)?;
    }
    if view.subject.is_some() && view.rules.is_empty() {
        out.line("no rule is about such a subject")?;
    }
    if let Some(back_to) = &view.looked_back_to
        && view.rules.iter().any(|rule| rule.job.is_none())
    {
        out.line("")?;
        out.line(format!("the audit log was read back to {back_to}; for all of it, add --all"))?;
    }
    Ok(exit)
}

fn show(rule: &ExplainedView, out: &mut Out) -> Result<(), Failure> {
    let observes = if rule.mode == "observe" { " (observes)" } else { "" };
    out.line(format!("{}{observes}: {}", rule.rule, rule.answer))?;
    let on = (!rule.on.is_empty()).then(|| rule.on.join(", "));
    let mut fields = vec![("  wants", Some(rule.wants.clone())), ("  on", on), ("  when", rule.when.clone())];
    fields.extend(rule.saw.iter().map(|saw| ("  saw", Some(seen(saw)))));
    fields.push(("  since", rule.since.clone()));
    fields.push(("  proof", rule.job.as_ref().map(|job| proof(job, &rule.entries))));
    fields.push(("  changed", rule.last_change.as_ref().map(|change| format!("{}: {}", change.at, change.what))));
    fields.push(("  proof", rule.last_change.as_ref().map(|change| proof(&change.job, &change.entries))));
    out.fields(&fields)
}

fn proof(job: &str, entries: &[u64]) -> String {
    let entries: Vec<_> = entries.iter().map(ToString::to_string).collect();
    format!("{job}, audit entries {}", entries.join(" "))
}
