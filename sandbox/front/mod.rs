//! The HTTP server in front of each sandbox: a real socket, the vendor's rate, and faults on request.

mod faults;
mod limit;
mod server;

pub(crate) use faults::Faults;
pub use faults::{Fault, FaultRates};
pub(crate) use limit::Limit;
pub(crate) use server::{Answer, Asked, Front, System};
