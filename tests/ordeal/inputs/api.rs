//! The producers' API with requests that are a little wrong, or very: each is answered with a status and a sentence, none
//! with the server's own failure, and what was answered with 201 is there.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use rand::{RngExt, rngs::StdRng, seq::IndexedRandom};
use sqlx::postgres::PgPoolOptions;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use web::api::{Scope, tokens};

use super::{Counts, Wrong, text};
use crate::{
    chance::{Purpose, stream},
    process::child,
    server::Server,
};

const PATHS: [&str; 17] = [
    "/v1/jobs",
    "/v1/jobs",
    "/v1/jobs",
    "/v1/jobs/1",
    "/v1/jobs/9223372036854775808",
    "/v1/jobs/%00",
    "/v1/jobs/1/why",
    "/v1/jobs/1/cancel",
    "/v1/jobs/-1/cancel",
    "/v1/dead-letters",
    "/v1/dead-letters?since=-262143-01-01T00:00:00Z&limit=7",
    "/v1/dead-letters?after=9999-12-31T00:00:00Z_98880550-7158-44d4-b7cd-2c97c8a091b5",
    "/v1/dead-letters/1/requeue",
    "/v1/kinds",
    "/v1/events",
    "/v1/openapi.json",
    "/v1/%2e%2e/jobs",
];
const FIELDS: [&str; 15] = [
    "queue",
    "priority",
    "run_at",
    "deadline",
    "unique_key",
    "unique_args",
    "unique_for_seconds",
    "unique_until_started",
    "replace",
    "debounce",
    "max_attempts",
    "limit_key",
    "surprise",
    "jobs",
    "name",
];

/// Sends so many requests.
///
/// # Errors
/// The first that was answered with 5xx, with no sentence, or not at all; or a job that was promised and is not there.
pub async fn try_all(server: &Arc<Server>, seed: u64, times: u64) -> Result<Counts, Wrong> {
    let mut counts = Counts::default();
    let came = go(server, seed, times, &mut counts).await;
    counts.ended(came)
}

async fn go(server: &Arc<Server>, seed: u64, times: u64, counts: &mut Counts) -> Result<(), String> {
    let database = server.database().await.map_err(|error| error.to_string())?;
    let pool = PgPoolOptions::new().max_connections(8).connect(&database.url).await.map_err(|error| error.to_string())?;
    let token = tokens::create(&pool, "ordeal", &[Scope::JobsRead, Scope::JobsWrite, Scope::Operate], "the ordeal", None).await;
    let token = token.map_err(|error| error.to_string())?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(|error| error.to_string())?;
    let at = listener.local_addr().map_err(|error| error.to_string())?;
    let (stop, serving) = (CancellationToken::new(), pool.clone());
    let ending = stop.clone();
    let process = tokio::spawn(async move { workers::web::run_on(listener, &child::web_config(at.port()), serving, ending).await });
    // The server ends a connection that is idle for five seconds.
    let http = reqwest::Client::builder().timeout(Duration::from_secs(30)).pool_idle_timeout(Duration::from_secs(2)).no_proxy();
    let http = http.build().map_err(|error| error.to_string())?;
    let mut random = stream(seed, Purpose::Inputs, 2);
    for _ in 0..times {
        let (path, body) = (PATHS.choose(&mut random).copied().unwrap_or("/"), body(&mut random));
        let method = if random.random_ratio(4, 5) { reqwest::Method::POST } else { reqwest::Method::GET };
        let mut request = http.request(method.clone(), format!("http://{at}{path}")).body(body.clone());
        if random.random_ratio(19, 20) {
            request = request.bearer_auth(&token);
        }
        request = request.header("content-type", if random.random_ratio(9, 10) { "application/json" } else { "text/plain" });
        let answer = request.send().await.map_err(|error| format!("{method} {path} with {body:.300} has no answer: {error}"))?;
        let status = answer.status();
        let said = answer.text().await.map_err(|error| error.to_string())?;
        counts.tried += 1;
        if status.is_success() {
            counts.taken += 1;
        } else if status.is_client_error() && !said.trim().is_empty() || matches!(status.as_u16(), 404 | 405) {
            counts.refused += 1;
        } else {
            return Err(format!("{method} {path} with {body:.300} was answered {status}: {said:.300}"));
        }
        if status.as_u16() == 201 && path == "/v1/jobs" {
            is_there(&pool, &said).await?;
        }
    }
    stop.cancel();
    process.await.map_err(|error| error.to_string())?;
    pool.close().await;
    server.drop_database(&database.name).await.map_err(|error| error.to_string())?;
    Ok(())
}

async fn is_there(pool: &sqlx::PgPool, answer: &str) -> Result<(), String> {
    let answer: serde_json::Value = serde_json::from_str(answer).map_err(|error| error.to_string())?;
    let one = vec![answer.clone()];
    for job in answer["jobs"].as_array().unwrap_or(&one) {
        let id = job["id"].as_str().unwrap_or_default();
        let there: bool = sqlx::query_scalar("select exists (select from engine.job_state where id::text = $1 and state <> 'missing')")
            .bind(id)
            .fetch_one(pool)
            .await
            .map_err(|error| error.to_string())?;
        if !there {
            return Err(format!("job {id} was promised and is not there: {answer}"));
        }
    }
    Ok(())
}

fn body(random: &mut StdRng) -> String {
    if random.random_ratio(1, 6) {
        return text::json(random);
    }
    let kind = if random.random_ratio(4, 5) {
        "\"health.prune_enqueue_keys\"".into()
    } else {
        serde_json::json!(text::string(random)).to_string()
    };
    let args = if random.random_ratio(2, 3) { "{}".into() } else { text::json(random) };
    let mut fields = vec![format!("\"kind\": {kind}"), format!("\"args\": {args}")];
    for _ in 0..random.random_range(0..4) {
        let name = FIELDS.choose(random).copied().unwrap_or_default();
        fields.push(format!("\"{name}\": {}", option(random)));
    }
    format!("{{{}}}", fields.join(", "))
}

fn option(random: &mut StdRng) -> String {
    match random.random_range(0..8) {
        0 => "true".into(),
        1 => random.random_range(-2..12).to_string(),
        2 => "\"2100-01-01T00:00:00Z\"".into(),
        3 => "\"-262143-01-01T00:00:00Z\"".into(),
        4 => r#"{"wait_seconds": 4294967295, "at_most_seconds": 4294967295}"#.into(),
        5 => u32::MAX.to_string(),
        6 => serde_json::json!(text::string(random)).to_string(),
        _ => text::json(random),
    }
}
