//! What programs say of their kinds, for producers in SQL.

use sqlx::PgConnection;

use super::sql;

/// Takes note of the queue and the priority that jobs of each kind have unless their producer says otherwise; each is a queue, a
/// kind and a priority.
///
/// # Errors
/// The database's.
pub async fn declare(connection: &mut PgConnection, lanes: &[(&str, &str, i16)]) -> Result<(), sqlx::Error> {
    let (names, queues): (Vec<&str>, Vec<&str>) = lanes.iter().map(|(queue, kind, _)| (*kind, *queue)).unzip();
    let priorities: Vec<i16> = lanes.iter().map(|(.., priority)| *priority).collect();
    sqlx::query(sql!("kind/declare")).bind(names).bind(queues).bind(priorities).execute(connection).await.map(drop)
}
