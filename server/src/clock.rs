//! Where instants come from. Everything below is given `now`; only the edges and the ledger's thread ask a clock.

use std::{
    fmt,
    sync::atomic::{AtomicI64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use kuota_domain::time::UnixMillis;

/// Milliseconds the wall clock may move against the monotonic one before writes pause.
pub const DRIFT_MAX_MS: i64 = 5_000;
/// Milliseconds by which a call's clock is believed to be ahead of the ledger's: a small step back in between.
pub const STEP_BACK_MAX_MS: i64 = 1_000;

/// A source of instants.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The instant by the wall clock.
    fn now(&self) -> UnixMillis;

    /// Milliseconds the wall clock has moved against the monotonic one since the start.
    fn drift_ms(&self) -> i64;

    /// Whether the wall clock is not to be believed: nothing is granted, and nothing refused, on its word.
    fn drifts(&self) -> bool {
        self.drift_ms().abs() > DRIFT_MAX_MS
    }
}

/// The machine's clock.
#[derive(Debug)]
pub struct SystemClock {
    /// The wall clock and the time since boot, which goes on while the machine sleeps.
    started: (UnixMillis, i64),
}

impl Default for SystemClock {
    fn default() -> Self {
        Self { started: (wall(), since_boot_ms()) }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> UnixMillis {
        wall()
    }

    fn drift_ms(&self) -> i64 {
        let (wall_then, boot_then_ms) = self.started;
        wall().0 - wall_then.0 - (since_boot_ms() - boot_then_ms)
    }
}

fn since_boot_ms() -> i64 {
    let since = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    since.tv_sec * 1_000 + since.tv_nsec / 1_000_000
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
