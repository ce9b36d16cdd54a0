//! Booking codes: what a person reads out at the counter.
//!
//! Seven characters and a check character from an alphabet of 29 without look-alikes (no 0 O, 1 I, 8 B, 5 S, 2 Z):
//! 17 thousand million codes, drawn at random. 29 is prime, so the weighted sum modulo 29 catches every single
//! wrong character and every two neighbours swapped.

use std::fmt;

const ALPHABET: &[u8; 29] = b"23456789ACDEFGHJKLMNPQRTUVWXY";
pub(crate) const BASE: u64 = 29;
const DRAWN: usize = 7;
const CODES: u64 = BASE.pow(7);

/// A text that is no booking code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    /// Not eight characters of the alphabet.
    #[error(
        "a booking code has eight characters, shown as XXXX-XXXX: digits from 2 on, and letters but B, I, O, S and Z"
    )]
    Shape,
    /// Mistyped.
    #[error("the booking code is mistyped: its check character does not match")]
    Check,
}

/// A booking code, without its check character: its number, highest byte first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct BookingCode([u8; 5]);

impl BookingCode {
    /// The `attempt`-th code that a random seed leads to.
    #[must_use]
    pub const fn draw(seed: u64, attempt: u64) -> Self {
        // An odd stride visits different codes for each attempt.
        Self::of(seed.wrapping_add(attempt.wrapping_mul(0x9E37_79B9_7F4A_7C15)) % CODES)
    }

    /// The number as stored.
    #[must_use]
    pub const fn number(self) -> u64 {
        let [a, b, c, d, e] = self.0;
        u64::from_be_bytes([0, 0, 0, a, b, c, d, e])
    }

    const fn of(number: u64) -> Self {
        let [_, _, _, bytes @ ..] = number.to_be_bytes();
        Self(bytes)
    }

    /// The code of a stored number.
    #[must_use]
    pub const fn from_number(number: u64) -> Option<Self> {
        if number < CODES { Some(Self::of(number)) } else { None }
    }

    /// Reads a code in either case, with or without dashes and blanks.
    ///
    /// # Errors
    /// When it has other characters, another length, or a wrong check character.
    pub fn parse(raw: &str) -> Result<Self, CodeError> {
        read::<{ DRAWN + 1 }>(raw).map(Self::of)
    }
}

/// Bytes of the longest text: ten letters and a dash.
const TEXT_BYTES_MAX: usize = 11;

/// Reads a number of so many characters, the last of which checks the others.
pub(crate) fn read<const LETTERS: usize>(raw: &str) -> Result<u64, CodeError> {
    let mut digits = [0_u64; LETTERS];
    let mut length = 0;
    for byte in raw.bytes().filter(|b| !matches!(b, b'-' | b' ')) {
        let value = ALPHABET.iter().position(|a| *a == byte.to_ascii_uppercase()).ok_or(CodeError::Shape)?;
        *digits.get_mut(length).ok_or(CodeError::Shape)? = value as u64;
        length += 1;
    }
    let [drawn @ .., last] = digits.as_slice() else { return Err(CodeError::Shape) };
    if length != LETTERS {
        return Err(CodeError::Shape);
    }
    if check(drawn) != *last {
        return Err(CodeError::Check);
    }
    Ok(drawn.iter().fold(0, |number, digit| number * BASE + digit))
}

/// Writes a number as so many characters, the last of which checks the others, with a dash in the middle.
pub(crate) fn spell<const LETTERS: usize>(number: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut digits = [0_u64; LETTERS];
    let mut rest = number;
    for digit in digits[..LETTERS - 1].iter_mut().rev() {
        *digit = rest % BASE;
        rest /= BASE;
    }
    digits[LETTERS - 1] = check(&digits[..LETTERS - 1]);
    // Letters and a dash, written at once.
    let mut text = [b'-'; TEXT_BYTES_MAX];
    for (place, digit) in digits.into_iter().enumerate() {
        let letter = usize::try_from(digit).map_or(b'?', |at| ALPHABET[at]);
        text[place + usize::from(place >= LETTERS / 2)] = letter;
    }
    f.write_str(str::from_utf8(&text[..=LETTERS]).unwrap_or_default())
}

fn check(digits: &[u64]) -> u64 {
    (1..).zip(digits).map(|(weight, digit)| weight * digit).sum::<u64>() % BASE
}

impl fmt::Display for BookingCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        spell::<{ DRAWN + 1 }>(self.number(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_reads_back_in_any_case_and_spacing() {
        for seed in [0, 1, 28, 29, CODES - 1, u64::MAX, 0x1234_5678_9ABC] {
            let code = BookingCode::draw(seed, 0);
            let shown = code.to_string();
            assert_eq!(shown.len(), 9);
            for raw in [shown.clone(), shown.replace('-', ""), shown.to_lowercase(), shown.replace('-', " ")]
            {
                assert_eq!(BookingCode::parse(&raw), Ok(code), "{raw}");
            }
        }
    }

    #[test]
    fn every_single_slip_and_every_swap_of_neighbours_is_caught() {
        let shown = BookingCode::draw(0xDEAD_BEEF_1234, 0).to_string().replace('-', "").into_bytes();
        for place in 0..8 {
            for letter in ALPHABET.iter().filter(|l| **l != shown[place]) {
                let mut slip = shown.clone();
                slip[place] = *letter;
                assert_eq!(BookingCode::parse(std::str::from_utf8(&slip).unwrap()), Err(CodeError::Check));
            }
            if place < 6 && shown[place] != shown[place + 1] {
                let mut swap = shown.clone();
                swap.swap(place, place + 1);
                assert_eq!(BookingCode::parse(std::str::from_utf8(&swap).unwrap()), Err(CodeError::Check));
            }
        }
    }

    #[test]
    fn other_texts_are_no_codes() {
        for raw in ["", "K7P2", "K7P2-9QXWW", "K7P2_9QXW", "O0I1-BSZ5", "K7P2-9QX\u{130}"] {
            assert_eq!(BookingCode::parse(raw), Err(CodeError::Shape), "{raw}");
        }
    }
}
