//! A map of what is under way, in parts with a lock each: many threads enter something, and one takes much out at a time. It
//! goes from part to part then: one lock serves several, and memory, which another core wrote last, is waited for once.

use std::{
    hash::{BuildHasher, Hash},
    hint::black_box,
};

use crossbeam_utils::CachePadded;
use hashbrown::{DefaultHashBuilder, HashTable, hash_table::Entry};
use parking_lot::{Mutex, MutexGuard};

use crate::limits::UNDER_WAY_PARTS;

/// So many keys are worth a walk through all parts.
const MANY: usize = UNDER_WAY_PARTS / 4;

type Table<K, V> = HashTable<(K, V)>;
type Part<K, V> = CachePadded<Mutex<Table<K, V>>>;

/// Something for each of some keys.
#[derive(Debug)]
pub(super) struct Parted<K, V> {
    parts: Box<[Part<K, V>]>,
    hashing: DefaultHashBuilder,
}

impl<K, V> Default for Parted<K, V> {
    fn default() -> Self {
        let parts = (0..UNDER_WAY_PARTS).map(|_| CachePadded::new(Mutex::new(HashTable::new()))).collect();
        Self { parts, hashing: DefaultHashBuilder::default() }
    }
}

/// The part of a hash. By bits that its table neither counts places nor tells keys by.
const fn part_of(hash: u64) -> usize {
    (hash >> 32) as usize % UNDER_WAY_PARTS
}

impl<K: Hash + Eq + Copy, V> Parted<K, V> {
    /// Whether there is something for a key.
    pub(super) fn contains(&self, key: &K) -> bool {
        self.look(key, |found| found.is_some())
    }

    /// What `look` makes of that of a key. Others wait meanwhile, for this key and for some more.
    pub(super) fn look<R>(&self, key: &K, look: impl FnOnce(Option<&mut V>) -> R) -> R {
        let (hash, mut part) = self.lock(key);
        look(part.find_mut(hash, |(other, _)| other == key).map(|(_, value)| value))
    }

    /// The same, where something may be put that was not there.
    pub(super) fn enter<R>(&self, key: &K, look: impl FnOnce(Entry<'_, (K, V)>) -> R) -> R {
        let (hash, mut part) = self.lock(key);
        look(part.entry(hash, |(other, _)| other == key, |(other, _)| self.hashing.hash_one(other)))
    }

    /// Takes a key out.
    pub(super) fn remove(&self, key: &K) -> Option<V> {
        let (hash, mut part) = self.lock(key);
        take(&mut part, hash, key)
    }

    /// Takes keys out, in no particular order: `taken` gets each that was there, with its index among them.
    pub(super) fn remove_all(&self, keys: &[K], mut taken: impl FnMut(usize, V)) {
        if keys.len() < MANY {
            let found = keys.iter().enumerate().filter_map(|(at, key)| Some((at, self.remove(key)?)));
            return found.for_each(|(at, value)| taken(at, value));
        }
        let hashes: Vec<_> = keys.iter().map(|key| self.hashing.hash_one(key)).collect();
        // By parts: where those of each begin, then end.
        let mut ends = [0; UNDER_WAY_PARTS];
        hashes.iter().for_each(|hash| ends[part_of(*hash)] += 1);
        let mut begin = 0;
        for end in &mut ends {
            (*end, begin) = (begin, begin + *end);
        }
        let mut order = vec![0; keys.len()];
        for (at, hash) in hashes.iter().enumerate() {
            let end = &mut ends[part_of(*hash)];
            order[*end] = at;
            *end += 1;
        }
        let mut begin = 0;
        for (part, end) in self.parts.iter().zip(ends) {
            let some = &order[begin..end];
            begin = end;
            if some.is_empty() {
                continue;
            }
            let mut part = part.lock();
            // Reads that do not wait for each other; what is taken then is at hand.
            let found = |at: &&usize| part.find(hashes[**at], |(key, _)| *key == keys[**at]).is_some();
            black_box(some.iter().filter(found).count());
            for at in some {
                if let Some(value) = take(&mut part, hashes[*at], &keys[*at]) {
                    taken(*at, value);
                }
            }
        }
    }

    /// Every key, in no particular order; of those that come or go meanwhile some may be missed.
    pub(super) fn keys(&self) -> Vec<K> {
        let of_part = |part: &Part<K, V>| part.lock().iter().map(|(key, _)| *key).collect::<Vec<_>>();
        self.parts.iter().flat_map(of_part).collect()
    }

    fn lock(&self, key: &K) -> (u64, MutexGuard<'_, Table<K, V>>) {
        let hash = self.hashing.hash_one(key);
        (hash, self.parts[part_of(hash)].lock())
    }
}

fn take<K: Eq, V>(part: &mut Table<K, V>, hash: u64, key: &K) -> Option<V> {
    let found = part.find_entry(hash, |(other, _)| other == key).ok()?;
    Some(found.remove().0.1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn what_was_entered_is_found_until_it_is_taken_out_alone_or_with_many() {
        let parted = Parted::default();
        for key in 0..2_000_u64 {
            parted.enter(&key, |entry| _ = entry.insert((key, key * 2)));
        }
        assert!(parted.enter(&7, |entry| matches!(entry, Entry::Occupied(_))));
        assert_eq!((parted.remove(&7), parted.remove(&7)), (Some(14), None));
        parted.look(&8, |found| *found.unwrap() = 1);
        // One that is gone, one that never was, and one that is named twice.
        let named: Vec<u64> = (6..1_000).chain([5_000, 8]).collect();
        let mut taken = BTreeMap::new();
        parted.remove_all(&named, |at, value| assert_eq!(taken.insert(named[at], value), None));
        let expected =
            (6..1_000).filter(|key| *key != 7).map(|key| (key, if key == 8 { 1 } else { key * 2 }));
        assert_eq!(taken, expected.collect());
        let mut few = Vec::new();
        parted.remove_all(&[1_999, 7, 0], |at, value| few.push((at, value)));
        assert_eq!(few, [(0, 3_998), (2, 0)]);
        let mut left = parted.keys();
        left.sort_unstable();
        assert_eq!(left, (1..6).chain(1_000..1_999).collect::<Vec<_>>());
        assert!(parted.contains(&5) && !parted.contains(&6));
    }
}
