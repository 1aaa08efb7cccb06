//! Standard output: the one way to it, and to a file that is written in its place. A closed pipe ends the command quietly; control characters, and those that make a
//! terminal write from right to left, never reach it: they come from names that strangers chose.

use std::fmt::Write as _;
use std::io::{BufRead as _, ErrorKind, IsTerminal as _, Write};

use serde::Serialize;

use super::{Exit, Failure};
use crate::plain::{clean, steers};

pub(super) struct Out(Box<dyn Write>);

/// Whether what is about to be done has to be shown first, and agreed to.
pub(super) fn has_to_ask(yes: bool, json: bool) -> Result<bool, Failure> {
    if json && !yes {
        return Err(Failure::new(Exit::Usage, "nobody is asked with --json: add --yes"));
    }
    Ok(!yes)
}

impl Out {
    pub(super) fn stdout() -> Self {
        Self(Box::new(std::io::BufWriter::new(std::io::stdout())))
    }

    /// A file in its place.
    pub(super) fn file(file: std::fs::File) -> Self {
        Self(Box::new(std::io::BufWriter::new(file)))
    }

    /// Text with its own ends of lines, from which whatever steers a terminal was taken already.
    pub(super) fn text(&mut self, text: &str) -> Result<(), Failure> {
        self.0.write_all(text.as_bytes()).map_err(|error| failed(&error))
    }

    pub(super) fn line(&mut self, line: impl AsRef<str>) -> Result<(), Failure> {
        writeln!(self.0, "{}", clean(line.as_ref())).map_err(|error| failed(&error))
    }

    /// Text without the end of a line, shown at once: a question.
    pub(super) fn ask(&mut self, text: &str) -> Result<(), Failure> {
        write!(self.0, "{text}").map_err(|error| failed(&error))?;
        self.flush()
    }

    /// Goes on only where the person at the terminal says yes.
    pub(super) fn agree(&mut self, question: &str) -> Result<(), Failure> {
        if !std::io::stdin().is_terminal() {
            let why = "there is no terminal to ask on: add --yes, and nobody is asked; nothing was changed";
            return Err(Failure::new(Exit::Usage, why));
        }
        self.ask(&format!("{question} [y/N] "))?;
        let mut line = String::new();
        let read = std::io::stdin().lock().read_line(&mut line);
        read.map_err(|error| Failure::new(Exit::Io, format!("cannot read the answer: {error}")))?;
        match line.trim() {
            "y" | "yes" => Ok(()),
            _ => Err(Failure::new(Exit::Failed, "nothing was changed")),
        }
    }

    /// One value as JSON, over several lines.
    pub(super) fn json(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        self.line(escaped(&json(serde_json::to_string_pretty(value))?))
    }

    /// One value as JSON, on one line.
    pub(super) fn json_line(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        self.line(escaped(&json(serde_json::to_string(value))?))
    }

    /// Rows under a head, in columns.
    pub(super) fn table(&mut self, head: &[&str], rows: &[Vec<String>]) -> Result<(), Failure> {
        let head: Vec<String> = head.iter().map(|&title| title.to_owned()).collect();
        let all: Vec<&Vec<String>> = std::iter::once(&head).chain(rows).collect();
        let width_of =
            |column: usize| all.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
        let widths: Vec<usize> = (0..head.len()).map(|column| width_of(column).unwrap_or(0)).collect();
        for row in all {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{:width$}", cell.replace('\n', " ")));
            self.line(cells.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        Ok(())
    }

    /// What a command prints of one thing: names and values, those that are none left out.
    pub(super) fn fields(&mut self, fields: &[(&str, Option<String>)]) -> Result<(), Failure> {
        let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, value) in fields {
            if let Some(value) = value {
                // A line of its own would look like another field.
                self.line(format!("{name:width$}  {}", value.replace('\n', " ")))?;
            }
        }
        Ok(())
    }

    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        self.0.flush().map_err(|error| failed(&error))
    }
}

/// JSON that says the same and steers no terminal: such characters stand in its texts alone, and can be written as numbers.
fn escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if steers(c) {
            // Writing to a text cannot fail.
            let _written = write!(text, "\\u{:04x}", u32::from(c));
        } else {
            text.push(c);
        }
    }
    text
}

fn json(text: serde_json::Result<String>) -> Result<String, Failure> {
    text.map_err(|error| Failure::new(Exit::Io, format!("cannot write JSON: {error}")))
}

fn failed(error: &std::io::Error) -> Failure {
    match error.kind() {
        ErrorKind::BrokenPipe => Failure::nobody_reads(),
        _ => Failure::new(Exit::Io, format!("cannot write the output: {error}")),
    }
}

/// A number of things, with its unit: `1 job`, `2 jobs`.
pub(super) fn count(number: impl TryInto<u64>, one: &str, many: &str) -> String {
    let number = number.try_into().unwrap_or(u64::MAX);
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_says_what_was_written_and_steers_no_terminal() {
        let names =
            ["plain\nlines", "left\u{200e}right\u{202e}", "para\u{2029}graph", "\u{1b}[31m\u{9b}\u{7f}", "\\u200e"];
        let text = escaped(&serde_json::to_string(&names).unwrap());
        assert_eq!(clean(&text), text);
        assert!(text.contains(r"left\u200eright\u202e"), "{text}");
        assert_eq!(serde_json::from_str::<Vec<String>>(&text).unwrap(), names);
    }
}
