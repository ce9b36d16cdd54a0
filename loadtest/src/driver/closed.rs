//! A closed loop at full throttle: so many calls under way, and a new one for each that ends. It measures what a server
//! or this client can do, and nothing that people would feel: for that there is the plan. Or an open loop at a rate: each
//! call has its time, whatever became of those before it, and its latency counts from then.

use std::{
    future::poll_fn,
    io,
    net::SocketAddr,
    task::Poll,
    time::{Duration, Instant},
};

use bytes::Bytes;
use hdrhistogram::Histogram;
use rustix::time::{ClockId, clock_gettime};
use tokio::time::interval;

use super::{
    call::Fault,
    tally::{histogram, record},
    wire::{Procedure, Wire},
};
use crate::limits::TICK;

/// What is said when a connection does not take the calls it should.
const CUT_SHORT: &str = "a connection was lost, or takes fewer calls at once";

/// How many calls under way, or how often, for how long.
#[derive(Clone, Copy, Debug)]
pub struct Throttle {
    /// Where to.
    pub address: SocketAddr,
    /// Connections.
    pub connections: usize,
    /// Calls at once on each; at a rate, at most.
    pub streams: usize,
    /// Calls a second; `None`: one for each that ends.
    pub rate: Option<u32>,
    /// For how long.
    pub duration: Duration,
}

/// What came of it.
#[derive(Debug)]
pub struct Closed {
    /// Calls answered.
    pub calls: u64,
    /// What the check counted.
    pub counted: u64,
    /// The first answer that was not of the kind that is measured.
    pub wrong: Option<String>,
    /// How long it took.
    pub elapsed: Duration,
    /// CPU time of the client's thread.
    pub cpu_ns: u64,
    /// Service times; at a rate, from when each was to be sent.
    pub latency: Histogram<u32>,
}

impl Closed {
    /// With what another thread did in the same time.
    pub fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.counted += other.counted;
        self.wrong = self.wrong.take().or_else(|| other.wrong.clone());
        self.elapsed = self.elapsed.max(other.elapsed);
        self.cpu_ns += other.cpu_ns;
        // The bounds are the same.
        let _ = self.latency.add(&other.latency);
    }

    /// Calls a second.
    #[must_use]
    pub fn calls_per_s(&self) -> f64 {
        per_second(self.calls, self.elapsed)
    }

    /// Client CPU a call, in microseconds.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    pub fn cpu_us_per_call(&self) -> f64 {
        self.cpu_ns as f64 / 1_000.0 / (self.calls.max(1) as f64)
    }
}

/// A rate.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
pub fn per_second(count: u64, elapsed: Duration) -> f64 {
    count as f64 / elapsed.as_secs_f64().max(1e-9)
}

/// Calls until the time is over or there are no more bodies. Each body has something that tells its answer apart; `check`
/// counts what is in an answer, or says what is wrong.
///
/// # Errors
/// When no connection can be had.
pub async fn close_loop<M: Unpin>(
    throttle: Throttle,
    procedure: Procedure,
    mut body: impl FnMut() -> Option<(Bytes, M)>,
    mut check: impl FnMut(&Result<Bytes, Fault>, M) -> Result<u64, String>,
) -> io::Result<Closed> {
    let Throttle { address, connections, streams, rate, duration } = throttle;
    let mut wire: Wire<(M, i64)> = Wire::connect(address, connections, streams, 60_000_000).await?;
    let (started, cpu) = (Instant::now(), thread_cpu_ns());
    let now_us = || i64::try_from(started.elapsed().as_micros()).unwrap_or(i64::MAX);
    let end_us = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
    let mut closed = Closed {
        calls: 0,
        counted: 0,
        wrong: None,
        elapsed: Duration::ZERO,
        cpu_ns: 0,
        latency: histogram(),
    };
    let most = connections * streams;
    // At a rate: how many are due by then, the first at once.
    let due_by = |rate: u32, us: i64| {
        let intervals = |us: i64| us * i64::from(rate) / 1_000_000;
        (intervals(us) + 1).min(intervals(end_us))
    };
    let mut sent = 0_i64;
    let mut ticks = interval(TICK);
    let mut is_over = false;
    poll_fn(|cx| {
        while ticks.poll_tick(cx).is_ready() {
            wire.tend(cx, now_us());
        }
        loop {
            let unsent = rate.map_or(0, |rate| due_by(rate, now_us()) - sent);
            is_over = is_over || (now_us() >= end_us && unsent == 0) || closed.wrong.is_some();
            let mut ended = 0;
            while let Poll::Ready(done) = wire.poll_done(cx, now_us) {
                closed.calls += 1;
                let (mark, from_us) = done.load;
                record(&mut closed.latency, now_us() - from_us);
                match check(&done.answer, mark) {
                    Ok(count) => closed.counted += count,
                    Err(what) => drop(closed.wrong.get_or_insert(what)),
                }
                ended += 1;
                // Now and then new calls go out: the server is not to run dry.
                if ended == 64 {
                    break;
                }
            }
            let room = most.saturating_sub(wire.in_flight());
            let wanted = if rate.is_some() { room.min(usize::try_from(unsent).unwrap_or(0)) } else { room };
            let mut is_sent = false;
            for _ in 0..wanted {
                let Some((body, mark)) = (!is_over).then(&mut body).flatten() else {
                    is_over = true;
                    break;
                };
                let from_us = rate.map_or_else(now_us, |rate| sent * 1_000_000 / i64::from(rate));
                sent += 1;
                match wire.send(procedure, |_| body, (mark, from_us), now_us()) {
                    Ok(()) => is_sent = true,
                    Err(_) => drop(closed.wrong.get_or_insert_with(|| CUT_SHORT.to_owned())),
                }
            }
            if is_over && wire.in_flight() == 0 {
                return Poll::Ready(());
            }
            if ended < 64 && !is_sent {
                return Poll::Pending;
            }
        }
    })
    .await;
    closed.elapsed = started.elapsed();
    closed.cpu_ns = thread_cpu_ns() - cpu;
    Ok(closed)
}

/// CPU time of this thread so far.
#[must_use]
pub fn thread_cpu_ns() -> u64 {
    let cpu = clock_gettime(ClockId::ThreadCPUTime);
    u64::try_from(cpu.tv_sec * 1_000_000_000 + cpu.tv_nsec).unwrap_or(0)
}
