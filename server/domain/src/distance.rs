//! How far offices are from each other, along the surface of the Earth, and which are near.

use std::collections::BinaryHeap;

use crate::{
    catalog::{Office, OfficeKind},
    ids::OfficeNumber,
    limits::{NEIGHBOUR_METRES_MAX, NEIGHBOURS_PER_KIND_MAX},
};

/// The Earth's mean radius in metres (IUGG). A great circle of that sphere is within 0.6 % of the way on the ellipsoid.
const EARTH_RADIUS_M: f64 = 6_371_008.8;
/// Millionths of a degree in a degree.
const MILLIONTHS: f64 = 1e6;

/// A place on the Earth, as a vector of length one from its centre: who compares many distances computes no angles.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Point([f64; 3]);

impl Point {
    /// The place of an office.
    #[must_use]
    pub fn of(office: &Office) -> Self {
        Self::at(office.latitude_e6, office.longitude_e6)
    }

    /// The place so many millionths of a degree north and east.
    #[must_use]
    pub fn at(latitude_e6: i32, longitude_e6: i32) -> Self {
        let angle = |e6: i32| (f64::from(e6) / MILLIONTHS).to_radians();
        let (latitude, longitude) = (angle(latitude_e6), angle(longitude_e6));
        Self([latitude.cos() * longitude.cos(), latitude.cos() * longitude.sin(), latitude.sin()])
    }

    /// Metres to another place along a great circle.
    #[must_use]
    pub fn metres_to(&self, other: &Self) -> u32 {
        let half_chord = (self.squared_chord_to(other) / 4.0).min(1.0).sqrt();
        // A quarter of the Earth's girth is 10,000 km: half of it fits with room to spare.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 20,015,115")]
        let metres = (2.0 * EARTH_RADIUS_M * half_chord.asin()).round() as u32;
        metres
    }

    /// The square of the straight way through the Earth, in radii: grows with the distance and costs no roots.
    fn squared_chord_to(&self, other: &Self) -> f64 {
        let along = |axis: usize| (self.0[axis] - other.0[axis]).powi(2);
        along(0) + along(1) + along(2)
    }
}

/// Another office, and how far it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Neighbour {
    /// Which.
    pub office: OfficeNumber,
    /// What it is.
    pub kind: OfficeKind,
    /// Metres to it.
    pub metres: u32,
}

/// The nearest offices of each kind, up to [`NEIGHBOURS_PER_KIND_MAX`], nearest first; what is further than
/// [`NEIGHBOUR_METRES_MAX`] is no neighbour.
#[must_use]
pub fn neighbours(home: OfficeNumber, offices: &[(OfficeKind, Point)]) -> Vec<Neighbour> {
    let Some((_, here)) = offices.get(home.index()) else { return Vec::new() };
    let angle = f64::from(NEIGHBOUR_METRES_MAX) / EARTH_RADIUS_M;
    let furthest = (2.0 * (angle / 2.0).sin()).powi(2);
    // Squares are compared: of thousands few are kept, and only for those the distance is computed.
    let mut nearest: [BinaryHeap<(u64, OfficeNumber)>; OfficeKind::ALL.len()] = Default::default();
    for (office, (kind, point)) in (0..).map(OfficeNumber).zip(offices) {
        let squared_chord = here.squared_chord_to(point);
        if squared_chord <= furthest && office != home {
            // What is not negative is in the order of its bits.
            let (found, one) = (&mut nearest[*kind as usize], (squared_chord.to_bits(), office));
            if found.len() < NEIGHBOURS_PER_KIND_MAX {
                found.push(one);
            } else if let Some(mut furthest) = found.peek_mut().filter(|furthest| one < **furthest) {
                *furthest = one;
            }
        }
    }
    let mut near = Vec::new();
    for (kind, found) in OfficeKind::ALL.into_iter().zip(&nearest) {
        near.extend(found.iter().map(|(_, office)| Neighbour {
            office: *office,
            kind,
            metres: here.metres_to(&offices[office.index()].1),
        }));
    }
    near.sort_unstable_by_key(|neighbour| (neighbour.metres, neighbour.office));
    near
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_of_the_great_circle() {
        let pontianak = (-51_700, 109_345_700);
        for (from, to, expected, within) in [
            (pontianak, pontianak, 0, 0),
            // A second of arc, and a degree of the equator and of a meridian.
            ((0, 0), (278, 0), 31, 0),
            ((0, 0), (0, 1_000_000), 111_195, 0),
            ((89_000_000, 7), (90_000_000, -7), 111_195, 0),
            // Singkawang; Jayapura; across the date line; the other side of the Earth.
            (pontianak, (906_000, 108_987_200), 113_700, 200),
            (pontianak, (-2_533_700, 140_718_100), 3_497_000, 2_000),
            ((0, 179_900_000), (0, -179_900_000), 22_239, 0),
            ((0, 0), (0, 180_000_000), 20_015_115, 1),
        ] {
            let (from, to) = (Point::at(from.0, from.1), Point::at(to.0, to.1));
            assert!(from.metres_to(&to).abs_diff(expected) <= within, "{} {expected}", from.metres_to(&to));
            assert_eq!(from.metres_to(&to), to.metres_to(&from));
        }
    }

    #[test]
    fn neighbours_are_the_nearest_of_each_kind_within_reach() {
        use OfficeKind::{Kanim, Mpp, Ukk};
        let east = |kind, thousandths: i32| (kind, Point::at(0, thousandths * 1_000));
        let mut offices = vec![east(Kanim, 0), east(Mpp, 20), east(Ukk, 10), east(Kanim, 20), east(Ukk, -5)];
        // Far enough to be none, and so many of one kind that some are left out.
        offices.push(east(Kanim, 3_000));
        offices.extend((100..).map(|at| east(Mpp, at)).take(NEIGHBOURS_PER_KIND_MAX));
        let found = neighbours(OfficeNumber(0), &offices);
        let first: Vec<_> =
            found.iter().take(4).map(|near| (near.office.0, near.kind, near.metres)).collect();
        assert_eq!(first, [(4, Ukk, 556), (2, Ukk, 1_112), (1, Mpp, 2_224), (3, Kanim, 2_224)]);
        assert_eq!(found.iter().filter(|near| near.kind == Mpp).count(), NEIGHBOURS_PER_KIND_MAX);
        assert_eq!(found.iter().filter(|near| near.kind == Kanim).count(), 1);
        assert_eq!(neighbours(OfficeNumber(99), &offices), [], "an office nobody knows has none");
    }
}
