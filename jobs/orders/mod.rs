//! Orders: from a webhook in the inbox to an order that asks for stock.

mod process_order;
pub mod shopify_order;
pub mod shopify_values;

pub use process_order::ProcessOrder;
