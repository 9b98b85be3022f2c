//! The component registry: that the database holds it, and what its parts do.

mod compare;
mod exceptions;
mod inventory;
mod row_jobs;
mod schema;
