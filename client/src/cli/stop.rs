//! An end that is asked for: Ctrl-C, or SIGTERM.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Listens from when it is made, so that nothing is lost between two waits.
#[derive(Debug)]
pub(super) struct Stop {
    interrupt: Signal,
    terminate: Signal,
    is_asked: bool,
}

impl Stop {
    pub(super) fn listen() -> io::Result<Self> {
        let (interrupt, terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        Ok(Self { interrupt, terminate, is_asked: false })
    }

    /// Waits until an end is asked for; returns at once when it was.
    pub(super) async fn asked(&mut self) {
        if !self.is_asked {
            tokio::select! {
                _ = self.interrupt.recv() => {}
                _ = self.terminate.recv() => {}
            }
            self.is_asked = true;
        }
    }

    pub(super) fn is_asked(&self) -> bool {
        self.is_asked
    }
}
