//! Allocation.

mod allocate_order;
mod crowd;
mod fefo;
mod waiting;
