//! The end of a list that Zoom gives page by page, also where Zoom's tokens lead nowhere.

use crate::zoom::{Page, ZoomError};

/// More than twice what Zoom states as the total, and this, is no list of that many. So many can come while it is read.
const BESIDES: u64 = 300;
/// Where Zoom states no total: more than any account has.
const ROWS_MAX: u64 = 2_000_000;

/// How far one list was read.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Walk {
    rows: u64,
}

impl Walk {
    /// One page more was read, by the token `by`. An error where what it names as the next cannot come to an end. A page
    /// without rows counts as one.
    pub(super) fn step(
        self,
        rows: usize,
        (by, next): (Option<&String>, Option<&String>),
        total: Option<u64>,
    ) -> Result<Self, ZoomError> {
        let rows = self.rows.saturating_add(u64::try_from(rows.max(1)).unwrap_or(u64::MAX));
        let most = total.map_or(ROWS_MAX, |total| total.saturating_mul(2).saturating_add(BESIDES).min(ROWS_MAX));
        if next.is_some() && next == by {
            return Err(ZoomError::Unreadable("a list has no end: a page names itself as the next".to_owned()));
        }
        if next.is_some() && rows > most {
            return Err(ZoomError::Unreadable(format!("a list has no end: {rows} rows were read, and there is more")));
        }
        Ok(Self { rows })
    }
}

/// A list that is read to its end: which page to ask for, until there is none. Whoever asks decides what an error means, and
/// may ask for the same page again. A list is never cut: one without an end is an error.
#[derive(Debug)]
pub(super) struct Pages {
    size: u32,
    token: Option<String>,
    walk: Walk,
    is_over: bool,
}

impl Pages {
    /// From the first page on.
    pub(super) fn of(size: u32) -> Self {
        Self { size, token: None, walk: Walk::default(), is_over: false }
    }

    /// The page to ask for; none after the last.
    pub(super) fn wanted(&self) -> Option<Page> {
        (!self.is_over).then(|| Page { size: self.size, token: self.token.clone() })
    }

    /// It was read, with so many rows, the token of the next, and what Zoom states as the total.
    pub(super) fn read(&mut self, rows: usize, next: Option<String>, total: Option<u64>) -> Result<(), ZoomError> {
        self.walk = self.walk.step(rows, (self.token.as_ref(), next.as_ref()), total)?;
        (self.is_over, self.token) = (next.is_none(), next);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_is_read_to_its_last_page_and_one_without_an_end_is_an_error() {
        let read = |pages_max: u64| {
            let (mut pages, mut read) = (Pages::of(300), 0_u64);
            while let Some(page) = pages.wanted() {
                assert_eq!((page.size, page.token), (300, (read > 0).then(|| read.to_string())));
                read += 1;
                pages.read(300, (read < pages_max).then(|| read.to_string()), None)?;
            }
            Ok::<_, ZoomError>(read)
        };
        assert_eq!(read(5_000).unwrap(), 5_000);
        assert!(read(u64::MAX).unwrap_err().to_string().contains("a list has no end"));
    }

    #[test]
    fn a_list_that_names_the_same_page_again_or_goes_far_beyond_its_total_ends() {
        let (one, other) = ("one".to_owned(), "other".to_owned());
        let (first, last) = (Walk::default(), Walk::default());
        assert!(first.step(300, (None, Some(&one)), Some(301)).is_ok());
        assert!(last.step(300, (Some(&one), None), Some(0)).is_ok(), "the last page ends it anyhow");
        assert!(first.step(300, (Some(&one), Some(&one)), None).is_err());
        for total in [Some(0), Some(1000), None] {
            let (mut walk, mut steps) = (Walk::default(), 0_u64);
            while let Ok(next) = walk.step(0, (Some(&one), Some(&other)), total) {
                (walk, steps) = (next, steps + 1);
            }
            assert_eq!(steps, total.map_or(ROWS_MAX, |total| 2 * total + BESIDES), "also of empty pages");
        }
    }
}
