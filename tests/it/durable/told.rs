//! No secret is in what the service writes or answers, but for what is shown on purpose: an access token in the answer that
//! makes it, and the link of an invite, to whoever makes it and to the browser that came with it and begins again.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;

use adjutant::chance::SystemChance;
use adjutant::clock::SystemClock;
use adjutant::store::local::MasterKey;
use adjutant::store::{Document, Limits, LocalStore, Shelf, Store as _, Write};
use adjutant::web::admin::table::routes;
use http::Method;
use serde_json::{Value, json};

use super::canary::{guises, search};
use super::kit::settings;
use crate::contract::kit::{START, account};
use crate::process::http::{self as over, Answer};
use crate::process::service::{ACCOUNT, SECRET, Service};

/// An account whose admin installed the general app, before the service runs.
const INSTALLED: &str = "school-x";
/// One that is added while it runs, with an app of its own.
const ADDED: &str = "school-y";

const ACCESS: &str = "canary-access-token-5b1e09";
const REFRESH: &str = "canary-refresh-token-77aa01";
const OF_GENERAL: &str = "canary-client-secret-of-the-general-app";
const OF_ADDED: &str = "canary-client-secret-that-was-added";
const CHANGED: &str = "canary-client-secret-in-its-place";
const WEBHOOK: &str = "canary-webhook-secret-that-was-added";
const CODE: &str = "canary-code-of-an-authorisation";

/// A Zoom that refuses everything, and says back what it was asked but for the headers.
fn echo() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut asked = vec![0; 16_384];
            let read = stream.read(&mut asked).unwrap_or(0);
            let said = String::from_utf8_lossy(&asked[..read]);
            let said = said.split("\r\n\r\n").last().unwrap_or_default().replace(['"', '\r', '\n', '\\'], " ");
            let body = format!(r#"{{"reason":"refused: {said}","error":"invalid_client","message":"{said}"}}"#);
            let head = "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nconnection: close";
            let _gone = write!(stream, "{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        }
    });
    format!("http://{address}")
}

/// The account and its installation, as they are kept.
async fn plant(folder: &Path) {
    let (clock, chance) = (Arc::new(SystemClock), Arc::new(SystemChance));
    let key = MasterKey::File(folder.join("master.key"));
    let opened =
        LocalStore::open(&folder.join("data"), settings(Limits::default()), key, clock, chance, &mut |_, _, _| {});
    let (store, _) = opened.unwrap();
    let granted = json!({ "access": ACCESS, "fetched_at": 0, "life_secs": 3600, "scopes": [], "refresh": REFRESH });
    let installation = json!({
        "app": "platform", "account": INSTALLED, "user": "u", "email": null, "installed_at": 0, "granted": granted,
        "lost": null,
    });
    let kept = json!({ "account": {
        "id": INSTALLED, "app": "platform", "label": null, "plan": "business", "api_users": ["u"], "may_grant": [],
        "acts_as": [], "added_at": 0, "added_by": "user:u", "standing": { "is": "active" }, "rival": null,
    } });
    let put = |shelf, key: &str, value: &Value| {
        let (key, value) = (key.to_owned(), value.to_string().into_bytes());
        Write::Put(Document { shelf, key, account: Some(account(INSTALLED)), value })
    };
    let writes = vec![
        put(Shelf::Installation, "platform/school-x/u", &installation),
        put(Shelf::Account, "account/school-x", &kept),
    ];
    store.write_documents(writes, Vec::new(), START).await.unwrap();
    store.close().await.unwrap();
}

/// With a general app beside the other one, and all that can be logged.
fn configure(service: &Service) -> String {
    let path = service.folder().join("config.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    let general = format!(
        r#"
[[app]]
name = "platform"
kind = "general"
client_id = "client-platform"
client_secret = "{OF_GENERAL}"
webhook_secrets = ["canary-webhook-secret-of-the-general-app"]
api_user = "installer"
install = "invited"
"#
    );
    let public = format!("[server]\npublic_url = \"http://{}\"\n", service.public);
    let config = format!("[log]\nlevel = \"trace\"\n{}{general}", config.replacen("[server]\n", &public, 1));
    std::fs::write(path, &config).unwrap();
    config
}

/// What is answered, with where it sends a browser to.
fn told(path: &str, answer: &Answer) -> String {
    format!("{path} {} {} {}\n", answer.status, answer.header("location").unwrap_or_default(), answer.body)
}

/// Something with an id that is on this list.
fn any_of(service: &Service, list: &str) -> String {
    let listed = service.admin("GET", list).unwrap();
    let found = listed.as_array().and_then(|all| all.last()).unwrap_or_else(|| panic!("{list} is empty: {listed}"));
    found["id"].as_str().unwrap().to_owned()
}

/// The path with an account, and ids of what is there.
fn filled(service: &Service, path: &str, account: &str) -> String {
    let query = match path {
        "/v1/explain" => "?subject=u0@school.example",
        "/v1/audit/trace" => "?of=u0@school.example",
        "/v1/audit/stream" => "?from=0&to=9",
        "/v1/take-back" => "?api_user=u&users_max=9",
        "/v1/jobs/retry" | "/v1/jobs/cancel" => "?cause=credentials-refused",
        _ => "",
    };
    let id = path.split_once("/{id}").map(|(list, _)| any_of(service, list)).unwrap_or_default();
    let path = path.replace("{id}", &id).replace("{account}", account).replace("{user}", "u0").replace("{entry}", "0");
    let path = path.replace("{meeting}", "7").replace("{assistant}", "u1").replace("{scheduler}", "u1");
    let path = path.replace("{rule}", "api-user-assists-everyone").replace("{consumer}", "siem");
    assert!(!path.contains('{'), "it is not known what stands in {path}");
    path + query
}

/// What every route of both listeners answers that asks with this method, or with another one.
fn ask_all(service: &Service, token: &str, is_meant: impl Fn(&Method) -> bool) -> Vec<String> {
    let (mut answers, authorization) = (Vec::new(), format!("Bearer {token}"));
    let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
    let meant = routes().into_iter().filter(|route| is_meant(&route.method));
    // Before anything is taken away that is on a list.
    let asked: Vec<(Method, String)> = meant
        .flat_map(|route| [INSTALLED, ADDED].map(|whose| (route.method.clone(), filled(service, route.path, whose))))
        .collect();
    for (method, path) in asked {
        for (to, headers) in [(service.admin, &headers[..]), (service.public, &[])] {
            answers.push(told(&path, &over::request(to, method.as_str(), &path, headers, b"{}").unwrap()));
        }
    }
    answers
}

/// What the pages answer that nobody needs a token for, and what commands print.
fn look_at_all(service: &Service) -> Vec<String> {
    let mut answers = Vec::new();
    for path in ["/", "/livez", "/readyz", "/install/platform", "/install/nobody", "/oauth/callback"] {
        for to in [service.admin, service.public] {
            answers.push(told(path, &over::request(to, "GET", path, &[], b"").unwrap()));
        }
    }
    for words in [
        &["config"][..],
        &["check-config"],
        &["doctor", "--offline"],
        &["jobs", "list"],
        &["attention"],
        &["accounts", "list"],
        &["accounts", "show", INSTALLED],
        &["accounts", "show", ADDED],
        &["accounts", "invites", "--json"],
        &["tokens", "list"],
    ] {
        let (_, out, err) = service.command(words);
        answers.push(format!("{words:?} {out}{err}\n"));
    }
    answers
}

/// An admin who was invited goes to Zoom and comes back with a code that Zoom refuses to exchange; what the pages say.
fn install(service: &Service, link: &str) -> Vec<String> {
    let path = link.strip_prefix(&format!("http://{}", service.public)).unwrap();
    let begun = over::request(service.public, "GET", path, &[], b"").unwrap();
    let at_zoom = begun.header("location").unwrap_or_else(|| panic!("{begun:?}"));
    let state = at_zoom.split(['?', '&']).find_map(|part| part.strip_prefix("state=")).unwrap();
    let cookie = begun.header("set-cookie").unwrap().split(';').next().unwrap();
    let back = format!("/oauth/callback?code={CODE}&state={state}");
    let ended = over::request(service.public, "GET", &back, &[("cookie", cookie)], b"").unwrap();
    // The addresses themselves hold what the browser was given, and it is led back to where it came from.
    assert!(ended.body.contains(path), "{}", ended.body);
    vec![told("begun", &begun), told("ended", &ended).replace(path, "")]
}

/// What is made at run time, and shown once: an access token, and the link of an invite.
fn make(service: &Service, token: &str) -> (String, String) {
    let authorization = format!("Bearer {token}");
    let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
    let send = |method: &str, path: &str, body: Value| -> Value {
        let answer = over::request(service.admin, method, path, &headers, body.to_string().as_bytes()).unwrap();
        assert!(answer.status < 300, "{path}: {}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    };
    let token = send("POST", "/v1/tokens", json!({ "name": "canary", "role": "operator" }));
    let invited = send("POST", "/v1/invites", json!({ "label": "School Z" }));
    let added = json!({
        "id": ADDED, "app": "own", "client_id": "client-own", "client_secret": OF_ADDED, "webhook_secrets": [WEBHOOK],
    });
    send("POST", "/v1/accounts", added);
    send("PATCH", &format!("/v1/accounts/{ADDED}"), json!({ "client_secret": CHANGED, "label": "School Y" }));
    let onboarded = json!({ "email": "jill@school.example" });
    send("POST", &format!("/v1/accounts/{INSTALLED}/users"), onboarded);
    let meeting = json!({ "for": "jill@school.example", "path": "own", "meeting": { "topic": "Algebra" } });
    send("POST", &format!("/v1/accounts/{INSTALLED}/meetings"), meeting);
    let text = |of: &Value, key: &str| of[key].as_str().unwrap_or_else(|| panic!("{of}")).to_owned();
    (text(&token, "token"), text(&invited, "link"))
}

/// The file is changed to one with a mistake and back; what is said of it.
fn reload_with_a_mistake(service: &Service, config: &str) -> String {
    let path = service.folder().join("config.toml");
    std::fs::write(&path, config.replace("kind = ", "knid = ")).unwrap();
    let (status, answer) = service.send("POST", "/v1/reload", b"").unwrap();
    assert!(status >= 400, "{answer}");
    std::fs::write(&path, config).unwrap();
    answer.to_string()
}

fn deliver(service: &Service) {
    for n in 0..3 {
        let object = format!(r#"{{"id":"u{n}","email":"u{n}@school.example","type":2}}"#);
        let body = format!(
            r#"{{"event":"user.created","event_ts":1700000000000,"payload":{{"account_id":"{ACCOUNT}","object":{object}}}}}"#
        );
        assert_eq!(service.deliver(&body).unwrap(), 200);
        assert_ne!(service.forge(&[("x-zm-signature", "v0=aa"), ("x-zm-request-timestamp", "1")], &body).unwrap(), 200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_the_service_writes_or_answers_holds_a_secret_in_any_form() {
    let zoom = echo();
    let mut service = Service::new(&format!("{zoom}/v2"), &zoom);
    let config = configure(&service);
    plant(service.folder()).await;
    assert!(service.start(&[]), "{}", service.log());
    let read = |name: &str| std::fs::read_to_string(service.folder().join(name)).unwrap().trim().to_owned();
    let (of_file, master) = (read("admin.token"), read("master.key"));
    deliver(&service);
    service.wait_until_idle();
    let (token, link) = make(&service, &of_file);
    let invite = link.split_once("invite=").unwrap().1.to_owned();
    let mut answers = vec![reload_with_a_mistake(&service, &config)];
    answers.extend(install(&service, &link));
    answers.extend(ask_all(&service, &token, |method| *method == Method::GET));
    answers.extend(look_at_all(&service));
    let copy = service.folder().join("copy");
    let (code, out, err) = service.command(&["store", "backup", copy.to_str().unwrap()]);
    assert_eq!(code, 0, "{err}");
    answers.extend([out, err]);
    answers.extend(ask_all(&service, &of_file, |method| *method != Method::GET));
    let _code = service.terminate();
    let answers = answers.concat();
    assert!(answers.contains("\"due\"") && answers.contains("# HELP"), "nothing was asked: {answers}");
    assert!(service.log().contains("no token for Zoom"), "no token was asked for");
    let client = format!("client-secret-{ACCOUNT}");
    let secrets = [&*client, SECRET, &of_file, &master, &token, &invite];
    let planted = [ACCESS, REFRESH, OF_GENERAL, OF_ADDED, CHANGED, WEBHOOK, CODE];
    let needles: Vec<Vec<u8>> = secrets.into_iter().chain(planted).flat_map(guises).collect();
    std::fs::create_dir(service.folder().join("said")).unwrap();
    std::fs::write(service.folder().join("said/answers"), &answers).unwrap();
    std::fs::rename(service.folder().join("log"), service.folder().join("said/log")).unwrap();
    let mut found = Vec::new();
    for part in ["said", "data", "copy"] {
        assert!(search(&service.folder().join(part), &needles, &mut found) > 1);
    }
    assert_eq!(found, Vec::<String>::new());
    // The search itself finds things: what was configured.
    std::fs::write(service.folder().join("said/config"), config).unwrap();
    search(&service.folder().join("said"), &needles, &mut found);
    assert!(found.len() >= 3, "{found:?}");
}
