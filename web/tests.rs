//! The router without a database: what is refused, and how.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Request, Response, header};
use base64::Engine;
use hmac::{Hmac, KeyInit, Mac};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tower::ServiceExt;

use super::*;

const SECRET: &str = "hush";
const SHOP: &str = "raw.myshopify.com";

/// A router whose database does not exist: what is refused never asks for it.
fn app() -> Router {
    let config = Config {
        bind: ([127, 0, 0, 1], 0).into(),
        shopify_secret: Secret::new(SECRET),
        shopify_secret_previous: None,
        shop_domain: SHOP.into(),
        customerio: Keys::default(),
        seal: Keys::default(),
        courier: Keys::default(),
        packer: Keys::default(),
    };
    let nowhere = PgConnectOptions::new().host("127.0.0.1").port(1).username("nobody");
    let pool = PgPoolOptions::new().acquire_timeout(Duration::from_millis(200)).connect_lazy_with(nowhere);
    router(AppState::new(&config, pool))
}

fn signature(body: &[u8]) -> String {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).expect("any key length");
    mac.update(body);
    base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes())
}

/// A delivery that would be accepted, as headers to change one of.
fn delivery(body: &str) -> Vec<(&'static str, String)> {
    vec![
        ("content-type", "application/json".into()),
        ("x-shopify-topic", "orders/create".into()),
        ("x-shopify-shop-domain", SHOP.into()),
        ("x-shopify-webhook-id", "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043".into()),
        ("x-shopify-hmac-sha256", signature(body.as_bytes())),
    ]
}

fn without(name: &str, headers: Vec<(&'static str, String)>) -> Vec<(&'static str, String)> {
    headers.into_iter().filter(|(known, _)| *known != name).collect()
}

async fn post(headers: Vec<(&'static str, String)>, body: impl Into<Body>) -> Response<Body> {
    let mut request = Request::post(webhooks::shopify::PATH);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let request = request.body(body.into()).expect("the request is well formed");
    app().oneshot(request).await.expect("a router answers")
}

async fn text(response: Response<Body>) -> String {
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await;
    String::from_utf8(bytes.expect("the body is complete").into()).expect("the body is text")
}

async fn get_status_and_text(path: &str) -> (StatusCode, String) {
    let request = Request::get(path).body(Body::empty()).expect("the request is well formed");
    let response = app().oneshot(request).await.expect("a router answers");
    (response.status(), text(response).await)
}

#[tokio::test]
async fn a_wrong_signature_is_answered_with_401_and_nothing_else() {
    let mut headers = delivery("{}");
    headers[4].1 = signature(b"{ }");
    let response = post(headers, "{}").await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(text(response).await, "");
}

#[tokio::test]
async fn without_a_key_for_them_no_reports_are_taken() {
    let request = Request::post(webhooks::customerio::PATH).header("content-type", "application/json").body(Body::from("{}"));
    let response = app().oneshot(request.expect("the request is well formed")).await.expect("a router answers");
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn there_is_exactly_one_signature() {
    let none = without("x-shopify-hmac-sha256", delivery("{}"));
    assert_eq!(post(none, "{}").await.status(), StatusCode::UNAUTHORIZED);
    let mut twice = delivery("{}");
    twice.push(("x-shopify-hmac-sha256", signature(b"{}")));
    assert_eq!(post(twice, "{}").await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn another_shop_is_refused_although_the_signature_holds() {
    let mut headers = without("x-shopify-shop-domain", delivery("{}"));
    assert_eq!(post(headers.clone(), "{}").await.status(), StatusCode::UNAUTHORIZED);
    headers.push(("x-shopify-shop-domain", "other.myshopify.com".into()));
    assert_eq!(post(headers, "{}").await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_by_its_declared_length() {
    let mut headers = delivery("{}");
    headers.push(("content-length", (1_048_577).to_string()));
    assert_eq!(post(headers, "{}").await.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_by_counting_when_it_declares_nothing() {
    let chunks = (0..17).map(|_| Ok::<_, std::io::Error>(vec![b' '; 65_536]));
    let body = Body::from_stream(futures_util::stream::iter(chunks));
    assert_eq!(post(delivery("{}"), body).await.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_body_of_exactly_the_limit_is_read() {
    let body = " ".repeat(webhooks::body::LIMIT_BYTES);
    let response = post(delivery("{}"), body).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn encoded_bodies_are_refused() {
    for (encoding, expected) in [("gzip", 415), ("identity, gzip", 415), ("Identity", 503)] {
        let mut headers = delivery("{}");
        headers.push(("content-encoding", encoding.into()));
        assert_eq!(post(headers, "{}").await.status(), expected, "{encoding}");
    }
}

#[tokio::test]
async fn only_json_is_taken() {
    let cases = [
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("application/jsonp", 415),
        ("", 415),
        ("application/json; charset=utf-8", 503),
        ("Application/JSON", 503),
    ];
    for (kind, expected) in cases {
        let mut headers = without("content-type", delivery("{}"));
        headers.push(("content-type", kind.into()));
        assert_eq!(post(headers, "{}").await.status(), expected, "{kind}");
    }
    let none = without("content-type", delivery("{}"));
    assert_eq!(post(none, "{}").await.status(), 415);
}

#[tokio::test]
async fn size_and_kind_are_judged_before_the_signature() {
    let mut headers = without("x-shopify-hmac-sha256", delivery("{}"));
    headers.push(("content-length", "99999999".into()));
    assert_eq!(post(headers, "{}").await.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_a_bad_request() {
    let chunks = [Ok(b"{".to_vec()), Err(std::io::Error::other("reset"))];
    let body = Body::from_stream(futures_util::stream::iter(chunks));
    assert_eq!(post(delivery("{}"), body).await.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn without_a_database_the_sender_is_asked_to_try_again() {
    let response = post(delivery("{}"), "{}").await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    let retry_after = response.headers().get(header::RETRY_AFTER);
    assert_eq!(retry_after.map(HeaderValue::as_bytes), Some(&b"10"[..]));
    assert_eq!(text(response).await, "");
}

#[tokio::test]
async fn an_unknown_path_looks_like_a_refusal() {
    assert_eq!(get_status_and_text("/").await, (StatusCode::NOT_FOUND, String::new()));
    let (status, shown) = get_status_and_text(webhooks::shopify::PATH).await;
    assert_eq!((status, shown.as_str()), (StatusCode::METHOD_NOT_ALLOWED, ""));
}

#[tokio::test]
async fn it_is_alive_but_not_ready_without_a_database() {
    assert_eq!(get_status_and_text("/healthz").await.0, StatusCode::OK);
    let (status, shown) = get_status_and_text("/readyz").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(shown.contains("database"), "{shown}");
}

#[tokio::test]
async fn deliveries_are_counted_by_what_became_of_them() {
    let app = app();
    for signed in [true, false] {
        let mut request = Request::post(webhooks::shopify::PATH);
        for (name, value) in delivery(if signed { "{}" } else { "[]" }) {
            request = request.header(name, value);
        }
        let request = request.body(Body::from("{}")).expect("the request is well formed");
        app.clone().oneshot(request).await.expect("a router answers");
    }
    let request = Request::get("/metrics").body(Body::empty()).expect("the request is well formed");
    let shown = text(app.oneshot(request).await.expect("a router answers")).await;
    assert!(shown.contains("rawops_shopify_webhooks_total{result=\"unsigned\"} 1\n"), "{shown}");
    assert!(shown.contains("rawops_shopify_webhooks_total{result=\"unavailable\"} 1\n"), "{shown}");
}
