//! Access tokens: fetched when needed, by one caller at a time, and renewed early.
//!
//! A server-to-server app asks for one with its own credentials; a general app refreshes what an installation was given.
//! A refresh token is good once \[F 10375], so its answer must not be lost: refreshing goes on where the one who asked has
//! stopped waiting, and what Zoom gave is on disk before anybody uses it.
//!
//! Guarantees: callers who wait while a token is fetched share its result, also a failure; a token or secret is in no
//! error, log or debug output.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Mutex;

use super::client::Shared;
use super::installed::{Held, Installations, Renewed};
use super::oauth::{self, Granted, Refusal};
use super::port::ZoomError;
use crate::clock::Timestamp;
use crate::ids::AccountId;

/// How long refused credentials are not tried again: whoever asks meanwhile gets the same answer.
const REFUSED_HOLD: Duration = Duration::from_secs(10);

/// What an app needs for its tokens.
#[derive(Debug, Clone)]
pub struct Credentials {
    pub client_id: String,
    pub client_secret: SecretString,
}

/// How an account's tokens are had.
#[derive(Debug, Clone)]
pub enum Access {
    /// A server-to-server app in its own account.
    Own(Credentials),
    /// A general app that admins of the account installed.
    Installed(Credentials, Arc<dyn Installations>),
}

impl Access {
    /// Whether it is by the same credentials.
    pub fn is(&self, other: &Self) -> bool {
        let ((Self::Own(one), Self::Own(another)) | (Self::Installed(one, _), Self::Installed(another, _))) =
            (self, other)
        else {
            return false;
        };
        let secret = |of: &Credentials| of.client_secret.expose_secret().to_owned();
        one.client_id == another.client_id && secret(one) == secret(another)
    }
}

impl From<Credentials> for Access {
    fn from(credentials: Credentials) -> Self {
        Self::Own(credentials)
    }
}

/// An access token.
pub(super) struct Token {
    pub(super) secret: SecretString,
    pub(super) fetched_at: Timestamp,
    use_until: Timestamp,
    pub(super) scopes: BTreeSet<String>,
    /// The regional base of the API that Zoom named, where it counts.
    pub(super) api_url: Option<String>,
}

impl From<Granted> for Token {
    fn from(granted: Granted) -> Self {
        let use_until = granted.use_until();
        let Granted { access, fetched_at, scopes, api_url, .. } = granted;
        Self { secret: access, fetched_at, use_until, scopes, api_url }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("fetched_at", &self.fetched_at).finish_non_exhaustive()
    }
}

/// The tokens of one app for one account.
#[derive(Debug)]
pub(super) struct Tokens {
    shared: Arc<Shared>,
    account: AccountId,
    access: Access,
    /// Fetches that ended.
    rounds: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    token: Option<Arc<Token>>,
    failed: Option<Failed>,
    /// What Zoom gave and the store did not take yet: nobody uses it before.
    unsaved: Option<(Held, Granted)>,
    /// The access token that Zoom does not take any more, where its installation has it still.
    spent: Option<SecretString>,
}

#[derive(Debug)]
struct Failed {
    error: ZoomError,
    /// Until when nobody tries again.
    until: Timestamp,
}

impl Tokens {
    pub(super) fn new(shared: Arc<Shared>, account: AccountId, access: Access) -> Arc<Self> {
        Arc::new(Self { shared, account, access, rounds: AtomicU64::new(0), state: Mutex::default() })
    }

    /// A token that is good for a while.
    pub(super) async fn get(self: &Arc<Self>) -> Result<Arc<Token>, ZoomError> {
        let seen = self.rounds.load(Ordering::Acquire);
        if let Ok(state) = self.state.try_lock()
            && let Some(token) = state.good(self.shared.clock.now())
        {
            return Ok(token);
        }
        // A task of its own: whoever asks may stop waiting at any moment, and the answer to a refresh comes only once.
        let tokens = Arc::clone(self);
        let fetching = self.shared.fetching.spawn_on(async move { tokens.fetched(seen).await }, &self.shared.runtime);
        fetching.await.unwrap_or_else(|_| Err(ZoomError::Transient("fetching a token was cut off".to_owned())))
    }

    async fn fetched(&self, seen: u64) -> Result<Arc<Token>, ZoomError> {
        let mut state = self.state.lock().await;
        let now = self.shared.clock.now();
        if let Some(token) = state.good(now) {
            return Ok(token);
        }
        if let Some(failed) = &state.failed
            && (now < failed.until || self.rounds.load(Ordering::Acquire) != seen)
        {
            return Err(failed.error.clone());
        }
        let fetched = match &self.access {
            Access::Own(credentials) => self.own(credentials).await,
            Access::Installed(credentials, installations) => {
                self.of_installations(credentials, &**installations, &mut state).await
            }
        };
        self.rounds.fetch_add(1, Ordering::Release);
        self.shared.stats.token(fetched.is_ok());
        match fetched {
            Ok(granted) => {
                let token = Arc::new(Token::from(granted));
                *state = State { token: Some(Arc::clone(&token)), ..State::default() };
                Ok(token)
            }
            Err(error) => {
                let now = self.shared.clock.now();
                let until = match &error {
                    ZoomError::Limited { until, .. } => *until,
                    ZoomError::Credentials(_) => now.plus(REFUSED_HOLD),
                    _ => now,
                };
                tracing::warn!(account = %self.account, %error, "no token for Zoom");
                (state.token, state.failed) = (None, Some(Failed { error: error.clone(), until }));
                Err(error)
            }
        }
    }

    /// Zoom does not take this token any more. One that was fetched since stays. Where a new one is certain to be refused as
    /// well, `refused` is what callers get for a while, so that many jobs do not fetch many tokens.
    pub(super) async fn discard(&self, token: &Arc<Token>, refused: Option<ZoomError>) {
        let mut state = self.state.lock().await;
        if state.token.take_if(|held| Arc::ptr_eq(held, token)).is_some() {
            let until = self.shared.clock.now().plus(REFUSED_HOLD);
            state.failed = refused.map(|error| Failed { error, until });
            state.spent = Some(token.secret.clone());
        }
    }

    async fn own(&self, credentials: &Credentials) -> Result<Granted, ZoomError> {
        let form = [("grant_type", "account_credentials"), ("account_id", self.account.as_str())];
        Ok(oauth::token(&self.shared, credentials, &form).await.map_err(Refusal::into_error)?.without_refresh())
    }

    /// The first installation that has a token, or is given one. Those that Zoom refuses for good are lost.
    async fn of_installations(
        &self,
        credentials: &Credentials,
        installations: &dyn Installations,
        state: &mut State,
    ) -> Result<Granted, ZoomError> {
        if let Some((old, new)) = state.unsaved.take() {
            return self.saved(installations, old, new, state).await;
        }
        let now = self.shared.clock.now();
        for held in installations.good() {
            let is_spent = state.spent.as_ref().is_some_and(|spent| held.granted.is(spent));
            if !is_spent && now < held.granted.use_until() {
                return Ok(held.granted);
            }
            match self.refreshed(credentials, &held, installations).await {
                Ok(new) => return self.saved(installations, held, new, state).await,
                Err(Refusal { error, is_of_grant: false, .. }) => return Err(error),
                Err(Refusal { .. }) => {}
            }
        }
        let why = "no admin's authorisation is good any more: it has to be given again";
        Err(ZoomError::Credentials(why.to_owned()))
    }

    /// Uses a refresh token. One that is refused for good is told as lost, and is on record as such then.
    async fn refreshed(
        &self,
        credentials: &Credentials,
        held: &Held,
        installations: &dyn Installations,
    ) -> Result<Granted, Refusal> {
        crate::breakpoint::reached("refresh-asked");
        match oauth::refresh(&self.shared, credentials, &held.granted).await {
            Ok(granted) => {
                crate::breakpoint::reached("refresh-answered");
                Ok(granted)
            }
            Err(refusal) => {
                if refusal.is_of_grant {
                    installations.lost(held, &refusal.error.to_string()).await;
                }
                Err(refusal)
            }
        }
    }

    async fn saved(
        &self,
        installations: &dyn Installations,
        old: Held,
        new: Granted,
        state: &mut State,
    ) -> Result<Granted, ZoomError> {
        match installations.renewed(&old, &new).await {
            Ok(Renewed::Kept) => {
                crate::breakpoint::reached("refresh-saved");
                Ok(new)
            }
            // Whoever asks again is given those of the authorisation that there is now, if any.
            Ok(Renewed::Unwanted) => Err(ZoomError::Transient("the app was removed or authorised again".to_owned())),
            Err(why) => {
                state.unsaved = Some((old, new));
                Err(ZoomError::Transient(format!("a refreshed token cannot be stored: {why}")))
            }
        }
    }

    /// Refreshes installations whose refresh token is older than `idle`, also those that nobody uses: they end when they are
    /// left alone for too long. Does nothing for a server-to-server app.
    pub(super) async fn keep_alive(self: &Arc<Self>, idle: Duration) {
        let tokens = Arc::clone(self);
        let kept = self.shared.fetching.spawn_on(async move { tokens.refresh_idle(idle).await }, &self.shared.runtime);
        let _cut_off = kept.await;
    }

    async fn refresh_idle(&self, idle: Duration) {
        let Access::Installed(credentials, installations) = &self.access else { return };
        let mut state = self.state.lock().await;
        if let Some((old, new)) = state.unsaved.take() {
            let _kept_where_it_cannot_be_saved = self.saved(&**installations, old, new, &mut state).await;
        }
        for held in installations.good() {
            if state.unsaved.is_some() || self.shared.clock.now().since(held.granted.fetched_at) < idle {
                continue;
            }
            if let Ok(new) = self.refreshed(credentials, &held, &**installations).await {
                // Refreshing may end the access token that was given before; the new one is with the installation.
                state.token = None;
                let _kept_where_it_cannot_be_saved = self.saved(&**installations, held, new, &mut state).await;
            }
        }
    }
}

impl State {
    fn good(&self, now: Timestamp) -> Option<Arc<Token>> {
        self.token.as_ref().filter(|token| now < token.use_until).map(Arc::clone)
    }
}
