//! `doctor` with the real binary: what it says of a service that runs, and of the way through the public URL.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::operate::simulated;
use crate::process::proxy::{Asked, Proxy, answer};
use crate::process::service::{SECRET, Service};
use crate::process::tls::{self_signed, write_roots};

/// One check, as `--json` prints it: verdict, what was found, what to do.
#[derive(Debug, Clone)]
struct Check {
    name: String,
    verdict: String,
    found: String,
    hint: String,
}

struct Report {
    code: i32,
    checks: Vec<Check>,
}

impl Report {
    fn of(&self, name: &str) -> Vec<Check> {
        self.checks.iter().filter(|check| check.name == name).cloned().collect()
    }

    /// The one check of that name, with its verdict.
    fn one(&self, name: &str, verdict: &str) -> Check {
        let found = self.of(name);
        assert!(found.len() == 1 && found[0].verdict == verdict, "{name} is not {verdict}: {:#?}", self.checks);
        found[0].clone()
    }
}

fn doctor(folder: &Path, words: &[&str], roots: Option<&Path>) -> Report {
    let mut command = Command::new(env!("CARGO_BIN_EXE_adjutant"));
    command.arg("--config").arg(folder.join("config.toml")).args(["doctor", "--json"]).args(words);
    command.env_remove("CREDENTIALS_DIRECTORY").env_remove("SSL_CERT_DIR");
    for proxy in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env_remove(proxy);
    }
    if let Some(roots) = roots {
        command.env("SSL_CERT_FILE", roots);
    }
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(!text.contains(SECRET), "a secret is told: {text}");
    let report: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let check = |check: &Value| Check {
        name: word(&check["name"]),
        verdict: word(&check["verdict"]),
        found: word(&check["found"]),
        hint: word(&check["hint"]),
    };
    Report {
        code: output.status.code().unwrap(),
        checks: report["checks"].as_array().unwrap().iter().map(check).collect(),
    }
}

/// What is said of the public URL, where somebody stands before the service and does this.
fn through(service: &Service, act: impl FnOnce(Asked) -> Option<String> + Send) -> Check {
    let proxy = Proxy::new(None);
    let url = proxy.url();
    let report = std::thread::scope(|scope| {
        scope.spawn(move || proxy.serve(act));
        doctor(service.folder(), &["--url", &url], None)
    });
    report.of("public URL")[0].clone()
}

fn plain() -> Service {
    Service::new("http://127.0.0.1:9/v2", "http://127.0.0.1:9/oauth")
}

#[test]
fn all_is_well_where_the_service_runs_and_the_public_url_leads_to_it() {
    let (_runtime, _world, sim) = simulated();
    let mut service = Service::new(&sim.api_url(), &sim.oauth_url());
    let config = service.folder().join("config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let public = format!("[server]\npublic_url = \"http://{}\"", service.public);
    std::fs::write(&config, text.replace("[server]", &public)).unwrap();
    std::fs::set_permissions(&config, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert!(service.start(&[]), "{}", service.log());
    service.wait_until_idle();
    let master = service.folder().join("master.key");
    std::fs::set_permissions(&master, std::fs::Permissions::from_mode(0o644)).unwrap();
    let open = doctor(service.folder(), &[], None).one("file permissions", "fail");
    assert!(open.found.contains("master.key (others have 044)"), "{open:?}");
    std::fs::set_permissions(&master, std::fs::Permissions::from_mode(0o600)).unwrap();
    let report = doctor(service.folder(), &[], None);
    assert!(report.one("public URL", "skipped").found.contains("--url"), "nobody asked for it");
    for words in [&["--url"][..], &["--url", &format!("http://{}/webhooks/main/", service.public)]] {
        let report = doctor(service.folder(), words, None);
        assert_eq!(report.code, 0, "{:#?}", report.checks);
        let round = report.one("public URL", "ok").found;
        let expected = format!("app main, http://{}/webhooks/main: answered right in ", service.public);
        assert!(round.starts_with(&expected), "{round}");
        assert!(round.ends_with(", by this service; Zoom cannot reach an address of this machine"), "{round}");
        assert!(report.one("service", "ok").found.starts_with("version "), "{:#?}", report.checks);
        let plan = report.one("plan", "ok").found;
        assert!(plan.contains("80 a second, as for business"), "{plan}");
        assert!(report.one("co-host option", "ok").found.contains(": on, "), "{:#?}", report.checks);
        let validated = report.one("last url validation", "warn");
        assert!(validated.found.contains("never validated"), "its own is not Zoom's: {validated:?}");
    }
    assert_eq!(service.admin("GET", "/v1/status").unwrap()["validated"], 2);
}

#[test]
fn what_we_send_ourselves_is_not_taken_for_zooms() {
    let mut service = plain();
    assert!(service.start(&[]), "{}", service.log());
    let tried = |words: &[&str]| assert_eq!(service.command(words).0, 0, "{words:?}");
    tried(&["trigger", "endpoint.url_validation"]);
    tried(&["trigger", "user.created", "--user", "jill@example.com"]);
    let report = doctor(service.folder(), &[], None);
    assert!(report.one("last url validation", "warn").found.contains("Zoom never validated"), "{:#?}", report.checks);
    let own = report.one("last verified delivery", "warn");
    assert!(own.found.contains("by `adjutant trigger`, and none of the newest is Zoom's"), "{own:?}");
    let created =
        r#"{"event":"user.created","event_ts":1,"payload":{"account_id":"test-account","object":{"id":"a"}}}"#;
    assert_eq!(service.deliver(created).unwrap(), 200);
    tried(&["trigger", "user.created", "--user", "jack@example.com"]);
    doctor(service.folder(), &[], None).one("last verified delivery", "ok");
}

type Act = Box<dyn FnOnce(Asked) -> Option<String> + Send>;

/// Passes on what was changed.
fn changed(to: SocketAddr, change: fn(&mut Asked)) -> Act {
    Box::new(move |mut asked| {
        change(&mut asked);
        Some(asked.pass_on(to))
    })
}

/// Answers by itself.
fn said(status: u16, headers: &'static str, body: &'static str) -> Act {
    Box::new(move |_| Some(answer(status, headers, body)))
}

/// Each tells what it does, what is found and what is said to do.
fn tell_apart(service: &Service, table: Vec<(&str, Act, &str, &str)>) {
    for (what, act, found, hint) in table {
        let check = through(service, act);
        assert!(check.found.contains(found) && check.hint.contains(hint), "{what}: {check:?}");
        assert_eq!(check.verdict, "fail", "{what}: {check:?}");
        assert!(!check.found.contains("hidden"), "{what}: {check:?}");
    }
}

#[test]
fn what_a_proxy_does_to_a_delivery_on_its_way_is_told_apart() {
    let mut service = plain();
    assert!(service.start(&[]), "{}", service.log());
    let to = service.public;
    let fine = through(&service, |asked| Some(asked.pass_on(to)));
    assert!(fine.verdict == "ok" && fine.found.contains(", by this service"), "{fine:?}");
    let reached = |status: u16, why: &str| format!("{status}: it reached this service, and was refused: {why}");
    let signature = reached(503, "the signature does not fit what arrived");
    let headers = reached(400, "it came without good signature headers");
    let path = reached(404, "the path is not /webhooks/… any more");
    let table = vec![
        ("it changes the body", changed(to, |asked| asked.body.push(b'\n')), signature.as_str(), "byte for byte"),
        ("it eats the body", changed(to, |asked| asked.body.clear()), &signature, "the body"),
        (
            "it strips a header",
            changed(to, |asked| asked.headers.retain(|(name, _)| name != "x-zm-signature")),
            &headers,
            "x-zm-signature",
        ),
        ("it changes the path", changed(to, |asked| asked.path = "/zoom/main".to_owned()), &path, "pass on the path"),
        ("it adds to the path", changed(to, |asked| asked.path.push_str("er")), "it knows no such app", "the path"),
    ];
    tell_apart(&service, table);
}

#[test]
fn what_answers_in_place_of_the_service_is_told_apart() {
    let (mut service, mut other) = (plain(), plain());
    assert!(service.start(&[]) && other.start(&[]), "{}", service.log());
    let elsewhere = other.public;
    let another: Act = Box::new(move |asked| Some(asked.pass_on(elsewhere)));
    let redirect = "location: https://www.example.com/hooks?key=hidden\r\n";
    let by_itself = r#"{"plainToken":"a","encryptedToken":"b"}"#;
    let table = vec![
        ("a proxy without the path", said(404, "", "none"), "404: the path is not passed on", "pass on /webhooks/"),
        (
            "a redirect",
            said(301, redirect, ""),
            "301, a redirect to https://www.example.com: Zoom follows none",
            "not redirect",
        ),
        ("a login", said(401, "", ""), "401, and not by adjutant", "without a login"),
        ("nothing is behind it", said(502, "", ""), "502: the proxy does not reach the service", "[server] listen"),
        ("a web site", said(200, "", "<h1>Welcome</h1>"), "200 from something else than adjutant", "point the name"),
        ("another secret", said(200, "", by_itself), "not with the right encryptedToken", "another service"),
        ("another adjutant", another, "and not by the service that this configuration runs", "stop the other"),
        ("it breaks off", said(200, "transfer-encoding: chunked\r\n", ""), "the answer broke off", "log of the proxy"),
        ("silence", Box::new(|_| None), "no answer within 3 s, which is as long as Zoom waits", "firewall"),
    ];
    tell_apart(&service, table);
}

#[test]
fn what_stands_in_the_way_before_any_proxy_is_told_apart() {
    let mut service = plain();
    assert!(service.start(&[]), "{}", service.log());
    for (url, found, hint) in [
        ("http://127.0.0.1:1", "the connection is refused", "does the proxy run"),
        ("http://hooks.example.com", "http://hooks.example.com is not https, and Zoom takes no other", "TLS"),
        ("https://us:er@hooks.example.com", "no address", "https://zoom-hooks.example.com"),
        (&format!("https://{}", service.public), "TLS fails", "does the port speak TLS"),
    ] {
        let report = doctor(service.folder(), &["--url", url], None);
        let check = report.one("public URL", "fail");
        assert!(check.found.contains(found) && check.hint.contains(hint) && report.code == 1, "{url}: {check:?}");
        assert!(!check.found.contains("us:er"), "{check:?}");
    }
    let none = doctor(service.folder(), &["--url"], None).one("public URL", "fail");
    assert!(none.hint.contains("public_url in [server]"), "{none:?}");
}

#[test]
fn a_certificate_that_is_not_trusted_is_told_and_one_that_is_goes_through() {
    let mut service = plain();
    assert!(service.start(&[]), "{}", service.log());
    let to = service.public;
    let ((trusted, tls), (_, strange)) = (self_signed(), self_signed());
    let roots = service.folder().join("roots.pem");
    write_roots(&roots, &trusted);
    for (tls, verdict, found) in [(tls, "ok", "by this service"), (strange, "fail", "the TLS certificate is refused: ")]
    {
        let proxy = Proxy::new(Some(tls));
        let url = proxy.url();
        let report = std::thread::scope(|scope| {
            scope.spawn(move || proxy.serve(|asked| Some(asked.pass_on(to))));
            doctor(service.folder(), &["--url", &url], Some(&roots))
        });
        let check = report.one("public URL", verdict);
        assert!(check.found.contains(found), "{check:?}");
        assert_eq!(check.hint.contains("public CA"), verdict == "fail", "{check:?}");
    }
}

#[test]
fn what_only_the_running_service_could_say_is_not_checked_while_it_is_stopped() {
    let service = plain();
    let never = doctor(service.folder(), &[], None);
    assert!(never.one("service", "fail").found.starts_with("there is no admin token at "), "{:#?}", never.checks);
    std::fs::write(service.folder().join("admin.token"), "adj_the-token-of-the-test-0123456789\n").unwrap();
    let report = doctor(service.folder(), &[], None);
    let check = report.one("service", "fail");
    let expected = format!("the service does not answer at {}: Connection refused (os error 111)", service.admin);
    assert_eq!((report.code, check.found), (1, expected));
    assert!(check.hint.starts_with("start it with `adjutant serve`"), "{}", check.hint);
    for name in ["last verified delivery", "last url validation", "accounts", "sweeps", "store"] {
        assert_eq!(report.one(name, "skipped").found, "not checked: the service does not answer");
    }
    // The public URL is tried all the same.
    let right = through(&service, |asked| {
        let body: Value = serde_json::from_slice(&asked.body).unwrap();
        let plain = body["payload"]["plainToken"].as_str().unwrap();
        let encrypted = adjutant::sim::encrypted_token(SECRET, plain);
        Some(answer(200, "", &format!(r#"{{"plainToken":"{plain}","encryptedToken":"{encrypted}"}}"#)))
    });
    let words = "whether by this service is not checked: the service does not answer";
    assert!(right.verdict == "ok" && right.found.contains(words), "{right:?}");
    for (status, found) in [(401, "401: the signature was found wrong, or"), (400, "400: the signature headers")] {
        let check = through(&service, move |_| Some(answer(status, "", "")));
        assert!(check.verdict == "fail" && check.found.contains(found), "{check:?}");
    }
}
