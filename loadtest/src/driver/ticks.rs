//! When the driver wakes: on a grid of one tick, and only where something is due, so that quiet time costs nothing.

use std::{
    future::Future as _,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

use crate::limits::{FREEZE_MIN, IDLE_TICKS_MAX, TICK};

/// An alarm clock.
#[derive(Debug)]
pub(super) struct Ticks {
    origin: Instant,
    sleep: Pin<Box<Sleep>>,
}

impl Ticks {
    /// The first tick is now. Call it within a runtime.
    pub(super) fn new() -> Self {
        let origin = Instant::now();
        Self { origin, sleep: Box::pin(sleep_until(origin)) }
    }

    /// Whether it is time, and how long this thread stood still beyond it.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Duration> {
        self.sleep.as_mut().poll(cx).map(|()| {
            let late = self.sleep.deadline().elapsed();
            if late >= FREEZE_MIN { late } else { Duration::ZERO }
        })
    }

    /// The next tick at or after what is due, never one that is past: whatever was missed is released together.
    pub(super) fn set(&mut self, cx: &mut Context<'_>, due_in_us: i64) {
        let ticks = |span: Duration| u32::try_from(span.as_micros() / TICK.as_micros()).unwrap_or(u32::MAX);
        let passed = ticks(self.origin.elapsed());
        let due = Duration::from_micros(u64::try_from(due_in_us).unwrap_or(0));
        let due = ticks(self.origin.elapsed() + due + TICK);
        let at = due.clamp(passed.saturating_add(1), passed.saturating_add(IDLE_TICKS_MAX));
        self.sleep.as_mut().reset(self.origin + TICK * at);
        // Registers. One that came meanwhile is looked at after the connections had their turn.
        if self.sleep.as_mut().poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
    }
}
