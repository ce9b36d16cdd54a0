//! What a passport costs: by its kind, and more on some lanes. Whole rupiah; the figures are the catalogue's.

use std::{collections::BTreeMap, fmt, sync::Arc};

use crate::{
    limits::PARTY_MAX, limits::RUPIAH_MAX, passport::PassportKind, registration::Applicant, slot::Lane,
};

/// Whole rupiah.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Rupiah(pub u32);

// A party's fee never overflows: the dearest passport and the dearest surcharge for each of them.
const _: () = assert!(RUPIAH_MAX as u64 * 2 * PARTY_MAX as u64 <= u32::MAX as u64);

impl fmt::Display for Rupiah {
    /// `Rp 1.350.000`, as it is written in Indonesia.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        f.write_str("Rp ")?;
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                f.write_str(".")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

/// A figure, with where it comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Price {
    /// For one applicant, up to [`RUPIAH_MAX`].
    pub rupiah: Rupiah,
    /// Where the figure comes from.
    pub source: Arc<str>,
}

/// What a catalogue says about fees: nothing, or some figures.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Fees {
    /// By kind of passport.
    pub passports: BTreeMap<PassportKind, Price>,
    /// On top of that, by lane.
    pub surcharges: BTreeMap<Lane, Price>,
}

impl Fees {
    /// Whether nothing is said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.passports.is_empty() && self.surcharges.is_empty()
    }

    /// The fee of a party on a lane: the passports' and the lane's surcharge for each of them. `None` unless every
    /// applicant named a kind of passport that has a price.
    #[must_use]
    pub fn of(&self, lane: Lane, party: &[Applicant]) -> Option<Rupiah> {
        let surcharge = self.surcharges.get(&lane).map_or(0, |price| price.rupiah.0);
        let each = party.iter().map(|applicant| self.passports.get(&applicant.passport?));
        let sum = each.map(|price| Some(price?.rupiah.0 + surcharge)).sum::<Option<u32>>();
        sum.map(Rupiah)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nik::ApplicantKey;

    fn price(rupiah: u32) -> Price {
        Price { rupiah: Rupiah(rupiah), source: "PP 45/2024".into() }
    }

    #[test]
    fn a_party_pays_for_each_passport_and_the_lane_for_each_of_them() {
        use PassportKind::{Electronic5Years, Electronic10Years, Ordinary5Years, Ordinary10Years};
        let fees = Fees {
            passports: [
                (Ordinary5Years, price(350_000)),
                (Ordinary10Years, price(650_000)),
                (Electronic10Years, price(950_000)),
            ]
            .into(),
            surcharges: [(Lane::OneDay, price(1_000_000))].into(),
        };
        let rows: [(Lane, &[Option<PassportKind>], Option<u32>); 7] = [
            (Lane::Regular, &[Some(Ordinary5Years)], Some(350_000)),
            (Lane::Priority, &[Some(Ordinary5Years), Some(Electronic10Years)], Some(1_300_000)),
            (Lane::OneDay, &[Some(Ordinary10Years)], Some(1_650_000)),
            (Lane::OneDay, &[Some(Ordinary5Years); 5], Some(6_750_000)),
            (Lane::Regular, &[None], None),
            (Lane::Regular, &[Some(Ordinary5Years), None], None),
            (Lane::Regular, &[Some(Electronic5Years)], None),
        ];
        for (lane, kinds, expected) in rows {
            let applicant = |passport: &Option<PassportKind>| Applicant {
                key: ApplicantKey([0; 16]),
                last_four: 0,
                passport: *passport,
                reference: Default::default(),
            };
            let party: Vec<_> = kinds.iter().map(applicant).collect();
            assert_eq!(fees.of(lane, &party), expected.map(Rupiah), "{lane} {kinds:?}");
        }
        let named = [Applicant { passport: Some(Ordinary5Years), ..party_of_one() }];
        assert_eq!(Fees::default().of(Lane::Regular, &named), None, "a catalogue without fees knows none");
    }

    fn party_of_one() -> Applicant {
        let (key, reference) = (ApplicantKey([0; 16]), Default::default());
        Applicant { key, last_four: 0, passport: None, reference }
    }

    #[test]
    fn rupiah_are_written_as_in_indonesia() {
        for (rupiah, expected) in
            [(0, "Rp 0"), (999, "Rp 999"), (1_000, "Rp 1.000"), (1_350_000, "Rp 1.350.000")]
        {
            assert_eq!(Rupiah(rupiah).to_string(), expected);
        }
    }
}
