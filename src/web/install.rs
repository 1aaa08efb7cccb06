//! How an admin's browser installs a general app: `/install/{app}` and `GET /oauth/callback`.
//!
//! Guarantees: a page shows nothing of an account but to the browser that just installed it; who schedules for others is said
//! by a form that this browser was shown, never by a link alone; no page runs a script, is framed, cached, or tells another
//! site where it was; whoever comes back from Zoom without having begun here is sent to the beginning. What installing means,
//! [`Accounts`] knows.

mod told;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Form, Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;

use super::OncePerMinute;
use super::admin::sweeps::Sweeps;
use super::page::Page;
use crate::accounts::{Accounts, Begun, Called, GeneralApp, InstallProblem};
use crate::clock::Clock;
use crate::ids::AppName;

/// What the pages are made from.
#[derive(Debug)]
pub struct Install {
    pub accounts: Arc<Accounts>,
    pub sweeps: Arc<dyn Sweeps>,
    pub clock: Arc<dyn Clock>,
    pub failures: Failures,
}

/// Installations that failed at Zoom, which strangers can make as many of as they like.
#[derive(Debug, Default)]
pub struct Failures {
    told: OncePerMinute,
    untold: AtomicU64,
}

type Shared = State<Arc<Install>>;

/// Says how far the browser is.
const COOKIE: &str = "adjutant-install";
/// The same where the connection is secure: then no other host of the domain can set it.
const SECURE_COOKIE: &str = "__Host-adjutant-install";
/// An email, an invite and a token.
const FORM_BYTES_MAX: usize = 4_096;

impl Install {
    pub fn router(self: Arc<Self>) -> Router {
        let form = get(install).post(chosen).layer(DefaultBodyLimit::max(FORM_BYTES_MAX));
        Router::new().route("/install/{app}", form).route("/oauth/callback", get(callback)).with_state(self)
    }

    fn is_secure(&self) -> bool {
        self.accounts.redirect_uri().is_some_and(|url| url.starts_with("https://"))
    }

    fn cookie_name(&self) -> &'static str {
        if self.is_secure() { SECURE_COOKIE } else { COOKIE }
    }

    /// The answer, with a cookie; an empty value ends it.
    fn with_cookie(&self, mut answer: Response, value: &str, age_secs: u32) -> Response {
        let (name, secure) = (self.cookie_name(), if self.is_secure() { "; Secure" } else { "" });
        // Lax: the browser comes back from Zoom by a link, and must bring it.
        let cookie = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={age_secs}{secure}");
        if let Ok(cookie) = HeaderValue::try_from(cookie) {
            answer.headers_mut().insert(header::SET_COOKIE, cookie);
        }
        answer
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

    fn app(&self, name: &str) -> Option<&GeneralApp> {
        AppName::parse(name).ok().and_then(|name| self.accounts.general_app(&name))
    }

    /// On to Zoom, or why not.
    fn begun(&self, app: &GeneralApp, begun: Result<Begun, InstallProblem>, asked: Asked) -> Response {
        match begun {
            Ok(begun) => self.with_cookie(redirect(&begun.location), &begun.cookie, 1_800),
            Err(problem @ (InstallProblem::ApiUserUnknown | InstallProblem::NoEmail(_))) => {
                let form = self.accounts.form();
                let page = told::api_user_form(self, app, asked, &problem, form.token);
                self.with_cookie(page.answer(StatusCode::OK), &form.cookie, 1_800)
            }
            Err(problem) => told::refusal(self, app, &problem, None),
        }
    }

    /// How many failed that nobody was told of, this one among them; none where somebody was just told.
    fn failed(&self) -> Option<u64> {
        self.failures.untold.fetch_add(1, Ordering::Relaxed);
        self.failures.told.pass(self.clock.now()).then(|| self.failures.untold.swap(0, Ordering::Relaxed))
    }
}

#[derive(Debug, Default, Deserialize)]
struct Asked {
    invite: Option<String>,
    api_user: Option<String>,
    done: Option<String>,
    /// Of the form.
    token: Option<String>,
}

async fn install(
    State(install): Shared,
    Path(app): Path<String>,
    asked: Result<Query<Asked>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let Some(app) = install.app(&app) else { return told::no_app() };
    let Ok(Query(asked)) = asked else { return told::not_understood() };
    if let Some(ticket) = asked.done {
        let ticket = install.accounts.ticket(&ticket, install.cookie_of(&headers).as_deref());
        return match ticket.filter(|ticket| ticket.app == app.name) {
            Some(ticket) => told::done(&install, &ticket).await,
            None => told::begin_again(&install, app),
        };
    }
    // Whom everyone's privilege goes to is said by who is here, not by who made the link.
    let begun = install.accounts.begin(app, asked.invite.as_deref(), None);
    install.begun(app, begun, asked)
}

/// The form was sent.
async fn chosen(
    State(install): Shared,
    Path(app): Path<String>,
    headers: HeaderMap,
    asked: Result<Form<Asked>, FormRejection>,
) -> Response {
    let Some(app) = install.app(&app) else { return told::no_app() };
    let Ok(Form(asked)) = asked else { return told::not_understood() };
    let cookie = install.cookie_of(&headers);
    let token = asked.token.as_deref().unwrap_or_default();
    let api_user = asked.api_user.as_deref().filter(|_| install.accounts.was_shown(cookie.as_deref(), token));
    let begun = install.accounts.begin(app, asked.invite.as_deref(), api_user);
    install.begun(app, begun, asked)
}

/// In the words of Zoom's redirect.
async fn callback(
    State(install): Shared,
    called: Result<Query<Called>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let Ok(Query(called)) = called else { return told::not_understood() };
    let cookie = install.cookie_of(&headers);
    let Some((under, app)) = install.accounts.under_way(&called, cookie.as_deref()) else { return beginning(&install) };
    // On a task of its own: the code is good once, so that a browser that goes away must not end this half way.
    let (accounts, app) = (Arc::clone(&install.accounts), app.clone());
    let finishing = tokio::spawn(async move {
        let finished = accounts.finish((&under, &app), called).await;
        let invite = accounts.invite_of(&under);
        (finished, app, invite)
    });
    match finishing.await {
        Ok((Ok(done), app, _)) => {
            tracing::info!(app = %app.name, account = %done.account, "the app was installed on an account");
            let there = format!("{}?done={}", install.accounts.install_path(&app.name), done.ticket);
            install.with_cookie(redirect(&there), &done.cookie, 3_600)
        }
        // The browser may come again with what it has.
        Ok((Err(problem @ (InstallProblem::Busy | InstallProblem::Spent)), app, invite)) => {
            told::refusal(&install, &app, &problem, invite.as_deref())
        }
        Ok((Err(problem), app, invite)) => {
            let answer = told::refusal(&install, &app, &problem, invite.as_deref());
            install.with_cookie(answer, "", 0)
        }
        Err(error) => {
            tracing::error!(%error, "an installation failed");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Somebody came back whom nobody sent: an admin who pressed Add in the Marketplace, or took too long.
fn beginning(install: &Install) -> Response {
    match install.accounts.general_apps() {
        [] => Page::new("There is nothing to install").answer(StatusCode::NOT_FOUND),
        [app] => redirect(&install.accounts.install_path(&app.name)),
        apps => {
            let page = Page::new("Which app do you want to install?");
            let links = apps.iter().map(|app| (install.accounts.install_path(&app.name), app.name.to_string()));
            links.fold(page, |page, (to, text)| page.link(to, text)).answer(StatusCode::OK)
        }
    }
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
