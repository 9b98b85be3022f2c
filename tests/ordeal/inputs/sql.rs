//! `engine.enqueue` called with whatever SQL lets one pass: a job that can be found and cancelled, or one error of the kind
//! that says that the caller is wrong.

use std::sync::Arc;

use rand::{RngExt, rngs::StdRng, seq::IndexedRandom};
use sqlx::{PgPool, postgres::PgPoolOptions};

use super::{Counts, Wrong, text};
use crate::{
    chance::{Purpose, stream},
    server::Server,
};

const TIMES: [&str; 8] = [
    "infinity",
    "-infinity",
    "4713-01-01 00:00:00 BC",
    "294276-12-31 23:59:59",
    "1970-01-01",
    "2100-02-29",
    "now",
    "2026-03-29 01:30 Europe/London",
];
const SPANS: [&str; 8] = ["0", "-1 second", "1 second", "100 years", "178000000 years", "1 month", "-178000000 years", "0.000001 s"];

/// Calls it so many times.
///
/// # Errors
/// The first call that met an error of the engine's own making, or made a job that stands nowhere.
pub async fn try_all(server: &Arc<Server>, seed: u64, times: u64) -> Result<Counts, Wrong> {
    let mut counts = Counts::default();
    let came = go(server, seed, times, &mut counts).await;
    counts.ended(came)
}

async fn go(server: &Arc<Server>, seed: u64, times: u64, counts: &mut Counts) -> Result<(), String> {
    let database = server.database().await.map_err(|error| error.to_string())?;
    let pool = PgPoolOptions::new().connect(&database.url).await.map_err(|error| error.to_string())?;
    let mut random = stream(seed, Purpose::Inputs, 1);
    for _ in 0..times {
        let call = call(&mut random);
        counts.tried += 1;
        // The text is this module's own, put together from quoted literals.
        match sqlx::query_scalar::<_, i64>(sqlx::AssertSqlSafe(call.clone())).fetch_one(&pool).await {
            Ok(_) => counts.taken += 1,
            Err(error) => {
                let code = error.as_database_error().and_then(|error| error.code().map(std::borrow::Cow::into_owned)).unwrap_or_default();
                let to_blame = ["22", "23", "RW"].iter().any(|class| code.starts_with(class)) || code == "54000";
                if !to_blame {
                    return Err(format!("{call:.600} met {code}: {error}"));
                }
                counts.refused += 1;
            }
        }
    }
    judge(&pool).await?;
    pool.close().await;
    server.drop_database(&database.name).await.map_err(|error| error.to_string())?;
    Ok(())
}

/// Every job stands somewhere, and the doctor agrees.
async fn judge(pool: &PgPool) -> Result<(), String> {
    let missing: i64 = sqlx::query_scalar("select count(*) from engine.job_state where state = 'missing'")
        .fetch_one(pool)
        .await
        .map_err(|error| error.to_string())?;
    let findings = engine::store::doctor::examine(pool).await.map_err(|error| error.to_string())?;
    let faults: Vec<_> = findings.iter().filter(|finding| finding.severity == engine::store::doctor::Severity::Fault).collect();
    if missing > 0 || !faults.is_empty() {
        return Err(format!("{missing} jobs stand nowhere; the doctor found {faults:?}"));
    }
    Ok(())
}

fn call(random: &mut StdRng) -> String {
    let mut parts = vec![literal(&text::string(random)), format!("{}::jsonb", literal(&small_json(random)))];
    let optional: [(&str, String); 13] = [
        ("queue", literal(&text::string(random))),
        ("priority", format!("{}::smallint", random.random_range(-3..14))),
        ("run_at", format!("{}::timestamptz", literal(one(random, &TIMES)))),
        ("unique_key", literal(&text::string(random))),
        ("producer", literal(&text::string(random))),
        ("idempotency_key", literal(&text::string(random))),
        ("limit_key", literal(&text::string(random))),
        ("max_attempts", format!("{}::smallint", random.random_range(-3..9))),
        ("deadline", format!("{}::timestamptz", literal(one(random, &TIMES)))),
        ("unique_for", format!("{}::interval", literal(one(random, &SPANS)))),
        ("debounce", format!("{}::interval", literal(one(random, &SPANS)))),
        ("debounce_max", format!("{}::interval", literal(one(random, &SPANS)))),
        (["unique_args", "replaces", "unique_until_started"][random.random_range(0..3)], "true".into()),
    ];
    for (name, value) in optional {
        if random.random_ratio(1, 4) {
            parts.push(format!("{name} => {value}"));
        } else if random.random_ratio(1, 30) {
            parts.push(format!("{name} => null"));
        }
    }
    format!("select id from engine.enqueue({})", parts.join(", "))
}

fn one<'a>(random: &mut StdRng, choices: &[&'a str]) -> &'a str {
    choices.choose(random).copied().unwrap_or_default()
}

fn small_json(random: &mut StdRng) -> String {
    let text = text::json(random);
    if text.len() > 10_000 { "[]".into() } else { text }
}

/// A string as SQL writes it; a byte that no text can hold is left out, since it ends the message.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\0', "").replace('\'', "''"))
}
