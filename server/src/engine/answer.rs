//! What callers are told: a registration, a refusal, or why there is no answer.

use std::{sync::Arc, time::Duration};

use kuota_domain::{
    ledger::{Objection, Rejection},
    refusal::Refusal,
    registration::Registration,
    time::UnixMillis,
};

/// How safe an answer must be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Durability {
    /// After the commit (INV-4).
    Durable,
    /// After the decision.
    Accepted,
}

/// A registration, and whether it is in the log.
#[derive(Clone, Debug)]
pub struct Granted {
    /// It.
    pub registration: Arc<Registration>,
    /// False: a crash may lose it.
    pub durable: bool,
}

/// Why there is no registration to answer with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Failure {
    /// The business answer "no": not an error.
    Refused(Refusal),
    /// No such office.
    OfficeNotFound(String),
    /// No such registration.
    RegistrationNotFound,
    /// The request id stands for something else.
    RequestReused,
    /// An operator's wish cannot be carried out.
    Objected(Objection),
    /// There are as many watchers as there may be.
    TooManyWatchers,
    /// The log cannot be read back.
    LogUnreadable,
    /// A fault of this program; nothing is known to have happened.
    Internal,
    /// More asks wait for the ledger than it can take.
    Overloaded,
    /// The log has no space: surely nothing was written.
    LogFull,
    /// The log failed: whether it was written will be known after a restart.
    OutcomeUnknown,
    /// The wall clock moved: nothing is granted on its word.
    ClockDrift,
    /// The server is going down: nothing was written.
    Stopping,
}

/// What a call is told.
pub type Answer = Result<Granted, Failure>;

/// What ends the process.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fatal {
    /// The log cannot be written.
    Log(String),
    /// An invariant is broken.
    Invariant(String),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// How long a caller should wait before it asks again. The spread keeps a crowd from coming back as one.
#[must_use]
pub fn retry_after(refusal: &Refusal, now: UnixMillis, spread: u64) -> Option<Duration> {
    match refusal {
        Refusal::NotOpenYet { open_at } => Some(now.until(*open_at) + Duration::from_millis(spread % 1_000)),
        Refusal::Busy => Some(Duration::from_millis(50 + spread % 200)),
        Refusal::SoldOut
        | Refusal::NotEnoughPlaces { .. }
        | Refusal::Closed { .. }
        | Refusal::Paused
        | Refusal::AlreadyRegistered { .. }
        | Refusal::NotAServiceDay { .. }
        | Refusal::BeyondHorizon { .. }
        | Refusal::LaneNotOffered { .. } => None,
    }
}

impl From<Rejection> for Failure {
    fn from(rejection: Rejection) -> Self {
        match rejection {
            Rejection::Refused(refusal) => Self::Refused(refusal),
            Rejection::RequestReused => Self::RequestReused,
            Rejection::NotFound => Self::RegistrationNotFound,
        }
    }
}
