//! A month of a small shop: orders, changes, cancellations, refunds, shortage, packing, exports, dispatches, scans, moves, and an
//! outage of each outside system, on the engine's own clock. Its books balance in the end, to the penny and the gram.

mod books;
mod course;
mod house;
mod papers;
mod play;
mod shop;

use std::time::Instant;

/// What a variable says, if it says a number.
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// `RAWOPS_MONTH_SEED` and `RAWOPS_MONTH_ORDERS` draw another month.
#[tokio::test(flavor = "multi_thread")]
async fn a_month_of_a_small_shop_ends_with_books_that_balance() {
    let begun = Instant::now();
    let (seed, orders) = (number("RAWOPS_MONTH_SEED").unwrap_or(1), number("RAWOPS_MONTH_ORDERS").unwrap_or(150) as usize);
    let month = play::play(seed, orders).await;
    books::balance(month).await;
    println!("the month of seed {seed} with {orders} orders took {:?}", begun.elapsed());
}
