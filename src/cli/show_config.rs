//! `adjutant config`

use clap::{Args, Subcommand};

use super::exit::warn;
use super::out::Out;
use super::remote::Remote;
use super::{Context, Exit, Failure};
use crate::config::{self, Admin, Effective};
use crate::web::admin::DifferenceView;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Asked {
    #[command(subcommand)]
    what: Option<What>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Print the JSON Schema of the configuration, for editors
    Schema {
        /// Of a file of rules
        #[arg(long)]
        rules: bool,
    },
}

pub(super) async fn run(context: &Context, asked: &Asked, out: &mut Out) -> Result<Exit, Failure> {
    if let Some(What::Schema { rules }) = asked.what {
        out.json(&config::schema(rules))?;
        return Ok(Exit::Good);
    }
    let outline = context.outline()?;
    if asked.json {
        out.json(&outline.effective)?;
    } else {
        show(&outline.effective, out)?;
    }
    out.flush()?;
    tell_difference(&outline.admin).await;
    Ok(Exit::Good)
}

/// What of the files the running service does not do, if one answers. On standard error: it is no part of the answer.
pub(super) async fn tell_difference(admin: &Admin) {
    let Ok(service) = Remote::running(admin).and_then(Remote::impatient) else { return };
    match service.get::<DifferenceView>("/v1/reload", &[]).await {
        Ok(DifferenceView { needs_reload, needs_restart }) => {
            for (keys, until) in [(needs_reload, "`adjutant reload`"), (needs_restart, "a restart")] {
                if !keys.is_empty() {
                    warn(&format!("the running service has it otherwise until {until}: {}", keys.join(", ")));
                }
            }
        }
        Err(failure) if failure.exit == Exit::Usage => warn(&format!("the running service cannot read it: {failure}")),
        // None runs, or none that may be asked.
        Err(_) => {}
    }
}

fn show(effective: &[Effective], out: &mut Out) -> Result<(), Failure> {
    let mut section = "";
    for key in effective {
        let Some(value) = &key.value else { continue };
        if section != key.section {
            if !section.is_empty() {
                out.line("")?;
            }
            out.line(&key.section)?;
            section = &key.section;
        }
        out.line(format!("{} = {value}  # {}", key.key, key.from))?;
    }
    Ok(())
}
