//! Allocation: which batches an order is packed from.

mod allocate_order;
mod watch_queue;

pub use allocate_order::AllocateOrder;
pub use watch_queue::WatchQueue;
