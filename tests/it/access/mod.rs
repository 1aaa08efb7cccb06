//! Who may ask what: tokens, roles and accounts, over real sockets and for every route of the table.

mod apart;
mod document;
mod matrix;
mod polls;
mod problems;
mod rights;
pub(crate) mod streams;
mod tokens;
mod world;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// Of the token file.
pub(crate) const FILE_TOKEN: &str = "adj_the-token-of-the-test-0123456789";

/// What is asked of the listener.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) body: Option<Value>,
}

impl Asked {
    pub(crate) fn new(method: &str, path: impl Into<String>) -> Self {
        Self { method: method.to_owned(), path: path.into(), body: None }
    }

    pub(crate) fn with(self, body: Value) -> Self {
        Self { body: Some(body), ..self }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// In lower case.
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    pub(crate) fn is_problem(&self) -> bool {
        self.head.contains("content-type: application/problem+json")
    }
}

/// A connection that stays open.
pub(crate) struct Connection(TcpStream);

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Self(stream)
    }

    /// One request with these headers, and its answer.
    pub(crate) fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let headers = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect::<Vec<_>>().concat();
        let mut request =
            format!("{method} {path} HTTP/1.1\r\ncontent-length: {}\r\n{headers}\r\n", body.len()).into_bytes();
        request.extend_from_slice(body);
        // A listener that refuses what is too large may close before it has read it.
        let _closed = self.0.write_all(&request);
        self.answer()
    }

    fn answer(&mut self) -> Answer {
        let mut bytes = Vec::new();
        loop {
            let mut piece = [0; 4_096];
            let got = self.0.read(&mut piece).unwrap();
            assert!(got > 0, "the connection was closed: {}", String::from_utf8_lossy(&bytes));
            bytes.extend_from_slice(&piece[..got]);
            let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
            let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let body = match length.map(|length| length.parse::<usize>().unwrap()) {
                Some(length) => bytes.get(end + 4..end + 4 + length).map(<[u8]>::to_vec),
                None => streams::whole(&bytes[end + 4..]),
            };
            if let Some(body) = body {
                let status = head.split(' ').nth(1).unwrap().parse().unwrap();
                return Answer { status, head, body: String::from_utf8(body).unwrap() };
            }
        }
    }

    pub(crate) fn ask(&mut self, token: &str, asked: &Asked) -> Answer {
        let bearer = format!("Bearer {token}");
        let mut headers = vec![("host", "localhost"), ("authorization", bearer.as_str())];
        let body = asked.body.as_ref().map(|body| serde_json::to_vec(body).unwrap());
        if body.is_some() {
            headers.push(("content-type", "application/json"));
        }
        self.send(&asked.method, &asked.path, &headers, &body.unwrap_or_default())
    }
}
