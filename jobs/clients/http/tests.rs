//! Every way in which a call can fail, against a server that does exactly one thing.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use engine::Category;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::*;

/// A server that gives each connection the next of its answers, and closes it; an empty one closes at once, and after the
/// last it never answers.
struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn answers(answers: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let requests = Arc::new(Mutex::new(Vec::new()));
        let answers: Vec<String> = answers.iter().map(ToString::to_string).collect();
        let seen = Arc::clone(&requests);
        tokio::spawn(async move {
            let mut answers = answers.into_iter();
            loop {
                let (mut stream, _) = listener.accept().await.expect("a connection");
                let request = read(&mut stream).await;
                seen.lock().expect("no panic").push(request);
                match answers.next() {
                    Some(answer) => stream.write_all(answer.as_bytes()).await.expect("it is read"),
                    None => std::future::pending().await,
                }
            }
        });
        Self { address, requests }
    }

    fn target(&self) -> Target {
        Target::new("Vendor", &format!("http://{}/v1", self.address)).expect("a target")
    }

    fn client(&self) -> Client {
        Client::new(self.target(), ["hush-hush".into()]).expect("a client")
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().expect("no panic").clone()
    }
}

async fn read(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ").map(str::to_owned));
            if body.len() >= length.map_or(0, |length| length.parse().expect("a number")) {
                return text;
            }
        }
        let mut chunk = [0; 4096];
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return text,
            Ok(length) => bytes.extend_from_slice(&chunk[..length]),
        }
    }
}

fn call() -> Call {
    Call::new(Method::Post, ["send", "ann+x@example.com"])
        .json(&json!({ "to": "ann+x@example.com" }))
        .expect("it serialises")
        .bearer("hush-hush")
        .idempotency_key("k1")
}

fn answer(head: &str, body: &str) -> String {
    format!("HTTP/1.1 {head}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

async fn fails(answers: &[&str], call: Call) -> CallError {
    let server = Server::answers(answers).await;
    server.client().send(&call).await.expect_err("the call fails")
}

#[tokio::test]
async fn what_is_asked_arrives_and_the_answer_comes_back() {
    let server = Server::answers(&[&answer("200 OK", r#"{"delivery_id":"d1"}"#)]).await;
    let answered = server.client().send(&call().query("a", "b c")).await.expect("it is answered");
    assert_eq!(answered.json::<serde_json::Value>().expect("JSON"), json!({ "delivery_id": "d1" }));
    let request = &server.requests()[0];
    assert!(request.starts_with("POST /v1/send/ann+x@example.com?a=b+c HTTP/1.1\r\n"), "{request}");
    for header in ["authorization: Bearer hush-hush", "content-type: application/json", "idempotency-key: k1", "user-agent: rawops/"] {
        assert!(request.contains(header), "{header}: {request}");
    }
    assert!(request.ends_with(r#"{"to":"ann+x@example.com"}"#), "{request}");
}

#[tokio::test]
async fn a_refused_connection_sent_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let target = Target::new("Vendor", &format!("http://{}", listener.local_addr().expect("bound"))).expect("a target");
    drop(listener);
    let error = Client::new(target, []).expect("a client").send(&call()).await.expect_err("nobody listens");
    assert_eq!((error.reached, error.category), (Reached::Nothing, Category::Network));
}

#[tokio::test]
async fn a_name_that_does_not_exist_sent_nothing() {
    let target = Target::new("Vendor", "https://no-such-host.invalid").expect("a target");
    let error = Client::new(target, []).expect("a client").send(&call()).await.expect_err("nobody is there");
    assert_eq!((error.reached, error.category), (Reached::Nothing, Category::Network));
}

#[tokio::test]
async fn a_server_without_tls_is_sent_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let target = Target::new("Vendor", &format!("https://{}", listener.local_addr().expect("bound"))).expect("a target");
    let client = Client::new(target, []).expect("a client");
    let talk = async {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut hello = [0; 4096];
        let length = stream.read(&mut hello).await.expect("it begins the handshake");
        stream.write_all(answer("200 OK", "").as_bytes()).await.expect("it is read");
        String::from_utf8_lossy(&hello[..length]).into_owned()
    };
    let asked = call();
    let (sent, heard) = tokio::join!(client.send(&asked), talk);
    let error = sent.expect_err("no handshake");
    assert_eq!((error.reached, error.category), (Reached::Nothing, Category::Network));
    assert!(!heard.contains("hush-hush") && !heard.contains("POST"), "{heard}");
}

#[tokio::test]
async fn a_connection_that_ends_without_a_whole_answer_leaves_the_outcome_unknown() {
    for broken in ["", "garbage\r\n\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n{\"delivery"] {
        let error = fails(&[broken], call()).await;
        assert_eq!((error.reached, error.category), (Reached::Unknown, Category::Network), "{broken:?}");
        assert!(!error.did_nothing());
    }
}

#[tokio::test]
async fn silence_is_a_timeout_of_unknown_outcome() {
    let error = fails(&[], call().timeout(Duration::from_millis(50))).await;
    assert_eq!((error.reached, error.category), (Reached::Unknown, Category::Timeout));
}

#[tokio::test]
async fn a_refusal_is_told_in_its_words_without_secrets_or_addresses() {
    let body = r#"{"meta":{"error":"no customer ann+x@example.com for key hush-hush"}}"#;
    let error = fails(&[&answer("400 Bad Request", body)], call()).await;
    assert_eq!((error.reached, error.category), (Reached::Answered(400), Category::Validation));
    assert_eq!(error.to_string(), r#"Vendor: answered 400: {"meta":{"error":"no customer ‹email› for key ‹secret›"}}"#);
}

#[tokio::test]
async fn no_error_names_the_address_that_was_called() {
    for answers in [&[][..], &[""], &["garbage\r\n\r\n"]] {
        let words = fails(answers, call().timeout(Duration::from_millis(50))).await.to_string();
        assert!(!words.contains("example") && !words.contains("hush") && !words.contains("127.0.0.1"), "{words}");
    }
}

#[tokio::test]
async fn a_wish_to_wait_is_kept() {
    let error = fails(&[&answer("429 Too Many Requests\r\nretry-after: 7", "slow down")], call()).await;
    assert_eq!((error.category, error.retry_after), (Category::RateLimited, Some(Duration::from_secs(7))));
    assert!(error.did_nothing());
}

#[tokio::test]
async fn the_trace_goes_along_with_what_systems_on_the_way_have_noted() {
    let header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let server = Server::answers(&[&answer("200 OK", "{}")]).await;
    let trace_parent = format!("{header} rojo=1,congo=2").parse().ok();
    server.client().send(&Call { trace_parent, ..call() }).await.expect("it answers");
    let request = &server.requests()[0];
    assert!(request.contains(&format!("traceparent: {header}\r\n")), "{request}");
    assert!(request.contains("tracestate: rojo=1,congo=2\r\n"), "{request}");
}

#[tokio::test]
async fn a_redirect_to_the_other_region_is_followed_with_body_and_credentials() {
    let other = Server::answers(&[&answer("200 OK", "{}")]).await;
    for status in [301, 302, 307, 308] {
        let other = if status == 301 { &other } else { &Server::answers(&[&answer("200 OK", "{}")]).await };
        let location = format!("{status} Moved\r\nlocation: http://{}/v1/elsewhere", other.address);
        let server = Server::answers(&[&answer(&location, "")]).await;
        let target = server.target().origin(format!("http://{}", other.address));
        Client::new(target, []).expect("a client").send(&call()).await.expect("the other region answers");
        let request = &other.requests()[0];
        assert!(request.starts_with("POST /v1/elsewhere "), "{status}: {request}");
        assert!(request.contains("authorization: Bearer hush-hush") && request.ends_with('}'), "{status}: {request}");
    }
}

#[tokio::test]
async fn a_redirect_to_a_stranger_is_refused_and_tells_the_stranger_nothing() {
    let stranger = Server::answers(&[&answer("200 OK", "{}")]).await;
    let error = fails(&[&answer(&format!("302 Found\r\nlocation: http://{}/", stranger.address), "")], call()).await;
    assert_eq!((error.reached, error.category), (Reached::Answered(302), Category::Validation));
    assert!(error.message.contains("127.0.0.1, which is not among its hosts"), "{error}");
    assert!(stranger.requests().is_empty());
}

#[tokio::test]
async fn redirects_end() {
    let again = answer("307 Again\r\nlocation: /v1/again", "");
    let server = Server::answers(&[again.as_str(); 8]).await;
    let error = server.client().send(&call()).await.expect_err("it goes round");
    assert_eq!((error.category, server.requests().len()), (Category::Upstream, 4));
    let error = fails(&[&answer("302 Found", "")], call()).await;
    assert_eq!(error.message, "redirected to no address");
}

#[tokio::test]
async fn an_answer_beyond_the_limit_is_not_read_to_its_end() {
    let error = fails(&[&answer("200 OK", &"x".repeat(3000))], call().answer_limit(1000)).await;
    assert_eq!((error.reached, error.category), (Reached::Unknown, Category::Upstream));
    assert_eq!(error.message, "answered 200 OK with more than 1000 bytes");
}
