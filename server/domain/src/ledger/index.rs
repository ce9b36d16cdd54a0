//! A table that finds rows by a key which stands in the row itself: eight bytes an entry. It owns hashes and row
//! numbers, never keys.

use hashbrown::{HashTable, hash_table::Entry};

/// Bits of the hash that choose a part. A table that grows moves all of its entries: in parts, no step is long.
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
    parts: Box<[HashTable<Found>]>,
    length: usize,
}

impl Default for Index {
    fn default() -> Self {
        Self { parts: (0..1 << PART_BITS).map(|_| HashTable::new()).collect(), length: 0 }
    }
}

impl Index {
    /// The row with this hash of which `is_it` holds.
    pub(super) fn find(&self, hash: u32, mut is_it: impl FnMut(RowNumber) -> bool) -> Option<RowNumber> {
        let is_it = |found: &Found| found.hash == hash && is_it(found.row);
        self.parts[part(hash)].find(spread(hash), is_it).map(|found| found.row)
    }

    /// Adds a row. Whoever calls this has looked that none has the key.
    pub(super) fn insert(&mut self, hash: u32, row: RowNumber) {
        self.parts[part(hash)].insert_unique(spread(hash), Found { hash, row }, |found| spread(found.hash));
        self.length += 1;
    }

    /// Takes a row out; says whether it was there.
    pub(super) fn remove(&mut self, hash: u32, row: RowNumber) -> bool {
        let is_it = |found: &Found| found.hash == hash && found.row == row;
        let entry = self.parts[part(hash)].entry(spread(hash), is_it, |found| spread(found.hash));
        let Entry::Occupied(found) = entry else { return false };
        found.remove();
        self.length -= 1;
        true
    }

    /// Every row, in no particular order.
    pub(super) fn rows(&self) -> impl Iterator<Item = RowNumber> {
        self.parts.iter().flatten().map(|found| found.row)
    }

    /// How many rows there are.
    pub(super) const fn len(&self) -> usize {
        self.length
    }
}

const fn part(hash: u32) -> usize {
    (hash >> (u32::BITS - PART_BITS)) as usize
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
        let mut index = Index::default();
        for row in 0..10_000 {
            // Every hash belongs to ten rows.
            index.insert((row % 1_000) << 20, row);
        }
        assert_eq!((index.len(), index.rows().count()), (10_000, 10_000));
        assert_eq!(index.find(7 << 20, |row| row == 5_007), Some(5_007));
        assert_eq!(index.find(7 << 20, |row| row == 5_008), None);
        assert!(index.remove(7 << 20, 5_007) && !index.remove(7 << 20, 5_007));
        assert_eq!(index.find(7 << 20, |row| row == 5_007), None);
        assert_eq!(index.find(7 << 20, |row| row == 6_007), Some(6_007));
        assert_eq!(index.len(), 9_999);
    }
}
