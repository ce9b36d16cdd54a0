//! Which office has which slug, both ways. It owns slugs, never offices.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};
use kuota_domain::ids::{OfficeId, OfficeNumber};

/// Slugs of offices. The table has their numbers alone: with thousands of offices it is still at hand, where a table of
/// slugs would not be.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    numbers: HashTable<OfficeNumber>,
    /// By number.
    ids: Vec<OfficeId>,
    hashing: DefaultHashBuilder,
}

impl Names {
    /// The slug of an office.
    pub(super) fn id(&self, number: OfficeNumber) -> Option<&OfficeId> {
        self.ids.get(number.index())
    }

    /// Whether that is the office of a slug.
    pub(super) fn is(&self, number: OfficeNumber, slug: &str) -> bool {
        self.id(number).is_some_and(|id| id.as_str() == slug)
    }

    /// The office of a slug.
    pub(super) fn find(&self, slug: &str) -> Option<OfficeNumber> {
        self.numbers.find(self.hashing.hash_one(slug), |number| self.is(*number, slug)).copied()
    }

    /// The office of a slug, most likely, if any is: by some bits of the slug's hash, and no slug is read.
    pub(super) fn guess(&self, slug: &str) -> Option<OfficeNumber> {
        self.numbers.find(self.hashing.hash_one(slug), |_| true).copied()
    }

    /// Adds the slug of the next office.
    pub(super) fn push(&mut self, number: OfficeNumber, id: OfficeId) {
        debug_assert_eq!(number.index(), self.ids.len(), "offices are numbered as they come");
        self.ids.push(id);
        let hash = |number: &OfficeNumber| self.hashing.hash_one(self.ids[number.index()].as_str());
        self.numbers.insert_unique(hash(&number), number, hash);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offices_are_found_by_their_slugs_and_slugs_by_their_offices() {
        let mut names = Names::default();
        let slug = |office: u32| format!("kanim-{office:05}");
        (0..5_000).for_each(|office| {
            names.push(OfficeNumber(office), OfficeId::parse(&slug(office)).unwrap());
        });
        let mut guessed = 0;
        for office in (0..5_000).map(OfficeNumber) {
            let slug = slug(office.0);
            assert_eq!((names.find(&slug), names.id(office).unwrap().as_str()), (Some(office), &*slug));
            guessed += u32::from(names.guess(&slug) == Some(office));
        }
        // One in 128 of those that stand around a slug is taken for its office.
        assert!(guessed > 4_000, "{guessed}");
        assert_eq!((names.find("kanim-05000"), names.id(OfficeNumber(5_000))), (None, None));
    }
}
