//! What happens beside the driver's threads: the progress line, and chaos.

use std::{
    io::{IsTerminal as _, Write as _},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::RecvTimeoutError,
    },
    time::Duration,
};

use super::{Chaos, Interrupted, Order};
use crate::{
    driver::{Drive, worker::Shared},
    plan::{CHAOS, random::Random},
    report::series::{Row, Series},
    target::Target,
};

/// How often chaos looks whether it is due.
const LOOK: Duration = Duration::from_millis(5);
/// How long a server that stalls stands still.
const STALL: Duration = Duration::from_secs(1);
/// Seconds between two lines where nobody sees them change.
const LINES_EVERY_S: i64 = 5;

/// Follows a run.
pub(super) struct Watch<'a> {
    shared: &'a Arc<Shared>,
    chaos: Option<Chaos>,
    after: Option<u64>,
    struck: Option<String>,
    is_quiet: bool,
    is_terminal: bool,
    interrupted: Arc<AtomicBool>,
}

impl<'a> Watch<'a> {
    pub(super) fn new(order: &Order, shared: &'a Arc<Shared>, interrupted: Arc<AtomicBool>) -> Self {
        Self {
            shared,
            chaos: order.chaos,
            after: None,
            struck: None,
            is_quiet: order.is_quiet,
            is_terminal: std::io::stderr().is_terminal(),
            interrupted,
        }
    }

    /// What chaos did.
    pub(super) fn chaos(self) -> Option<String> {
        self.struck
    }

    /// Until every thread has ended.
    pub(super) fn follow(
        &mut self,
        drive: &Drive,
        series: &mut Series,
        target: &mut Target,
    ) -> anyhow::Result<()> {
        loop {
            match drive.seconds.recv_timeout(LOOK) {
                Ok(second) => {
                    if let Some(row) = series.take(second) {
                        self.show(row);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.strike(target)?;
            // Relaxed: it carries nothing else.
            if self.interrupted.load(Ordering::Relaxed) {
                return Err(Interrupted.into());
            }
        }
        if self.is_terminal && !self.is_quiet {
            eprintln!();
        }
        Ok(())
    }

    /// A tenth to a half of the places that the first day's offices have: in mid-spike.
    fn due_after(&mut self, target: &Target) -> u64 {
        let people = self.shared.scenario.people.people;
        let few = (people / 100).clamp(5, 1_000).max(target.ground.offices.len() as u64);
        let seed = self.shared.scenario.seed;
        *self.after.get_or_insert_with(|| Random::of(seed, CHAOS, 0).between(few / 4 + 1, few))
    }

    fn strike(&mut self, target: &mut Target) -> anyhow::Result<()> {
        let Some(chaos) = self.chaos else { return Ok(()) };
        // Relaxed: a few acknowledgements more or less.
        let acknowledged = self.shared.acknowledged.load(Ordering::Relaxed);
        if acknowledged < self.due_after(target) {
            return Ok(());
        }
        let in_flight: u64 = self.shared.in_flight.iter().map(|calls| calls.load(Ordering::Relaxed)).sum();
        let at_ms = self.shared.clock.now_us() / 1_000;
        self.chaos = None;
        let Some(child) = target.child.as_mut() else { return Ok(()) };
        let what = match chaos {
            Chaos::Kill => {
                child.kill_and_restart()?;
                target.pid = Some(child.pid());
                let back_ms = self.shared.clock.now_us() / 1_000 - at_ms;
                format!("killed (SIGKILL), back after {back_ms} ms")
            }
            Chaos::Stall => {
                child.hold(true)?;
                std::thread::sleep(STALL);
                child.hold(false)?;
                "stood still (SIGSTOP) for 1 s".into()
            }
        };
        self.struck = Some(format!(
            "{what}, at T0 + {at_ms} ms, {acknowledged} acknowledged, {in_flight} calls in flight"
        ));
        Ok(())
    }

    fn show(&self, row: &Row) {
        if self.is_quiet || (!self.is_terminal && row.second % LINES_EVERY_S != 0) {
            return;
        }
        // A row tells of a second that is over.
        let now = row.second + 1;
        let t0 = if now < 0 { format!("T0 in {} s", -now) } else { format!("T0 + {now} s") };
        let line = format!(
            "{t0:12} {:>7}/s offered {:>7}/s sent {:>7}/s answered {:>6} granted {:>7} refused {:>4} errors  p99 {:>8.1} ms  lag {:>6.1} ms",
            row.offered,
            row.sent,
            row.answered,
            row.granted,
            row.refused,
            row.errors,
            row.response_p99_ms,
            row.lag_p99_ms
        );
        // Nothing is left to do when the terminal is gone.
        let mut stderr = std::io::stderr().lock();
        let _ = if self.is_terminal { write!(stderr, "\r\x1b[K{line}") } else { writeln!(stderr, "{line}") };
        let _ = stderr.flush();
    }
}
