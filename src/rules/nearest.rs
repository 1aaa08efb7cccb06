//! The name that somebody probably meant: what a message about an unknown one ends with.

/// The name of `known` that somebody who wrote `word` probably meant.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let scored = known.into_iter().map(|name| (distance(&word.to_lowercase(), &name.to_lowercase()), name));
    let best = scored.min_by_key(|(distance, _)| *distance)?;
    (best.0 <= word.chars().count().div_ceil(3).max(1)).then_some(best.1)
}

/// The name of `known` from which `word` is one or two letters away: where others than the known ones may be meant.
pub(crate) fn slip<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let scored = known.into_iter().map(|name| (distance(word, name), name));
    scored
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, _)| (1..=2).contains(distance))
        .map(|(_, name)| name)
}

/// As in `"local", "cloud" or "none"`.
pub(crate) fn alternatives(words: impl IntoIterator<Item = String>) -> String {
    let mut words: Vec<String> = words.into_iter().collect();
    let last = words.pop().unwrap_or_default();
    if words.is_empty() { last } else { format!("{} or {last}", words.join(", ")) }
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
        assert_eq!(slip("lsiten", ["url", "listen"]), Some("listen"));
        assert_eq!([slip("listen", ["url", "listen"]), slip("listening", ["url", "listen"])], [None, None]);
    }
}
