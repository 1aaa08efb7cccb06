//! `/oauth/authorize`: the page on which somebody lets a general app act, or does not.
//!
//! Whoever sits at the browser is named by `as`, an email: the simulated Zoom has no sign-in. Words of pages are \[I].

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::chance::Chance;
use crate::clock::Timestamp;
use crate::sim::answer::Answer;
use crate::sim::app::App;
use crate::sim::call::{Request, form_value};
use crate::sim::user::User;
use crate::sim::world::State;

const TITLE: &str = "Simulated Zoom";

impl State {
    pub(crate) fn authorize(&mut self, request: &Request, chance: &dyn Chance, now: Timestamp) -> Answer {
        match self.consent(request, chance, now) {
            Ok(answer) => answer,
            Err((status, why)) => page(status, &format!("<p>{}</p>", escaped(&why))),
        }
    }

    /// Mistakes of the URL are shown and never redirected: the address may be anybody's. A status and a text where it is refused.
    fn consent(&mut self, request: &Request, chance: &dyn Chance, now: Timestamp) -> Result<Answer, (u16, String)> {
        let bad = |why: &str| (400, why.to_owned());
        let form = String::from_utf8_lossy(&request.body).into_owned();
        let param = |name: &str| request.param(name).or_else(|| form_value(&form, name));
        let client_id = param("client_id").unwrap_or_default();
        // The code in the text is as the Marketplace shows it [M].
        let app = self.apps.get_mut(&client_id).ok_or_else(|| bad("Invalid client id: (4,700)"))?;
        let redirect = param("redirect_uri").unwrap_or_default();
        if !app.about.redirect_uris.contains(&redirect) {
            return Err(bad("Invalid redirect: (4,700)"));
        }
        if !app.enabled {
            return Err(bad("The app has been disabled (4,717)"));
        }
        if param("response_type").as_deref() != Some("code") {
            return Err(bad("Invalid response type: (4,700)"));
        }
        if param("scope").is_some() && !app.quirks.scope_in_url {
            return Err(bad("Invalid scope: (4,711)"));
        }
        let challenge = param("code_challenge");
        if challenge.is_some() && param("code_challenge_method").as_deref() != Some("S256") {
            return Err(bad("Invalid code challenge method: only S256 is supported"));
        }
        let Some(email) = param("as").filter(|email| !email.is_empty()) else {
            return Ok(sign_in(request, app));
        };
        let email = email.to_lowercase();
        let home = self.homes.get(&email).and_then(|home| self.accounts.get(home));
        let known = home.and_then(|account| Some((account, account.users.find(&email)?)));
        let Some((account, user)) = known else {
            return Err((403, format!("There is no user {email}.")));
        };
        may_consent(app, &account.id, user).map_err(|why| (403, why.to_owned()))?;
        let state = param("state");
        if request.method == "GET" {
            return Ok(ask(request, app, &account.id, user));
        }
        match param("decision").as_deref() {
            Some("allow") => {
                let code = app.give_code((&account.id, &user.id), &redirect, challenge, (chance, now));
                Ok(back_to(&redirect, &[("code", Some(code)), ("state", state)]))
            }
            // What Zoom sends back then is in none of the documents: RFC 6749 [I].
            Some("decline") => {
                let error = Some("access_denied".to_owned());
                Ok(back_to(&redirect, &[("error", error), ("state", state)]))
            }
            _ => Err(bad("Allow or decline?")),
        }
    }
}

/// An app of admins needs a role that has its permissions \[D end-user-auth]: here owners and admins.
pub(crate) fn may_consent(app: &App, account: &str, user: &User) -> Result<(), &'static str> {
    if !user.is_active() {
        return Err("Your user is not active.");
    }
    if app.disallowed.contains(account) {
        return Err("Your account's admin does not allow this app.");
    }
    if !app.is_for_users() && !user.is_admin() {
        return Err(
            "You cannot authorize this app: your role lacks permissions that it asks for. Ask your account's admin.",
        );
    }
    Ok(())
}

/// Where the browser goes next.
pub(crate) fn back_to(redirect: &str, params: &[(&str, Option<String>)]) -> Answer {
    let mut url = redirect.to_owned();
    for (name, value) in params {
        if let Some(value) = value {
            let mark = if url.contains('?') { '&' } else { '?' };
            url = format!("{url}{mark}{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC));
        }
    }
    Answer::empty(302).with("Location", url)
}

fn sign_in(request: &Request, app: &App) -> Answer {
    let names = request.query.split('&').filter_map(|pair| Some(pair.split_once('=')?.0));
    let field = |name: &str| {
        let value = request.param(name).unwrap_or_default();
        format!("<input type=\"hidden\" name=\"{}\" value=\"{}\">", escaped(name), escaped(&value))
    };
    let hidden = names.map(field).collect::<Vec<_>>().concat();
    let body = format!(
        "<p>Sign in to add <b>{}</b>.</p><form method=\"get\" action=\"/oauth/authorize\">{hidden}\
         <label>Email <input name=\"as\" type=\"email\"></label> <button>Sign in</button></form>",
        escaped(&app.about.name),
    );
    page(200, &body)
}

fn ask(request: &Request, app: &App, account: &str, user: &User) -> Answer {
    let scopes: Vec<String> = app.about.scopes.iter().map(|scope| format!("<li>{}</li>", escaped(scope))).collect();
    let scopes = scopes.concat();
    let body = format!(
        "<p>You are <b>{}</b> of the account <b>{}</b>.</p><p><b>{}</b> wants to:</p><ul>{scopes}</ul>\
         <form method=\"post\" action=\"/oauth/authorize?{}\">\
         <button name=\"decision\" value=\"allow\">Allow</button> \
         <button name=\"decision\" value=\"decline\">Decline</button></form>",
        escaped(&user.email),
        escaped(account),
        escaped(&app.about.name),
        escaped(&request.query),
    );
    page(200, &body)
}

fn page(status: u16, body: &str) -> Answer {
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{TITLE}</title></head><body><h1>{TITLE}</h1>{body}</body></html>"
    );
    Answer::html(status, html)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}
