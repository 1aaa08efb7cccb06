//! From text to the crate's tree, with the caps that keep its parser, and what comes after it, within bounds.

use std::collections::BTreeMap;
use std::ops::Range;

use cel::common::ast::{IdedExpr, SourceInfo};

use super::ConditionError;

/// Bytes of a condition. A chain of calls or operators uses two bytes a link and one level of the stack.
pub(super) const BYTES_MAX: usize = 1000;
/// Brackets within brackets. The crate's parser has a cap of its own, and uses up a thread's stack before it is reached.
pub(super) const NESTING_MAX: usize = 12;

/// A parsed condition.
pub(super) struct Parsed {
    pub(super) root: IdedExpr,
    pub(super) places: SourceInfo,
    /// For each bracket that opens, where its counterpart is.
    pub(super) brackets: BTreeMap<usize, usize>,
}

pub(super) fn parse(text: &str) -> Result<Parsed, ConditionError> {
    if text.trim().is_empty() {
        return Err(ConditionError::new(0..text.len(), "it is empty", "expected a condition, as in user.type == 2"));
    }
    if text.len() > BYTES_MAX {
        let what = format!("it is {} bytes long", text.len());
        return Err(ConditionError::new(0..text.len(), what, format!("expected {BYTES_MAX} bytes or less")));
    }
    let brackets = brackets(text)?;
    // Without the standard macros, `exists` and its like stay the calls that they are written as.
    let parser = cel::Env::default().with_optional_support(false).parser();
    match parser.parse_with_source_info(text) {
        Ok((root, places)) => Ok(Parsed { root, places, brackets }),
        Err(errors) => Err(errors.errors.first().map_or_else(
            || ConditionError::new(0..text.len(), "it cannot be read", "expected a condition in CEL"),
            |error| in_words(text, error.pos, &error.msg),
        )),
    }
}

/// The pairs of brackets outside of texts and comments.
fn brackets(text: &str) -> Result<BTreeMap<usize, usize>, ConditionError> {
    let (mut pairs, mut open) = (BTreeMap::new(), Vec::new());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let at = text.len().saturating_sub(rest.len());
        let mut length = c.len_utf8();
        match c {
            '(' | '[' | '{' => {
                open.push((at, c));
                if open.len() > NESTING_MAX {
                    let what = format!("brackets are nested more than {NESTING_MAX} deep");
                    return Err(ConditionError::new(at..at.saturating_add(1), what, "expected a simpler condition"));
                }
            }
            ')' | ']' | '}' => match open.pop() {
                Some((start, '(')) if c == ')' => drop(pairs.insert(start, at)),
                Some((start, '[')) if c == ']' => drop(pairs.insert(start, at)),
                Some((start, '{')) if c == '}' => drop(pairs.insert(start, at)),
                _ => {
                    let what = format!("{c} closes nothing");
                    return Err(ConditionError::new(at..at.saturating_add(1), what, "expected it to be opened before"));
                }
            },
            '/' if rest.starts_with("//") => length = rest.find('\n').unwrap_or(rest.len()),
            '"' | '\'' => {
                let Some(found) = literal(rest, is_raw(text, at)) else {
                    let help = format!("expected {c} at the end of the text");
                    return Err(ConditionError::new(at..text.len(), "a text does not end", help));
                };
                length = found;
            }
            _ => {}
        }
        rest = rest.get(length..).unwrap_or_default();
    }
    match open.pop() {
        Some((at, c)) => {
            let what = format!("{c} is not closed");
            Err(ConditionError::new(at..at.saturating_add(1), what, "expected its counterpart"))
        }
        None => Ok(pairs),
    }
}

/// Whether the text that begins here is written as in `r"\d"`.
fn is_raw(text: &str, at: usize) -> bool {
    let before = text.get(..at).unwrap_or_default();
    let prefix = before.trim_end_matches(['r', 'R', 'b', 'B']);
    let is_name = prefix.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    !is_name && before.get(prefix.len()..).unwrap_or_default().contains(['r', 'R'])
}

/// The length of the text that begins here, with its quotes.
fn literal(rest: &str, raw: bool) -> Option<usize> {
    let quote = rest.get(..1)?;
    let triple = quote.repeat(3);
    let close = if rest.starts_with(&triple) { triple.as_str() } else { quote };
    let mut at = close.len();
    loop {
        let left = rest.get(at..)?;
        if left.starts_with(close) {
            return Some(at.saturating_add(close.len()));
        }
        let c = left.chars().next().filter(|c| close.len() > 1 || *c != '\n')?;
        let escaped = if c == '\\' && !raw { left.chars().nth(1).map_or(0, char::len_utf8) } else { 0 };
        at = at.saturating_add(c.len_utf8()).saturating_add(escaped);
    }
}

/// The crate's message speaks of tokens of its grammar; ours of what a person wrote.
fn in_words(text: &str, (line, column): (isize, isize), message: &str) -> ConditionError {
    let (line, column) = (usize::try_from(line).unwrap_or(1), usize::try_from(column).unwrap_or(1));
    let lines = text.split_inclusive('\n').map(str::len);
    let above: usize = lines.take(line.saturating_sub(1)).sum();
    let below = text.get(above..).unwrap_or_default();
    let at = below.char_indices().nth(column.saturating_sub(1)).map_or(text.len(), |(at, _)| above.saturating_add(at));
    let rest = text.get(at..).unwrap_or_default();
    let word: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    let sign: String = rest.chars().take_while(|c| "=<>!&|".contains(*c)).collect();
    let one = || rest.chars().next().map(String::from).unwrap_or_default();
    let token = [word, sign].into_iter().find(|token| !token.is_empty()).unwrap_or_else(one);
    let span = at..at.saturating_add(token.len());
    if message.starts_with("reserved identifier") {
        return ConditionError::new(span, format!("{token} is a reserved word"), "expected another name");
    }
    if message.starts_with("invalid int")
        || message.starts_with("invalid uint")
        || message.starts_with("invalid double")
    {
        return ConditionError::new(span, "a number is too large", "expected one of 64 bits");
    }
    if token.is_empty() {
        return ConditionError::new(span, "the condition ends too early", "expected a value or a name after it");
    }
    let before = text.get(..at).unwrap_or_default().trim_end();
    for (word, sign) in [("and", "&&"), ("or", "||")] {
        if token == word {
            return ConditionError::new(span, format!("{word} is no operator"), format!("expected {sign}"));
        }
    }
    if before.ends_with("not") {
        return ConditionError::new(span, "not is no operator", "expected !");
    }
    if token == "=" || token == "=!" {
        return ConditionError::new(span, format!("{token} does not compare"), "expected == or !=");
    }
    if token == "&" || token == "|" {
        return ConditionError::new(span, format!("{token} is no operator"), format!("expected {token}{token}"));
    }
    if message.contains("unsupported syntax") {
        return ConditionError::new(
            span,
            format!("{token} is not part of the language"),
            "expected plain field access",
        );
    }
    ConditionError::new(span, format!("{token} is not expected here"), "expected the condition to go on or to end")
}

/// The bytes of a token, as the crate counts them.
pub(super) fn span_of(places: &SourceInfo, id: u64) -> Range<usize> {
    let (start, stop) = places.offset_for(id).unwrap_or_default();
    let byte = |at: u32| usize::try_from(at).unwrap_or(usize::MAX);
    byte(start)..byte(stop).saturating_add(1)
}
