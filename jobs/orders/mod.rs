//! Orders: from a webhook in the inbox to an order that asks for stock, and what is refunded and sent of it.

mod process_fulfillment;
mod process_order;
mod process_refund;
pub mod shopify_customer;
pub mod shopify_order;
pub mod shopify_refund;
pub mod shopify_values;

pub use process_fulfillment::ProcessFulfillment;
pub use process_order::ProcessOrder;
pub use process_refund::ProcessRefund;
