//! Many allocators over few batches, at once. Every run is repeatable by its seed.

use std::{sync::Arc, time::Duration};

use rand::{RngExt, SeedableRng, rngs::StdRng, seq::SliceRandom};
use serde_json::json;
use sqlx::{PgPool, postgres::PgPoolOptions};
use tokio::{sync::Mutex, task::JoinSet};
use uuid::Uuid;

use crate::orders::inbox::count;
use crate::support::{
    Database, run_all,
    shelf::{Batch, allocate, message, order, pass, product, rows},
};

const ALLOCATORS: usize = 32;

/// Room for every allocator at once.
async fn wide_pool(db: &Database) -> PgPool {
    PgPoolOptions::new()
        .max_connections(ALLOCATORS as u32)
        .acquire_timeout(Duration::from_mins(1))
        .connect(&db.url())
        .await
        .expect("the database accepts connections")
}

/// What must hold whatever happened: what is reserved is what open allocations say, and nothing is promised twice.
async fn assert_books_agree(pool: &PgPool, seed: u64) {
    let wrong = rows(
        pool,
        "select b.batch_code, b.qty_on_hand, b.qty_reserved, s.units
         from raw_ops.batches b
         cross join lateral (
             select coalesce(sum(a.qty_allocated), 0) as units from raw_ops.allocations a
             where a.batch_id = b.id and not exists (select from raw_ops.stock_dispatches d where d.allocation_id = a.id)
         ) s
         where b.qty_reserved <> s.units or b.qty_reserved > b.qty_on_hand or b.qty_on_hand < 0",
    )
    .await;
    assert_eq!(wrong, json!([]), "seed {seed}");
    let held = rows(pool, "select * from raw_ops.stock_drift() where figure like 'units % of a batch'").await;
    assert_eq!(held, json!([]), "seed {seed}");
    let too_much = rows(
        pool,
        "select i.id from raw_ops.order_items i join raw_ops.allocations a on a.order_item_id = i.id
         group by i.id having sum(a.qty_allocated) > i.qty or min(a.remaining_qty) <> i.qty - sum(a.qty_allocated)",
    )
    .await;
    assert_eq!(too_much, json!([]), "seed {seed}");
}

/// Allocates the orders from so many connections as there are allocators, all at once.
async fn allocate_all(pool: &PgPool, orders: Vec<Uuid>) {
    let left = Arc::new(Mutex::new(orders));
    let mut allocators = JoinSet::new();
    for _ in 0..ALLOCATORS {
        let (pool, left) = (pool.clone(), Arc::clone(&left));
        allocators.spawn(async move {
            loop {
                let next = left.lock().await.pop();
                let Some(next) = next else { return };
                allocate(&pool, next).await;
            }
        });
    }
    while let Some(ended) = allocators.join_next().await {
        ended.expect("no allocator fails, not even by a deadlock");
    }
}

/// Three products, few batches of each, and orders for more than there is.
async fn fill(pool: &PgPool, random: &mut StdRng) -> Vec<Uuid> {
    let mut products = Vec::new();
    for sku in ["BEEF", "LAMB", "DUCK"] {
        let id = product(pool, sku).await;
        for n in 0..random.random_range(2..=4) {
            Batch::of(random.random_range(3..=25), random.random_range(1..=60)).put(pool, &format!("{sku} {n}"), id).await;
        }
        products.push(id);
    }
    let mut orders = Vec::new();
    for _ in 0..60 {
        products.shuffle(random);
        let lines: Vec<_> = products[..random.random_range(1..=3)].iter().map(|id| (*id, random.random_range(1..=4))).collect();
        orders.push(order(pool, &lines).await);
    }
    orders
}

#[tokio::test]
async fn a_crowd_of_allocators_sells_every_unit_once_and_the_oldest_first() {
    for seed in 0..4 {
        let db = Database::new().await;
        let pool = wide_pool(&db).await;
        let mut random = StdRng::seed_from_u64(seed);
        let mut orders = fill(&pool, &mut random).await;
        orders.extend_from_within(..);
        orders.shuffle(&mut random);
        allocate_all(&pool, orders).await;

        assert_books_agree(&pool, seed).await;
        // Demand exceeds what there is or not: either way no unit is left over that somebody waits for.
        let unfair = rows(
            &pool,
            "select p.sku from raw_ops.products p
             cross join lateral (select sum(qty_on_hand) as units from raw_ops.batches b where b.product_id = p.id) there
             cross join lateral (select coalesce(sum(i.qty), 0) as units from raw_ops.order_items i where i.product_id = p.id) wanted
             cross join lateral (select coalesce(sum(a.qty_allocated), 0) as units from raw_ops.allocations a
                                 join raw_ops.batches b on b.id = a.batch_id where b.product_id = p.id) given
             where given.units <> least(there.units, wanted.units)",
        )
        .await;
        assert_eq!(unfair, json!([]), "seed {seed}");
        // Allocations of a product happen one after the other, so no later one may have an earlier date.
        let out_of_turn = rows(
            &pool,
            "select a.created_at from (
                 select a.created_at, b.expiry_date, max(b.expiry_date) over (
                     partition by b.product_id order by a.created_at rows between unbounded preceding and 1 preceding) as before
                 from raw_ops.allocations a join raw_ops.batches b on b.id = a.batch_id
             ) a where a.expiry_date < a.before",
        )
        .await;
        assert_eq!(out_of_turn, json!([]), "seed {seed}");
        assert!(count(&pool, "raw_ops.allocations").await > 20, "seed {seed} tests something");
    }
}

/// An order that is not paid and holds its stock, perhaps for a second.
const PLACE: &str = "do $$
    declare
        placed uuid;
    begin
        insert into raw_ops.orders (status, ordered_at) values ('PENDING', now() - interval '1 h' + random() * interval '2 s')
        returning id into placed;
        insert into raw_ops.order_items (order_id, product_id, qty, unit_price_ex_vat)
        select placed, p.id, 1 + floor(random() * 3)::integer, 1 from raw_ops.products p where random() < 0.7 or p.sku = 'BEEF';
        perform raw_ops.hold_stock(placed);
    end
    $$";

/// One thing that happens in a stock room.
async fn happen(pool: &PgPool, random: &mut StdRng) {
    let statement = match random.random_range(0..14) {
        0..=3 => "select raw_ops.allocate_order_to_batches(id) from raw_ops.orders order by random() limit 1",
        4 => "select raw_ops.release_batch(id, 'ann') from raw_ops.batches where status = 'QA_HOLD' order by random() limit 1",
        5 => {
            "select raw_ops.execute_manual_inventory_adjustment(id, 3, 'found', 'ann')
             from raw_ops.batches where status = 'RELEASED' order by random() limit 1"
        }
        6 => "select raw_ops.execute_manual_inventory_adjustment(id, -2, 'broken', 'ann') from raw_ops.batches order by random() limit 1",
        7 => {
            "insert into raw_ops.shipments (order_id, status)
             select id, 'DISPATCHED' from raw_ops.orders where status = 'ALLOCATED' order by random() limit 1"
        }
        8 => "update raw_ops.shipments set status = 'DISPATCHED' where id = (select id from raw_ops.shipments order by random() limit 1)",
        9 | 10 => PLACE,
        11 => {
            "with paid as (
                 update raw_ops.orders set status = 'PAID'
                 where status = 'PENDING' and id = (select id from raw_ops.orders where status = 'PENDING' order by random() limit 1)
                 returning id
             )
             select raw_ops.request_allocation(id, 'PAID') from paid"
        }
        12 => "select raw_ops.release_expired_hold()",
        _ => {
            "with ended as (
                 update raw_ops.orders set status = 'CANCELLED'
                 where id = (select id from raw_ops.orders o where status in ('PENDING', 'PAID', 'PARTIALLY_ALLOCATED', 'ALLOCATED')
                             and not exists (select from raw_ops.shipments s where s.order_id = o.id) order by random() limit 1)
                 returning id
             )
             select raw_ops.request_allocation(id, 'CANCELLED') from ended"
        }
    };
    if let Err(error) = sqlx::query(statement).execute(pool).await {
        let said = message(&error);
        assert!(said.contains("of them reserved: it cannot change by -2"), "{statement}: {said}");
    }
}

/// Allocations, releases, corrections, dispatches and cancellations at once, with the real jobs running: in the end
/// the books agree, every movement adds up, and nobody waits for what is there.
#[tokio::test]
async fn a_busy_stock_room_loses_nothing_and_nobody_waits_for_what_is_there() {
    for seed in 100..102 {
        let db = Database::new().await;
        let pool = wide_pool(&db).await;
        let mut random = StdRng::seed_from_u64(seed);
        fill(&pool, &mut random).await;
        let products: Vec<Uuid> = sqlx::query_scalar("select id from raw_ops.products order by sku").fetch_all(&pool).await.expect("three");
        for n in 0..12 {
            let held = Batch::of(random.random_range(1..=8), 40 + n).status("QA_HOLD");
            let id = held.put(&pool, &format!("held {n}"), products[n as usize % 3]).await;
            pass(&pool, id).await;
        }
        let before = rows(&pool, "select sum(qty_on_hand) from raw_ops.batches").await;

        let mut hands = JoinSet::new();
        for hand in 0..12 {
            let (pool, mut random) = (pool.clone(), StdRng::seed_from_u64(seed * 1000 + hand));
            hands.spawn(async move {
                for _ in 0..25 {
                    happen(&pool, &mut random).await;
                }
            });
        }
        run_all(&db, jobs::kinds()).await;
        while let Some(ended) = hands.join_next().await {
            ended.expect("nothing that happens fails");
        }
        run_all(&db, jobs::kinds()).await;

        assert_books_agree(&pool, seed).await;
        assert_eq!(count(&pool, "raw_ops.dead_letter_queue").await, 0, "seed {seed}");
        let moved = "select sum(qty_on_hand) - (select coalesce(sum(qty_change), 0) from raw_ops.inventory_movements) as units from raw_ops.batches";
        assert_eq!(rows(&pool, moved).await, before, "seed {seed}: every change has its movement");
        let in_vain = rows(
            &pool,
            "select o.id from raw_ops.orders o cross join lateral raw_ops.order_needs(o.id) n
             where o.status in ('PAID', 'PARTIALLY_ALLOCATED')
               and exists (select from raw_ops.free_batches(n.product_id, raw_ops.first_expiry()))",
        )
        .await;
        assert_eq!(in_vain, json!([]), "seed {seed}");
        let silent = rows(
            &pool,
            "select o.id from raw_ops.orders o where o.status = 'PARTIALLY_ALLOCATED'
               and not exists (select from raw_ops.allocation_queue q where q.order_id = o.id and q.state = 'pending')",
        )
        .await;
        assert_eq!(silent, json!([]), "seed {seed}");
    }
}
