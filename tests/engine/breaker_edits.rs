//! Breakers that operators hold, let go and tell when to open.

use engine::{
    StoreError,
    store::breaker::{self, Breaker, Ends, Held, Rule},
};
use sqlx::PgPool;

use crate::support::{Database, outside_call::SYSTEM};

async fn known(pool: &PgPool) {
    let mut connection = pool.acquire().await.expect("a connection");
    breaker::declare(&mut connection, &[("test.call", Some(SYSTEM))]).await.expect("declared");
}

/// Ten attempts fail: enough to open it.
async fn fail(pool: &PgPool) {
    let ends = Ends { system: SYSTEM, category: Some("network"), ended: 10, wait_ms: None, error: None };
    let mut connection = pool.acquire().await.expect("a connection");
    let changes = breaker::report(&mut connection, &[ends], &[], 1.0).await.expect("told").expect("nobody else decides");
    assert_eq!(changes.len(), 1, "it opens");
}

async fn hold(pool: &PgPool, held: Option<Held>) {
    assert!(breaker::hold(pool, SYSTEM, held, "ann", None).await.expect("held"));
}

async fn only(pool: &PgPool) -> Breaker {
    breaker::list(pool).await.expect("listed").remove(0)
}

#[tokio::test]
async fn one_that_was_held_closed_begins_anew_also_with_its_cool_down() {
    let db = Database::new().await;
    known(db.pool()).await;
    fail(db.pool()).await;
    sqlx::query("update engine.breaker set openings = 6").execute(db.pool()).await.expect("its probes failed");
    hold(db.pool(), Some(Held::Open)).await;
    hold(db.pool(), None).await;
    assert_eq!(only(db.pool()).await.openings, 6, "nobody says that the system answers");
    hold(db.pool(), Some(Held::Closed)).await;
    hold(db.pool(), None).await;
    assert_eq!(only(db.pool()).await.openings, 0);
    fail(db.pool()).await;
    let opened = only(db.pool()).await;
    let cooldown = (opened.probe_at.expect("it is open") - opened.since).num_seconds();
    assert_eq!((opened.openings, cooldown), (1, 10));
}

async fn set(pool: &PgPool, categories: &[&str]) -> Result<bool, StoreError> {
    let categories = Some(categories.iter().map(ToString::to_string).collect());
    breaker::set(pool, SYSTEM, &Rule { categories, ..Rule::default() }, "ann").await
}

#[tokio::test]
async fn a_category_that_no_failure_has_opens_none_and_is_refused() {
    let db = Database::new().await;
    known(db.pool()).await;
    for unknown in ["netwrok", "default", ""] {
        let refused = set(db.pool(), &["network", unknown]).await.expect_err("it is refused").to_string();
        assert!(refused.starts_with(&format!("there is no error category {unknown}: there are auth, bug, business_rule, ")), "{refused}");
    }
    sqlx::query("insert into engine.retry_config (error_category, max_attempts, backoff_seconds) values ('strike', 3, '{60}')")
        .execute(db.pool())
        .await
        .expect("one of the application's own");
    assert!(set(db.pool(), &["network", "strike"]).await.expect("set"));
    assert_eq!(only(db.pool()).await.categories, ["network", "strike"]);
}
