//! Allocation.

mod allocate_order;
mod crowd;
mod fefo;
mod holds;
mod waiting;
mod watch_queue;
