//! What is wrong with a configuration, and where: file, line and column with a caret, or the environment variable.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

/// Where a value, or its absence, is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Bytes of the file.
    File(Range<usize>),
    /// An environment variable.
    Env(String),
    /// The configuration as a whole.
    Whole,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub place: Place,
    /// What is wrong, without a full stop. Never holds a secret.
    pub what: String,
    /// What was expected, or what to do.
    pub help: String,
}

/// All that is wrong with a configuration. Its text never holds a secret: the lines that it quotes are masked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    path: PathBuf,
    text: String,
    problems: Vec<Problem>,
}

impl Invalid {
    pub(super) fn new(path: PathBuf, text: String, mut problems: Vec<Problem>) -> Self {
        // In the order of the file; the environment and the whole after it.
        problems.sort_by_key(|problem| match &problem.place {
            Place::File(span) => (0, span.start),
            Place::Env(_) => (1, 0),
            Place::Whole => (2, 0),
        });
        problems.dedup();
        Self { path, text, problems }
    }

    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl std::error::Error for Invalid {}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        for (n, problem) in self.problems.iter().enumerate() {
            if n > 0 {
                f.write_str("\n\n")?;
            }
            write!(f, "error: {}", problem.what)?;
            match &problem.place {
                Place::File(span) => {
                    let spot = Spot::of(&self.text, span);
                    let (line, column) = (spot.line, spot.column);
                    let gutter = " ".repeat(line.to_string().len());
                    write!(f, "\n{gutter}--> {path}:{line}:{column}\n{gutter} |\n{line} | {}\n", spot.shown)?;
                    let caret = format!("{}{}", " ".repeat(column.saturating_sub(1)), "^".repeat(spot.width));
                    write!(f, "{gutter} | {caret} {}", problem.help)?;
                }
                Place::Env(name) => write!(f, "\n--> environment variable {name}\n = {}", problem.help)?,
                Place::Whole => write!(f, "\n--> {path}\n = {}", problem.help)?,
            }
        }
        Ok(())
    }
}

/// A span as a person counts it: from 1, in characters.
struct Spot<'a> {
    line: usize,
    column: usize,
    width: usize,
    shown: std::borrow::Cow<'a, str>,
}

impl<'a> Spot<'a> {
    fn of(text: &'a str, span: &Range<usize>) -> Self {
        let start = span.start.min(text.len());
        let before = text.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at.saturating_add(1));
        let whole = text.get(line_start..).unwrap_or_default().lines().next().unwrap_or_default();
        let line = before.matches('\n').count().saturating_add(1);
        let column = text.get(line_start..start).unwrap_or_default().chars().count().saturating_add(1);
        let shown = mask(before.get(..line_start).unwrap_or_default(), whole);
        let end = span.end.min(line_start.saturating_add(whole.len())).max(start);
        let spanned = text.get(start..end).unwrap_or_default().chars().count();
        let room = shown.chars().count().saturating_sub(column.saturating_sub(1));
        Self { line, column, width: spanned.min(room).max(1), shown }
    }
}

/// A line as it may be shown: a secret's value is left out.
fn mask<'a>(before: &str, line: &'a str) -> std::borrow::Cow<'a, str> {
    let names_secret = |text: &str| {
        let key = text.split(['=', '#']).next().unwrap_or_default().trim();
        key.contains("secret") && !key.ends_with("_file") && !key.contains('[')
    };
    let key = match line.split_once('=') {
        Some((key, _)) if names_secret(line) => return format!("{key}= …").into(),
        // A line without a key goes on with the value of the last key.
        None if !line.trim_start().starts_with('[') => before.lines().rev().find(|line| line.contains('=')),
        _ => None,
    };
    if key.is_some_and(names_secret) { "…".into() } else { line.into() }
}

/// The name of `known` that somebody who wrote `word` probably meant.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let scored = known.into_iter().map(|name| (distance(&word.to_lowercase(), &name.to_lowercase()), name));
    let best = scored.min_by_key(|(distance, _)| *distance)?;
    (best.0 <= word.chars().count().div_ceil(3).max(1)).then_some(best.1)
}

/// The number of letters to insert, drop or change (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.chars().enumerate() {
        let mut next = vec![i.saturating_add(1)];
        for (other, (above_left, above)) in b.iter().zip(row.iter().zip(row.iter().skip(1))) {
            let left = next.last().copied().unwrap_or(0);
            let change = above_left.saturating_add(usize::from(*other != letter));
            next.push(change.min(above.saturating_add(1)).min(left.saturating_add(1)));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_one_that_a_slip_of_the_finger_explains() {
        assert_eq!(nearest("listn", ["url", "listen"]), Some("listen"));
        assert_eq!(nearest("LISTEN", ["url", "listen"]), Some("listen"));
        assert_eq!(nearest("colour", ["url", "listen"]), None);
    }

    #[test]
    fn a_secret_is_left_out_of_a_quoted_line() {
        assert_eq!(mask("", "client_secret = \"abc"), "client_secret = …");
        assert_eq!(mask("webhook_secrets = [\n", "  \"abc\","), "…");
        assert_eq!(mask("", "client_secret_file = \"abc\""), "client_secret_file = \"abc\"");
        assert_eq!(mask("client_secret = \"abc\"\n", "[[app.account]]"), "[[app.account]]");
    }
}
