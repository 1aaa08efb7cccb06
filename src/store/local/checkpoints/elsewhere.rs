//! The newest checkpoint in a file of its own, mostly on another machine's disk: written by a thread of its own, so that a disk
//! that hangs holds up no signing and no stop.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::clock::lock;

/// The thread ends when this goes.
#[derive(Debug)]
pub(super) struct Running(Arc<Elsewhere>);

#[derive(Debug)]
pub(super) struct Elsewhere {
    path: PathBuf,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// To be written.
    note: Option<String>,
    is_writing: bool,
    is_over: bool,
    trouble: Option<String>,
}

impl Running {
    pub(super) fn start(path: PathBuf) -> Self {
        let elsewhere = Arc::new(Elsewhere { path, state: Mutex::default(), changed: Condvar::new() });
        let own = Arc::clone(&elsewhere);
        // Not joined: it may hang.
        if let Err(error) = thread::Builder::new().name("store-elsewhere".to_owned()).spawn(move || own.run()) {
            let mut state = lock(&elsewhere.state);
            (state.is_over, state.trouble) = (true, Some(format!("no thread can be started: {error}")));
        }
        Self(elsewhere)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl std::ops::Deref for Running {
    type Target = Elsewhere;

    fn deref(&self) -> &Elsewhere {
        &self.0
    }
}

impl Elsewhere {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Why the newest is not there, if so.
    pub(super) fn trouble(&self) -> Option<String> {
        lock(&self.state).trouble.clone()
    }

    /// Puts a checkpoint there, in place of the one before. Waits so long for it.
    pub(super) fn keep(&self, note: String, patience: Duration) {
        let mut state = lock(&self.state);
        state.note = Some(note);
        self.changed.notify_all();
        let is_busy = |state: &mut State| (state.note.is_some() || state.is_writing) && !state.is_over;
        let waited = self.changed.wait_timeout_while(state, patience, is_busy);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
        if is_busy(&mut state) && state.trouble.is_none() {
            let path = self.path.display();
            tracing::error!(%path, "[store] checkpoint_file is still being written: its disk does not answer");
            state.trouble = Some(format!("{path}: its disk does not answer"));
        }
    }

    /// Nothing more is written.
    fn end(&self) {
        lock(&self.state).is_over = true;
        self.changed.notify_all();
    }

    fn run(&self) {
        loop {
            let mut state = lock(&self.state);
            while state.note.is_none() && !state.is_over {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            let Some(note) = state.note.take().filter(|_| !state.is_over) else { return };
            state.is_writing = true;
            drop(state);
            let written = self.write(&note);
            if let Err(error) = &written {
                let path = self.path.display();
                tracing::error!(%error, %path, "the checkpoint is not in [store] checkpoint_file; it is tried again with the next one");
            }
            let mut state = lock(&self.state);
            state.is_writing = false;
            state.trouble = written.err().map(|error| format!("{}: {error}", self.path.display()));
            drop(state);
            self.changed.notify_all();
        }
    }

    fn write(&self, note: &str) -> std::io::Result<()> {
        let mut aside = self.path.clone().into_os_string();
        aside.push(".tmp");
        let mut file = File::create(&aside)?;
        file.write_all(note.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&aside, &self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_does_not_answer_holds_up_nobody_and_is_told_until_it_answers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint");
        // A pipe that nobody reads, in the place of the file that is written aside.
        let pipe = folder.path().join("checkpoint.tmp");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let elsewhere = Running::start(path.clone());
        elsewhere.keep("one".to_owned(), Duration::ZERO);
        assert!(elsewhere.trouble().unwrap().contains("does not answer"));
        assert_eq!(std::fs::read_to_string(&pipe).unwrap(), "one");
        std::fs::remove_file(&pipe).unwrap();
        elsewhere.keep("two".to_owned(), Duration::from_secs(600));
        assert_eq!((std::fs::read_to_string(&path).unwrap().as_str(), elsewhere.trouble()), ("two", None));
        elsewhere.end();
        elsewhere.keep("three".to_owned(), Duration::from_secs(600));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "two");
    }
}
