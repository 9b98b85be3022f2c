//! Outside systems on this machine, for trying every pipeline without an account, and a company to try them on.
//!
//! Each vendor's module speaks its real contract closely enough that the product cannot tell the difference, faults
//! included. [`company`] fills a database with the past of a company that used them.

mod chance;
pub mod company;
pub mod customerio;
pub mod forecast;
mod front;
pub mod packer;
pub mod seal;
pub mod shopify;
pub mod slack;

pub use front::{Fault, FaultRates};

/// An HTTP client to be. Whoever builds the first one in a process says which cryptography it has.
fn http() -> reqwest::ClientBuilder {
    // One that is there already stays.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
}
