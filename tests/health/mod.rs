//! The house keeping itself in order.

mod prune_enqueue_keys;
