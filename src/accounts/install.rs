//! How an admin installs a general app: the way to Zoom and back, without HTTP.
//!
//! The state that goes to Zoom is in a signed cookie of the same browser, so that nobody can be led to authorise somebody
//! else's account; the PKCE verifier follows from the state by a key that only we have. Nothing is kept of an admin who
//! never comes back. An access that is not wanted, or not understood, is given back at once.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::ExposeSecret;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::kept::{Installation, Invite, KeptAccount, Standing};
use super::{Accounts, GeneralApp, note};
use crate::account::UserKey;
use crate::breakpoint::reached;
use crate::chance;
use crate::clock::{Timestamp, lock};
use crate::ids::{AccountId, AppName, Email};
use crate::store::StoreError;
use crate::zoom::{Granted, ZoomError};

/// How long an admin may take at Zoom.
const COOKIE_LIVES: Duration = Duration::from_secs(30 * 60);
/// How long the page about an installation can be looked at.
const TICKET_LIVES: Duration = Duration::from_secs(3600);

/// Where the browser goes, and what it keeps.
#[derive(Debug, Clone)]
pub struct Begun {
    pub location: String,
    pub cookie: String,
}

/// What came back from Zoom with the browser.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Called {
    pub code: Option<String>,
    pub state: Option<String>,
    pub error: Option<String>,
}

/// An installation that is on disk.
#[derive(Debug, Clone)]
pub struct Finished {
    pub account: AccountId,
    pub app: AppName,
    /// Lets the browser look at what became of it.
    pub ticket: String,
}

/// What a browser may look at.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ticket {
    pub account: AccountId,
    pub app: AppName,
    until: Timestamp,
}

/// Why an app was not installed.
#[derive(Debug, thiserror::Error)]
pub enum InstallProblem {
    #[error("the API user has to be named first")]
    ApiUserUnknown,
    #[error("{0} is no email address")]
    NoEmail(String),
    #[error("an invite is needed")]
    InviteNeeded,
    #[error("Zoom was told not to allow it: {0}")]
    Declined(String),
    #[error("the app has access to its user alone, and not to the account ({0})")]
    UserLevel(String),
    #[error("Zoom's answer names no account")]
    NoAccount,
    #[error("[server] public_url is not configured")]
    NoAddress,
    #[error(transparent)]
    Zoom(#[from] ZoomError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// In the cookie.
#[derive(Debug, Serialize, Deserialize)]
pub struct UnderWay {
    pub app: AppName,
    state: String,
    invite: Option<String>,
    api_user: Option<Email>,
    until: Timestamp,
}

impl Accounts {
    /// Sends an admin to Zoom.
    pub fn begin(
        &self,
        app: &GeneralApp,
        invite: Option<&str>,
        api_user: Option<&str>,
    ) -> Result<Begun, InstallProblem> {
        let no_email = |text: &str| InstallProblem::NoEmail(text.chars().take(100).collect());
        let api_user = api_user.filter(|text| !text.is_empty());
        let api_user = api_user.map(|text| Email::parse(text.trim()).map_err(|_| no_email(text))).transpose()?;
        if app.api_user == super::ApiUserIs::Ask && api_user.is_none() {
            return Err(InstallProblem::ApiUserUnknown);
        }
        let redirect = self.redirect_uri().ok_or(InstallProblem::NoAddress)?;
        let state = URL_SAFE_NO_PAD.encode(chance::bytes::<32>(&*self.parts.chance));
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(self.verifier(&state).as_bytes()));
        let url = self.parts.oauth.authorize_url(&app.credentials.client_id, &redirect, &state, &challenge);
        let invite = invite.map(|secret| secret.chars().take(100).collect());
        let under = UnderWay { app: app.name.clone(), state, invite, api_user, until: self.now().plus(COOKIE_LIVES) };
        Ok(Begun { location: url.ok_or(InstallProblem::NoAddress)?, cookie: self.signed("install", &under) })
    }

    /// What the browser began that comes back from Zoom; none where somebody pressed Add in the Marketplace, took too long, or
    /// was led here.
    pub fn under_way(&self, called: &Called, cookie: Option<&str>) -> Option<(UnderWay, &GeneralApp)> {
        let under: UnderWay = self.opened("install", cookie?)?;
        let is_ours = same(called.state.as_deref()?, &under.state) && self.now() < under.until;
        let app = self.general_app(&under.app).filter(|_| is_ours)?;
        Some((under, app))
    }

    /// Takes what an admin brings back from Zoom. The installation is on disk when this returns.
    pub async fn finish(
        &self,
        (under, app): (&UnderWay, &GeneralApp),
        called: Called,
    ) -> Result<Finished, InstallProblem> {
        let Some(code) = called.code else {
            let why = called.error.unwrap_or_else(|| "no code".to_owned());
            return Err(InstallProblem::Declined(crate::plain::one_line(&why, 100)));
        };
        let redirect = self.redirect_uri().ok_or(InstallProblem::NoAddress)?;
        let verifier = self.verifier(&under.state);
        let exchanged = self.parts.oauth.exchange(&app.credentials, &code, &redirect, &verifier).await;
        let granted = exchanged.map_err(crate::zoom::Refusal::into_error)?;
        reached("install-granted");
        let taken = self.taken(app, under, &granted).await;
        if taken.is_err() {
            self.give_back(app, &granted).await;
        }
        let account = taken?;
        reached("install-recorded");
        let ticket = Ticket { account, app: app.name.clone(), until: self.now().plus(TICKET_LIVES) };
        let signed = self.signed("ticket", &ticket);
        Ok(Finished { account: ticket.account, app: ticket.app, ticket: signed })
    }

    /// What a ticket lets its browser look at.
    pub fn ticket(&self, text: &str) -> Option<Ticket> {
        self.opened("ticket", text).filter(|ticket: &Ticket| self.now() < ticket.until)
    }

    async fn taken(&self, app: &GeneralApp, under: &UnderWay, granted: &Granted) -> Result<AccountId, InstallProblem> {
        if !granted.scopes.is_empty() && !granted.is_for_account() {
            let scopes: Vec<&str> = granted.scopes.iter().map(String::as_str).take(5).collect();
            return Err(InstallProblem::UserLevel(scopes.join(", ")));
        }
        let me = self.parts.oauth.me(granted).await?;
        let account = me.whole.get("account_id").and_then(Value::as_str).and_then(|id| AccountId::parse(id).ok());
        let (Some(account), Some(user)) = (account, me.id.clone()) else { return Err(InstallProblem::NoAccount) };
        // What rules need first, and what a user-level app may not.
        self.parts.oauth.users(granted).await.map_err(|error| match error {
            ZoomError::ScopesMissing(scopes) => InstallProblem::UserLevel(scopes),
            error => error.into(),
        })?;
        let now = self.now();
        let installation = Installation {
            app: app.name.clone(),
            account: account.clone(),
            user,
            email: me.email.clone(),
            installed_at: now,
            granted: granted.clone(),
            lost: None,
        };
        self.record(app, under, installation).await?;
        // What its webhooks said before we knew it.
        if let Err(error) = self.parts.store.release(&app.name, &account, now).await {
            tracing::warn!(%account, %error, "earlier deliveries could not be released");
        }
        Ok(account)
    }

    async fn record(&self, app: &GeneralApp, under: &UnderWay, one: Installation) -> Result<(), InstallProblem> {
        let _one_at_a_time = self.changing.lock().await;
        let (now, id) = (one.installed_at, one.account.clone());
        let before = self.account(&id);
        let is_known = before.is_some() || lock(&self.configured).contains_key(&id);
        let invite = under.invite.as_deref().and_then(|secret| self.open_invite(&app.name, secret, now));
        if app.is_invited && !is_known && invite.is_none() {
            return Err(InstallProblem::InviteNeeded);
        }
        // An account that is known needs no invite, so its link is still good for the one whom it was meant for.
        let invite = invite.filter(|_| !is_known).map(|invite| Invite { used: Some((now, id.clone())), ..invite });
        let label = invite.as_ref().and_then(|invite| invite.label.clone());
        let api_user = app.api_user(&UserKey::Id(one.user.clone()), one.email.as_ref(), under.api_user.as_ref());
        let account = installed(app, before, &one, api_user, label, now);
        let mut writes = vec![one.put(), account.put()];
        writes.extend(invite.as_ref().map(Invite::put));
        let what = format!("installed by user:{}", one.user);
        let code = if account.rival.as_ref() == Some(&app.name) { "rival" } else { "installed" };
        let notes = vec![note(&id, &app.name, code, what)];
        self.write(writes, notes, |kept| {
            kept.installed(one);
            kept.account(account);
            if let Some(invite) = invite {
                kept.invites.insert(invite.id.clone(), invite);
            }
        })
        .await?;
        Ok(())
    }

    /// Where Zoom sends the browser back to: what has to be on the app's page in the Marketplace.
    pub fn redirect_uri(&self) -> Option<String> {
        Some(format!("{}/oauth/callback", self.parts.public_url.as_ref()?))
    }

    /// Nobody needs an access that is not kept.
    pub(super) async fn give_back(&self, app: &GeneralApp, granted: &Granted) {
        if let Err(error) = self.parts.oauth.revoke(&app.credentials, granted).await {
            tracing::info!(app = %app.name, error = error.kind(), "an access that is not kept could not be given back");
        }
    }

    /// For the authorisation with this state.
    fn verifier(&self, state: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.mac("verifier", state.as_bytes()))
    }

    fn mac(&self, what_for: &str, text: &[u8]) -> Vec<u8> {
        // HMAC takes a key of any length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.signs_with.expose_secret().as_bytes()) else {
            return Vec::new();
        };
        mac.update(what_for.as_bytes());
        mac.update(&[0]);
        mac.update(text);
        mac.finalize().into_bytes().to_vec()
    }

    fn signed<T: Serialize>(&self, what_for: &str, thing: &T) -> String {
        let text = URL_SAFE_NO_PAD.encode(serde_json::to_vec(thing).unwrap_or_default());
        let mac = URL_SAFE_NO_PAD.encode(self.mac(what_for, text.as_bytes()));
        format!("{text}.{mac}")
    }

    fn opened<T: DeserializeOwned>(&self, what_for: &str, signed: &str) -> Option<T> {
        let (text, mac) = signed.split_once('.')?;
        let expected = URL_SAFE_NO_PAD.encode(self.mac(what_for, text.as_bytes()));
        if !same(&expected, mac) {
            return None;
        }
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
    }
}

fn same(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}

/// The account as it is with this installation.
fn installed(
    app: &GeneralApp,
    before: Option<KeptAccount>,
    one: &Installation,
    api_user: Option<UserKey>,
    label: Option<String>,
    now: Timestamp,
) -> KeptAccount {
    let not_looked = Standing::NeedsApiUser { why: "nobody has looked at it yet".to_owned(), since: now };
    match before {
        // It is served by another app: a person says which of the two acts.
        Some(kept) if kept.app != app.name && kept.standing.is_served() => {
            KeptAccount { rival: Some(app.name.clone()), ..kept }
        }
        Some(kept) => {
            let standing = if kept.standing.is_served() { kept.standing } else { not_looked };
            let api_users = if kept.api_users.is_empty() { api_user.into_iter().collect() } else { kept.api_users };
            let rival = kept.rival.filter(|rival| *rival != app.name);
            KeptAccount { app: app.name.clone(), standing, api_users, rival, ..kept }
        }
        None => KeptAccount {
            id: one.account.clone(),
            app: app.name.clone(),
            label,
            plan: app.plan,
            api_users: api_user.into_iter().collect(),
            may_grant: Vec::new(),
            acts_as: Vec::new(),
            added_at: now,
            added_by: format!("user:{}", one.user),
            standing: not_looked,
            invites_per_day: None,
            rival: None,
        },
    }
}
