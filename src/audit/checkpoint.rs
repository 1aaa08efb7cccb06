//! The signed head of the log: C2SP `tlog-checkpoint`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::note::{self, NoteError, Signer, Verifier};
use super::tree::Hash;

/// How long the log is, and the root of its tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log.
    pub origin: String,
    pub size: u64,
    pub root: Hash,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    #[error("the checkpoint: {0}")]
    Note(#[from] NoteError),
    #[error("the checkpoint is malformed: {0}")]
    Malformed(&'static str),
}

impl Checkpoint {
    fn to_text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root))
    }

    pub fn sign(&self, by: &[&Signer]) -> String {
        note::sign(&self.to_text(), by)
    }

    /// One that is signed by one of these keys.
    pub fn open(note: &str, keys: &[Verifier]) -> Result<Self, CheckpointError> {
        Self::parse(note::open(note, keys)?)
    }

    /// One that is signed by some of these keys, and by nobody else.
    pub fn open_whole(note: &str, keys: &[Verifier]) -> Result<Self, CheckpointError> {
        Self::parse(note::open_whole(note, keys)?)
    }

    /// That a note is one of a checkpoint, whoever signed it.
    pub fn check_form(note: &str) -> Result<(), CheckpointError> {
        match note::open(note, &[]) {
            Err(NoteError::Unsigned) | Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        let (text, _) = note.split_once("\n\n").unwrap_or_default();
        Self::parse(&format!("{text}\n")).map(drop)
    }

    /// That of a note, whoever signed it.
    pub fn parse_note(note: &str) -> Option<Self> {
        let (text, _) = note.split_once("\n\n")?;
        Self::parse(&format!("{text}\n")).ok()
    }

    /// The text of one, whoever signed it. Lines that extend it are none of ours.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let wrong = CheckpointError::Malformed;
        let mut lines = text.split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
            return Err(wrong("it has not three lines"));
        };
        let read = Self {
            origin: origin.to_owned(),
            size: size.parse().map_err(|_| wrong("its size is no number"))?,
            root: STANDARD
                .decode(root)
                .ok()
                .and_then(|root| root.try_into().ok())
                .ok_or(wrong("its root is no hash"))?,
        };
        if origin.is_empty() || read.size.to_string() != size || !text.ends_with('\n') {
            return Err(wrong("it is not written as one is"));
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_reads_back_as_it_was_signed_and_not_otherwise() {
        let signer = Signer::from_seed("example.com/log", &[3; 32]).unwrap();
        let checkpoint = Checkpoint { origin: "example.com/log".to_owned(), size: 70_000, root: [9; 32] };
        let note = checkpoint.sign(&[&signer]);
        assert!(note.starts_with("example.com/log\n70000\nCQkJ"), "{note}");
        assert_eq!(Checkpoint::open(&note, &[signer.verifier()]), Ok(checkpoint));
        assert!(Checkpoint::open(&note.replace("70000", "70001"), &[signer.verifier()]).is_err());
        assert_eq!(Checkpoint::check_form(&note), Ok(()));
        for cut in [0, 10, 30, note.len() - 40, note.len() - 1] {
            assert!(Checkpoint::check_form(&note[..cut]).is_err(), "{}", &note[..cut]);
        }
        for wrong in ["a\n1\n", "a\n01\nCQkJ\n", "\n1\nCQkJ\n", "a\n-1\nx\n", "a\n1\nnot a hash\n"] {
            assert!(Checkpoint::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
