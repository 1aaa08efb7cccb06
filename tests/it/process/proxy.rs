//! What stands between Zoom and the service: takes one request, with TLS or without, and does with it what a test says.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::http;

/// A request as it arrived.
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    /// Passes it on to the service, and gives its answer.
    pub(crate) fn pass_on(&self, to: SocketAddr) -> String {
        let kept = |name: &str| name.starts_with("x-zm-") || name == "content-type";
        let headers = self.headers.iter().filter(|(name, _)| kept(name));
        let headers: Vec<(&str, &str)> = headers.map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let http::Answer { status, body, .. } = http::request(to, "POST", &self.path, &headers, &self.body).unwrap();
        answer(status, "", &body)
    }
}

/// An answer as it is sent, with more headers, each with its end of line.
pub(crate) fn answer(status: u16, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status} Said\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len())
}

/// Listens, for one request.
pub(crate) struct Proxy {
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
}

impl Proxy {
    pub(crate) fn new(tls: Option<Arc<ServerConfig>>) -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").unwrap(), tls }
    }

    pub(crate) fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.listener.local_addr().unwrap())
    }

    /// Answers one connection; where there is nothing to say, it says nothing until the other side gives up.
    pub(crate) fn serve(self, act: impl FnOnce(Asked) -> Option<String>) {
        let (stream, _) = self.listener.accept().unwrap();
        // Nobody else is let in.
        drop(self.listener);
        match self.tls {
            None => talk(stream, act),
            Some(tls) => talk(StreamOwned::new(ServerConnection::new(tls).unwrap(), stream), act),
        }
    }
}

impl Proxy {
    /// Answers every connection, in plain, as long as the test runs.
    pub(crate) fn serve_all(&self, act: impl Fn(Asked) -> String) {
        for stream in self.listener.incoming() {
            talk(stream.unwrap(), |asked| Some(act(asked)));
        }
    }
}

/// Whoever does not like our certificate goes away in the middle, which is no failure here.
fn talk(mut stream: impl Read + Write, act: impl FnOnce(Asked) -> Option<String>) {
    let Some(asked) = read(&mut stream) else { return };
    match act(asked) {
        Some(answer) => {
            let _gone = stream.write_all(answer.as_bytes()).and_then(|()| stream.flush());
        }
        None => {
            let _gone = stream.read_to_end(&mut Vec::new());
        }
    }
}

fn read(stream: &mut impl Read) -> Option<Asked> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        head.extend(byte);
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.lines();
    let path = lines.next().unwrap().split(' ').nth(1).unwrap().to_owned();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length").map_or("0", |(_, length)| length);
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).ok()?;
    Some(Asked { path, headers, body })
}
