//! Whole requests of webhooks, from the first header to the decision. The database of this process is away, so what is taken is
//! answered with 503 instead of 200.

use std::{
    cell::OnceCell,
    time::{Duration, SystemTime},
};

use axum::{
    Router,
    body::Body,
    http::{HeaderName, HeaderValue, Request},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::runtime::Runtime;
use tower::ServiceExt;
use web::{AppState, Config, Keys, Secret, webhooks};

use super::signatures::{digest, hex};
use crate::{Seen, Target, Verdict, input::parts, promise};

/// A source with headers, a line each, in which `{now}`, `{base64}` and `{hex}` stand for what is right; a body; and the body
/// that was signed, where that is another.
pub const DECISION: Target = Target {
    name: "webhook_request",
    promise: "a webhook is taken if, and only if, it is of our shop, dated now and signed byte for byte; no request meets a failure of ours",
    words: &[
        "content-type: application/json",
        "content-type: text/csv",
        "x-shopify-hmac-sha256: {base64}",
        "x-shopify-shop-domain: raw.myshopify.com",
        "x-seal-hmac-sha256: {base64}",
        "x-rawops-timestamp: {now}",
        "x-rawops-signature: {hex}",
        "x-cio-timestamp: {now}",
        "x-cio-signature: {hex}",
        "content-encoding: gzip",
        "content-encoding: identity",
        "content-length: 5",
        "\n",
        "; charset=utf-8",
        "shopify",
        "seal",
        "courier",
        "packer",
        "customerio",
        "x-shopify-topic: orders/create",
        "traceparent: 00-x",
        " ",
    ],
    check,
};

const KEY: &str = "hush";
const SHOP: &str = "raw.myshopify.com";

thread_local! {
    static PROCESS: OnceCell<(Runtime, Router)> = const { OnceCell::new() };
}

fn process() -> (Runtime, Router) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be built");
    let keys = || Keys { current: Some(Secret::new(KEY)), previous: None };
    let config = Config {
        bind: ([127, 0, 0, 1], 0).into(),
        shopify_secret: Secret::new(KEY),
        shopify_secret_previous: None,
        shop_domain: SHOP.into(),
        customerio: keys(),
        seal: keys(),
        courier: keys(),
        packer: keys(),
    };
    let nowhere = PgConnectOptions::new().host("127.0.0.1").port(1).username("nobody");
    let entered = runtime.enter();
    let pool = PgPoolOptions::new().acquire_timeout(Duration::from_millis(1)).connect_lazy_with(nowhere);
    let router = web::router(AppState::new(&config, pool));
    drop(entered);
    (runtime, router)
}

/// A request as it is sent.
struct Sent {
    source: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Vec<u8>,
}

impl Sent {
    /// The values of a header.
    fn values(&self, name: &str) -> Vec<&[u8]> {
        self.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_bytes()).collect()
    }

    fn path(&self) -> Option<&'static str> {
        Some(match self.source.as_str() {
            "shopify" => webhooks::shopify::PATH,
            "seal" => webhooks::seal::PATH,
            "courier" => webhooks::courier::PATH,
            "packer" => webhooks::packer::PATH,
            "customerio" => webhooks::customerio::PATH,
            _ => return None,
        })
    }

    /// Whether it is signed as its source signs, and dated now.
    fn is_signed(&self, now: u64) -> bool {
        let (signature, timestamp) = match self.source.as_str() {
            "shopify" => ("x-shopify-hmac-sha256", None),
            "seal" => ("x-seal-hmac-sha256", None),
            "customerio" => ("x-cio-signature", Some("x-cio-timestamp")),
            _ => ("x-rawops-signature", Some("x-rawops-timestamp")),
        };
        let [signature] = self.values(signature)[..] else { return false };
        let Some(timestamp) = timestamp else {
            return signature == STANDARD.encode(digest(KEY, &self.body)).as_bytes();
        };
        let [timestamp] = self.values(timestamp)[..] else { return false };
        let signed = [b"v0:", timestamp, b":", &self.body].concat();
        let at = std::str::from_utf8(timestamp).ok().and_then(|text| text.parse::<i64>().ok());
        // Customer.io may come again after an hour.
        let late = if self.source == "customerio" { 7_200 } else { 300 };
        let is_recent = at.is_some_and(|at| (-300..=late).contains(&(now as i64).saturating_sub(at)));
        is_recent && signature.eq_ignore_ascii_case(hex(&digest(KEY, &signed)).as_bytes())
    }

    fn is_of_our_shop(&self) -> bool {
        let shop = self.values("x-shopify-shop-domain").first().map(|value| value.trim_ascii().to_ascii_lowercase());
        self.source != "shopify" || shop.as_deref() == Some(SHOP.as_bytes())
    }
}

fn check(input: &[u8]) -> Verdict {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let Some(sent) = read(input, now) else { return Ok(Seen::refused("no request")) };
    let Some(path) = sent.path() else { return Ok(Seen::refused("no source")) };
    let mut request = Request::post(path).body(Body::from(sent.body.clone())).map_err(|error| error.to_string())?;
    for (name, value) in &sent.headers {
        request.headers_mut().append(name, value.clone());
    }
    let status = PROCESS.with(|process| {
        let (runtime, router) = process.get_or_init(self::process);
        let response = runtime.block_on(router.clone().oneshot(request));
        response.map_or(500, |response| response.status().as_u16())
    });
    let is_right = sent.is_signed(now) && sent.is_of_our_shop();
    match status {
        // The body was not read, so nobody asked who had signed it.
        400 | 413 | 415 => Ok(Seen::refused(&format!("{} {status}", sent.source))),
        401 => {
            promise(!is_right, || "it is signed and ours, and was refused".into())?;
            Ok(Seen::refused(&format!("{} unsigned", sent.source)))
        }
        // What is signed by Customer.io and cannot be used is told in the log, for all later ones wait for it.
        200 | 503 if status == 503 || sent.source == "customerio" => {
            promise(is_right, || format!("it was taken and is not signed: {} {:?}", sent.source, sent.headers))?;
            Ok(Seen::taken(format_args!("{} {status}", sent.source)))
        }
        _ => Err(format!("{} was answered {status}", sent.source)),
    }
}

fn read(input: &[u8], now: u64) -> Option<Sent> {
    let [head, body, signed] = parts(input);
    let head = String::from_utf8_lossy(head);
    let mut lines = head.lines();
    let source = lines.next()?.trim().to_owned();
    let signed = if signed.is_empty() { body } else { signed };
    let dated = [format!("v0:{now}:").as_bytes(), signed].concat();
    let headers = lines.map(|line| {
        let (name, value) = line.split_once(':')?;
        let value = value
            .trim()
            .replace("{now}", &now.to_string())
            .replace("{base64}", &STANDARD.encode(digest(KEY, signed)))
            .replace("{hex}", &hex(&digest(KEY, &dated)));
        Some((HeaderName::from_bytes(name.trim().as_bytes()).ok()?, HeaderValue::from_str(&value).ok()?))
    });
    Some(Sent { source, headers: headers.collect::<Option<_>>()?, body: body.to_vec() })
}
