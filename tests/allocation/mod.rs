//! Allocation.

mod allocate_order;
