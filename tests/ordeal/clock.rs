//! The clock that all processes of a run share and no fault moves: the machine's monotonic one.

use rustix::time::{ClockId, clock_gettime};

/// Microseconds since the machine was started.
pub fn now_us() -> i64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec * 1_000_000 + now.tv_nsec / 1000
}
