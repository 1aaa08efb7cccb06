//! The round trip: a signed `endpoint.url_validation` goes out to the public URL as Zoom's would, and has to come back right.
//!
//! What went wrong is told by what came back, and, where the running service answers, by what it counted meanwhile: it says
//! nothing to strangers, and so not to whoever asks through the public URL. Nothing of an answer is shown but its status
//! and, of a redirect, the host that it leads to.

use std::error::Error;
use std::io::ErrorKind;
use std::time::Duration;

use http::header::LOCATION;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::json;

use super::super::remote::{Remote, client_for};
use super::super::signed::{Signed, root};
use super::here::UNASKED;
use super::{Report, Verdict};
use crate::chance::{Chance, SystemChance};
use crate::clock::{Clock, Stopwatch, SystemClock};
use crate::config::{App, Config, base_url, is_loopback_url};
use crate::sim::encrypted_token;
use crate::web::admin::view::StatusView;

const NAME: &str = "public URL";
/// Stands for `--url` without a value.
pub(super) const AS_CONFIGURED: &str = "";
/// As long as Zoom waits.
const PATIENCE: Duration = Duration::from_secs(3);
/// The right answer is much shorter.
const BODY_BYTES_MAX: usize = 64 << 10;

/// What was found, and what to do where it is not good.
type Found = (Verdict, String, Option<&'static str>);

fn bad(found: impl Into<String>, hint: &'static str) -> Found {
    (Verdict::Fail, found.into(), Some(hint))
}

/// `asked` is none where nobody asked for it.
pub(super) async fn all(report: &mut Report, config: &Config, asked: Option<&str>, remote: Option<&Remote>) {
    let Some(named) = asked else {
        return report.skip(NAME, "not checked: with --url, a signed url validation goes the way of Zoom's deliveries");
    };
    let named = Some(named).filter(|named| *named != AS_CONFIGURED);
    let Some(base) = named.or(config.server.public_url.as_deref()) else {
        return report.fail(NAME, "none is known", "name it with --url URL, or as public_url in [server]");
    };
    let Some(base) = base_url(base) else {
        let hint = "expected https:// and the public name, as in https://zoom-hooks.example.com";
        return report.fail(NAME, "what --url names is no address without user, query and fragment", hint);
    };
    let is_here = is_loopback_url(&base);
    if !is_here && !base.to_ascii_lowercase().starts_with("https:") {
        let hint = "put TLS in front of the service: deploy/ has a Caddyfile and a server block for nginx";
        return report.fail(NAME, format!("{base} is not https, and Zoom takes no other"), hint);
    }
    for app in &config.apps {
        let path = format!("/webhooks/{}", app.name);
        // Whoever names the whole webhook URL means the same.
        let url = format!("{}{path}", base.strip_suffix(&path).unwrap_or(&base));
        let (verdict, found, hint) = one(app, &url, remote).await;
        let note = if is_here { "; Zoom cannot reach an address of this machine" } else { "" };
        report.add(NAME, verdict, format!("app {}, {url}: {found}{note}", app.name), hint);
    }
}

/// What the running service counted since its start, as far as a round trip moves it.
struct Counted(StatusView);

impl Counted {
    async fn of(remote: Option<&Remote>) -> Option<Self> {
        remote?.get("/v1/status", &[]).await.ok().map(Self)
    }

    fn refused(&self, kind: &str) -> u64 {
        self.0.refused.iter().find(|refused| refused.kind == kind).map_or(0, |refused| refused.count)
    }
}

/// What the running service made of the request. None where it cannot be asked.
struct Seen {
    is_validated: bool,
    refused: Vec<String>,
}

impl Seen {
    fn between(before: &Counted, after: &Counted) -> Self {
        let grew = after.0.refused.iter().filter(|one| one.count > before.refused(&one.kind));
        Self {
            is_validated: after.0.validated > before.0.validated,
            refused: grew.map(|one| one.kind.clone()).collect(),
        }
    }
}

async fn one(app: &App, url: &str, remote: Option<&Remote>) -> Found {
    let Some(secret) = app.secrets.webhook.first() else {
        return bad("the app has no webhook secret to sign with", "set webhook_secrets_file of the app");
    };
    let client = match client_for(url, PATIENCE) {
        Ok(client) => client,
        Err(failure) => return bad(failure.to_string(), "are root certificates (ca-certificates) installed?"),
    };
    let token = format!("{:016x}{:016x}", SystemChance.next_u64(), SystemChance.next_u64());
    let body = json!({
        "payload": { "plainToken": token }, "event_ts": SystemClock.now().as_millis(), "event": "endpoint.url_validation",
    });
    let signed = Signed::now(secret, body.to_string());
    let before = Counted::of(remote).await;
    let watch = Stopwatch::start();
    let answer = match signed.to(url, &client).send().await {
        Ok(response) => read(response).await,
        Err(error) => Err(error),
    };
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return unanswered(&error),
    };
    let millis = watch.elapsed().as_millis();
    let after = Counted::of(remote).await;
    let seen = before.zip(after).map(|(before, after)| Seen::between(&before, &after));
    match answer.status {
        200 => answered(&answer, &token, &encrypted_token(secret.expose_secret(), &token), seen.as_ref(), millis),
        status => refused(status, &answer, seen.as_ref()),
    }
}

struct Answer {
    status: u16,
    /// Where a redirect leads to.
    host: Option<String>,
    body: Vec<u8>,
}

async fn read(mut response: reqwest::Response) -> Result<Answer, reqwest::Error> {
    let to = response.headers().get(LOCATION).and_then(|to| response.url().join(to.to_str().ok()?).ok());
    let mut answer = Answer {
        status: response.status().as_u16(),
        host: to.and_then(|url| Some(format!("{}://{}", url.scheme(), url.host_str()?))),
        body: Vec::new(),
    };
    while answer.body.len() < BODY_BYTES_MAX
        && let Some(chunk) = response.chunk().await?
    {
        answer.body.extend_from_slice(&chunk);
    }
    Ok(answer)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Validated {
    plain_token: String,
    encrypted_token: String,
}

fn answered(answer: &Answer, plain: &str, encrypted: &str, seen: Option<&Seen>, millis: u128) -> Found {
    let Ok(told) = serde_json::from_slice::<Validated>(&answer.body) else {
        return bad(
            "200 from something else than adjutant",
            "point the name at this service: another site, or a page of the proxy's, answers there",
        );
    };
    if told.plain_token != plain || told.encrypted_token != encrypted {
        return bad(
            "answered, and not with the right encryptedToken",
            "another service answers there, or something on the way changes its answer",
        );
    }
    match seen {
        None => (Verdict::Ok, format!("answered right in {millis} ms; whether by this service is {UNASKED}"), None),
        Some(seen) if seen.is_validated => {
            (Verdict::Ok, format!("answered right in {millis} ms, by this service"), None)
        }
        Some(_) => bad(
            "answered right, and not by the service that this configuration runs",
            "another adjutant with the same secret answers there: point the name at this one, or stop the other",
        ),
    }
}

/// An answer that is not 200. What the service counted says more than a status, which the proxy may have made.
fn refused(status: u16, answer: &Answer, seen: Option<&Seen>) -> Found {
    if let Some(found) = seen.and_then(|seen| counted(status, seen)) {
        return found;
    }
    let is_foreign = seen.is_some();
    match (status, &answer.host) {
        (300..=399, host) => {
            let to = host.as_ref().map(|host| format!(" to {host}")).unwrap_or_default();
            let hint = "give Zoom the address that answers by itself, or let the proxy not redirect /webhooks/";
            bad(format!("{status}, a redirect{to}: Zoom follows none"), hint)
        }
        (404, _) => bad(
            "404: the path is not passed on, or no such app is known there",
            "let the proxy pass on /webhooks/ as it is to [server] listen: deploy/ has examples",
        ),
        (401, _) if !is_foreign => bad(
            "401: the signature was found wrong, or something on the way wants a login",
            "let the proxy pass on the body and the x-zm- headers byte for byte; is the webhook secret the one of the service?",
        ),
        (401 | 403 | 407, _) => bad(
            format!("{status}, and not by adjutant: something on the way wants a login, or forbids it"),
            "let requests to /webhooks/ through without a login: their signature is their proof",
        ),
        (400, _) if !is_foreign => bad(
            "400: the signature headers did not arrive, or the body did not arrive whole",
            "let the proxy pass on the body, x-zm-signature and x-zm-request-timestamp as they are",
        ),
        (502..=504, _) => bad(
            format!("{status}: the proxy does not reach the service, or the service refuses for now"),
            "does the service run, and does the proxy pass on to [server] listen? see `adjutant attention`",
        ),
        _ => bad(format!("{status}, where 200 is right"), "see the log of the proxy: it is no answer of adjutant's"),
    }
}

/// The first reason for which the service refused something meanwhile.
fn counted(status: u16, seen: &Seen) -> Option<Found> {
    let (what, hint) = match seen.refused.first()?.as_str() {
        "unknown-app" => (
            "it knows no such app",
            "was the app added after its start? restart it; or the proxy changes the end of the path",
        ),
        "unknown-path" => ("the path is not /webhooks/… any more", "let the proxy pass on the path as it is"),
        "method" => ("it is no POST any more", "let the proxy pass on the method as it is"),
        "encoding" | "too-large" => ("the body is not as it was sent", "let the proxy pass on the body as it is"),
        "malformed" => (
            "it came without good signature headers",
            "let the proxy pass on x-zm-signature and x-zm-request-timestamp, each once and as they are",
        ),
        "broken-body" | "slow-body" => (
            "the body did not arrive whole",
            "let the proxy pass on the body with its length; does something on the way read it first?",
        ),
        "signature" | "signature-in-grace" => (
            "the signature does not fit what arrived: the body or the headers were changed on the way",
            "let the proxy pass on the body and the x-zm- headers byte for byte; if the secret is newer than the service's \
             start, restart it",
        ),
        "window" => ("this machine's clock is not the service's", "let both machines keep time (NTP)"),
        _ => ("it cannot take anything now", "see `adjutant attention`"),
    };
    Some(bad(format!("{status}: it reached this service, and was refused: {what}"), hint))
}

/// No answer, or not a whole one.
fn unanswered(error: &reqwest::Error) -> Found {
    if error.is_timeout() {
        return bad(
            "no answer within 3 s, which is as long as Zoom waits",
            "is the port open in the firewall, and does the proxy reach the service? from inside, the router may not \
             lead back to its own public address: then try from elsewhere",
        );
    }
    let why = root(error);
    if let Some(tls) = cause::<rustls::Error>(error) {
        let rustls::Error::InvalidCertificate(what) = tls else {
            return bad(format!("TLS fails: {tls}"), "does the port speak TLS 1.2 or newer? Zoom wants that");
        };
        return bad(
            format!("the TLS certificate is refused: {what}"),
            "Zoom wants one of a public CA, in date, for this name, with its intermediates",
        );
    }
    let io = cause::<std::io::Error>(error);
    if io.is_some_and(|io| io.kind() == ErrorKind::ConnectionRefused) {
        let hint = "nothing listens there: does the proxy run, on this port, and is it forwarded to it?";
        return bad("the connection is refused", hint);
    }
    if chain(error).any(|cause| cause.to_string().starts_with("dns error")) {
        return bad(format!("the name is not found: {why}"), "add a public A or AAAA record for it");
    }
    if error.is_connect() {
        return bad(format!("cannot connect: {why}"), "is the port reachable from the internet?");
    }
    bad(format!("the answer broke off: {why}"), "see the log of the proxy: does it reach the service?")
}

/// An error and all that it came from.
fn chain<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    fn below<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e (dyn Error + 'static)> {
        // What an error of the system wraps is not its source, but itself in other words.
        match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        }
    }
    std::iter::successors(Some(error), |error| below(*error))
}

fn cause<'e, E: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e E> {
    chain(error).filter_map(|cause| cause.downcast_ref()).last()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use reqwest::dns::{Name, Resolve, Resolving};

    use super::*;

    /// Knows no name, as fast as no network does.
    struct Nobody;

    impl Resolve for Nobody {
        fn resolve(&self, _: Name) -> Resolving {
            Box::pin(async { Err(std::io::Error::other("Name or service not known").into()) })
        }
    }

    #[tokio::test]
    async fn a_name_that_is_not_found_is_told() {
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).dns_resolver(Arc::new(Nobody));
        let asked = client.build().unwrap().get("https://hooks.example.com").send().await;
        let (_, found, hint) = unanswered(&asked.unwrap_err());
        assert_eq!(found, "the name is not found: Name or service not known");
        assert_eq!(hint, Some("add a public A or AAAA record for it"));
    }
}
