//! A concurrent table of items that carry their own key: what an item is found by takes no room beside it. Shared by
//! all threads; many small parts, so that no reader waits long for one that grows.

use std::hash::{BuildHasher, Hash};

use crossbeam_utils::CachePadded;
use hashbrown::{DefaultHashBuilder, HashTable, hash_table::Entry};
use parking_lot::RwLock;

/// Parts of a table: each grows by itself.
const PARTS: usize = 1_024;

/// Items by their key.
pub(super) struct Shelf<K, T> {
    key: fn(&T) -> K,
    parts: Box<[CachePadded<RwLock<HashTable<T>>>]>,
    /// Seeded at random: whoever chooses keys cannot choose their places.
    hashing: DefaultHashBuilder,
}

impl<K: Hash + Eq, T: Clone> Shelf<K, T> {
    /// An empty one, with how an item says its key.
    pub(super) fn new(key: fn(&T) -> K) -> Self {
        let parts = (0..PARTS).map(|_| CachePadded::default()).collect();
        Self { key, parts, hashing: DefaultHashBuilder::default() }
    }

    /// The item with this key.
    pub(super) fn get(&self, key: &K) -> Option<T> {
        let hash = self.hash(key);
        self.part(hash).read().find(hash, |item| (self.key)(item) == *key).cloned()
    }

    /// Whether there is one.
    pub(super) fn contains(&self, key: &K) -> bool {
        let hash = self.hash(key);
        self.part(hash).read().find(hash, |item| (self.key)(item) == *key).is_some()
    }

    /// Adds an item, or puts it in the place of the one with its key: at no instant is there none.
    pub(super) fn put(&self, item: T) {
        let key = (self.key)(&item);
        let hash = self.hash(&key);
        let mut part = self.part(hash).write();
        match part.entry(hash, |other| (self.key)(other) == key, |other| self.hash(&(self.key)(other))) {
            Entry::Occupied(mut found) => *found.get_mut() = item,
            Entry::Vacant(vacant) => {
                vacant.insert(item);
            }
        }
    }

    /// Takes the item with this key away, if `is_it` holds of it.
    pub(super) fn remove_if(&self, key: &K, is_it: impl FnOnce(&T) -> bool) {
        let hash = self.hash(key);
        let mut part = self.part(hash).write();
        if let Ok(found) = part.find_entry(hash, |item| (self.key)(item) == *key)
            && is_it(found.get())
        {
            found.remove();
        }
    }

    /// Every item, in no particular order; some that come or go meanwhile may be missed.
    pub(super) fn for_each(&self, mut visit: impl FnMut(&T)) {
        for part in &self.parts {
            part.read().iter().for_each(&mut visit);
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.parts.iter().map(|part| part.read().len()).sum()
    }

    fn hash(&self, key: &K) -> u64 {
        self.hashing.hash_one(key)
    }

    fn part(&self, hash: u64) -> &RwLock<HashTable<T>> {
        // Bits that the table itself looks at last.
        &self.parts[usize::try_from(hash >> 40).unwrap_or(0) % PARTS]
    }
}

impl<K, T> std::fmt::Debug for Shelf<K, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shelf").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_found_by_its_key_and_the_newest_of_a_key_stands_there() {
        let shelf = Shelf::new(|item: &(u32, u32)| item.0);
        for number in 0..10_000 {
            shelf.put((number, 0));
        }
        shelf.put((7, 1));
        assert_eq!((shelf.get(&7), shelf.get(&8), shelf.get(&10_000)), (Some((7, 1)), Some((8, 0)), None));
        shelf.remove_if(&8, |item| item.1 == 1);
        assert!(shelf.contains(&8));
        shelf.remove_if(&8, |item| item.1 == 0);
        assert!(!shelf.contains(&8));
        let mut seen = 0;
        shelf.for_each(|_| seen += 1);
        assert_eq!((seen, shelf.len()), (9_999, 9_999));
    }
}
