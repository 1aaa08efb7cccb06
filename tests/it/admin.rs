//! The admin API over real sockets, on the store in memory.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use adjutant::account::{Account, AppKind, Plan};
use adjutant::alarm::Alarm;
use adjutant::audit::tree::Frontier;
use adjutant::chance::SystemChance;
use adjutant::clock::{Clock, ManualClock, Timestamp};
use adjutant::event::signature::{Secret, Verified, Window, verify};
use adjutant::ids::{AccountId, AppName, RuleName, UserId};
use adjutant::job::{Outcome, ParkCause, Snooze, Subject, WaitReason};
use adjutant::rules::Step;
use adjutant::sim::sign;
use adjutant::store::{Claimable, Decision, Limits, MemoryStore, NewDelivery, Store, Verdict};
use adjutant::web::accept::{AcceptSettings, Acceptor};
use adjutant::web::admin::table::routes;
use adjutant::web::admin::{AdminApp, AdminState, Counts, Hosts, NoSweeps, Readers, Stats, TokenHash, Tokens, router};
use serde_json::Value;

const NO_CURSOR: &str = "after is no cursor of this log: give `next` of a page before, or to begin leave `after` out";
const TOKEN: &str = "adj_the-token-of-the-test-0123456789";
const NOW: Timestamp = Timestamp::from_secs(1_760_000_000);

#[derive(Debug)]
struct Fixed;

impl Stats for Fixed {
    fn counts(&self) -> Counts {
        let alarm = Alarm::new("clock", "the clock is off", "set it", "timedatectl");
        Counts {
            accepted: 7,
            validated: 2,
            refused: vec![("signature", 3), ("window", 0)],
            outcomes: vec![("done", 2)],
            zoom_calls: vec![("2xx", 5)],
            alarms: vec![alarm],
            notifiers: Vec::new(),
        }
    }
}

struct Served {
    address: SocketAddr,
    store: MemoryStore,
    _stop: tokio::sync::oneshot::Sender<()>,
    runtime: tokio::runtime::Runtime,
}

/// The listener, with one job parked, one waiting and one due.
fn served() -> Served {
    served_with(Limits::default())
}

fn served_with(limits: Limits) -> Served {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let store = MemoryStore::new(limits);
    runtime.block_on(fill(&store));
    let (listener, address) = runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    });
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(NOW));
    let state = AdminState {
        store: Arc::new(store.clone()),
        local: None,
        clock,
        tokens: Tokens::new(TokenHash::of(&TOKEN.into()), Arc::new(SystemChance)),
        hosts: Hosts::new(address, &["admin.internal".to_owned()]),
        apps: tokio::sync::watch::Sender::new(vec![AdminApp {
            name: app(),
            kind: AppKind::ServerToServer,
            accounts: vec![Account::new(account(), app(), Plan::Pro)],
        }])
        .subscribe(),
        reload: None,
        stats: Arc::new(Fixed),
        sweeps: Arc::new(NoSweeps),
        engine: Arc::new(Vec::new()),
        take_back: None,
        accounts: None,
        onboards: None,
        errands: None,
        meetings: None,
        users: None,
        readers: Readers::default(),
        pushers: None,
        started_at: NOW,
    };
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    runtime.spawn(async move {
        let ended = async {
            let _dropped = stopped.await;
        };
        Acceptor::new(AcceptSettings::default()).serve(listener, router(Arc::new(state)), ended, Duration::ZERO).await
    });
    Served { address, store, _stop: stop, runtime }
}

fn app() -> AppName {
    AppName::parse("main").unwrap()
}

fn account() -> AccountId {
    AccountId::parse("acc").unwrap()
}

async fn fill(store: &MemoryStore) {
    let secret = "webhook-secret-of-the-test";
    for (user, outcome) in [
        ("parked", Some(Outcome::Park(ParkCause::AssistantsFull))),
        ("waiting", Some(Outcome::Snooze(Snooze::ForEvent(WaitReason::UserPending)))),
        ("due", None),
    ] {
        let body = format!(
            r#"{{"event":"user.created","event_ts":1,"payload":{{"account_id":"acc","object":{{"id":"{user}","host_key":"123456","email":"{user}@example.com"}}}}}}"#
        );
        let at = NOW.as_secs();
        let mut headers = http::HeaderMap::new();
        headers.insert("x-zm-signature", sign(secret, at, body.as_bytes()).parse().unwrap());
        headers.insert("x-zm-request-timestamp", at.to_string().parse().unwrap());
        let secrets = [Secret::new(&secret.into()).unwrap()];
        let (verified, _) = verify(&headers, body.into(), &secrets, at, Window { past: 10, future: 10 }).unwrap();
        let receipt = store.deliver(NewDelivery { app: app(), received_at: NOW, verified }).await.unwrap();
        let subject = Subject::User { id: Some(UserId::parse(user).unwrap()), email: None };
        let steps = vec![Step::Ensure { rule: RuleName::parse("r").unwrap(), subject, on: None }];
        let decision = Decision {
            delivery: receipt.delivery(),
            account: Some(account()),
            event: "user.created".to_owned(),
            verdict: Verdict::Work { meaning: None, event_at: None, steps },
        };
        store.record_plan(vec![decision], NOW).await.unwrap();
        let Some(outcome) = outcome else { continue };
        let wanted = Claimable { jobs_max: 1, per_account_max: 1, lease: Duration::from_secs(60) };
        let mut leased = store.claim(wanted, NOW).await.unwrap().remove(0);
        store.start(&mut leased, NOW).await.unwrap();
        store.settle(leased, outcome, Vec::new(), NOW, 0.5).await.unwrap();
    }
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

impl Served {
    fn raw(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let headers = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect::<Vec<_>>().concat();
        let request = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\ncontent-length: 0\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = Vec::new();
        stream.read_to_end(&mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_lowercase(), body: body.to_owned() }
    }

    fn ask(&self, method: &str, path: &str) -> Answer {
        let bearer = format!("Bearer {TOKEN}");
        self.raw(method, path, &[("host", "localhost"), ("authorization", &bearer)])
    }

    fn get(&self, path: &str) -> Value {
        let answer = self.ask("GET", path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.json()
    }
}

/// All that are in the table, and some that are not.
fn asked_routes() -> Vec<(String, String)> {
    let all = routes().into_iter().map(|route| {
        let path = route.path.replace("jobs/{id}", "jobs/job_1").replace("deliveries/{id}", "deliveries/dlv_1");
        // A stream without an end is none that can be read to it.
        (route.method.to_string(), path.replace("{rule}", "r").replace("audit/stream", "audit/stream?to=0"))
    });
    let others = [("GET", "/nowhere"), ("DELETE", "/v1/jobs"), ("GET", "/")];
    all.chain(others.map(|(method, path)| (method.to_owned(), path.to_owned()))).collect()
}

#[test]
fn nothing_is_answered_without_the_token_but_whether_it_lives() {
    let served = served();
    let entries = served.get("/v1/audit/head");
    let right = format!("Bearer {TOKEN}");
    let almost = format!("Bearer {TOKEN}x");
    for (method, path) in asked_routes() {
        for (case, headers) in [
            ("no token", vec![]),
            ("an empty header", vec![("authorization", "")]),
            ("a wrong token", vec![("authorization", "Bearer adj_wrong-wrong-wrong-wrong")]),
            ("almost the token", vec![("authorization", almost.as_str())]),
            ("another scheme", vec![("authorization", "Basic YTpi")]),
            ("the bare token", vec![("authorization", TOKEN)]),
            ("two headers", vec![("authorization", right.as_str()), ("authorization", right.as_str())]),
        ] {
            let all = [vec![("host", "localhost")], headers].concat();
            let answer = served.raw(&method, &path, &all);
            assert_eq!(answer.status, 401, "{method} {path} with {case}");
            assert!(answer.head.contains("www-authenticate: bearer"), "{}", answer.head);
            assert!(answer.head.contains("content-type: application/problem+json"), "{}", answer.head);
        }
        let answer = served.ask(&method, &path);
        assert!(!matches!(answer.status, 401 | 421), "{method} {path}: {}", answer.status);
    }
    assert_eq!(served.raw("GET", "/livez", &[("host", "localhost")]).status, 200);
    assert_eq!(served.raw("GET", "/readyz", &[("host", "localhost")]).status, 200);
    assert!(entries["size"].as_u64().unwrap() > 0);
}

#[test]
fn a_foreign_host_name_is_turned_away_before_the_token_is_looked_at() {
    let served = served();
    let right = format!("Bearer {TOKEN}");
    let port = served.address.port();
    for (method, path) in asked_routes() {
        for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", "10.0.0.1", ""] {
            let answer = served.raw(&method, &path, &[("host", host), ("authorization", &right)]);
            assert_eq!(answer.status, 421, "{method} {path} as {host:?}");
        }
        let answer = served.raw(&method, &path, &[("authorization", &right)]);
        assert!(matches!(answer.status, 400 | 421), "{method} {path} without a host: {}", answer.status);
    }
    for host in ["localhost", "LOCALHOST:1", "127.0.0.1", &format!("127.0.0.1:{port}"), "[::1]", "admin.internal"] {
        let answer = served.raw("GET", "/v1/status", &[("host", host), ("authorization", &right)]);
        assert_eq!(answer.status, 200, "{host}");
    }
}

#[test]
fn a_page_of_another_origin_is_given_no_leave() {
    let served = served();
    let answer = served.raw("OPTIONS", "/v1/jobs", &[("host", "localhost"), ("origin", "https://evil.example")]);
    assert_eq!(answer.status, 401);
    let bearer = format!("Bearer {TOKEN}");
    let answer = served.raw(
        "GET",
        "/v1/jobs",
        &[("host", "localhost"), ("authorization", &bearer), ("origin", "https://evil.example")],
    );
    assert!(!answer.head.contains("access-control"), "{}", answer.head);
}

#[test]
fn jobs_are_listed_shown_and_moved() {
    let served = served();
    let states = |jobs: &Value| -> Vec<String> {
        jobs.as_array().unwrap().iter().map(|job| job["state"].as_str().unwrap().to_owned()).collect()
    };
    let all = served.get("/v1/jobs");
    assert_eq!(states(&all), ["due", "waiting", "parked"], "the newest first");
    assert_eq!(states(&served.get("/v1/jobs?state=parked")), ["parked"]);
    assert_eq!(states(&served.get("/v1/jobs?cause=assistants-full")), ["parked"]);
    assert_eq!(states(&served.get("/v1/jobs?account=other")), [""; 0]);
    let older = format!("/v1/jobs?limit=1&before={}", all[0]["id"].as_str().unwrap());
    assert_eq!(states(&served.get(&older)), ["waiting"]);
    let parked = &all[2];
    assert_eq!((parked["cause"].as_str(), parked["subject"].as_str()), (Some("assistants-full"), Some("user:parked")));
    assert_eq!(parked["at"], NOW.to_string());
    assert!(parked["advice"].as_str().unwrap().contains("remove one"));
    let id = parked["id"].as_str().unwrap();
    assert_eq!(served.get(&format!("/v1/jobs/{id}")), *parked);
    let moved = served.ask("POST", "/v1/jobs/retry?cause=assistants-full&account=acc");
    assert_eq!((moved.status, moved.json()["moved"].as_u64()), (200, Some(1)));
    assert_eq!(served.get(&format!("/v1/jobs/{id}"))["state"], "due");
    assert_eq!(served.ask("POST", &format!("/v1/jobs/{id}/park")).status, 200);
    assert_eq!(served.get(&format!("/v1/jobs/{id}"))["cause"], "by-person");
    assert_eq!(served.ask("POST", &format!("/v1/jobs/{id}/retry")).status, 200);
    let last = served.get("/v1/audit?last=1");
    assert_eq!(last["entries"][0]["kind"], "moved", "{last}");
}

impl Served {
    /// The job that is due is parked for this cause.
    fn park(&self, cause: ParkCause) {
        self.runtime.block_on(async {
            let wanted = Claimable { jobs_max: 1, per_account_max: 1, lease: Duration::from_secs(60) };
            let mut leased = self.store.claim(wanted, NOW).await.unwrap().remove(0);
            self.store.start(&mut leased, NOW).await.unwrap();
            self.store.settle(leased, Outcome::Park(cause), Vec::new(), NOW, 0.5).await.unwrap();
        });
    }

    fn moved(&self, path: &str) -> (u16, Option<u64>, Option<u64>) {
        let answer = self.ask("POST", path);
        (answer.status, answer.json()["moved"].as_u64(), answer.json()["left"].as_u64())
    }
}

#[test]
fn a_rule_is_resumed_with_what_it_holds_back_and_by_whom_is_on_record() {
    let served = served();
    assert_eq!(served.ask("POST", "/v1/rules/r/resume").status, 404, "it is not stopped");
    served.park(ParkCause::OverShare { rule: "r".to_owned() });
    assert_eq!(served.ask("POST", "/v1/rules/r/resume?account=other").status, 404);
    assert_eq!(served.moved("/v1/rules/r/resume?account=acc"), (200, Some(1), Some(0)));
    let told = served.get("/v1/audit?last=2")["entries"].clone();
    assert_eq!((&told[0]["code"], &told[1]["code"]), (&"resumed".into(), &"retried".into()), "{told}");
    assert_eq!(told[1]["note"], "by admin token");
    served.park(ParkCause::TakesAway { what: "a licence".to_owned() });
    assert_eq!(served.ask("POST", "/v1/rules/r/resume").status, 404, "that lets nothing through");
    assert_eq!(served.moved("/v1/rules/r/resume?takes_away=true"), (200, Some(1), Some(0)));
}

#[test]
fn what_is_parked_for_a_cause_is_counted_and_then_ended_for_good() {
    let served = served();
    served.park(ParkCause::RuleGone { is_another: false });
    let by_rule = |more: &str| served.moved(&format!("/v1/jobs/cancel?cause=rule-gone&rule=r{more}"));
    assert_eq!(by_rule("&check=true"), (200, Some(0), Some(1)));
    assert_eq!(by_rule("x"), (200, Some(0), Some(0)), "of another rule");
    assert_eq!(by_rule(""), (200, Some(1), Some(0)));
    assert_eq!(served.get("/v1/audit?last=1")["entries"][0]["note"], "by admin token");
    let whole = served.ask("POST", "/v1/jobs/cancel?cause=assistants-full&rule=r");
    assert!(whole.status == 400 && whole.body.contains("not told rule by rule"), "{}", whole.body);
    assert_eq!(served.moved("/v1/jobs/cancel?cause=assistants-full"), (200, Some(1), Some(0)));
    let waiting = served.get("/v1/jobs?state=waiting")[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(served.moved(&format!("/v1/jobs/{waiting}/cancel")), (200, Some(1), Some(0)));
    assert_eq!(served.ask("POST", &format!("/v1/jobs/{waiting}/cancel")).status, 409);
}

#[test]
fn what_cannot_be_understood_is_told_as_a_problem_and_changes_nothing() {
    let served = served();
    let before = served.get("/v1/audit/head");
    for (method, path, status, detail) in [
        ("GET", "/v1/jobs/42", 400, "job id \"42\" is not valid: expected job_ and a number, as the listing prints it"),
        ("GET", "/v1/jobs/job_999", 404, "there is no job job_999"),
        ("POST", "/v1/jobs/job_999/retry", 404, ""),
        (
            "GET",
            "/v1/jobs?state=stuck",
            400,
            "state is \"stuck\", expected one of due, running, waiting, parked, done, cancelled",
        ),
        ("GET", "/v1/jobs?limit=0", 400, "limit is 0, expected 1 to 1000"),
        ("GET", "/v1/jobs?limit=1001", 400, "limit is 1001, expected 1 to 1000"),
        ("GET", "/v1/jobs?stat=due", 400, ""),
        ("POST", "/v1/jobs/retry", 400, ""),
        ("POST", "/v1/jobs/retry?caus=assistants-full", 400, ""),
        ("GET", "/v1/deliveries/dlv_999", 404, "there is no delivery dlv_999"),
        ("POST", "/v1/deliveries/x/replay", 400, ""),
        ("GET", "/v1/audit?after=7", 400, NO_CURSOR),
        (
            "GET",
            "/v1/audit?after=MTow&last=1",
            400,
            "give after or last, not both, and last without from, to and wait_secs",
        ),
        ("GET", "/v1/audit?after=MTow&from=0", 400, "give after or from, not both"),
        ("GET", "/v1/audit?wait_secs=61", 400, "wait_secs is 61, expected 0 to 60"),
        ("GET", "/v1/audit?kind=nothing", 400, ""),
        ("GET", "/v1/audit?from=yesterday", 400, ""),
        ("GET", "/v1/audit/stream?after=7", 400, NO_CURSOR),
        ("GET", "/v2/jobs", 404, "there is no such route"),
        ("GET", "/v1/audit?after=", 400, NO_CURSOR),
        ("DELETE", "/v1/jobs", 405, "this route takes another method: GET"),
        ("DELETE", "/v1/tokens", 405, "this route takes another method: GET, POST"),
        ("POST", "/livez", 405, "this route takes another method: GET"),
    ] {
        let answer = served.ask(method, path);
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.body);
        assert!(answer.head.contains("content-type: application/problem+json"), "{method} {path}: {}", answer.head);
        let problem = answer.json();
        assert_eq!(problem["status"].as_u64(), Some(u64::from(status)));
        assert!(detail.is_empty() || problem["detail"] == detail, "{method} {path}: {problem}");
    }
    assert_eq!(served.get("/v1/audit/head"), before);
}

#[test]
fn the_audit_log_is_read_to_its_end_by_cursor_and_hashes_to_its_head() {
    let served = served();
    let head = served.get("/v1/audit/head");
    let (mut tree, mut path) = (Frontier::default(), "/v1/audit?limit=2".to_owned());
    loop {
        let page = served.get(&path);
        for entry in page["entries"].as_array().unwrap() {
            assert_eq!(entry["index"].as_u64(), Some(tree.size()));
            let mut leaf = [0; 32];
            hex::decode_to_slice(entry["leaf"].as_str().unwrap(), &mut leaf).unwrap();
            tree.push(leaf);
        }
        let next = format!("/v1/audit?limit=2&after={}", page["next"].as_str().unwrap());
        if page["entries"].as_array().unwrap().is_empty() {
            assert_eq!(next, path, "the end is a place to come back to");
            break;
        }
        path = next;
    }
    assert_eq!(
        (head["size"].as_u64(), head["root"].as_str()),
        (Some(tree.size()), Some(hex::encode(tree.root()).as_str()))
    );
}

#[test]
fn deliveries_are_shown_without_what_opens_an_account_and_can_be_planned_again() {
    let served = served();
    let all = served.get("/v1/deliveries");
    assert_eq!(all.as_array().unwrap().len(), 3);
    let id = all[0]["id"].as_str().unwrap();
    let one = served.get(&format!("/v1/deliveries/{id}"));
    assert_eq!((one["event"].as_str(), one["status"].as_str()), (Some("user.created"), Some("planned")));
    assert_eq!(one["body"]["payload"]["object"]["host_key"], "***");
    assert_eq!(one["body"]["payload"]["object"]["email"], "due@example.com");
    assert_eq!(served.ask("POST", &format!("/v1/deliveries/{id}/replay")).status, 200);
    assert_eq!(served.get(&format!("/v1/deliveries/{id}"))["status"], "unplanned");
}

#[test]
fn attention_says_that_deliveries_are_held_back() {
    let served = served_with(Limits { backlog_max: 2, ..Limits::default() });
    let attention = served.get("/v1/attention");
    let alarm = attention["alarms"].as_array().unwrap().last().unwrap();
    assert_eq!(alarm["code"], "backlog");
    assert!(alarm["what"].as_str().unwrap().starts_with("1 delivery waits"), "{alarm}");
    assert_eq!(served.get("/v1/deliveries?parked=true")[0]["code"], "backlog");
    assert_eq!(served.get("/v1/status")["store"]["held_deliveries"], 1);
}

#[test]
fn attention_says_whose_backlog_is_full_and_how_many_deliveries_were_given_up_since_when() {
    let served = served_with(Limits { backlog_max: 3, parked_deliveries_max: 0, ..Limits::default() });
    let deliver = |n: u64| {
        let verified = Verified::reread(format!("{n}").into(), NOW.as_secs(), None);
        served.runtime.block_on(served.store.deliver(NewDelivery { app: app(), received_at: NOW, verified })).unwrap()
    };
    let delivery = deliver(1).delivery();
    let verdict = Verdict::Unreadable { why: "no JSON".to_owned() };
    let decision = Decision { delivery, account: None, event: String::new(), verdict };
    served.runtime.block_on(served.store.record_plan(vec![decision], NOW)).unwrap();
    for n in 2..5 {
        deliver(n);
    }
    let alarms = served.get("/v1/attention")["alarms"].clone();
    let what = |code: &str| {
        let alarm = alarms.as_array().unwrap().iter().find(|alarm| alarm["code"] == code);
        alarm.unwrap_or_else(|| panic!("no {code} in {alarms}"))["what"].as_str().unwrap().to_owned()
    };
    assert_eq!(
        what("backlog-full"),
        format!(
            "deliveries of app main are refused: 3 wait to be planned, as many as may (backlog_max), the first since {NOW}"
        )
    );
    let given_up = what("given-up");
    assert!(given_up.starts_with(&format!("1 delivery was given up at {NOW}: ")), "{given_up}");
    let metrics = served.ask("GET", "/metrics").body;
    for line in ["adjutant_apps_backlogged 1", "adjutant_deliveries_given_up 1", "adjutant_index_missing 0"] {
        assert!(metrics.lines().any(|had| had == line), "{line} is missing in\n{metrics}");
    }
}

#[test]
fn work_that_is_parked_for_want_of_an_api_user_is_an_alarm_though_nobody_looked_at_one_since_the_start() {
    let served = served();
    served.runtime.block_on(async {
        let wanted = Claimable { jobs_max: 1, per_account_max: 1, lease: Duration::from_secs(60) };
        let mut leased = served.store.claim(wanted, NOW).await.unwrap().remove(0);
        served.store.start(&mut leased, NOW).await.unwrap();
        let cause = ParkCause::ApiUserUnusable { detail: "it has no licence".to_owned() };
        served.store.settle(leased, Outcome::Park(cause), Vec::new(), NOW, 0.5).await.unwrap();
    });
    let alarms = &served.get("/v1/attention")["alarms"];
    assert_eq!((&alarms[1]["code"], &alarms[1]["account"]), (&"api-user".into(), &"acc".into()), "{alarms}");
    assert_eq!(alarms[1]["command"], "adjutant jobs retry --cause api-user-unusable --account acc");
    let what = alarms[1]["what"].as_str().unwrap();
    assert!(what.starts_with("account acc: ") && what.ends_with("it has no licence"), "{what}");
}

#[test]
fn an_account_whose_credentials_zoom_refused_needs_authorising_though_no_call_was_made_since_the_start() {
    let served = served();
    served.park(ParkCause::CredentialsRefused { detail: "the app is disabled".to_owned() });
    let alarms = &served.get("/v1/attention")["alarms"];
    assert_eq!((&alarms[1]["code"], &alarms[1]["account"]), (&"needs-authorising".into(), &"acc".into()), "{alarms}");
    assert!(alarms[1]["since"].is_string() && alarms[1]["what"].as_str().unwrap().ends_with("the app is disabled"));
}

#[test]
fn attention_says_what_is_stuck_and_what_to_do() {
    let served = served();
    let attention = served.get("/v1/attention");
    assert_eq!(attention["alarms"][0]["code"], "clock");
    let parked = &attention["parked"][0];
    assert_eq!((parked["cause"].as_str(), parked["count"].as_u64()), (Some("assistants-full"), Some(1)));
    assert!(parked["advice"].as_str().unwrap().contains("retry"), "{parked}");
    assert_eq!(parked["command"], "adjutant jobs retry --cause assistants-full --account acc");
    assert_eq!(
        (&attention["alarms"][0]["command"], &attention["alarms"][0]["account"]),
        (&"timedatectl".into(), &Value::Null)
    );
    let waiting = &attention["waiting"][0];
    assert_eq!((waiting["reason"].as_str(), waiting["count"].as_u64()), (Some("user-pending"), Some(1)));
    let apps = served.get("/v1/apps");
    assert_eq!((apps[0]["name"].as_str(), apps[0]["accounts"][0].as_str()), (Some("main"), Some("acc")));
    assert!(apps[0]["verified_at"].is_string(), "{apps}");
    let status = served.get("/v1/status");
    assert_eq!((status["accepted"].as_u64(), status["store"]["parked"].as_u64()), (Some(7), Some(1)));
}

#[test]
fn metrics_are_text_without_ids() {
    let served = served();
    let answer = served.ask("GET", "/metrics");
    for line in [
        "adjutant_deliveries_accepted_total 7",
        "adjutant_deliveries_refused_total{kind=\"signature\"} 3",
        "adjutant_outcomes_total{outcome=\"done\"} 2",
        "adjutant_zoom_calls_total{status=\"2xx\"} 5",
        "adjutant_jobs{state=\"parked\"} 1",
        "adjutant_jobs_waiting{reason=\"user-pending\"} 1",
        "adjutant_store_refusing 0",
    ] {
        assert!(answer.body.lines().any(|had| had == line), "{line} is missing in\n{}", answer.body);
    }
    assert!(answer.body.contains("adjutant_process_resident_bytes "), "{}", answer.body);
    assert!(answer.body.ends_with("# EOF\n"), "{}", answer.body);
    assert!(!answer.body.contains("example.com") && !answer.body.contains("job_"), "{}", answer.body);
}

#[test]
fn a_closed_store_is_alive_and_not_ready() {
    let served = served();
    served.runtime.block_on(served.store.close()).unwrap();
    assert_eq!(served.raw("GET", "/livez", &[("host", "localhost")]).status, 200);
    let ready = served.raw("GET", "/readyz", &[("host", "localhost")]);
    assert_eq!((ready.status, ready.body.as_str()), (503, "not ready\n"));
    assert_eq!(served.ask("GET", "/v1/status").status, 503);
}
