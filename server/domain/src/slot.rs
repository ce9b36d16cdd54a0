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
