//! Orders: documents, what becomes of them, and the job that does it.

pub mod inbox;

mod arrival;
mod crashes;
mod customers;
mod fulfillments;
mod lines;
mod money;
mod mutated_documents;
mod process_order;
mod refunds;
pub mod shared_documents;
mod shopify_order;
mod status;
