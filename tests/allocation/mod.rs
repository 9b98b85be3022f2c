//! Allocation.

mod allocate_order;
mod crowd;
mod fefo;
mod waiting;
mod watch_queue;
