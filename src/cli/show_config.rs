//! `adjutant config`

use super::out::Out;
use super::{Context, Exit, Failure};

pub(super) fn run(context: &Context, json: bool, out: &mut Out) -> Result<Exit, Failure> {
    let effective = context.outline()?.effective;
    if json {
        out.json(&effective)?;
        return Ok(Exit::Good);
    }
    let mut section = "";
    for key in &effective {
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
    Ok(Exit::Good)
}
