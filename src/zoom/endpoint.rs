//! The calls that are made, in one table: method, path, rate-limit category and scopes.
//!
//! Source: Zoom's Users and Meetings specifications (rate-limit label and scopes of each operation).

use std::collections::BTreeSet;

use reqwest::Method;

use super::paths;
use super::port::Category;

/// One operation of Zoom's REST API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Endpoint {
    GetUser,
    ListUsers,
    ListAssistants,
    ListSchedulers,
    AddAssistant,
    GetMeeting,
    UpdateMeeting,
}

/// The scopes of a call: an app has either granular or classic ones, and one of the two is enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scopes {
    pub granular: &'static str,
    pub classic: &'static str,
}

impl Scopes {
    /// Whether a token with these scopes may make the call for any user of its account.
    pub fn is_granted_by(&self, granted: &BTreeSet<String>) -> bool {
        // Zoom lists `user:write:admin` beside `user:read:admin` for every read of users.
        let wider = if self.classic == "user:read:admin" { "user:write:admin" } else { self.classic };
        let master = |scope: &str| scope.strip_suffix(":admin").map(|stem| format!("{stem}:master"));
        [self.granular, self.classic, wider]
            .into_iter()
            .any(|scope| granted.contains(scope) || master(scope).is_some_and(|master| granted.contains(&master)))
    }
}

impl Endpoint {
    pub const ALL: [Self; 7] = [
        Self::GetUser,
        Self::ListUsers,
        Self::ListAssistants,
        Self::ListSchedulers,
        Self::AddAssistant,
        Self::GetMeeting,
        Self::UpdateMeeting,
    ];

    pub fn method(self) -> Method {
        match self {
            Self::GetUser | Self::ListUsers | Self::ListAssistants | Self::ListSchedulers | Self::GetMeeting => {
                Method::GET
            }
            Self::AddAssistant => Method::POST,
            Self::UpdateMeeting => Method::PATCH,
        }
    }

    /// The path below the API's base; `{id}` stands for what the call is about.
    pub const fn template(self) -> &'static str {
        match self {
            Self::GetUser => "/users/{id}",
            Self::ListUsers => "/users",
            Self::ListAssistants | Self::AddAssistant => "/users/{id}/assistants",
            Self::ListSchedulers => "/users/{id}/schedulers",
            Self::GetMeeting | Self::UpdateMeeting => "/meetings/{id}",
        }
    }

    pub const fn category(self) -> Category {
        match self {
            Self::GetUser | Self::GetMeeting | Self::UpdateMeeting => Category::Light,
            Self::ListUsers | Self::ListAssistants | Self::ListSchedulers | Self::AddAssistant => Category::Medium,
        }
    }

    pub const fn scopes(self) -> Scopes {
        let (granular, classic) = match self {
            Self::GetUser => ("user:read:user:admin", "user:read:admin"),
            Self::ListUsers => ("user:read:list_users:admin", "user:read:admin"),
            Self::ListAssistants => ("user:read:list_assistants:admin", "user:read:admin"),
            Self::ListSchedulers => ("user:read:list_schedulers:admin", "user:read:admin"),
            Self::AddAssistant => ("user:write:assistant:admin", "user:write:admin"),
            Self::GetMeeting => ("meeting:read:meeting:admin", "meeting:read:admin"),
            Self::UpdateMeeting => ("meeting:update:meeting:admin", "meeting:write:admin"),
        };
        Scopes { granular, classic }
    }

    /// Whether the call changes something at Zoom, so that it needs an intent.
    pub const fn is_change(self) -> bool {
        matches!(self, Self::AddAssistant | Self::UpdateMeeting)
    }

    pub(super) const fn is_about_meeting(self) -> bool {
        matches!(self, Self::GetMeeting | Self::UpdateMeeting)
    }

    /// The path of one call, with `id` escaped so that it is one segment whatever it holds.
    pub(super) fn path(self, id: &str) -> String {
        match self.template().split_once("{id}") {
            Some((before, after)) => format!("{before}{}{after}", paths::segment(id)),
            None => self.template().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn granted(scopes: &str) -> BTreeSet<String> {
        scopes.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn a_call_is_granted_by_granular_classic_wider_or_master_scopes_and_by_nothing_else() {
        let read = Endpoint::GetUser.scopes();
        for enough in [
            "user:read:user:admin",
            "a user:read:admin b",
            "user:write:admin",
            "user:read:user:master",
            "user:read:master",
        ] {
            assert!(read.is_granted_by(&granted(enough)), "{enough}");
        }
        for short in ["", "user:read", "user:read:user", "user:read:list_users:admin", "meeting:read:admin"] {
            assert!(!read.is_granted_by(&granted(short)), "{short}");
        }
        assert!(!Endpoint::AddAssistant.scopes().is_granted_by(&granted("user:read:admin")));
        assert!(!Endpoint::UpdateMeeting.scopes().is_granted_by(&granted("meeting:read:admin")));
    }

    #[test]
    fn only_calls_that_do_not_read_are_changes() {
        for endpoint in Endpoint::ALL {
            assert_eq!(endpoint.is_change(), endpoint.method() != Method::GET, "{endpoint:?}");
        }
    }
}
