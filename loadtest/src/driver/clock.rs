//! The run's clock: microseconds from T0, by the monotonic clock, so that nothing moves it during the run.

use std::time::{Duration, Instant, SystemTime};

/// Microseconds from T0; negative before.
#[derive(Clone, Copy, Debug)]
pub struct RunClock {
    origin: Instant,
    origin_us: i64,
}

impl RunClock {
    /// A clock for a T0 by the wall clock, looked at once.
    #[must_use]
    pub fn for_t0(t0: SystemTime) -> Self {
        let (origin, wall) = (Instant::now(), SystemTime::now());
        let origin_us = match wall.duration_since(t0) {
            Ok(since) => micros(since),
            Err(ahead) => -micros(ahead.duration()),
        };
        Self { origin, origin_us }
    }

    /// Now.
    #[must_use]
    pub fn now_us(&self) -> i64 {
        self.origin_us + micros(self.origin.elapsed())
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
