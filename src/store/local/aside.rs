//! Small values that others keep beside the store: each a sealed file that is replaced as a whole. They are no part of what
//! must not be lost, so no backup has them: whoever reads one that is gone or damaged begins anew.

use std::sync::Arc;

use super::LocalStore;
use super::place;
use super::seal::Purpose;
use crate::store::port::StoreError;

fn file(name: &str) -> String {
    format!("aside-{name}")
}

impl LocalStore {
    /// Keeps these bytes under a name, on disk when this returns: the old ones or these, whatever happens.
    pub async fn keep_aside(&self, name: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        let (core, name) = (Arc::clone(self.core()), file(name));
        let written = self.core().apart(move || {
            let sealed = core.keys.store().seal(Purpose::Aside, &[&bytes], core.keys.chance());
            place::replace(core.files.as_ref(), &name, &sealed)
        });
        written.await?.map_err(|error| StoreError::Failed(format!("cannot write a file beside the store: {error}")))
    }

    /// What was kept under the name, if it is there as it was written.
    pub async fn kept_aside(&self, name: &str) -> Option<Vec<u8>> {
        let (core, name) = (Arc::clone(self.core()), file(name));
        let read = self.core().apart(move || {
            let sealed = place::read(core.files.as_ref(), &name).ok()??;
            core.keys.open_blob(Purpose::Aside, &sealed)
        });
        read.await.ok()?
    }
}
