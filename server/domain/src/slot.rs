//! What the gate counts: an office, a service day and a lane.

use std::fmt;

use crate::{calendar::ServiceDay, ids::OfficeNumber};

/// The way an applicant is served.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Lane {
    /// The ordinary queue.
    Regular,
    /// The passport on the same day, for a surcharge.
    OneDay,
    /// Elderly, disabled and pregnant applicants, and children under five.
    Priority,
}

impl Lane {
    /// Every lane, in order.
    pub const ALL: [Self; 3] = [Self::Regular, Self::OneDay, Self::Priority];

    /// Position in [`Lane::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Name as in catalogues and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Regular => "REGULAR",
            Self::OneDay => "ONE_DAY",
            Self::Priority => "PRIORITY",
        }
    }

    /// The lane of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|lane| lane.name() == name)
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Names slots: those that match everything that is set. Empty, it is every slot.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Scope {
    /// Only this office.
    pub office: Option<OfficeNumber>,
    /// Only this service day.
    pub day: Option<ServiceDay>,
    /// Only this lane.
    pub lane: Option<Lane>,
}

impl Scope {
    /// That of one slot.
    #[must_use]
    pub const fn of(slot: SlotKey) -> Self {
        Self { office: Some(slot.office), day: Some(slot.day), lane: Some(slot.lane) }
    }

    /// Whether a slot is meant.
    #[must_use]
    pub fn covers(&self, slot: SlotKey) -> bool {
        self.office.is_none_or(|office| office == slot.office)
            && self.day.is_none_or(|day| day == slot.day)
            && self.lane.is_none_or(|lane| lane == slot.lane)
    }
}

/// Names a slot.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SlotKey {
    /// The office.
    pub office: OfficeNumber,
    /// The service day in the office's zone.
    pub day: ServiceDay,
    /// The lane.
    pub lane: Lane,
}
