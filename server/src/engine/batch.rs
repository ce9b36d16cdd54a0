//! Orders for the ledger, and what becomes of them together: decisions that go to the log as one batch.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use kuota_domain::{
    calendar::ServiceDay,
    event::Event,
    gate::Pass,
    ids::{OfficeNumber, RequestKey},
    ledger::{Changed, Command, Instruction, Rejection, Row},
    payment::{CaseNumber, PaymentCase},
    registration::{Ask, Registration},
    slot::SlotKey,
    time::UnixMillis,
};
use tokio::sync::oneshot;

use super::{
    Answer,
    asking::Asking,
    directory::OfficesView,
    operate::{OperatorAnswer, OperatorView},
};
use crate::telemetry::Happening;

/// Something for the ledger to do.
#[derive(Debug)]
pub(super) enum Order {
    /// Asks that came together, with the instant from which on they wait.
    Register(Crowd, Instant),
    /// Something that passes no gate: a cancellation, a payment.
    Command { command: Box<Command>, answer: oneshot::Sender<Answer> },
    /// What an operator wants; or only what it would come to.
    Operate { instruction: Box<Instruction>, validate_only: bool, answer: oneshot::Sender<OperatorAnswer> },
    /// Answered when everything before it is in the log.
    Flush(oneshot::Sender<()>),
}

impl Order {
    /// Commands it holds.
    pub(super) fn commands(&self) -> usize {
        match self {
            Self::Register(crowd, _) => crowd.entrants.len(),
            Self::Command { .. } | Self::Operate { .. } | Self::Flush(_) => 1,
        }
    }

    /// Since when its asks wait, if it has any.
    pub(super) const fn queued(&self) -> Option<Instant> {
        match self {
            Self::Register(_, queued) => Some(*queued),
            Self::Command { .. } | Self::Operate { .. } | Self::Flush(_) => None,
        }
    }

    /// The asks in it.
    pub(super) fn entrants(&self) -> &[Entrant] {
        match self {
            Self::Register(crowd, _) => &crowd.entrants,
            Self::Command { .. } | Self::Operate { .. } | Self::Flush(_) => &[],
        }
    }
}

/// An ask that passed the gate.
#[derive(Debug)]
pub(super) struct Entrant {
    pub(super) ask: Ask,
    pub(super) pass: Pass,
    pub(super) asking: Asking,
    /// The gate's clock when it let the ask through.
    pub(super) passed_at: UnixMillis,
}

impl Entrant {
    /// Claims what it asks for, unless one of its party asks elsewhere already; says whether it got it.
    pub(super) fn claim(&mut self) -> bool {
        self.asking.is_alone() && self.pass.claim(self.ask.places())
    }
}

/// Asks that came together, a batch or what one connection sent in one go, counted as waiting until they are taken.
#[derive(Debug)]
pub(super) struct Crowd {
    entrants: Vec<Entrant>,
    waiting: Arc<AtomicUsize>,
}

impl Crowd {
    /// Counts the asks in; an error, if more wait then than may.
    pub(super) fn gather(
        entrants: Vec<Entrant>,
        waiting: &Arc<AtomicUsize>,
        most: usize,
    ) -> Result<Self, Self> {
        // Relaxed: the count bounds memory and orders nothing else.
        let before = waiting.fetch_add(entrants.len(), Ordering::Relaxed);
        let crowd = Self { entrants, waiting: waiting.clone() };
        if before + crowd.entrants.len() > most { Err(crowd) } else { Ok(crowd) }
    }

    /// They wait no longer.
    pub(super) fn take(mut self) -> Vec<Entrant> {
        let entrants = std::mem::take(&mut self.entrants);
        self.waiting.fetch_sub(entrants.len(), Ordering::Relaxed);
        entrants
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.waiting.fetch_sub(self.entrants.len(), Ordering::Relaxed);
    }
}

/// What is said when a batch is in the log.
#[derive(Debug)]
pub(super) enum Reply {
    Ask(Asked),
    /// With the places it wanted, if it did.
    Command {
        verdict: Verdict,
        wanted: Option<(SlotKey, u32)>,
        answer: oneshot::Sender<Answer>,
    },
    Operate {
        outcome: OperatorAnswer,
        answer: oneshot::Sender<OperatorAnswer>,
    },
    Flush(oneshot::Sender<()>),
}

#[derive(Debug)]
pub(super) struct Asked {
    pub(super) request: RequestKey,
    pub(super) slot: SlotKey,
    pub(super) places: u32,
    pub(super) verdict: Verdict,
    /// Granted by this very batch: where its slot stands in [`Batch::figures`].
    pub(super) granted: Option<usize>,
    pub(super) pass: Pass,
    pub(super) asking: Asking,
}

pub(super) type Verdict = Result<Arc<Registration>, Rejection>;

/// What becomes visible when a batch is in the log.
#[derive(Debug)]
pub(super) enum Publication {
    /// A registration, new or changed, and what happened to it.
    Registration(Row, Arc<Registration>, Option<Happening>),
    Case(Arc<PaymentCase>),
    CaseForgotten(CaseNumber),
    Forgotten(Row),
    DayDropped(OfficeNumber, ServiceDay),
}

impl Reply {
    /// The pass of an ask.
    pub(super) const fn pass(&self) -> Option<&Pass> {
        match self {
            Self::Ask(asked) => Some(&asked.pass),
            Self::Command { .. } | Self::Operate { .. } | Self::Flush(_) => None,
        }
    }
}

/// Decisions that go to the log together.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) events: Vec<Event>,
    pub(super) publications: Vec<Publication>,
    /// Slots whose figures it changes, and these as they stand after it: the ledger itself runs ahead by the time they are
    /// published. None of a slot that is gone.
    pub(super) figures: Vec<Changed>,
    pub(super) replies: Vec<Reply>,
    /// Since when the first in line waits.
    pub(super) oldest: Option<Instant>,
    /// Since when the log has it.
    pub(super) sealed_at: Option<Instant>,
    /// Offices, rules or holidays changed.
    pub(super) catalog_changed: bool,
    /// Overrides or pauses changed.
    pub(super) layer_changed: bool,
    /// Both as they stand after this batch, if they changed: the ledger itself runs ahead by then.
    pub(super) offices: Option<OfficesView>,
    pub(super) view: Option<OperatorView>,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty() && self.replies.is_empty()
    }
}
