//! What others change back again and again is a person's to settle: what that is, and who does it.

use sha2::{Digest as _, Sha256};

use super::judge::{Difference, in_words};
use super::{End, Ended, Task};
use crate::event::wire;
use crate::job::{Asker, Mark, ParkCause};

/// Tells what is changed to what from everything else that is changed of a subject.
pub(super) fn mark(difference: &Difference) -> Mark {
    // Encoding plain data into memory has nothing that could fail.
    let whole = serde_json::to_vec(&(&difference.about, &difference.wanted)).unwrap_or_default();
    let hash: [u8; 32] = Sha256::digest(whole).into();
    hash.first_chunk().copied().unwrap_or_default()
}

impl Task<'_> {
    /// The end of an attempt at what was changed back too often. `askers` asked for it each time: the first because it was not
    /// so yet, each later one because it was not so any more.
    pub(super) async fn contested(&self, differences: &[Difference], marks: &[Mark], askers: &[Asker]) -> Ended<End> {
        let contested: Vec<Difference> = differences.iter().filter(|one| marks.contains(&mark(one))).cloned().collect();
        let mut who: Vec<String> = Vec::new();
        // Whoever asks for a recovery has deleted, also the first.
        for asker in askers.iter().skip(usize::from(!self.rule.recovers())).chain([&self.job.asked_by]) {
            if let Some(name) = self.operator(*asker).await?
                && !who.contains(&name)
            {
                who.push(name);
            }
        }
        Ok(End::park(ParkCause::Contested { what: in_words(&contested), who }))
    }

    async fn operator(&self, asker: Asker) -> Ended<Option<String>> {
        let Asker::Delivery(id) = asker else { return Ok(None) };
        let delivery = self.ctx.store.delivery(id).await?;
        Ok(delivery.and_then(|(delivery, _)| wire::operator(delivery.verified.as_ref()?)))
    }
}
