//! The producers' API over HTTP.

mod dead_letters;
mod document;
mod events;
mod jobs;
mod openapi;
mod requests;
mod tokens;
mod trace;
mod why;

use document::Document;
use reqwest::{Method, RequestBuilder, header::HeaderMap};
use serde_json::Value;
use web::api::{Scope, tokens as store};

use crate::webhooks::edge::Edge;

/// A web process and a token for it.
pub struct Api {
    pub edge: Edge,
    token: String,
}

impl Api {
    pub async fn start(scopes: &[Scope]) -> Self {
        let edge = Edge::start().await;
        let token = store::create(edge.pool(), "test", scopes, "ada", None).await.expect("a token");
        Self { edge, token }
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        reqwest::Client::new().request(method, self.edge.url(path)).bearer_auth(&self.token)
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        answer(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        answer(self.request(Method::POST, path).json(body)).await
    }
}

/// What a request was answered.
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
}

/// The status and the body, which is JSON whatever happened.
pub async fn answer(request: RequestBuilder) -> (u16, Value) {
    let answer = whole_answer(request).await;
    (answer.status, answer.body)
}

/// The same with the headers. Whatever any test is answered is as the server describes it.
pub async fn whole_answer(request: RequestBuilder) -> Answer {
    let (client, request) = request.build_split();
    let request = request.expect("a request");
    let (method, url) = (request.method().clone(), request.url().clone());
    let response = client.execute(request).await.expect("the process answers");
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let answer = Answer { status, headers, body: response.json().await.expect("JSON") };
    Document::of(&url).await.check(&method, url.path(), &answer);
    answer
}

/// The sentence of a refusal with this status.
pub fn refusal((status, body): (u16, Value), expected: u16) -> String {
    assert_eq!((status, &body["status"]), (expected, &expected.into()), "{body}");
    body["detail"].as_str().unwrap_or_else(|| panic!("{body}")).to_string()
}
