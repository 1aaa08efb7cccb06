//! A checkpoint in each form. Its note is in it as a text, as whoever verifies the log wants it. Pure.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Format, ocsf};
use crate::audit::checkpoint::Checkpoint;
use crate::clock::Timestamp;

/// A signed head of the log.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    /// As the store counts them.
    pub number: u64,
    /// As it was signed.
    pub note: &'a str,
    pub checkpoint: &'a Checkpoint,
    /// When the last entry that it covers was entered.
    pub at: Option<Timestamp>,
}

impl Head<'_> {
    /// The same for ever. Another note under the same number, as of a store that was rolled back, has another.
    fn id(&self) -> String {
        let hash: [u8; 32] = Sha256::digest(self.note.as_bytes()).into();
        let hash = hex::encode(hash.get(..8).unwrap_or_default());
        format!("{}/checkpoint/{}/{hash}", self.checkpoint.origin, self.number)
    }

    fn raw(&self) -> Value {
        let Self { number, note, checkpoint: Checkpoint { origin, size, root }, at } = self;
        let (root, at) = (hex::encode(root), at.map(|at| at.to_string()));
        json!({
            "kind": "checkpoint", "number": number, "at": at, "origin": origin, "size": size, "root": root, "note": note,
        })
    }
}

impl Format {
    pub fn write_checkpoint(self, head: &Head<'_>) -> Value {
        let Checkpoint { origin, size, .. } = head.checkpoint;
        match self {
            Self::Raw => head.raw(),
            Self::CloudEvents => {
                let mut event = json!({
                    "specversion": "1.0", "id": head.id(), "source": origin, "type": "adjutant.audit.checkpoint.v1",
                    "datacontenttype": "application/json", "data": head.raw(),
                });
                if let (Some(at), Some(event)) = (head.at, event.as_object_mut()) {
                    event.insert("time".to_owned(), at.to_string().into());
                }
                event
            }
            Self::Ocsf => ocsf::base(
                "checkpoint signed",
                &format!("checkpoint {} of {origin} covers {size} entries", head.number),
                (&head.id(), origin, head.at.unwrap_or_default()),
                &head.raw(),
            ),
        }
    }
}
