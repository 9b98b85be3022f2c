//! Exports: which orders the packer is to pack, as a file that it gets once.

mod collect_orders;
mod field;
pub mod manifest;
mod send_file;

pub use collect_orders::CollectOrders;
pub use send_file::SendFile;
