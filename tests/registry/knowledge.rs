//! Sections of knowledge are found by the nearness of their vectors, with the extension vector and without it.

use std::path::Path;

use embedded::{Cluster, Environment, Error, Options};
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, PgPool};

use super::stage::insert;
use crate::support::Database;

/// A unit vector in the plane of the first two of 384 numbers, so many degrees from the first.
fn towards(degrees: f32) -> Vec<f32> {
    let mut vector = vec![0.0; 384];
    (vector[0], vector[1]) = (degrees.to_radians().cos(), degrees.to_radians().sin());
    vector
}

async fn section(pool: &PgPool, key: &str, degrees: f32, model: &str, is_active: bool) {
    let fields = json!({ "section_key": key, "title": key, "content": key, "is_active": is_active, "embedding_model": model });
    let id = insert(pool, "ai_knowledge_sections", fields).await;
    // An assignment turns an array of numbers into either type.
    sqlx::query("update raw_ops.ai_knowledge_sections set embedding = $2 where id = $1")
        .bind(id)
        .bind(towards(degrees))
        .execute(pool)
        .await
        .expect("a section takes its vector");
}

async fn nearest_are_found(pool: &PgPool) {
    for (key, degrees, model, is_active) in [
        ("a right angle", 100.0, "m", true),
        ("near", 12.0, "m", true),
        ("opposite", 190.0, "m", true),
        ("of another model", 10.0, "other", true),
        ("not in use", 10.0, "m", false),
        ("further", -50.0, "m", true),
    ] {
        section(pool, key, degrees, model, is_active).await;
    }
    insert(pool, "ai_knowledge_sections", json!({ "section_key": "no vector", "title": "t", "content": "c", "is_active": true })).await;
    let found: Vec<(String, f64)> = sqlx::query_as(
        "select s.section_key, k.distance from raw_ops.nearest_knowledge($1, 'm', $2) k join raw_ops.ai_knowledge_sections s using (id)
         order by k.distance",
    )
    .bind(towards(10.0))
    .bind(3)
    .fetch_all(pool)
    .await
    .expect("sections can be searched");
    let expected =
        [("near", 2.0_f64), ("further", 60.0), ("a right angle", 90.0)].map(|(key, angle)| (key, 1.0 - angle.to_radians().cos()));
    assert_eq!(found.len(), expected.len());
    for ((key, distance), (wanted, angle)) in found.iter().zip(expected) {
        assert_eq!(key, wanted);
        assert!((distance - angle).abs() < 1e-6, "{key}: {distance} is not {angle}");
    }
}

async fn wrong_vectors_are_refused(pool: &PgPool) {
    let set = "update raw_ops.ai_knowledge_sections set embedding = $1 where section_key = 'near'";
    for (case, wrong) in [("too short", vec![1.0_f32; 383]), ("too long", vec![1.0; 385])] {
        assert!(sqlx::query(set).bind(wrong).execute(pool).await.is_err(), "{case}");
    }
    let modelless = "update raw_ops.ai_knowledge_sections set embedding_model = null where section_key = 'near'";
    assert!(sqlx::query(modelless).execute(pool).await.is_err(), "a vector says which model made it");
    let search = "select * from raw_ops.nearest_knowledge($1, 'm', 3)";
    assert!(sqlx::query(search).bind(vec![1.0_f32; 3]).fetch_all(pool).await.is_err(), "a vector of another length is compared with none");
}

/// The extension where the server offers it, else our own type.
async fn type_fits_the_server(pool: &PgPool) -> bool {
    let (offered, is_domain): (bool, bool) = sqlx::query_as(
        "select exists (select from pg_available_extensions where name = 'vector'),
            (select t.typtype = 'd' from pg_attribute a join pg_type t on t.oid = a.atttypid
             where a.attrelid = 'raw_ops.ai_knowledge_sections'::regclass and a.attname = 'embedding')",
    )
    .fetch_one(pool)
    .await
    .expect("the catalog can be read");
    assert_ne!(offered, is_domain);
    offered
}

#[tokio::test]
async fn the_nearest_sections_of_one_model_are_found() {
    let db = Database::new().await;
    type_fits_the_server(db.pool()).await;
    nearest_are_found(db.pool()).await;
    wrong_vectors_are_refused(db.pool()).await;
}

/// The private server, which has the extension; none where it cannot be fetched.
fn server_with_vector() -> Option<Cluster> {
    let environment = Environment::of_process().with("RAWOPS_PG", "private").without("RAWOPS_PG_BIN");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pg-vector");
    match embedded::ensure(&Options::throwaway(folder).environment(environment), |_, _| ()) {
        Ok(cluster) => Some(cluster),
        Err(Error::NoServer { tried, .. }) => {
            eprintln!("skipped: {tried}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn they_are_found_with_the_extension_too() {
    let Some(cluster) = tokio::task::spawn_blocking(server_with_vector).await.expect("the blocking part does not panic") else {
        return;
    };
    let name = format!("vector_{}", std::process::id());
    let mut admin = PgConnection::connect(&cluster.url("postgres")).await.expect("the server accepts connections");
    admin.execute(AssertSqlSafe(format!("create database {name}"))).await.expect("a database can be created");
    let mut connection = PgConnection::connect(&cluster.url(&name)).await.expect("a new database accepts connections");
    migrations::run(&mut connection).await.unwrap_or_else(|error| panic!("{error}"));
    let pool = PgPool::connect(&cluster.url(&name)).await.expect("a new database accepts connections");
    assert!(type_fits_the_server(&pool).await, "the private server has the extension");
    nearest_are_found(&pool).await;
    wrong_vectors_are_refused(&pool).await;
    pool.close().await;
    connection.close().await.expect("a connection can be closed");
    admin.execute(AssertSqlSafe(format!("drop database {name}"))).await.expect("the database can be dropped");
}

#[tokio::test]
async fn distances_are_those_of_the_cosine() {
    let db = Database::new().await;
    for (a, b, expected) in [
        (vec![3.0_f32, 4.0], vec![30.0_f32, 40.0], Some(0.0)),
        (vec![1.0, 0.0], vec![0.0, 2.0], Some(1.0)),
        (vec![1.0, 1.0], vec![-2.0, -2.0], Some(2.0)),
        (vec![0.0, 0.0], vec![1.0, 0.0], None),
        (vec![1e-20, 0.0], vec![1e-20, 1e-20], Some(1.0 - 45.0_f64.to_radians().cos())),
        (vec![3e30, 0.0], vec![3e30, 3e30], Some(1.0 - 45.0_f64.to_radians().cos())),
    ] {
        let found: Option<f64> = sqlx::query_scalar("select raw_ops.cosine_distance($1, $2)")
            .bind(&a)
            .bind(&b)
            .fetch_one(db.pool())
            .await
            .expect("vectors can be compared");
        match (found, expected) {
            (Some(found), Some(expected)) => assert!((found - expected).abs() < 1e-9, "{a:?} {b:?}: {found} is not {expected}"),
            other => assert_eq!(other.0, other.1, "{a:?} {b:?}"),
        }
    }
}
