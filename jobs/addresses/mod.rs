//! Addresses: a customer's new one reaches every system that keeps a copy.

pub mod address;
mod change;
mod sweep_changes;
mod sync_to_seal;
mod sync_to_shopify;

pub use sweep_changes::SweepChanges;
pub use sync_to_seal::SyncToSeal;
pub use sync_to_shopify::SyncToShopify;
