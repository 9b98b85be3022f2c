//! `rawops migrate`, and what every command does on a database of another version.

use super::program::{self, Answer, command, free_port, rawops};
use crate::support::Database;

/// The answer of `rawops web`, which is to end by itself.
async fn web(db: &Database) -> Answer {
    let mut web = command(&["web"]);
    web.env("DATABASE_URL", db.url()).env("BIND", format!("127.0.0.1:{}", free_port()));
    web.env("SHOPIFY_WEBHOOK_SECRET", "hush").env("SHOPIFY_SHOP_DOMAIN", "raw.myshopify.com");
    program::answer(web).await
}

#[tokio::test]
async fn eight_at_once_migrate_once() {
    let db = Database::empty().await;
    let url = db.url();
    let mut racing = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let url = url.clone();
        racing.spawn(async move { rawops(&url, &["migrate", "--json"]).await.ok().json() });
    }
    let answers = racing.join_all().await;
    let worked = answers.iter().filter(|answer| answer["applied"].as_array().is_some_and(|applied| !applied.is_empty())).count();
    assert_eq!(worked, 1, "{answers:?}");
    assert!(answers.iter().all(|answer| answer["schema"] == migrations::newest()));

    let again = rawops(&url, &["migrate"]).await.ok();
    assert_eq!(again.out, format!("nothing to do: the schema is at {:04}\n", migrations::newest()));
}

#[tokio::test]
async fn an_older_schema_is_refused_until_migrate_ran() {
    let db = Database::empty().await;
    for words in [["jobs", "list"], ["dead", "list"]] {
        let sentence = rawops(&db.url(), &words).await.refusal(1);
        assert_eq!(sentence, "the database's schema is older than this program: run `rawops migrate` first");
    }
    assert!(rawops(&db.url(), &["doctor"]).await.refusal(2).contains("run `rawops migrate` first"));
    for answer in [rawops(&db.url(), &["worker"]).await, rawops(&db.url(), &["scheduler"]).await, web(&db).await] {
        assert!(answer.code == 1 && answer.err.contains("rawops: the database's schema is older"), "{answer:?}");
    }
    let answer = rawops(&db.url(), &["migrate"]).await.ok();
    assert!(answer.out.starts_with("applied 0001, 0002"), "{answer:?}");
    assert_eq!(rawops(&db.url(), &["jobs", "list"]).await.ok().out, "no jobs\n");
}

#[tokio::test]
async fn a_newer_schema_is_refused_by_everything_and_left_alone() {
    let db = Database::new().await;
    sqlx::query(
        "insert into _sqlx_migrations (version, description, success, checksum, execution_time) values (999999, 'of tomorrow', true, '\\x00', 1)",
    )
    .execute(db.pool())
    .await
    .expect("tomorrow's migration can be noted");
    for (words, code) in [(["jobs", "list"], 1), (["dead", "list"], 1), (["migrate", "--json"], 1), (["doctor", "--json"], 2)] {
        let sentence = rawops(&db.url(), &words).await.refusal(code);
        assert!(sentence.contains("migration 999999") && sentence.contains("Nothing was changed"), "{words:?}: {sentence}");
    }
    for answer in [rawops(&db.url(), &["worker"]).await, rawops(&db.url(), &["scheduler"]).await, web(&db).await] {
        assert!(answer.code == 1 && answer.err.contains("migration 999999"), "{answer:?}");
    }
    let touched: bool = sqlx::query_scalar("select exists (select from engine.worker) or exists (select from engine.leader)")
        .fetch_one(db.pool())
        .await
        .expect("the tables can be read");
    assert!(!touched);
}
