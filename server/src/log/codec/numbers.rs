//! The numbers by which the log knows lanes and kinds. They are for ever.

use kuota_domain::{
    catalog::OfficeKind,
    passport::{Ground, PassportKind},
    payment::CaseCause,
    slot::Lane,
};

use super::CodecError;

/// Something the log knows by a number from 1 on.
pub(super) trait Numbered: Copy + 'static {
    /// All there are.
    const ALL: &[Self];
    /// What it is called when a number names none.
    const WHAT: &'static str;

    /// Its number.
    fn stored(self) -> u32;

    /// The one of a number.
    fn of(number: u32) -> Result<Self, CodecError> {
        let found = Self::ALL.iter().copied().find(|one| one.stored() == number);
        found.ok_or(CodecError::Field(Self::WHAT))
    }

    /// The one of a number; 0 is none.
    fn maybe(number: u32) -> Result<Option<Self>, CodecError> {
        if number == 0 { Ok(None) } else { Self::of(number).map(Some) }
    }
}

impl Numbered for Lane {
    const ALL: &[Self] = &Self::ALL;
    const WHAT: &'static str = "lane";

    fn stored(self) -> u32 {
        match self {
            Self::Regular => 1,
            Self::OneDay => 2,
            Self::Priority => 3,
        }
    }
}

impl Numbered for OfficeKind {
    const ALL: &[Self] = &Self::ALL;
    const WHAT: &'static str = "office kind";

    fn stored(self) -> u32 {
        match self {
            Self::Kanim => 1,
            Self::Ukk => 2,
            Self::Mpp => 3,
        }
    }
}

impl Numbered for PassportKind {
    const ALL: &[Self] = &Self::ALL;
    const WHAT: &'static str = "kind of passport";

    fn stored(self) -> u32 {
        self.number().into()
    }
}

impl Numbered for Ground {
    const ALL: &[Self] = &Self::ALL;
    const WHAT: &'static str = "ground";

    fn stored(self) -> u32 {
        self.number().into()
    }
}

impl Numbered for CaseCause {
    const ALL: &[Self] = &Self::ALL;
    const WHAT: &'static str = "cause of a case";

    fn stored(self) -> u32 {
        match self {
            Self::PlaceGone => 1,
            Self::PaidAfterCancellation => 2,
            Self::PaidTwice => 3,
            Self::CancelledAfterPayment => 4,
        }
    }
}
