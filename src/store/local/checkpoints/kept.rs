//! All checkpoints that were signed, as files: numbered from 1, so that one that is cut out is missed.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::clock::Timestamp;
use crate::store::journal::files::Files;
use crate::store::local::place;
use crate::store::local::tiles::{self, LOG};

/// The newest, in the folder of the log.
pub(in crate::store::local) const NEWEST: &str = "checkpoint";
/// The folder of all of them.
pub(in crate::store::local) const ALL: &str = "log/checkpoints";

/// As in `2026-11-22T14Z`.
pub(super) fn hour_of(at: Timestamp) -> String {
    let text = at.to_string();
    format!("{}Z", text.get(..13).unwrap_or(&text))
}

/// One of all that were signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store::local) struct Kept {
    /// From 1, without gaps.
    pub(in crate::store::local) number: u64,
    pub(in crate::store::local) note: String,
}

impl Kept {
    pub(super) fn put(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(format!("{}\n{}\n", self.number, self.note).as_bytes());
    }
}

/// Those in the bytes of a file, and what is wrong with it from the end of these on.
pub(super) fn read_kept(bytes: &[u8]) -> (Vec<Kept>, Option<String>) {
    let mut kept = Vec::new();
    let mut rest = String::from_utf8_lossy(bytes).into_owned();
    while !rest.is_empty() {
        let read = rest.split_once('\n').and_then(|(number, more)| {
            let text_end = more.find("\n\n")?.saturating_add(2);
            let note_end = text_end.saturating_add(more.get(text_end..)?.find("\n\n")?).saturating_add(1);
            let read: u64 = number.parse().ok().filter(|read: &u64| read.to_string() == number)?;
            let (note, left) = (more.get(..note_end)?, more.get(note_end.saturating_add(1)..)?);
            Some((Kept { number: read, note: note.to_owned() }, left.to_owned()))
        });
        let Some((one, left)) = read else {
            let at = bytes.len().saturating_sub(rest.len());
            return (kept, Some(format!("from byte {at} on it is not as it was written")));
        };
        kept.push(one);
        rest = left;
    }
    (kept, None)
}

type Hour = (String, (Vec<Kept>, Option<String>));

/// All that were signed, hour by hour, as they are on disk.
pub(in crate::store::local) fn all(files: &dyn Files) -> io::Result<Vec<Hour>> {
    hours(files)?.into_iter().map(|name| Ok((format!("{ALL}/{name}"), read_hour(files, &name)?))).collect()
}

fn read_hour(files: &dyn Files, name: &str) -> io::Result<(Vec<Kept>, Option<String>)> {
    Ok(read_kept(&place::read_in(files, ALL, name)?.unwrap_or_default()))
}

fn hours(files: &dyn Files) -> io::Result<Vec<String>> {
    let mut names = match files.list(ALL) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        listed => listed?,
    };
    names.retain(|name| Path::new(name).extension().is_none_or(|extension| extension != "tmp"));
    Ok(names)
}

/// Those with a higher number than this, in order.
pub(super) fn after(files: &dyn Files, number: u64, limit: usize) -> io::Result<Vec<Kept>> {
    let (names, next) = (hours(files)?, number.saturating_add(1));
    // The last hour that begins with no later one: hours are in the order of their names.
    let (mut low, mut high) = (0, names.len());
    while low < high {
        let middle = low.midpoint(high);
        let begins = names.get(middle).map(|name| read_hour(files, name)).transpose()?;
        let begins = begins.and_then(|(kept, _)| kept.first().map(|one| one.number));
        if begins.is_none_or(|first| first <= next) {
            low = middle.saturating_add(1);
        } else {
            high = middle;
        }
    }
    let mut found: Vec<Kept> = Vec::new();
    for name in names.iter().skip(low.saturating_sub(1)) {
        let (kept, _) = read_hour(files, name)?;
        found.extend(kept.into_iter().filter(|one| one.number > number));
        if found.len() >= limit {
            break;
        }
    }
    // A clock that was set back put it elsewhere, or it cannot be read: all are looked at.
    if found.first().is_none_or(|one| one.number != next) {
        found.clear();
        for name in &names {
            found.extend(read_hour(files, name)?.0.into_iter().filter(|one| one.number > number));
        }
        found.sort_by_key(|one| one.number);
    }
    let gap = found.iter().zip(next..).position(|(one, wanted)| one.number != wanted);
    found.truncate(gap.unwrap_or(limit).clamp(1, limit.max(1)));
    Ok(found)
}

/// The last of all, and whether the one with this note is among those that were looked at.
pub(super) fn last(files: &dyn Files, newest: Option<&str>) -> io::Result<Option<(Kept, bool)>> {
    let (mut last, mut is_among): (Option<Kept>, bool) = (None, newest.is_none());
    // Hours are in the order of their names, but for a clock that was set back.
    for name in hours(files)?.into_iter().rev() {
        let (kept, _) = read_hour(files, &name)?;
        let is_here = kept.iter().any(|one| Some(one.note.as_str()) == newest);
        last = last.into_iter().chain(kept).max_by_key(|one| one.number);
        if is_here {
            is_among = true;
            break;
        }
    }
    Ok(last.map(|last| (last, is_among)))
}

/// Copies what was signed, and the tiles that belong to it, to another folder.
pub(in crate::store::local) fn copy(files: &dyn Files, copy: &Arc<dyn Files>) -> io::Result<()> {
    let to = copy.as_ref();
    to.make_dir(LOG)?;
    to.make_dir(ALL)?;
    let mut last: Option<Kept> = None;
    for name in hours(files)? {
        let bytes = place::read_in(files, ALL, &name)?.unwrap_or_default();
        place::replace_in(to, ALL, &name, &bytes)?;
        last = last.into_iter().chain(read_kept(&bytes).0).max_by_key(|one| one.number);
    }
    let Some(Kept { note, .. }) = last else { return Ok(()) };
    let size = note.lines().nth(1).and_then(|size| size.parse().ok()).unwrap_or(0);
    tiles::copy(files, copy, size)?;
    place::replace_in(to, LOG, NEWEST, note.as_bytes())
}

/// The newest, as it is on disk.
pub(in crate::store::local) fn newest(files: &dyn Files) -> io::Result<Option<String>> {
    Ok(place::read_in(files, LOG, NEWEST)?.map(|note| String::from_utf8_lossy(&note).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::journal::files::RealFiles;

    fn numbers(files: &dyn Files, after_number: u64, limit: usize) -> Vec<u64> {
        after(files, after_number, limit).unwrap().iter().map(|one| one.number).collect()
    }

    #[test]
    fn what_was_signed_is_found_by_its_number_also_where_the_clock_was_set_back_or_one_cannot_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let files = RealFiles::new(folder.path());
        assert_eq!(numbers(&files, 0, 9), [0; 0], "none were signed yet");
        files.make_dir(LOG).and_then(|()| files.make_dir(ALL)).unwrap();
        // From 10 on the clock was set back by an hour.
        for (hour, of) in [
            ("2026-11-22T14Z", vec![1, 2, 3, 4]),
            ("2026-11-22T15Z", vec![5, 6, 10, 11]),
            ("2026-11-22T16Z", vec![7, 8, 9, 12]),
        ] {
            let mut text = Vec::new();
            for number in of {
                Kept { number, note: format!("a\n{number}\nb\n\n— a b\n") }.put(&mut text);
            }
            place::replace_in(&files, ALL, hour, &text).unwrap();
        }
        let mut found = 0;
        while let Some(last) = numbers(&files, found, 3).last().copied() {
            assert_eq!(numbers(&files, found, 3)[0], found + 1);
            assert!(numbers(&files, found, 3).len() <= 3 && last > found);
            found = last;
        }
        assert_eq!(found, 12);
        assert_eq!(after(&files, 4, 1).unwrap()[0].note, "a\n5\nb\n\n— a b\n");
        let path = folder.path().join(ALL).join("2026-11-22T15Z");
        std::fs::write(&path, "5\nno note").unwrap();
        assert_eq!(
            (numbers(&files, 4, 1), numbers(&files, 9, 9)),
            (vec![7], vec![12]),
            "what cannot be read is left out"
        );
    }
}
