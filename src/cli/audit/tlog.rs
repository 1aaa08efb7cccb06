//! `adjutant audit export --format tlog`: the whole log as a folder that stands by itself, laid out as C2SP `tlog-tiles` says, so that
//! any server of static files can serve it, and any tool that reads such logs can check it.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::PAGE;
use super::verify::keys_of;
use crate::audit::bundle;
use crate::audit::checkpoint::Checkpoint;
use crate::audit::tile::{Edge, TileId, WIDTH, to_bytes};
use crate::audit::tree::{Frontier, Hash};
use crate::cli::exit::tell;
use crate::cli::out::count;
use crate::cli::remote::Remote;
use crate::cli::store::bar;
use crate::cli::{Exit, Failure};
use crate::web::admin::view::{CheckpointView, HeadView, LeavesView, ProofView};

/// The signed head, as the layout names it. Written last: a folder without it is not whole.
pub(super) const CHECKPOINT: &str = "checkpoint";
/// The public keys of the log, the newest first: beside the layout.
pub(super) const KEYS: &str = "keys";

pub(super) async fn write(remote: &Remote, folder: &Path) -> Result<(), Failure> {
    let (checkpoint, note, keys) = newest(remote).await?;
    let mut written = Written::new(folder)?;
    let bar = bar("exporting", "entries");
    while written.tree.size() < checkpoint.size {
        let from = written.tree.size();
        let query = [("from", from.to_string()), ("limit", PAGE.to_string()), ("lines", "true".to_owned())];
        let page: LeavesView = remote.get("/v1/audit/verify", &query).await?;
        if let Some(fault) = page.faults.first() {
            return Err(unsound(&format!("{}: {}", fault.place, fault.what)));
        }
        let wanted = usize::try_from(checkpoint.size.saturating_sub(from)).unwrap_or(usize::MAX);
        for (leaf, line) in page.leaves.into_iter().zip(page.lines).take(wanted) {
            let hash = leaf.and_then(|text| hex::decode(text).ok()).and_then(|hash| Hash::try_from(hash).ok());
            let hash = hash.ok_or_else(|| unsound(&format!("entry {} cannot be read", written.tree.size())))?;
            let line = line.map(|line| STANDARD.decode(line)).transpose();
            let line =
                line.map_err(|error| Failure::new(Exit::Io, format!("the service answered no base64: {error}")))?;
            written.add(hash, line.as_deref())?;
        }
        if written.tree.size() == from {
            return Err(unsound(&format!("it ends after {from} entries")));
        }
        bar.tell(written.tree.size(), checkpoint.size);
    }
    let by_hash = written.by_hash;
    if written.end()? != checkpoint.root {
        return Err(unsound("its entries are not those that the newest checkpoint was signed for"));
    }
    // All else is on disk before what makes it whole.
    publish(&folder.join(KEYS), &keys).map_err(|error| failed(&folder.join(KEYS), &error))?;
    let synced = File::open(folder).and_then(|folder| Ok(rustix::fs::syncfs(folder)?));
    synced.map_err(|error| failed(folder, &error))?;
    publish(&folder.join(CHECKPOINT), &note).map_err(|error| failed(&folder.join(CHECKPOINT), &error))?;
    let entries = count(checkpoint.size, "entry", "entries");
    let known = "only its hash is left, since it was forgotten or is older than [store] entry_days";
    tell(&format!("exported {entries}; of {by_hash} of them {known}"));
    Ok(())
}

/// A file that anybody may read: there as a whole, or not at all.
fn publish(path: &Path, text: &str) -> std::io::Result<()> {
    let aside = path.with_extension("part");
    std::fs::write(&aside, text)?;
    File::open(&aside)?.sync_all()?;
    std::fs::rename(&aside, path)
}

fn unsound(what: &str) -> Failure {
    Failure::new(Exit::Failed, format!("the log is not whole: {what}. `adjutant audit verify` says what is wrong"))
}

fn failed(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Io, format!("cannot write {}: {error}", path.display()))
}

/// A checkpoint of all that is entered now, and the keys that verify it, one a line.
async fn newest(remote: &Remote) -> Result<(Checkpoint, String, String), Failure> {
    let HeadView { size, .. } = remote.get("/v1/audit/head", &[]).await?;
    if let Some(last) = size.checked_sub(1) {
        // What no checkpoint covers yet has one signed by that.
        let _signed: ProofView = remote.get(&format!("/v1/audit/proofs/{last}"), &[]).await?;
    }
    let view: CheckpointView = remote.get("/v1/audit/checkpoint", &[]).await?;
    if let Some(trouble) = view.trouble {
        return Err(unsound(&trouble));
    }
    let keys = view.keys.join("\n") + "\n";
    let nothing = || Failure::new(Exit::Failed, "there is no checkpoint yet: nothing was entered in the log");
    let note = view.checkpoint.ok_or_else(nothing)?;
    let checkpoint = Checkpoint::open(&note, &keys_of(&keys)).map_err(|error| unsound(&error.to_string()))?;
    Ok((checkpoint, note, keys))
}

/// What is written as yet: of the tree, what is not full.
pub(super) struct Written {
    folder: PathBuf,
    tree: Frontier,
    edge: Edge,
    /// Of the entries that no full tile has.
    bundle: Vec<u8>,
    /// Entries without a line.
    by_hash: u64,
}

impl Written {
    pub(super) fn new(folder: &Path) -> Result<Self, Failure> {
        let is_empty = match std::fs::read_dir(folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => true,
            listed => listed.map_err(|error| failed(folder, &error))?.next().is_none(),
        };
        if !is_empty {
            let why = format!("{} is not empty: name a folder that is, or that is not there", folder.display());
            return Err(Failure::new(Exit::Usage, why));
        }
        std::fs::create_dir_all(folder).map_err(|error| failed(folder, &error))?;
        let (tree, edge, bundle) = (Frontier::default(), Edge::default(), Vec::new());
        Ok(Self { folder: folder.to_owned(), tree, edge, bundle, by_hash: 0 })
    }

    pub(super) fn add(&mut self, leaf: Hash, line: Option<&[u8]>) -> Result<(), Failure> {
        self.by_hash = self.by_hash.saturating_add(u64::from(!bundle::put(line, &mut self.bundle)));
        let index = self.tree.push(leaf);
        let mut full = Vec::new();
        self.edge.push(leaf, |tile, hashes| full.push((tile.path(), to_bytes(hashes).to_vec())));
        for (path, bytes) in &full {
            self.file(path, bytes)?;
        }
        if !full.is_empty() {
            let bundle = std::mem::take(&mut self.bundle);
            self.file(&bundle::path(index / WIDTH, WIDTH), &bundle)?;
        }
        Ok(())
    }

    /// Writes what is not full. The root of all of it.
    pub(super) fn end(self) -> Result<Hash, Failure> {
        let size = self.tree.size();
        for level in 0_u8.. {
            // Of the tiles of this level so many are full.
            let shift = u32::from(level).saturating_add(1).saturating_mul(8);
            let tile = TileId { level, index: size.checked_shr(shift).unwrap_or(0) };
            if size.checked_shr(shift.saturating_sub(8)).unwrap_or(0) == 0 {
                break;
            }
            let width = tile.width(size);
            if width > 0 {
                self.file(&tile.partial_path(width), to_bytes(self.edge.partial(level)))?;
            }
        }
        if !size.is_multiple_of(WIDTH) {
            self.file(&bundle::path(size / WIDTH, size % WIDTH), &self.bundle)?;
        }
        Ok(self.tree.root())
    }

    fn file(&self, path: &str, bytes: &[u8]) -> Result<(), Failure> {
        let path = self.folder.join(path);
        let folder = path.parent().unwrap_or(&self.folder);
        let written = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&path, bytes));
        written.map_err(|error| failed(&path, &error))
    }
}
