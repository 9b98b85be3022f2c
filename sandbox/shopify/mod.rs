//! A Shopify shop that sends signed order webhooks.
//!
//! seed -> shop -> story of each order -> deliveries -> signed POST, retried
//!
//! The same seed gives the same orders, byte for byte, whatever the speed; the
//! faults of delivery (repeated, late, out of order, replayed) are drawn from
//! the seed too. A ledger keeps what each order must finally look like.

mod admin;
mod catalogue;
pub(crate) mod clock;
mod customers;
mod delivery;
pub(crate) mod document;
mod ledger;
pub(crate) mod money;
mod options;
pub(crate) mod order;
pub(crate) mod people;
mod run;
mod sender;
mod shop;
mod signature;
pub(crate) mod story;

pub use admin::{Admin, AdminOptions};
pub use catalogue::{Product, catalogue};
pub use delivery::{Delivery, Kind};
pub use ledger::{Counters, Truth};
pub use options::{Faults, Options};
pub use run::{Handle, Sandbox};
pub use shop::Shop;
pub use signature::sign;

#[cfg(test)]
mod tests;
