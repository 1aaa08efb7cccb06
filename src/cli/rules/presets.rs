//! `adjutant rules presets`: rules that many accounts want, as files to begin with.

use clap::Args;
use serde::Serialize;

use super::Out;
use crate::cli::{Exit, Failure};
use crate::rules::nearest;

/// Name and text of each, in the order in which they are listed.
pub(in crate::cli) const ALL: [(&str, &str); 8] = [
    ("safe-by-default", include_str!("../../../deploy/presets/rules/safe-by-default.toml")),
    ("host-did-not-come", include_str!("../../../deploy/presets/rules/host-did-not-come.toml")),
    ("after-class", include_str!("../../../deploy/presets/rules/after-class.toml")),
    ("attendance", include_str!("../../../deploy/presets/rules/attendance.toml")),
    ("timetable-guard", include_str!("../../../deploy/presets/rules/timetable-guard.toml")),
    ("never-ending", include_str!("../../../deploy/presets/rules/never-ending.toml")),
    ("orphaned", include_str!("../../../deploy/presets/rules/orphaned.toml")),
    ("exposure", include_str!("../../../deploy/presets/rules/exposure.toml")),
];

#[derive(Debug, Args)]
pub(in crate::cli) struct Presets {
    /// Print this one whole: `adjutant rules presets attendance > rules/attendance.toml`
    name: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Preset {
    name: &'static str,
    about: String,
    text: &'static str,
}

impl Preset {
    fn new((name, text): (&'static str, &'static str)) -> Self {
        Self { name, about: about(text), text }
    }
}

/// What its file says first, up to the empty line.
fn about(text: &str) -> String {
    let words = text.lines().map_while(|line| line.strip_prefix("# "));
    words.collect::<Vec<_>>().join(" ")
}

pub(super) fn run(asked: &Presets, out: &mut Out) -> Result<Exit, Failure> {
    let Some(name) = &asked.name else {
        let all = ALL.map(Preset::new);
        if asked.json {
            out.json(&all)?;
            return Ok(Exit::Good);
        }
        for preset in &all {
            out.line(format!("{}\n    {}", preset.name, preset.about))?;
        }
        out.line("")?;
        out.line("print one, and save it where [rules] folder reads: adjutant rules presets NAME > rules/NAME.toml")?;
        return Ok(Exit::Good);
    };
    let Some(preset) = ALL.into_iter().find(|(known, _)| known == name) else {
        let names = || ALL.iter().map(|(known, _)| *known);
        let help = nearest(name, names()).map_or_else(
            || format!("there are {}", names().collect::<Vec<_>>().join(", ")),
            |near| format!("did you mean {near}?"),
        );
        return Err(Failure::new(Exit::Usage, format!("there is no preset {name}: {help}")));
    };
    if asked.json {
        out.json(&Preset::new(preset))?;
    } else {
        preset.1.lines().try_for_each(|line| out.line(line))?;
    }
    Ok(Exit::Good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_preset_says_first_what_it_is_for_and_names_a_rule_after_itself() {
        for (name, text) in ALL {
            let about = about(text);
            assert!(about.ends_with('.') && about.len() > 60, "{name}: {about}");
            let table: toml::Table = text.parse().unwrap();
            let rules = table["rule"].as_array().unwrap();
            let names = rules.iter().map(|rule| rule["name"].as_str().unwrap());
            assert!(names.clone().any(|rule| rule.starts_with(name)), "{name}: {:?}", names.collect::<Vec<_>>());
        }
    }
}
