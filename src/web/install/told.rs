//! What a browser is told that installs an app, in the words of people.

use std::fmt::Write as _;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;

use super::{Asked, Install};
use crate::account::UserKey;
use crate::accounts::{GeneralApp, InstallProblem, KeptAccount, Standing, Ticket};
use crate::clock::Timestamp;
use crate::store::StoreError;
use crate::web::admin::sweeps::{SweepRunView, SweepView};
use crate::web::page::{Form, Page};

/// Between two looks of a page that goes on by itself.
const REFRESH_SECS: u32 = 2;
/// Before a browser tries again, where too many are here.
const BUSY_SECS: &str = "10";

pub(super) fn no_app() -> Response {
    Page::new("There is no such app").with("The link may be incomplete.").answer(StatusCode::NOT_FOUND)
}

pub(super) fn not_understood() -> Response {
    Page::new("The link is not complete").with("Open it again as it was sent.").answer(StatusCode::BAD_REQUEST)
}

pub(super) fn begin_again(install: &Install, app: &GeneralApp) -> Response {
    let why = "This page can be looked at for an hour, and in the browser that installed the app.";
    let again = install.accounts.install_path(&app.name);
    Page::new("Begin again").with(why).link(again, "Authorise the app again").answer(StatusCode::OK)
}

pub(super) fn api_user_form(
    install: &Install,
    app: &GeneralApp,
    asked: Asked,
    problem: &InstallProblem,
    token: String,
) -> Page {
    let mut page = Page::new("Who schedules for others?").with(
        "The app needs one user of your Zoom account, its API user, who will be allowed to schedule meetings for your users. \
         It has to be licensed, so it uses one paid seat: choose a user that nobody works with.",
    );
    if let InstallProblem::NoEmail(_) = problem {
        page = page.with(format!("{problem}."));
    }
    let mut hidden = vec![("token".to_owned(), token)];
    hidden.extend(asked.invite.map(|invite| ("invite".to_owned(), invite)));
    page.form(Form {
        action: install.accounts.install_path(&app.name),
        field: ("api_user".to_owned(), "Email of the API user".to_owned()),
        value: asked.api_user.unwrap_or_default(),
        hidden,
        button: "Go on to Zoom".to_owned(),
        // Browsers hold a form to where it is led on to as well.
        leads_to: install.accounts.authorize_origin(),
    })
}

/// Why nothing was installed. An invite that is good still is in the link back.
pub(super) fn refusal(install: &Install, app: &GeneralApp, problem: &InstallProblem, invite: Option<&str>) -> Response {
    let (status, title, what) = words(problem);
    match problem {
        InstallProblem::Zoom(error) => {
            if let Some(count) = install.failed() {
                let (app, error) = (&app.name, error.kind());
                tracing::warn!(%app, error, count, "installations failed at Zoom; more within a minute are only counted");
            }
        }
        InstallProblem::InviteNeeded | InstallProblem::UserLevel(_) | InstallProblem::NoAccount => {
            tracing::info!(app = %app.name, why = %problem, "an installation was refused, and its access given back");
        }
        InstallProblem::Store(StoreError::Conflict(_)) => {}
        InstallProblem::Store(error) => {
            tracing::error!(app = %app.name, %error, "an installation could not be stored");
        }
        _ => {}
    }
    let again = install.accounts.install_path(&app.name);
    // An invite has no characters that a link would have to escape.
    let again = invite.map_or_else(|| again.clone(), |invite| format!("{again}?invite={invite}"));
    let mut answer = Page::new(title).with(what).link(again, "Begin again").answer(status);
    if matches!(problem, InstallProblem::Busy) {
        answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(BUSY_SECS));
    }
    answer
}

fn words(problem: &InstallProblem) -> (StatusCode, &'static str, String) {
    const DID_NOT: &str = "It did not work";
    let (status, title, what) = match problem {
        InstallProblem::InviteNeeded => (
            StatusCode::FORBIDDEN,
            "An invite is needed",
            "This app is installed by invitation only, and each invite is good once. Ask whoever runs this service for a link, \
             or for a new one. The access that you gave just now was given back to Zoom.",
        ),
        InstallProblem::InviteNotGood => (
            StatusCode::FORBIDDEN,
            "The invite is not good",
            "An invite is needed, and this one is not complete, too old, or was ended. Ask whoever runs this service for a \
             new link. Nothing was asked of Zoom.",
        ),
        InstallProblem::Spent => (
            StatusCode::CONFLICT,
            "This was used already",
            "An authorisation is good once. If the page before did not say that the app is installed, begin again.",
        ),
        InstallProblem::Busy => (
            StatusCode::SERVICE_UNAVAILABLE,
            "Too many at once",
            "Many others install the app at this moment. Load this page again in a few seconds.",
        ),
        InstallProblem::Leaving | InstallProblem::Store(StoreError::Conflict(_)) => (
            StatusCode::CONFLICT,
            "The account is being removed",
            "What is kept of your account is being removed, and it cannot be installed before that is over: try again in \
             some minutes.",
        ),
        InstallProblem::Zoom(_) => (
            StatusCode::BAD_GATEWAY,
            DID_NOT,
            "Zoom did not give the access, or did not say for which account. An authorisation is good once and for five \
             minutes: begin again. If it happens again, tell whoever runs this service; the log says why.",
        ),
        InstallProblem::Store(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            DID_NOT,
            "The service cannot store anything at the moment: begin again later.",
        ),
        InstallProblem::Declined(why) => {
            return (StatusCode::OK, "The app was not installed", format!("Zoom says: {why}. Nothing was changed."));
        }
        InstallProblem::UserLevel(scopes) => return not_for_account(&format!("for your own user only ({scopes})")),
        InstallProblem::ScopesMissing(scopes) => {
            let what = format!(
                "The access lacks what the app needs first, to read the account's users: Zoom says {scopes}. Whoever made the \
                 app has to add the scope in the Zoom Marketplace; then install it again."
            );
            return (StatusCode::UNPROCESSABLE_ENTITY, "The app may not do what it needs", what);
        }
        problem => return (StatusCode::BAD_GATEWAY, DID_NOT, format!("{problem}.")),
    };
    (status, title, what.to_owned())
}

fn not_for_account(how: &str) -> (StatusCode, &'static str, String) {
    let what = format!(
        "The access is {how}, and creating and changing users needs that of an account: whoever made the app has to choose an \
         admin-managed app in the Zoom Marketplace, with scopes that end in :admin, and a Zoom admin whose role has these \
         rights has to install it. The access was given back."
    );
    (StatusCode::UNPROCESSABLE_ENTITY, "The app cannot act for your account", what)
}

/// What became of an installation.
pub(super) async fn done(install: &Install, ticket: &Ticket) -> Response {
    let account = install.accounts.account(&ticket.account);
    let sweeps = install.sweeps.of(&ticket.account).await;
    let configured = install.accounts.configured_by(&ticket.account);
    let acts = configured.as_ref().or(account.as_ref().map(|account| &account.app));
    if let Some(acts) = acts.filter(|acts| **acts != ticket.app) {
        let what = format!(
            "Another app, {acts}, acts for this account already, and two must not do so at once: nothing is changed until \
             whoever runs this service says which of the two acts. They have been told."
        );
        return Page::new("Installed, but not acting").with(what).answer(StatusCode::OK);
    }
    let (Some(account), Ok(sweeps)) = (account, sweeps) else {
        return Page::new("This account is not served any more").answer(StatusCode::OK);
    };
    let page = Page::new("The app is installed").fact("Account", ticket.account.to_string());
    let (page, is_looked) = standing(install, page, &account);
    let paused = install.accounts.paused_by(&ticket.account).is_some();
    let sweeps = sweeps.map(|sweeps| since(sweeps, account.joined_at()));
    let (page, is_compared) = compared(page, sweeps.as_ref(), paused);
    let page = if is_looked && is_compared { page } else { page.refresh(REFRESH_SECS) };
    page.answer(StatusCode::OK)
}

/// Without what was before the account came, or came back.
fn since(sweeps: SweepView, joined: Timestamp) -> SweepView {
    let is_since = |at: &str| Timestamp::parse(at).is_some_and(|at| at >= joined);
    SweepView {
        last: sweeps.last.filter(|run| is_since(&run.started_at)),
        last_dry: sweeps.last_dry.filter(|run| is_since(&run.started_at)),
        failed: sweeps.failed.filter(|failed| is_since(&failed.at)),
        ..sweeps
    }
}

/// How the account stands; whether that is known.
fn standing(install: &Install, mut page: Page, account: &KeptAccount) -> (Page, bool) {
    if let Some(label) = &account.label {
        page = page.fact("Name", label.clone());
    }
    page = match account.api_users.first() {
        Some(api_user) => page.fact("API user", api_user_of(install, account, api_user)),
        None => page.fact("API user", "none yet".to_owned()),
    };
    match &account.standing {
        Standing::Active => {
            (page.fact("Its licence", "licensed: it uses one paid seat of your account".to_owned()), true)
        }
        Standing::NeedsApiUser { why, is_looked, .. } => {
            let page = page.fact("Its licence", why.clone()).with(
                "Until the API user is there and licensed (which uses one paid seat), nothing is changed in your account. It \
                 is looked at again by itself.",
            );
            (page, *is_looked)
        }
        standing => (page.fact("Standing", standing.code().to_owned()), true),
    }
}

/// What comparing the users with the rules found; whether there is more to come.
fn compared(page: Page, sweeps: Option<&SweepView>, is_paused: bool) -> (Page, bool) {
    const GOES_ON: &str =
        "Your users are being compared with the rules, which changes nothing. This page goes on by itself.";
    if is_paused {
        return (
            page.with("Whoever runs this service has paused your account: nothing is done until it goes on."),
            true,
        );
    }
    // Just taken in.
    let Some(sweeps) = sweeps else { return (page.with(GOES_ON), false) };
    if let Some(last) = in_force(sweeps) {
        let page = page.fact("Active users", last.users.to_string()).fact("Compared at", last.started_at.clone());
        return (page.with("The app was installed before: what the rules say is done for all of them."), true);
    }
    if let Some((users, would)) = found(sweeps) {
        let page = page.fact("Active users", users.to_string()).fact("What the rules would change", would);
        return (page.with(from_then_on(sweeps)), sweeps.run.is_none());
    }
    if sweeps.kinds.is_empty() {
        let what =
            "No rule looks at all your users: what the rules say is done when something happens in your account.";
        return (page.with(what), true);
    }
    match &sweeps.failed {
        Some(failed) if sweeps.run.is_none() => {
            let what = format!("Your users could not be compared with the rules: {}. It is tried again.", failed.why);
            (page.with(what), true)
        }
        _ => (page.with(GOES_ON), false),
    }
}

fn from_then_on(sweeps: &SweepView) -> String {
    let next = sweeps.kinds.iter().map(|kind| kind.next_at.as_str()).min();
    let when = next.map_or_else(|| "by the schedule".to_owned(), |at| format!("at {at}"));
    format!(
        "This first look changed nothing. From the next one, {when}, the rules do what they say for all users; for who is new \
         or changed they do so from now on."
    )
}

/// Shown by email where the admin who installed is meant.
fn api_user_of(install: &Install, account: &KeptAccount, api_user: &UserKey) -> String {
    let installed = install.accounts.installations_of(&account.id);
    let named = installed.iter().find(|one| api_user.is(Some(&one.user), None)).and_then(|one| one.email.as_ref());
    named.map_or_else(|| api_user.to_string(), |email| format!("{email}, who installed the app"))
}

/// The newest look at all users, where the rules did by it what they say, and did not only look.
fn in_force(sweeps: &SweepView) -> Option<&SweepRunView> {
    let last = sweeps.last.as_ref().filter(|run| run.ended_at.is_some() && !run.is_dry)?;
    let dry = sweeps.last_dry.as_ref().and_then(|run| run.ended_at.as_ref());
    (last.ended_at.as_ref() > dry).then_some(last)
}

fn found(sweeps: &SweepView) -> Option<(u64, String)> {
    let run = sweeps.last_dry.as_ref().or(sweeps.last.as_ref()).filter(|run| run.ended_at.is_some())?;
    let mut would = String::new();
    for (rule, count) in &run.found_by_rule {
        let comma = if would.is_empty() { "" } else { "; " };
        // Writing to a text cannot fail.
        let _written = write!(would, "{comma}{rule}: {count} of them");
    }
    Some((run.users, if would.is_empty() { "nothing".to_owned() } else { would }))
}
