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
    CreateUser,
    RemoveUser,
    UpdateUserStatus,
    ListUsers,
    ListAssistants,
    ListSchedulers,
    AddAssistants,
    RemoveAssistant,
    RemoveAssistants,
    RemoveScheduler,
    RemoveSchedulers,
    UpdateUser,
    GetUserSettings,
    UpdateUserSettings,
    GetAccountSettings,
    ListGroups,
    ListGroupMembers,
    AddGroupMembers,
    RemoveGroupMember,
    ListMeetings,
    CreateMeeting,
    GetMeeting,
    UpdateMeeting,
    DeleteMeeting,
    UpdateMeetingStatus,
    ListWebhookLogs,
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
        // Zoom lists the classic scope to write beside the one to read for every read of users and of groups [D].
        let wider = match self.classic {
            "user:read:admin" => "user:write:admin",
            "group:read:admin" => "group:write:admin",
            same => same,
        };
        let master = |scope: &str| scope.strip_suffix(":admin").map(|stem| format!("{stem}:master"));
        [self.granular, self.classic, wider]
            .into_iter()
            .any(|scope| granted.contains(scope) || master(scope).is_some_and(|master| granted.contains(&master)))
    }
}

impl Endpoint {
    pub const ALL: [Self; 27] = [
        Self::GetUser,
        Self::CreateUser,
        Self::RemoveUser,
        Self::UpdateUserStatus,
        Self::ListUsers,
        Self::ListAssistants,
        Self::ListSchedulers,
        Self::AddAssistants,
        Self::RemoveAssistant,
        Self::RemoveAssistants,
        Self::RemoveScheduler,
        Self::RemoveSchedulers,
        Self::UpdateUser,
        Self::GetUserSettings,
        Self::UpdateUserSettings,
        Self::GetAccountSettings,
        Self::ListGroups,
        Self::ListGroupMembers,
        Self::AddGroupMembers,
        Self::RemoveGroupMember,
        Self::ListMeetings,
        Self::CreateMeeting,
        Self::GetMeeting,
        Self::UpdateMeeting,
        Self::DeleteMeeting,
        Self::UpdateMeetingStatus,
        Self::ListWebhookLogs,
    ];

    pub fn method(self) -> Method {
        match self {
            Self::CreateUser | Self::AddAssistants | Self::AddGroupMembers | Self::CreateMeeting => Method::POST,
            Self::UpdateUser | Self::UpdateUserSettings | Self::UpdateMeeting => Method::PATCH,
            Self::UpdateUserStatus | Self::UpdateMeetingStatus => Method::PUT,
            Self::RemoveUser
            | Self::RemoveAssistant
            | Self::RemoveAssistants
            | Self::RemoveScheduler
            | Self::RemoveSchedulers
            | Self::RemoveGroupMember
            | Self::DeleteMeeting => Method::DELETE,
            _ => Method::GET,
        }
    }

    /// The path below the API's base; each `{id}` stands for one id of what the call is about.
    pub const fn template(self) -> &'static str {
        match self {
            Self::GetUser | Self::UpdateUser | Self::RemoveUser => "/users/{id}",
            Self::ListUsers | Self::CreateUser => "/users",
            Self::UpdateUserStatus => "/users/{id}/status",
            Self::ListAssistants | Self::AddAssistants | Self::RemoveAssistants => "/users/{id}/assistants",
            Self::RemoveAssistant => "/users/{id}/assistants/{id}",
            Self::ListSchedulers | Self::RemoveSchedulers => "/users/{id}/schedulers",
            Self::RemoveScheduler => "/users/{id}/schedulers/{id}",
            Self::GetUserSettings | Self::UpdateUserSettings => "/users/{id}/settings",
            // `me` is the account of the token here, whatever kind of app it is [M]; it never is a user.
            Self::GetAccountSettings => "/accounts/me/settings",
            Self::ListGroups => "/groups",
            Self::ListGroupMembers | Self::AddGroupMembers => "/groups/{id}/members",
            Self::RemoveGroupMember => "/groups/{id}/members/{id}",
            Self::ListMeetings | Self::CreateMeeting => "/users/{id}/meetings",
            Self::GetMeeting | Self::UpdateMeeting | Self::DeleteMeeting => "/meetings/{id}",
            Self::UpdateMeetingStatus => "/meetings/{id}/status",
            Self::ListWebhookLogs => "/marketplace/apps/{id}/webhook_logs",
        }
    }

    /// Zoom's label \[D], but for the settings of an account \[M].
    pub const fn category(self) -> Category {
        match self {
            Self::GetUser
            | Self::CreateUser
            | Self::RemoveUser
            | Self::UpdateUserStatus
            | Self::UpdateUser
            | Self::RemoveAssistant
            | Self::RemoveAssistants
            | Self::RemoveScheduler
            | Self::RemoveSchedulers
            | Self::RemoveGroupMember
            | Self::GetMeeting
            | Self::UpdateMeeting
            | Self::DeleteMeeting
            | Self::UpdateMeetingStatus => Category::Light,
            Self::ListUsers
            | Self::ListAssistants
            | Self::ListSchedulers
            | Self::AddAssistants
            | Self::GetUserSettings
            | Self::UpdateUserSettings
            | Self::GetAccountSettings
            | Self::ListGroups
            | Self::ListGroupMembers
            | Self::AddGroupMembers
            | Self::ListMeetings
            | Self::CreateMeeting
            | Self::ListWebhookLogs => Category::Medium,
        }
    }

    pub const fn scopes(self) -> Scopes {
        let (granular, classic) = match self {
            Self::GetUser => ("user:read:user:admin", "user:read:admin"),
            Self::CreateUser => ("user:write:user:admin", "user:write:admin"),
            Self::RemoveUser => ("user:delete:user:admin", "user:write:admin"),
            Self::UpdateUserStatus => ("user:update:status:admin", "user:write:admin"),
            Self::ListUsers => ("user:read:list_users:admin", "user:read:admin"),
            Self::ListAssistants => ("user:read:list_assistants:admin", "user:read:admin"),
            Self::ListSchedulers => ("user:read:list_schedulers:admin", "user:read:admin"),
            Self::AddAssistants => ("user:write:assistant:admin", "user:write:admin"),
            Self::RemoveAssistant | Self::RemoveAssistants => ("user:delete:assistant:admin", "user:write:admin"),
            Self::RemoveScheduler | Self::RemoveSchedulers => ("user:delete:scheduler:admin", "user:write:admin"),
            Self::UpdateUser => ("user:update:user:admin", "user:write:admin"),
            Self::GetUserSettings => ("user:read:settings:admin", "user:read:admin"),
            Self::UpdateUserSettings => ("user:update:settings:admin", "user:write:admin"),
            // From memory [M].
            Self::GetAccountSettings => ("account:read:settings:admin", "account:read:admin"),
            Self::ListGroups => ("group:read:list_groups:admin", "group:read:admin"),
            Self::ListGroupMembers => ("group:read:list_members:admin", "group:read:admin"),
            Self::AddGroupMembers => ("group:write:member:admin", "group:write:admin"),
            Self::RemoveGroupMember => ("group:delete:member:admin", "group:write:admin"),
            Self::ListMeetings => ("meeting:read:list_meetings:admin", "meeting:read:admin"),
            Self::CreateMeeting => ("meeting:write:meeting:admin", "meeting:write:admin"),
            Self::GetMeeting => ("meeting:read:meeting:admin", "meeting:read:admin"),
            Self::UpdateMeeting => ("meeting:update:meeting:admin", "meeting:write:admin"),
            Self::DeleteMeeting => ("meeting:delete:meeting:admin", "meeting:write:admin"),
            Self::UpdateMeetingStatus => ("meeting:update:status:admin", "meeting:write:admin"),
            // The only name that is documented for it; a granular one is not known.
            Self::ListWebhookLogs => ("marketplace_app:read:admin", "marketplace_app:read:admin"),
        };
        Scopes { granular, classic }
    }

    /// Whether the call changes something at Zoom, so that it needs an intent.
    pub const fn is_change(self) -> bool {
        matches!(
            self,
            Self::CreateUser
                | Self::RemoveUser
                | Self::UpdateUserStatus
                | Self::AddAssistants
                | Self::RemoveAssistant
                | Self::RemoveAssistants
                | Self::RemoveScheduler
                | Self::RemoveSchedulers
                | Self::UpdateUser
                | Self::UpdateUserSettings
                | Self::AddGroupMembers
                | Self::RemoveGroupMember
                | Self::CreateMeeting
                | Self::UpdateMeeting
                | Self::DeleteMeeting
                | Self::UpdateMeetingStatus
        )
    }

    pub(super) const fn is_about_meeting(self) -> bool {
        matches!(
            self,
            Self::CreateMeeting
                | Self::GetMeeting
                | Self::UpdateMeeting
                | Self::DeleteMeeting
                | Self::UpdateMeetingStatus
        )
    }

    /// The path of one call, with each id escaped so that it is one segment whatever it holds.
    pub(super) fn path(self, ids: &[&str]) -> String {
        let mut ids = ids.iter();
        let parts = self.template().split('/').map(|part| match part {
            "{id}" => ids.next().map(|id| paths::segment(id)).unwrap_or_default(),
            fixed => fixed.to_owned(),
        });
        parts.collect::<Vec<_>>().join("/")
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
        assert!(!Endpoint::AddAssistants.scopes().is_granted_by(&granted("user:read:admin")));
        assert!(!Endpoint::UpdateMeeting.scopes().is_granted_by(&granted("meeting:read:admin")));
    }

    #[test]
    fn only_calls_that_do_not_read_are_changes() {
        for endpoint in Endpoint::ALL {
            assert_eq!(endpoint.is_change(), endpoint.method() != Method::GET, "{endpoint:?}");
        }
    }
}
