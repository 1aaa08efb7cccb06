//! Access tokens: made, listed and revoked; and who asks with one.
//!
//! Of a token only its SHA-256 is kept, as a document of the store under a name that is made of it: so the store finds it at
//! once, and there is no list of our own that could be behind it. What is revoked, over, or was forgotten with its account is
//! refused at the next request. The token of the file is known beside the store.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use schemars::JsonSchema;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use super::AdminState;
use super::caller::{Caller, Role};
use super::described::{Created, Sent, With};
use super::problem::ApiProblem;
use super::routes::{Answer, Shared, later, parsed};
use super::token::{self, TokenHash};
use crate::audit::{Detail, Kind};
use crate::chance::Chance;
use crate::clock::{Timestamp, lock};
use crate::ids::AccountId;
use crate::store::{Document, Note, Shelf, Store, StoreError, Write};

/// In the list, for the token of the file.
const FILE: &str = "file";
/// How exactly the last use is known.
const USED_WITHIN_SECS: u64 = 60;
const NAME_CHARS_MAX: usize = 64;

/// What knows a token when it comes.
#[derive(Debug)]
pub struct Tokens {
    file: TokenHash,
    chance: Arc<dyn Chance>,
    /// When each was used last since the start, by id.
    used: Mutex<BTreeMap<String, Timestamp>>,
    /// One is made at a time, so that no two have one name.
    making: tokio::sync::Mutex<()>,
}

/// A token as it is kept: JSON, without the token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    version: u32,
    /// Its SHA-256, in hex.
    sha256: String,
    name: String,
    role: Role,
    account: Option<AccountId>,
    created_at_ms: i64,
    created_by: String,
    expires_at_ms: Option<i64>,
}

const VERSION: u32 = 1;

impl Kept {
    /// None for what another version wrote.
    fn read(document: &Document) -> Option<Self> {
        serde_json::from_slice::<Self>(&document.value).ok().filter(|kept| kept.version == VERSION)
    }

    fn is_over(&self, now: Timestamp) -> bool {
        self.expires_at_ms.is_some_and(|at| at <= now.as_millis())
    }

    fn view(&self, id: &str, used: Option<Timestamp>) -> TokenView {
        let text = |at: i64| Timestamp::from_millis(at).to_string();
        TokenView {
            id: id.to_owned(),
            name: self.name.clone(),
            role: self.role,
            account: self.account.as_ref().map(ToString::to_string),
            created_at: Some(text(self.created_at_ms)),
            created_by: Some(self.created_by.clone()),
            expires_at: self.expires_at_ms.map(text),
            last_used_at: used.map(|at| at.to_string()),
            is_revocable: true,
        }
    }

    /// For the audit log: who was let in to what, and never the token.
    fn note(&self, id: &str, code: &str, by: &str) -> Note {
        let of =
            self.account.as_ref().map_or_else(|| "all accounts".to_owned(), |account| format!("account {account}"));
        let until = self.expires_at_ms.map(|at| format!(", until {}", Timestamp::from_millis(at)));
        let what = format!("{id} ({}), role {}, {of}{}; by {by}", self.name, self.role, until.unwrap_or_default());
        let (code, account) = (code.to_owned(), self.account.clone());
        Note { kind: Kind::Service, app: None, account, code, detail: Detail::note(what) }
    }
}

/// A token that may be shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TokenView {
    pub id: String,
    pub name: String,
    pub role: Role,
    /// The one that it is bound to; none for all.
    pub account: Option<String>,
    pub created_at: Option<String>,
    pub created_by: Option<String>,
    pub expires_at: Option<String>,
    /// To the minute, and since the start of the service.
    pub last_used_at: Option<String>,
    /// False for the token of `[admin] token_file`: delete the file and restart.
    pub is_revocable: bool,
}

/// A token that was made.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NewTokenView {
    /// Shown this once.
    pub token: String,
    pub about: TokenView,
}

impl fmt::Debug for NewTokenView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("NewTokenView").field(&self.about).finish()
    }
}

impl Tokens {
    pub fn new(file: TokenHash, chance: Arc<dyn Chance>) -> Self {
        Self { file, chance, used: Mutex::default(), making: tokio::sync::Mutex::default() }
    }

    /// Who asks with this token; none where it is not good now.
    pub(super) async fn caller(
        &self,
        store: &dyn Store,
        token: &str,
        now: Timestamp,
    ) -> Result<Option<Caller>, StoreError> {
        if self.file.matches(token) {
            self.was_used(FILE, now);
            return Ok(Some(Caller::operator("admin token")));
        }
        if !token.starts_with(token::PREFIX) {
            return Ok(None);
        }
        let hash = TokenHash::of_text(token);
        let id = hash.id();
        let found = store.document(Shelf::AccessToken, &id).await?;
        let good = |kept: &Kept| hash.is(&kept.sha256) && !kept.is_over(now);
        let Some(kept) = found.as_ref().and_then(Kept::read).filter(good) else { return Ok(None) };
        self.was_used(&id, now);
        Ok(Some(Caller { actor: format!("token:{}", kept.name), role: kept.role, account: kept.account }))
    }

    fn was_used(&self, id: &str, now: Timestamp) {
        let mut used = lock(&self.used);
        if used.get(id).is_none_or(|last| now.since(*last).as_secs() >= USED_WITHIN_SECS) {
            used.insert(id.to_owned(), now);
        }
    }
}

async fn kept(state: &AdminState) -> Result<Vec<(String, Kept)>, StoreError> {
    let all = state.store.documents(Shelf::AccessToken).await?;
    Ok(all.into_iter().filter_map(|document| Some((document.key.clone(), Kept::read(&document)?))).collect())
}

pub(super) async fn list(State(state): Shared) -> Answer<Vec<TokenView>> {
    let kept = kept(&state).await?;
    let used = lock(&state.tokens.used);
    let file = TokenView {
        id: FILE.to_owned(),
        name: "admin token".to_owned(),
        role: Role::Operator,
        account: None,
        created_at: None,
        created_by: None,
        expires_at: None,
        last_used_at: used.get(FILE).map(ToString::to_string),
        is_revocable: false,
    };
    let others = kept.iter().map(|(id, kept)| kept.view(id, used.get(id).copied()));
    Ok(Json(std::iter::once(file).chain(others).collect()))
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenAsked {
    /// Whose it is, for the list and the audit log: 1 to 64 letters, digits, `-`, `_`, `.`
    pub name: String,
    pub role: Role,
    /// The one account that it sees; all where it is left out.
    #[serde(default)]
    pub account: Option<String>,
    /// How long it is good, as in `90d` or `12h`, or until when, in RFC 3339; for good where it is left out.
    #[serde(default)]
    pub expires: Option<String>,
}

/// Makes a token, which is shown in this answer and never again.
pub(super) async fn create(
    State(state): Shared,
    caller: Caller,
    Sent(asked): Sent<TokenAsked>,
) -> Result<Created<NewTokenView>, ApiProblem> {
    let now = state.clock.now();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if asked.name.is_empty() || asked.name.len() > NAME_CHARS_MAX || !asked.name.chars().all(is_plain) {
        let why = format!("the name is {:?}, expected 1 to {NAME_CHARS_MAX} letters, digits, -, _ and .", asked.name);
        return Err(ApiProblem::bad_request(why));
    }
    let account: Option<AccountId> = asked.account.as_deref().map(parsed).transpose()?;
    if let Some(unknown) = account.as_ref().filter(|account| state.app_of(account).is_none()) {
        return Err(ApiProblem::no_account(unknown.as_str()));
    }
    let expires = asked.expires.as_deref().map(|expires| later(expires, now)).transpose()?;
    let tokens = &state.tokens;
    let _one_at_a_time = tokens.making.lock().await;
    let is_taken = |(_, other): &(String, Kept)| other.name == asked.name && !other.is_over(now);
    if kept(&state).await?.iter().any(is_taken) {
        let why = format!("there is a token with the name {}: give another name, or revoke that one", asked.name);
        return Err(ApiProblem::new(StatusCode::CONFLICT, why));
    }
    let token: SecretString = token::fresh(&*tokens.chance).into();
    let hash = TokenHash::of(&token);
    let kept = Kept {
        version: VERSION,
        sha256: hash.hex(),
        name: asked.name,
        role: asked.role,
        account: account.clone(),
        created_at_ms: now.as_millis(),
        created_by: caller.actor.clone(),
        expires_at_ms: expires.map(Timestamp::as_millis),
    };
    let id = hash.id();
    // Encoding plain data into memory has nothing that could fail.
    let value = serde_json::to_vec(&kept).unwrap_or_default();
    let document = Document { shelf: Shelf::AccessToken, key: id.clone(), account, value };
    let note = kept.note(&id, "token-created", &caller.actor);
    state.store.write_documents(vec![Write::PutNew(document)], vec![note], now).await?;
    let about = kept.view(&id, None);
    Ok(With(NewTokenView { token: token.expose_secret().to_owned(), about }))
}

/// Ends a token: the next request with it is refused. What runs may come to its end.
pub(super) async fn revoke(State(state): Shared, caller: Caller, Path(id): Path<String>) -> Answer<TokenView> {
    if id == FILE {
        let why = "this is the token of [admin] token_file: to change it, delete the file and restart";
        return Err(ApiProblem::new(StatusCode::CONFLICT, why));
    }
    let found = state.store.document(Shelf::AccessToken, &id).await?;
    let kept = found.as_ref().and_then(Kept::read).ok_or_else(|| ApiProblem::not_found(format!("token {id}")))?;
    let note = kept.note(&id, "token-revoked", &caller.actor);
    let remove = Write::Remove { shelf: Shelf::AccessToken, key: id.clone() };
    state.store.write_documents(vec![remove], vec![note], state.clock.now()).await?;
    let used = lock(&state.tokens.used).remove(&id);
    Ok(Json(kept.view(&id, used)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_version_1_kept_is_read() {
        let value = br#"{"version":1,"sha256":"ab","name":"school","role":"onboarder","account":"acc",
            "created_at_ms":1,"created_by":"admin token","expires_at_ms":5}"#;
        let document = |value: &[u8]| Document {
            shelf: Shelf::AccessToken,
            key: "tok_1".to_owned(),
            account: None,
            value: value.to_vec(),
        };
        let kept = Kept::read(&document(value)).unwrap();
        assert_eq!((kept.role, kept.account.as_ref().map(AccountId::as_str)), (Role::Onboarder, Some("acc")));
        assert!(!kept.is_over(Timestamp::from_millis(4)) && kept.is_over(Timestamp::from_millis(5)));
        let newer = String::from_utf8(value.to_vec()).unwrap().replace("\"version\":1", "\"version\":2");
        assert_eq!(Kept::read(&document(newer.as_bytes())), None, "what is not known lets nobody in");
    }
}
