//! The migrations, and the schema where it does more than hold rows.

mod engine_names;
mod racing;
mod schema;
mod webhook_inbox;
