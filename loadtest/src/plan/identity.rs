//! Who asks, and under which ids: NIKs, request ids and references by number, salted by the run. The same for the same
//! seed and run id; runs with different ids never share one.

use sha2::{Digest as _, Sha256};

use super::random::mix;

/// Characters of a UUID.
pub const REQUEST_ID_CHARS: usize = 36;
/// Digits of a NIK.
pub const NIK_DIGITS: usize = 16;
/// Characters of a reference: `r`, eight digits of the run, `-`, ten digits of the person.
pub const REFERENCE_CHARS: usize = 20;

/// Districts that exist as far as a NIK is checked: provinces 11 to 99, regencies and districts 01 to 99.
const AREAS: u64 = 89 * 99 * 99;
/// Birth dates: days 1 to 28, men and women, 12 months, 100 years.
const DATES: u64 = 28 * 2 * 12 * 100;
/// Serial numbers of a date: 0001 to 9999.
const SERIALS: u64 = 9_999;
/// All of them: 586 million million.
const NIKS: u64 = AREAS * DATES * SERIALS;

const HEX: &[u8; 16] = b"0123456789abcdef";

/// The identities of one run.
#[derive(Clone, Debug)]
pub struct Identities {
    run: u64,
}

impl Identities {
    /// Those of a seed and a run id.
    #[must_use]
    pub fn new(seed: u64, run_id: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(seed.to_be_bytes());
        hash.update(run_id);
        let mut run = [0; 8];
        run.copy_from_slice(&hash.finalize()[..8]);
        Self { run: u64::from_be_bytes(run) }
    }

    /// The NIK of somebody. People of one run never share one.
    pub fn nik(&self, person: u32, into: &mut [u8]) {
        let mut rest = (mix(self.run) % NIKS + u64::from(person)) % NIKS;
        let mut take = |count: u64| {
            let digit = rest % count;
            rest /= count;
            digit
        };
        let serial = take(SERIALS) + 1;
        let (year, month, day, woman) = (take(100), take(12) + 1, take(28) + 1, take(2) * 40);
        let (district, regency, province) = (take(99) + 1, take(99) + 1, take(89) + 11);
        for (at, pair) in [province, regency, district, day + woman, month, year, serial / 100, serial % 100]
            .into_iter()
            .enumerate()
        {
            digits(pair, &mut into[2 * at..2 * at + 2]);
        }
    }

    /// The id of a person's wish. A UUID; `ordinal` tells the wishes of one person apart.
    #[must_use]
    pub const fn request(&self, person: u32, ordinal: u8) -> u128 {
        let low = (person as u64) << 8 | ordinal as u64;
        let high = mix(self.run ^ low);
        // Version 4, variant 1: all other bits are free.
        let high = high & !0xF000 | 0x4000;
        (high as u128) << 64 | (1_u128 << 63) | low as u128
    }

    /// The reference that stands beside a NIK: the run and the person.
    pub fn reference(&self, person: u32, into: &mut [u8]) {
        into[0] = b'r';
        for (at, byte) in into[1..9].iter_mut().enumerate() {
            *byte = HEX[usize::try_from(self.run >> (60 - 4 * at) & 0xF).unwrap_or(0)];
        }
        into[9] = b'-';
        digits(u64::from(person), &mut into[10..REFERENCE_CHARS]);
    }

    /// The person a reference names, if it is one of this run.
    #[must_use]
    pub fn person(&self, reference: &str) -> Option<u32> {
        let mut own = [0; REFERENCE_CHARS];
        self.reference(0, &mut own);
        let (run, number) = reference.split_at_checked(10)?;
        (run.as_bytes() == &own[..10]).then(|| number.parse().ok()).flatten()
    }
}

/// A number in decimal, with leading zeros.
fn digits(mut number: u64, into: &mut [u8]) {
    for byte in into.iter_mut().rev() {
        *byte = HEX[usize::try_from(number % 10).unwrap_or(0)];
        number /= 10;
    }
}

/// A UUID as text.
pub fn write_uuid(id: u128, into: &mut [u8]) {
    let bytes = id.to_be_bytes();
    let mut at = 0;
    for (index, byte) in bytes.into_iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            into[at] = b'-';
            at += 1;
        }
        into[at] = HEX[usize::from(byte >> 4)];
        into[at + 1] = HEX[usize::from(byte & 15)];
        at += 2;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn text(write: impl FnOnce(&mut [u8]), chars: usize) -> String {
        let mut text = vec![0; chars];
        write(&mut text);
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn everybody_has_a_well_formed_nik_of_their_own() {
        let (one, other) = (Identities::new(1, "a"), Identities::new(1, "b"));
        let mut niks = HashSet::new();
        for person in 0..20_000 {
            for run in [&one, &other] {
                let nik = text(|into| run.nik(person, into), NIK_DIGITS);
                let day: u32 = nik[6..8].parse().unwrap();
                let month: u32 = nik[8..10].parse().unwrap();
                assert!(nik[0..2] >= *"11" && nik[2..4] >= *"01" && nik[4..6] >= *"01", "{nik}");
                assert!((1..=28).contains(&(day % 40)) && (1..=12).contains(&month), "{nik}");
                assert!(nik[12..] > *"0000", "{nik}");
                assert!(niks.insert(nik));
            }
        }
    }

    #[test]
    fn request_ids_are_uuids_and_references_lead_back() {
        let run = Identities::new(1, "a");
        let ids: HashSet<u128> = (0..1_000).flat_map(|p| [run.request(p, 0), run.request(p, 31)]).collect();
        assert_eq!(ids.len(), 2_000);
        let id = text(|into| write_uuid(run.request(7, 1), into), REQUEST_ID_CHARS);
        let parsed = uuid::Uuid::parse_str(&id).unwrap();
        assert_eq!((parsed.as_u128(), parsed.get_version_num()), (run.request(7, 1), 4));
        let reference = text(|into| run.reference(42, into), REFERENCE_CHARS);
        assert_eq!(run.person(&reference), Some(42));
        assert_eq!(Identities::new(1, "b").person(&reference), None);
    }
}
