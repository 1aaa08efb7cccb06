//! The first start of a store that was restored behind its own log.

use crate::accounts::Accounts;
use crate::audit::checkpoint::Checkpoint;
use crate::audit::{Detail, Kind};
use crate::breakpoint;
use crate::clock::Timestamp;
use crate::store::{LocalStore, Note, Store as _, StoreError};

/// What a restore with another log leaves to the first start: it is entered, and installed accounts are authorised again.
pub(super) async fn enter(local: &LocalStore, accounts: &Accounts, now: Timestamp) -> Result<(), StoreError> {
    let Some(last) = local.begun_anew()? else { return Ok(()) };
    let before = match Checkpoint::parse_note(&last) {
        Some(Checkpoint { origin, size, root }) => {
            format!(
                "of the log before it, {origin}, the last checkpoint that is known covers {size} entries, root {}",
                hex::encode(root)
            )
        }
        None => "the log before it had no checkpoint".to_owned(),
    };
    let why = "the store was restored from a backup, and what it kept may be used up";
    let count = accounts.lose_all(why).await?;
    let detail = Detail::note(format!(
        "a log of another name begins with a restored backup; {before}; installations to be authorised again: {count}"
    ));
    local.note(Note { kind: Kind::Service, app: None, account: None, code: "new-log".to_owned(), detail }, now).await?;
    breakpoint::reached("new-log-entered");
    local.anew_entered()
}
