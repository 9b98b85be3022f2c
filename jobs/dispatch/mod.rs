//! Dispatches: what the packer says has left, and the parcels that it becomes.

mod fetch_files;
pub mod file;
mod import_dispatch;
mod read_file;

pub use fetch_files::FetchFiles;
pub use import_dispatch::ImportDispatch;
pub use read_file::ReadFile;
