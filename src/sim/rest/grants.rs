//! `POST /oauth/token` and `/oauth/revoke` for general apps.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::chance::Chance;
use crate::clock::Timestamp;
use crate::sim::answer::Answer;
use crate::sim::app::{App, Authorization, EXPIRES_IN_SECS, Issued, Standing};
use crate::sim::oauth::OauthError;
use crate::sim::world::State;

use super::token::Grant;

/// Parameters of the query or the form.
type Params<'a> = &'a dyn Fn(&str) -> Option<String>;

impl Issued {
    fn answer(&self) -> Answer {
        let body = json!({
            "access_token": self.access_token, "token_type": "bearer", "refresh_token": self.refresh_token,
            "expires_in": self.expires_in_secs, "scope": self.scopes.join(" "), "api_url": self.api_url,
        });
        Answer::json(200, &body)
    }
}

/// How an app's refusals look.
fn refused(app: &App, error: OauthError) -> Answer {
    error.answer(app.quirks.error_form, app.quirks.refused_status)
}

impl State {
    /// The token endpoint for a client that has shown its secret.
    pub(super) fn give_general(
        &mut self,
        client: &str,
        param: Params<'_>,
        chance: &dyn Chance,
        now: Timestamp,
    ) -> Answer {
        let done = match param("grant_type").as_deref() {
            None | Some("") => Err(OauthError::NoGrantType),
            Some("authorization_code") => self.exchange(client, param, chance, now),
            Some("refresh_token") => self.refresh(client, param, chance, now),
            Some(_) => Err(OauthError::BadGrantType),
        };
        match (done, self.apps.get(client)) {
            (Ok(issued), _) => issued.answer(),
            (Err(error), Some(app)) => refused(app, error),
            (Err(error), None) => error.answer(crate::sim::ErrorForm::Words, 400),
        }
    }

    fn exchange(
        &mut self,
        client: &str,
        param: Params<'_>,
        chance: &dyn Chance,
        now: Timestamp,
    ) -> Result<Issued, OauthError> {
        let app = self.apps.get_mut(client).ok_or(OauthError::BadClient)?;
        if !app.enabled {
            return Err(OauthError::AppDisabled);
        }
        let challenge = param("code_verifier").map(|text| URL_SAFE_NO_PAD.encode(Sha256::digest(text.as_bytes())));
        let (code, redirect) = (param("code").unwrap_or_default(), param("redirect_uri"));
        let (account, user) = app.take_code(&code, redirect.as_deref(), challenge.as_deref(), now)?;
        self.issue_to(client, account, user, chance, now)
    }

    /// The user authorises the app, which ends their earlier tokens, and gets the first pair.
    pub(crate) fn issue_to(
        &mut self,
        client: &str,
        account: String,
        user: String,
        chance: &dyn Chance,
        now: Timestamp,
    ) -> Result<Issued, OauthError> {
        let app = self.apps.get_mut(client).ok_or(OauthError::BadClient)?;
        if let Some(home) = self.accounts.get_mut(&account) {
            home.installed.insert(client.to_owned());
        }
        let authorization = app.authorize(account, user);
        self.issue(client, authorization, chance, now)
    }

    fn refresh(
        &mut self,
        client: &str,
        param: Params<'_>,
        chance: &dyn Chance,
        now: Timestamp,
    ) -> Result<Issued, OauthError> {
        let token = param("refresh_token").filter(|token| !token.is_empty()).ok_or(OauthError::EmptyToken)?;
        let accounts = &self.accounts;
        let there = |found: &Authorization| {
            accounts.get(&found.account).is_some_and(|account| account.users.find(&found.user).is_some())
        };
        let app = self.apps.get_mut(client).ok_or(OauthError::BadClient)?;
        let authorization = app.spend(&token, now, there)?;
        self.issue(client, authorization, chance, now)
    }

    fn issue(
        &mut self,
        client: &str,
        authorization: u64,
        chance: &dyn Chance,
        now: Timestamp,
    ) -> Result<Issued, OauthError> {
        let app = self.apps.get_mut(client).ok_or(OauthError::BadClient)?;
        let given = app.issue(authorization, &self.api_url, (chance, now));
        let (issued, standing) = given.ok_or(OauthError::NotFound)?;
        let (account, user) = app.holder(authorization).ok_or(OauthError::NotFound)?;
        let grant = Grant {
            account,
            client: client.to_owned(),
            scopes: issued.scopes.clone(),
            expires: now.plus(std::time::Duration::from_secs(EXPIRES_IN_SECS)),
            general: Some(super::token::General { user, standing, for_me_alone: app.is_for_users() }),
        };
        self.tokens.add(issued.access_token.clone(), grant, now);
        Ok(issued)
    }

    /// Whether a general app's token still counts.
    pub(super) fn counts(&self, client: &str, standing: &Standing) -> Result<(), OauthError> {
        let app = self.apps.get(client).ok_or(OauthError::BadClient)?;
        app.token_counts(standing, |found| {
            self.accounts.get(&found.account).is_some_and(|account| account.users.find(&found.user).is_some())
        })
    }

    /// `POST /oauth/revoke`: an access or a refresh token of the app; what it stands for is removed, and
    /// `app_deauthorized` goes out \[F 34578].
    pub(super) fn revoke_general(
        &mut self,
        client: &str,
        param: Params<'_>,
        chance: &dyn Chance,
        now: Timestamp,
    ) -> Answer {
        let Some(app) = self.apps.get(client) else {
            return OauthError::BadClient.answer(crate::sim::ErrorForm::Words, 400);
        };
        let Some(token) = param("token").filter(|token| !token.is_empty()) else {
            return refused(app, OauthError::EmptyToken);
        };
        let of_access = self.tokens.general(client, &token).map(|general| general.standing.authorization);
        let holder = of_access.or_else(|| app.authorization_of(&token)).and_then(|found| app.holder(found));
        let Some((account, user)) = holder else { return refused(app, OauthError::NotFound) };
        self.remove_install(client, &account, &user, OauthError::Revoked, (chance, now));
        Answer::json(200, &json!({ "status": "success" }))
    }
}
