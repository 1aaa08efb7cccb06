//! Errors of the admin API, as RFC 9457 problem documents.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::errands::ErrandView;
use super::refusals;
use crate::store::StoreError;

/// Why a request was not done. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
// What is not there is left out, and boxed: it is the error of every handler.
pub struct ApiProblem {
    /// `about:blank`, as the RFC says for problems that the status tells apart.
    #[serde(rename = "type")]
    pub kind: String,
    pub title: String,
    pub status: u16,
    pub detail: String,
    /// Of what was refused: short and stable. Those of meetings are in the description of this answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Box<str>>,
    /// What somebody can do, or ask for instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<Box<str>>,
    /// What was asked for, and refused while it was waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errand: Option<Box<ErrandView>>,
}

impl ApiProblem {
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Error").to_owned();
        let (status, detail) = (status.as_u16(), detail.into());
        Self { kind: "about:blank".to_owned(), title, status, detail, code: None, advice: None, errand: None }
    }

    /// Of what is refused by a code, which says the status too.
    pub fn refused(code: &str, detail: impl Into<String>) -> Self {
        Self { code: Some(code.into()), ..Self::new(refusals::status(code), detail) }
    }

    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    pub fn not_found(what: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("there is no {what}"))
    }

    /// Also for an account that is there, and not the caller's.
    pub fn no_account(account: &str) -> Self {
        Self::not_found(format!("account {account}"))
    }
}

impl From<StoreError> for ApiProblem {
    fn from(error: StoreError) -> Self {
        let status = match &error {
            StoreError::NotFound(_) => StatusCode::NOT_FOUND,
            StoreError::Conflict(_) => StatusCode::CONFLICT,
            StoreError::Full | StoreError::Behind(_) | StoreError::Backlog | StoreError::Closed => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            StoreError::Failed(_) | StoreError::Damaged(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.to_string())
    }
}

/// As much of an answer's text as becomes the detail of a problem.
const DETAIL_BYTES_MAX: usize = 4_096;

/// What others than our handlers refuse, in words of theirs, as a problem too.
pub(super) async fn as_problem(response: Response) -> Response {
    let is_problem = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == KIND);
    let status = response.status();
    if is_problem || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let (parts, body) = response.into_parts();
    let text = axum::body::to_bytes(body, DETAIL_BYTES_MAX).await.unwrap_or_default();
    let mut problem = ApiProblem::new(status, String::from_utf8_lossy(&text).trim()).into_response();
    // As the methods that a route takes.
    let kept = parts.headers.into_iter().filter_map(|(name, value)| Some((name?, value)));
    let is_of_body = |name: &header::HeaderName| *name == header::CONTENT_TYPE || *name == header::CONTENT_LENGTH;
    problem.headers_mut().extend(kept.filter(|(name, _)| !is_of_body(name)));
    problem
}

const KIND: &str = "application/problem+json";

impl IntoResponse for ApiProblem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self)).into_response();
        let kind = HeaderValue::from_static(KIND);
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
