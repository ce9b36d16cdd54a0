//! What happens beside the driver's threads: the progress line, and chaos.

use std::{
    io::{IsTerminal as _, Write as _},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::RecvTimeoutError,
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use super::{Chaos, Interrupted, Order};
use crate::{
    driver::{Drive, worker::Shared},
    plan::{CHAOS, random::Random},
    report::series::{Row, Series},
    target::{Target, child::Child},
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
    blow: Option<JoinHandle<(Child, anyhow::Result<String>)>>,
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
            blow: None,
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
            if self.blow.as_ref().is_some_and(JoinHandle::is_finished) {
                self.recover(target)?;
            }
            // Relaxed: it carries nothing else.
            if self.interrupted.load(Ordering::Relaxed) {
                self.recover(target)?;
                return Err(Interrupted.into());
            }
        }
        self.recover(target)?;
        if self.is_terminal && !self.is_quiet {
            eprintln!();
        }
        Ok(())
    }

    /// A tenth to a half of all places: in mid-spike.
    fn due_after(&mut self, target: &Target) -> u64 {
        let (places, seed) = (target.ground.places(), self.shared.scenario.seed);
        let (few, many) = ((places / 10).max(1), (places / 2).max(1));
        *self.after.get_or_insert_with(|| Random::of(seed, CHAOS, 0).between(few, many))
    }

    /// Strikes when it is due, on a thread of its own: whoever shows the run goes on.
    fn strike(&mut self, target: &mut Target) -> anyhow::Result<()> {
        let Some(chaos) = self.chaos else { return Ok(()) };
        // Relaxed: a few acknowledgements more or less.
        let acknowledged = self.shared.acknowledged.load(Ordering::Relaxed);
        if acknowledged < self.due_after(target) {
            return Ok(());
        }
        let in_flight: u64 = self.shared.in_flight.iter().map(|calls| calls.load(Ordering::Relaxed)).sum();
        self.chaos = None;
        let Some(mut child) = target.child.take() else { return Ok(()) };
        let shared = self.shared.clone();
        let blow = move || {
            let struck_us = shared.clock.now_us();
            shared.pulse.strike(struck_us);
            let what = deal(chaos, &mut child);
            let back_us = shared.clock.now_us();
            shared.pulse.come_back(back_us);
            let words = what.map(|what| {
                format!(
                    "{what} after {} ms, at T0 + {} ms, {acknowledged} acknowledged, {in_flight} calls in flight",
                    (back_us - struck_us) / 1_000,
                    struck_us / 1_000
                )
            });
            (child, words)
        };
        self.blow = Some(thread::Builder::new().name("chaos".into()).spawn(blow)?);
        Ok(())
    }

    /// Takes the server back from the blow, which waits for it.
    fn recover(&mut self, target: &mut Target) -> anyhow::Result<()> {
        let Some(blow) = self.blow.take() else { return Ok(()) };
        let (child, words) = blow.join().map_err(|_| anyhow::anyhow!("the blow's thread panicked"))?;
        target.pid = Some(child.pid());
        target.child = Some(child);
        self.struck = Some(words?);
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

fn deal(chaos: Chaos, child: &mut Child) -> anyhow::Result<&'static str> {
    match chaos {
        Chaos::Kill => {
            child.kill_and_restart()?;
            Ok("killed (SIGKILL), back")
        }
        Chaos::Stall => {
            child.hold(true)?;
            thread::sleep(STALL);
            child.hold(false)?;
            Ok("stood still (SIGSTOP), went on")
        }
    }
}
