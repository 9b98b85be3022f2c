//! Orders: documents, what becomes of them, and the job that does it.

pub mod inbox;

mod arrival;
mod customers;
mod lines;
mod money;
mod mutated_documents;
mod process_order;
mod shared_documents;
mod shopify_order;
mod status;
