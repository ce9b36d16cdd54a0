//! What is named to somebody who is refused, row by row; and by a rule written down a second time.
#![cfg(not(loom))]

use std::collections::BTreeMap;

use kuota_domain::{
    alternative::{Alternative, Shortlist, other_lanes},
    calendar::ServiceDay,
    catalog::OfficeKind,
    distance::Neighbour,
    ids::OfficeNumber,
    limits::{ALTERNATIVES_MAX, PARTY_MAX},
    slot::{Lane, SlotKey},
};
use proptest::prelude::*;

/// Free places by office, day and lane; who is how far from office 0, nearest first.
#[derive(Clone, Debug)]
struct World {
    free: BTreeMap<SlotKey, u32>,
    neighbours: Vec<Neighbour>,
}

fn slot(office: u32, day: i32, lane: Lane) -> SlotKey {
    let monday = ServiceDay::parse("2026-11-30").unwrap();
    SlotKey { office: OfficeNumber(office), day: monday.plus_days(day), lane }
}

impl World {
    fn shortlist(&self, asked: SlotKey) -> Shortlist<Alternative<u32>> {
        let find = |slot: SlotKey| self.free.get(&slot).copied();
        let days = self.free.keys().filter(|slot| slot.office == asked.office && slot.lane == asked.lane);
        Shortlist::of(
            asked,
            days.filter_map(|slot| Some((slot.day, find(*slot)?))),
            other_lanes(asked.lane)
                .iter()
                .filter_map(|lane| Some((*lane, find(SlotKey { lane: *lane, ..asked })?))),
            self.neighbours
                .iter()
                .filter_map(|near| Some((*near, find(SlotKey { office: near.office, ..asked })?))),
            |free| *free,
        )
    }

    fn named(&self, asked: SlotKey, places: u32) -> Vec<SlotKey> {
        let mut named = Vec::new();
        let count = self.shortlist(asked).in_turns(|one| {
            let has_places = one.source >= places;
            named.extend(has_places.then_some(one.slot));
            has_places
        });
        assert_eq!(count, named.len());
        named
    }
}

/// A neighbour of office 0.
fn near(office: u32, kind: OfficeKind, metres: u32) -> Neighbour {
    Neighbour { office: OfficeNumber(office), kind, metres }
}

#[test]
fn each_group_has_its_turn_and_in_each_the_nearest_is_first() {
    use Lane::{OneDay, Priority, Regular};
    use OfficeKind::{Kanim, Mpp, Ukk};
    let neighbours =
        vec![near(1, Mpp, 3_000), near(2, Mpp, 4_000), near(3, Ukk, 60_000), near(4, Kanim, 110_000)];
    let all_of = |lane: Lane, offices: &[u32]| -> Vec<SlotKey> {
        offices.iter().map(|office| slot(*office, 2, lane)).collect()
    };
    let days =
        |numbers: &[i32]| -> Vec<SlotKey> { numbers.iter().map(|day| slot(0, *day, Regular)).collect() };
    let cat = |parts: &[Vec<SlotKey>]| parts.concat();
    let asked = slot(0, 2, Regular);
    // What is free, with how many places; how many are asked for; what is named.
    let rows: [(&str, Vec<(SlotKey, u32)>, u32, Vec<SlotKey>); 11] = [
        ("nothing is free", vec![], 1, vec![]),
        ("what was asked for is not named", vec![(asked, 9)], 1, vec![]),
        (
            "one of each group",
            cat(&[days(&[0, 1, 3, 4]), all_of(OneDay, &[0]), all_of(Regular, &[1, 2, 3, 4])])
                .into_iter()
                .map(|slot| (slot, 9))
                .collect(),
            1,
            cat(&[days(&[1]), all_of(OneDay, &[0]), all_of(Regular, &[1, 3, 4])]),
        ),
        (
            "the nearest days where there is nothing else, of two the earlier",
            days(&[-4, 0, 1, 3, 4, 5]).into_iter().map(|slot| (slot, 9)).collect(),
            1,
            days(&[1, 3, 0, 4, 5]),
        ),
        (
            "the kind that is nearest comes first",
            all_of(Regular, &[2, 3, 4]).into_iter().map(|slot| (slot, 1)).collect(),
            1,
            all_of(Regular, &[2, 3, 4]),
        ),
        (
            "a second round where groups run out",
            cat(&[days(&[1, 3, 4]), all_of(Regular, &[1, 2])]).into_iter().map(|slot| (slot, 1)).collect(),
            1,
            cat(&[days(&[1]), all_of(Regular, &[1]), days(&[3]), all_of(Regular, &[2]), days(&[4])]),
        ),
        (
            "nothing without a place",
            vec![
                (slot(0, 1, Regular), 0),
                (slot(0, 2, OneDay), 0),
                (slot(1, 2, Regular), 0),
                (slot(0, 3, Regular), 1),
            ],
            1,
            days(&[3]),
        ),
        (
            "room for the whole party, also further away",
            vec![
                (slot(0, 1, Regular), 2),
                (slot(0, 4, Regular), 3),
                (slot(1, 2, Regular), 2),
                (slot(2, 2, Regular), 5),
            ],
            3,
            cat(&[days(&[4]), all_of(Regular, &[2])]),
        ),
        (
            "no office on another day or lane",
            vec![(slot(1, 3, Regular), 9), (slot(1, 2, OneDay), 9), (slot(0, 3, OneDay), 9)],
            1,
            vec![],
        ),
        ("the priority lane only to those who asked for it", vec![(slot(0, 2, Priority), 9)], 1, vec![]),
        ("an office out of reach is none", vec![(slot(9, 2, Regular), 9)], 1, vec![]),
    ];
    for (what, free, places, expected) in rows {
        let world = World { free: free.into_iter().collect(), neighbours: neighbours.clone() };
        assert_eq!(world.named(asked, places), expected, "{what}");
    }
    let lanes = [(slot(0, 2, Regular), 1), (slot(0, 2, OneDay), 1), (slot(0, 1, Priority), 1)];
    let world = World { free: lanes.into(), neighbours };
    for (lane, expected) in [
        (OneDay, vec![slot(0, 2, Regular)]),
        (Priority, vec![slot(0, 1, Priority), slot(0, 2, Regular), slot(0, 2, OneDay)]),
    ] {
        assert_eq!(world.named(slot(0, 2, lane), 1), expected, "{lane}");
    }
}

/// The rule a second time, over everything there is: no shortlist, sorted by turn and group.
fn rule(world: &World, asked: SlotKey, places: u32) -> Vec<SlotKey> {
    let has_places = |slot: &SlotKey| world.free.get(slot).is_some_and(|free| *free >= places);
    let mut days: Vec<SlotKey> = world.free.keys().copied().collect();
    days.retain(|slot| slot.office == asked.office && slot.lane == asked.lane && slot.day != asked.day);
    days.sort_by_key(|slot| ((slot.day.number() - asked.day.number()).abs(), slot.day));
    let lanes = other_lanes(asked.lane).iter().map(|lane| SlotKey { lane: *lane, ..asked }).collect();
    let mut kinds: Vec<(u32, Vec<SlotKey>)> = Vec::new();
    for kind in OfficeKind::ALL {
        let of_kind = world.neighbours.iter().filter(|near| near.kind == kind);
        let with_any = |near: &&Neighbour| {
            world.free.get(&SlotKey { office: near.office, ..asked }).is_some_and(|free| *free > 0)
        };
        let first = of_kind.clone().find(with_any).map_or(u32::MAX, |near| near.metres);
        kinds.push((first, of_kind.map(|near| SlotKey { office: near.office, ..asked }).collect()));
    }
    kinds.sort_by_key(|(first, _)| *first);
    let groups = [days, lanes].into_iter().chain(kinds.into_iter().map(|(_, slots)| slots));
    let mut turns = Vec::new();
    for (group, slots) in groups.enumerate() {
        let free = slots.into_iter().filter(has_places).enumerate();
        turns.extend(free.map(|(turn, slot)| ((turn, group), slot)));
    }
    turns.sort_by_key(|(turn, _)| *turn);
    turns.into_iter().map(|(_, slot)| slot).take(ALTERNATIVES_MAX).collect()
}

fn a_world() -> impl Strategy<Value = World> {
    let slots = (0_u32..24, -6_i32..12, 0_usize..3).prop_map(|(office, day, lane)| {
        // Half of them where they matter: at the office itself, or on the day.
        let (office, day) = if office < 12 { (0, day) } else { (office - 11, if day < 9 { 2 } else { day }) };
        slot(office, day, Lane::ALL[lane])
    });
    let free = proptest::collection::btree_map(slots, 0_u32..8, 0..120);
    let neighbours = proptest::collection::vec((0_usize..3, 0_u32..50), 12);
    (free, neighbours).prop_map(|(free, neighbours)| {
        let neighbours =
            (1..).zip(neighbours).map(|(office, (kind, metres))| near(office, OfficeKind::ALL[kind], metres));
        let mut neighbours: Vec<_> = neighbours.collect();
        neighbours.sort_by_key(|near| (near.metres, near.office));
        World { free, neighbours }
    })
}

proptest! {
    #[test]
    fn a_shortlist_names_what_the_rule_names_of_everything_there_is(
        world in a_world(),
        lane in 0_usize..3,
        places in 1_u32..=5,
    ) {
        let asked = slot(0, 2, Lane::ALL[lane]);
        let named = world.named(asked, places);
        prop_assert_eq!(&named, &rule(&world, asked, places));
        prop_assert!(named.len() <= ALTERNATIVES_MAX);
        prop_assert!(named.iter().all(|slot| *slot != asked && world.free[slot] >= places));
        // INV-9: however much is free, a list of each group for each party is the most that is kept.
        prop_assert!(world.shortlist(asked).len() <= 5 * ALTERNATIVES_MAX * PARTY_MAX);
    }
}
