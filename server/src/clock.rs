//! Where instants come from. Everything below is given `now`; only the edges and the ledger's thread ask a clock.

use std::{
    fmt,
    sync::atomic::{AtomicI64, Ordering},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use kuota_domain::time::UnixMillis;

/// Milliseconds the wall clock may move against the monotonic one before writes pause.
pub const DRIFT_MAX_MS: i64 = 5_000;

/// A source of instants.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The instant by the wall clock.
    fn now(&self) -> UnixMillis;

    /// Milliseconds the wall clock has moved against the monotonic one since the start.
    fn drift_ms(&self) -> i64;
}

/// The machine's clock.
#[derive(Debug)]
pub struct SystemClock {
    started: (UnixMillis, Instant),
}

impl Default for SystemClock {
    fn default() -> Self {
        Self { started: (wall(), Instant::now()) }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> UnixMillis {
        wall()
    }

    fn drift_ms(&self) -> i64 {
        let (wall_then, then) = self.started;
        let elapsed_ms = i64::try_from(then.elapsed().as_millis()).unwrap_or(i64::MAX);
        wall().0 - wall_then.0 - elapsed_ms
    }
}

fn wall() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// A clock that a test moves.
#[derive(Debug)]
pub struct ManualClock {
    now_ms: AtomicI64,
    drift_ms: AtomicI64,
}

impl ManualClock {
    /// Stands at an instant.
    #[must_use]
    pub fn at(now: UnixMillis) -> Self {
        Self { now_ms: AtomicI64::new(now.0), drift_ms: AtomicI64::new(0) }
    }

    /// Moves to an instant.
    pub fn set(&self, now: UnixMillis) {
        self.now_ms.store(now.0, Ordering::SeqCst);
    }

    /// Pretends that the wall clock was moved.
    pub fn set_drift_ms(&self, drift_ms: i64) {
        self.drift_ms.store(drift_ms, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> UnixMillis {
        UnixMillis(self.now_ms.load(Ordering::SeqCst))
    }

    fn drift_ms(&self) -> i64 {
        self.drift_ms.load(Ordering::SeqCst)
    }
}
