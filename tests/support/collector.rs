//! A collector of OpenTelemetry that keeps what it is told, and a channel of Slack beside it that keeps what it is posted.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value},
    trace::v1::{Span, status::StatusCode},
};
use prost::Message;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// What a span said, its ids in hex.
#[derive(Debug, Clone)]
pub struct Seen {
    pub service: String,
    pub name: String,
    pub trace: String,
    pub span: String,
    pub parent: String,
    pub links: Vec<String>,
    pub facts: BTreeMap<String, String>,
    pub failed: bool,
}

/// Listens on a port of its own until the test's runtime ends.
#[derive(Clone)]
pub struct Collector {
    url: String,
    spans: Arc<Mutex<Vec<Seen>>>,
    posts: Arc<Mutex<Vec<String>>>,
    hangs: bool,
    /// How many posts to Slack are refused before one is taken.
    refusals: usize,
}

impl Collector {
    /// Answers everything; the first posts to Slack with 500.
    pub async fn start(refusals: usize) -> Self {
        Self::of(false, refusals).await
    }

    /// Takes requests and never answers.
    pub async fn that_hangs() -> Self {
        Self::of(true, 0).await
    }

    async fn of(hangs: bool, refusals: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let collector = Self { url, spans: Arc::default(), posts: Arc::default(), hangs, refusals };
        let serving = collector.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let serving = serving.clone();
                tokio::spawn(async move { serving.serve(stream).await });
            }
        });
        collector
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// The address of the channel.
    pub fn slack(&self) -> String {
        format!("{}/services/T0/B0/x", self.url)
    }

    pub fn spans(&self) -> Vec<Seen> {
        self.spans.lock().expect("no panic").clone()
    }

    /// The heads of the requests that posted to Slack.
    pub fn posts(&self) -> Vec<String> {
        self.posts.lock().expect("no panic").clone()
    }

    async fn serve(&self, mut stream: TcpStream) {
        let Some((head, body)) = read(&mut stream).await else { return };
        if self.hangs {
            return std::future::pending().await;
        }
        let answer = if head.starts_with("POST /v1/traces ") {
            self.keep(&body);
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        } else {
            let mut posts = self.posts.lock().expect("no panic");
            posts.push(head);
            if posts.len() <= self.refusals {
                "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            } else {
                "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"
            }
        };
        let _ = stream.write_all(answer.as_bytes()).await;
    }

    fn keep(&self, body: &[u8]) {
        let told = ExportTraceServiceRequest::decode(body).expect("it is told by http/protobuf");
        for of_resource in told.resource_spans {
            let facts = facts(&of_resource.resource.unwrap_or_default().attributes);
            let service = facts.get("service.name").cloned().unwrap_or_default();
            let spans = of_resource.scope_spans.into_iter().flat_map(|of_scope| of_scope.spans);
            self.spans.lock().expect("no panic").extend(spans.map(|span| seen(&service, span)));
        }
    }
}

fn seen(service: &str, span: Span) -> Seen {
    Seen {
        service: service.into(),
        trace: hex(&span.trace_id),
        span: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        links: span.links.iter().map(|link| hex(&link.span_id)).collect(),
        facts: facts(&span.attributes),
        failed: span.status.is_some_and(|status| status.code == StatusCode::Error as i32),
        name: span.name,
    }
}

fn facts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: &KeyValue| match value.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(any_value::Value::StringValue(text)) => text.clone(),
        Some(any_value::Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    attributes.iter().map(|value| (value.key.clone(), text(value))).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

/// One request: its head, in lower case but for the first line, and its body.
async fn read(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
            let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            let body = bytes.split_off(end + 4);
            let mut body = body;
            while body.len() < length.unwrap_or(0) {
                match stream.read(&mut chunk).await {
                    Ok(0) | Err(_) => return None,
                    Ok(read) => body.extend_from_slice(&chunk[..read]),
                }
            }
            return Some((head, body));
        }
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return None,
            Ok(read) => bytes.extend_from_slice(&chunk[..read]),
        }
    }
}
