//! `adjutant check-config`

use super::out::{Out, count};
use super::{Context, Exit, Failure};
use crate::rules::Mode;

pub(super) fn run(context: &Context, out: &mut Out) -> Result<Exit, Failure> {
    let config = context.config()?;
    let enforced = config.rules.iter().filter(|rule| rule.mode == Mode::Enforce).count();
    out.line(format!(
        "{} is good: {}, {}, {} ({enforced} enforced, {} observed)",
        context.path().display(),
        count(config.apps.len(), "app", "apps"),
        count(config.accounts().count(), "account", "accounts"),
        count(config.rules.len(), "rule", "rules"),
        config.rules.len().saturating_sub(enforced),
    ))?;
    if config.rules.is_empty() {
        out.line("note: there is no [[rule]]: deliveries are stored and recorded, and nothing is done about them")?;
    } else if enforced == 0 {
        out.line("note: no rule has mode = \"enforce\": what they would change is recorded, and nothing is changed")?;
    }
    Ok(Exit::Good)
}
