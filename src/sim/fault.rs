//! Faults on demand: what a test asks the simulated Zoom to do wrong.

use std::time::Duration;

use super::call::Request;
use super::limit::TooMany;
use super::oauth::OauthError;

/// Which requests a fault meets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// `POST /oauth/token`.
    Token,
    /// `POST /oauth/revoke`.
    Revoke,
    /// A call under `/v2` whose path, without `/v2` and decoded, contains the text; any method where none is given.
    Api { method: Option<&'static str>, path_contains: String },
}

impl Target {
    pub fn api(method: &'static str, path_contains: impl Into<String>) -> Self {
        Self::Api { method: Some(method), path_contains: path_contains.into() }
    }

    pub fn any_api() -> Self {
        Self::Api { method: None, path_contains: String::new() }
    }

    fn meets(&self, request: &Request) -> bool {
        match self {
            Self::Token => request.is_token(),
            Self::Revoke => request.path == "/oauth/revoke",
            Self::Api { method, path_contains } => {
                !request.is_oauth()
                    && method.is_none_or(|method| request.method == method)
                    && request.decoded_path().contains(path_contains.as_str())
            }
        }
    }
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FaultKind {
    /// This answer, and nothing done.
    Error { status: u16, body: String },
    /// The deed is done, and then this answer: a gateway that gave up on a server that did not.
    ErrorAfterActing { status: u16, body: String },
    /// What the token endpoint says to a general app, in the form of that app, and nothing done.
    Oauth(OauthError),
    /// A 429 of this kind, and nothing done.
    TooMany(TooMany),
    /// Waits on the world's clock, then goes on to the next matching fault, or acts.
    Delay(Duration),
    /// Acts, then waits on the world's clock before it answers.
    SlowAnswer(Duration),
    /// Closes the connection without an answer; nothing done.
    DropBefore,
    /// Acts, then closes the connection without an answer.
    DropAfter,
    /// Acts, then answers with half of the body.
    Malformed,
    /// Acts, then answers with a body of this many bytes.
    Oversized(usize),
}

/// One planned fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub target: Target,
    /// How many requests it meets before it is used up.
    pub times: u32,
    pub kind: FaultKind,
}

/// The faults that are still to come, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<Fault>);

/// What the faults do to one request.
#[derive(Debug, Default)]
pub(crate) struct Trouble {
    pub(crate) delay: Duration,
    pub(crate) then: Option<FaultKind>,
}

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// How many times faults are still to happen.
    pub(crate) fn left(&self) -> u32 {
        self.0.iter().map(|fault| fault.times).sum()
    }

    pub(crate) fn meet(&mut self, request: &Request) -> Trouble {
        let mut trouble = Trouble::default();
        if self.0.is_empty() {
            return trouble;
        }
        for fault in self.0.iter_mut().filter(|fault| fault.times > 0 && fault.target.meets(request)) {
            fault.times -= 1;
            if let FaultKind::Delay(by) = fault.kind {
                trouble.delay += by;
            } else {
                trouble.then = Some(fault.kind.clone());
                break;
            }
        }
        self.0.retain(|fault| fault.times > 0);
        trouble
    }
}
