//! The check that decides whether a body is stored as `jsonb`, against PostgreSQL itself.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use web::webhooks::jsonb::{Unfit, check};

use crate::support::Database;

/// Pieces of JSON and of what looks like it.
const PIECES: [&str; 44] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    " ",
    "\n",
    "\t",
    "\u{b}",
    "null",
    "true",
    "false",
    "nul",
    "1",
    "0",
    "-",
    "+",
    ".",
    "e",
    "E",
    "12",
    "0.5",
    "1e5",
    "1e400",
    "1e131072",
    "1e-16384",
    "\"a\"",
    "\"\\u0000\"",
    "\"\\ud83d\\ude00\"",
    "\"\\ud83d\"",
    "\"\\ude00\"",
    "\\u00e9",
    "\\n",
    "é",
    "😀",
    "\u{feff}",
    "\u{7f}",
    "\u{1}",
    "{\"a\":1}",
    "[1,2]",
    "\"k\":",
];

#[tokio::test]
async fn the_check_and_postgres_agree_on_twenty_thousand_texts() {
    let database = Database::new().await;
    let mut session = database.pool().acquire().await.expect("a session");
    sqlx::raw_sql(
        "create function pg_temp.fits(body text) returns boolean language plpgsql as $$
         begin return body::jsonb is not null; exception when others then return false; end $$",
    )
    .execute(&mut *session)
    .await
    .expect("a function can be made");
    let mut random = StdRng::seed_from_u64(15);
    let texts: Vec<String> = (0..20_000).map(|_| text(&mut random)).collect();
    let fits: Vec<bool> = sqlx::query_scalar("select pg_temp.fits(body) from unnest($1::text[]) with ordinality t (body, n) order by n")
        .bind(&texts)
        .fetch_all(&mut *session)
        .await
        .expect("the server judges");
    for (text, fits) in texts.iter().zip(&fits) {
        assert_eq!(check(text.as_bytes()).is_ok(), *fits, "{text:?}");
    }
    assert!(fits.iter().filter(|fits| **fits).count() > 2_000, "too few texts fit");
}

/// Half of them are nothing but pieces, half are JSON with a few pieces put in or taken out.
fn text(random: &mut StdRng) -> String {
    let mut text = if random.random() { String::new() } else { value(random, 3) };
    for _ in 0..random.random_range(0..4) {
        let places: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        let at = places[random.random_range(0..places.len())];
        if random.random() || at == text.len() {
            text.insert_str(at, PIECES[random.random_range(0..PIECES.len())]);
        } else {
            text.remove(at);
        }
    }
    text
}

fn value(random: &mut StdRng, depth: u32) -> String {
    let inner = |random: &mut StdRng| value(random, depth.saturating_sub(1));
    match random.random_range(0..if depth == 0 { 4 } else { 6 }) {
        0 => format!("{}", random.random_range(-1_000_000_i64..1_000_000)),
        1 => format!("{}.{}e{}", random.random_range(0..100), random.random_range(0..1_000), random.random_range(-20_000..140_000)),
        2 => "\"Zoë \\u00e9 \\\" \\\\ O’Brien\"".into(),
        3 => "null".into(),
        4 => format!("[{}, {}]", inner(random), inner(random)),
        _ => format!("{{\"a\": {}, \"b\":{}}}", inner(random), inner(random)),
    }
}

/// PostgreSQL's own limit is its stack; ours must lie below it.
#[tokio::test]
async fn the_deepest_body_that_passes_the_check_fits() {
    let database = Database::new().await;
    let deepest = "[".repeat(1_000) + &"]".repeat(1_000);
    assert_eq!(check(deepest.as_bytes()).err(), None::<Unfit>);
    let stored: bool =
        sqlx::query_scalar("select $1::text::jsonb is not null").bind(&deepest).fetch_one(database.pool()).await.expect("it fits");
    assert!(stored);
}
