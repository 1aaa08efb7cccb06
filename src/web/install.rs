//! How an admin's browser installs a general app: `GET /install/{app}` and `GET /oauth/callback`.
//!
//! Guarantees: a page shows nothing of an account but to the browser that just installed it; no page runs a script, is
//! framed, cached, or tells another site where it was; whoever comes back from Zoom without having begun here is sent to the
//! beginning. What installing means, [`Accounts`] knows.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;

use super::page::{Form, Page};
use crate::accounts::{Accounts, Called, GeneralApp, InstallProblem, KeptAccount, Standing, Ticket};
use crate::ids::AppName;
use crate::store::{Store, SweepState};

/// What the pages are made from.
#[derive(Debug)]
pub struct Install {
    pub accounts: Arc<Accounts>,
    pub store: Arc<dyn Store>,
}

type Shared = State<Arc<Install>>;

/// Kept by the browser while its user is at Zoom.
const COOKIE: &str = "adjutant-install";
/// The same where the connection is secure: then no other host of the domain can set it.
const SECURE_COOKIE: &str = "__Host-adjutant-install";

impl Install {
    pub fn router(self: Arc<Self>) -> Router {
        Router::new().route("/install/{app}", get(install)).route("/oauth/callback", get(callback)).with_state(self)
    }

    fn is_secure(&self) -> bool {
        self.accounts.redirect_uri().is_some_and(|url| url.starts_with("https://"))
    }

    fn cookie_name(&self) -> &'static str {
        if self.is_secure() { SECURE_COOKIE } else { COOKIE }
    }

    /// A header that sets the cookie, or with an empty value ends it.
    fn cookie(&self, value: &str) -> Option<HeaderValue> {
        let (name, secure) = (self.cookie_name(), if self.is_secure() { "; Secure" } else { "" });
        let age = if value.is_empty() { 0 } else { 1_800 };
        // Lax: the browser comes back from Zoom by a link, and must bring it.
        HeaderValue::try_from(format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={age}{secure}")).ok()
    }

    fn cookie_of(&self, headers: &HeaderMap) -> Option<String> {
        let mut found =
            headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok()).flat_map(|all| {
                all.split(';')
                    .filter_map(|one| one.trim().split_once('='))
                    .filter(|(name, _)| *name == self.cookie_name())
            });
        found.next().map(|(_, value)| value.to_owned())
    }
}

#[derive(Debug, Default, Deserialize)]
struct Asked {
    invite: Option<String>,
    api_user: Option<String>,
    done: Option<String>,
}

async fn install(State(install): Shared, Path(app): Path<String>, Query(asked): Query<Asked>) -> Response {
    let app = AppName::parse(&app).ok();
    let Some(app) = app.as_ref().and_then(|name| install.accounts.general_app(name)) else {
        return Page::new("There is no such app").with("The link may be incomplete.").answer(StatusCode::NOT_FOUND);
    };
    if let Some(ticket) = asked.done {
        return match install.accounts.ticket(&ticket).filter(|ticket| ticket.app == app.name) {
            Some(ticket) => done(&install, &ticket).await,
            None => begin_again(&install, app, "This page can be looked at for an hour only."),
        };
    }
    match install.accounts.begin(app, asked.invite.as_deref(), asked.api_user.as_deref()) {
        Ok(begun) => {
            let mut answer = redirect(&begun.location);
            if let Some(cookie) = install.cookie(&begun.cookie) {
                answer.headers_mut().insert(header::SET_COOKIE, cookie);
            }
            answer
        }
        Err(problem @ (InstallProblem::ApiUserUnknown | InstallProblem::NoEmail(_))) => {
            api_user_form(app, asked.invite, &problem)
        }
        Err(problem) => refusal(&install, app, &problem),
    }
}

/// In the words of Zoom's redirect.
async fn callback(State(install): Shared, Query(called): Query<Called>, headers: HeaderMap) -> Response {
    let cookie = install.cookie_of(&headers);
    let Some((under, app)) = install.accounts.under_way(&called, cookie.as_deref()) else { return beginning(&install) };
    // On a task of its own: the code is good once, so that a browser that goes away must not end this half way.
    let (accounts, app) = (Arc::clone(&install.accounts), app.clone());
    let finishing = tokio::spawn(async move {
        let finished = accounts.finish((&under, &app), called).await;
        (finished, app)
    });
    let mut answer = match finishing.await {
        Ok((Ok(finished), _)) => redirect(&format!("/install/{}?done={}", finished.app, finished.ticket)),
        Ok((Err(problem), app)) => refusal(&install, &app, &problem),
        Err(error) => {
            tracing::error!(%error, "an installation failed");
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
    };
    if let Some(ended) = install.cookie("") {
        answer.headers_mut().insert(header::SET_COOKIE, ended);
    }
    answer
}

/// Somebody came back whom nobody sent: an admin who pressed Add in the Marketplace, or took too long.
fn beginning(install: &Install) -> Response {
    match install.accounts.general_apps() {
        [] => Page::new("There is nothing to install").answer(StatusCode::NOT_FOUND),
        [app] => redirect(&format!("/install/{}", app.name)),
        apps => {
            let page = Page::new("Which app do you want to install?");
            let links = apps.iter().map(|app| (format!("/install/{}", app.name), app.name.to_string()));
            links.fold(page, |page, (to, text)| page.link(to, text)).answer(StatusCode::OK)
        }
    }
}

fn begin_again(install: &Install, app: &GeneralApp, why: &str) -> Response {
    let again = install.accounts.install_url(&app.name).unwrap_or_default();
    Page::new("Begin again").with(why).link(again, "Authorise the app again").answer(StatusCode::OK)
}

fn api_user_form(app: &GeneralApp, invite: Option<String>, problem: &InstallProblem) -> Response {
    let mut page = Page::new("Who schedules for others?").with(
        "The app needs one user of your Zoom account, its API user, who will be allowed to schedule meetings for your users. \
         It has to be licensed, so it uses one paid seat: choose a user that nobody works with.",
    );
    if let InstallProblem::NoEmail(_) = problem {
        page = page.with(format!("{problem}."));
    }
    let hidden = invite.map(|invite| ("invite".to_owned(), invite)).into_iter().collect();
    let form = Form {
        action: format!("/install/{}", app.name),
        field: ("api_user".to_owned(), "Email of the API user".to_owned()),
        hidden,
        button: "Go on to Zoom".to_owned(),
    };
    page.form(form).answer(StatusCode::OK)
}

fn refusal(install: &Install, app: &GeneralApp, problem: &InstallProblem) -> Response {
    let again = install.accounts.install_url(&app.name).unwrap_or_default();
    let (status, title, what) = match problem {
        InstallProblem::InviteNeeded => (
            StatusCode::FORBIDDEN,
            "An invite is needed",
            "This app is installed by invitation only, and each invite is good once. Ask whoever runs this service for a link, \
             or for a new one. The access that you gave just now was given back to Zoom."
                .to_owned(),
        ),
        InstallProblem::Declined(why) => {
            (StatusCode::OK, "The app was not installed", format!("Zoom says: {why}. Nothing was changed."))
        }
        InstallProblem::UserLevel(scopes) => (
            StatusCode::UNPROCESSABLE_ENTITY,
            "The app cannot act for your account",
            format!(
                "The access is for your own user only ({scopes}), and creating and changing users needs that of an account: \
                 whoever made the app has to choose an admin-managed app in the Zoom Marketplace, with scopes that end in \
                 :admin, and a Zoom admin whose role has these rights has to install it. The access was given back."
            ),
        ),
        InstallProblem::Zoom(error) => {
            tracing::warn!(app = %app.name, error = error.kind(), "an installation failed: {error}");
            let what = "Zoom did not give the access, or did not say for which account. An authorisation is good once and for \
                        five minutes: begin again. If it happens again, tell whoever runs this service; the log says why.";
            (StatusCode::BAD_GATEWAY, "It did not work", what.to_owned())
        }
        InstallProblem::Store(error) => {
            tracing::error!(app = %app.name, %error, "an installation could not be stored");
            let what = "The service cannot store anything at the moment. The access was given back: begin again later.";
            (StatusCode::SERVICE_UNAVAILABLE, "It did not work", what.to_owned())
        }
        problem => (StatusCode::BAD_GATEWAY, "It did not work", format!("{problem}.")),
    };
    Page::new(title).with(what).link(again, "Begin again").answer(status)
}

/// What became of an installation.
async fn done(install: &Install, ticket: &Ticket) -> Response {
    let account = install.accounts.account(&ticket.account);
    let state = install.store.sweep_state(&ticket.account).await;
    let (Some(account), Ok(state)) = (account, state) else {
        return Page::new("This account is not served any more").answer(StatusCode::OK);
    };
    if account.app != ticket.app {
        let what = format!(
            "Another app, {}, acts for this account already, and two must not do so at once: nothing is changed until whoever \
             runs this service says which of the two acts. They have been told.",
            account.app
        );
        return Page::new("Installed, but not acting").with(what).answer(StatusCode::OK);
    }
    let is_looked = is_looked(&account, &state);
    let mut page = Page::new("The app is installed");
    page = page.fact("Account", account.id.to_string());
    if let Some(label) = &account.label {
        page = page.fact("Name", label.clone());
    }
    page = match account.api_users.first() {
        Some(api_user) => page.fact("API user", api_user_of(install, &account, api_user)),
        None => page.fact("API user", "none yet".to_owned()),
    };
    page = match &account.standing {
        Standing::Active => page.fact("Its licence", "licensed: it uses one paid seat of your account".to_owned()),
        Standing::NeedsApiUser { why, .. } => page.fact("Its licence", why.clone()).with(
            "Until the API user is there and licensed (which uses one paid seat), nothing is changed in your account. It is \
             looked at again by itself.",
        ),
        standing => page.fact("Standing", standing.code().to_owned()),
    };
    page = match found(&state) {
        Some((users, would)) => page.fact("Active users", users.to_string()).fact("What the rules would change", would),
        None => page
            .with("Your users are being compared with the rules, which changes nothing. This page goes on by itself."),
    };
    if !is_looked {
        page = page.refresh(2);
    }
    page.answer(StatusCode::OK)
}

/// Shown by email where the admin who installed is meant.
fn api_user_of(install: &Install, account: &KeptAccount, api_user: &crate::account::UserKey) -> String {
    let installed = install.accounts.installations_of(&account.id);
    let named = installed.iter().find(|one| api_user.is(Some(&one.user), None)).and_then(|one| one.email.as_ref());
    named.map_or_else(|| api_user.to_string(), |email| format!("{email}, who installed the app"))
}

fn is_looked(account: &KeptAccount, state: &SweepState) -> bool {
    let is_compared =
        state.run.is_none() && (state.last_dry.is_some() || state.last.is_some() || state.failed.is_some());
    is_compared && !matches!(&account.standing, Standing::NeedsApiUser { why, .. } if why.starts_with("nobody"))
}

fn found(state: &SweepState) -> Option<(u64, String)> {
    let run = state.last_dry.as_ref().or(state.last.as_ref()).filter(|run| run.ended_at.is_some())?;
    let mut would = String::new();
    for (rule, count) in &run.found_by_rule {
        let comma = if would.is_empty() { "" } else { "; " };
        // Writing to a text cannot fail.
        let _written = write!(would, "{comma}{rule}: {count} of them");
    }
    Some((run.users, if would.is_empty() { "nothing".to_owned() } else { would }))
}

fn redirect(to: &str) -> Response {
    let Ok(location) = HeaderValue::try_from(to) else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    let headers = [
        (header::LOCATION, location),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    (StatusCode::SEE_OTHER, headers).into_response()
}
