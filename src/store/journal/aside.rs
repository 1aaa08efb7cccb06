//! Putting a whole file in place: written aside, synced, renamed, and the folder synced. A power cut leaves the old one or
//! the new one.

use std::sync::Arc;

use super::files::{File, Files};
use super::segment::Trouble;

/// What files that are not finished are called; every open removes them.
pub(super) const TMP: &str = ".tmp";

/// Makes `dir/name` what `write` writes. Until the rename, any error leaves the old file and nothing else.
pub(super) fn replace<E: From<Trouble>>(
    files: &dyn Files,
    dir: &str,
    name: &str,
    write: impl FnOnce(&dyn File) -> Result<(), E>,
) -> Result<Arc<dyn File>, E> {
    let aside = format!("{dir}/{name}{TMP}");
    let file = files.create(&aside).map_err(Trouble::writing)?;
    let written = write(file.as_ref()).and_then(|()| {
        file.sync_all().map_err(Trouble::Failed)?;
        Ok(files.rename(&aside, &format!("{dir}/{name}")).map_err(Trouble::writing)?)
    });
    if let Err(error) = written {
        // Best effort: the next open removes it too.
        let _left = files.remove(&aside);
        return Err(error);
    }
    files.sync_dir(dir).map_err(Trouble::Failed)?;
    Ok(file)
}

/// Removes what an interrupted [`replace`] left. Returns how many files that were.
pub(super) fn clean(files: &dyn Files, dir: &str) -> Result<usize, Trouble> {
    let names = files.list(dir).map_err(Trouble::writing)?;
    let mut removed = 0;
    for name in names.iter().filter(|name| name.ends_with(TMP)) {
        files.remove(&format!("{dir}/{name}")).map_err(Trouble::writing)?;
        removed += 1;
    }
    if removed > 0 {
        files.sync_dir(dir).map_err(Trouble::Failed)?;
    }
    Ok(removed)
}
