//! What else is free, for those who are refused: which slots are named, and in which order.
//!
//! Alternatives differ from what was asked for in one thing: the day, the lane, or the office. They fall into groups, in
//! each the nearest first, and are named in turns, one of each group, up to [`ALTERNATIVES_MAX`]: whoever is refused can
//! choose between waiting, paying and travelling.

use crate::{
    calendar::ServiceDay,
    catalog::OfficeKind,
    distance::Neighbour,
    limits::{ALTERNATIVES_MAX, PARTY_MAX},
    slot::{Lane, SlotKey},
};

/// Other days, other lanes, and offices of each kind.
const GROUPS: usize = 2 + OfficeKind::ALL.len();

/// A slot that may be named instead of another.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Alternative<S> {
    /// Which.
    pub slot: SlotKey,
    /// Metres to its office.
    pub metres: u32,
    /// What knows its places.
    pub source: S,
}

/// Slots that may be named instead of one, by group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shortlist<T> {
    all: Box<[T]>,
    /// Where each group ends.
    ends: [u16; GROUPS],
}

/// The lanes that may be named to somebody who asked for one. The priority lane is for those who have a ground, and only
/// who asked for it said one.
#[must_use]
pub const fn other_lanes(asked: Lane) -> &'static [Lane] {
    match asked {
        Lane::Regular => &[Lane::OneDay],
        Lane::OneDay => &[Lane::Regular],
        Lane::Priority => &[Lane::Regular, Lane::OneDay],
    }
}

impl<S> Shortlist<Alternative<S>> {
    /// Looks at slots that differ from the one asked for: its office on other days and on other lanes, and its neighbours,
    /// nearest first. `free` says how many places may be had at once: none where it is not open, closed or paused. So
    /// many are kept that a party of any size is named what it would be, were all kept.
    pub fn of(
        asked: SlotKey,
        days: impl Iterator<Item = (ServiceDay, S)>,
        lanes: impl Iterator<Item = (Lane, S)>,
        neighbours: impl Iterator<Item = (Neighbour, S)>,
        free: impl Fn(&S) -> u32,
    ) -> Self {
        let mut by_day: Vec<_> = days.filter(|(day, source)| *day != asked.day && free(source) > 0).collect();
        // Of two days as near, the earlier.
        by_day.sort_by_key(|(day, _)| (day.number().abs_diff(asked.day.number()), *day));
        let mut other_days = Group::default();
        for (day, source) in by_day {
            let places = free(&source);
            other_days.keep(Alternative { slot: SlotKey { day, ..asked }, metres: 0, source }, places);
        }
        let mut other_lanes = Group::default();
        for (lane, source) in lanes {
            let places = free(&source);
            other_lanes.keep(Alternative { slot: SlotKey { lane, ..asked }, metres: 0, source }, places);
        }
        let mut offices: [Group<S>; OfficeKind::ALL.len()] = Default::default();
        for (Neighbour { office, kind, metres }, source) in neighbours {
            let (slot, places) = (SlotKey { office, ..asked }, free(&source));
            offices[kind as usize].keep(Alternative { slot, metres, source }, places);
        }
        // The kind whose nearest office is nearest has its turn first.
        offices.sort_by_key(|group| group.kept.first().map_or(u32::MAX, |nearest| nearest.metres));
        let (mut all, mut ends) = (Vec::new(), [0; GROUPS]);
        for (group, end) in [other_days, other_lanes].into_iter().chain(offices).zip(&mut ends) {
            all.extend(group.kept);
            *end = u16::try_from(all.len()).unwrap_or(u16::MAX);
        }
        Self { all: all.into(), ends }
    }
}

impl<T> Shortlist<T> {
    /// The same, made into something else one by one.
    pub fn map<R>(self, with: impl FnMut(T) -> R) -> Shortlist<R> {
        Shortlist { all: self.all.into_iter().map(with).collect(), ends: self.ends }
    }

    /// Goes round the groups, and from each takes the nearest that was not looked at and that `name` names, up to
    /// [`ALTERNATIVES_MAX`]. Says how many were named.
    pub fn in_turns(&self, mut name: impl FnMut(&T) -> bool) -> usize {
        let mut groups: [_; GROUPS] = self.groups();
        let mut named = 0;
        loop {
            let before = named;
            for group in &mut groups {
                while let Some((nearest, rest)) = group.split_first() {
                    *group = rest;
                    if name(nearest) {
                        named += 1;
                        break;
                    }
                }
                if named == ALTERNATIVES_MAX {
                    return named;
                }
            }
            if named == before {
                return named;
            }
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    fn groups(&self) -> [&[T]; GROUPS] {
        let mut begin = 0;
        self.ends.map(|end| &self.all[std::mem::replace(&mut begin, end.into())..end.into()])
    }
}

struct Group<S> {
    kept: Vec<Alternative<S>>,
    /// How many have places for a party of one, of two, and so on.
    for_parties: [usize; PARTY_MAX],
}

impl<S> Default for Group<S> {
    fn default() -> Self {
        Self { kept: Vec::new(), for_parties: [0; PARTY_MAX] }
    }
}

impl<S> Group<S> {
    /// Keeps one that comes after all that were offered before, if there is a party for which it may be named.
    fn keep(&mut self, one: Alternative<S>, places: u32) {
        let largest = usize::try_from(places).map_or(PARTY_MAX, |places| places.min(PARTY_MAX));
        // Fewer have places for a larger party: when that one has enough, all have.
        if largest == 0 || self.for_parties[largest - 1] >= ALTERNATIVES_MAX {
            return;
        }
        self.for_parties[..largest].iter_mut().for_each(|kept| *kept += 1);
        self.kept.push(one);
    }
}
