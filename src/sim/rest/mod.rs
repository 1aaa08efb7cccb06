//! The REST API: the way of one request past token, scopes and limits to the operation that it names.

mod assistants;
pub(crate) mod authorize;
mod deliveries;
mod grants;
mod groups;
mod meetings;
mod page;
mod settings;
pub(crate) mod token;
mod users;

use self::token::General;
use super::answer::{Answer, Refusal};
use super::call::{Call, Request};
use super::limit::{Category, Plan, TooMany};
use super::world::{Act, State, World, WorldError};

/// What a request asks for: the operations that adjutant uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    ListUsers,
    CreateUser,
    GetUser,
    UpdateUser,
    DeleteUser,
    SetUserStatus,
    ListAssistants,
    AddAssistants,
    RemoveAssistants,
    RemoveAssistant,
    ListSchedulers,
    RemoveSchedulers,
    RemoveScheduler,
    ListMeetings,
    CreateMeeting,
    GetMeeting,
    UpdateMeeting,
    DeleteMeeting,
    SetMeetingStatus,
    GetUserSettings,
    UpdateUserSettings,
    GetAccountSettings,
    ListGroups,
    ListMembers,
    AddMembers,
    RemoveMember,
    ListWebhookLogs,
}

impl Op {
    fn of(request: &Request) -> Option<Self> {
        if !request.path.starts_with("/v2/") {
            return None;
        }
        let segments = request.segments();
        let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
        Some(match (request.method.as_str(), parts.as_slice()) {
            ("GET", ["users"]) => Self::ListUsers,
            ("POST", ["users"]) => Self::CreateUser,
            ("GET", ["users", _]) => Self::GetUser,
            ("PATCH", ["users", _]) => Self::UpdateUser,
            ("DELETE", ["users", _]) => Self::DeleteUser,
            ("PUT", ["users", _, "status"]) => Self::SetUserStatus,
            ("GET", ["users", _, "assistants"]) => Self::ListAssistants,
            ("POST", ["users", _, "assistants"]) => Self::AddAssistants,
            ("DELETE", ["users", _, "assistants"]) => Self::RemoveAssistants,
            ("DELETE", ["users", _, "assistants", _]) => Self::RemoveAssistant,
            ("GET", ["users", _, "schedulers"]) => Self::ListSchedulers,
            ("DELETE", ["users", _, "schedulers"]) => Self::RemoveSchedulers,
            ("DELETE", ["users", _, "schedulers", _]) => Self::RemoveScheduler,
            ("GET", ["users", _, "meetings"]) => Self::ListMeetings,
            ("POST", ["users", _, "meetings"]) => Self::CreateMeeting,
            ("GET", ["meetings", _]) => Self::GetMeeting,
            ("PATCH", ["meetings", _]) => Self::UpdateMeeting,
            ("DELETE", ["meetings", _]) => Self::DeleteMeeting,
            ("PUT", ["meetings", _, "status"]) => Self::SetMeetingStatus,
            ("GET", ["users", _, "settings"]) => Self::GetUserSettings,
            ("PATCH", ["users", _, "settings"]) => Self::UpdateUserSettings,
            ("GET", ["accounts", "me", "settings"]) => Self::GetAccountSettings,
            ("GET", ["groups"]) => Self::ListGroups,
            ("GET", ["groups", _, "members"]) => Self::ListMembers,
            ("POST", ["groups", _, "members"]) => Self::AddMembers,
            ("DELETE", ["groups", _, "members", _]) => Self::RemoveMember,
            ("GET", ["marketplace", "apps", _, "webhook_logs"]) => Self::ListWebhookLogs,
            _ => return None,
        })
    }

    /// Zoom's label \[D U/MT].
    const fn category(self, meeting_writes_are_heavy: bool) -> Category {
        match self {
            Self::CreateMeeting | Self::UpdateMeeting if meeting_writes_are_heavy => Category::Heavy,
            Self::ListUsers
            | Self::ListAssistants
            | Self::AddAssistants
            | Self::ListSchedulers
            | Self::ListMeetings
            | Self::GetUserSettings
            | Self::UpdateUserSettings
            | Self::GetAccountSettings // [M]
            | Self::ListGroups
            | Self::ListMembers
            | Self::AddMembers
            | Self::ListWebhookLogs
            | Self::CreateMeeting => Category::Medium,
            _ => Category::Light,
        }
    }

    /// The granular scope, without `:admin` \[D U/MT].
    const fn scope(self) -> &'static str {
        match self {
            Self::ListUsers => "user:read:list_users",
            Self::GetUser => "user:read:user",
            Self::CreateUser => "user:write:user",
            Self::UpdateUser => "user:update:user",
            Self::DeleteUser => "user:delete:user",
            Self::SetUserStatus => "user:update:status",
            Self::ListAssistants => "user:read:list_assistants",
            Self::AddAssistants => "user:write:assistant",
            Self::RemoveAssistants | Self::RemoveAssistant => "user:delete:assistant",
            Self::ListSchedulers => "user:read:list_schedulers",
            Self::RemoveSchedulers | Self::RemoveScheduler => "user:delete:scheduler",
            Self::ListMeetings => "meeting:read:list_meetings",
            Self::CreateMeeting => "meeting:write:meeting",
            Self::GetMeeting => "meeting:read:meeting",
            Self::UpdateMeeting => "meeting:update:meeting",
            Self::DeleteMeeting => "meeting:delete:meeting",
            Self::SetMeetingStatus => "meeting:update:status",
            Self::GetUserSettings => "user:read:settings",
            Self::UpdateUserSettings => "user:update:settings",
            Self::GetAccountSettings => "account:read:settings", // [M]
            Self::ListGroups => "group:read:list_groups",
            Self::ListMembers => "group:read:list_members",
            Self::AddMembers => "group:write:member",
            Self::RemoveMember => "group:delete:member",
            Self::ListWebhookLogs => "marketplace_app:read",
        }
    }

    /// A server-to-server token needs the `:admin` form, granular or classic; for users, classic write includes read \[D U].
    fn allowed_by(self, scopes: &[String]) -> bool {
        let granular = format!("{}:admin", self.scope());
        let classic: &[&str] = match self {
            Self::ListUsers | Self::GetUser | Self::ListAssistants | Self::ListSchedulers | Self::GetUserSettings => {
                &["user:read:admin", "user:write:admin"]
            }
            Self::CreateUser
            | Self::UpdateUser
            | Self::DeleteUser
            | Self::SetUserStatus
            | Self::AddAssistants
            | Self::RemoveAssistants
            | Self::RemoveAssistant
            | Self::RemoveSchedulers
            | Self::RemoveScheduler
            | Self::UpdateUserSettings => &["user:write:admin"],
            Self::ListGroups | Self::ListMembers => &["group:read:admin", "group:write:admin"],
            Self::AddMembers | Self::RemoveMember => &["group:write:admin"],
            Self::GetAccountSettings => &["account:read:admin"], // [M]
            Self::ListWebhookLogs => &["marketplace_app:read:admin"],
            Self::ListMeetings | Self::GetMeeting => &["meeting:read:admin"],
            Self::CreateMeeting | Self::UpdateMeeting | Self::DeleteMeeting | Self::SetMeetingStatus => {
                &["meeting:write:admin"]
            }
        };
        scopes.iter().any(|scope| *scope == granular || classic.contains(&scope.as_str()))
    }

    /// A token for `me` alone needs the form without `:admin`, and reaches no other user \[D].
    fn allowed_to(self, scopes: &[String], general: Option<&General>, request: &Request) -> bool {
        let Some(general) = general.filter(|general| general.for_me_alone) else { return self.allowed_by(scopes) };
        let segments = request.segments();
        let (kind, subject) = (segments.first().map(String::as_str), segments.get(1).map(String::as_str));
        let own = kind != Some("users") || subject == Some("me") || subject == Some(general.user.as_str());
        let admin: Vec<String> = scopes.iter().map(|scope| format!("{scope}:admin")).collect();
        own && subject.is_some() && self.allowed_by(&admin)
    }

    /// `client` is the id of the app that asks.
    fn run(self, act: &mut Act<'_>, client: &str, request: &Request) -> Result<Answer, Refusal> {
        let segments = request.segments();
        let part = |place: usize| segments.get(place).cloned().unwrap_or_default();
        let (subject, other) = (part(1), part(3));
        // `me` is whoever installed a general app [D], and else the owner [D], where it answers at all.
        let me = act.account.acting.clone();
        let me = me.or_else(|| act.account.quirks.me_answers.then(|| act.account.owner_id.clone()));
        let subject = if subject == "me" { me.unwrap_or(subject) } else { subject };
        match self {
            Self::ListUsers => act.rest_list_users(request),
            Self::GetUser => act.rest_get_user(&subject),
            Self::CreateUser => act.rest_create_user(request),
            Self::UpdateUser => act.rest_update_user(&subject, request),
            Self::DeleteUser => act.rest_delete_user(&subject, request),
            Self::SetUserStatus => act.rest_set_user_status(&subject, request),
            Self::ListAssistants => act.rest_list_assistants(&subject),
            Self::AddAssistants => act.rest_add_assistants(&subject, request),
            Self::RemoveAssistants => act.rest_remove_assistants(&subject, None),
            Self::RemoveAssistant => act.rest_remove_assistants(&subject, Some(&other)),
            Self::ListSchedulers => act.rest_list_schedulers(&subject),
            Self::RemoveSchedulers => act.rest_remove_schedulers(&subject, None),
            Self::RemoveScheduler => act.rest_remove_schedulers(&subject, Some(&other)),
            Self::ListMeetings => act.rest_list_meetings(&subject, request),
            Self::CreateMeeting => act.rest_create_meeting(&subject, request),
            Self::GetMeeting => act.rest_get_meeting(&subject),
            Self::UpdateMeeting => act.rest_update_meeting(&subject, request),
            Self::DeleteMeeting => act.rest_delete_meeting(&subject),
            Self::SetMeetingStatus => act.rest_set_meeting_status(&subject, request),
            Self::GetUserSettings => act.rest_get_user_settings(&subject),
            Self::UpdateUserSettings => act.rest_update_user_settings(&subject, request),
            Self::GetAccountSettings => Ok(act.rest_get_account_settings()),
            Self::ListGroups => act.rest_list_groups(request),
            Self::ListMembers => act.rest_list_members(&subject, request),
            Self::AddMembers => act.rest_add_members(&subject, request),
            Self::RemoveMember => act.rest_remove_member(&subject, &other),
            Self::ListWebhookLogs => act.rest_list_webhook_logs(&part(2), client, request),
        }
    }
}

impl World {
    /// Answers a request at once and logs it: the API without its network and without faults.
    pub fn handle(&self, request: &Request) -> Answer {
        let answer = self.answer(request);
        self.log(request, Some(answer.status), true);
        answer
    }

    /// Answers without logging.
    pub(crate) fn answer(&self, request: &Request) -> Answer {
        let now = self.now();
        let answer = self.state(|state| {
            match request.path.as_str() {
                "/oauth/token" | "/oauth/revoke" => return state.give_token(request, self.chance(), now),
                "/oauth/authorize" => return state.authorize(request, self.chance(), now),
                _ => {}
            }
            state.answer(self, request).unwrap_or_else(|refusal| refusal.answer())
        });
        self.woken().notify_one();
        answer
    }

    pub(crate) fn log(&self, request: &Request, status: Option<u16>, acted: bool) {
        let at = self.now();
        let path = if request.is_oauth() { request.path.clone() } else { request.decoded_path() };
        self.state(|state| {
            let account = state.tokens.account_of(request).map(str::to_owned);
            let client = state.tokens.client_of(request).map(str::to_owned);
            let owner = account.as_ref().and_then(|account| state.owner_of_subject(request, account));
            let (method, query) = (request.method.clone(), request.query.clone());
            state.log.add(Call { at, account, client, owner, method, path, query, status, acted }, request.kind());
        });
    }

    /// A 429 as the account of this request would get it.
    pub(crate) fn too_many(&self, kind: TooMany, request: &Request) -> Answer {
        let now = self.now();
        self.state(|state| {
            let account = state.tokens.account_of(request).and_then(|id| state.accounts.get(id));
            let plan = account.map_or(Plan::Business, |account| account.plan);
            let heavy = account.is_some_and(|account| account.quirks.meeting_writes_are_heavy);
            let category = Op::of(request).map_or(Category::Light, |op| op.category(heavy));
            kind.answer(category, plan, now)
        })
    }
}

impl State {
    /// Token first, then whether there is such a thing, scopes, limits, and the thing itself \[I for the order].
    fn answer(&mut self, world: &World, request: &Request) -> Result<Answer, Refusal> {
        let now = world.now();
        let grant = self.tokens.check(request, now)?;
        let general = grant.general.as_ref();
        if let Some(general) = general
            && let Err(why) = self.counts(&grant.client, &general.standing)
        {
            let says = self.apps.get(&grant.client).is_some_and(|app| app.quirks.api_says_why);
            return Err(if says { Refusal::DeadToken(why) } else { Refusal::InvalidToken });
        }
        let account = self.accounts.get_mut(&grant.account).ok_or(Refusal::InvalidToken)?;
        if general.is_none() && !account.app_active {
            return Err(Refusal::InvalidToken); // Tokens stop when the app is deactivated [D].
        }
        let op = Op::of(request).ok_or(Refusal::NoSuchEndpoint)?;
        if !op.allowed_to(&grant.scopes, general, request) {
            let scopes = format!("{0}, {0}:admin", op.scope());
            return Err(Refusal::Scopes { scopes, status: account.quirks.scopes_status });
        }
        let (category, plan) = (op.category(account.quirks.meeting_writes_are_heavy), account.plan);
        if account.quirks.limits
            && let Err(kind) = account.limiter.take(category, plan, now)
        {
            return Ok(kind.answer(category, plan, now));
        }
        let ran: Result<_, WorldError> = self.act(&grant.account, world.chance(), now, |act| {
            act.account.acting = general.map(|general| general.user.clone());
            let ran = op.run(act, &grant.client, request);
            act.account.acting = None;
            Ok(ran)
        });
        let answer = match ran {
            Ok(Err(Refusal::UserDaily)) => return Ok(TooMany::UserDaily.answer(category, plan, now)),
            Ok(Err(Refusal::Invites)) => return Ok(TooMany::Invites.answer(category, plan, now)),
            Ok(Ok(answer)) => answer,
            Ok(Err(refusal)) => refusal.answer(),
            Err(_) => return Err(Refusal::InvalidToken),
        };
        let limiter = self.accounts.get(&grant.account).map(|account| &account.limiter);
        Ok(match limiter {
            Some(limiter) => limiter.describe(answer, category, plan),
            None => answer,
        })
    }
}
