//! Customers: what Shopify says of them, and what they ask by law.

mod privacy;
mod process_customer;
