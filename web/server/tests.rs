//! Connections that are slow, silent, too many or in the way of an ending.

use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::*;

const REQUEST: &[u8] = b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n";

const SHORT: Limits = Limits { head_timeout: Duration::from_millis(100), drain_timeout: Duration::from_secs(5), ..Limits::PRODUCTION };

struct Server {
    address: SocketAddr,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

async fn start(limits: Limits, router: Router) -> Server {
    let listener = bind(([127, 0, 0, 1], 0).into()).await.expect("a free port");
    let address = listener.local_addr().expect("a bound socket has an address");
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(run_within(limits, listener, router, shutdown.clone()));
    Server { address, shutdown, task }
}

fn healthy() -> Router {
    Router::new().route("/healthz", get(async || "ok"))
}

impl Server {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("the server accepts")
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.expect("the server ends");
    }
}

/// Everything up to the end of the connection, which must come soon.
async fn until_closed(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let read = stream.read_to_end(&mut text);
    let read = tokio::time::timeout(Duration::from_secs(4), read).await;
    assert!(read.is_ok(), "the connection stays open");
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test]
async fn a_slow_head_is_cut() {
    let server = start(SHORT, healthy()).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /healthz HTT").await.expect("the head begins");
    assert!(!until_closed(&mut stream).await.contains("200"));
    server.stop().await;
}

#[tokio::test]
async fn a_silent_connection_is_cut_before_and_after_a_request() {
    let server = start(SHORT, healthy()).await;
    let mut silent = server.connect().await;
    assert_eq!(until_closed(&mut silent).await, "");
    let mut idle = server.connect().await;
    idle.write_all(REQUEST).await.expect("a request goes out");
    assert!(until_closed(&mut idle).await.starts_with("HTTP/1.1 200"));
    server.stop().await;
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let server = start(Limits::PRODUCTION, healthy()).await;
    let many = "a: b\r\n".repeat(200);
    let long = format!("a: {}\r\n", "b".repeat(100_000));
    for headers in [many, long] {
        let mut stream = server.connect().await;
        let head = format!("GET /healthz HTTP/1.1\r\nhost: a\r\n{headers}\r\n");
        // The server may answer and close before it has read everything.
        _ = stream.write_all(head.as_bytes()).await;
        let mut status = [0; 12];
        stream.read_exact(&mut status).await.expect("an answer");
        assert_eq!(&status, b"HTTP/1.1 431");
    }
    server.stop().await;
}

#[tokio::test]
async fn connections_over_the_limit_wait_for_a_place() {
    let limits = Limits { connections: 1, ..SHORT };
    let server = start(limits, healthy()).await;
    let mut first = server.connect().await;
    let mut second = server.connect().await;
    second.write_all(REQUEST).await.expect("a request goes out");
    assert_eq!(until_closed(&mut first).await, "");
    assert!(until_closed(&mut second).await.starts_with("HTTP/1.1 200"));
    server.stop().await;
}

#[tokio::test]
async fn who_reads_no_answers_does_not_keep_a_place() {
    let limits = Limits { connections: 1, unread_timeout: Duration::from_millis(300), ..SHORT };
    let router = Router::new().route("/healthz", get(async || "x".repeat(1 << 20)));
    let server = start(limits, router).await;
    let mut deaf = server.connect().await;
    deaf.write_all(&REQUEST.repeat(64)).await.expect("requests go out");
    let mut other = server.connect().await;
    other.write_all(REQUEST).await.expect("a request goes out");
    let mut status = [0; 12];
    let read = tokio::time::timeout(Duration::from_secs(30), other.read_exact(&mut status)).await;
    assert!(read.is_ok_and(|read| read.is_ok()), "the place stays taken");
    assert_eq!(&status, b"HTTP/1.1 200");
    drop(deaf);
    server.stop().await;
}

#[tokio::test]
async fn a_request_in_progress_is_answered_before_the_server_ends() {
    let (arrived, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (at, go) = (Arc::clone(&arrived), Arc::clone(&release));
    let router = Router::new().route(
        "/healthz",
        get(async move || {
            at.notify_one();
            go.notified().await;
            "finished"
        }),
    );
    let server = start(Limits::PRODUCTION, router).await;
    let mut stream = server.connect().await;
    stream.write_all(REQUEST).await.expect("a request goes out");
    arrived.notified().await;
    server.shutdown.cancel();
    release.notify_one();
    assert!(until_closed(&mut stream).await.ends_with("finished"));
    server.stop().await;
}

/// A connection answers a second request, or says with the first answer that it ends.
#[tokio::test]
async fn what_a_handler_leaves_unread_does_not_end_a_connection_without_a_word() {
    let router = healthy().layer(axum::middleware::from_fn(crate::unread::finish));
    let server = start(Limits::PRODUCTION, router).await;
    for (bytes, stays) in [(0, true), (1, true), (1_000_000, true), (2_800_000, false)] {
        let mut stream = server.connect().await;
        let head = format!("GET /healthz HTTP/1.1\r\nhost: a\r\ncontent-length: {bytes}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.expect("a head goes out");
        // The server may have answered and closed before it has all.
        _ = stream.write_all(&vec![b' '; bytes]).await;
        _ = stream.write_all(REQUEST).await;
        let mut answers = String::new();
        while answers.matches("ok").count() < if stays { 2 } else { 1 } {
            let mut some = [0; 1024];
            let read = stream.read(&mut some).await.expect("an answer");
            assert_ne!(read, 0, "{bytes} bytes: the connection ended after {answers}");
            answers += &String::from_utf8_lossy(&some[..read]);
        }
        assert_eq!(answers.contains("connection: close"), !stays, "{bytes} bytes: {answers}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_taken_port_is_explained_in_one_sentence() {
    let taken = bind(([127, 0, 0, 1], 0).into()).await.expect("a free port");
    let address = taken.local_addr().expect("a bound socket has an address");
    let error = bind(address).await.expect_err("the port is taken");
    let expected =
        format!("port {} of 127.0.0.1 is taken by another process: stop that process, or set PORT or BIND to a free one", address.port());
    assert_eq!(error.to_string(), expected);
}
