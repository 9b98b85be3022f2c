//! The pipelines of Protocol Raw, one file a kind of job: `orders.process_order` is `orders/process_order.rs`.

pub mod allocation;
pub mod clients;
pub mod health;
pub mod orders;

use allocation::AllocateOrder;
use health::PruneEnqueueKeys;
use orders::ProcessOrder;

/// Every kind of job a worker can run.
pub fn kinds() -> engine::Kinds {
    engine::Kinds::new().with::<ProcessOrder>().with::<AllocateOrder>().with::<PruneEnqueueKeys>()
}
