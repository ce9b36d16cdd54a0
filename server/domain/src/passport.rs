//! What an applicant comes for, and why some come by the priority lane.

use std::fmt;

/// A kind of passport: with or without a chip, for five years or ten.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum PassportKind {
    /// Without a chip, five years.
    Ordinary5Years,
    /// Without a chip, ten years.
    Ordinary10Years,
    /// With a chip, five years.
    Electronic5Years,
    /// With a chip, ten years.
    Electronic10Years,
}

impl PassportKind {
    /// Every kind, in order.
    pub const ALL: [Self; 4] =
        [Self::Ordinary5Years, Self::Ordinary10Years, Self::Electronic5Years, Self::Electronic10Years];

    /// Its number for ever, as logs and hashes have it: from 1 on.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Ordinary5Years => 1,
            Self::Ordinary10Years => 2,
            Self::Electronic5Years => 3,
            Self::Electronic10Years => 4,
        }
    }

    /// Name as in catalogues.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ordinary5Years => "ORDINARY_5_YEARS",
            Self::Ordinary10Years => "ORDINARY_10_YEARS",
            Self::Electronic5Years => "ELECTRONIC_5_YEARS",
            Self::Electronic10Years => "ELECTRONIC_10_YEARS",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for PassportKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a party comes by the priority lane. The officer at the counter sees whether it is true.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Ground {
    /// Over sixty.
    Elderly,
    /// Disabled.
    Disabled,
    /// Pregnant.
    Pregnant,
    /// A child under five.
    ChildUnderFive,
}

impl Ground {
    /// Every ground, in order.
    pub const ALL: [Self; 4] = [Self::Elderly, Self::Disabled, Self::Pregnant, Self::ChildUnderFive];

    /// Its number for ever, as logs and hashes have it: from 1 on.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Elderly => 1,
            Self::Disabled => 2,
            Self::Pregnant => 3,
            Self::ChildUnderFive => 4,
        }
    }

    /// Name as in the API, without its prefix.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Elderly => "ELDERLY",
            Self::Disabled => "DISABLED",
            Self::Pregnant => "PREGNANT",
            Self::ChildUnderFive => "CHILD_UNDER_FIVE",
        }
    }
}

impl fmt::Display for Ground {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
