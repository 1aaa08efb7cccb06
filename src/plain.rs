//! Text that steers nothing that shows it: names come from strangers.

/// A text as a terminal may be given it, over as many lines as it has.
pub fn clean(text: &str) -> String {
    text.chars().map(|c| if steers(c) { '\u{fffd}' } else { c }).collect()
}

/// The same on one line, and no longer than so many characters.
pub fn one_line(text: &str, chars_max: usize) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut line = clean(&words);
    if let Some((end, _)) = line.char_indices().nth(chars_max) {
        line.truncate(end);
        line.push('…');
    }
    line
}

/// Whether a terminal obeys it, rather than showing it.
pub fn steers(c: char) -> bool {
    let is_bidirectional =
        matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    is_bidirectional || (c.is_control() && c != '\n')
}
