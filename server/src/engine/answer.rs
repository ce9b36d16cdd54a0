//! What callers are told: a registration, a refusal, or why there is no answer.

use std::{sync::Arc, time::Duration};

use kuota_domain::{
    ledger::{Objection, Rejection},
    refusal::Refusal,
    registration::Registration,
    slot::SlotKey,
    time::UnixMillis,
};

use crate::limits::{PUSHBACK_DOUBLINGS_MAX, PUSHBACK_MIN, PUSHBACK_STEPS};

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
    /// The business answer "no": not an error. And what was wanted, where something else may do.
    Refused(Refusal, Option<Wanted>),
    /// No such office.
    OfficeNotFound(String),
    /// No such registration.
    RegistrationNotFound,
    /// The request id stands for something else.
    RequestReused,
    /// The payment's reference stands for another payment.
    PaymentReused,
    /// As many payments found no place as may for one registration.
    TooManyPayments,
    /// The place would be held, and this applicant named no passport that has a fee.
    PassportNeeded {
        /// Index in the request.
        applicant: usize,
    },
    /// An operator's wish cannot be carried out.
    Objected(Objection),
    /// There are as many watchers as there may be.
    TooManyWatchers,
    /// The log cannot be read back.
    LogUnreadable,
    /// A fault of this program; nothing is known to have happened.
    Internal,
    /// There is more to do than can be done in time: nothing was decided.
    Overloaded(Pushback),
    /// The log has no space: surely nothing was written.
    LogFull,
    /// The log failed: whether it was written will be known after a restart.
    OutcomeUnknown,
    /// The wall clock moved: nothing is granted on its word.
    ClockDrift,
    /// The server is going down: nothing was written.
    Stopping,
}

/// Places that somebody asked for and did not get.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// Where.
    pub slot: SlotKey,
    /// How many.
    pub places: u32,
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
        Self::Refused(refusal, None)
    }
}

impl Failure {
    /// The same, of an ask for these places: alternatives to them may be named.
    #[must_use]
    pub fn of_ask(self, slot: SlotKey, places: u32) -> Self {
        match self {
            Self::Refused(why, _) if why.leaves_alternatives() => {
                Self::Refused(why, Some(Wanted { slot, places }))
            }
            other => other,
        }
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
        | Refusal::LaneNotOffered { .. }
        | Refusal::PastCutOff { .. }
        | Refusal::WrongAmount { .. }
        | Refusal::NoPaymentDue { .. }
        | Refusal::HoldExpired { .. }
        | Refusal::AlreadyRescheduled { .. }
        | Refusal::TooLateToReschedule { .. }
        | Refusal::NotReschedulable { .. }
        | Refusal::SameSlot
        | Refusal::TermsDiffer { .. }
        | Refusal::SessionFull { .. }
        | Refusal::NoSuchSession { .. }
        | Refusal::SessionBegun { .. }
        | Refusal::TooEarlyToCheckIn { .. }
        | Refusal::NotConfirmed { .. }
        | Refusal::NotCheckedIn { .. }
        | Refusal::AlreadyCheckedIn { .. }
        | Refusal::ServiceDayOver { .. } => None,
    }
}

/// When somebody who was shed may come back: the later the more there is to do. There are few of them, so that what is said
/// can be made ready.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Pushback {
    doublings: u8,
    step: u8,
}

impl Pushback {
    /// How many there are.
    pub const COUNT: usize = (PUSHBACK_DOUBLINGS_MAX as usize + 1) * PUSHBACK_STEPS as usize;

    /// For the one with that number among the shed, while so many come for each that is served. Numbers that follow each
    /// other lie far apart.
    #[must_use]
    pub fn of(asked_per_served: u64, number: u64) -> Self {
        let doublings = asked_per_served.max(1).ilog2().min(PUSHBACK_DOUBLINGS_MAX.into());
        // Multiples of the golden ratio fill the span evenly, however many there are (Knuth, TAOCP 6.4).
        let spread = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        let step = (spread * u64::from(PUSHBACK_STEPS)) >> 32;
        Self {
            doublings: u8::try_from(doublings).unwrap_or(PUSHBACK_DOUBLINGS_MAX),
            step: u8::try_from(step).unwrap_or(0),
        }
    }

    /// Every one, in the order of their indices.
    pub fn all() -> impl Iterator<Item = Self> {
        let steps = |doublings| (0..PUSHBACK_STEPS).map(move |step| Self { doublings, step });
        (0..=PUSHBACK_DOUBLINGS_MAX).flat_map(steps)
    }

    /// Where it stands among all.
    #[must_use]
    pub const fn index(self) -> usize {
        self.doublings as usize * PUSHBACK_STEPS as usize + self.step as usize
    }

    /// How long to stay away.
    #[must_use]
    pub fn wait(self) -> Duration {
        let least = PUSHBACK_MIN * (1 << self.doublings);
        least + least * u32::from(self.step) / u32::from(PUSHBACK_STEPS)
    }
}

impl From<Rejection> for Failure {
    fn from(rejection: Rejection) -> Self {
        match rejection {
            Rejection::Refused(refusal) => refusal.into(),
            Rejection::RequestReused => Self::RequestReused,
            Rejection::NotFound => Self::RegistrationNotFound,
            Rejection::PaymentReused => Self::PaymentReused,
            Rejection::TooManyPayments => Self::TooManyPayments,
            Rejection::PassportNeeded { applicant } => Self::PassportNeeded { applicant },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_shed_stays_away_longer_the_more_there_is_to_do_and_within_bounds() {
        for (asked_per_served, least_ms) in
            [(0, 250), (1, 250), (2, 500), (3, 500), (10, 2_000), (16, 4_000), (u64::MAX, 4_000)]
        {
            let waits: Vec<_> =
                (0..1_000).map(|number| Pushback::of(asked_per_served, number).wait()).collect();
            let least = Duration::from_millis(least_ms);
            assert_eq!(waits.iter().min(), Some(&least), "{asked_per_served}");
            assert!(waits.iter().all(|wait| (least..least * 2).contains(wait)), "{asked_per_served}");
            // Evenly: no step has twice its share.
            for step in 0..u32::from(PUSHBACK_STEPS) {
                let wait = least + least * step / u32::from(PUSHBACK_STEPS);
                let share = waits.iter().filter(|found| **found == wait).count();
                assert!((32..=125).contains(&share), "{share} of 1,000 come back after {wait:?}");
            }
        }
    }

    #[test]
    fn every_pushback_stands_where_its_index_says() {
        assert_eq!(Pushback::all().count(), Pushback::COUNT);
        assert!(Pushback::all().enumerate().all(|(index, pushback)| pushback.index() == index));
    }
}
