//! Small files that are replaced as a whole: format, keys.

use std::io;

use crate::store::journal::files::Files;
use crate::store::wide;

/// The root folder of the store, as the file port names it.
pub(super) const ROOT: &str = ".";

/// Makes `./name` hold these bytes: written aside, synced, renamed, folder synced. A power cut leaves the old or the new.
pub(super) fn replace(files: &dyn Files, name: &str, bytes: &[u8]) -> io::Result<()> {
    replace_in(files, ROOT, name, bytes)
}

/// The same in a folder.
pub(super) fn replace_in(files: &dyn Files, folder: &str, name: &str, bytes: &[u8]) -> io::Result<()> {
    let aside = format!("{folder}/{name}.tmp");
    let file = files.create(&aside)?;
    let written = file.write_all_at(bytes, 0).and_then(|()| file.sync_all());
    if let Err(error) = written.and_then(|()| files.rename(&aside, &format!("{folder}/{name}"))) {
        // Best effort: the next replacement writes over it.
        let _left = files.remove(&aside);
        return Err(error);
    }
    files.sync_dir(folder)
}

/// All of `./name`, or nothing where there is no such file.
pub(super) fn read(files: &dyn Files, name: &str) -> io::Result<Option<Vec<u8>>> {
    read_in(files, ROOT, name)
}

/// The same in a folder.
pub(super) fn read_in(files: &dyn Files, folder: &str, name: &str) -> io::Result<Option<Vec<u8>>> {
    const BYTES_MAX: u64 = 64 << 20;
    let file = match files.open(&format!("{folder}/{name}")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let size = file.size()?;
    if size > BYTES_MAX {
        return Err(io::Error::other(format!("{name} has {size} bytes, more than any that this program wrote")));
    }
    let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
    file.read_exact_at(&mut bytes, 0)?;
    debug_assert_eq!(wide(bytes.len()), size);
    Ok(Some(bytes))
}
