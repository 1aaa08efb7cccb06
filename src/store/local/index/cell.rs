//! The index as the rest of the store has it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::thread::Thread;

use super::{Broken, Index};
use crate::clock::{Timestamp, lock};
use crate::store::local::dedupe::{Before, Question};
use crate::store::local::seal::Fingerprint;
use crate::store::local::trouble::Trouble;
use crate::store::port::IndexTrouble;
use crate::store::wide;

/// The index as the rest of the store has it: there, or being made.
#[derive(Debug, Default)]
pub(in crate::store::local) struct IndexCell {
    index: RwLock<Option<Arc<Index>>>,
    /// Set by whoever found it broken: makes the applier build it anew.
    broken: Mutex<Option<String>>,
    /// Why there is none.
    trouble: Mutex<Option<Trouble>>,
    /// Operations that wait for the applier.
    pub(in crate::store::local) waiting: AtomicU64,
    /// How many wait until it has caught up.
    readers: AtomicU64,
    /// The thread to wake for them.
    applier: OnceLock<Thread>,
}

/// As long as it lives the applier gathers nothing.
#[derive(Debug)]
pub(in crate::store::local) struct Hurry<'a>(&'a IndexCell);

impl Drop for Hurry<'_> {
    fn drop(&mut self) {
        self.0.readers.fetch_sub(1, Ordering::AcqRel);
    }
}

impl IndexCell {
    fn put(&self, index: Option<Arc<Index>>) {
        *self.index.write().unwrap_or_else(PoisonError::into_inner) = index;
    }

    pub(in crate::store::local) fn set(&self, index: Arc<Index>) {
        self.put(Some(index));
        if lock(&self.trouble).take().is_some() {
            tracing::info!("the index is there again");
        }
    }

    /// The store ends.
    pub(in crate::store::local) fn let_go(&self) {
        self.put(None);
    }

    /// There is none from now on, until it was made anew.
    pub(in crate::store::local) fn lose(&self, why: String, now: Timestamp) {
        self.put(None);
        lock(&self.trouble).get_or_insert_with(|| Trouble::new(why, now));
    }

    /// It could not be made anew.
    pub(in crate::store::local) fn fail(&self, why: &str, now: Timestamp) {
        let mut trouble = lock(&self.trouble);
        let trouble = trouble.get_or_insert_with(|| Trouble::new(why.to_owned(), now));
        if trouble.failed(why, now) {
            tracing::error!(why, "the index cannot be built: old deliveries are not listed; it is tried again");
        }
    }

    /// Whether it is to be made anew now.
    pub(in crate::store::local) fn is_due(&self, now: Timestamp) -> bool {
        lock(&self.trouble).as_ref().is_some_and(|trouble| trouble.is_due(now))
    }

    /// Why there is none; nothing where there is one.
    pub(in crate::store::local) fn trouble(&self) -> Option<IndexTrouble> {
        lock(&self.trouble).as_ref().map(Trouble::told)
    }

    pub(in crate::store::local) fn get(&self) -> Option<Arc<Index>> {
        self.index.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks the index; none where it is not there or turns out to be broken.
    pub(in crate::store::local) fn ask<T>(&self, what: impl FnOnce(&Index) -> Result<T, Broken>) -> Option<T> {
        match what(self.get()?.as_ref()) {
            Ok(answer) => Some(answer),
            Err(Broken(why)) => {
                self.found_broken(&why);
                None
            }
        }
    }

    pub(in crate::store::local) fn found_broken(&self, why: &str) {
        let mut broken = lock(&self.broken);
        if broken.is_none() {
            tracing::warn!(why, "the index is unusable and will be built anew");
            *broken = Some(why.to_owned());
        }
    }

    /// Why it is to be built anew, if it is; whoever asks does so.
    pub(in crate::store::local) fn take_broken(&self) -> Option<String> {
        lock(&self.broken).take()
    }

    /// Reads a file; none also where there is no index.
    pub(in crate::store::local) fn lookup(&self, question: Question, print: &Fingerprint) -> Option<Before> {
        self.ask(|index| index.prints.lookup(question.generation, question.what, print)).flatten()
    }

    /// Said by the applier, once.
    pub(in crate::store::local) fn applied_by_this_thread(&self) {
        self.applier.get_or_init(std::thread::current);
    }

    pub(in crate::store::local) fn hurry(&self) -> Hurry<'_> {
        self.readers.fetch_add(1, Ordering::AcqRel);
        if let Some(applier) = self.applier.get() {
            applier.unpark();
        }
        Hurry(self)
    }

    pub(in crate::store::local) fn nobody_waits(&self) -> bool {
        self.readers.load(Ordering::Acquire) == 0
    }

    pub(in crate::store::local) fn note_waiting(&self, ops: usize) {
        self.waiting.fetch_add(wide(ops), Ordering::Relaxed);
    }
}
