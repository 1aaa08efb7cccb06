//! One signed request, verified.

use bytes::Bytes;

/// A request whose signature was good: made by `verify`, or read back from a store, and by nobody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    body: Bytes,
    /// The signed `x-zm-request-timestamp`, in seconds.
    signed_at_secs: i64,
    /// `x-zm-request-id`, which is not under the signature.
    request_id: Option<String>,
}

impl Verified {
    /// For stores alone: what was verified when it was stored. A test holds that nobody else calls it.
    pub fn reread(body: Bytes, signed_at_secs: i64, request_id: Option<String>) -> Self {
        Self { body, signed_at_secs, request_id }
    }

    /// The raw bytes, as they came.
    pub const fn body(&self) -> &Bytes {
        &self.body
    }

    pub const fn signed_at_secs(&self) -> i64 {
        self.signed_at_secs
    }

    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }
}
