//! What `up` does before it is ready, a line a step with its time.

use std::time::Duration;

/// Tells that a step is done.
pub fn step(what: &str, took: Duration) {
    // Whoever closed standard output does not want to know.
    let _ = crate::output::print(format!("  {what:<66} {:>6} ms", took.as_millis()));
}
