//! How many requests a second a system takes.

use std::sync::Mutex;
use std::time::{Duration, Instant};

/// A bucket that fills steadily; each request takes one drop.
pub(crate) struct Limit {
    per_second: f64,
    burst: f64,
    level: Mutex<(f64, Instant)>,
}

impl Limit {
    pub(crate) fn new(per_second: f64, burst: f64) -> Self {
        Self { per_second, burst, level: Mutex::new((burst, Instant::now())) }
    }

    /// Takes a drop, or says how long until there is one.
    pub(crate) fn take(&self) -> Result<(), Duration> {
        let mut level = self.level.lock().expect("no holder of this lock panics");
        let now = Instant::now();
        let filled = (level.0 + now.duration_since(level.1).as_secs_f64() * self.per_second).min(self.burst);
        *level = (filled, now);
        if filled < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - filled) / self.per_second));
        }
        level.0 -= 1.0;
        Ok(())
    }
}
