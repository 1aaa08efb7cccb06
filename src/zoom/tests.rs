//! The client against a small server on loopback.

mod simulated;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::*;
use crate::account::{Account, Plan, UserKey};
use crate::chance::SeededChance;
use crate::clock::{Clock, ManualClock, Timestamp, lock};
use crate::ids::{AccountId, AppName, MeetingId};
use crate::job::Intent;
use crate::rules::Leaves;
use crate::store::QuotaUse;

/// 2026-11-20T12:00:00Z
const NOON: Timestamp = Timestamp::from_secs(1_795_176_000);
const QPS: &str = r#"{"code":429,"message":"You have reached the maximum per-second rate limit for this API."}"#;
const USER_DAY: &str = r#"{"code":429,"message":"You have exceeded the daily rate limit (100) of Meeting Create/Update API requests permitted for this particular user."}"#;

/// A request, as the server saw it.
#[derive(Debug, Clone)]
struct Seen {
    method: String,
    uri: String,
    headers: HeaderMap,
    body: String,
}

impl Seen {
    fn is_token(&self) -> bool {
        self.uri.starts_with("/oauth/token")
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

enum Reply {
    Now(Response),
    Never,
}

fn json(status: u16, body: &str) -> Reply {
    let status = StatusCode::from_u16(status).unwrap();
    Reply::Now((status, [("content-type", "application/json")], body.to_owned()).into_response())
}

fn a_user() -> Reply {
    json(200, r#"{"id":"u1","email":"jill@example.com","type":2,"status":"active"}"#)
}

/// `token-1`, `token-2` and so on.
fn a_token(number: usize) -> Reply {
    json(200, &format!(r#"{{"access_token":"token-{number}","expires_in":3600,"scope":"user:read:admin a:b"}}"#))
}

/// A server, and an account client that talks to it on a clock that stands still.
struct Bench {
    clock: ManualClock,
    clients: ZoomClients,
    zoom: AccountClient,
    seen: Arc<Mutex<Vec<Seen>>>,
}

fn settings(base: &str) -> Settings {
    Settings { api_url: format!("{base}/v2"), oauth_url: format!("{base}/oauth"), ..Settings::default() }
}

fn waiting_room() -> Leaves {
    serde_json::from_value(serde_json::json!({ "waiting_room": true })).unwrap()
}

fn account(plan: Plan) -> Account {
    Account::new(AccountId::parse("acc+&1").unwrap(), AppName::parse("main").unwrap(), plan)
}

fn credentials() -> Credentials {
    Credentials { client_id: "client".to_owned(), client_secret: "hunter2".to_owned().into() }
}

fn clients(settings: Settings, clock: &ManualClock) -> ZoomClients {
    ZoomClients::new(settings, Arc::new(clock.clone()), Arc::new(SeededChance::new(1))).unwrap()
}

async fn serve(reply: impl Fn(&Seen) -> Reply + Send + Sync + 'static, seen: Arc<Mutex<Vec<Seen>>>) -> String {
    let reply = Arc::new(reply);
    let app = Router::new().fallback(move |request: Request| {
        let (reply, seen) = (Arc::clone(&reply), Arc::clone(&seen));
        async move {
            let (parts, body) = request.into_parts();
            let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
            let uri = parts.uri.to_string();
            let body = String::from_utf8(body.to_vec()).unwrap();
            let one = Seen { method: parts.method.to_string(), uri, headers: parts.headers, body };
            lock(&seen).push(one.clone());
            match reply(&one) {
                Reply::Now(response) => response,
                Reply::Never => std::future::pending().await,
            }
        }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    base
}

impl Bench {
    /// `reply` gets every request, those for tokens included.
    async fn raw(change: impl FnOnce(&mut Settings), reply: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let base = serve(reply, Arc::clone(&seen)).await;
        let clock = ManualClock::at(NOON);
        let mut settings = settings(&base);
        change(&mut settings);
        let clients = clients(settings, &clock);
        let zoom = clients.account(&account(Plan::Pro), credentials());
        Self { clock, clients, zoom, seen }
    }

    /// Tokens are `token-1`, `token-2` …; `reply` gets the rest.
    async fn new(reply: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let tokens = AtomicUsize::new(0);
        Self::raw(
            |_| {},
            move |seen| {
                if seen.is_token() { a_token(tokens.fetch_add(1, Ordering::SeqCst) + 1) } else { reply(seen) }
            },
        )
        .await
    }

    fn tokens(&self) -> usize {
        lock(&self.seen).iter().filter(|seen| seen.is_token()).count()
    }

    fn api(&self) -> Vec<Seen> {
        lock(&self.seen).iter().filter(|seen| !seen.is_token()).cloned().collect()
    }
}

fn jill() -> UserKey {
    "jill@example.com".parse().unwrap()
}

/// Reads a user through `count` handles at once, while the clock runs.
async fn many(bench: &Bench, count: usize) -> Vec<Result<User, ZoomError>> {
    let mut set = JoinSet::new();
    for _ in 0..count {
        let handle = bench.zoom.handle();
        set.spawn(async move { handle.user(&jill()).await });
    }
    join(set, || bench.clock.advance(Duration::from_millis(1))).await
}

/// Waits for all, and calls `idle` again and again meanwhile.
async fn join<T: 'static>(mut set: JoinSet<T>, mut idle: impl FnMut()) -> Vec<T> {
    let mut ends = Vec::new();
    while !set.is_empty() {
        tokio::select! {
            biased;
            Some(end) = set.join_next() => ends.push(end.unwrap()),
            () = tokio::task::yield_now() => idle(),
        }
    }
    ends
}

fn intent() -> Intent {
    Intent::recorded_by_store(7)
}

#[tokio::test]
async fn requests_are_as_zoom_wants_them() {
    let bench = Bench::new(|seen| match seen.method.as_str() {
        "GET" => a_user(),
        "POST" => json(201, r#"{"ids":"u2","add_at":"2026-11-20T12:00:00Z"}"#),
        _ => Reply::Now(StatusCode::NO_CONTENT.into_response()),
    })
    .await;
    let handle = bench.zoom.handle();
    handle.user(&jill()).await.unwrap();
    handle.add_assistant(&intent(), &"u1".parse().unwrap(), &"u2".parse().unwrap()).await.unwrap();
    handle.add_assistant(&intent(), &"u/1".parse().unwrap(), &jill()).await.unwrap();
    let wanted = waiting_room();
    handle.set_meeting(&intent(), MeetingId::from_number(123), wanted).await.unwrap();

    let seen = lock(&bench.seen).clone();
    let token = &seen[0];
    assert_eq!((token.method.as_str(), token.uri.as_str()), ("POST", "/oauth/token"));
    assert_eq!(token.header("authorization"), "Basic Y2xpZW50Omh1bnRlcjI=");
    assert_eq!(token.header("content-type"), "application/x-www-form-urlencoded");
    assert_eq!(token.body, "grant_type=account_credentials&account_id=acc%2B%261");
    let sent: Vec<_> = seen[1..].iter().map(|s| format!("{} {} {}", s.method, s.uri, s.body)).collect();
    assert_eq!(
        sent,
        [
            "GET /v2/users/jill%40example.com ",
            r#"POST /v2/users/u1/assistants {"assistants":[{"id":"u2"}]}"#,
            r#"POST /v2/users/u%2F1/assistants {"assistants":[{"email":"jill@example.com"}]}"#,
            r#"PATCH /v2/meetings/123 {"settings":{"waiting_room":true}}"#,
        ]
    );
    for call in &seen[1..] {
        assert_eq!(call.header("authorization"), "Bearer token-1");
        assert_eq!(call.header("user-agent"), concat!("adjutant/", env!("CARGO_PKG_VERSION")));
        assert_eq!(call.header("accept"), "application/json");
        assert_eq!(call.header("content-type"), if call.method == "GET" { "" } else { "application/json" });
    }
    let calls: Vec<_> =
        handle.calls().iter().map(|c| format!("{} {} {} {:?}", c.method, c.path, c.category, c.status)).collect();
    assert_eq!(calls[0], "GET /users/jill%40example.com light Some(200)");
    assert_eq!(calls[1], "POST /users/u1/assistants medium Some(201)");
    assert_eq!(calls[3], "PATCH /meetings/123 light Some(204)");
    assert!(bench.zoom.handle().calls().is_empty(), "each handle has its own list");
    assert_eq!(bench.zoom.used_today(), QuotaUse { light: 2, medium: 2, heavy: 0 });
    assert_eq!(
        bench.clients.stats().now(),
        StatsNow { begun: 4, success: 4, tokens_fetched: 1, ..StatsNow::default() }
    );
}

#[tokio::test]
async fn a_listing_is_asked_for_by_status_and_page() {
    let bench = Bench::new(|_| json(200, r#"{"users":[{"email":"a@b.c","type":1}],"next_page_token":"n&x"}"#)).await;
    let handle = bench.zoom.handle();
    let page = handle.users(Status::Pending, Page { size: 5000, token: None }).await.unwrap();
    assert_eq!(page.users[0].status, Status::Pending);
    handle.users(Status::Inactive, Page { size: 1, token: page.next }).await.unwrap();
    handle.users(Status::Active, Page::default()).await.unwrap();
    let uris: Vec<_> = bench.api().into_iter().map(|seen| seen.uri).collect();
    assert_eq!(
        uris,
        [
            "/v2/users?status=pending&page_size=300",
            "/v2/users?status=inactive&page_size=1&next_page_token=n%26x",
            "/v2/users?status=active&page_size=300",
        ]
    );
    let unknown = handle.users(Status::Unknown, Page::default()).await;
    assert!(matches!(unknown, Err(ZoomError::Refused { status: 0, .. })), "{unknown:?}");
}

#[tokio::test]
async fn fifty_callers_fetch_one_token() {
    let bench = Bench::new(|_| a_user()).await;
    let ends = many(&bench, 50).await;
    assert!(ends.iter().all(Result::is_ok), "{ends:?}");
    assert_eq!((bench.tokens(), bench.api().len()), (1, 50));
    assert!(bench.clock.now() >= NOON.plus(Duration::from_secs(2)), "50 calls at 24 a second take two seconds");
}

#[tokio::test]
async fn fifty_callers_share_one_failure_to_fetch_a_token() {
    let bench = Bench::raw(|_| {}, |_| json(503, "busy")).await;
    let ends = many(&bench, 50).await;
    assert!(ends.iter().all(|end| matches!(end, Err(ZoomError::Transient(_)))), "{ends:?}");
    assert_eq!(bench.tokens(), 1);
    assert!(bench.zoom.granted_scopes().await.is_err());
    assert_eq!(bench.tokens(), 2, "whoever comes later tries again");
}

#[tokio::test]
async fn refused_credentials_are_not_tried_again_at_once() {
    let bench = Bench::raw(|_| {}, |_| json(400, r#"{"reason":"Invalid client_id or client_secret"}"#)).await;
    for _ in 0..3 {
        let error = bench.zoom.handle().user(&jill()).await.unwrap_err();
        assert!(matches!(&error, ZoomError::Credentials(why) if why.contains("check client_id")), "{error}");
    }
    assert_eq!(bench.tokens(), 1);
    bench.clock.advance(Duration::from_secs(10));
    bench.zoom.handle().user(&jill()).await.unwrap_err();
    assert_eq!(bench.tokens(), 2);
    assert_eq!(bench.clients.stats().now(), StatsNow { tokens_failed: 2, ..StatsNow::default() });
}

#[tokio::test]
async fn a_throttled_token_endpoint_is_left_alone_until_then() {
    let bench = Bench::raw(
        |_| {},
        |_| Reply::Now((StatusCode::TOO_MANY_REQUESTS, [("retry-after", "30")], "").into_response()),
    )
    .await;
    let then = NOON.plus(Duration::from_secs(30));
    for _ in 0..2 {
        let error = bench.zoom.handle().user(&jill()).await.unwrap_err();
        assert!(matches!(error, ZoomError::Limited { until, .. } if until == then), "{error}");
    }
    assert_eq!(bench.tokens(), 1);
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends() {
    let bench = Bench::new(|_| a_user()).await;
    bench.zoom.handle().user(&jill()).await.unwrap();
    bench.clock.advance(Duration::from_secs(3539));
    bench.zoom.handle().user(&jill()).await.unwrap();
    assert_eq!(bench.tokens(), 1);
    bench.clock.advance(Duration::from_secs(1));
    bench.zoom.handle().user(&jill()).await.unwrap();
    assert_eq!(bench.tokens(), 2);
    assert_eq!(bench.api()[2].header("authorization"), "Bearer token-2");
    assert!(bench.zoom.granted_scopes().await.unwrap().contains("a:b"));
}

#[tokio::test]
async fn a_refused_token_is_replaced_once_for_all_who_held_it() {
    let bench = Bench::new(|seen| {
        if seen.header("authorization") == "Bearer token-1" {
            json(401, r#"{"code":124,"message":"Invalid access token."}"#)
        } else {
            a_user()
        }
    })
    .await;
    let ends = many(&bench, 4).await;
    assert!(ends.iter().all(Result::is_ok), "{ends:?}");
    assert_eq!(bench.tokens(), 2);
}

#[tokio::test]
async fn a_new_token_that_is_refused_too_means_bad_credentials() {
    let bench = Bench::new(|_| json(401, r#"{"code":124,"message":"Invalid access token."}"#)).await;
    let handle = bench.zoom.handle();
    let error = handle.user(&jill()).await.unwrap_err();
    assert!(matches!(&error, ZoomError::Credentials(why) if why.contains("Invalid access token")), "{error}");
    assert_eq!((bench.tokens(), handle.calls().len()), (2, 2));
    assert_eq!(bench.zoom.handle().user(&jill()).await, Err(error), "nobody tries again for a while");
    assert_eq!(bench.tokens(), 2);
    bench.clock.advance(Duration::from_secs(10));
    bench.zoom.handle().user(&jill()).await.unwrap_err();
    assert_eq!(bench.tokens(), 4);
}

#[tokio::test]
async fn scopes_that_were_added_since_are_found_with_a_new_token() {
    let bench = Bench::new(|seen| {
        if seen.header("authorization") == "Bearer token-1" {
            json(400, r#"{"code":4711,"message":"Invalid access token, does not contain scopes:[a, b]."}"#)
        } else {
            a_user()
        }
    })
    .await;
    let error = bench.zoom.handle().user(&jill()).await.unwrap_err();
    assert_eq!(error, ZoomError::ScopesMissing("a, b".to_owned()), "a token that is new cannot lack what was added");
    assert_eq!(bench.tokens(), 1);
    bench.clock.advance(Duration::from_secs(60));
    assert!(bench.zoom.handle().user(&jill()).await.is_ok());
    assert_eq!(bench.tokens(), 2);
}

#[tokio::test]
async fn an_answer_that_does_not_come_in_time_is_transient() {
    let bench = Bench::raw(
        |settings| settings.call_timeout_secs = 1,
        |seen| if seen.is_token() { a_token(1) } else { Reply::Never },
    )
    .await;
    let handle = bench.zoom.handle();
    let error = handle.add_assistant(&intent(), &jill(), &"u2".parse().unwrap()).await.unwrap_err();
    assert_eq!(error, ZoomError::Transient("Zoom's answer did not arrive within 1s".to_owned()));
    assert_eq!(handle.calls()[0].status, None);
    assert_eq!(bench.clients.stats().now().unanswered, 1);
}

#[tokio::test]
async fn a_call_that_is_cut_off_is_on_record() {
    let bench = Bench::new(|_| Reply::Never).await;
    let handle = bench.zoom.handle();
    let key = jill();
    let mut call = Box::pin(handle.user(&key));
    while handle.calls().is_empty() {
        tokio::select! {
            biased;
            end = &mut call => panic!("{end:?}"),
            () = tokio::task::yield_now() => {}
        }
    }
    drop(call);
    assert_eq!(handle.calls()[0].path, "/users/jill%40example.com");
}

#[tokio::test]
async fn a_dropped_connection_is_transient_and_names_no_address() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let dropped = tokio::spawn(async move { drop(listener.accept().await.unwrap()) });
    let clock = ManualClock::at(NOON);
    let zoom = clients(settings(&base), &clock).account(&account(Plan::Pro), credentials());
    let error = zoom.handle().user(&jill()).await.unwrap_err();
    assert!(matches!(&error, ZoomError::Transient(why) if !why.contains("http://")), "{error}");
    dropped.await.unwrap();
    let error = zoom.handle().user(&jill()).await.unwrap_err();
    assert!(matches!(&error, ZoomError::Transient(why) if why.starts_with("cannot connect")), "{error}");
}

#[tokio::test]
async fn a_body_that_breaks_off_is_transient() {
    let bench = Bench::new(|_| {
        let mut sent = false;
        let broken = std::iter::from_fn(move || {
            let chunk = if sent { Err(std::io::Error::other("broken")) } else { Ok(Bytes::from_static(b"{\"id\":")) };
            sent = true;
            Some(chunk)
        });
        Reply::Now(Response::new(streamed(broken)))
    })
    .await;
    let error = bench.zoom.handle().user(&jill()).await.unwrap_err();
    assert!(matches!(error, ZoomError::Transient(_)), "{error}");
}

/// A body of chunks, sent without a length.
fn streamed(chunks: impl Iterator<Item = std::io::Result<Bytes>> + Send + Unpin + 'static) -> Body {
    struct Chunks<I>(I);
    impl<I: Iterator<Item = std::io::Result<Bytes>> + Unpin> hyper::body::Body for Chunks<I> {
        type Data = Bytes;
        type Error = std::io::Error;
        fn poll_frame(
            mut self: std::pin::Pin<&mut Self>,
            _cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<std::io::Result<hyper::body::Frame<Bytes>>>> {
            std::task::Poll::Ready(self.0.next().map(|chunk| chunk.map(hyper::body::Frame::data)))
        }
    }
    Body::new(Chunks(chunks))
}

#[tokio::test]
async fn a_body_that_is_too_large_is_not_read() {
    let bench = Bench::raw(
        |settings| settings.response_bytes_max = 65_536,
        |seen| match seen.uri.as_str() {
            "/oauth/token" => a_token(1),
            "/v2/users/endless" => {
                Reply::Now(Response::new(streamed(std::iter::repeat_with(|| Ok(Bytes::from_static(&[b' '; 4096]))))))
            }
            "/v2/users/fits" => json(200, &format!(r#"{{"id":"u1"{}}}"#, " ".repeat(65_536 - 11))),
            _ => json(200, &" ".repeat(65_537)),
        },
    )
    .await;
    let handle = bench.zoom.handle();
    for user in ["endless", "sized"] {
        let error = handle.user(&user.parse().unwrap()).await.unwrap_err();
        assert_eq!(error, ZoomError::Unreadable("the answer is larger than 65536 bytes".to_owned()), "{user}");
    }
    handle.user(&"fits".parse().unwrap()).await.unwrap();
    let changed = handle.add_assistant(&intent(), &jill(), &"u2".parse().unwrap()).await;
    assert_eq!(changed, Ok(Made::default()), "what a change answers is not needed");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let bench = Bench::new(|seen| {
        if seen.uri.starts_with("/v2/") {
            Reply::Now((StatusCode::FOUND, [("location", "/elsewhere")], "").into_response())
        } else {
            a_user()
        }
    })
    .await;
    let error = bench.zoom.handle().user(&jill()).await.unwrap_err();
    assert!(matches!(&error, ZoomError::Unreadable(why) if why.contains("zoom.api_url")), "{error}");
    assert_eq!(bench.api().len(), 1);
}

#[tokio::test]
async fn a_429_holds_back_everybody_in_the_category_until_then() {
    let bench = Bench::raw(
        |settings| settings.limit_wait_max_ms = 0,
        |seen| match seen.uri.as_str() {
            "/oauth/token" => a_token(1),
            "/v2/users/first" => json(429, QPS),
            "/v2/users/u1/assistants" => json(200, r#"{"assistants":[]}"#),
            _ => a_user(),
        },
    )
    .await;
    let error = bench.zoom.handle().user(&"first".parse().unwrap()).await.unwrap_err();
    let ZoomError::Limited { until, .. } = error else { panic!("{error}") };
    let other = bench.zoom.handle();
    let held = other.user(&jill()).await.unwrap_err();
    assert!(matches!(held, ZoomError::Limited { until: then, .. } if then == until), "{held}");
    assert!(other.calls().is_empty(), "a call that was not made is not on record");
    assert_eq!(other.assistants(&"u1".parse().unwrap()).await, Ok(Vec::new()), "another category goes on");
    bench.clock.set(until);
    assert!(other.user(&jill()).await.is_ok());
    let stats = bench.clients.stats().now();
    assert_eq!((stats.throttled, stats.held_back, stats.success), (1, 1, 2));
}

#[tokio::test]
async fn a_limit_of_one_user_holds_back_nobody_else() {
    let bench = Bench::new(|seen| {
        if !seen.uri.contains("meetings") {
            return a_user();
        }
        let headers =
            [("x-ratelimit-type", "Daily-limit"), ("x-ratelimit-category", "Light"), ("x-ratelimit-remaining", "0")];
        Reply::Now((StatusCode::TOO_MANY_REQUESTS, headers, USER_DAY).into_response())
    })
    .await;
    let handle = bench.zoom.handle();
    let error = handle.set_meeting(&intent(), MeetingId::from_number(1), waiting_room()).await.unwrap_err();
    assert!(matches!(error, ZoomError::HostDay { until, .. } if until == NOON.next_utc_midnight()), "{error}");
    assert!(handle.user(&jill()).await.is_ok());
}

#[tokio::test]
async fn a_call_waits_in_place_for_its_turn_and_not_longer_than_it_may() {
    let bench = Bench::new(|_| json(200, r#"{"assistants":[]}"#)).await;
    let account = Account { id: AccountId::parse("free").unwrap(), ..account(Plan::Free) };
    let zoom = bench.clients.account(&account, credentials());
    let mut set = JoinSet::new();
    // One medium call a second, and a little room between them: at 0, 1.03 and 2.06 s, and no more within 3 s.
    for _ in 0..6 {
        let handle = zoom.handle();
        set.spawn(async move { handle.assistants(&jill()).await });
    }
    let mut is_full = false;
    let ends = join(set, || {
        is_full = is_full || zoom.used_today().medium == 3;
        if is_full {
            bench.clock.advance(Duration::from_millis(1));
        }
    })
    .await;
    assert_eq!(ends.iter().filter(|end| end.is_ok()).count(), 3, "{ends:?}");
    let put_off = NOON.plus(Duration::from_millis(3090));
    assert_eq!(
        ends.iter().filter(|end| matches!(end, Err(ZoomError::Limited { until, .. }) if *until == put_off)).count(),
        3,
        "{ends:?}"
    );
    assert!(bench.clock.now() >= NOON.plus(Duration::from_millis(2060)));
}

#[tokio::test]
async fn the_day_is_seeded_and_two_apps_of_one_account_share_it() {
    let bench = Bench::new(|_| a_user()).await;
    let free = Account { id: AccountId::parse("free").unwrap(), ..account(Plan::Free) };
    let (one, other) = (bench.clients.account(&free, credentials()), bench.clients.account(&free, credentials()));
    one.seed_today(QuotaUse { light: 4799, medium: 0, heavy: 0 });
    assert!(one.handle().user(&jill()).await.is_ok());
    let error = other.handle().user(&jill()).await.unwrap_err();
    assert!(matches!(error, ZoomError::Limited { until, .. } if until == NOON.next_utc_midnight()), "{error}");
    assert!(bench.zoom.handle().user(&jill()).await.is_ok(), "another account has its own limits");
}

#[tokio::test]
async fn what_zoom_says_is_left_of_the_day_counts() {
    let bench = Bench::new(|_| {
        let headers =
            [("x-ratelimit-type", "Daily-limit"), ("x-ratelimit-category", "Light"), ("x-ratelimit-remaining", "0")];
        Reply::Now((headers, r#"{"id":"u1"}"#).into_response())
    })
    .await;
    assert!(bench.zoom.handle().user(&jill()).await.is_ok());
    let error = bench.zoom.handle().user(&jill()).await.unwrap_err();
    assert!(matches!(error, ZoomError::Limited { .. }), "{error}");
    assert_eq!(bench.api().len(), 1);
}

#[tokio::test]
async fn looking_only_reads_and_never_writes() {
    let bench = Bench::new(|_| a_user()).await;
    let zoom = Observed::new(bench.zoom.handle());
    assert!(zoom.user(&jill()).await.is_ok());
    let error = zoom.add_assistant(&intent(), &jill(), &"u2".parse().unwrap()).await.unwrap_err();
    assert!(error.is_read_only(), "{error}");
    let error = zoom.set_meeting(&intent(), MeetingId::from_number(1), Leaves::default()).await.unwrap_err();
    assert!(error.is_read_only(), "{error}");
    assert_eq!((bench.api().len(), zoom.calls().len()), (1, 1));
}

#[tokio::test]
async fn a_client_shows_no_secret() {
    let bench = Bench::new(|_| a_user()).await;
    bench.zoom.handle().user(&jill()).await.unwrap();
    let shown = format!("{:?} {:?}", bench.zoom, bench.clients);
    assert!(!shown.contains("hunter2") && !shown.contains("token-1"), "{shown}");
}

#[test]
fn settings_that_make_no_sense_give_no_client() {
    let settings = Settings { api_url: "nowhere".to_owned(), ..Settings::default() };
    let error =
        ZoomClients::new(settings, Arc::new(ManualClock::at(NOON)), Arc::new(SeededChance::new(1))).unwrap_err();
    assert!(error.to_string().starts_with("zoom.api_url"), "{error}");
}

#[tokio::test]
async fn tls_is_set_up_with_the_machines_root_certificates() {
    let settings = Settings { api_url: "https://127.0.0.1:1/v2".to_owned(), ..Settings::default() };
    let zoom = clients(Settings { oauth_url: "https://127.0.0.1:1".to_owned(), ..settings }, &ManualClock::at(NOON));
    let error = zoom.account(&account(Plan::Pro), credentials()).handle().user(&jill()).await.unwrap_err();
    assert!(matches!(&error, ZoomError::Transient(why) if why.starts_with("cannot connect")), "{error}");
}
