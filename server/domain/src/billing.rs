//! Billing references: what a person names when paying for a held place.
//!
//! Nine characters and a check character, as booking codes have them: 14 million million references, drawn from the
//! same seed by another way, so that a booking code says nothing useful about its billing reference.

use std::fmt;

use crate::code::{self, CodeError};

const DRAWN: usize = 9;
const REFERENCES: u64 = code::BASE.pow(9);
/// Keeps the draw apart from that of the booking code.
const SALT: u64 = 0xB111_1D6C_0DE5_EED5;

/// A billing reference, without its check character.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct BillingReference(u64);

impl BillingReference {
    /// The `attempt`-th reference that a random seed leads to.
    #[must_use]
    pub const fn draw(seed: u64, attempt: u64) -> Self {
        let stride = attempt.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        Self(scatter(seed ^ SALT).wrapping_add(stride) % REFERENCES)
    }

    /// The number as stored.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The reference of a stored number.
    #[must_use]
    pub const fn from_number(number: u64) -> Option<Self> {
        if number < REFERENCES { Some(Self(number)) } else { None }
    }

    /// Reads a reference in either case, with or without dashes and blanks.
    ///
    /// # Errors
    /// When it has other characters, another length, or a wrong check character.
    pub fn parse(raw: &str) -> Result<Self, BillingError> {
        code::read::<{ DRAWN + 1 }>(raw).map(Self).map_err(|error| match error {
            CodeError::Shape => BillingError::Shape,
            CodeError::Check => BillingError::Check,
        })
    }
}

/// A text that is no billing reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BillingError {
    /// Not ten characters of the alphabet.
    #[error(
        "a billing reference has ten characters, shown as XXXXX-XXXXX: digits from 2 on, and letters but B, I, O, S and Z"
    )]
    Shape,
    /// Mistyped.
    #[error("the billing reference is mistyped: its check character does not match")]
    Check,
}

/// SplitMix64's finalizer (Steele, Lea and Flood 2014): every bit of the seed reaches every bit of the result.
const fn scatter(seed: u64) -> u64 {
    let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

impl fmt::Display for BillingReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        code::spell::<{ DRAWN + 1 }>(self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::BookingCode;

    #[test]
    fn a_reference_reads_back_in_any_case_and_spacing() {
        for seed in [0, 1, 29, u64::MAX, 0x1234_5678_9ABC] {
            let reference = BillingReference::draw(seed, 0);
            let shown = reference.to_string();
            assert_eq!((shown.len(), shown.find('-')), (11, Some(5)));
            for raw in [shown.clone(), shown.replace('-', ""), shown.to_lowercase()] {
                assert_eq!(BillingReference::parse(&raw), Ok(reference), "{raw}");
            }
            assert_eq!(BillingReference::from_number(reference.number()), Some(reference));
        }
        assert_eq!(BillingReference::from_number(REFERENCES), None);
    }

    #[test]
    fn a_slip_is_caught_and_a_booking_code_is_none() {
        let shown = BillingReference::draw(7, 0).to_string();
        let last = if shown.ends_with('2') { '3' } else { '2' };
        let slip = format!("{}{last}", &shown[..shown.len() - 1]);
        assert_eq!(BillingReference::parse(&slip), Err(BillingError::Check));
        for raw in ["", &BookingCode::draw(7, 0).to_string(), "OOOOO-OOOOO"] {
            assert_eq!(BillingReference::parse(raw), Err(BillingError::Shape), "{raw}");
        }
    }

    #[test]
    fn each_attempt_draws_another_one() {
        let drawn: std::collections::BTreeSet<_> =
            (0..8).map(|attempt| BillingReference::draw(9, attempt)).collect();
        assert_eq!(drawn.len(), 8);
    }
}
