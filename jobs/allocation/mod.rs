//! Allocation: which batches an order is packed from.

mod allocate_order;

pub use allocate_order::AllocateOrder;
