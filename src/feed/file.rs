//! A consumer that is told by a file: a line for each message.
//!
//! Guarantees: a line is on disk before its job is done; each message begins a line, whatever was cut off before it. The
//! file is opened anew for each line, so that it may be moved away at any time.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::Sent;
use super::body::Body;
use crate::clock::lock;

/// Only its owner reads it: it names people.
const MODE: u32 = 0o600;

#[derive(Debug)]
pub(super) struct Appender {
    path: PathBuf,
    /// One line at a time.
    turn: Arc<Mutex<()>>,
}

impl Appender {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, turn: Arc::default() }
    }

    pub(super) async fn append(&self, body: Body) -> Sent {
        let (path, turn) = (self.path.clone(), Arc::clone(&self.turn));
        let line = format!("{}\n", in_one_line(&body.text));
        let appending = tokio::task::spawn_blocking(move || {
            let _turn = lock(&turn);
            append(&path, line.as_bytes())
        });
        match appending.await {
            Ok(Ok(())) => Sent::Done("appended and synced".to_owned()),
            Ok(Err(error)) => Sent::Failed(format!("{} cannot be written: {error}", self.path.display())),
            Err(error) => Sent::Failed(error.to_string()),
        }
    }
}

/// In JSON, ends of lines mean nothing between texts, and there are none within.
fn in_one_line(text: &str) -> String {
    text.split(['\n', '\r']).map(str::trim_end).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
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
