//! The log as it was signed, held against the entries: each tile, each checkpoint.

use std::sync::Arc;

use super::Finding;
use crate::audit::checkpoint::Checkpoint;
use crate::audit::note::Verifier;
use crate::audit::tile::{Edge, TileId, WIDTH};
use crate::audit::tree::{Frontier, Hash};
use crate::store::journal::files::Files;
use crate::store::local::checkpoints::{self, Kept};
use crate::store::local::tiles::{self, LOG};
use crate::store::wide;

/// Checkpoints that are told as wrong.
const WRONG_MAX: u64 = 10;

const NEWEST: &str = "log/checkpoint";

/// A checkpoint that was kept elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elsewhere {
    /// As it is called where it is told.
    pub name: String,
    pub note: String,
    /// The keys of which one has to have signed it; empty where those of the store are believed.
    pub keys: Vec<Verifier>,
}

/// A signed head that the log has to agree with.
struct Anchor {
    name: String,
    checkpoint: Checkpoint,
}

/// What was signed, as it is on disk.
pub(super) struct Signed {
    files: Arc<dyn Files>,
    edge: Edge,
    /// Not met yet, by how many leaves they are of, the fewest last.
    anchors: Vec<Anchor>,
    /// Anchors that did not agree.
    wrong: u64,
    /// The entries before this one are as they were signed.
    agreed: u64,
    /// All entries before this one were signed: their tiles were synced before.
    covered: u64,
    pub(super) tiles: u64,
    pub(super) checkpoints: u64,
}

impl Signed {
    /// What is in the folder of the log, and what was kept elsewhere.
    pub(super) fn read(
        files: &Arc<dyn Files>,
        keys: &[Verifier],
        elsewhere: &[Elsewhere],
        findings: &mut Vec<Finding>,
    ) -> Self {
        let mut tell = |place: &str, what: String| findings.push(Finding { place: place.to_owned(), what });
        // Before all of them, of which it is the last as long as nobody signs.
        let newest = checkpoints::newest(files.as_ref());
        let (mut anchors, mut numbers, mut last) = (Vec::new(), Vec::new(), None);
        let all = checkpoints::all(files.as_ref()).unwrap_or_else(|error| {
            tell(checkpoints::ALL, error.to_string());
            Vec::new()
        });
        for (place, (kept, damage)) in all {
            for Kept { number, note } in kept {
                let name = format!("checkpoint {number} in {place}");
                match Checkpoint::open_whole(&note, keys) {
                    Ok(checkpoint) => anchors.push(Anchor { name, checkpoint }),
                    Err(error) => tell(&name, error.to_string()),
                }
                numbers.push(number);
                last = last.max(Some((number, note)));
            }
            if let Some(damage) = damage {
                tell(&place, damage);
            }
        }
        numbers.sort_unstable();
        if let Some((expected, _)) = (1..).zip(&numbers).find(|(expected, number)| *expected != **number) {
            tell(checkpoints::ALL, format!("checkpoint {expected} is not there, or another is there twice"));
        }
        match (newest, last) {
            (Err(error), _) => tell(NEWEST, error.to_string()),
            (Ok(None), None) => {}
            (Ok(None), Some(_)) => tell(NEWEST, "is not there".to_owned()),
            (Ok(Some(newest)), Some((_, last))) if newest == last => {}
            (Ok(Some(newest)), last) => {
                let what = match (Checkpoint::open_whole(&newest, keys), last) {
                    (Err(error), _) => error.to_string(),
                    (Ok(_), Some((number, _))) => format!(
                        "is not checkpoint {number}, which is the newest; a kill in just that moment leaves it so, and the next \
                         start mends it"
                    ),
                    (Ok(_), None) => format!("is not among those in {}", checkpoints::ALL),
                };
                tell(NEWEST, what);
            }
        }
        let checkpoints = wide(anchors.len());
        let covered = anchors.iter().map(|anchor| anchor.checkpoint.size).max().unwrap_or(0);
        for Elsewhere { name, note, keys: given } in elsewhere {
            let mut tell = |place: &str, what: String| findings.push(Finding { place: place.to_owned(), what });
            match Checkpoint::open(note, if given.is_empty() { keys } else { given }) {
                Err(error) => tell(name, error.to_string()),
                Ok(checkpoint) => {
                    let size = checkpoint.size;
                    if size > covered {
                        let what =
                            format!("the newest covers {covered} entries, and {name} covers {size}: some were lost");
                        tell(checkpoints::ALL, what);
                    }
                    anchors.push(Anchor { name: name.clone(), checkpoint });
                }
            }
        }
        anchors.sort_by_key(|anchor| std::cmp::Reverse(anchor.checkpoint.size));
        Self {
            files: Arc::clone(files),
            edge: Edge::default(),
            anchors,
            wrong: 0,
            agreed: 0,
            covered,
            tiles: 0,
            checkpoints,
        }
    }

    /// A leaf of the log; `tree` has it.
    pub(super) fn leaf(&mut self, leaf: Hash, tree: &Frontier, findings: &mut Vec<Finding>) {
        let Self { files, edge, covered, tiles, .. } = self;
        edge.push(leaf, |tile, hashes| {
            *tiles = tiles.saturating_add(1);
            compare(files.as_ref(), tile, hashes, *covered, findings);
        });
        self.meet(tree, findings);
    }

    /// Compares with what was signed for a log of this length.
    pub(super) fn meet(&mut self, tree: &Frontier, findings: &mut Vec<Finding>) {
        while let Some(anchor) = self.anchors.pop_if(|anchor| anchor.checkpoint.size <= tree.size()) {
            let size = anchor.checkpoint.size;
            if size == tree.size() && anchor.checkpoint.root == tree.root() {
                self.agreed = size;
            } else {
                // All that came after one that does not agree agree no more: some of them say where it is.
                self.wrong = self.wrong.saturating_add(1);
                if self.wrong > WRONG_MAX && anchor.name.starts_with("checkpoint ") {
                    continue;
                }
                let (first, last) = (self.agreed, size.saturating_sub(1));
                let what = format!("it was signed for others than those that are the entries {first} to {last} now");
                findings.push(Finding { place: anchor.name, what });
            }
        }
    }

    /// The log has no more entries.
    pub(super) fn end(self, tree: &Frontier, findings: &mut Vec<Finding>) {
        let size = tree.size();
        if let Some(more) = self.wrong.checked_sub(WRONG_MAX).filter(|more| *more > 0) {
            let what = format!("{more} more do not agree with the log");
            findings.push(Finding { place: checkpoints::ALL.to_owned(), what });
        }
        for anchor in self.anchors.into_iter().rev() {
            let covered = anchor.checkpoint.size;
            let what =
                format!("covers {covered} entries, and the log has {size}: its end was cut off, or it was rolled back");
            findings.push(Finding { place: anchor.name, what });
        }
    }
}

/// A tile with what it should have.
fn compare(files: &dyn Files, tile: TileId, hashes: &[Hash], covered: u64, findings: &mut Vec<Finding>) {
    let place = format!("{LOG}/{}", tile.path());
    let below = 8_u32.saturating_mul(u32::from(tile.level));
    let is_signed = {
        let end = u128::from(tile.index).saturating_add(1).saturating_mul(u128::from(WIDTH)) << below;
        end <= u128::from(covered)
    };
    let what = match tiles::read_tile(files, tile) {
        // It may be full since the newest checkpoint alone.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !is_signed => return,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => "is not there".to_owned(),
        // Written, and not synced when the power went.
        Err(_) if !is_signed => return,
        Err(error) => error.to_string(),
        Ok(found) if found == hashes => return,
        Ok(_) if !is_signed => return,
        Ok(found) => {
            let first = tile.index.saturating_mul(WIDTH);
            let wrong = found.iter().zip(hashes).position(|(found, hash)| found != hash).map(wide).unwrap_or_default();
            let at = first.saturating_add(wrong);
            if tile.level == 0 {
                format!("entry {at} is not the one that it has")
            } else {
                let from = u128::from(at) << below;
                let last = (u128::from(at).saturating_add(1) << below).saturating_sub(1);
                format!("the entries from {from} to {last} do not hash to what it has")
            }
        }
    };
    findings.push(Finding { place, what });
}
