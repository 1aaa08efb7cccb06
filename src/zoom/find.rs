//! A user, wherever in an account: Zoom may not show somebody who is pending by the email \[F].

use super::port::{Page, Status, User, Zoom, ZoomError};
use crate::account::UserKey;

/// Pages of pending users in which somebody is looked for.
const PAGES_MAX: usize = 100;
const PAGE_ROWS: u32 = 300;

/// Also among those who are pending; [`ZoomError::NotFound`] where there is nobody.
pub async fn find_user(zoom: &dyn Zoom, key: &UserKey) -> Result<User, ZoomError> {
    match zoom.user(key).await {
        Err(error @ ZoomError::NotFound(_)) => find_pending(zoom, key).await?.ok_or(error),
        answered => answered,
    }
}

/// Among those who are pending alone. Who is not on a list that was cut short may be there: that is an error.
pub async fn find_pending(zoom: &dyn Zoom, key: &UserKey) -> Result<Option<User>, ZoomError> {
    let mut token = None;
    for _ in 0..PAGES_MAX {
        let page = zoom.users(Status::Pending, Page { size: PAGE_ROWS, token }).await?;
        let found = page.users.into_iter().find(|user| key.is(user.id.as_ref(), user.email.as_ref()));
        token = page.next;
        if found.is_some() || token.is_none() {
            return Ok(found);
        }
    }
    Err(ZoomError::Transient(format!("the account has more pending users than {PAGES_MAX} pages of the list hold")))
}
