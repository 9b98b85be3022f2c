//! Every statement file is loaded by Rust, and every one is accepted by the database.

use std::{fs, path::Path};

use engine::{Client, Kinds, NewJob};
use sqlx::{AssertSqlSafe, Executor, SqlSafeStr};

use crate::support::{Database, drain::run_all, kinds::NoOp};

fn sql_files(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder of statements can be read") {
        let path = entry.expect("an entry can be read").path();
        if path.is_dir() {
            sql_files(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// Every file of engine/sql: its name without the ending, and its text.
pub fn all_statements() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("engine/sql");
    let mut files = Vec::new();
    sql_files(&root, &mut files);
    files
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(&root).expect("found below it").with_extension("").display().to_string();
            (name, fs::read_to_string(&path).expect("a statement can be read"))
        })
        .collect()
}

fn rust_sources(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).expect("a folder of sources can be read") {
        let path = entry.expect("an entry can be read").path();
        if path.is_dir() {
            rust_sources(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&fs::read_to_string(&path).expect("a source can be read"));
        }
    }
}

#[tokio::test]
async fn the_database_accepts_every_statement() {
    let db = Database::new().await;
    let mut connection = db.pool().acquire().await.expect("a connection");
    let statements = all_statements();
    assert!(statements.len() > 30, "the statements were found");
    for (name, text) in statements {
        let prepared = connection.prepare(AssertSqlSafe(text).into_sql_str()).await;
        assert!(prepared.is_ok(), "engine/sql/{name}.sql: {}", prepared.err().map(|error| error.to_string()).unwrap_or_default());
    }
}

#[test]
fn no_statement_is_an_orphan() {
    let mut sources = String::new();
    rust_sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("engine"), &mut sources);
    for (name, _) in all_statements() {
        let is_check = name.strip_prefix("doctor/").is_some_and(|check| engine::store::doctor::checks().any(|known| known == check));
        assert!(is_check || sources.contains(&format!("sql!(\"{name}\")")), "nobody loads engine/sql/{name}.sql");
    }
}

/// Writes down how whoever claims, and whoever ends, has set its planner.
const SPY: &str = "create table public.settings_seen (of_table text, seqscan text, jit text);
    create function public.see_settings() returns trigger language plpgsql as $$
    begin
        insert into public.settings_seen values (tg_table_name, current_setting('enable_seqscan'), current_setting('jit'));
        return null;
    end $$;
    create trigger spy after insert on engine.claim for each statement execute function public.see_settings();
    create trigger spy after insert on engine.attempt for each statement execute function public.see_settings();";

#[tokio::test]
async fn a_plan_that_a_worker_made_while_a_table_was_empty_reads_no_table_whole_later() {
    let db = Database::new().await;
    sqlx::raw_sql(SPY).execute(db.pool()).await.expect("the spy can be made");
    let job = NewJob::of(&NoOp { n: 1 }).expect("the arguments are JSON");
    Client::new(db.pool().clone()).enqueue(&job).await.expect("the queue takes the job");
    run_all(&db, Kinds::new().with::<NoOp>()).await;
    let seen: Vec<(String, String, String)> =
        sqlx::query_as("select distinct * from public.settings_seen order by 1").fetch_all(db.pool()).await.expect("they were seen");
    let off = |table: &str| (table.to_string(), "off".to_string(), "off".to_string());
    assert_eq!(seen, [off("attempt"), off("claim")]);
}

#[tokio::test]
async fn a_function_that_may_read_no_table_whole_is_never_compiled() {
    let db = Database::new().await;
    let compiled: Vec<String> = sqlx::query_scalar(
        "select oid::regprocedure::text from pg_proc where 'enable_seqscan=off' = any (proconfig) and not 'jit=off' = any (proconfig)",
    )
    .fetch_all(db.pool())
    .await
    .expect("read");
    assert!(compiled.is_empty(), "through a pooler, or for an operator, these take seconds: {compiled:?}");
}
