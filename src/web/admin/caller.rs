//! Who asks: made by the guard from the token, and asked by every handler what it may show.

use std::fmt;

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::problem::ApiProblem;
use crate::ids::AccountId;

/// What a token is for. Stored with tokens: the words stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Everything.
    Operator,
    /// Reads users, onboards them, deactivates and removes them, says who may schedule for whom, and follows the work.
    Onboarder,
    /// Reads everything, and changes nothing.
    Auditor,
    /// Meetings, and reads users.
    Scheduler,
}

impl Role {
    pub const ALL: [Self; 4] = [Self::Operator, Self::Onboarder, Self::Auditor, Self::Scheduler];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Onboarder => "onboarder",
            Self::Auditor => "auditor",
            Self::Scheduler => "scheduler",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl std::str::FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|role| role.word() == text);
        found.ok_or_else(|| {
            format!("there is no role {text:?}: expected one of {}", Self::ALL.map(Self::word).join(", "))
        })
    }
}

/// Who asks. A handler takes it as an argument; a request without one is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// For the audit log, as in `token:school-x`.
    pub actor: String,
    pub role: Role,
    /// Where the token is bound to one: then there is no other for whoever asks.
    pub account: Option<AccountId>,
}

impl Caller {
    /// Who may do everything.
    pub fn operator(actor: impl Into<String>) -> Self {
        Self { actor: actor.into(), role: Role::Operator, account: None }
    }

    /// Whether what belongs to this account may be shown.
    pub fn sees(&self, account: &AccountId) -> bool {
        self.account.as_ref().is_none_or(|own| own == account)
    }

    /// The account that is meant, where one was asked for or may alone be: none for all of them.
    ///
    /// # Errors
    /// 404 for another account than the caller's: as if there were none.
    pub fn scope(&self, asked: Option<AccountId>) -> Result<Option<AccountId>, ApiProblem> {
        match asked {
            Some(other) if !self.sees(&other) => Err(ApiProblem::no_account(other.as_str())),
            asked => Ok(asked.or_else(|| self.account.clone())),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiProblem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiProblem> {
        let nobody = || ApiProblem::new(StatusCode::UNAUTHORIZED, "nobody says who asks");
        parts.extensions.get::<Self>().cloned().ok_or_else(nobody)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> AccountId {
        AccountId::parse(text).unwrap()
    }

    #[test]
    fn whoever_is_bound_to_an_account_means_that_one_and_finds_no_other() {
        let free = Caller::operator("admin token");
        let bound = Caller { account: Some(id("own")), ..free.clone() };
        assert_eq!(free.scope(None), Ok(None));
        assert_eq!(free.scope(Some(id("other"))), Ok(Some(id("other"))));
        assert_eq!(bound.scope(None), Ok(Some(id("own"))));
        assert_eq!(bound.scope(Some(id("own"))), Ok(Some(id("own"))));
        assert_eq!(bound.scope(Some(id("other"))).unwrap_err().status, 404);
        assert!(free.sees(&id("other")) && bound.sees(&id("own")) && !bound.sees(&id("other")));
    }

    #[test]
    fn a_role_is_read_as_it_is_written() {
        for role in Role::ALL {
            assert_eq!(role.word().parse(), Ok(role));
            assert_eq!(serde_json::to_value(role).unwrap(), role.word());
        }
        assert!("Operator".parse::<Role>().is_err());
    }
}
