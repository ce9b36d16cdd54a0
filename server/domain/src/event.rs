//! What changed, with who, when and why. Events carry effects, so that applying one computes nothing (INV-7).

use std::sync::Arc;

use crate::{
    calendar::{Holidays, ServiceDay, WeeklyOpening},
    catalog::Office,
    ids::{CallerNumber, OfficeNumber, OpeningId, RegistrationId, TrancheNumber},
    registration::Registration,
    slot::SlotKey,
    time::UnixMillis,
};

/// Who made a change.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Actor {
    /// The calling service.
    pub caller: CallerNumber,
    /// Person or program, if not the caller itself.
    pub subject: Box<str>,
}

impl Actor {
    /// A part of the server itself: the schedule, the catalogue, a flag.
    #[must_use]
    pub fn system(subject: &str) -> Self {
        Self { caller: CallerNumber::default(), subject: subject.into() }
    }
}

/// One change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// When it was decided.
    pub at: UnixMillis,
    /// By whom.
    pub actor: Actor,
    /// Why.
    pub reason: Box<str>,
    /// What.
    pub change: Change,
}

/// What changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// First event of a log.
    LogOpened {
        /// UUID of the log.
        log_id: u128,
        /// Version of the event set.
        format: u32,
        /// Recognises the NIK key.
        nik_key_check: [u8; 16],
    },
    /// The holidays, all of them.
    HolidaysDefined(Arc<Holidays>),
    /// An opening rule, new or changed.
    OpeningDefined(WeeklyOpening),
    /// An office, new or changed.
    OfficeDefined {
        /// Its number in this log.
        number: OfficeNumber,
        /// What it is now.
        office: Arc<Office>,
    },
    /// An office left the catalogue.
    OfficeClosed(OfficeNumber),
    /// Places for a slot, ahead of their opening.
    TrancheReleased(Release),
    /// Other places or other times for a tranche.
    TrancheChanged {
        /// Which.
        tranche: TrancheNumber,
        /// Its places now.
        places: u32,
        /// Its times now, and its day's.
        times: Times,
    },
    /// A registration.
    Granted(Arc<Registration>),
    /// A registration gives its places back; why stands in the event.
    Cancelled(RegistrationId),
    /// The service day is over: its registrations are no longer live.
    DayClosed {
        /// Where.
        office: OfficeNumber,
        /// When.
        day: ServiceDay,
        /// From then on repeats need not be answered.
        forget_at: UnixMillis,
    },
    /// The day's registrations leave memory.
    DayForgotten {
        /// Where.
        office: OfficeNumber,
        /// When.
        day: ServiceDay,
    },
}

impl Change {
    /// The registration it makes or changes.
    #[must_use]
    pub fn registration(&self) -> Option<RegistrationId> {
        match self {
            Self::Granted(registration) => Some(registration.id),
            Self::Cancelled(id) => Some(*id),
            Self::LogOpened { .. }
            | Self::HolidaysDefined(_)
            | Self::OpeningDefined(_)
            | Self::OfficeDefined { .. }
            | Self::OfficeClosed(_)
            | Self::TrancheReleased(_)
            | Self::TrancheChanged { .. }
            | Self::DayClosed { .. }
            | Self::DayForgotten { .. } => None,
        }
    }
}

/// Places of a slot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Release {
    /// Number in this log.
    pub tranche: TrancheNumber,
    /// The slot.
    pub slot: SlotKey,
    /// The opening that releases it.
    pub opening: OpeningId,
    /// Places.
    pub places: u32,
    /// When they can be had.
    pub times: Times,
}

/// The instants that rule a tranche.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Times {
    /// When its places can be had.
    pub open_at: UnixMillis,
    /// When booking for the day ends, in every lane.
    pub close_at: UnixMillis,
    /// When the service day ends.
    pub day_end: UnixMillis,
}
