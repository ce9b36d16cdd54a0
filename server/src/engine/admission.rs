//! Who may wait for the ledger while the server is overloaded. Calls read one word for that; the ledger's thread writes it
//! once an interval. A repeat of what is known is never turned away, and nobody is who has entered a request.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Instant,
};

use crossbeam_utils::CachePadded;
use kuota_domain::ids::RequestKey;

use super::{
    Engine, Failure, Pushback,
    batch::Order,
    congestion::{self, Reading},
    ledger_thread::LedgerThread,
};
use crate::{limits::BATCH_EVENTS_MAX, telemetry::Shed};

/// Any number.
const NO_LIMIT: usize = usize::MAX;

// Relaxed throughout: each is a figure by itself, and one that is a moment old lets one ask more or less in.
/// What calls and the ledger's thread tell each other.
#[derive(Debug)]
pub(super) struct Door {
    /// Asks that may wait. Read by every ask, rarely written: on a line of its own.
    limit: CachePadded<AtomicUsize>,
    asked_per_served: AtomicU64,
    /// Asks that the ledger's thread has not taken.
    pub(super) queued: Arc<AtomicUsize>,
    /// Asks shed so far.
    shed: AtomicU64,
}

impl Default for Door {
    fn default() -> Self {
        let limit = CachePadded::new(AtomicUsize::new(NO_LIMIT));
        let (asked_per_served, shed) = (AtomicU64::new(1), AtomicU64::new(0));
        Self { limit, asked_per_served, queued: Arc::default(), shed }
    }
}

impl Door {
    /// When somebody who is shed may come back.
    pub(super) fn shed(&self) -> Pushback {
        let number = self.shed.fetch_add(1, Ordering::Relaxed);
        Pushback::of(self.asked_per_served.load(Ordering::Relaxed), number)
    }

    /// Asks that wait for the ledger.
    pub(super) fn queued(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }

    fn set(&self, reading: &Reading) {
        self.asked_per_served.store(reading.asked_per_served, Ordering::Relaxed);
        self.limit.store(reading.limit.unwrap_or(NO_LIMIT), Ordering::Relaxed);
    }
}

/// Where asks come from: one connection. Says how many of its asks wait.
#[derive(Clone, Debug, Default)]
pub struct Origin(Arc<AtomicUsize>);

impl Origin {
    /// For one ask that goes to the ledger.
    pub(super) fn count(&self) -> Counted {
        self.0.fetch_add(1, Ordering::Relaxed);
        Counted(self.0.clone())
    }

    fn waiting(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// One ask of a connection, counted as on its way until it is dropped. It goes with the ask, not with the call: a caller
/// that goes away makes no room.
#[derive(Debug)]
pub(super) struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Engine {
    /// Whether a new ask may go on to the ledger. To be asked before anything is entered for it: what is shed leaves no trace.
    pub(super) fn admit(&self, request: RequestKey, from: &Origin) -> Result<(), Failure> {
        let limit = self.read.door.limit.load(Ordering::Relaxed);
        if limit == NO_LIMIT {
            return Ok(());
        }
        match congestion::admit(limit, self.read.askings.under_way(), from.waiting()) {
            Ok(()) => Ok(()),
            // INV-3: its registration is there, or on its way.
            Err(_) if self.read.requests.knows(request) => Ok(()),
            Err(why) => Err(self.shed(why)),
        }
    }

    /// What somebody is told who is shed.
    pub(super) fn shed(&self, why: Shed) -> Failure {
        self.metrics.shed(why);
        Failure::Overloaded(self.read.door.shed())
    }
}

impl LedgerThread {
    /// Commands of the crowd that may still be decided into the current batch, besides those of operators.
    pub(super) fn room(&self, operators: usize) -> usize {
        if self.current.events.len() >= BATCH_EVENTS_MAX {
            return 0;
        }
        let others_go_first = self.sealed.is_some() || operators > 0 || !self.current.is_empty();
        let taken = self.current.replies.len() + operators;
        self.congestion.batch_max(others_go_first).saturating_sub(taken)
    }

    /// Whether the asks of an order have waited for too long.
    pub(super) fn is_stale(&self, order: &Order) -> bool {
        order.queued().is_some_and(|queued| self.congestion.is_stale(queued, Instant::now()))
    }

    /// Sends asks back undecided.
    pub(super) fn shed(&self, order: Order) {
        order.entrants().iter().for_each(|_| self.metrics.shed(Shed::QueueWait));
        self.refuse(order, &Failure::Overloaded(self.read.door.shed()));
    }

    /// Says, once an interval, how many may wait.
    pub(super) fn mind_the_door(&mut self) {
        let (now, door) = (Instant::now(), &self.read.door);
        // Under overload nothing is taken while the log is busy: then those who are in it tell.
        let first = self.current.oldest.or_else(|| self.sealed.as_ref()?.oldest);
        let waiting = first.map(|queued| now.duration_since(queued));
        let shed = door.shed.load(Ordering::Relaxed);
        if let Some(reading) = self.congestion.look(now, waiting, shed) {
            door.set(&reading);
            self.metrics.congested(reading.wait, reading.limit);
        }
    }
}
