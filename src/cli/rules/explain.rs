//! `adjutant rules explain`

use super::{Explain, Out};
use crate::cli::remote::Remote;
use crate::cli::{Context, Exit, Failure};
use crate::web::admin::explained::{ExplainView, ExplainedView};

pub(super) async fn run(context: &Context, asked: Explain, out: &mut Out) -> Result<Exit, Failure> {
    let remote = Remote::open(context, asked.place).await?;
    let query = [("subject", asked.subject), ("all", asked.all.to_string())];
    let view: ExplainView = remote.get("/v1/explain", &query).await?;
    remote.close().await?;
    if asked.json {
        out.json(&view)?;
        return Ok(Exit::Good);
    }
    if let Some(delivery) = &view.delivery {
        let event = delivery.event.as_deref().unwrap_or("which cannot be read");
        out.line(format!("{}, {event}, received {}: {}", delivery.id, delivery.received_at, delivery.answer))?;
    }
    if let Some(subject) = &view.subject {
        out.line(subject)?;
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
    Ok(Exit::Good)
}

fn show(rule: &ExplainedView, out: &mut Out) -> Result<(), Failure> {
    let observes = if rule.mode == "observe" { " (observes)" } else { "" };
    out.line(format!("{}{observes}: {}", rule.rule, rule.answer))?;
    let on = (!rule.on.is_empty()).then(|| rule.on.join(", "));
    let mut fields = vec![("  wants", Some(rule.wants.clone())), ("  on", on), ("  when", rule.when.clone())];
    fields.extend(rule.saw.iter().map(|leaf| {
        let facts: Vec<_> = leaf.facts.iter().map(|(name, value)| format!("{name} was {value}")).collect();
        ("  saw", Some(format!("{}: {} ({})", leaf.text, leaf.outcome, facts.join(", "))))
    }));
    fields.push(("  since", rule.since.clone()));
    let entries: Vec<_> = rule.entries.iter().map(ToString::to_string).collect();
    let proof = rule.job.as_ref().map(|job| format!("{job}, audit entries {}", entries.join(" ")));
    fields.push(("  proof", proof));
    out.fields(&fields)
}
