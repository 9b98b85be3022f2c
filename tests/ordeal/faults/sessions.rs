//! An administrator ends database sessions in the middle of whatever they do.

use rand::{RngExt, rngs::StdRng};

use crate::stage::Stage;

pub async fn strike(stage: &Stage, random: &mut StdRng) -> String {
    let share: f64 = random.random_range(0.1..0.6);
    let ended = sqlx::query_scalar::<_, i64>(
        "select count(pg_terminate_backend(pid)) from pg_stat_activity
         where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend' and random() < $1",
    )
    .bind(share)
    .fetch_one(&stage.pool)
    .await;
    ended.map_or_else(|error| format!("not asked: {error}"), |ended| format!("{ended} sessions"))
}
