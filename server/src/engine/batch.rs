//! Orders for the ledger, and what becomes of them together: decisions that go to the log as one batch.

use std::{collections::HashMap, sync::Arc, time::Instant};

use kuota_domain::{
    calendar::ServiceDay,
    event::Event,
    gate::{Figures, Pass},
    ids::{OfficeNumber, RequestKey},
    ledger::{Cancellation, Rejection},
    registration::{Ask, Registration},
    slot::SlotKey,
    time::UnixMillis,
};
use tokio::sync::oneshot;

use super::{Answer, applicants::Asking};

/// Something for the ledger to do.
#[derive(Debug)]
pub(super) enum Order {
    Register {
        ask: Ask,
        pass: Pass,
        asking: Asking,
        /// The gate's clock when it let the ask through.
        passed_at: UnixMillis,
        queued: Instant,
    },
    Cancel {
        cancellation: Cancellation,
        answer: oneshot::Sender<Answer>,
    },
    /// Answered when everything before it is in the log.
    Flush(oneshot::Sender<()>),
}

/// What is said when a batch is in the log.
#[derive(Debug)]
pub(super) enum Reply {
    Ask(Asked),
    Cancel { verdict: Verdict, answer: oneshot::Sender<Answer> },
    Flush(oneshot::Sender<()>),
}

#[derive(Debug)]
pub(super) struct Asked {
    pub(super) request: RequestKey,
    pub(super) slot: SlotKey,
    pub(super) places: u32,
    pub(super) verdict: Verdict,
    /// Granted by this very batch.
    pub(super) is_new: bool,
    pub(super) pass: Pass,
    pub(super) asking: Asking,
}

pub(super) type Verdict = Result<Arc<Registration>, Rejection>;

/// What becomes visible when a batch is in the log.
#[derive(Debug)]
pub(super) enum Publication {
    Registration(Arc<Registration>),
    Ended(Arc<Registration>),
    Forgotten(Arc<Registration>),
    /// Offices, rules or holidays changed.
    Catalog,
    DayDropped(OfficeNumber, ServiceDay),
}

/// Decisions that go to the log together.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) events: Vec<Event>,
    pub(super) publications: Vec<Publication>,
    pub(super) touched: HashMap<SlotKey, Figures>,
    pub(super) replies: Vec<Reply>,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty() && self.replies.is_empty()
    }
}
