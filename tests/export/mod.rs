//! Exports: the packer gets every order whose stock is reserved, once.

mod collect_orders;
mod crashes;
mod send_file;
mod sftp;
mod stopped;

use engine::{Client, Job, NewJob};
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::orders::inbox::row;
use crate::support::{
    Database, Outside, run_all,
    shelf::{self, Batch, allocate, product},
};

/// An order by this label, with an address, its stock and the instruction of today.
pub async fn ready(pool: &PgPool, product: Uuid, label: &str, units: i32) -> Uuid {
    let order = shelf::order(pool, &[(product, units)]).await;
    sqlx::query(
        "update raw_ops.orders set order_number_label = $2, ship_name = 'Ann Łuczak', ship_phone = '+44 7700 900123',
             ship_address1 = 'Flat 2, 1 High St', ship_city = 'Southsea', ship_postcode = 'PO1 2AB', ship_country = 'GB' where id = $1",
    )
    .bind(order)
    .bind(label)
    .execute(pool)
    .await
    .expect("an order can have an address");
    assert_eq!(allocate(pool, order).await.0, "allocated");
    sqlx::query(
        "insert into raw_ops.packing_instructions
             (order_id, box_size, pcm_mass_kg, pcm_packs_count, risk_level, pack_on, deliver_on, food_grams, postcode, country)
         select $1, 'small', 1.5, 3, 'LOW', raw_ops.today(), '2026-03-31', food_grams, postcode, country from raw_ops.parcel_to_pack($1)",
    )
    .bind(order)
    .execute(pool)
    .await
    .expect("an order can have an instruction");
    order
}

/// So many orders that wait for the export: `#1`, `#2` and so on, of two units each.
pub async fn waiting(pool: &PgPool, orders: usize) -> Vec<Uuid> {
    let beef = product(pool, "BEEF").await;
    Batch::of(2 * orders as i32 + 10, 30).put(pool, "b1", beef).await;
    let mut made = Vec::new();
    for n in 1..=orders {
        made.push(ready(pool, beef, &format!("#{n}"), 2).await);
    }
    made
}

/// Runs a job and all that follows; what it said.
pub async fn run<J: Job>(db: &Database, outside: &Outside, job: J) -> Value {
    let id = Client::new(db.pool().clone()).enqueue(&NewJob::of(&job).expect("it serialises")).await.expect("enqueued").id;
    run_all(db, outside.kinds()).await;
    row(db.pool(), &format!("select output from engine.job_state where id = {id}")).await["output"].take()
}

/// Where each order stands, in the order of their labels.
pub async fn stands(db: &Database) -> Value {
    shelf::rows(db.pool(), "select order_number_label, status, export_state from raw_ops.orders order by length(order_number_label), 1")
        .await
}

/// All of so many orders stand here.
pub fn all(orders: usize, status: &str, state: Option<&str>) -> Value {
    (1..=orders).map(|n| json!([format!("#{n}"), status, state])).collect()
}

/// The batch that there is: its state, and how often it was tried.
pub async fn batch(db: &Database) -> (String, i32) {
    sqlx::query_as("select status, attempts from raw_ops.export_outbox").fetch_one(db.pool()).await.expect("one batch")
}
