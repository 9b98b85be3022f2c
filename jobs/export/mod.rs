//! Exports: which orders the packer is to pack, as a file that it gets once.

mod collect_orders;
mod field;
pub mod manifest;
mod send_file;
mod stopped;

pub use collect_orders::CollectOrders;
pub use send_file::SendFile;
pub use stopped::resolve_stopped_order;
