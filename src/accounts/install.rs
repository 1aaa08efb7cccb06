//! How an admin installs a general app: the way to Zoom and back, without HTTP.
//!
//! The state that goes to Zoom is in a signed cookie of the same browser, so that nobody can be led to authorise somebody
//! else's account; the PKCE verifier follows from the state by a key that only we have. Nothing is kept of an admin who
//! never comes back. An access that is not wanted, or not understood, is given back at once.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::browsers::{Ticket, same};
use super::kept::{Installation, Invite, KeptAccount, Standing};
use super::{Accounts, GeneralApp, by_user, note};
use crate::account::UserKey;
use crate::breakpoint::reached;
use crate::clock::{Timestamp, lock};
use crate::ids::{AccountId, AppName, Email};
use crate::store::StoreError;
use crate::zoom::{Granted, ZoomError};

/// How long an admin may take at Zoom.
pub(super) const COOKIE_LIVES: Duration = Duration::from_secs(30 * 60);
/// So long Zoom may fail to say whose an access is.
const PATIENCE: Duration = Duration::from_secs(10);
const AGAIN: Duration = Duration::from_millis(500);
/// Authorisations that are exchanged at once.
pub(super) const EXCHANGED_AT_ONCE: usize = 16;
/// How long the page about an installation can be looked at.
const TICKET_LIVES: Duration = Duration::from_secs(3600);

/// Where the browser goes, and what it keeps.
#[derive(Debug, Clone)]
pub struct Begun {
    pub location: String,
    pub cookie: String,
}

/// What came back from Zoom with the browser.
#[derive(Clone, Default, Deserialize)]
pub struct Called {
    pub code: Option<String>,
    pub state: Option<String>,
    pub error: Option<String>,
}

impl fmt::Debug for Called {
    /// Without what gives access.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Called").field("error", &self.error).finish_non_exhaustive()
    }
}

/// An installation that is on disk.
#[derive(Debug, Clone)]
pub struct Finished {
    pub account: AccountId,
    pub app: AppName,
    /// Lets the browser look at what became of it, with its cookie.
    pub ticket: String,
    pub cookie: String,
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
    /// Told before anything is asked of Zoom.
    #[error("the invite is not good")]
    InviteNotGood,
    #[error("the authorisation was used already")]
    Spent,
    #[error("too many authorisations come back at once")]
    Busy,
    #[error("the account is being removed")]
    Leaving,
    #[error("Zoom was told not to allow it: {0}")]
    Declined(String),
    #[error("the app has access to its user alone, and not to the account ({0})")]
    UserLevel(String),
    #[error("the app may not do what it needs first: {0}")]
    ScopesMissing(String),
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
#[derive(Serialize, Deserialize)]
pub struct UnderWay {
    pub app: AppName,
    state: String,
    invite: Option<String>,
    api_user: Option<Email>,
    until: Timestamp,
}

impl fmt::Debug for UnderWay {
    /// Without state and invite.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnderWay").field("app", &self.app).field("until", &self.until).finish_non_exhaustive()
    }
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
        if let Some(secret) = invite.filter(|secret| app.is_invited && !self.may_be_good(&app.name, secret)) {
            tracing::debug!(chars = secret.len(), "an invite that is not good");
            return Err(InstallProblem::InviteNotGood);
        }
        let api_user = api_user.filter(|text| !text.is_empty());
        let api_user = api_user.map(|text| Email::parse(text.trim()).map_err(|_| no_email(text))).transpose()?;
        if app.api_user == super::ApiUserIs::Ask && api_user.is_none() {
            return Err(InstallProblem::ApiUserUnknown);
        }
        let redirect = self.redirect_uri().ok_or(InstallProblem::NoAddress)?;
        let state = self.nonce();
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
        let _one_of_few = self.exchanging.try_acquire().map_err(|_| InstallProblem::Busy)?;
        if !lock(&self.spent).spend(&under.state, self.now()) {
            return Err(InstallProblem::Spent);
        }
        let verifier = self.verifier(&under.state);
        let exchanged = self.parts.oauth.exchange(&app.credentials, &code, &redirect, &verifier).await;
        let granted = exchanged.map_err(crate::zoom::Refusal::into_error)?;
        reached("install-granted");
        let taken = self.taken(app, under, &granted).await;
        if taken.is_err() && !self.is_kept(app, &granted) {
            self.give_back(app, &granted).await;
        }
        let account = taken?;
        reached("install-recorded");
        let (browser, until) = (self.nonce(), self.now().plus(TICKET_LIVES));
        let cookie = self.signed("done", &browser);
        let ticket = Ticket { account, app: app.name.clone(), browser, until };
        let signed = self.signed("ticket", &ticket);
        Ok(Finished { account: ticket.account, app: ticket.app, ticket: signed, cookie })
    }

    /// The invite that a browser came with, where it is good still.
    pub fn invite_of(&self, under: &UnderWay) -> Option<String> {
        let secret = under.invite.clone()?;
        self.open_invite(&under.app, &secret, self.now()).map(|_| secret)
    }

    /// What passes is waited for: were the access given back, the account would have neither it nor what it replaced, since
    /// authorising an app again ends the tokens of before \[I].
    async fn patiently<T, F: Future<Output = Result<T, ZoomError>> + Send>(
        &self,
        ask: impl Fn() -> F + Send,
    ) -> Result<T, ZoomError> {
        let (until, mut wait) = (self.now().plus(PATIENCE), AGAIN);
        loop {
            let (again, error) = match ask().await {
                Err(error @ ZoomError::Limited { until, .. }) => (until, error),
                Err(error @ (ZoomError::Transient(_) | ZoomError::Unreadable(_))) => (self.now().plus(wait), error),
                answered => return answered,
            };
            if again > until {
                return Err(error);
            }
            self.parts.clock.sleep_until(again).await;
            wait = wait.saturating_mul(2);
        }
    }

    async fn taken(&self, app: &GeneralApp, under: &UnderWay, granted: &Granted) -> Result<AccountId, InstallProblem> {
        if !granted.scopes.is_empty() && !granted.is_for_account() {
            let scopes: Vec<&str> = granted.scopes.iter().map(String::as_str).take(5).collect();
            return Err(InstallProblem::UserLevel(scopes.join(", ")));
        }
        let me = self.patiently(|| {
            let (oauth, granted) = (self.parts.oauth.clone(), granted.clone());
            async move { oauth.me(&granted).await }
        });
        let of_scopes = |error| match error {
            ZoomError::ScopesMissing(scopes) if granted.is_for_account() => InstallProblem::ScopesMissing(scopes),
            ZoomError::ScopesMissing(scopes) => InstallProblem::UserLevel(scopes),
            error => error.into(),
        };
        let me = me.await.map_err(of_scopes)?;
        let account = me.whole.get("account_id").and_then(Value::as_str).and_then(|id| AccountId::parse(id).ok());
        let (Some(account), Some(user)) = (account, me.id.clone()) else { return Err(InstallProblem::NoAccount) };
        // What rules need first, and what a user-level app may not.
        let users = self.patiently(|| {
            let (oauth, granted) = (self.parts.oauth.clone(), granted.clone());
            async move { oauth.users(&granted).await }
        });
        let users = users.await.map_err(of_scopes);
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
        match users {
            Ok(_) => self.take(app, under, installation).await?,
            Err(problem) => {
                self.keep_access(installation).await;
                return Err(problem);
            }
        }
        // What its webhooks said before we knew it.
        if let Err(error) = self.parts.store.release(&app.name, &account, now).await {
            tracing::warn!(%account, %error, "earlier deliveries could not be released");
        }
        Ok(account)
    }

    pub(super) async fn take(
        &self,
        app: &GeneralApp,
        under: &UnderWay,
        one: Installation,
    ) -> Result<(), InstallProblem> {
        let recorded = self.record(app, under, one.clone()).await;
        if recorded.is_err() {
            self.keep_access(one).await;
        }
        recorded
    }

    async fn record(&self, app: &GeneralApp, under: &UnderWay, one: Installation) -> Result<(), InstallProblem> {
        let turn = self.turn().await;
        let (now, id) = (one.installed_at, one.account.clone());
        let before = self.account(&id);
        let is_leaving = before.as_ref().is_some_and(|kept| matches!(kept.standing, Standing::Leaving { .. }));
        if is_leaving || self.is_being_forgotten(&id) {
            return Err(InstallProblem::Leaving);
        }
        let is_known = self.has_had(&app.name, &id);
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
        let what = format!("installed by {}", by_user(&one.user));
        let code = if account.rival.as_ref() == Some(&app.name) { "rival" } else { "installed" };
        let notes = vec![note(&id, &app.name, code, what)];
        self.write(turn, writes, notes, move |kept| {
            kept.installed(one);
            kept.account(account);
            if let Some(invite) = invite {
                kept.invites.insert(invite.id.clone(), invite);
            }
        })
        .await?;
        Ok(())
    }

    /// Authorising an app again ends the access of before: where that was good, this one takes its place, whatever else is
    /// refused. All else stays as it was.
    async fn keep_access(&self, new: Installation) {
        let turn = self.turn().await;
        let all = self.installations_of(&new.account);
        let before = all.into_iter().find(|one| one.key() == new.key() && one.lost.is_none());
        let Some(before) = before.filter(|_| !self.is_being_forgotten(&new.account)) else { return };
        let one = Installation { granted: new.granted, ..before };
        let kept = one.clone();
        let written = self.write(turn, vec![one.put()], Vec::new(), |kept| kept.installed(one)).await;
        if let Err(error) = written {
            // It is on disk when it is refreshed; a crash before costs no more than giving it back.
            tracing::warn!(account = %kept.account, %error, "an authorisation that was given again is kept in memory only");
            lock(&self.kept).installed(kept);
        }
    }

    fn is_kept(&self, app: &GeneralApp, granted: &Granted) -> bool {
        let is_it = |one: &Installation| one.app == app.name && one.granted.are(granted);
        self.read(|kept| kept.installations.values().flatten().any(is_it))
    }

    /// Whether the app is, or was, this account's: another app's accounts are not known to it.
    fn has_had(&self, app: &AppName, account: &AccountId) -> bool {
        let is_kept = |kept: KeptAccount| kept.app == *app || kept.rival.as_ref() == Some(app);
        self.account(account).is_some_and(is_kept) || self.installations_of(account).iter().any(|one| one.app == *app)
    }

    /// Scheme, host and port of where browsers are sent.
    pub fn authorize_origin(&self) -> Option<String> {
        self.parts.oauth.authorize_origin()
    }

    /// Where Zoom sends the browser back to: what has to be on the app's page in the Marketplace.
    pub fn redirect_uri(&self) -> Option<String> {
        Some(format!("{}/oauth/callback", self.parts.public_url.as_ref()?))
    }

    /// Nobody needs an access that is not kept. Whether Zoom took it.
    pub(super) async fn give_back(&self, app: &GeneralApp, granted: &Granted) -> bool {
        let revoked = self.parts.oauth.revoke(&app.credentials, granted).await;
        if let Err(error) = &revoked {
            tracing::info!(app = %app.name, error = error.kind(), "an access that is not kept could not be given back");
        }
        revoked.is_ok()
    }
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
    let not_looked = Standing::not_looked("nobody has looked at it yet", now);
    match before {
        // It is served by another app: a person says which of the two acts.
        Some(kept) if kept.app != app.name && kept.standing.is_served() => {
            KeptAccount { rival: Some(app.name.clone()), ..kept }
        }
        Some(kept) => {
            let is_served = kept.standing.is_served();
            let came_back_at = (!is_served).then_some(now).or(kept.came_back_at);
            let is_known = is_served && !kept.standing.waits_for_look();
            let standing = if is_known { kept.standing.clone() } else { not_looked };
            let rival = kept.rival.clone().filter(|rival| *rival != app.name);
            // Whoever was asked has answered; else a person may have said otherwise since.
            let is_said = kept.api_users.is_empty() || app.api_user == super::ApiUserIs::Ask;
            let api_users = api_user.map(|user| vec![user]).filter(|_| is_said).unwrap_or(kept.api_users.clone());
            KeptAccount { app: app.name.clone(), standing, rival, came_back_at, ..kept }.with_api_users(api_users, now)
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
            added_by: by_user(&one.user),
            came_back_at: None,
            standing: not_looked,
            invites_per_day: None,
            rival: None,
            former_api_users: Vec::new(),
        },
    }
}

#[cfg(test)]
impl UnderWay {
    pub(super) fn of(app: AppName, now: Timestamp) -> Self {
        Self { app, state: String::new(), invite: None, api_user: None, until: now.plus(COOKIE_LIVES) }
    }
}
