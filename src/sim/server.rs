//! HTTP around the world: one loop, so that a connection can really be dropped without an answer.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::answer::Answer;
use super::call::Request;
use super::fault::{FaultKind, Trouble};
use super::world::World;

const BODY_BYTES_MAX: usize = 1 << 20;

/// Tells hyper to close the connection without an answer.
#[derive(Debug)]
struct Dropped;

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the simulated Zoom drops the connection")
    }
}

impl std::error::Error for Dropped {}

/// Serves until `stop` becomes true; idle connections are closed then, and running requests answered.
pub(super) async fn run(listener: TcpListener, world: World, mut stop: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(serve(stream, world.clone(), stop.clone()));
                }
            }
            Some(_) = connections.join_next() => {}
            () = stopped(&mut stop) => break,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Ends when the simulator is stopped, or when nobody is left to stop it.
pub(super) async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _gone = stop.wait_for(|stop| *stop).await;
}

async fn serve(stream: TcpStream, world: World, mut stop: watch::Receiver<bool>) {
    let _best_effort = stream.set_nodelay(true);
    let stop_too = stop.clone();
    let service = service_fn(move |request| answer(request, world.clone(), stop_too.clone()));
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopped(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    // A client that goes away, or a connection that was dropped on purpose, is nobody's business here.
    drop(ended);
}

async fn answer(
    request: hyper::Request<Incoming>,
    world: World,
    stop: watch::Receiver<bool>,
) -> Result<hyper::Response<Full<Bytes>>, Dropped> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, BODY_BYTES_MAX).collect().await.map_err(|_| Dropped)?.to_bytes();
    let authorization = head.headers.get(http::header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let request = Request {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        authorization: authorization.map(str::to_owned),
        body,
    };
    let mut trouble = world.state(|state| state.faults.meet(&request));
    trouble.delay += world.state(|state| state.latency);
    respond(&world, &request, trouble, stop).await.map(into_http)
}

async fn respond(
    world: &World,
    request: &Request,
    trouble: Trouble,
    stop: watch::Receiver<bool>,
) -> Result<Answer, Dropped> {
    wait(world, trouble.delay, stop.clone()).await;
    let Some(kind) = trouble.then else { return Ok(world.handle(request)) };
    let refuse = |answer: Answer, acted| {
        world.log(request, Some(answer.status), acted);
        Ok(answer)
    };
    match kind {
        FaultKind::Error { status, body } => refuse(Answer::text(status, body), false),
        FaultKind::Oauth(error) => refuse(world.oauth_refusal(error, request), false),
        FaultKind::TooMany(kind) => refuse(world.too_many(kind, request), false),
        FaultKind::ErrorAfterActing { status, body } => {
            world.answer(request);
            refuse(Answer::text(status, body), true)
        }
        FaultKind::DropBefore => {
            world.log(request, None, false);
            Err(Dropped)
        }
        FaultKind::DropAfter => {
            world.answer(request);
            world.log(request, None, true);
            Err(Dropped)
        }
        FaultKind::Malformed => {
            let answer = world.handle(request);
            let half = answer.body.slice(..answer.body.len() / 2);
            Ok(Answer { body: if half.is_empty() { Bytes::from_static(b"{") } else { half }, ..answer })
        }
        FaultKind::Oversized(bytes) => Ok(Answer { body: vec![b' '; bytes].into(), ..world.handle(request) }),
        FaultKind::SlowAnswer(by) => {
            let answer = world.handle(request);
            wait(world, by, stop).await;
            Ok(answer)
        }
        FaultKind::Delay(by) => {
            wait(world, by, stop).await; // Delays are taken out before; one more does no harm.
            Ok(world.handle(request))
        }
    }
}

/// Waits on the world's clock, or until the simulator is stopped.
async fn wait(world: &World, by: Duration, mut stop: watch::Receiver<bool>) {
    if by.is_zero() {
        return;
    }
    tokio::select! {
        () = world.clock().sleep_until(world.now().plus(by)) => {}
        () = stopped(&mut stop) => {}
    }
}

fn into_http(answer: Answer) -> hyper::Response<Full<Bytes>> {
    let mut response = hyper::Response::new(Full::new(answer.body));
    *response.status_mut() =
        http::StatusCode::from_u16(answer.status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in answer.headers {
        if let (Ok(name), Ok(value)) = (http::HeaderName::try_from(name), http::HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
