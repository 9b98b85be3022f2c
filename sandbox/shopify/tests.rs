//! The shop: its documents, and how they are delivered.

mod delivered;
mod documents;
