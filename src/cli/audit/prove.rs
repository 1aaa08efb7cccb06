//! `adjutant audit checkpoint`, `key`, `prove`, `verify-proof`

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use crate::audit::leaf::{Disclosed, Leaf};
use crate::audit::note::{Verifier, Verifiers};
use crate::audit::proof::{BYTES_MAX, Proof};
use crate::audit::tree::leaf_hash;
use crate::audit::{Detail, Entry};
use crate::cli::out::{Out, count};
use crate::cli::private;
use crate::cli::remote::{Remote, Where};
use crate::cli::{Context, Exit, Failure};
use crate::store::local::entry_of_leaf;
use crate::web::admin::view::{CheckpointView, EntryView, ProofView};

#[derive(Debug, Args)]
pub(in crate::cli) struct Checkpoint {
    /// Write it to this file, and not to standard output: replaced as a whole, and as it was where there is a failure
    #[arg(short, long, value_name = "FILE", conflicts_with = "json")]
    output: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Where,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Key {
    /// Sign with another key from now on. What was signed before verifies as ever, and the checkpoint of now is signed by both
    #[arg(long)]
    change: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Where,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Prove {
    /// The entry's place in the log, from 0
    index: u64,
    /// Write it to this file, and not to standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write to this file what of the entry may name a person, for whoever is to see that and to check it
    #[arg(long, value_name = "FILE")]
    detail: Option<PathBuf>,
    #[command(flatten)]
    place: Where,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct VerifyProof {
    /// What `audit prove` wrote; - reads standard input
    file: PathBuf,
    /// The key of the log, as `audit key` printed it: from whoever runs it, and not from whoever sent the proof. More than one
    /// where it was changed, one a line or each with a `--key` of its own
    #[arg(long, required = true)]
    key: Vec<Verifiers>,
    /// The detail of the entry, as `audit prove --detail` wrote it
    #[arg(long, value_name = "FILE")]
    detail: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

async fn newest(context: &Context, place: Where) -> Result<CheckpointView, Failure> {
    let remote = Remote::open(context, place).await?;
    let view = remote.get("/v1/audit/checkpoint", &[]).await?;
    remote.close().await?;
    Ok(view)
}

pub(super) async fn checkpoint(context: &Context, asked: Checkpoint, out: &mut Out) -> Result<Exit, Failure> {
    let view = newest(context, asked.place).await?;
    if asked.json {
        out.json(&view)?;
    }
    if let Some(trouble) = view.trouble {
        return Err(Failure::new(Exit::Failed, format!("no checkpoint is signed any more: {trouble}")));
    }
    let Some(note) = view.checkpoint else {
        return Err(Failure::new(Exit::Failed, "there is no checkpoint yet: nothing was entered in the log"));
    };
    match asked.output {
        None if asked.json => {}
        None => out.line(note.trim_end_matches('\n'))?,
        Some(path) => {
            let failed = |error| Failure::new(Exit::Io, format!("cannot write {}: {error}", path.display()));
            private::put(&path, &note).map_err(failed)?;
        }
    }
    Ok(Exit::Good)
}

pub(super) async fn key(context: &Context, asked: Key, out: &mut Out) -> Result<Exit, Failure> {
    let view = if asked.change {
        let remote = Remote::open(context, asked.place).await?;
        let view: CheckpointView = remote.post("/v1/audit/key", &[]).await?;
        remote.close().await?;
        view
    } else {
        newest(context, asked.place).await?
    };
    if asked.json {
        out.json(&view.keys)?;
        return Ok(Exit::Good);
    }
    for key in &view.keys {
        out.line(key)?;
    }
    Ok(Exit::Good)
}

pub(super) async fn prove(context: &Context, asked: Prove, out: &mut Out) -> Result<Exit, Failure> {
    let Prove { index, output, detail, place } = asked;
    let remote = Remote::open(context, place).await?;
    let view: ProofView = remote.get(&format!("/v1/audit/proofs/{index}"), &[]).await?;
    remote.close().await?;
    if let Some(path) = detail {
        let shown = view.detail.ok_or_else(|| {
            Failure::new(
                Exit::Failed,
                format!("entry {index} has no detail, or that was forgotten: its proof says all"),
            )
        })?;
        let text = serde_json::to_string(&shown).unwrap_or_default();
        let failed = |error| Failure::new(Exit::Io, format!("cannot write {}: {error}", path.display()));
        private::put(&path, &(text + "\n")).map_err(failed)?;
    }
    match output {
        None => out.line(view.proof.trim_end_matches('\n'))?,
        Some(path) => {
            let failed = |error| Failure::new(Exit::Io, format!("cannot write {}: {error}", path.display()));
            std::fs::write(&path, &view.proof).map_err(failed)?;
            out.line(format!("wrote what proves entry {index} to {}", path.display()))?;
        }
    }
    Ok(Exit::Good)
}

/// What a good proof says.
#[derive(Debug, Serialize)]
struct Proved {
    good: bool,
    log: String,
    index: u64,
    /// Of the log as it was signed.
    entries: u64,
    /// None where only the leaf of the entry is left: it was forgotten.
    entry: Option<EntryView>,
}

fn read(path: &Path) -> Result<String, Failure> {
    let failed = |error: std::io::Error| Failure::new(Exit::Io, format!("cannot read {}: {error}", path.display()));
    let limit = u64::try_from(BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin().lock().take(limit).read_to_string(&mut text)
    } else {
        std::fs::File::open(path).map_err(failed)?.take(limit).read_to_string(&mut text)
    };
    read.map_err(failed)?;
    Ok(text)
}

pub(super) fn verify(asked: &VerifyProof, out: &mut Out) -> Result<Exit, Failure> {
    let wrong = |why: String| Failure::new(Exit::Failed, format!("the proof does not hold: {why}"));
    let proof = Proof::parse(&read(&asked.file)?).map_err(|error| wrong(error.to_string()))?;
    if proof.extra.is_empty() {
        return Err(wrong("it has no entry: only its leaf was left in the log, since it was forgotten".to_owned()));
    }
    let keys: Vec<Verifier> = asked.key.iter().flat_map(|keys| keys.0.clone()).collect();
    let checkpoint = proof.verify(&leaf_hash(&proof.extra), &keys).map_err(|error| wrong(error.to_string()))?;
    let mut entry = entry_of_leaf(proof.index, &proof.extra);
    if let Some(path) = &asked.detail {
        let shown: Disclosed =
            serde_json::from_str(&read(path)?).map_err(|error| wrong(format!("the detail: {error}")))?;
        let is_its = Leaf::read(&proof.extra).is_some_and(|leaf| shown.is_of(&leaf));
        let detail = serde_json::from_str(&shown.detail).ok().filter(|_| is_its);
        let detail: Detail = detail.ok_or_else(|| wrong("the detail is not that of the entry".to_owned()))?;
        entry = entry.map(|entry| Entry { detail: Some(detail), ..entry });
    }
    let entry = entry.map(EntryView::from);
    let proved = Proved { good: true, log: checkpoint.origin, index: proof.index, entries: checkpoint.size, entry };
    if asked.json {
        out.json(&proved)?;
        return Ok(Exit::Good);
    }
    let of = count(proved.entries, "entry", "entries");
    out.line(format!("the proof holds: entry {} is in log {}, among the first {of}", proved.index, proved.log))?;
    match &proved.entry {
        Some(entry) => super::show(entry, false, out),
        None => Ok(Exit::Good),
    }
}
