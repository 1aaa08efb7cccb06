//! A consumer that is told by a file: a line for each message.
//!
//! Guarantees: a line is on disk before its job is done; each message begins a line, whatever was cut off before it. The
//! file is opened anew for each line, so that it may be moved away at any time.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::UNIX_EPOCH;

use super::Sent;
use crate::clock::{Timestamp, lock};

/// Only its owner reads it: it names people.
const MODE: u32 = 0o600;

/// When a file is put aside for a new one, as `NAME.1`; those before become `NAME.2` and so on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rotate {
    /// Before it grows beyond this.
    pub mib: Option<u32>,
    /// When a UTC day has begun since it was last written.
    pub daily: bool,
    /// How many are kept beside the one that is written.
    pub keep: u32,
}

#[derive(Debug)]
pub(super) struct Appender {
    path: PathBuf,
    rotate: Rotate,
    turn: Turn,
}

/// Who has it writes the file.
type Turn = Arc<tokio::sync::Mutex<()>>;

/// A turn for each file: what an appender has begun goes on when that was replaced by another for the same file.
static TURNS: Mutex<BTreeMap<PathBuf, Turn>> = Mutex::new(BTreeMap::new());

impl Appender {
    pub(super) fn new(path: PathBuf, rotate: Rotate) -> Self {
        let turn = Arc::clone(lock(&TURNS).entry(path.clone()).or_default());
        Self { path, rotate, turn }
    }

    pub(super) async fn append(&self, lines: Vec<String>, now: Timestamp) -> Sent {
        let (path, rotate) = (self.path.clone(), self.rotate);
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let text = lines.into_iter().map(|line| line + "\n").collect::<String>();
        let appending = tokio::task::spawn_blocking(move || {
            let _until_written = turn;
            if rotate.is_due(&path, text.len(), now)? {
                put_aside(&path, rotate.keep)?;
            }
            append(&path, text.as_bytes())
        });
        match appending.await {
            Ok(Ok(())) => Sent::Done("appended and synced".to_owned()),
            Ok(Err(error)) => Sent::Failed(format!("{} cannot be written: {error}", self.path.display())),
            Err(error) => Sent::Failed(error.to_string()),
        }
    }
}

impl Rotate {
    /// Whether the file is put aside before so many bytes more.
    fn is_due(self, path: &Path, more: usize, now: Timestamp) -> io::Result<bool> {
        if self.mib.is_none() && !self.daily {
            return Ok(false);
        }
        let found = match std::fs::metadata(path) {
            Ok(found) if found.is_file() && found.len() > 0 => found,
            _ => return Ok(false),
        };
        let whole = found.len().saturating_add(u64::try_from(more).unwrap_or(u64::MAX));
        let is_full = self.mib.is_some_and(|mib| whole > u64::from(mib) << 20);
        let written = found.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        let is_of_before = self.daily && Timestamp::EPOCH.plus(written).utc_day() < now.utc_day();
        Ok(is_full || is_of_before)
    }
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

/// The file becomes the first of those that are kept. The last of them is removed where there is no gap, as a sudden end in the
/// midst of this leaves one: then none is, and those before the gap fill it.
fn put_aside(path: &Path, keep: u32) -> io::Result<()> {
    let gap = (1..keep).find(|number| !numbered(path, *number).exists()).unwrap_or(keep);
    for number in (1..gap).rev() {
        std::fs::rename(numbered(path, number), numbered(path, number.saturating_add(1)))?;
    }
    let aside = if keep == 0 { std::fs::remove_file(path) } else { std::fs::rename(path, numbered(path, 1)) };
    aside?;
    sync_folder(path)
}

fn append(path: &Path, line: &[u8]) -> io::Result<()> {
    // A pipe would wait for its reader.
    if std::fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        return Err(io::Error::other("it is not a plain file"));
    }
    let is_new = !path.exists();
    let mut file = OpenOptions::new().read(true).append(true).create(true).mode(MODE).open(path)?;
    let before = file.metadata()?.len();
    let mut text = Vec::with_capacity(line.len().saturating_add(1));
    if before > 0 && last_byte(&mut file)? != b'\n' {
        text.push(b'\n');
    }
    text.extend_from_slice(line);
    if let Err(error) = file.write_all(&text).and_then(|()| file.sync_data()) {
        // What a full disk cut off is written anew; where this fails as well, the next line ends it.
        let _left = file.set_len(before);
        return Err(error);
    }
    if is_new { sync_folder(path) } else { Ok(()) }
}

fn last_byte(file: &mut File) -> io::Result<u8> {
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    let [last] = last;
    Ok(last)
}

/// A new name is on disk when its folder is.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    async fn append(file: &Appender, line: String, now: Timestamp) {
        assert_eq!(file.append(vec![line], now).await, Sent::Done("appended and synced".to_owned()));
    }

    /// The first letter and the length of each file that is there.
    fn there(path: &Path) -> Vec<(char, usize)> {
        let paths = std::iter::once(path.to_owned()).chain((1..9).map(|number| numbered(path, number)));
        let texts = paths.filter_map(|path| std::fs::read_to_string(path).ok());
        texts.map(|text| (text.chars().next().unwrap(), text.len())).collect()
    }

    #[tokio::test]
    async fn a_file_is_put_aside_before_it_grows_too_long_and_the_oldest_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines");
        let file = Appender::new(path.clone(), Rotate { mib: Some(1), daily: false, keep: 2 });
        for letter in ["a", "b", "c", "d", "e"] {
            append(&file, letter.repeat(MIB / 2), Timestamp::EPOCH).await;
            append(&file, letter.repeat(9), Timestamp::EPOCH).await;
        }
        let whole = MIB / 2 + 1 + 10;
        assert_eq!(there(&path), [('e', whole), ('d', whole), ('c', whole)]);
        append(&file, "f".repeat(3 * MIB), Timestamp::EPOCH).await;
        assert_eq!(there(&path)[0], ('f', 3 * MIB + 1), "a line is never parted");
    }

    #[test]
    fn a_sudden_end_in_the_midst_of_putting_aside_drops_no_file_before_its_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines");
        for (path, text) in [(&path, "d"), (&numbered(&path, 2), "c"), (&numbered(&path, 3), "b")] {
            std::fs::write(path, text).unwrap();
        }
        put_aside(&path, 3).unwrap();
        assert_eq!(there(&path), [('d', 1), ('c', 1), ('b', 1)]);
        std::fs::write(&path, "e").unwrap();
        put_aside(&path, 3).unwrap();
        assert_eq!(there(&path), [('e', 1), ('d', 1), ('c', 1)], "without a gap the oldest goes");
    }

    #[tokio::test]
    async fn one_that_writes_a_file_ends_before_another_for_the_same_file_begins() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines");
        let appender = || Appender::new(path.clone(), Rotate::default());
        let writing = Arc::clone(&appender().turn).lock_owned().await;
        let other = appender();
        let mut appending = std::pin::pin!(other.append(vec!["a".to_owned()], Timestamp::EPOCH));
        tokio::select! {
            biased;
            sent = &mut appending => panic!("{sent:?} while another writes"),
            () = std::future::ready(()) => {}
        }
        assert!(!path.exists());
        drop(writing);
        assert_eq!(appending.await, Sent::Done("appended and synced".to_owned()));
    }

    #[tokio::test]
    async fn a_file_of_another_day_is_put_aside_with_the_first_line_of_a_day() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines");
        let file = Appender::new(path.clone(), Rotate { mib: None, daily: true, keep: 7 });
        append(&file, "a".to_owned(), Timestamp::EPOCH).await;
        let written = std::fs::metadata(&path).unwrap().modified().unwrap().duration_since(UNIX_EPOCH).unwrap();
        let today = Timestamp::EPOCH.plus(written);
        append(&file, "a".to_owned(), today).await;
        assert_eq!(there(&path), [('a', 4)]);
        append(&file, "b".to_owned(), today.next_utc_midnight()).await;
        assert_eq!(there(&path), [('b', 2), ('a', 4)]);
    }
}
