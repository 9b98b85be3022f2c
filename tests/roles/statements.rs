//! Every statement of the engine can be run by the role whose program runs it.

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::engine::statements::all_statements;
use crate::support::{Database, Login};

/// The roles whose programs run a statement, by its name in engine/sql; `None` for one that no rule names.
fn roles(name: &str) -> Option<&'static [&'static str]> {
    const RUNTIME: &[&str] = &["rawops_runtime"];
    const LOOK: &[&str] = &["rawops_reader", "rawops_operator"];
    const OPERATE: &[&str] = &["rawops_operator"];
    let (folder, file) = name.split_once('/')?;
    Some(match (folder, file) {
        ("attempt", "list" | "ending")
        | ("note", "show" | "tail")
        | ("job" | "dead_letter", "list" | "show")
        | ("dead_letter", "causes" | "of_job" | "page")
        | ("doctor" | "look" | "payload" | "why", _)
        | ("occurrence", "alive" | "last" | "list")
        | ("schedule", "load")
        | ("retention" | "queue" | "limit" | "pause" | "breaker" | "worker", "list")
        | ("workflow", "list" | "show" | "timeline")
        | ("retry_policy", "deciding" | "failures" | "fault" | "history" | "list") => LOOK,
        ("cancel_request", "settle") => RUNTIME,
        ("cancel_request" | "dead_letter" | "pause" | "retry_policy", _)
        | ("limit", "set" | "unset" | "lock_one")
        | ("breaker", "hold" | "set")
        | ("schedule", "edit" | "ensure")
        | ("retention", "put")
        | ("queue", "set_limit")
        | ("occurrence", "run_now")
        | ("workflow", "restart" | "restarted") => OPERATE,
        ("standby", "await") => &["rawops_runtime", "rawops_ingest", "rawops_operator"],
        ("schedule", "lock") | ("limit", "count_permits" | "lock_counts") | ("waiting", "give_back_kept") => {
            &["rawops_runtime", "rawops_operator"]
        }
        ("metrics", "measure") => &["rawops_runtime", "rawops_ingest"],
        ("duty", "list") | ("metrics", "attempts" | "breakers" | "places" | "queues") => {
            &["rawops_runtime", "rawops_ingest", "rawops_reader", "rawops_operator"]
        }
        ("partition", "retire") => &["rawops_owner"],
        (
            "aftermath" | "attempt" | "breaker" | "child" | "compensation" | "claim" | "clock" | "duty" | "enqueue_key" | "event"
            | "event_wait" | "kind" | "job" | "lane" | "leader" | "limit" | "metrics" | "note" | "occurrence" | "parked" | "partition"
            | "place" | "retention" | "schedule" | "scheduled" | "step" | "topic" | "unique_period" | "waiting" | "worker",
            _,
        ) => RUNTIME,
        _ => return None,
    })
}

/// The server checks rights when it begins to run a plan, also when it only explains it.
async fn explain(connection: &mut PgConnection, text: &str) -> Result<(), sqlx::Error> {
    let mut tx = connection.begin().await?;
    if text.lines().find(|line| !line.starts_with("--")).is_some_and(|line| line.starts_with("set ")) {
        sqlx::raw_sql(AssertSqlSafe(text.to_string())).execute(&mut *tx).await?;
        return tx.rollback().await;
    }
    sqlx::raw_sql(AssertSqlSafe(format!("prepare tried as {text}"))).execute(&mut *tx).await?;
    let arguments: i32 = sqlx::query_scalar("select cardinality(parameter_types) from pg_prepared_statements where name = 'tried'")
        .fetch_one(&mut *tx)
        .await?;
    let nulls = vec!["null"; arguments as usize].join(", ");
    let call = if nulls.is_empty() { String::new() } else { format!("({nulls})") };
    // A plan for any argument: one for null alone would leave tables out.
    sqlx::raw_sql(AssertSqlSafe(format!("set local plan_cache_mode = force_generic_plan; explain execute tried{call}; deallocate tried")))
        .execute(&mut *tx)
        .await?;
    tx.rollback().await
}

#[tokio::test]
async fn every_statement_is_permitted_to_its_role() {
    let db = Database::new().await;
    let mut refused = Vec::new();
    for (name, text) in all_statements() {
        let roles = roles(&name).unwrap_or_else(|| panic!("engine/sql/{name}.sql: say in tests/roles/statements.rs whose program runs it"));
        for role in roles {
            let user = Login::of(role).await;
            let mut connection = user.connect(&db).await;
            if let Err(error) = explain(&mut connection, &text).await {
                refused.push(format!("{name} as {role}: {error}"));
            }
            connection.close().await.expect("closed");
        }
    }
    assert!(refused.is_empty(), "{refused:#?}");
}

#[tokio::test]
async fn a_statement_is_refused_to_who_may_not_run_it() {
    let db = Database::new().await;
    let user = Login::of("rawops_reader").await;
    for (name, text) in
        all_statements().into_iter().filter(|(name, _)| ["claim/take", "attempt/settle", "dead_letter/requeue"].contains(&name.as_str()))
    {
        let error = explain(&mut user.connect(&db).await, &text).await.expect_err(&name);
        assert!(error.to_string().contains("permission denied"), "{name}: {error}");
    }
}
