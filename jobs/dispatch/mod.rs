//! Dispatches: what the packer says has left, and the parcels that it becomes.

pub mod file;
mod import_dispatch;
mod read_file;

pub use import_dispatch::ImportDispatch;
pub use read_file::ReadFile;
