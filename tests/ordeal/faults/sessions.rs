//! An administrator ends database sessions in the middle of whatever they do.

use rand::{RngExt, rngs::StdRng};

use crate::stage::Stage;

pub async fn strike(stage: &Stage, random: &mut StdRng) -> String {
    let share: f64 = random.random_range(0.1..0.6);
    let ended = end(stage, random, share).await;
    ended.map_or_else(|error| format!("not asked: {error}"), |ended| format!("{ended} sessions"))
}

/// Ends so many of the sessions.
async fn end(stage: &Stage, random: &mut StdRng, share: f64) -> Result<i64, sqlx::Error> {
    let mut connection = stage.pool.acquire().await?;
    let sessions: Vec<i32> = sqlx::query_scalar(
        "select pid from pg_stat_activity
         where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend' order by backend_start",
    )
    .fetch_all(&mut *connection)
    .await?;
    let struck: Vec<i32> = sessions.into_iter().filter(|_| random.random_bool(share)).collect();
    sqlx::query_scalar("select count(pg_terminate_backend(pid)) from unnest($1::int[]) pid").bind(struck).fetch_one(&mut *connection).await
}
