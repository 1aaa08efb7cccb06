//! Accounts: who is served and by which app, what of it can be changed at run time, and invites to install a general app.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::AdminState;
use super::caller::Caller;
use super::described::Sent;
use super::lent::{LentView, with_lent};
use super::problem::ApiProblem;
use super::routes::{Answer, Asked, OfAccount, Shared, asked, maybe, parsed};
use crate::account::{Plan, UserKey};
use crate::accounts::{Accounts, AddProblem, Changed, Installation, Invite, Listed, NewAccount, Standing};
use crate::clock::Timestamp;
use crate::ids::{AccountId, AppName, Email};

/// One Zoom account that is served, or was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AccountView {
    pub id: String,
    /// The app that acts.
    pub app: String,
    /// What people call it.
    pub label: Option<String>,
    /// `configuration`, `installed` (by an admin of it) or `added` (at run time).
    pub origin: String,
    /// `active`; `needs-api-user`: rules only observe; `needs-authorising`: no admin's authorisation is good; `leaving`.
    pub standing: String,
    /// Why it stands so, where it is not active.
    pub why: Option<String>,
    pub since: Option<String>,
    /// None where the configuration has it.
    pub plan: Option<String>,
    /// By email, where that is known.
    pub api_users: Vec<String>,
    /// Who was one before, and keeps what was granted to them until that is taken back.
    #[serde(default)]
    pub former_api_users: Vec<String>,
    pub may_grant: Vec<String>,
    /// How many people are invited in a UTC day at most; none where the configuration has it.
    pub invites_per_day: Option<u32>,
    pub paused: Option<PausedView>,
    pub added_at: Option<String>,
    pub added_by: Option<String>,
    /// Admins who installed the app.
    pub installations: Vec<InstallationView>,
    /// Another app that was installed as well, and does not act.
    pub rival: Option<String>,
    /// Where an admin of it authorises the app, again or for the first time.
    pub install_url: Option<String>,
    /// What moves have lent and not taken back.
    #[serde(default)]
    pub lent: Vec<LentView>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PausedView {
    pub at: String,
    pub by: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InstallationView {
    pub app: String,
    pub user: String,
    pub email: Option<String>,
    pub installed_at: String,
    /// When its tokens were last refreshed.
    pub refreshed_at: String,
    /// What the tokens may do, in Zoom's words.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Since when, and why, its tokens are good for nothing.
    pub lost_at: Option<String>,
    pub lost_why: Option<String>,
}

impl From<&Installation> for InstallationView {
    fn from(one: &Installation) -> Self {
        Self {
            app: one.app.to_string(),
            user: one.user.to_string(),
            email: one.email.as_ref().map(ToString::to_string),
            installed_at: one.installed_at.to_string(),
            refreshed_at: one.granted.fetched_at.to_string(),
            scopes: one.granted.scopes.iter().cloned().collect(),
            lost_at: one.lost.as_ref().map(|(at, _)| at.to_string()),
            lost_why: one.lost.as_ref().map(|(_, why)| why.clone()),
        }
    }
}

/// A link that lets one account install an app, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InviteView {
    pub id: String,
    pub app: String,
    pub label: Option<String>,
    /// `open`, `used`, `revoked` or `expired`.
    pub state: String,
    pub made_at: String,
    pub made_by: String,
    pub until: String,
    pub used_at: Option<String>,
    /// Who used it.
    pub account: Option<String>,
}

impl InviteView {
    fn of(invite: &Invite, now: Timestamp) -> Self {
        let state = match (&invite.used, invite.revoked) {
            (Some(_), _) => "used",
            (None, Some(_)) => "revoked",
            (None, None) if now >= invite.until => "expired",
            (None, None) => "open",
        };
        Self {
            id: invite.id.clone(),
            app: invite.app.to_string(),
            label: invite.label.clone(),
            state: state.to_owned(),
            made_at: invite.made_at.to_string(),
            made_by: invite.made_by.clone(),
            until: invite.until.to_string(),
            used_at: invite.used.as_ref().map(|(at, _)| at.to_string()),
            account: invite.used.as_ref().map(|(_, account)| account.to_string()),
        }
    }
}

/// A new invite: the link is told once, and good once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InvitedView {
    #[serde(flatten)]
    pub invite: InviteView,
    pub link: String,
}

impl std::fmt::Debug for InvitedView {
    /// Without the link, which is a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InvitedView").field("invite", &self.invite).finish_non_exhaustive()
    }
}

/// An account with a server-to-server app of its own.
#[derive(Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountAsked {
    pub id: String,
    /// A name for the app: Zoom posts to `/webhooks/{app}`.
    pub app: String,
    pub client_id: String,
    pub client_secret: String,
    /// One or more: any of them verifies.
    pub webhook_secrets: Vec<String>,
    pub label: Option<String>,
    /// `free`, `pro` (the default) or `business`.
    pub plan: Option<String>,
    #[serde(default)]
    pub api_users: Vec<String>,
    #[serde(default)]
    pub may_grant: Vec<String>,
}

impl std::fmt::Debug for AccountAsked {
    /// Without the secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { id, app, client_id, label, plan, api_users, may_grant, .. } = self;
        let mut told = f.debug_struct("AccountAsked");
        told.field("id", id).field("app", app).field("client_id", client_id).field("label", label);
        told.field("plan", plan).field("api_users", api_users).field("may_grant", may_grant).finish_non_exhaustive()
    }
}

/// What of an account is to be otherwise; what is left out stays.
#[derive(Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountChange {
    pub label: Option<String>,
    pub plan: Option<String>,
    pub api_users: Option<Vec<String>>,
    pub may_grant: Option<Vec<String>>,
    /// 1 to 10,000, within what Zoom allows the plan.
    pub invites_per_day: Option<u32>,
    /// Which of two apps acts.
    pub app: Option<String>,
    /// Of the account's own app, where it was added at run time.
    pub client_secret: Option<String>,
    /// Of the account's own app, in the place of those that it has: one or more, any of them verifies.
    pub webhook_secrets: Option<Vec<String>>,
}

impl std::fmt::Debug for AccountChange {
    /// Without the secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { label, plan, api_users, may_grant, invites_per_day, app, .. } = self;
        let mut told = f.debug_struct("AccountChange");
        told.field("label", label).field("plan", plan).field("api_users", api_users).field("may_grant", may_grant);
        told.field("invites_per_day", invites_per_day).field("app", app).finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InviteAsked {
    /// Needed where there is more than one general app.
    pub app: Option<String>,
    pub label: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RemoveAsked {
    /// What rules granted its API users is taken back first.
    #[serde(default)]
    take_back: bool,
}

impl From<AddProblem> for ApiProblem {
    fn from(problem: AddProblem) -> Self {
        let status = match &problem {
            AddProblem::NoAccount(_) => StatusCode::NOT_FOUND,
            AddProblem::Store(_) => {
                return match problem {
                    AddProblem::Store(error) => error.into(),
                    other => Self::bad_request(other.to_string()),
                };
            }
            _ => StatusCode::CONFLICT,
        };
        Self::new(status, problem.to_string())
    }
}

fn kept(state: &AdminState) -> Result<&Arc<Accounts>, ApiProblem> {
    state.accounts.as_ref().ok_or_else(|| ApiProblem::bad_request("the service is stopped: start it first"))
}

pub(super) async fn list(State(state): Shared, caller: Caller, query: Asked<OfAccount>) -> Answer<Vec<AccountView>> {
    let only: Option<AccountId> = caller.scope(maybe(asked(query)?.account())?)?;
    let mut all = all(&state)?;
    all.retain(|view| only.as_ref().is_none_or(|only| view.id == only.as_str()));
    with_lent(&state, &mut all).await?;
    Ok(Json(all))
}

/// Those of the configuration, and all others; by id.
fn all(state: &AdminState) -> Result<Vec<AccountView>, ApiProblem> {
    let kept = kept(state)?;
    let listed = kept.list();
    let mut views = configured(state, kept, &listed);
    let others = listed.iter().filter(|listed| listed.configured.is_none());
    views.extend(others.map(|listed| view(kept, listed)));
    views.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(views)
}

fn configured(state: &AdminState, kept: &Accounts, listed: &[Listed]) -> Vec<AccountView> {
    let apps = state.apps.borrow();
    let listed: HashMap<&AccountId, &Listed> = listed.iter().map(|one| (&one.account.id, one)).collect();
    let is_other = |id: &AccountId| listed.get(id).is_some_and(|one| one.configured.is_none());
    let mut views = Vec::new();
    for app in apps.iter() {
        for account in app.accounts.iter().filter(|account| !is_other(&account.id)) {
            let installed = listed.get(&account.id);
            let installations = installed.map(|one| one.installations.as_slice()).unwrap_or_default();
            views.push(AccountView {
                id: account.id.to_string(),
                app: app.name.to_string(),
                label: installed.and_then(|one| one.account.label.clone()),
                origin: "configuration".to_owned(),
                standing: Standing::Active.code().to_owned(),
                why: None,
                since: None,
                plan: None,
                api_users: names(&account.api_users, installations),
                former_api_users: Vec::new(),
                may_grant: account.may_grant.iter().map(ToString::to_string).collect(),
                invites_per_day: None,
                paused: paused(kept, &account.id),
                added_at: None,
                added_by: None,
                installations: installations.iter().map(Into::into).collect(),
                rival: installed.map(|one| one.account.app.to_string()),
                install_url: None,
                lent: Vec::new(),
            });
        }
    }
    views
}

/// Users by email, where that is known of who installed the app; else as they were named.
fn names(users: &[UserKey], installations: &[Installation]) -> Vec<String> {
    let email = |user: &UserKey| {
        let one = installations.iter().find(|one| user.is(Some(&one.user), None))?;
        one.email.as_ref().map(ToString::to_string)
    };
    users.iter().map(|user| email(user).unwrap_or_else(|| user.to_string())).collect()
}

fn paused(kept: &Accounts, id: &AccountId) -> Option<PausedView> {
    kept.paused_by(id).map(|paused| PausedView { at: paused.at.to_string(), by: paused.by })
}

fn view(kept: &Accounts, listed: &Listed) -> AccountView {
    let account = &listed.account;
    let (why, since) = match &account.standing {
        Standing::Active => (None, None),
        Standing::NeedsApiUser { why, since, .. } | Standing::Lost { why, since, .. } => {
            (Some(why.clone()), Some(since))
        }
        Standing::Leaving { since, by, .. } => (Some(format!("removed by {by}")), Some(since)),
    };
    let install_url = kept.install_url(&account.app);
    AccountView {
        id: account.id.to_string(),
        app: account.app.to_string(),
        label: account.label.clone(),
        origin: if install_url.is_some() { "installed" } else { "added" }.to_owned(),
        standing: account.standing.code().to_owned(),
        why,
        since: since.map(ToString::to_string),
        plan: Some(account.plan.name().to_owned()),
        api_users: names(&account.api_users, &listed.installations),
        former_api_users: names(&account.former_api_users, &listed.installations),
        may_grant: account.may_grant.iter().map(ToString::to_string).collect(),
        invites_per_day: Some(account.invites_per_day.unwrap_or(account.plan.invites_per_day())),
        paused: paused(kept, &account.id),
        added_at: Some(account.added_at.to_string()),
        added_by: Some(account.added_by.clone()),
        installations: listed.installations.iter().map(Into::into).collect(),
        rival: account.rival.as_ref().map(ToString::to_string),
        install_url,
        lent: Vec::new(),
    }
}

pub(super) async fn show(State(state): Shared, Path(id): Path<String>) -> Answer<AccountView> {
    one(&state, &parsed(&id)?).await
}

async fn one(state: &AdminState, id: &AccountId) -> Answer<AccountView> {
    let found = all(state)?.into_iter().find(|view| view.id == id.as_str());
    let mut view = found.ok_or_else(|| ApiProblem::no_account(id.as_str()))?;
    with_lent(state, std::slice::from_mut(&mut view)).await?;
    Ok(Json(view))
}

/// As the configuration takes it, with the other names of one.
fn plan(text: &str) -> Result<Plan, ApiProblem> {
    let read = Plan::deserialize(serde::de::value::StrDeserializer::<serde::de::value::Error>::new(text));
    let expected = "expected one of free, pro, business (or education, enterprise, partner)";
    read.map_err(|_| ApiProblem::bad_request(format!("plan is {text:?}, {expected}")))
}

fn invites_per_day(count: u32, plan: Plan) -> Result<u32, ApiProblem> {
    let most = plan.invites_per_day();
    let wrong = || {
        let name = plan.name();
        ApiProblem::bad_request(format!("invites_per_day is {count}, expected 1 to {most}, as Zoom allows plan {name}"))
    };
    (1..=most).contains(&count).then_some(count).ok_or_else(wrong)
}

fn users(texts: &[String]) -> Result<Vec<UserKey>, ApiProblem> {
    texts.iter().map(|text| parsed(text)).collect()
}

fn emails(texts: &[String]) -> Result<Vec<Email>, ApiProblem> {
    texts.iter().map(|text| parsed(text)).collect()
}

const LABEL_CHARS_MAX: usize = 200;

/// It is shown on pages and in terminals, also to others than who chose it.
fn label(text: Option<String>) -> Result<Option<String>, ApiProblem> {
    let fits = |text: &String| text.chars().count() <= LABEL_CHARS_MAX && !text.chars().any(char::is_control);
    if text.as_ref().is_none_or(fits) {
        return Ok(text);
    }
    let what = format!("label is not valid: expected {LABEL_CHARS_MAX} characters or fewer, and no control characters");
    Err(ApiProblem::bad_request(what))
}

/// Fewer bytes than this are no secret.
const SECRET_BYTES_MIN: usize = 16;

/// Never quotes it.
fn secret(name: &str, text: &str) -> Result<SecretString, ApiProblem> {
    let fits = text.len() >= SECRET_BYTES_MIN && text.bytes().all(|b| b.is_ascii_graphic());
    let wrong = || {
        let what = format!("{name} is no secret of Zoom's: expected {SECRET_BYTES_MIN} printable bytes or more");
        ApiProblem::bad_request(what)
    };
    fits.then(|| SecretString::from(text.to_owned())).ok_or_else(wrong)
}

fn webhook_secrets(texts: &[String]) -> Result<Vec<SecretString>, ApiProblem> {
    if texts.is_empty() {
        return Err(ApiProblem::bad_request("webhook_secrets is empty: without one no delivery can be verified"));
    }
    texts.iter().map(|text| secret("one of webhook_secrets", text)).collect()
}

pub(super) async fn add(State(state): Shared, caller: Caller, Sent(asked): Sent<AccountAsked>) -> Answer<AccountView> {
    let id: AccountId = parsed(&asked.id)?;
    if !(1..=128).contains(&asked.client_id.len()) || !asked.client_id.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(ApiProblem::bad_request("client_id is not valid: expected it as the app's page shows it"));
    }
    let new = NewAccount {
        app: parsed(&asked.app)?,
        client_id: asked.client_id,
        client_secret: secret("client_secret", &asked.client_secret)?,
        webhook_secrets: webhook_secrets(&asked.webhook_secrets)?,
        id: id.clone(),
        label: label(asked.label)?,
        plan: asked.plan.as_deref().map(plan).transpose()?.unwrap_or_default(),
        api_users: users(&asked.api_users)?,
        may_grant: emails(&asked.may_grant)?,
    };
    let apps: Vec<AppName> = state.apps.borrow().iter().map(|app| app.name.clone()).collect();
    kept(&state)?.add(new, &caller.actor, &apps).await?;
    one(&state, &id).await
}

pub(super) async fn change(
    State(state): Shared,
    caller: Caller,
    Path(id): Path<String>,
    Sent(asked): Sent<AccountChange>,
) -> Answer<AccountView> {
    let id: AccountId = parsed(&id)?;
    let plan = asked.plan.as_deref().map(plan).transpose()?;
    let of = plan.or_else(|| Some(state.accounts.as_ref()?.account(&id)?.plan)).unwrap_or_default();
    let changed = Changed {
        label: label(asked.label)?,
        plan,
        api_users: asked.api_users.as_deref().map(users).transpose()?,
        may_grant: asked.may_grant.as_deref().map(emails).transpose()?,
        invites_per_day: asked.invites_per_day.map(|count| invites_per_day(count, of)).transpose()?,
        app: asked.app.as_deref().map(parsed).transpose()?,
        client_secret: asked.client_secret.as_deref().map(|text| secret("client_secret", text)).transpose()?,
        webhook_secrets: asked.webhook_secrets.as_deref().map(webhook_secrets).transpose()?,
    };
    kept(&state)?.change(&id, changed, &caller.actor).await?;
    one(&state, &id).await
}

pub(super) async fn pause(State(state): Shared, caller: Caller, Path(id): Path<String>) -> Answer<AccountView> {
    let id: AccountId = parsed(&id)?;
    let view = one(&state, &id).await?;
    kept(&state)?.pause(&id, &parsed(&view.app)?, &caller.actor).await?;
    one(&state, &id).await
}

pub(super) async fn resume(State(state): Shared, caller: Caller, Path(id): Path<String>) -> Answer<AccountView> {
    let id: AccountId = parsed(&id)?;
    let view = one(&state, &id).await?;
    kept(&state)?.resume(&id, &parsed(&view.app)?, &caller.actor).await?;
    one(&state, &id).await
}

pub(super) async fn remove(
    State(state): Shared,
    caller: Caller,
    Path(id): Path<String>,
    query: Asked<RemoveAsked>,
) -> Answer<AccountView> {
    let RemoveAsked { take_back } = asked(query)?;
    let id: AccountId = parsed(&id)?;
    kept(&state)?.remove(&id, take_back, &caller.actor).await?;
    tracing::info!(account = %id, take_back, by = %caller.actor, "an account is let go");
    one(&state, &id).await
}

pub(super) async fn invites(State(state): Shared) -> Answer<Vec<InviteView>> {
    let now = state.clock.now();
    Ok(Json(kept(&state)?.invites().iter().map(|invite| InviteView::of(invite, now)).collect()))
}

pub(super) async fn invite(
    State(state): Shared,
    caller: Caller,
    Sent(asked): Sent<InviteAsked>,
) -> Answer<InvitedView> {
    let kept = kept(&state)?;
    let app: AppName = match (&asked.app, kept.general_apps()) {
        (Some(app), _) => parsed(app)?,
        (None, [only]) => only.name.clone(),
        (None, []) => return Err(ApiProblem::bad_request("the configuration has no [[app]] with kind = \"general\"")),
        (None, _) => return Err(ApiProblem::bad_request("there are several general apps: say which with app")),
    };
    let invited = kept.invite(&app, label(asked.label)?, &caller.actor).await?;
    let invited = invited.ok_or_else(|| ApiProblem::bad_request(format!("there is no general app {app}")))?;
    Ok(Json(InvitedView { invite: InviteView::of(&invited.invite, state.clock.now()), link: invited.link }))
}

pub(super) async fn revoke_invite(State(state): Shared, caller: Caller, Path(id): Path<String>) -> Answer<InviteView> {
    let kept = kept(&state)?;
    let is_revoked = kept.revoke_invite(&id, &caller.actor).await?;
    let found = kept.invites().into_iter().find(|invite| invite.id == id);
    let invite = found.ok_or_else(|| ApiProblem::not_found(format!("invite {id}")))?;
    let view = InviteView::of(&invite, state.clock.now());
    if is_revoked {
        Ok(Json(view))
    } else {
        Err(ApiProblem::new(StatusCode::CONFLICT, format!("invite {id} is {} already", view.state)))
    }
}
