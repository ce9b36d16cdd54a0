//! Names of things: slugs people choose, numbers the log gives, UUIDs callers and the server make.

use std::fmt;

use compact_str::CompactString;

use crate::limits::SLUG_CHARS_MAX;

/// A slug that is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a slug of 1 to {SLUG_CHARS_MAX} lower-case letters, digits and dashes, starting with a letter, is allowed"
)]
pub struct SlugError;

/// A stable name in lower case: `kanim-pontianak`, `weekly`. Most are short and stand in place.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slug(CompactString);

/// Names an office for ever.
pub type OfficeId = Slug;
/// Names an opening rule.
pub type OpeningId = Slug;

impl Slug {
    /// Reads a slug.
    ///
    /// # Errors
    /// When it is empty, too long, or has other characters than lower-case letters, digits and dashes.
    pub fn parse(raw: &str) -> Result<Self, SlugError> {
        let well_formed = raw.len() <= SLUG_CHARS_MAX
            && raw.starts_with(|c: char| c.is_ascii_lowercase())
            && raw.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if well_formed { Ok(Self(raw.into())) } else { Err(SlugError) }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::borrow::Borrow<str> for Slug {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// Position of an office in its log, from 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct OfficeNumber(pub u32);

impl OfficeNumber {
    /// As an index into the offices.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A tranche of a log, from 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TrancheNumber(pub u32);

/// A calling service. Zero is a caller without authentication.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct CallerNumber(pub u32);

/// Names a registration: a UUID the server makes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RegistrationId(pub u128);

/// Names an intent of a caller: INV-3 holds per key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
// 20 bytes instead of 32: every registration has one. Its fields can be copied, not borrowed.
#[repr(Rust, packed(4))]
pub struct RequestKey {
    /// Whose.
    pub caller: CallerNumber,
    /// The UUID the caller chose.
    pub id: u128,
}

/// Tells whether a repeat asks for the same thing as the first did.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ContentHash(pub [u8; 16]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_is_lower_case_letters_digits_and_dashes() {
        let long = "a".repeat(SLUG_CHARS_MAX + 1);
        for (raw, good) in [
            ("kanim-pontianak", true),
            ("a1", true),
            ("", false),
            ("-a", false),
            ("1a", false),
            ("Kanim", false),
            ("a b", false),
            (long.as_str(), false),
        ] {
            assert_eq!(Slug::parse(raw).is_ok(), good, "{raw:?}");
        }
    }
}
