//! A table that finds rows by a key which stands in the row itself: eight bytes an entry. It owns hashes and row
//! numbers, never keys. The ledger changes it; other threads may look into it meanwhile.

use crossbeam_utils::CachePadded;
use hashbrown::{HashTable, hash_table::Entry};
use parking_lot::RwLock;

/// Bits of the hash that choose a part. A table that grows moves all of its entries: in parts, no step is long, and
/// nobody waits long for one.
const PART_BITS: u32 = 8;

/// Number of a row.
pub(super) type RowNumber = u32;

#[derive(Debug, Clone, Copy)]
struct Found {
    hash: u32,
    row: RowNumber,
}

/// Finds rows by the hash of a key.
#[derive(Debug)]
pub(super) struct Index {
    parts: Box<[CachePadded<RwLock<HashTable<Found>>>]>,
}

impl Default for Index {
    fn default() -> Self {
        Self { parts: (0..1 << PART_BITS).map(|_| CachePadded::default()).collect() }
    }
}

impl Index {
    /// What `look` makes of the first row with this hash of which it makes anything.
    pub(super) fn find<T>(&self, hash: u32, mut look: impl FnMut(RowNumber) -> Option<T>) -> Option<T> {
        let mut found = None;
        let is_it = |entry: &Found| {
            if entry.hash == hash {
                found = look(entry.row);
            }
            found.is_some()
        };
        self.part(hash).read().find(spread(hash), is_it);
        found
    }

    /// Adds a row, unless `is_taken` holds of another with this hash; says whether it did.
    pub(super) fn insert(&self, hash: u32, row: RowNumber, is_taken: impl Fn(RowNumber) -> bool) -> bool {
        let is_taken = |found: &Found| found.hash == hash && is_taken(found.row);
        let mut part = self.part(hash).write();
        let entry = part.entry(spread(hash), is_taken, |found| spread(found.hash));
        let Entry::Vacant(vacant) = entry else { return false };
        vacant.insert(Found { hash, row });
        true
    }

    /// Takes a row out; says whether it was there.
    pub(super) fn remove(&self, hash: u32, row: RowNumber) -> bool {
        let is_it = |found: &Found| found.hash == hash && found.row == row;
        let mut part = self.part(hash).write();
        let Entry::Occupied(found) = part.entry(spread(hash), is_it, |found| spread(found.hash)) else {
            return false;
        };
        found.remove();
        true
    }

    /// Every row, in no particular order.
    pub(super) fn rows(&self) -> Vec<RowNumber> {
        let mut rows = Vec::with_capacity(self.len());
        self.parts.iter().for_each(|part| rows.extend(part.read().iter().map(|found| found.row)));
        rows
    }

    /// How many rows there are.
    pub(super) fn len(&self) -> usize {
        self.parts.iter().map(|part| part.read().len()).sum()
    }

    fn part(&self, hash: u32) -> &RwLock<HashTable<Found>> {
        &self.parts[(hash >> (u32::BITS - PART_BITS)) as usize]
    }
}

/// 64 bits for a table that looks at the highest and the lowest: Fibonacci hashing (Knuth, The Art of Computer
/// Programming, volume 3, 6.4).
const fn spread(hash: u32) -> u64 {
    (hash as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
