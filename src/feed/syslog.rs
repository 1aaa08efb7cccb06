//! A consumer that is told by syslog: RFC 5424 over TCP, each message with its length before it (RFC 6587), with TLS (RFC 5425)
//! or, within private networks, in plain.
//!
//! Syslog has no answer: what is on its way when the connection breaks may be lost, which nobody can see from here. A
//! connection that the other side has closed is found before it is written to.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls_platform_verifier::ConfigVerifierExt as _;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::addresses::Reach;
use super::{Parcel, Sent, Syslog};

/// To connect, and to write.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Facility 13, log audit; severity 6, informational.
const PRIORITY: u32 = 13 * 8 + 6;
/// Longer is no host name.
const HOSTNAME_MAX: usize = 255;

trait Both: AsyncRead + AsyncWrite + Send + Sync + Unpin + std::fmt::Debug {}
impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin + std::fmt::Debug> Both for T {}

#[derive(Debug)]
pub(super) struct Sender {
    to: Syslog,
    host: String,
    stream: tokio::sync::Mutex<Option<Box<dyn Both>>>,
}

impl Sender {
    pub(super) fn new(to: Syslog) -> Self {
        Self { to, host: hostname(), stream: tokio::sync::Mutex::default() }
    }

    pub(super) async fn send(&self, parcels: &[Parcel]) -> Sent {
        let bytes: Vec<u8> = parcels.iter().flat_map(|parcel| framed(&self.host, parcel)).collect();
        let mut held = self.stream.lock().await;
        // Whatever ends this before it is written whole ends the connection: half a message would spoil the next.
        let before = held.take();
        match tokio::time::timeout(TIMEOUT, self.written(before, &bytes)).await {
            Ok(Ok(stream)) => {
                *held = Some(stream);
                Sent::Done("written".to_owned())
            }
            Ok(Err(why)) => Sent::Failed(why),
            Err(_) => Sent::Failed(format!("not written within {} s", TIMEOUT.as_secs())),
        }
    }

    async fn written(&self, before: Option<Box<dyn Both>>, bytes: &[u8]) -> Result<Box<dyn Both>, String> {
        let mut kept = before;
        if let Some(stream) = &mut kept
            && !is_open(&mut **stream).await
        {
            kept = None;
        }
        let mut stream = match kept {
            Some(stream) => stream,
            None => self.connected().await?,
        };
        let written = async {
            stream.write_all(bytes).await?;
            stream.flush().await
        };
        written.await.map_err(|error: io::Error| format!("the connection broke: {error}"))?;
        Ok(stream)
    }

    async fn connected(&self) -> Result<Box<dyn Both>, String> {
        let Syslog { host, port, tls } = &self.to;
        let found = tokio::net::lookup_host((host.as_str(), *port)).await;
        let found: Vec<SocketAddr> = found.map_err(|error| format!("{host} is not known: {error}"))?.collect();
        let addresses: Vec<IpAddr> = found.iter().map(SocketAddr::ip).collect();
        let reach = if *tls { Reach::Private } else { Reach::OnlyPrivate };
        reach.check(host, &addresses).map_err(|error| match error {
            super::post::PostError::InPlain { host, address } => {
                format!("{host} is at {address}, which is not in a private network: use tls = true")
            }
            error => error.to_string(),
        })?;
        let stream = TcpStream::connect(&*found).await.map_err(|error| format!("no connection: {error}"))?;
        if !tls {
            return Ok(Box::new(stream));
        }
        let name = ServerName::try_from(host.clone()).map_err(|error| error.to_string())?;
        // An error means that the process has a provider already, which is just as good.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let config = rustls::ClientConfig::with_platform_verifier();
        let config = config.map_err(|error| format!("failed to set up TLS: {error}"))?;
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
        Ok(Box::new(stream.map_err(|error| format!("no TLS: {error}"))?))
    }
}

/// Whether the other side has not closed it. Nothing is ever said there.
async fn is_open(stream: &mut dyn Both) -> bool {
    let mut byte = [0];
    let said = tokio::select! {
        biased;
        said = stream.read(&mut byte) => Some(said),
        () = std::future::ready(()) => None,
    };
    !matches!(said, Some(Ok(0) | Err(_)))
}

/// A message with its length before it.
fn framed(host: &str, parcel: &Parcel) -> Vec<u8> {
    let Parcel { at, kind, text } = parcel;
    let at = at.map_or_else(|| "-".to_owned(), |at| at.to_string());
    let message = format!("<{PRIORITY}>1 {at} {host} adjutant {} {kind} - {text}", std::process::id());
    format!("{} {message}", message.len()).into_bytes()
}

/// As the system says; `-` where it says none that can be written.
fn hostname() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    let is_good = !name.is_empty() && name.len() <= HOSTNAME_MAX && name.bytes().all(|b| b.is_ascii_graphic());
    if is_good { name.to_owned() } else { "-".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    #[test]
    fn the_length_before_a_message_counts_its_bytes_and_not_its_letters() {
        let parcel =
            Parcel { at: Some(Timestamp::from_secs(1_795_176_000)), kind: "call", text: "{\"a\":\"ö\"}".to_owned() };
        let framed = String::from_utf8(framed("here", &parcel)).unwrap();
        let (length, message) = framed.split_once(' ').unwrap();
        assert_eq!(length.parse(), Ok(message.len()));
        let pid = std::process::id();
        assert_eq!(message, format!("<110>1 2026-11-20T12:00:00.000Z here adjutant {pid} call - {{\"a\":\"ö\"}}"));
    }
}
