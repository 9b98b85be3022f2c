//! `migrations/schema.sql` is what the migrations make, whatever version of PostgreSQL runs them.

use std::{fs, path::Path};

use crate::support::Database;

/// What every server has: pgvector, where it is there, decides over one column, its index and its search.
fn common(schema: &str) -> String {
    let of_all = |block: &&str| !block.starts_with("create function raw_ops.nearest_knowledge(") && !block.contains(" vector");
    let lines = schema.split("\n\n").filter(of_all).flat_map(str::lines);
    lines.filter(|line| !line.contains("vector") && !line.contains("idx_kb_sections_embedding")).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn schema_sql_is_what_the_migrations_make() {
    let db = Database::new().await;
    let made = db.schema().await;
    let kept = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/schema.sql")).expect("the file is there");
    if common(&made) != common(&kept) {
        let fresh = Path::new(env!("CARGO_TARGET_TMPDIR")).join("schema.sql");
        fs::write(&fresh, &made).expect("a file can be written");
        let differs = common(&made)
            .lines()
            .zip(common(&kept).lines())
            .find(|(made, kept)| made != kept)
            .map(|(made, kept)| format!("{made:?}, not {kept:?}"));
        panic!("migrations/schema.sql is of another day ({differs:?}): cp {} migrations/schema.sql", fresh.display());
    }
}

#[tokio::test]
async fn every_kind_of_change_shows() {
    let db = Database::new().await;
    let before = db.schema().await;
    for (change, line) in [
        ("alter table raw_ops.orders add column extra numeric(10, 2) not null default 1", "    extra numeric(10,2) default 1 not null,"),
        ("alter table raw_ops.products add constraint odd check (sku <> 'Odd')", "    constraint odd check (sku <> 'Odd'::text)"),
        (
            "create unique index odd on raw_ops.refunds (created_at) where false",
            "create unique index odd on raw_ops.refunds using btree (created_at) where false;",
        ),
        ("comment on column raw_ops.orders.id is 'It''s an id'", "comment on column raw_ops.orders.id is 'It''s an id';"),
        (
            "create or replace view engine.place_figures as select 1::bigint as scheduled, 2::bigint as claims, 3::bigint as dead, 4::bigint as claimed, 5::float8 as age_seconds",
            "create view engine.place_figures as",
        ),
        ("alter function engine.wake() stable security definer", "language plpgsql stable security definer"),
        ("alter type raw_ops.order_status add value 'LOST'", "'REFUNDED', 'LOST');"),
        ("grant truncate on raw_ops.orders to rawops_reader", "grant select, truncate on raw_ops.orders to rawops_reader;"),
        ("grant execute on function engine.now() to public", "to public, rawops_ingest"),
        (
            "create trigger odd before delete on raw_ops.orders for each row when (old.id is null) execute function raw_ops.allocate_order_to_batches()",
            "create trigger odd before delete on raw_ops.orders for each row when (old.id is null) execute function raw_ops.allocate_order_to_batches();",
        ),
        (
            "create table raw_ops.another (id bigint generated always as identity primary key, other uuid references raw_ops.orders) with (fillfactor = 50)",
            ") with (fillfactor = 50);",
        ),
    ] {
        let earlier = db.schema().await;
        sqlx::query(change).execute(db.pool()).await.unwrap_or_else(|error| panic!("{change}: {error}"));
        let later = db.schema().await;
        assert_ne!(earlier, later, "{change}");
        assert!(later.contains(line), "{change}: {line} is not in it");
    }
    assert!(before.contains("create table engine.job_kept partition of engine.job default;") && !before.contains("engine.job_1"));
    sqlx::query("select engine.extend_partitions(1000000, 99000000)").execute(db.pool()).await.expect("made");
    assert!(!db.schema().await.contains("engine.job_7"), "what is made as jobs come is no part of the schema");
}
