//! Health: the house keeping itself in order.

mod prune_enqueue_keys;

pub use prune_enqueue_keys::PruneEnqueueKeys;
