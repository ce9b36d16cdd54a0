//! The roll: every registration in memory, found by its id, its request, its code, and, while it is live, by its
//! applicants. One row each; the indices know row numbers only.

use std::{
    hash::{BuildHasher, Hash},
    sync::Arc,
};

use hashbrown::DefaultHashBuilder;

use super::index::{Index, RowNumber};
use crate::{
    code::BookingCode,
    ids::{RegistrationId, RequestKey},
    nik::ApplicantKey,
    registration::Registration,
};

/// Every registration in memory.
#[derive(Debug, Default)]
pub(super) struct Roll {
    rows: Vec<Option<Arc<Registration>>>,
    vacant: Vec<RowNumber>,
    ids: Index,
    requests: Index,
    codes: Index,
    /// Rows by applicant with a live registration (INV-2). A row stands here once for each of its party.
    live: Index,
    /// Seeded at random: whoever chooses request ids cannot choose their places in a table.
    hashing: DefaultHashBuilder,
}

impl Roll {
    /// By its id.
    pub(super) fn get(&self, id: RegistrationId) -> Option<&Arc<Registration>> {
        self.at(self.row_of(id)?)
    }

    /// By the request that led to it.
    pub(super) fn by_request(&self, request: RequestKey) -> Option<&Arc<Registration>> {
        let is_it = |row| self.at(row).is_some_and(|found| found.request == request);
        self.at(self.requests.find(self.hash(&request), is_it)?)
    }

    /// Whether one has this code.
    pub(super) fn has_code(&self, code: BookingCode) -> bool {
        let is_it = |row| self.at(row).is_some_and(|found| found.code == code);
        self.codes.find(self.hash(&code), is_it).is_some()
    }

    /// The live registration of an applicant.
    pub(super) fn of_applicant(&self, applicant: ApplicantKey) -> Option<&Arc<Registration>> {
        let is_it = |row| self.at(row).is_some_and(|found| has(found, applicant));
        self.at(self.live.find(self.hash(&applicant), is_it)?)
    }

    /// In a row that is known.
    pub(super) fn at(&self, row: RowNumber) -> Option<&Arc<Registration>> {
        self.rows.get(row as usize)?.as_ref()
    }

    /// All of them, in no particular order.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Registration>> {
        self.rows.iter().flatten()
    }

    /// Adds one that is not live yet; `None` when its id, request or code is taken.
    pub(super) fn add(&mut self, registration: &Arc<Registration>) -> Option<RowNumber> {
        let Registration { id, request, code, .. } = **registration;
        if self.row_of(id).is_some() || self.by_request(request).is_some() || self.has_code(code) {
            return None;
        }
        let row = match self.vacant.pop() {
            Some(row) => row,
            None => {
                self.rows.push(None);
                RowNumber::try_from(self.rows.len() - 1).ok()?
            }
        };
        self.rows[row as usize] = Some(registration.clone());
        self.ids.insert(self.hash(&id), row);
        self.requests.insert(self.hash(&request), row);
        self.codes.insert(self.hash(&code), row);
        Some(row)
    }

    /// Puts another version of a registration in its row; gives the one before back.
    pub(super) fn replace(&mut self, registration: Arc<Registration>) -> Option<Arc<Registration>> {
        let row = self.row_of(registration.id)?;
        self.rows[row as usize].replace(registration)
    }

    /// Puts one that was removed last back in its row.
    pub(super) fn restore(&mut self, row: RowNumber, registration: &Arc<Registration>) {
        let back = self.add(registration);
        assert_eq!(back, Some(row), "what was removed last comes back first");
    }

    /// Takes one that is not live out.
    pub(super) fn remove(&mut self, row: RowNumber) -> Option<Arc<Registration>> {
        let registration = self.rows.get_mut(row as usize)?.take()?;
        self.ids.remove(self.hash(&registration.id), row);
        self.requests.remove(self.hash(&registration.request), row);
        self.codes.remove(self.hash(&registration.code), row);
        self.vacant.push(row);
        Some(registration)
    }

    /// Its whole party has a live registration from now on; false when one of them has another already.
    pub(super) fn begin_life(&mut self, row: RowNumber) -> bool {
        let Some(registration) = self.at(row).cloned() else { return false };
        let party = &registration.applicants;
        let is_twice = |at: usize| party[..at].iter().any(|other| other.key == party[at].key);
        let is_free = |at: usize| self.of_applicant(party[at].key).is_none() && !is_twice(at);
        if !(0..party.len()).all(is_free) {
            return false;
        }
        for applicant in party {
            self.live.insert(self.hash(&applicant.key), row);
        }
        true
    }

    /// It is live no longer; says whether it was.
    pub(super) fn end_life(&mut self, row: RowNumber) -> bool {
        let Some(registration) = self.at(row).cloned() else { return false };
        // All of them, or none: a life begins and ends for the whole party.
        let ended =
            registration.applicants.iter().map(|applicant| self.live.remove(self.hash(&applicant.key), row));
        ended.fold(false, |any, one| any | one)
    }

    /// The row of an id.
    pub(super) fn row_of(&self, id: RegistrationId) -> Option<RowNumber> {
        self.ids.find(self.hash(&id), |row| self.at(row).is_some_and(|found| found.id == id))
    }

    /// Whether a row is live.
    pub(super) fn is_live(&self, row: RowNumber) -> bool {
        let first = self.at(row).and_then(|registration| registration.applicants.first());
        first.is_some_and(|first| self.live.find(self.hash(&first.key), |found| found == row).is_some())
    }

    /// What stands in the indices, with repetitions and leftovers if there were any: for the digest.
    pub(super) fn indexed(&self) -> Indexed<'_> {
        let rows = |index: &Index| index.rows().filter_map(|row| self.at(row)).collect();
        Indexed { requests: rows(&self.requests), codes: rows(&self.codes), live: self.live_pairs() }
    }

    fn live_pairs(&self) -> Vec<(ApplicantKey, RegistrationId)> {
        let mut pairs = Vec::with_capacity(self.live.len());
        let mut rows: Vec<RowNumber> = self.live.rows().collect();
        rows.sort_unstable();
        rows.dedup();
        for (row, registration) in rows.iter().filter_map(|row| Some((*row, self.at(*row)?))) {
            let is_here = |key: ApplicantKey| self.live.find(self.hash(&key), |found| found == row).is_some();
            let here = registration.applicants.iter().filter(|applicant| is_here(applicant.key));
            pairs.extend(here.map(|applicant| (applicant.key, registration.id)));
        }
        pairs
    }

    /// Half a hash is enough to find a row among thousands of millions.
    #[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
    fn hash(&self, key: &impl Hash) -> u32 {
        self.hashing.hash_one(key) as u32
    }
}

/// What the indices of a roll point to.
pub(super) struct Indexed<'a> {
    pub(super) requests: Vec<&'a Arc<Registration>>,
    pub(super) codes: Vec<&'a Arc<Registration>>,
    pub(super) live: Vec<(ApplicantKey, RegistrationId)>,
}

fn has(registration: &Registration, applicant: ApplicantKey) -> bool {
    registration.applicants.iter().any(|other| other.key == applicant)
}
