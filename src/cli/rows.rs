//! Rows of a file: CSV with a header, or a line of JSON for each. Pure.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::rules::nearest;

pub(super) type Row = Map<String, Value>;

/// What rows say.
pub(super) struct Columns {
    pub(super) all: &'static [&'static str],
    /// A header without one of these is none.
    pub(super) needed: &'static [&'static str],
    /// What tells a row from others, each with what is said of another that has the same: `asks for jill@x.example as well`.
    pub(super) known_by: fn(&Row) -> Vec<(String, String)>,
}

/// One row: its line in the file, and what is asked for, or what is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) number: u64,
    pub(super) row: Result<Row, String>,
}

/// The rows of a file: JSON where it begins as such. An error is about the file as a whole.
pub(super) fn read(text: &str, columns: &Columns) -> Result<Vec<Line>, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let rows = match text.trim_start().chars().next() {
        None => return Err("the file is empty".to_owned()),
        Some('{') => json_lines(text),
        Some('[') => {
            return Err("it is a JSON array: give a line of JSON for each, or CSV with a header".to_owned());
        }
        Some(_) => csv(text, columns)?,
    };
    if rows.is_empty() { Err("the file has a header and no rows".to_owned()) } else { Ok(each_once(rows, columns)) }
}

/// The text of a file.
pub(super) fn text(bytes: Vec<u8>) -> Result<String, String> {
    String::from_utf8(bytes).map_err(|error| {
        let good = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let line = good.split(|byte| *byte == b'\n').count();
        format!("line {line} is not UTF-8: save the file as UTF-8 (in a spreadsheet, \"CSV UTF-8\")")
    })
}

/// What is named twice is asked for once.
fn each_once(mut rows: Vec<Line>, columns: &Columns) -> Vec<Line> {
    let mut seen: HashMap<String, u64> = HashMap::new();
    for Line { number, row } in &mut rows {
        let Ok(fields) = row else { continue };
        let names = (columns.known_by)(fields);
        match names.iter().find_map(|(name, said)| Some((seen.get(name)?, said))) {
            Some((before, said)) => *row = Err(format!("line {before} {said}")),
            None => seen.extend(names.into_iter().map(|(name, _)| (name, *number))),
        }
    }
    rows
}

fn json_lines(text: &str) -> Vec<Line> {
    let lines = text.lines().zip(1_u64..).filter(|(line, _)| !line.trim().is_empty());
    let row = |line: &str| match serde_json::from_str::<Value>(line) {
        Ok(Value::Object(row)) => Ok(row),
        Ok(_) => Err("no JSON object".to_owned()),
        Err(error) => Err(format!("no JSON: {error}")),
    };
    lines.map(|(line, number)| Line { number, row: row(line) }).collect()
}

fn csv(text: &str, known: &Columns) -> Result<Vec<Line>, String> {
    if let Some(line) = unclosed(text) {
        return Err(format!("a quote that begins on line {line} is never closed"));
    }
    let mut reader = ::csv::ReaderBuilder::new().flexible(true).trim(::csv::Trim::All).from_reader(text.as_bytes());
    let header = reader.headers().map_err(|error| format!("the header cannot be read: {error}"))?.clone();
    let columns: Vec<String> = header.iter().map(str::to_ascii_lowercase).collect();
    if let [one] = columns.as_slice()
        && let Some(part) =
            [(';', "semicolons"), ('\t', "tabs"), ('|', "bars")].into_iter().find(|(c, _)| one.contains(*c))
    {
        return Err(format!("its columns are separated by {}: separate them with commas", part.1));
    }
    for (place, column) in columns.iter().enumerate() {
        if !known.all.contains(&column.as_str()) {
            let near = nearest(column, known.all.iter().copied());
            let help = near
                .map_or_else(|| format!("expected {}", known.all.join(", ")), |near| format!("did you mean {near}?"));
            return Err(format!("the header has no column named {column:?}: {help}"));
        }
        if columns.iter().take(place).any(|before| before == column) {
            return Err(format!("the header names {column} twice"));
        }
    }
    if let Some(missing) = known.needed.iter().find(|needed| !columns.iter().any(|column| column == *needed)) {
        return Err(format!("the header has no column {missing}: the first line names the columns"));
    }
    let mut lines = Vec::new();
    for record in reader.records() {
        lines.push(match record {
            Ok(record) => {
                let number = record.position().map_or(0, |position| line_of(position, text));
                Line { number, row: one(&columns, &record) }
            }
            Err(error) => {
                let number = error.position().map_or(0, ::csv::Position::line);
                Line { number, row: Err(error.to_string()) }
            }
        });
    }
    Ok(lines)
}

/// Where a quoted cell begins that does not end: it would swallow all that comes after.
fn unclosed(text: &str) -> Option<u64> {
    let (mut line, mut began, mut is_start) = (1_u64, None, true);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, began) {
            ('"', None) if is_start => began = Some(line),
            ('"', Some(_)) if chars.peek() == Some(&'"') => drop(chars.next()),
            ('"', Some(_)) => began = None,
            _ => {}
        }
        is_start = began.is_none() && (matches!(c, ',' | '\n' | '\r') || (is_start && c != '"' && c.is_whitespace()));
        line = line.saturating_add(u64::from(c == '\n'));
    }
    began
}

/// Where a record begins: the reader counts empty lines before it as its own.
fn line_of(position: &::csv::Position, text: &str) -> u64 {
    let from = usize::try_from(position.byte()).unwrap_or(usize::MAX);
    let left = text.as_bytes().get(from..).unwrap_or_default();
    let ends = left.iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).filter(|byte| **byte == b'\n').count();
    position.line().saturating_add(u64::try_from(ends).unwrap_or(0))
}

/// An empty cell says nothing.
fn one(columns: &[String], record: &::csv::StringRecord) -> Result<Row, String> {
    if record.len() != columns.len() {
        return Err(format!("{} cells, and the header has {}", record.len(), columns.len()));
    }
    let cells = columns.iter().zip(record).filter(|(_, cell)| !cell.is_empty());
    let value = |column: &str, cell: &str| match column {
        "groups" => cell.split(';').map(str::trim).filter(|group| !group.is_empty()).collect(),
        "licence" => cell.to_ascii_lowercase().into(),
        _ => Value::from(cell),
    };
    Ok(cells.map(|(column, cell)| (column.clone(), value(column, cell))).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::users::onboard::COLUMNS;

    fn rows(text: &str) -> Vec<(u64, Result<Value, String>)> {
        read(text, &COLUMNS).unwrap().into_iter().map(|line| (line.number, line.row.map(Value::Object))).collect()
    }

    #[test]
    fn a_csv_is_read_by_its_header_with_the_line_of_each_row() {
        let text = "\u{feff}Email, first_name,licence ,groups\n\
                    jill@x.example,Jill,Licensed,Staff; Maths\n\
                    \"kim@x.example\",\"Kim \"\"K\"\" O'Neil\",,\n\
                    lee@x.example,Lee\n\
                    \n\
                    \"mia@x.example\",\"two\nlines\",basic,\n\
                    zoe@x.example,,,\n";
        assert_eq!(
            rows(text),
            [
                (
                    2,
                    Ok(
                        json!({ "email": "jill@x.example", "first_name": "Jill", "licence": "licensed", "groups": ["Staff", "Maths"] })
                    )
                ),
                (3, Ok(json!({ "email": "kim@x.example", "first_name": "Kim \"K\" O'Neil" }))),
                (4, Err("2 cells, and the header has 4".to_owned())),
                (6, Ok(json!({ "email": "mia@x.example", "first_name": "two\nlines", "licence": "basic" }))),
                (8, Ok(json!({ "email": "zoe@x.example" }))),
            ]
        );
    }

    #[test]
    fn a_header_that_is_none_is_told_with_the_nearest_column() {
        for (text, said) in [
            ("email,fist_name\n", "no column named \"fist_name\": did you mean first_name?"),
            ("email,shoe_size_in_inches\n", "expected email, first_name"),
            ("first_name\nJill\n", "no column email"),
            ("email,email\n", "names email twice"),
            ("jill@x.example,Jill\n", "no column named \"jill@x.example\""),
            ("email\n", "no rows"),
            ("", "empty"),
            ("[{}]", "JSON array"),
        ] {
            let error = read(text, &COLUMNS).unwrap_err();
            assert!(error.contains(said), "{text:?}: {error}");
        }
    }

    #[test]
    fn lines_of_json_are_rows_and_those_that_are_none_are_told_by_their_line() {
        let read = rows("{\"email\":\"a@x.example\"}\n\n{\"email\":\n7\n");
        assert_eq!(
            read.iter().map(|(number, row)| (*number, row.is_ok())).collect::<Vec<_>>(),
            [(1, true), (3, false), (4, false)]
        );
    }

    #[test]
    fn a_file_that_is_not_as_it_looks_is_refused_with_the_line_where_that_begins() {
        for (file, said) in [
            (
                &b"email,first_name\njill@x.example,\"Jill\nkim@x.example,Kim\n"[..],
                "a quote that begins on line 2 is never closed",
            ),
            (b"email;first_name\njill@x.example;Jill\n", "separated by semicolons: separate them with commas"),
            (b"email\tfirst_name\n", "separated by tabs"),
            (
                b"email,first_name\njill@x.example,Jill\nzoe@x.example,Zo\xeb\n",
                "line 3 is not UTF-8: save the file as UTF-8",
            ),
        ] {
            let error = text(file.to_vec()).and_then(|text| read(&text, &COLUMNS)).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
        let inches = "email,label\njill@x.example,5\" screen\nkim@x.example, \"a \"\"b\"\"\"\n";
        assert_eq!(read(inches, &COLUMNS).unwrap().len(), 2, "a quote within a cell opens nothing");
    }

    #[test]
    fn whoever_is_named_twice_is_told_the_line_of_the_first() {
        let twice = rows("email\njill@x.example\nkim@x.example\nJill@X.example\n");
        assert_eq!(twice[2], (4, Err("line 2 asks for jill@x.example as well".to_owned())));
        let keys = rows("{\"email\":\"a@x.example\",\"key\":\"1\"}\n{\"email\":\"b@x.example\",\"key\":\"1\"}");
        assert_eq!(keys[1], (2, Err("line 1 has the same key".to_owned())));
    }
}
