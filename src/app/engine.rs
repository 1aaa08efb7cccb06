//! What decides, as the admin listener asks it.

use crate::rules::Rule;
use crate::web::admin::Engine;
use crate::worker::Parts;

#[derive(Debug)]
pub(super) struct Deciding(pub(super) Parts);

impl Engine for Deciding {
    fn rules(&self) -> Vec<Rule> {
        self.0.roster.borrow().rules().to_vec()
    }
}
