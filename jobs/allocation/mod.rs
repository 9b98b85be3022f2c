//! Allocation: which batches an order is packed from.

mod allocate_order;
mod release_holds;
mod watch_queue;

pub use allocate_order::AllocateOrder;
pub use release_holds::ReleaseHolds;
pub use watch_queue::WatchQueue;
