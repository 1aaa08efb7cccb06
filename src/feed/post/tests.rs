//! Against small servers on loopback.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::*;

/// 2026-11-20T12:00:00Z
const NOON: Timestamp = Timestamp::from_secs(1_795_176_000);

/// Takes one request and answers it; gives what it read.
async fn once(answer: impl Into<Vec<u8>>) -> (u16, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, answer) = (listener.local_addr().unwrap().port(), answer.into());
    let served = tokio::spawn(async move {
        let mut stream = listener.accept().await.unwrap().0;
        let request = read(&mut stream).await;
        // Whoever has read enough hangs up.
        let _cut = stream.write_all(&answer).await;
        request
    });
    (port, served)
}

async fn read(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    while !request.ends_with(b"the body") {
        let mut chunk = [0; 1024];
        let length = stream.read(&mut chunk).await.unwrap();
        assert_ne!(length, 0, "cut off");
        request.extend_from_slice(&chunk[..length]);
    }
    String::from_utf8(request).unwrap()
}

async fn post(poster: &Poster, url: &str) -> Result<Answered, PostError> {
    let mut headers = HeaderMap::new();
    headers.insert("webhook-id", "msg-1".parse().unwrap());
    poster.post(url, headers, b"the body".to_vec(), NOON).await
}

#[tokio::test]
async fn a_post_arrives_with_its_headers_and_body_and_the_answer_comes_back() {
    let (port, served) = once("HTTP/1.1 503 Busy\r\nretry-after: 90\r\ncontent-length: 9\r\n\r\nlater\n\u{1}on").await;
    let answered = post(&Poster::new(true), &format!("http://127.0.0.1:{port}/in?key=1")).await.unwrap();
    let request = served.await.unwrap();
    assert!(request.starts_with("POST /in?key=1 HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("webhook-id: msg-1\r\n") && request.contains("content-length: 8\r\n"), "{request}");
    assert_eq!(answered.retry_after, Some(NOON.plus(Duration::from_secs(90))));
    assert_eq!((answered.to_string().as_str(), answered.is_success()), ("503: later on", false));
}

#[tokio::test]
async fn a_name_is_resolved_and_the_connection_goes_to_an_address_that_was_checked() {
    let (port, served) = once("HTTP/1.1 204 Taken\r\n\r\n").await;
    let answered = post(&Poster::new(true), &format!("http://localhost:{port}/")).await.unwrap();
    assert!(served.await.unwrap().contains(&format!("host: localhost:{port}\r\n")));
    assert_eq!((answered.to_string().as_str(), answered.is_success()), ("204", true));
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = format!("http://{}/stolen", elsewhere.local_addr().unwrap());
    for status in ["301", "302", "303", "307", "308"] {
        let (port, served) =
            once(format!("HTTP/1.1 {status} There\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n")).await;
        let answered = post(&Poster::new(true), &format!("http://127.0.0.1:{port}/")).await.unwrap();
        served.await.unwrap();
        assert_eq!(answered.to_string(), format!("{status}, a redirect to {to}, which is not followed"));
        assert!(!answered.is_success());
    }
    // Whoever had followed it would wait in the queue of that listener.
    let next = tokio::select! { biased; _ = elsewhere.accept() => true, () = std::future::ready(()) => false };
    assert!(!next, "somebody followed a redirect");
}

#[tokio::test]
async fn private_addresses_are_refused_before_anybody_connects_unless_they_are_allowed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    for host in ["127.0.0.1", "[::ffff:127.0.0.1]", "localhost", "0x7f.1", "2130706433"] {
        let error = post(&Poster::new(false), &format!("https://{host}:{port}/")).await.unwrap_err();
        assert!(matches!(error, PostError::Private { .. }), "{host}: {error:?}");
        assert!(error.to_string().contains("allow_private = true"), "{error}");
    }
    for host in ["169.254.169.254", "[fe80::1]", "0.0.0.0", "[::]"] {
        let error = post(&Poster::new(true), &format!("http://{host}:{port}/")).await.unwrap_err();
        assert!(matches!(error, PostError::Nowhere { .. }), "{host}: {error:?}");
    }
    let error = post(&Poster::new(true), "http://8.8.8.8/").await.unwrap_err();
    assert_eq!(error.to_string(), "8.8.8.8 is at 8.8.8.8, which is not in a private network: use https");
    let next = tokio::select! { biased; _ = listener.accept() => true, () = std::future::ready(()) => false };
    assert!(!next, "somebody connected");
}

#[tokio::test]
async fn an_endless_answer_is_read_no_further_than_it_is_shown() {
    let (port, served) = once([b"HTTP/1.1 500 Oh\r\n\r\n".as_slice(), "é".repeat(3_000_000).as_bytes()].concat()).await;
    let answered = post(&Poster::new(true), &format!("http://127.0.0.1:{port}/")).await.unwrap();
    assert_eq!(answered.said, "é".repeat(SHOWN_CHARS_MAX));
    served.await.unwrap();
}

#[tokio::test]
async fn who_does_not_answer_in_time_or_hangs_up_gave_no_answer() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let poster = Poster::new(true).within(Duration::from_millis(20));
    let error = post(&poster, &format!("http://{}/", silent.local_addr().unwrap())).await.unwrap_err();
    assert_eq!(error.to_string(), "no answer: none within 20 ms");
    let (port, served) = once("").await;
    let url = format!("http://127.0.0.1:{port}/secret-path");
    let error = post(&Poster::new(true), &url).await.unwrap_err().to_string();
    assert!(error.starts_with("no answer: ") && !error.contains("secret-path"), "{error}");
    served.await.unwrap();
    let error = post(&Poster::new(true), &url).await.unwrap_err().to_string();
    assert!(error.contains("refused") && !error.contains("secret-path"), "{error}");
}

#[tokio::test]
async fn an_answer_counts_by_its_status_even_where_its_body_is_cut_off() {
    let (port, served) = once("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nfew").await;
    let answered = post(&Poster::new(true), &format!("http://127.0.0.1:{port}/")).await.unwrap();
    assert!(answered.is_success(), "{answered}");
    served.await.unwrap();
}

#[test]
fn a_url_that_nobody_should_post_to_is_told() {
    let told = |text: &str, plain| address(text, plain).map(|_| ()).map_err(|error| error.to_string());
    assert_eq!(told("https://x.example/in?key=1", false), Ok(()));
    assert_eq!(told("http://10.0.0.1/in", true), Ok(()));
    for (text, why) in [
        ("x.example", "it is not a URL"),
        ("https://", "it is not a URL"),
        ("http://x.example", "http is for private addresses alone: use https, or set allow_private = true"),
        ("ftp://x.example", "it begins with neither https:// nor http://"),
        ("https://me@x.example", "it holds a user name or a password"),
        ("https://:pw@x.example", "it holds a user name or a password"),
        ("https://x.example/#in", "it has a # in it, and what follows one is never sent"),
        (&format!("https://x.example/{}", "x".repeat(URL_BYTES_MAX)), "it is longer than 2000 bytes"),
    ] {
        assert_eq!(told(text, false), Err(why.to_owned()), "{text}");
    }
}
