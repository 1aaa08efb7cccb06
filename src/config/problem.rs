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
    /// What is wrong in further files.
    files: Vec<Self>,
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
        Self { path, text, problems, files: Vec::new() }
    }

    pub(super) fn with(self, files: Vec<Self>) -> Self {
        Self { files, ..self }
    }

    /// How much is wrong.
    pub fn count(&self) -> usize {
        self.all().count()
    }

    /// Where something is wrong, without what.
    pub fn places(&self) -> impl Iterator<Item = String> {
        self.all().map(|(file, problem)| {
            let path = file.path.display();
            match &problem.place {
                Place::File(span) => {
                    let At { line, column, .. } = At::of(&file.text, span);
                    format!("{path}:{line}:{column}")
                }
                Place::Env(name) => format!("environment variable {name}"),
                Place::Whole => path.to_string(),
            }
        })
    }

    /// Each problem with the file that it is about.
    fn all(&self) -> Box<dyn Iterator<Item = (&Self, &Problem)> + '_> {
        let own = self.problems.iter().map(move |problem| (self, problem));
        Box::new(own.chain(self.files.iter().flat_map(Self::all)))
    }

    fn tell(&self, problem: &Problem, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        write!(f, "error: {}", problem.what)?;
        match &problem.place {
            Place::File(span) => {
                let (At { line, column, .. }, shown) = spot_of(&self.text, problem, span);
                let gutter = " ".repeat(line.to_string().len());
                write!(f, "\n{gutter}--> {path}:{line}:{column}\n{gutter} |\n{line} | {}\n", shown.text)?;
                let caret = format!("{}{}", " ".repeat(shown.before_caret), "^".repeat(shown.width));
                write!(f, "{gutter} | {caret} {}", problem.help)
            }
            Place::Env(name) => write!(f, "\n--> environment variable {name}\n = {}", problem.help),
            Place::Whole => write!(f, "\n--> {path}\n = {}", problem.help),
        }
    }
}

impl std::error::Error for Invalid {}

/// Problems that a text tells: whoever has more mends these first.
const TOLD_MAX: usize = 50;

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (file, problem)) in self.all().take(TOLD_MAX).enumerate() {
            if n > 0 {
                f.write_str("\n\n")?;
            }
            file.tell(problem, f)?;
        }
        match self.count().saturating_sub(TOLD_MAX) {
            0 => Ok(()),
            more => write!(f, "\n\nand {more} more"),
        }
    }
}

/// What is said of a text that does not parse.
const NOT_TOML: &str = "this is not TOML";

/// The first slip of syntax: what follows it is mostly its echo.
pub(super) fn not_toml(text: &str, error: &toml::de::Error) -> Problem {
    let message = error.message().trim_end();
    let before = text.get(..error.span().map_or(0, |span| span.start)).unwrap_or_default();
    let key = before.rsplit('\n').next().unwrap_or_default().split('=').next().unwrap_or_default();
    let hint =
        if key.trim() == "when" { "; put the condition in single quotes, as in when = 'user.type == 2'" } else { "" };
    Problem {
        place: error.span().map_or(Place::Whole, Place::File),
        what: NOT_TOML.to_owned(),
        help: format!("{message}{hint}"),
    }
}

/// Where a span begins, as a person counts it: from 1, in characters.
struct At {
    line: usize,
    column: usize,
    /// In bytes.
    line_start: usize,
}

impl At {
    fn of(text: &str, span: &Range<usize>) -> Self {
        let start = span.start.min(text.len());
        let before = text.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at.saturating_add(1));
        let line = before.matches('\n').count().saturating_add(1);
        let column = before.get(line_start..).unwrap_or_default().chars().count().saturating_add(1);
        Self { line, column, line_start }
    }
}

fn spot_of(text: &str, problem: &Problem, span: &Range<usize>) -> (At, Shown) {
    let at = At::of(text, span);
    let (above, whole) = (text.get(..at.line_start), text.get(at.line_start..));
    let whole = whole.unwrap_or_default().lines().next().unwrap_or_default();
    let spot = span.start.saturating_sub(at.line_start)..span.end.max(span.start).saturating_sub(at.line_start);
    let shown = shown(above.unwrap_or_default(), whole, &spot, problem.what == NOT_TOML);
    (at, shown)
}

/// A line as it may be shown, and where in it the caret goes, in characters.
#[derive(Debug, PartialEq, Eq)]
struct Shown {
    text: String,
    before_caret: usize,
    width: usize,
}

impl Shown {
    fn cut(kept: &str, spot: &Range<usize>) -> Self {
        let text = format!("{kept}…");
        let chars = |bytes: usize| kept.get(..bytes).unwrap_or(kept).chars().count();
        let (before_caret, end) = (chars(spot.start), chars(spot.end));
        Self { text, before_caret, width: end.saturating_sub(before_caret).max(1) }
    }
}

/// A line without whatever could be a secret: it may stand under a key that is misspelt, within an inline table, or in a
/// line that does not parse. So of a line that is no TOML only the key is shown, and of another the texts are left out, but
/// for the one that is told to be wrong where nothing there is called a secret. Comments are left out, too.
fn shown(above: &str, line: &str, spot: &Range<usize>, broken: bool) -> Shown {
    let within_text = above.matches("\"\"\"").count() % 2 == 1 || above.matches("'''").count() % 2 == 1;
    if within_text {
        return Shown::cut("", spot);
    }
    let is_bare = |c: char| c.is_ascii_alphanumeric() || "_-. \t".contains(c);
    let key = line.split_once('=').map(|(key, _)| key).filter(|key| key.chars().all(is_bare));
    let value_at = key.map_or(0, |key| key.len().saturating_add(1));
    let space = line.get(value_at..).unwrap_or_default().chars().take_while(|c| c.is_whitespace()).count();
    let kept = line.get(..value_at.saturating_add(space)).unwrap_or_default();
    let is_header = line.trim_start().starts_with('[') && !line.contains(['"', '\'', '=']);
    match key {
        Some(key) if broken || names_secret(key) => Shown::cut(kept, spot),
        None if is_header => without_texts(line, spot, false),
        // It goes on with the value of the last key.
        None if above.lines().rev().find(|line| line.contains('=')).is_some_and(names_secret) => Shown::cut("", spot),
        None if broken => {
            let word = line.find(|c| !is_bare(c) || c == ' ').unwrap_or(line.len());
            let kept = line.get(..word).unwrap_or_default();
            if word == line.len() { without_texts(line, spot, true) } else { Shown::cut(&format!("{kept} "), spot) }
        }
        Some(_) | None => without_texts(line, spot, names_secret(line)),
    }
}

/// Whether it has the key of a secret, and not only of a file that holds one. Who has the URL of a notifier can post to it.
fn names_secret(text: &str) -> bool {
    let text = ["secret_file", "secrets_file", "password_file"]
        .iter()
        .fold(text.to_lowercase(), |text, file| text.replace(file, ""));
    let has_url = || text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|word| word == "url");
    text.contains("secret") || text.contains("password") || has_url()
}

/// The line without its comment and without its texts, but for one that is the whole spot, unless all are to go.
fn without_texts(line: &str, spot: &Range<usize>, all: bool) -> Shown {
    let (mut text, mut chars) = (String::new(), line.char_indices());
    let (mut before_caret, mut end) = (None, None);
    while let Some((at, c)) = chars.next() {
        if at >= spot.start {
            before_caret.get_or_insert(text.chars().count());
        }
        if at >= spot.end {
            end.get_or_insert(text.chars().count());
        }
        if c == '#' {
            break;
        }
        if !matches!(c, '"' | '\'') {
            text.push(c);
            continue;
        }
        let rest = line.get(at..).unwrap_or_default();
        let (quote, whole, is_closed) = text_of(rest, c);
        let after = at.saturating_add(whole.len());
        if !all && at <= spot.start && spot.end <= after {
            // The spot may be a part of the text: of a condition.
            let count = |end: usize| line.get(at..end).unwrap_or_default().chars().count();
            let within = spot.start > at;
            if within {
                let shown = text.chars().count();
                before_caret = Some(shown.saturating_add(count(spot.start)));
                end = Some(shown.saturating_add(count(spot.end)));
            }
            text.push_str(whole);
        } else {
            text.push_str(quote);
            text.push('…');
            if is_closed {
                text.push_str(quote);
            }
        }
        while chars.clone().next().is_some_and(|(at, _)| at < after) {
            chars.next();
        }
    }
    let text = text.trim_end().to_owned();
    let count = text.chars().count();
    let before_caret = before_caret.unwrap_or(count);
    let width = end.unwrap_or(count).min(count).saturating_sub(before_caret).max(1);
    Shown { text, before_caret, width }
}

/// The text at the start of `rest`, which begins with a quote `c`: its quotes, one or three; the text with them, as far as
/// the line has it; and whether it ends there.
fn text_of(rest: &str, c: char) -> (&str, &str, bool) {
    let quotes = |at: usize| rest.get(at..).unwrap_or_default().chars().take_while(|next| *next == c).count();
    let quote = rest.get(..if quotes(0) >= 3 { 3 } else { 1 }).unwrap_or(rest);
    let mut escaped = false;
    let close = rest.char_indices().skip(quote.len()).find(|(at, inner)| {
        let closes = !escaped && quotes(*at) >= quote.len();
        escaped = *inner == '\\' && c == '"' && !escaped;
        closes
    });
    let Some((close, _)) = close else { return (quote, rest, false) };
    // A text between three may end in one or two more of its own.
    let end = if quote.len() == 1 { 1 } else { quotes(close).min(5) };
    (quote, rest.get(..close.saturating_add(end)).unwrap_or(rest), true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_left_out_of_a_quoted_line() {
        // What is above, the line, the part of it that is wrong, whether it is no TOML, what is shown.
        let table = [
            ("", r#"client_secret = "abc"#, "abc", true, "client_secret = …"),
            ("", r#"client_secret "abc""#, "\"", true, "client_secret …"),
            ("webhook_secrets = [\n", r#"  "abc==","#, "\"abc==\"", false, "…"),
            ("webhook_secrets = [\n", r#"  "abc=="#, "=", true, "…"),
            ("client_secret = \"\"\"\n", "abc=1", "1", true, "…"),
            ("", r#"client_secert = "abc""#, "client_secert", false, r#"client_secert = "…""#),
            ("", "client_secert = abc", "abc", true, "client_secert = …"),
            (
                "",
                r#"app = [{ client_secret = "abc", knd = 'x' }]"#,
                "knd",
                false,
                r#"app = [{ client_secret = "…", knd = '…' }]"#,
            ),
            ("", r#"app = [{ client_secret = "abc" }]"#, "\"abc\"", false, r#"app = [{ client_secret = "…" }]"#),
            ("", r#"client_secret_file = "abc""#, "\"abc\"", false, r#"client_secret_file = "abc""#),
            ("", r#"url = "https://abc""#, "\"https://abc\"", false, "url = …"),
            ("", r#"notify = [{ url = "abc" }]"#, "\"abc\"", false, r#"notify = [{ url = "…" }]"#),
            ("", r#"password = ["abc"]"#, "\"abc\"", false, "password = …"),
            ("", r#"password_file = "abc""#, "\"abc\"", false, r#"password_file = "abc""#),
            ("", r#"public_url = "abc""#, "\"abc\"", false, r#"public_url = "abc""#),
            ("", r#"plan = "b\"c" # was "abc""#, r#""b\"c""#, false, r#"plan = "b\"c""#),
            ("client_secret = \"abc\"\n", "[[app.account]]", "[[app.account]]", false, "[[app.account]]"),
            ("", r#"client_secert = """a"b"c""""#, "client", false, r#"client_secert = """…""""#),
            ("", "a = '''b'c''', d = '', e = 1", "e", false, "a = '''…''', d = '…', e = 1"),
            ("", "when = '''user.type == 'a' ''' # was b", "'a'", false, "when = '''user.type == 'a' '''"),
        ];
        for (above, line, wrong, broken, expected) in table {
            let start = line.find(wrong).unwrap();
            let found = shown(above, line, &(start..start + wrong.len()), broken);
            assert_eq!(found.text, expected, "{above}{line}");
        }
    }

    #[test]
    fn the_caret_is_below_what_is_wrong_also_behind_what_is_left_out() {
        let line = r#"app = [{ id = "abcdefgh", knd = 1 }]"#;
        let found = shown("", line, &(26..29), false);
        assert_eq!((found.text.as_str(), found.before_caret, found.width), (r#"app = [{ id = "…", knd = 1 }]"#, 19, 3));
    }
}
