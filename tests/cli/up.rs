//! `rawops up`: the whole house in one process.

use std::time::Duration;

use super::program::{answer, code, command, rawops, signal};
use crate::orders::inbox::execute;
use crate::support::{
    Database,
    ledger::count,
    shelf::{self, Batch},
    wait::until,
};

const LIMIT: Duration = Duration::from_mins(2);

#[tokio::test]
async fn every_order_of_the_sandbox_becomes_an_order_and_up_ends_by_itself() {
    let db = Database::new().await;
    let run = async |seed: &'static str| {
        let mut up = command(&["up", "--until-orders", "40", "--rate", "200", "--seed", seed]);
        up.env("DATABASE_URL", db.url()).env("BIND", "127.0.0.1:0");
        answer(up).await.ok()
    };
    let first = run("7").await;
    for words in
        ["  migrate: 0 applied", "  products: 12 of the sandbox, 12 of them new", "from its no. 1 on", "ready in ", "rawops doctor"]
    {
        assert!(first.out.contains(words), "{words}: {first:?}");
    }
    assert!(first.out.ends_with("all 40 orders of the shop are orders here, and doctor found no fault\n"), "{first:?}");
    assert_eq!(count(db.pool(), "select count(*) from raw_ops.orders").await, 40);

    let second = run("7").await;
    assert!(second.out.contains("12 of the sandbox, 0 of them new") && second.out.contains("from its no. 41 on"), "{second:?}");
    assert_eq!(count(db.pool(), "select count(*) from raw_ops.orders").await, 80, "the shop goes on where it was");
    assert_eq!(count(db.pool(), "select count(*) from engine.worker").await, 0, "the worker signed off");
}

#[tokio::test]
async fn orders_that_are_missing_in_the_end_are_an_error() {
    let db = Database::new().await;
    // A shop's order that never becomes one here.
    sqlx::query("create function lose() returns trigger language plpgsql as 'begin return null; end'")
        .execute(db.pool())
        .await
        .expect("a function");
    sqlx::query("create trigger lose before insert on engine.ready for each row when (new.job_id % 7 = 0) execute function lose()")
        .execute(db.pool())
        .await
        .expect("a trigger");
    let mut up = command(&["up", "--until-orders", "20", "--rate", "200"]);
    up.env("DATABASE_URL", db.url()).env("BIND", "127.0.0.1:0");
    let up = tokio::spawn(async move { up.output().await });
    // What is lost would be waited for; the inbox says it is done, so that only the orders are missing.
    until("some of it is lost", LIMIT, async || count(db.pool(), "select count(*) from raw_ops.webhook_inbox").await >= 20).await;
    let lost = "update raw_ops.webhook_inbox i set processing_status = 'ignored' where processing_status = 'pending' and not exists (
                    select from engine.job_state s where s.args ->> 'inbox_id' = i.id::text and s.state <> 'missing')";
    until("it ends", LIMIT, async || {
        sqlx::query(lost).execute(db.pool()).await.expect("the inbox can be written");
        up.is_finished()
    })
    .await;
    let ended = up.await.expect("it is waited for").expect("the program can be run");
    let (out, err) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert_eq!(code(ended.status), 1, "{out} {err}");
    assert!(out.contains("job_missing") && err.contains("rawops: doctor found"), "{out} {err}");
}

#[tokio::test]
async fn a_taken_port_is_said_to_be_taken_before_anything_is_started() {
    let db = Database::empty().await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("a bound socket has an address");
    let mut up = command(&["up"]);
    up.env("DATABASE_URL", db.url()).env("BIND", address.to_string());
    let sentence = answer(up).await.refusal(1);
    assert!(sentence.starts_with(&format!("port {} of 127.0.0.1 is taken by another process", address.port())), "{sentence}");
    assert_eq!(count(db.pool(), "select count(*) from pg_namespace where nspname = 'engine'").await, 0);
}

#[tokio::test]
async fn a_signal_ends_it_well() {
    let db = Database::new().await;
    let mut up = command(&["up", "--rate", "50"]);
    up.env("DATABASE_URL", db.url()).env("BIND", "127.0.0.1:0");
    let up = up.spawn().expect("the program can be run");
    until("orders come", LIMIT, async || count(db.pool(), "select count(*) from raw_ops.orders").await > 5).await;
    signal(&up, "TERM");
    let ended = up.wait_with_output().await.expect("it ends");
    assert_eq!((code(ended.status), String::from_utf8_lossy(&ended.stderr).as_ref()), (0, ""));
    let report = rawops(&db.url(), &["doctor", "--json"]).await.ok().json();
    assert_eq!(report["faults"], 0, "{report}");
}

#[tokio::test]
async fn with_a_real_shop_there_is_no_sandbox() {
    let db = Database::new().await;
    let mut up = command(&["up", "--orders", "5"]);
    up.env("DATABASE_URL", db.url()).env("BIND", "127.0.0.1:0").env("SHOPIFY_WEBHOOK_SECRET", "hush");
    assert!(answer(up).await.refusal(1).starts_with("the sandbox shop is off because SHOPIFY_WEBHOOK_SECRET is set"));
    for set in ["SHOPIFY_WEBHOOK_SECRET", "PACKER_DROP_URL"] {
        let mut up = command(&["up", "--sftp"]);
        up.env("DATABASE_URL", db.url()).env("BIND", "127.0.0.1:0").env(set, "https://packer.example");
        assert!(answer(up).await.refusal(1).starts_with(&format!("the sandbox's packer is off because {set} is set")));
    }
    let mut up = command(&["up", "--for", "100ms"]);
    up.env("DATABASE_URL", db.url()).env("BIND", "127.0.0.1:0");
    up.env("SHOPIFY_WEBHOOK_SECRET", "hush").env("SHOPIFY_SHOP_DOMAIN", "raw.myshopify.com");
    let answer = answer(up).await.ok();
    assert!(!answer.out.contains("sandbox") && answer.out.ends_with("doctor found no fault\n"), "{answer:?}");
}

#[tokio::test]
async fn where_a_real_shop_has_written_nobody_plays() {
    let db = Database::new().await;
    crate::orders::inbox::receive(db.pool(), "orders/paid", &crate::orders::inbox::paid()).await;
    crate::orders::inbox::execute(db.pool(), "update raw_ops.webhook_inbox set shop = 'raw.myshopify.com'").await;
    let mut up = command(&["up", "--for", "100ms"]);
    up.env("DATABASE_URL", db.url()).env("BIND", "127.0.0.1:0");
    assert!(answer(up).await.refusal(1).starts_with("this database has webhooks of raw.myshopify.com, and beside a sandbox"));
    assert_eq!(count(db.pool(), "select count(*) from raw_ops.webhook_inbox").await, 1);
}

/// What the packer needs to know of each order that has its stock, as a person would say it.
const INSTRUCTED: &str = "
    insert into raw_ops.packing_instructions
        (order_id, box_size, pcm_mass_kg, pcm_packs_count, risk_level, calculated_by, food_grams, postcode, country)
    select o.id, 'small', 1.5, 3, 'LOW', 'ada', p.food_grams, p.postcode, p.country
    from raw_ops.orders o, raw_ops.parcel_to_pack(o.id) p where o.status = 'ALLOCATED'
    on conflict do nothing";

#[tokio::test]
async fn a_whole_order_flows_through_the_sandboxes_of_up() {
    let db = Database::new().await;
    for product in sandbox::shopify::catalogue() {
        let made = shelf::product(db.pool(), product.sku).await;
        Batch::of(1_000, 90).put(db.pool(), product.sku, made).await;
    }
    let mut up = command(&["up", "--orders", "12", "--rate", "200"]);
    up.env("DATABASE_URL", db.url()).env("BIND", "127.0.0.1:0");
    let up = up.spawn().expect("the program can be run");
    let comes = async |what: &str, query: &'static str| {
        until(what, LIMIT, async || sqlx::query_scalar(query).fetch_one(db.pool()).await.expect("the query is sound")).await;
    };
    comes("each order that can have its stock has it", "select count(*) >= 12 and not exists (select from engine.job_state
        where state not in ('completed', 'scheduled')) and exists (select from raw_ops.orders where status = 'ALLOCATED') from raw_ops.orders").await;
    execute(db.pool(), INSTRUCTED).await;
    rawops(&db.url(), &["schedules", "run", "order-export"]).await.ok();
    comes("the packer has read them", "select exists (select from raw_ops.export_outbox where status = 'confirmed')").await;
    rawops(&db.url(), &["schedules", "run", "fetch-dispatches"]).await.ok();
    comes(
        "they have left, and their customers know",
        "select exists (select from raw_ops.orders where status = 'DISPATCHED')
        and not exists (select from raw_ops.orders where status = 'EXPORTED')
        and exists (select from raw_ops.outbox where event_type = 'order_dispatched')
        and not exists (select from raw_ops.outbox where state <> 'sent')",
    )
    .await;
    let moves = "update raw_ops.customers set address1 = '2 New Road' where id = (
        select customer_id from raw_ops.orders where status = 'DISPATCHED' and customer_id is not null limit 1)";
    execute(db.pool(), moves).await;
    comes(
        "Shopify knows of a new address",
        "select exists (select from raw_ops.address_changes where shopify_state = 'synced' and source = 'database')",
    )
    .await;
    signal(&up, "TERM");
    let ended = up.wait_with_output().await.expect("it ends");
    let out = String::from_utf8_lossy(&ended.stdout);
    assert_eq!((code(ended.status), String::from_utf8_lossy(&ended.stderr).as_ref()), (0, ""));
    for system in
        ["Customer.io at", "the packer's drop at", "Slack, one webhook", "weather forecast at", "Seal at", "the shop's Admin API at"]
    {
        assert!(out.contains(&format!("sandbox: {system}")), "{system}: {out}");
    }
    assert_eq!(count(db.pool(), "select count(*) from raw_ops.dead_letter_queue").await, 0);
    assert_eq!(shelf::rows(db.pool(), "select * from raw_ops.stock_drift()").await, serde_json::json!([]));
}
