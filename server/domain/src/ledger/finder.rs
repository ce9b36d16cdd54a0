//! Finding registrations: the indices of the roll, and of each row what was made visible of it. The ledger alone changes
//! the indices, and runs ahead of its log; other threads look into the same indices, and see only rows that were shown.

use std::{
    hash::{BuildHasher, Hash},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use crossbeam_utils::CachePadded;
use hashbrown::DefaultHashBuilder;
use parking_lot::RwLock;

use super::index::{Index, RowNumber};
use crate::{
    billing::BillingReference,
    code::BookingCode,
    ids::{RegistrationId, RequestKey},
    nik::ApplicantKey,
    registration::Registration,
};

/// Where a registration stands, for whoever shows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Row(pub(super) RowNumber);

/// Finds registrations as they were last shown. Of a change that is decided and not shown it may know that something is no
/// longer so, never that something new is.
#[derive(Clone, Debug, Default)]
pub struct Finder(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    indices: Indices,
    shown: Shown,
}

/// Rows by what they are asked for.
#[derive(Debug, Default)]
pub(super) struct Indices {
    pub(super) ids: Index,
    pub(super) requests: Index,
    pub(super) codes: Index,
    /// Only of those whose place was held.
    pub(super) billings: Index,
    /// Rows by applicant with a live registration (INV-2). A row stands here once for each of its party.
    pub(super) live: Index,
    /// Seeded at random: whoever chooses request ids cannot choose their places in a table.
    hashing: DefaultHashBuilder,
}

impl Indices {
    /// Half a hash is enough to find a row among thousands of millions.
    #[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
    pub(super) fn hash(&self, key: &impl Hash) -> u32 {
        self.hashing.hash_one(key) as u32
    }
}

impl Finder {
    pub(super) fn indices(&self) -> &Indices {
        &self.0.indices
    }

    /// The same for who has them alone, as long as no other thread looks into them.
    pub(super) fn indices_mut(&mut self) -> Option<&mut Indices> {
        Arc::get_mut(&mut self.0).map(|inner| &mut inner.indices)
    }

    /// By its id.
    #[must_use]
    pub fn by_id(&self, id: RegistrationId) -> Option<Arc<Registration>> {
        self.find(&self.0.indices.ids, &id, |found| found.id == id)
    }

    /// By its booking code.
    #[must_use]
    pub fn by_code(&self, code: BookingCode) -> Option<Arc<Registration>> {
        self.find(&self.0.indices.codes, &code, |found| found.code == code)
    }

    /// By its billing reference, if its place was held.
    #[must_use]
    pub fn by_billing(&self, reference: BillingReference) -> Option<Arc<Registration>> {
        self.find(&self.0.indices.billings, &reference, |found| found.is_billed_by(reference))
    }

    /// By the request that led to it, or that moved it.
    #[must_use]
    pub fn by_request(&self, request: RequestKey) -> Option<Arc<Registration>> {
        self.find(&self.0.indices.requests, &request, |found| found.answers(request))
    }

    /// The live registration of an applicant. One that was shown without a place may be about to get one again: that is
    /// not known before it is shown.
    #[must_use]
    pub fn by_applicant(&self, applicant: ApplicantKey) -> Option<Arc<Registration>> {
        self.find(&self.0.indices.live, &applicant, |found| found.state.has_place() && found.has(applicant))
    }

    fn find(
        &self,
        index: &Index,
        key: &impl Hash,
        is_it: impl Fn(&Registration) -> bool,
    ) -> Option<Arc<Registration>> {
        index.find(self.0.indices.hash(key), |row| self.0.shown.get(row, &is_it))
    }

    /// Shows a registration, new or changed, from now on; gives back what was shown of it before.
    pub fn show(&self, row: Row, registration: &Arc<Registration>) -> Option<Arc<Registration>> {
        self.0.shown.set(row.0, Some(registration.clone()))
    }

    /// Makes room for so many rows: by doubling they would be copied again and again, each time into new memory.
    pub fn make_room(&self, rows: usize) {
        let each = rows.div_ceil(PARTS * RUN) * RUN;
        for part in &self.0.shown.parts {
            let mut part = part.write();
            let more = each.saturating_sub(part.len());
            part.reserve_exact(more);
        }
    }

    /// Shows a registration no longer.
    pub fn hide(&self, row: Row) {
        self.0.shown.set(row.0, None);
    }

    /// Every registration that is shown, in no particular order; of those that come or go meanwhile some may be missed.
    pub fn for_each(&self, mut visit: impl FnMut(&Arc<Registration>)) {
        for part in &self.0.shown.parts {
            part.read().iter().flatten().for_each(&mut visit);
        }
    }

    /// How many registrations are shown.
    #[must_use]
    pub fn registrations(&self) -> usize {
        self.0.shown.length.load(Ordering::Relaxed)
    }

    /// How many applicants have a live registration.
    #[must_use]
    pub fn applicants(&self) -> usize {
        self.0.indices.live.len()
    }
}

/// Parts of the rows that are shown: each grows by itself.
const PARTS: usize = 1 << 10;
/// Rows that follow each other in one part.
const RUN: usize = 1 << 6;

/// Rows as they were last shown.
#[derive(Debug)]
struct Shown {
    parts: Box<[CachePadded<RwLock<Vec<Option<Arc<Registration>>>>>]>,
    /// Written by whoever shows rows. Relaxed: it orders nothing.
    length: AtomicUsize,
}

impl Default for Shown {
    fn default() -> Self {
        Self { parts: (0..PARTS).map(|_| CachePadded::default()).collect(), length: AtomicUsize::new(0) }
    }
}

impl Shown {
    fn get(&self, row: RowNumber, is_it: impl Fn(&Registration) -> bool) -> Option<Arc<Registration>> {
        let (part, at) = place(row);
        let part = self.parts[part].read();
        part.get(at)?.as_ref().filter(|found| is_it(found)).cloned()
    }

    fn set(&self, row: RowNumber, registration: Option<Arc<Registration>>) -> Option<Arc<Registration>> {
        let (part, at) = place(row);
        let (is_one, mut part) = (registration.is_some(), self.parts[part].write());
        if part.len() <= at {
            part.resize(at + 1, None);
        }
        let before = std::mem::replace(&mut part[at], registration);
        drop(part);
        match (before.is_some(), is_one) {
            (false, true) => self.length.fetch_add(1, Ordering::Relaxed),
            (true, false) => self.length.fetch_sub(1, Ordering::Relaxed),
            (true, true) | (false, false) => 0,
        };
        before
    }
}

/// The part of a row, and where it stands there.
const fn place(row: RowNumber) -> (usize, usize) {
    let (run, step) = (row as usize / RUN, row as usize % RUN);
    (run % PARTS, run / PARTS * RUN + step)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_row_has_a_place_of_its_own_and_parts_fill_evenly() {
        let rows = u32::try_from(2 * PARTS * RUN + 5).unwrap();
        let places: HashSet<_> = (0..rows).map(place).collect();
        assert_eq!(places.len(), rows as usize);
        assert!(places.iter().all(|(part, at)| *part < PARTS && *at < 3 * RUN));
    }
}
