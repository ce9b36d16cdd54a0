//! The Indonesian identity number (NIK) and what is kept of it: a keyed hash and the last four digits (INV-10).

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use jiff::civil::Date;
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Digits of a NIK.
const DIGITS: usize = 16;
/// Women's day of birth is written with this added.
const WOMAN_DAY_OFFSET: i8 = 40;

/// Why a text is not a NIK. Never says which digits it had (INV-10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NikError {
    /// Not 16 digits.
    #[error("a NIK has exactly 16 digits")]
    Shape,
    /// Digits 1 to 6 name no area: province and regency start at 11 and 01.
    #[error("digits 1 to 6 of a NIK name an area: province 11 to 99, regency 01 to 99, district 01 to 99")]
    Area,
    /// Digits 7 to 12 are no date.
    #[error("digits 7 to 12 of a NIK are a birth date DDMMYY, with 40 added to the day for women")]
    BirthDate,
    /// Digits 13 to 16 count from 0001.
    #[error("digits 13 to 16 of a NIK count from 0001")]
    Serial,
}

/// A well-formed NIK. Wiped when dropped; its `Debug` tells nothing.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Nik([u8; DIGITS]);

impl Nik {
    /// Reads a NIK: 16 digits, an area, a birth date that exists, a serial number.
    ///
    /// The year has two digits, so the date is checked in a leap year: 29 February passes for every year.
    ///
    /// # Errors
    /// Names the first part that is wrong.
    pub fn parse(raw: &str) -> Result<Self, NikError> {
        if raw.len() != DIGITS {
            return Err(NikError::Shape);
        }
        let mut nik = Self([0; DIGITS]);
        nik.0.copy_from_slice(raw.as_bytes());
        if !nik.0.iter().all(u8::is_ascii_digit) {
            return Err(NikError::Shape);
        }
        if nik.pair(0) < 11 || nik.pair(2) == 0 || nik.pair(4) == 0 {
            return Err(NikError::Area);
        }
        let written_day = nik.pair(6);
        let day = if written_day > WOMAN_DAY_OFFSET { written_day - WOMAN_DAY_OFFSET } else { written_day };
        if Date::new(2000, nik.pair(8), day).is_err() {
            return Err(NikError::BirthDate);
        }
        if nik.0[12..] == *b"0000" {
            return Err(NikError::Serial);
        }
        Ok(nik)
    }

    /// The last four digits, for people to recognise a registration by.
    #[must_use]
    pub fn last_four(&self) -> u16 {
        self.0[12..].iter().fold(0, |number, digit| number * 10 + u16::from(digit - b'0'))
    }

    fn pair(&self, at: usize) -> i8 {
        ((self.0[at] - b'0') * 10 + (self.0[at + 1] - b'0')).cast_signed()
    }
}

impl fmt::Debug for Nik {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nik(redacted)")
    }
}

/// Keyed hash of a NIK: the first 128 bits of HMAC-SHA-256. Names an applicant in ledger and log.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ApplicantKey(pub [u8; 16]);

/// The secret that turns NIKs into applicant keys. Without it the 16 digits could be guessed from the hash.
#[derive(Clone)]
pub struct NikKey {
    keyed: Hmac<Sha256>,
}

impl NikKey {
    /// Bytes of the secret.
    pub const BYTES: usize = 32;

    /// Takes the secret.
    #[must_use]
    pub fn new(secret: &Zeroizing<[u8; Self::BYTES]>) -> Self {
        // HMAC pads a short key with zeros to its block of 64 bytes.
        let mut block = Zeroizing::new([0; 64]);
        block[..Self::BYTES].copy_from_slice(&**secret);
        Self { keyed: Hmac::new(&(*block).into()) }
    }

    /// The applicant a NIK belongs to.
    #[must_use]
    pub fn applicant(&self, nik: &Nik) -> ApplicantKey {
        ApplicantKey(self.tag(b"nik", &nik.0))
    }

    /// A value by which a log recognises its key, and that reveals nothing of it.
    #[must_use]
    pub fn check_value(&self, log_id: u128) -> [u8; 16] {
        self.tag(b"log", &log_id.to_be_bytes())
    }

    /// The purpose stands before the text, so that no two uses of the key can meet.
    fn tag(&self, purpose: &[u8; 3], text: &[u8]) -> [u8; 16] {
        let mut mac = self.keyed.clone();
        mac.update(purpose);
        mac.update(text);
        let mut tag = [0; 16];
        tag.copy_from_slice(&mac.finalize().into_bytes()[..16]);
        tag
    }
}

impl fmt::Debug for NikKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NikKey(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nik_has_an_area_a_birth_date_and_a_serial() {
        for (raw, expected) in [
            ("6171012309870001", Ok(1)),
            ("6171016309870042", Ok(42)),
            ("6171012902010001", Ok(1)),
            ("6171017112990001", Ok(1)),
            ("617101230987000", Err(NikError::Shape)),
            ("61710123098700011", Err(NikError::Shape)),
            ("617101230987000x", Err(NikError::Shape)),
            ("６１７１", Err(NikError::Shape)),
            ("0971012309870001", Err(NikError::Area)),
            ("6100012309870001", Err(NikError::Area)),
            ("6171002309870001", Err(NikError::Area)),
            ("6171013209870001", Err(NikError::BirthDate)),
            ("6171014009870001", Err(NikError::BirthDate)),
            ("6171013002870001", Err(NikError::BirthDate)),
            ("6171017202870001", Err(NikError::BirthDate)),
            ("6171010009870001", Err(NikError::BirthDate)),
            ("6171012313870001", Err(NikError::BirthDate)),
            ("6171012309870000", Err(NikError::Serial)),
        ] {
            assert_eq!(Nik::parse(raw).map(|nik| nik.last_four()), expected, "{raw}");
        }
    }

    #[test]
    fn nothing_printed_of_a_nik_or_its_key_shows_a_digit() {
        let nik = Nik::parse("6171012309870001").unwrap();
        let key = NikKey::new(&Zeroizing::new([7; NikKey::BYTES]));
        assert_eq!(format!("{nik:?} {key:?}"), "Nik(redacted) NikKey(redacted)");
    }

    #[test]
    fn applicant_keys_depend_on_the_secret_and_the_nik() {
        let (one, other) = ([1; NikKey::BYTES], [2; NikKey::BYTES]);
        let (one, other) = (NikKey::new(&Zeroizing::new(one)), NikKey::new(&Zeroizing::new(other)));
        let siti = Nik::parse("6171016309870042").unwrap();
        let budi = Nik::parse("6171012309870042").unwrap();
        assert_eq!(one.applicant(&siti), one.applicant(&siti));
        assert_ne!(one.applicant(&siti), one.applicant(&budi));
        assert_ne!(one.applicant(&siti), other.applicant(&siti));
        assert_ne!(one.check_value(1), other.check_value(1));
        assert_ne!(one.check_value(1), one.check_value(2));
    }
}
