//! The only place that knows the REST API of Zoom.
//!
//! [`ZoomClients`] is made once; it gives an [`AccountClient`] per app and account, and that a [`Handle`] per attempt, which
//! is a [`Zoom`]. A handle waits for its turn under the limits that all handles of the account share, sends, and turns
//! whatever comes back into a value or into a [`ZoomError`] that carries a decision. It does not repeat calls, save once
//! with a new token: trying again is the worker's.

mod answers;
mod client;
mod edit;
mod endpoint;
mod errors;
mod find;
mod health;
mod installed;
mod limits;
mod oauth;
mod observe;
mod paths;
mod port;
mod request;
mod settings;
mod stats;
mod throttled;
mod token;
mod told;
mod transport;

#[cfg(test)]
mod tests;

pub use client::{AccountClient, ClientError, Handle, ZoomClients};
pub use edit::{ASSISTANTS_MAX, CreateAction, Edit, GROUP_MEMBERS_AT_ONCE, Made, NewUser, Removal};
pub use endpoint::{Endpoint, Scopes};
pub use find::{find_pending, find_user};
pub use health::{Standing, Unanswered};
pub use installed::{Held, Installations, Renewed};
pub use limits::{per_second, plans_with};
pub use oauth::{Granted, OAuth, Refusal};
pub use observe::Observed;
pub use paths::{meeting_uuid, segment};
pub use port::{
    Assistant, Category, FailedDelivery, Group, Listed, Meeting, MeetingRow, MeetingStatus, Member, Object, Page, Role,
    Scheduler, Status, User, UserPage, Which, Zoom, ZoomError,
};
pub use settings::{Settings, SettingsError};
pub use stats::{StatsNow, ZoomStats};
pub(crate) use throttled::retry_after;
pub use token::{Access, Credentials};
pub use told::ToldLimit;
pub use transport::TlsError;
pub(crate) use transport::root_cause;
