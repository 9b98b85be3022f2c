//! Outside systems on this machine, for trying every pipeline without an account.
//!
//! Each module speaks one vendor's real contract closely enough that the
//! product cannot tell the difference, faults included.

pub mod shopify;
