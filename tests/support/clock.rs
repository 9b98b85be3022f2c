//! The engine's clock, set ahead or back: it stands beside the server's, which nobody touches.

use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, PgPool};

/// Lets the engine of this database go by a clock of its own, which agrees with the server's until it is set.
pub async fn own(pool: &PgPool) {
    let statements = [
        "create table test_clock (ahead interval not null)",
        "insert into test_clock values (interval '0')",
        // Functions with their owner's rights ask for the time too.
        "grant select on test_clock to public",
        "create or replace function engine.now() returns timestamptz language sql volatile as
         'select clock_timestamp() + ahead from public.test_clock'",
    ];
    for statement in statements {
        sqlx::query(statement).execute(pool).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
}

/// Lets the engine of this database go by a clock of its own, which stands still until it is set.
pub async fn own_and_still(pool: &PgPool) {
    own(pool).await;
    let still = "do $do$ begin execute format(
        'create or replace function engine.now() returns timestamptz language sql volatile as $$select timestamptz %L + ahead from public.test_clock$$',
        clock_timestamp()); end $do$";
    sqlx::query(still).execute(pool).await.expect("the clock stands still");
}

/// Sets the clock forward, or back, by so many seconds.
pub async fn step(pool: &PgPool, seconds: f64) {
    sqlx::query("update test_clock set ahead = ahead + make_interval(secs => $1)")
        .bind(seconds)
        .execute(pool)
        .await
        .expect("the test's clock can be set");
}

/// Sets the clock to this moment.
pub async fn set(pool: &PgPool, moment: DateTime<Utc>) {
    sqlx::query("update test_clock set ahead = $1 - clock_timestamp()")
        .bind(moment)
        .execute(pool)
        .await
        .expect("the test's clock can be set");
}

/// Lets the clock stand still at this moment.
pub async fn stop(pool: &PgPool, moment: DateTime<Utc>) {
    let now =
        format!("create or replace function engine.now() returns timestamptz language sql volatile as 'select ''{moment}''::timestamptz'");
    sqlx::query(AssertSqlSafe(now)).execute(pool).await.expect("the clock stops");
}
