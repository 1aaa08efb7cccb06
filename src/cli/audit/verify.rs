//! `adjutant audit verify`

use std::path::{Path, PathBuf};

use clap::Args;

use super::{PAGE, exported};
use crate::audit::checkpoint::Checkpoint;
use crate::audit::note::{Verifier, Verifiers};
use crate::audit::tree::{Frontier, Hash};
use crate::cli::out::{Out, count};
use crate::cli::remote::{Remote, Where};
use crate::cli::store::{self, bar};
use crate::cli::{Context, Exit, Failure};
use crate::store::local::Elsewhere;
use crate::web::admin::view::{CheckpointView, HeadView, LeavesView};

#[derive(Debug, Args)]
pub(in crate::cli) struct Verify {
    /// A checkpoint that was kept elsewhere, which the log has to agree with
    #[arg(long, value_name = "FILE")]
    pub(super) against: Option<PathBuf>,
    /// A checkpoint that was kept elsewhere, up to which the log was verified before: only what came after it is read
    #[arg(long, value_name = "FILE")]
    pub(super) since: Option<PathBuf>,
    /// The key that these have to be signed with, as `audit key` printed it, or more, one a line; without it, those of the log as
    /// it is
    #[arg(long)]
    pub(super) key: Option<Verifiers>,
    /// Verify the store in this folder, mostly a backup, that no process uses: all of its bytes, tiles and checkpoints
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["offline", "since"])]
    folder: Option<PathBuf>,
    /// Verify what `audit export --format tlog` wrote to this folder, offline and with the public key alone. Give the key as you
    /// have it from whoever runs the log: without --key, that of the folder itself is believed
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["offline", "folder"])]
    export: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Where,
}

pub(super) async fn run(context: &Context, asked: Verify, out: &mut Out) -> Result<Exit, Failure> {
    if let Some(folder) = &asked.export {
        return exported::verify(folder, &asked)?.tell(asked.json, out);
    }
    if asked.key.is_some() && asked.against.is_none() && asked.since.is_none() {
        return Err(Failure::new(Exit::Usage, "--key is for --against or --since: say which checkpoint it signed"));
    }
    if let Some(folder) = &asked.folder {
        return apart(context, folder, &asked, out).await;
    }
    let remote = Remote::open(context, asked.place).await?;
    let found = verify(&remote, &asked).await?;
    remote.close().await?;
    found.tell(asked.json, out)
}

/// What checking the log came to.
#[derive(Debug, serde::Serialize)]
pub(super) struct Verified {
    pub(super) good: bool,
    /// The first that was read: those before it were verified before.
    pub(super) from: u64,
    pub(super) entries: u64,
    /// Of them, those of deliveries whose body was pruned, hashed from the hash of the body, and those of which something was
    /// forgotten.
    pub(super) pruned: u64,
    pub(super) root: String,
    /// Signed heads that it agrees with.
    pub(super) checkpoints: Vec<String>,
    pub(super) faults: Vec<String>,
    /// Of an export: the entries without a line, from the first to the last of each stretch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) by_hash_alone: Option<Vec<(u64, u64)>>,
}

impl Verified {
    fn tell(&self, json: bool, out: &mut Out) -> Result<Exit, Failure> {
        if json {
            out.json(self)?;
        }
        if !self.good {
            let faults = self.faults.join("\n  ");
            return Err(Failure::new(Exit::Failed, format!("the audit log does not verify:\n  {faults}")));
        }
        if !json {
            let entries = count(self.entries, "entry", "entries");
            out.line(format!("the audit log is good: {entries}, root {}", self.root))?;
            for checkpoint in &self.checkpoints {
                out.line(format!("it agrees with {checkpoint}"))?;
            }
            if self.from > 0 {
                out.line(format!("not read again: the first {}, which hash to --since", self.from))?;
            }
            if let Some(ranges) = &self.by_hash_alone {
                return self.tell_ranges(ranges, out);
            }
            let hashed = self.entries.saturating_sub(self.pruned).saturating_sub(self.from);
            let pruned = count(self.pruned, "entry", "entries");
            out.line(format!(
                "hashed anew from all stored bytes: {hashed}; taken as stored, since a body was pruned or something forgotten: \
                 {pruned}"
            ))?;
        }
        Ok(Exit::Good)
    }

    /// Of an export, which entries nothing but their hash is known of.
    fn tell_ranges(&self, ranges: &[(u64, u64)], out: &mut Out) -> Result<Exit, Failure> {
        let hashed = self.entries.saturating_sub(self.pruned).saturating_sub(self.from);
        out.line(format!("hashed anew from their lines: {hashed}; known by their hash alone: {}", self.pruned))?;
        for (first, last) in ranges.iter().take(RANGES_MAX) {
            out.line(format!("  entries {first} to {last}"))?;
        }
        if let Some(more) = ranges.len().checked_sub(RANGES_MAX).filter(|more| *more > 0) {
            out.line(format!("  and {}", count(more, "stretch more", "stretches more")))?;
        }
        Ok(Exit::Good)
    }
}

/// Stretches that are told of line by line; JSON has all.
const RANGES_MAX: usize = 100;

/// The keys of a text that has one a line, as `audit key` prints them.
pub(super) fn keys_of(text: &str) -> Vec<Verifier> {
    text.lines().filter_map(|key| key.parse().ok()).collect()
}

/// Faults that are told of a log; whoever has more has seen enough.
pub(super) const FAULTS_MAX: usize = 100;

/// A signed head that the log has to agree with.
pub(super) struct Anchor {
    /// As it is called where it is told.
    pub(super) name: String,
    pub(super) checkpoint: Checkpoint,
    pub(super) is_met: bool,
}

impl Anchor {
    pub(super) fn new(name: String, note: &str, keys: &[Verifier]) -> Result<Self, String> {
        match Checkpoint::open(note, keys) {
            Ok(checkpoint) => Ok(Self { name, checkpoint, is_met: false }),
            Err(error) => Err(format!("{name}: {error}")),
        }
    }

    pub(super) fn compare(&mut self, tree: &Frontier) -> Option<String> {
        let Self { name, checkpoint, is_met } = self;
        if *is_met || tree.size() != checkpoint.size {
            return None;
        }
        *is_met = true;
        let size = checkpoint.size;
        (tree.root() != checkpoint.root)
            .then(|| format!("its first {size} entries are not those that {name} was signed for"))
    }

    pub(super) fn missing(&self, size: u64) -> Option<String> {
        let Self { name, checkpoint, is_met } = self;
        let covered = checkpoint.size;
        (!is_met).then(|| {
            format!(
                "{name} covers {covered} entries, and the log has {size}: its end was cut off, or it was rolled back"
            )
        })
    }
}

/// The checkpoint of the log, and that of a file.
async fn anchors(remote: &Remote, asked: &Verify, faults: &mut Vec<String>) -> Result<Vec<Anchor>, Failure> {
    let CheckpointView { checkpoint, trouble, keys } = remote.get("/v1/audit/checkpoint", &[]).await?;
    let mut keys: Vec<Verifier> = keys.iter().filter_map(|key| key.parse().ok()).collect();
    faults.extend(trouble);
    let mut anchors = Vec::new();
    let mut add = |anchor: Result<Anchor, String>| match anchor {
        Ok(anchor) => anchors.push(anchor),
        Err(fault) => faults.push(fault),
    };
    if let Some(note) = checkpoint {
        add(Anchor::new("the newest checkpoint".to_owned(), &note, &keys));
    }
    // A key that was kept elsewhere is worth more than what the log says of itself.
    if let Some(given) = &asked.key {
        keys.clone_from(&given.0);
    }
    for path in [&asked.against, &asked.since].into_iter().flatten() {
        let Elsewhere { name, note, .. } = store::elsewhere(path, Vec::new())?;
        add(Anchor::new(name, &note, &keys));
    }
    Ok(anchors)
}

/// The tree that was verified before, as the log has it now. None where there is no such thing.
async fn before(remote: &Remote, since: &Path, anchors: &[Anchor]) -> Result<Option<Frontier>, Failure> {
    let name = since.display().to_string();
    let Some(anchor) = anchors.iter().find(|anchor| anchor.name == name) else { return Ok(None) };
    let size = anchor.checkpoint.size;
    let query = [("limit", "1".to_owned()), ("from", size.to_string())];
    let page: LeavesView = remote.get("/v1/audit/verify", &query).await?;
    let hash = |text: &String| hex::decode(text).ok().and_then(|hash| Hash::try_from(hash).ok());
    let roots = page.before.and_then(|roots| roots.iter().map(hash).collect::<Option<Vec<Hash>>>());
    let is_whole = |roots: &Vec<Hash>| u32::try_from(roots.len()).is_ok_and(|count| count == size.count_ones());
    Ok(roots.filter(is_whole).map(|roots| Frontier::resume(size, roots)))
}

/// A store that nobody uses.
async fn apart(context: &Context, folder: &Path, asked: &Verify, out: &mut Out) -> Result<Exit, Failure> {
    let outline = context.outline()?;
    let keys = asked.key.clone().map(|keys| keys.0).unwrap_or_default();
    let kept = |path: &PathBuf| store::elsewhere(path, keys.clone());
    let elsewhere = asked.against.iter().map(kept).collect::<Result<_, Failure>>()?;
    store::verify(store::absolute(folder)?, Some(elsewhere), asked.json, &outline, out).await
}

/// Has every entry read and hashed anew, page by page, and compares what they hash to with the head and with checkpoints.
async fn verify(remote: &Remote, asked: &Verify) -> Result<Verified, Failure> {
    let mut faults = Vec::new();
    // Before the head: what is signed by then is in it.
    let mut anchors = anchors(remote, asked, &mut faults).await?;
    let HeadView { size, root } = remote.get("/v1/audit/head", &[]).await?;
    let bar = bar("verifying", "entries");
    let (mut tree, mut pruned, mut faults) = (Frontier::default(), 0_u64, faults);
    if let Some(since) = &asked.since {
        match before(remote, since, &anchors).await? {
            Some(before) => tree = before,
            None => faults.push(format!("what {} was signed for is not there any more", since.display())),
        }
    }
    let from = tree.size();
    faults.extend(anchors.iter_mut().filter_map(|anchor| anchor.compare(&tree)));
    let mut query = vec![("limit", PAGE.to_string()), ("from", from.to_string())];
    while tree.size() < size {
        let page: LeavesView = remote.get("/v1/audit/verify", &query).await?;
        if page.leaves.is_empty() {
            faults.push(format!("its head counts {size} entries, and it ends after {}", tree.size()));
            break;
        }
        pruned = pruned.saturating_add(page.pruned);
        for fault in page.faults {
            let fault = format!("{}: {}", fault.place, fault.what);
            if faults.len() < FAULTS_MAX && !faults.contains(&fault) {
                faults.push(fault);
            }
        }
        // Entries beyond the head came while we read.
        let wanted = usize::try_from(size.saturating_sub(tree.size())).unwrap_or(usize::MAX);
        for text in page.leaves.into_iter().take(wanted) {
            let mut leaf = Hash::default();
            // One that cannot be read is among the faults, and keeps its place in the tree.
            let _told = hex::decode_to_slice(text.unwrap_or_default(), &mut leaf);
            tree.push(leaf);
            faults.extend(anchors.iter_mut().filter_map(|anchor| anchor.compare(&tree)));
        }
        bar.tell(tree.size(), size);
        query = vec![("limit", PAGE.to_string()), ("after", page.next)];
    }
    let found = hex::encode(tree.root());
    if faults.is_empty() && found != root {
        faults.push(format!("its {size} entries hash to {found}, and its head says {root}"));
    }
    faults.extend(anchors.iter_mut().filter_map(|anchor| anchor.compare(&tree)));
    // What is older than --since was not met, and need not be.
    faults.extend(
        anchors.iter().filter(|anchor| anchor.checkpoint.size >= from).filter_map(|anchor| anchor.missing(size)),
    );
    let checkpoints = anchors
        .iter()
        .filter(|anchor| anchor.is_met)
        .map(|anchor| format!("{}, of {} entries", anchor.name, anchor.checkpoint.size));
    let checkpoints = checkpoints.collect();
    Ok(Verified {
        checkpoints,
        good: faults.is_empty(),
        from,
        entries: size,
        pruned,
        root,
        faults,
        by_hash_alone: None,
    })
}
