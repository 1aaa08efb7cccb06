//! Timers: work that is due some time after an event, unless another comes.

use std::time::Duration;

/// What a rule waits for between its event and its work. One timer for each rule and run of a meeting, for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timer {
    /// From when the event happened.
    pub after: Duration,
    /// Events of the same run that end it, whenever they happened; and of the same meeting, where they are not older than the
    /// event that began it: who waits for a meeting may be told another uuid than who starts it.
    pub unless: Vec<String>,
}

impl Timer {
    /// The longest: a week.
    pub const AFTER_MAX: Duration = Duration::from_secs(7 * 86_400);

    /// A time as a rule writes it: `90s`, `5m`, `2h`, `1d`; none where it is no such, nothing, or longer than a week.
    pub fn span(text: &str) -> Option<Duration> {
        let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let secs: u64 = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            _ => return None,
        };
        let is_plain = number.bytes().all(|byte| byte.is_ascii_digit());
        let span = Duration::from_secs(number.parse::<u64>().ok().filter(|_| is_plain)?.checked_mul(secs)?);
        (!span.is_zero() && span <= Self::AFTER_MAX).then_some(span)
    }

    /// In the largest unit that leaves nothing over.
    pub fn in_words(span: Duration) -> String {
        let secs = span.as_secs();
        let unit = [(86_400, "d"), (3_600, "h"), (60, "m")].into_iter().find(|(unit, _)| secs.is_multiple_of(*unit));
        unit.map_or_else(|| format!("{secs}s"), |(unit, name)| format!("{}{name}", secs / unit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_a_number_and_a_unit_up_to_a_week() {
        for (text, secs) in [("1s", 1), ("90s", 90), ("5m", 300), ("36h", 129_600), ("7d", 604_800), ("168h", 604_800)]
        {
            assert_eq!(Timer::span(text), Some(Duration::from_secs(secs)), "{text}");
        }
        for bad in
            ["", "s", "5", "0m", "8d", "169h", "-5m", "+5m", "5 m", "5M", "1.5h", "5m5s", "99999999999999999999d", "é"]
        {
            assert_eq!(Timer::span(bad), None, "{bad:?} was taken");
        }
    }

    #[test]
    fn a_span_in_words_is_what_can_be_written() {
        for (text, words) in [("90s", "90s"), ("60s", "1m"), ("120m", "2h"), ("48h", "2d"), ("25h", "25h")] {
            assert_eq!(Timer::in_words(Timer::span(text).unwrap()), words);
        }
    }
}
