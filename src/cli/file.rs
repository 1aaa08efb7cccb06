//! A file of rows: how it is read, and how far the work with it is.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Read as _};
use std::path::Path;

use super::out::{Out, count};
use super::rows::{self, Columns, Line};
use super::store::{Bar, bar};
use super::{Exit, Failure};

const BYTES_MAX: u64 = 64 << 20;
/// Rows between two lines that say how far it is.
const PACE: usize = 100;

/// The rows of a file, or of standard input where that is `-`.
pub(super) fn read(path: &Path, columns: &Columns) -> Result<Vec<Line>, Failure> {
    let shown = path.display();
    let failed = |error: std::io::Error| Failure::new(Exit::Io, format!("cannot read {shown}: {error}"));
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        std::io::stdin().lock().take(BYTES_MAX).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).map_err(failed)?.take(BYTES_MAX).read_to_end(&mut bytes)
    };
    let read = read.map_err(failed)?;
    if u64::try_from(read).unwrap_or(u64::MAX) >= BYTES_MAX {
        return Err(Failure::new(Exit::Failed, format!("{shown} is longer than {BYTES_MAX} bytes: part it")));
    }
    let lines = rows::text(bytes).and_then(|text| rows::read(&text, columns));
    lines.map_err(|why| Failure::new(Exit::Failed, format!("{shown}: {why}. nothing was asked for")))
}

/// How far it is: a bar on a terminal, and else a line now and then.
pub(super) struct Shown {
    bar: Option<Bar>,
    what: &'static str,
    said: usize,
}

impl Shown {
    /// What is being done, and what was done, as in `looked at`.
    pub(super) fn new((doing, done): (&'static str, &'static str), is_silent: bool) -> Self {
        Self { bar: (!is_silent).then(|| bar(doing, "rows")), what: done, said: 0 }
    }

    pub(super) fn tell(&mut self, (done, of): (usize, usize), out: &mut Out) -> Result<(), Failure> {
        let Some(bar) = &self.bar else { return Ok(()) };
        if std::io::stderr().is_terminal() {
            let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
            bar.tell(number(done), number(of));
            return Ok(());
        }
        if done < of && done.saturating_sub(self.said) < PACE {
            return Ok(());
        }
        self.said = done;
        out.line(format!("{} {done} of {}", self.what, count(of, "row", "rows")))?;
        out.flush()
    }
}

/// How many rows came to what, as in `3 rows: 2 added, 1 refused`.
pub(super) fn counts<'a>(states: impl ExactSizeIterator<Item = &'a str>) -> String {
    let rows = count(states.len(), "row", "rows");
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for state in states {
        let of = counts.entry(state).or_default();
        *of = of.saturating_add(1);
    }
    let counts: Vec<String> = counts.into_iter().map(|(state, count)| format!("{count} {state}")).collect();
    format!("{rows}: {}", counts.join(", "))
}
