//! Batches: their public name, and their release.

mod public_batch_id;
mod release;
