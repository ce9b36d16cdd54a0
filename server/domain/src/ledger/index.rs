//! A table that finds rows by a key which stands in the row itself: eight bytes an entry. It owns hashes and row
//! numbers, never keys. The ledger changes it; other threads may look into it meanwhile.

use std::{array, hint::black_box, num::NonZeroU32};

use crossbeam_utils::CachePadded;
use parking_lot::RwLock;

use super::{ahead::LOOKED_AT, replay::Pace};
use crate::ahead::{STEP, fetch, fetch_all};

/// Bits of the hash that choose a part. A table that grows moves all of its entries: in parts, no step is long, and
/// nobody waits long for one.
const PART_BITS: u32 = 8;
/// A part grows when more than so many eighths of its homes would be taken,
const LOAD_EIGHTHS: usize = 7;
/// by one in so many: a fifth of it is free on average, where doubling would leave half.
const GROWTH_SHARE: usize = 4;
/// Places beyond the last home, for those who find it taken; more are added when they are needed.
const SPARE: usize = 16;

/// A part that has so many may be told how many more will come,
const MADE_ROOM_FOR: usize = 256;
/// and is given room for one more in so many: parts do not fill evenly.
const UNEVEN_SHARE: usize = 64;

/// So many entries are read from front to back in the time of one wait.
const ENTRIES_PER_WAIT: usize = 32;

/// Number of a row.
pub(super) type RowNumber = u32;

/// Finds rows by the hash of a key.
#[derive(Debug)]
pub(super) struct Index {
    parts: Box<[CachePadded<RwLock<Part>>]>,
}

impl Default for Index {
    fn default() -> Self {
        Self { parts: (0..1 << PART_BITS).map(|_| CachePadded::default()).collect() }
    }
}

impl Index {
    /// What `look` makes of the first row with this hash of which it makes anything.
    pub(super) fn find<T>(&self, hash: u32, look: impl FnMut(RowNumber) -> Option<T>) -> Option<T> {
        self.part(hash).read().rows_of(hash).find_map(look)
    }

    /// Adds a row, unless `is_taken` holds of another with this hash; says whether it did.
    pub(super) fn insert(&self, hash: u32, row: RowNumber, is_taken: impl Fn(RowNumber) -> bool) -> bool {
        let Some(entry) = Entry::of(hash, row) else { return false };
        self.part(hash).write().enter(entry, is_taken)
    }

    /// Adds rows that wait to be entered, as long as nobody else looks into them; gives back those that were not, because
    /// `is_taken` holds of another with the same hash, and of them.
    pub(super) fn fill(
        &mut self,
        waiting: &mut Entries,
        pace: Pace,
        is_taken: impl Fn(RowNumber, RowNumber) -> bool,
    ) -> Vec<RowNumber> {
        // A part is read through where that takes about as long as to wait for each of those that come.
        let are_many = waiting.entries >= (self.parts.len() * LOOKED_AT).max(self.len() / ENTRIES_PER_WAIT);
        let mut refused = Vec::new();
        let mut enter = |part: &mut Part, entry: Entry| {
            if !part.enter(entry, |other| is_taken(other, entry.row())) {
                refused.push(entry.row());
            }
        };
        if are_many {
            for (part, some) in self.parts.iter_mut().zip(&mut waiting.parts) {
                let part = part.get_mut();
                part.make_room(some.len(), pace);
                part.read_through();
                some.drain(..).for_each(|entry| enter(part, entry));
            }
        } else {
            let few: Vec<_> = waiting.parts.iter_mut().flat_map(|some| some.drain(..)).collect();
            for some in few.chunks(LOOKED_AT) {
                some.iter().for_each(|entry| self.look_ahead(entry.hash, pace));
                for entry in some {
                    enter(self.parts[part_of(entry.hash)].get_mut(), *entry);
                }
            }
        }
        waiting.entries = 0;
        refused
    }

    /// Takes a row out; says whether it was there.
    pub(super) fn remove(&self, hash: u32, row: RowNumber) -> bool {
        Entry::of(hash, row).is_some_and(|entry| self.part(hash).write().remove(entry))
    }

    /// Fetches the place where a hash is at home, as long as nobody else looks, and sees to room there. Locks nothing: a
    /// processor fetches several side by side.
    pub(super) fn look_ahead(&mut self, hash: u32, pace: Pace) {
        let part = self.parts[part_of(hash)].get_mut();
        part.make_room(0, pace);
        part.place_of_home(hash).into_iter().for_each(fetch);
    }

    /// The same for so many hashes as a step has items, while others may look too. All their parts are locked first: a processor
    /// waits for one lock after the other. For the thread that changes them: another would keep it waiting.
    pub(super) fn fetch(&self, mut hashes: impl Iterator<Item = u32>) {
        let parts: [_; STEP] = array::from_fn(|_| {
            let hash = hashes.next()?;
            // Two hashes may be of one part.
            Some((hash, self.part(hash).read_recursive()))
        });
        fetch_all(parts.iter().flatten().filter_map(|(hash, part)| part.place_of_home(*hash)));
    }

    /// Every row, in no particular order.
    pub(super) fn rows(&self) -> Vec<RowNumber> {
        let mut rows = Vec::with_capacity(self.len());
        for part in &self.parts {
            rows.extend(part.read().places.iter().flatten().map(|entry| entry.row()));
        }
        rows
    }

    /// How many rows there are.
    pub(super) fn len(&self) -> usize {
        self.parts.iter().map(|part| part.read().entries).sum()
    }

    fn part(&self, hash: u32) -> &RwLock<Part> {
        &self.parts[part_of(hash)]
    }
}

const fn part_of(hash: u32) -> usize {
    (hash >> (u32::BITS - PART_BITS)) as usize
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    hash: u32,
    /// One more than the number of the row, so that an empty place takes no more room.
    row_after: NonZeroU32,
}

impl Entry {
    fn of(hash: u32, row: RowNumber) -> Option<Self> {
        Some(Self { hash, row_after: NonZeroU32::new(row.checked_add(1)?)? })
    }

    const fn row(self) -> RowNumber {
        self.row_after.get() - 1
    }
}

/// What waits to be entered, by parts: one after the other they are read from front to back, and then are at hand.
#[derive(Debug)]
pub(super) struct Entries {
    parts: Box<[Vec<Entry>]>,
    entries: usize,
}

impl Default for Entries {
    fn default() -> Self {
        Self { parts: (0..1 << PART_BITS).map(|_| Vec::new()).collect(), entries: 0 }
    }
}

impl Entries {
    /// One more; false when there are no numbers for so many rows.
    pub(super) fn push(&mut self, hash: u32, row: RowNumber) -> bool {
        let Some(entry) = Entry::of(hash, row) else { return false };
        self.parts[part_of(hash)].push(entry);
        self.entries += 1;
        true
    }
}

/// Entries in the order of their hashes, with room between them (Amble and Knuth, Ordered hash tables, 1974). Each stands at
/// its home, or behind it with no room in between: a look-up reads on from the home, most often in one cache line, and ends
/// at a greater hash. A part that grows is copied from front to back.
#[derive(Debug, Default)]
struct Part {
    places: Vec<Option<Entry>>,
    /// Where hashes are at home: the places before [`SPARE`].
    homes: usize,
    entries: usize,
}

impl Part {
    /// Where the search for a hash begins. Grows with the hash.
    fn home(&self, hash: u32) -> usize {
        let within_part = u64::from(hash << PART_BITS);
        usize::try_from((within_part * self.homes as u64) >> u32::BITS).unwrap_or(usize::MAX)
    }

    /// What stands where the search for a hash begins.
    fn place_of_home(&self, hash: u32) -> Option<&Option<Entry>> {
        self.places.get(self.home(hash))
    }

    /// Reads all of it, so that it is at hand. A processor sees that coming, and waits for little of it.
    fn read_through(&self) {
        let lines = self.places.iter().step_by(64 / size_of::<Option<Entry>>());
        black_box(lines.flatten().fold(0, |read, entry| read ^ entry.hash));
    }

    fn rows_of(&self, hash: u32) -> impl Iterator<Item = RowNumber> {
        let from_home = self.places[self.home(hash)..].iter().map_while(|place| *place);
        let up_to_hash = from_home.take_while(move |entry| entry.hash <= hash);
        up_to_hash.filter(move |entry| entry.hash == hash).map(Entry::row)
    }

    /// Inserts it, unless `is_taken` holds of a row with its hash; says whether it did.
    fn enter(&mut self, entry: Entry, is_taken: impl Fn(RowNumber) -> bool) -> bool {
        let is_new = !self.rows_of(entry.hash).any(is_taken);
        if is_new {
            self.insert(entry);
        }
        is_new
    }

    fn insert(&mut self, entry: Entry) {
        if self.entries >= self.room() {
            self.grow(self.homes + self.homes / GROWTH_SHARE);
        }
        let mut at = self.home(entry.hash);
        while self.places[at].is_some_and(|other| other.hash <= entry.hash) {
            at += 1;
            self.reach(at);
        }
        let mut room = at;
        while self.places[room].is_some() {
            room += 1;
            self.reach(room);
        }
        self.places.copy_within(at..room, at + 1);
        self.places[at] = Some(entry);
        self.entries += 1;
    }

    fn remove(&mut self, entry: Entry) -> bool {
        let mut at = self.home(entry.hash);
        loop {
            match self.places.get(at).copied().flatten() {
                Some(other) if other == entry => break,
                Some(other) if other.hash <= entry.hash => at += 1,
                Some(_) | None => return false,
            }
        }
        // Who stands behind its home moves up, so that there is no room between them.
        let follows = |next: &usize| self.places[*next].is_some_and(|other| self.home(other.hash) < *next);
        let behind = (at + 1..self.places.len()).take_while(follows).count();
        self.places.copy_within(at + 1..=at + behind, at);
        self.places[at + behind] = None;
        self.entries -= 1;
        true
    }

    /// Entries from which on it grows.
    const fn room(&self) -> usize {
        self.homes / 8 * LOAD_EIGHTHS
    }

    /// Shortly before a part would grow by itself for so many more, it grows to what is expected of it, and to twice of what it
    /// will have then at most: step by step its entries would be copied four times, each time into new memory.
    fn make_room(&mut self, more: usize, pace: Pace) {
        let entries = self.entries + more;
        if entries < MADE_ROOM_FOR || entries + SPARE < self.room() {
            return;
        }
        let expected = pace.expected(entries).clamp(entries, 2 * entries);
        if expected > self.entries {
            self.grow((expected + expected / UNEVEN_SHARE) / LOAD_EIGHTHS * 8);
        }
    }

    fn grow(&mut self, homes: usize) {
        let homes = homes.next_multiple_of(8) + 8;
        let mut grown = Self { places: vec![None; homes + SPARE], homes, entries: self.entries };
        let mut next = 0;
        for entry in self.places.iter().flatten() {
            let at = grown.home(entry.hash).max(next);
            grown.reach(at);
            grown.places[at] = Some(*entry);
            next = at + 1;
        }
        // An insertion looks one place further.
        grown.reach(next);
        *self = grown;
    }

    /// Makes sure that there is such a place.
    fn reach(&mut self, place: usize) {
        if place >= self.places.len() {
            self.places.reserve_exact(SPARE);
            self.places.resize(place + SPARE, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_entry_takes_eight_bytes() {
        assert_eq!(size_of::<Option<Entry>>(), 8);
    }

    #[test]
    fn a_part_that_is_told_how_many_come_grows_less_often_and_never_beyond_what_that_needs() {
        const ENTRIES: u32 = 40_000;
        let grown = |of: u64| {
            let (mut part, mut sizes) = (Part::default(), BTreeSet::new());
            for row in 0..ENTRIES {
                part.make_room(0, Pace { applied: row.into(), of });
                part.insert(Entry::of(row.wrapping_mul(0x9E37_79B9) >> PART_BITS, row).unwrap());
                sizes.insert(part.homes);
                assert!(part.homes <= 5 * part.entries / 2 + SPARE, "{} for {}", part.homes, part.entries);
            }
            assert!((0..ENTRIES).all(|row| {
                part.rows_of(row.wrapping_mul(0x9E37_79B9) >> PART_BITS).any(|found| found == row)
            }));
            (sizes.len(), part.homes)
        };
        // All of them at once, by the end of a log, and of one that says nothing of itself.
        for of in [0, ENTRIES.into()] {
            let mut part = Part::default();
            part.make_room(ENTRIES as usize, Pace { applied: ENTRIES.into(), of });
            assert!(part.room() >= ENTRIES as usize && part.homes < 6 * ENTRIES as usize / 5);
        }
        let alone = grown(0);
        // What the log says of itself, less, and a lie.
        let told = grown(ENTRIES.into());
        assert!(told.0 < alone.0 - 8 && told.1 < 6 * ENTRIES as usize / 5, "{told:?}, {alone:?}");
        assert_eq!(grown(10), alone);
        assert!(grown(u64::MAX).1 < 5 * ENTRIES as usize / 2);
    }

    #[test]
    fn a_row_is_found_by_its_hash_and_its_key_until_it_is_removed() {
        let index = Index::default();
        for row in 0..10_000 {
            // Every hash belongs to ten rows.
            assert!(index.insert((row % 1_000) << 20, row, |other| other == row));
        }
        let find = |wanted| index.find(7 << 20, |row| (row == wanted).then_some(row));
        assert_eq!((index.len(), index.rows().len()), (10_000, 10_000));
        assert_eq!((find(5_007), find(5_008)), (Some(5_007), None));
        assert!(index.remove(7 << 20, 5_007) && !index.remove(7 << 20, 5_007));
        assert_eq!((find(5_007), find(6_007)), (None, Some(6_007)));
        assert!(!index.insert(7 << 20, 5_007, |row| row == 6_007), "taken");
        assert_eq!(index.len(), 9_999);
    }

    #[test]
    fn many_rows_that_are_entered_together_stand_as_those_that_are_entered_one_by_one() {
        // Some of each time's rows have the hash of another, of that time or before: every eighth of them is taken.
        let hash = |row: u32| (row - row % 4).wrapping_mul(0x9E37_79B9);
        let is_taken = |by: u32, row: u32| row % 8 == 3 && by % 8 < 3;
        let (mut together, one_by_one) = (Index::default(), Index::default());
        let mut waiting = Entries::default();
        let mut next = 0;
        for entries in [10, 40_000, 3, 100, 20_000] {
            let mut refused = BTreeSet::new();
            for row in next..next + entries {
                assert!(waiting.push(hash(row), row));
                if !one_by_one.insert(hash(row), row, |by| is_taken(by, row)) {
                    refused.insert(row);
                }
            }
            next += entries;
            let pace = Pace { applied: next.into(), of: 100_000 };
            assert_eq!(BTreeSet::from_iter(together.fill(&mut waiting, pace, is_taken)), refused);
            assert!(refused.len() > entries as usize / 16);
            let rows = |index: &Index| BTreeSet::from_iter(index.rows());
            assert_eq!((together.len(), rows(&together)), (one_by_one.len(), rows(&one_by_one)));
        }
        assert!(together.rows().into_iter().all(|row| together.remove(hash(row), row)));
    }

    proptest! {
        #[test]
        fn a_part_holds_what_was_put_in_and_not_taken_out_in_order_and_without_gaps(
            // Hashes that crowd at both ends and in the middle, few enough to meet again.
            steps in prop::collection::vec(
                (prop_oneof![0..40_u32, 0x0080_0000..0x0080_0028_u32, 0x00FF_FFE0..0x0100_0000_u32], 0..4_u32, 0..3),
                0..600,
            ),
        ) {
            let (mut part, mut model) = (Part::default(), BTreeSet::new());
            for (hash, row, kind) in steps {
                let entry = Entry::of(hash, row).unwrap();
                if kind == 0 {
                    prop_assert_eq!(part.remove(entry), model.remove(&(hash, row)));
                } else if model.insert((hash, row)) {
                    part.insert(entry);
                }
                let rows: BTreeSet<_> = part.rows_of(hash).collect();
                let expected: BTreeSet<_> =
                    model.iter().filter(|(other, _)| *other == hash).map(|(_, row)| *row).collect();
                prop_assert_eq!(rows, expected);
            }
            prop_assert_eq!(part.entries, model.len());
            let placed: Vec<_> =
                (0..).zip(&part.places).filter_map(|(at, place)| Some((at, (*place)?))).collect();
            prop_assert_eq!(placed.len(), model.len());
            prop_assert!(placed.is_sorted_by_key(|(_, entry)| entry.hash));
            for (at, entry) in placed {
                let home = part.home(entry.hash);
                prop_assert!(home <= at && part.places[home..=at].iter().all(Option::is_some));
            }
        }
    }
}
