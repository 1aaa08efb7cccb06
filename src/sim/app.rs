//! General apps: known to the whole Marketplace, installed by admins of many accounts, each with tokens of their own.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use crate::chance::Chance;
use crate::clock::Timestamp;

use super::account::{ALL_SCOPES, Subscription, fresh_id};
use super::oauth::{ErrorForm, OauthError};

/// An hour \[D].
pub(crate) const EXPIRES_IN_SECS: u64 = 3600;

/// A code lives five minutes, and is used once \[D].
const CODE_LIVES: Duration = Duration::from_secs(5 * 60);

/// Who manages the app, and for whom its tokens count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppKind {
    /// An owner or admin installs it for the account, and `:admin` scopes reach all of its users \[D].
    AdminManaged,
    /// Anybody installs it for themselves: its tokens are good for `me` alone \[D].
    UserManaged,
}

/// How a general app starts.
#[derive(Debug, Clone)]
pub struct NewApp {
    /// As the consent page shows it.
    pub name: String,
    pub client_id: String,
    pub client_secret: String,
    /// One of them must be named to the letter.
    pub redirect_uris: Vec<String>,
    pub scopes: Vec<String>,
    pub kind: AppKind,
    /// Only of published apps is `app_deauthorized` told \[Z].
    pub published: bool,
    /// The deauthorisation URL, where the app has one; else the event goes to its subscriptions.
    pub deauthorization: Option<Subscription>,
}

impl NewApp {
    /// An admin-managed, published app with classic scopes for everything here, and credentials made from its name:
    /// `client-NAME` and `client-secret-NAME`.
    pub fn named(name: &str, redirect_uri: &str) -> Self {
        Self {
            name: name.to_owned(),
            client_id: format!("client-{name}"),
            client_secret: format!("client-secret-{name}"),
            redirect_uris: vec![redirect_uri.to_owned()],
            scopes: ALL_SCOPES.map(str::to_owned).to_vec(),
            kind: AppKind::AdminManaged,
            published: true,
            deauthorization: None,
        }
    }

    /// One for users: scopes without `:admin`.
    #[must_use]
    pub fn user_managed(self) -> Self {
        let scopes = self.scopes.iter().map(|scope| scope.trim_end_matches(":admin").to_owned()).collect();
        Self { scopes, kind: AppKind::UserManaged, ..self }
    }
}

/// What the facts leave open about general apps, each a switch.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "independent open questions about Zoom")]
pub struct AppQuirks {
    /// `scope` in the URL of authorisation is let pass; two granular ones were refused \[F 138714].
    pub scope_in_url: bool,
    /// 90 days \[Z] or 15 years \[F].
    pub refresh_lives: Duration,
    /// How many access tokens of a user live at once: 1 \[F 95429]; none for all of them, as of tokens from version 8 on \[D].
    pub tolerance: Option<usize>,
    pub error_form: ErrorForm,
    /// Status of what the token endpoint refuses: 400, or 401 until 2022 \[C].
    pub refused_status: u16,
    /// A refresh token whose scopes are not the app's any more is refused with 4711, as the table may be read \[D].
    pub changed_scopes_refuse: bool,
    /// What a token is told after the app was removed: unknown \[I].
    pub removed_says: OauthError,
    /// One admin's removal ends the tokens of all admins of the account, as one reading of \[F 42658] has it.
    pub removal_ends_all: bool,
    /// The API says why a token is dead, with the code of the table, instead of 124 \[I].
    pub api_says_why: bool,
    /// `app_deauthorized` has its `event_ts` as a text inside the payload \[DOC sample], not as a number beside it \[FORUM 133778].
    pub event_ts_inside: bool,
    /// What a token's `api_url` is; the simulator's own where there is none.
    pub api_url: Option<String>,
}

impl Default for AppQuirks {
    fn default() -> Self {
        Self {
            scope_in_url: false,
            refresh_lives: Duration::from_secs(90 * 86_400),
            tolerance: Some(1),
            error_form: ErrorForm::default(),
            refused_status: 400,
            changed_scopes_refuse: false,
            removed_says: OauthError::NotFound,
            removal_ends_all: false,
            api_says_why: false,
            event_ts_inside: false,
            api_url: None,
        }
    }
}

/// What a successful exchange gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    pub access_token: String,
    pub refresh_token: String,
    pub expires_in_secs: u64,
    pub scopes: Vec<String>,
    pub api_url: String,
}

/// That a user let the app act, once.
#[derive(Debug)]
pub(crate) struct Authorization {
    pub(crate) account: String,
    pub(crate) user: String,
    scopes: Vec<String>,
    /// Why it is over.
    ended: Option<OauthError>,
    /// How many access tokens were given out under it.
    issued: usize,
}

/// A code on its way from browser to app.
#[derive(Debug)]
struct Code {
    account: String,
    user: String,
    redirect_uri: String,
    challenge: Option<String>,
    at: Timestamp,
}

#[derive(Debug)]
struct Refresh {
    authorization: u64,
    at: Timestamp,
    spent: bool,
}

/// Which authorisation of which app a token stands for.
#[derive(Debug, Clone)]
pub(crate) struct Standing {
    pub(crate) authorization: u64,
    /// The number of this token under it, from 1 on.
    pub(crate) number: usize,
}

/// One general app, with all that was installed of it.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) about: NewApp,
    /// False after Zoom disabled it.
    pub(crate) enabled: bool,
    pub(crate) subscriptions: Vec<Subscription>,
    pub(crate) quirks: AppQuirks,
    /// Accounts whose admin does not allow it.
    pub(crate) disallowed: BTreeSet<String>,
    /// What lives: account and user.
    installed: BTreeMap<(String, String), u64>,
    authorizations: HashMap<u64, Authorization>,
    refresh: HashMap<String, Refresh>,
    codes: HashMap<String, Code>,
    next: u64,
}

impl App {
    pub(crate) fn new(about: NewApp) -> Self {
        Self {
            about,
            enabled: true,
            subscriptions: Vec::new(),
            quirks: AppQuirks::default(),
            disallowed: BTreeSet::new(),
            installed: BTreeMap::new(),
            authorizations: HashMap::new(),
            refresh: HashMap::new(),
            codes: HashMap::new(),
            next: 0,
        }
    }

    pub(crate) fn is_for_users(&self) -> bool {
        self.about.kind == AppKind::UserManaged
    }

    pub(crate) fn give_code(
        &mut self,
        (account, user): (&str, &str),
        redirect_uri: &str,
        challenge: Option<String>,
        (chance, now): (&dyn Chance, Timestamp),
    ) -> String {
        let code = fresh_id(chance);
        let (account, user, redirect_uri) = (account.to_owned(), user.to_owned(), redirect_uri.to_owned());
        self.codes.insert(code.clone(), Code { account, user, redirect_uri, challenge, at: now });
        code
    }

    /// The account and user of a code, which is used up. A wrong redirect URI or verifier leaves it as it is \[I]; what a
    /// wrong verifier is told is \[F 137623].
    pub(crate) fn take_code(
        &mut self,
        code: &str,
        redirect_uri: Option<&str>,
        challenge: Option<&str>,
        now: Timestamp,
    ) -> Result<(String, String), OauthError> {
        let found = self.codes.get(code).ok_or(OauthError::BadCode)?;
        if found.at.plus(CODE_LIVES) <= now {
            return Err(OauthError::CodeExpired);
        }
        if redirect_uri != Some(found.redirect_uri.as_str()) {
            return Err(OauthError::RedirectMismatch);
        }
        if found.challenge.is_some() && found.challenge.as_deref() != challenge {
            return Err(OauthError::BadCode);
        }
        let found = self.codes.remove(code).ok_or(OauthError::BadCode)?;
        Ok((found.account, found.user))
    }

    /// A new authorisation, which ends the user's earlier one \[D of 4741].
    pub(crate) fn authorize(&mut self, account: String, user: String) -> u64 {
        self.next += 1;
        if let Some(earlier) = self.installed.insert((account.clone(), user.clone()), self.next) {
            self.end(earlier, OauthError::Revoked);
        }
        let scopes = self.about.scopes.clone();
        self.authorizations.insert(self.next, Authorization { account, user, scopes, ended: None, issued: 0 });
        self.next
    }

    fn end(&mut self, authorization: u64, why: OauthError) {
        if let Some(found) = self.authorizations.get_mut(&authorization) {
            found.ended.get_or_insert(why);
        }
    }

    /// A pair of tokens under an authorisation, with its scopes.
    pub(crate) fn issue(
        &mut self,
        authorization: u64,
        api_url: &str,
        (chance, now): (&dyn Chance, Timestamp),
    ) -> Option<(Issued, Standing)> {
        let found = self.authorizations.get_mut(&authorization)?;
        found.issued += 1;
        let standing = Standing { authorization, number: found.issued };
        let issued = Issued {
            access_token: format!("{}.{}", fresh_id(chance), fresh_id(chance)),
            refresh_token: format!("{}.{}", fresh_id(chance), fresh_id(chance)),
            expires_in_secs: EXPIRES_IN_SECS,
            scopes: found.scopes.clone(),
            api_url: self.quirks.api_url.clone().unwrap_or_else(|| api_url.to_owned()),
        };
        self.refresh.insert(issued.refresh_token.clone(), Refresh { authorization, at: now, spent: false });
        Some((issued, standing))
    }

    /// What a refresh token stands for, which is spent by that: the newest alone counts \[D]. What is said of one that is
    /// spent or too old is \[I].
    pub(crate) fn spend(
        &mut self,
        token: &str,
        now: Timestamp,
        owner_is_there: impl FnOnce(&Authorization) -> bool,
    ) -> Result<u64, OauthError> {
        let found = self.refresh.get(token).ok_or(OauthError::NotFound)?;
        let authorization = found.authorization;
        let standing = self.standing(authorization, owner_is_there)?;
        if found.spent {
            return Err(match self.quirks.tolerance {
                Some(_) => OauthError::OutOfTolerance,
                None => OauthError::Revoked,
            });
        }
        if found.at.plus(self.quirks.refresh_lives) <= now {
            return Err(OauthError::NotFound);
        }
        if self.quirks.changed_scopes_refuse && standing.scopes != self.about.scopes {
            return Err(OauthError::ScopesChanged);
        }
        if let Some(found) = self.refresh.get_mut(token) {
            found.spent = true;
        }
        Ok(authorization)
    }

    /// Whether an authorisation counts, and else why not.
    pub(crate) fn standing(
        &self,
        authorization: u64,
        owner_is_there: impl FnOnce(&Authorization) -> bool,
    ) -> Result<&Authorization, OauthError> {
        if !self.enabled {
            return Err(OauthError::AppDisabled);
        }
        let found = self.authorizations.get(&authorization).ok_or(OauthError::NotFound)?;
        if let Some(why) = found.ended {
            return Err(why);
        }
        if !owner_is_there(found) {
            return Err(OauthError::OwnerGone);
        }
        if self.disallowed.contains(&found.account) { Err(OauthError::DisabledByAdmin) } else { Ok(found) }
    }

    /// The same, for an access token: newer ones may have pushed it out.
    pub(crate) fn token_counts(
        &self,
        standing: &Standing,
        owner_is_there: impl FnOnce(&Authorization) -> bool,
    ) -> Result<(), OauthError> {
        let issued = self.standing(standing.authorization, owner_is_there)?.issued;
        let newer = issued.saturating_sub(standing.number);
        let out = self.quirks.tolerance.is_some_and(|most| newer >= most);
        if out { Err(OauthError::OutOfTolerance) } else { Ok(()) }
    }

    /// The authorisation of a refresh token, dead or alive.
    pub(crate) fn authorization_of(&self, refresh: &str) -> Option<u64> {
        self.refresh.get(refresh).map(|found| found.authorization)
    }

    /// Account and user of an authorisation that has not ended.
    pub(crate) fn holder(&self, authorization: u64) -> Option<(String, String)> {
        let found = self.authorizations.get(&authorization).filter(|found| found.ended.is_none())?;
        Some((found.account.clone(), found.user.clone()))
    }

    /// Ends what a user installed; false where there was nothing.
    pub(crate) fn remove(&mut self, account: &str, user: &str, why: OauthError) -> bool {
        let gone = self.installed.remove(&(account.to_owned(), user.to_owned()));
        gone.map(|authorization| self.end(authorization, why)).is_some()
    }

    /// Ends what lives in an account and leaves it installed.
    pub(crate) fn end_all(&mut self, account: &str, why: OauthError) {
        let users: Vec<String> = self.installers(account).map(str::to_owned).collect();
        for user in users {
            if let Some(authorization) = self.installed.get(&(account.to_owned(), user)).copied() {
                self.end(authorization, why);
            }
        }
    }

    /// Ids of those who installed it in an account.
    pub(crate) fn installers<'a>(&'a self, account: &'a str) -> impl Iterator<Item = &'a str> {
        let from = (account.to_owned(), String::new());
        let of_account = self.installed.range(from..).take_while(move |((found, _), _)| found == account);
        of_account.map(|((_, user), _)| user.as_str())
    }

    /// Account and user of all that is installed.
    pub(crate) fn installs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.installed.keys().map(|(account, user)| (account.as_str(), user.as_str()))
    }
}
