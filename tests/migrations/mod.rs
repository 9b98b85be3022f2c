//! The schema, where it does more than hold rows.

mod engine_names;
mod late;
mod webhook_inbox;
