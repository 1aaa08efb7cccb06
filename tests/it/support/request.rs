//! Requests, byte by byte: good ones, and what strangers make of them.

use adjutant::event::signature::sign;

use super::{NOW, SECRET, secret};

pub(crate) const SIGNATURE: &str = "x-zm-signature";
pub(crate) const TIMESTAMP: &str = "x-zm-request-timestamp";

/// A request as it is written to the socket.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    line: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

/// A delivery as Zoom sends it, signed with the app's secret at the service's own time.
pub(crate) fn signed(body: impl AsRef<[u8]>) -> Request {
    signed_at(&NOW.to_string(), body)
}

/// The same with any timestamp; the signature fits it.
pub(crate) fn signed_at(timestamp: &str, body: impl AsRef<[u8]>) -> Request {
    signed_by(SECRET, timestamp, body)
}

pub(crate) fn signed_by(with: &str, timestamp: &str, body: impl AsRef<[u8]>) -> Request {
    let body = body.as_ref().to_vec();
    let signature = sign(&secret(with), timestamp, &body);
    Request { line: "POST /webhooks/main HTTP/1.1".to_owned(), headers: Vec::new(), body: body.clone() }
        .header("host", "hooks.example.com")
        .header("user-agent", "Zoom Marketplace/1.0a")
        .header("content-type", "application/json; charset=utf-8")
        .header(TIMESTAMP, timestamp)
        .header(SIGNATURE, signature)
        .header("content-length", body.len().to_string())
}

/// A request that nobody signed.
pub(crate) fn unsigned(body: impl AsRef<[u8]>) -> Request {
    signed(body).without(SIGNATURE).without(TIMESTAMP)
}

impl Request {
    pub(crate) fn line(mut self, line: &str) -> Self {
        line.clone_into(&mut self.line);
        self
    }

    pub(crate) fn path(self, path: &str) -> Self {
        self.line(&format!("POST {path} HTTP/1.1"))
    }

    /// One more header.
    pub(crate) fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(other, _)| other != name);
        self
    }

    /// Another value for a header.
    pub(crate) fn with(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.without(name).header(name, value)
    }

    /// Another body under the same signature; the length fits it.
    pub(crate) fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        let length = self.body.len().to_string();
        self.with("content-length", length)
    }

    /// The body as these bytes, which frame themselves.
    pub(crate) fn chunked(mut self, framed: impl AsRef<[u8]>) -> Self {
        self.body = framed.as_ref().to_vec();
        self.without("content-length").header("transfer-encoding", "chunked")
    }

    /// Another body, and the headers as they are.
    pub(crate) fn body_as_it_is(mut self, body: &[u8]) -> Self {
        self.body = body.to_vec();
        self
    }

    /// All of it, for a body inside a body.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.bytes()).unwrap()
    }

    /// The header alone.
    pub(crate) fn head(&self) -> Vec<u8> {
        let mut bytes = self.line.clone().into_bytes();
        for (name, value) in &self.headers {
            bytes.extend_from_slice(b"\r\n");
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
        }
        bytes.extend_from_slice(b"\r\n\r\n");
        bytes
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.head();
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// Frames a body as chunks of `size` bytes.
pub(crate) fn chunks(body: &[u8], size: usize) -> Vec<u8> {
    let mut framed = Vec::new();
    for chunk in body.chunks(size) {
        framed.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        framed.extend_from_slice(chunk);
        framed.extend_from_slice(b"\r\n");
    }
    framed.extend_from_slice(b"0\r\n\r\n");
    framed
}
