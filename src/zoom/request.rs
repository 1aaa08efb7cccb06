//! One call as it is sent: which, about whom, with what.

use serde_json::{Map, Value, json};

use super::edit::{ASSISTANTS_MAX, Edit, GROUP_MEMBERS_AT_ONCE, NewUser};
use super::endpoint::Endpoint;
use super::paths;
use super::port::Page;
use crate::account::UserKey;
use crate::rules::MeetingState;

/// The most rows of a page: the specification says 2000 for users and members, accounts were seen to answer 300.
const PAGE_SIZE_MAX: u32 = 300;

impl Edit {
    /// The call that makes it, with its path. None where it would change nothing, or more than one call can.
    pub fn call(&self) -> Option<(Endpoint, String)> {
        Request::of(self).map(|request| (request.endpoint, request.path))
    }
}

/// What is sent.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) endpoint: Endpoint,
    /// Below the base, escaped, with the query.
    pub(super) path: String,
    pub(super) body: Option<Value>,
    /// Of a change: the entry of its intent.
    pub(super) intent: Option<u64>,
}

impl Request {
    pub(super) fn new(endpoint: Endpoint, ids: &[&str]) -> Self {
        Self { endpoint, path: endpoint.path(ids), body: None, intent: None }
    }

    /// For a list: so many rows, after those of the page before.
    pub(super) fn with_page(self, pairs: &[(&str, &str)], page: &Page) -> Self {
        let mut pairs = pairs.to_vec();
        let size = if page.size == 0 { PAGE_SIZE_MAX } else { page.size.min(PAGE_SIZE_MAX) }.to_string();
        pairs.push(("page_size", &size));
        if let Some(token) = page.token.as_deref().filter(|token| !token.is_empty()) {
            pairs.push(("next_page_token", token));
        }
        self.with_query(&pairs)
    }

    /// The call that makes a change. None where it would change nothing, or more than one call can.
    pub(super) fn of(edit: &Edit) -> Option<Self> {
        let endpoint = edit.endpoint();
        Some(match edit {
            Edit::CreateUser(new) => Self::new(endpoint, &[]).with_body(created(new)),
            Edit::SetUserActive { of, to } => {
                let action = if *to { "activate" } else { "deactivate" };
                Self::new(endpoint, &[of.as_str()]).with_body(json!({ "action": action }))
            }
            Edit::RemoveUser { of, how } => {
                let mut pairs = vec![("action", if how.is_for_good { "delete" } else { "disassociate" })];
                if let Some(to) = &how.transfer_to {
                    pairs.push(("transfer_email", to.as_str()));
                    pairs.extend(
                        ["transfer_meeting", "transfer_webinar", "transfer_recording"].map(|what| (what, "true")),
                    );
                }
                Self::new(endpoint, &[of.as_str()]).with_query(&pairs)
            }
            Edit::SetPendingGroup { of, group } => {
                Self::new(endpoint, &[of.as_str()]).with_body(json!({ "group_id": group.as_str() }))
            }
            Edit::AddAssistants { who, .. } if !(1..=ASSISTANTS_MAX).contains(&who.len()) => return None,
            Edit::AddAssistants { of, who } => {
                let who: Vec<Value> = who.iter().map(named).collect();
                Self::new(endpoint, &[of.as_str()]).with_body(json!({ "assistants": who }))
            }
            Edit::RemoveAssistant { of, who } | Edit::RemoveScheduler { of, who } => {
                Self::new(endpoint, &[of.as_str(), who.as_str()])
            }
            Edit::RemoveAssistants { of } | Edit::RemoveSchedulers { of } => Self::new(endpoint, &[of.as_str()]),
            Edit::SetUserKind { of, kind } => Self::new(endpoint, &[of.as_str()]).with_body(json!({ "type": kind })),
            Edit::SetUserSettings { to, .. } | Edit::SetMeeting { to, .. } if to.is_empty() => return None,
            Edit::SetUserSettings { of, to } => Self::new(endpoint, &[of.as_str()]).with_body(to.tree().into()),
            Edit::AddToGroup { who, .. } if !(1..=GROUP_MEMBERS_AT_ONCE).contains(&who.len()) => return None,
            Edit::AddToGroup { group, who } => {
                let who: Vec<Value> = who.iter().map(named).collect();
                Self::new(endpoint, &[group.as_str()]).with_body(json!({ "members": who }))
            }
            Edit::RemoveFromGroup { group, who } => Self::new(endpoint, &[group.as_str(), who.as_str()]),
            Edit::SetMeeting { id, to } => {
                Self::new(endpoint, &[&id.to_string()]).with_body(json!({ "settings": to.tree() }))
            }
            Edit::CreateMeeting { path, fields } => {
                Self::new(endpoint, &[path.as_str()]).with_body(fields.clone().into())
            }
            Edit::UpdateMeeting { fields, .. } if fields.is_empty() => return None,
            Edit::UpdateMeeting { id, fields } => {
                Self::new(endpoint, &[&id.to_string()]).with_body(fields.clone().into())
            }
            Edit::MoveMeeting { id, to } => {
                Self::new(endpoint, &[&id.to_string()]).with_body(json!({ "schedule_for": to.as_str() }))
            }
            Edit::DeleteMeeting { id } => Self::new(endpoint, &[&id.to_string()]),
            Edit::SetMeetingStatus { id, to } => {
                let action = match to {
                    MeetingState::Ended => "end",
                    MeetingState::Recovered => "recover",
                };
                Self::new(endpoint, &[&id.to_string()]).with_body(json!({ "action": action }))
            }
        })
    }

    fn with_query(mut self, pairs: &[(&str, &str)]) -> Self {
        self.path = format!("{}?{}", self.path, paths::query(pairs));
        self
    }

    /// Zoom asks for a password of whoever is created without an invitation \[D: 8 to 32 characters]. Nobody is told it: the
    /// person sets another.
    pub(super) fn with_password(mut self, random: u64) -> Self {
        let info = self.body.as_mut().and_then(|body| body.get_mut("user_info")).and_then(Value::as_object_mut);
        if let Some(info) = info {
            info.insert("password".to_owned(), format!("Aa1-{random:020}").into());
        }
        self
    }

    fn with_body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }
}

impl Edit {
    /// The call that makes it, which knows its rate-limit category and its scopes.
    pub const fn endpoint(&self) -> Endpoint {
        match self {
            Self::CreateUser(_) => Endpoint::CreateUser,
            Self::SetUserActive { .. } => Endpoint::UpdateUserStatus,
            Self::RemoveUser { .. } => Endpoint::RemoveUser,
            Self::AddAssistants { .. } => Endpoint::AddAssistants,
            Self::RemoveAssistant { .. } => Endpoint::RemoveAssistant,
            Self::RemoveAssistants { .. } => Endpoint::RemoveAssistants,
            Self::RemoveScheduler { .. } => Endpoint::RemoveScheduler,
            Self::RemoveSchedulers { .. } => Endpoint::RemoveSchedulers,
            Self::SetUserKind { .. } | Self::SetPendingGroup { .. } => Endpoint::UpdateUser,
            Self::SetUserSettings { .. } => Endpoint::UpdateUserSettings,
            Self::AddToGroup { .. } => Endpoint::AddGroupMembers,
            Self::RemoveFromGroup { .. } => Endpoint::RemoveGroupMember,
            Self::SetMeeting { .. } | Self::UpdateMeeting { .. } | Self::MoveMeeting { .. } => Endpoint::UpdateMeeting,
            Self::CreateMeeting { .. } => Endpoint::CreateMeeting,
            Self::DeleteMeeting { .. } => Endpoint::DeleteMeeting,
            Self::SetMeetingStatus { .. } => Endpoint::UpdateMeetingStatus,
        }
    }
}

/// What is not said, Zoom makes up or leaves empty.
fn created(new: &NewUser) -> Value {
    let NewUser { action, email, first_name, last_name, display_name, kind } = new;
    let mut info = Map::from_iter([("email".to_owned(), email.as_str().into()), ("type".to_owned(), (*kind).into())]);
    for (name, text) in [("first_name", first_name), ("last_name", last_name), ("display_name", display_name)] {
        info.extend(text.as_deref().map(|text| (name.to_owned(), text.into())));
    }
    json!({ "action": action.name(), "user_info": info })
}

/// A user in the body of a change.
fn named(who: &UserKey) -> Value {
    match who {
        UserKey::Id(id) => json!({ "id": id.as_str() }),
        UserKey::Email(email) => json!({ "email": email.as_str() }),
    }
}
