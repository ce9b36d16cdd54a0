//! The roll: every registration in memory as the ledger has it, found by its id, its request, its code, and, while it is
//! live, by its applicants. One row each; the indices know row numbers only.

use std::sync::Arc;

use super::{
    Misfit,
    ahead::LOOKED_AT,
    arrivals::{Link, Links},
    coming::Coming,
    finder::{Finder, Indices},
    index::{Index, RowNumber},
    replay::Pace,
};
use crate::{
    billing::BillingReference,
    code::BookingCode,
    ids::{RegistrationId, RequestKey},
    nik::ApplicantKey,
    registration::{Applicant, Ask, Billing, Registration},
};

/// Every registration in memory.
#[derive(Debug, Default)]
pub(super) struct Roll {
    rows: Vec<Option<Arc<Registration>>>,
    /// As many as there are rows.
    links: Links,
    vacant: Vec<RowNumber>,
    finder: Finder,
}

impl Roll {
    /// The same indices, for other threads.
    pub(super) const fn finder(&self) -> &Finder {
        &self.finder
    }

    /// What came before what.
    pub(super) const fn links(&self) -> &Links {
        &self.links
    }

    /// The same, to be changed.
    pub(super) const fn links_mut(&mut self) -> &mut Links {
        &mut self.links
    }

    fn indices(&self) -> &Indices {
        self.finder.indices()
    }

    /// By its id.
    pub(super) fn get(&self, id: RegistrationId) -> Option<&Arc<Registration>> {
        self.at(self.row_of(id)?)
    }

    /// By the request that led to it, or that moved it.
    pub(super) fn by_request(&self, request: RequestKey) -> Option<&Arc<Registration>> {
        let hash = self.indices().hash(&request);
        self.indices().requests.find(hash, |row| self.at(row).filter(|found| found.answers(request)))
    }

    /// Whether one has this code.
    pub(super) fn has_code(&self, code: BookingCode) -> bool {
        let hash = self.indices().hash(&code);
        self.indices().codes.find(hash, |row| self.at(row).filter(|found| found.code == code)).is_some()
    }

    /// By its billing reference.
    pub(super) fn by_billing(&self, reference: BillingReference) -> Option<&Arc<Registration>> {
        let hash = self.indices().hash(&reference);
        self.indices().billings.find(hash, |row| self.at(row).filter(|found| found.is_billed_by(reference)))
    }

    /// The live registration of an applicant.
    pub(super) fn of_applicant(&self, applicant: ApplicantKey) -> Option<&Arc<Registration>> {
        let hash = self.indices().hash(&applicant);
        self.indices().live.find(hash, |row| self.at(row).filter(|found| found.has(applicant)))
    }

    /// In a row that is known.
    pub(super) fn at(&self, row: RowNumber) -> Option<&Arc<Registration>> {
        self.rows.get(row as usize)?.as_ref()
    }

    /// All of them with their rows, in no particular order.
    pub(super) fn all(&self) -> impl Iterator<Item = (RowNumber, &Arc<Registration>)> {
        (0..).zip(&self.rows).filter_map(|(row, found)| Some((row, found.as_ref()?)))
    }

    /// The same in so many pieces of about one size.
    pub(super) fn pieces(
        &self,
        pieces: usize,
    ) -> impl Iterator<Item = impl Iterator<Item = (RowNumber, &Arc<Registration>)>> {
        let rows = self.rows.len().div_ceil(pieces).max(1);
        (0..).step_by(rows).zip(self.rows.chunks(rows)).map(|(first, piece)| {
            (first..).zip(piece).filter_map(|(row, found)| Some((row, found.as_ref()?)))
        })
    }

    /// How many rows there are, with those that are vacant.
    pub(super) const fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Shortly before there is no room for more rows, makes some for as many as are expected, and four times what there are at
    /// most: by doubling they would be copied more often, each time into new memory.
    pub(super) fn make_room(&mut self, pace: Pace) {
        let rows = self.rows.len();
        if self.rows.capacity() - rows < LOOKED_AT {
            let more = pace.expected(rows).min(4 * rows).saturating_sub(rows);
            self.rows.reserve_exact(more);
            self.links.reserve(more);
        }
    }

    /// Fetches where these will stand in the indices before they are added, as long as nobody else looks into them. Each would
    /// wait for memory four times, one after the other; fetched together, they wait about once.
    pub(super) fn look_ahead<'a>(&mut self, coming: impl Iterator<Item = &'a Registration>, pace: Pace) {
        let Some(indices) = self.finder.indices_mut() else { return };
        for Registration { id, request, code, applicants, .. } in coming {
            let hashes = (indices.hash(id), indices.hash(request), indices.hash(code));
            indices.ids.look_ahead(hashes.0, pace);
            indices.requests.look_ahead(hashes.1, pace);
            indices.codes.look_ahead(hashes.2, pace);
            for Applicant { key, .. } in applicants {
                let hash = indices.hash(key);
                indices.live.look_ahead(hash, pace);
            }
        }
    }

    /// Fetches where asks will be looked for in the indices, and where what they are granted will stand.
    pub(super) fn fetch<'a>(&self, asks: impl Iterator<Item = &'a Ask> + Clone) {
        let indices = self.indices();
        let first = |ask: &'a Ask| ask.applicants.first();
        let code = |ask: &Ask| BookingCode::draw(ask.code_seed, 0);
        indices.requests.fetch(asks.clone().map(|ask| indices.hash(&ask.request)));
        indices.live.fetch(asks.clone().filter_map(first).map(|first| indices.hash(&first.key)));
        indices.codes.fetch(asks.clone().map(|ask| indices.hash(&code(ask))));
        indices.ids.fetch(asks.map(|ask| indices.hash(&ask.registration)));
    }

    /// Adds one that is live from now on.
    ///
    /// # Errors
    /// When its id, request, code or billing reference is taken, or one of its party has another.
    pub(super) fn enter(&mut self, registration: &Arc<Registration>) -> Result<RowNumber, Misfit> {
        let row = self.add(registration).ok_or(Misfit::Reused)?;
        if self.begin_life(row) { Ok(row) } else { Err(Misfit::Applicant) }
    }

    /// The same, but that its keys wait to be entered.
    pub(super) fn enter_later(
        &mut self,
        registration: &Arc<Registration>,
        coming: &mut Coming,
    ) -> Result<RowNumber, Misfit> {
        let row = self.take_row(registration).ok_or(Misfit::Reused)?;
        if coming.push(row, registration, self.indices()) { Ok(row) } else { Err(Misfit::Reused) }
    }

    /// The rows, and the indices for who has them alone.
    ///
    /// # Panics
    /// When other threads look into them.
    pub(super) fn split(&mut self) -> (&[Option<Arc<Registration>>], &mut Indices) {
        let indices = self.finder.indices_mut().expect("nobody looks before a replay is over");
        (&self.rows, indices)
    }

    fn take_row(&mut self, registration: &Arc<Registration>) -> Option<RowNumber> {
        if let Some(row) = self.vacant.pop() {
            self.rows[row as usize] = Some(registration.clone());
            return Some(row);
        }
        let row = RowNumber::try_from(self.rows.len()).ok()?;
        self.rows.push(Some(registration.clone()));
        self.links.add_row();
        Some(row)
    }

    /// Adds one that is not live yet; `None` when its id, request or code is taken.
    fn add(&mut self, registration: &Arc<Registration>) -> Option<RowNumber> {
        let Registration { id, request, code, .. } = **registration;
        let row = self.take_row(registration)?;
        let indices = self.indices();
        let is = |row, is_it: &dyn Fn(&Registration) -> bool| self.at(row).is_some_and(|found| is_it(found));
        let is_new = indices.ids.insert(indices.hash(&id), row, |row| is(row, &|found| found.id == id))
            && self.add_request(request, row)
            && indices.codes.insert(indices.hash(&code), row, |row| is(row, &|found| found.code == code));
        let is_new = is_new
            && registration.moved().is_none_or(|moved| self.add_request(moved.request, row))
            && registration.billing().is_none_or(|Billing { reference, .. }| {
                let has = |row| is(row, &|found| found.is_billed_by(reference));
                indices.billings.insert(indices.hash(&reference), row, has)
            });
        if is_new {
            Some(row)
        } else {
            self.remove(row);
            None
        }
    }

    /// Puts another version of a registration in its row; gives the one before back.
    pub(super) fn replace(&mut self, registration: Arc<Registration>) -> Option<Arc<Registration>> {
        let row = self.row_of(registration.id)?;
        let moved = registration.moved().map(|moved| moved.request);
        let before = self.rows[row as usize].replace(registration)?;
        let moved_before = before.moved().map(|moved| moved.request);
        if moved != moved_before {
            moved_before.map(|request| self.indices().requests.remove(self.indices().hash(&request), row));
            moved.map(|request| self.add_request(request, row));
        }
        Some(before)
    }

    /// A request leads to a row from now on; false when it leads to another.
    fn add_request(&self, request: RequestKey, row: RowNumber) -> bool {
        let is_taken = |row| self.at(row).is_some_and(|found| found.answers(request));
        self.indices().requests.insert(self.indices().hash(&request), row, is_taken)
    }

    /// Puts one that was removed last back in its row, after the one that came before it.
    pub(super) fn restore(&mut self, row: RowNumber, registration: &Arc<Registration>, before: Link) {
        let back = self.add(registration);
        assert_eq!(back, Some(row), "what was removed last comes back first");
        self.links.restore(row, before);
    }

    /// Takes one that is not live out.
    pub(super) fn remove(&mut self, row: RowNumber) -> Option<Arc<Registration>> {
        let registration = self.rows.get_mut(row as usize)?.take()?;
        let indices = self.indices();
        indices.ids.remove(indices.hash(&registration.id), row);
        indices.requests.remove(indices.hash(&registration.request), row);
        registration.moved().map(|moved| indices.requests.remove(indices.hash(&moved.request), row));
        indices.codes.remove(indices.hash(&registration.code), row);
        if let Some(billing) = registration.billing() {
            indices.billings.remove(indices.hash(&billing.reference), row);
        }
        self.vacant.push(row);
        Some(registration)
    }

    /// Its whole party has a live registration from now on; false when one of them has another already.
    pub(super) fn begin_life(&mut self, row: RowNumber) -> bool {
        let (indices, Some(registration)) = (self.indices(), self.at(row)) else { return false };
        let is_free = registration.applicants.iter().all(|Applicant { key, .. }| {
            let is_taken = |by| self.at(by).is_some_and(|found| registration.is_kept_out_by(found));
            indices.live.insert(indices.hash(key), row, is_taken)
        });
        if !is_free {
            self.end_life(row);
        }
        is_free
    }

    /// It is live no longer; says whether it was.
    pub(super) fn end_life(&mut self, row: RowNumber) -> bool {
        let (indices, Some(registration)) = (self.indices(), self.at(row)) else { return false };
        // All of them, or none: a life begins and ends for the whole party.
        let party = registration.applicants.iter();
        let ended = party.map(|applicant| indices.live.remove(indices.hash(&applicant.key), row));
        ended.fold(false, |any, one| any | one)
    }

    /// The row of an id.
    pub(super) fn row_of(&self, id: RegistrationId) -> Option<RowNumber> {
        let is_it = |row: &RowNumber| self.at(*row).is_some_and(|found| found.id == id);
        self.indices().ids.find(self.indices().hash(&id), |row| Some(row).filter(is_it))
    }

    /// Whether a row is live.
    pub(super) fn is_live(&self, row: RowNumber) -> bool {
        let first = self.at(row).and_then(|registration| registration.applicants.first());
        first.is_some_and(|first| self.lives_in(first.key, row))
    }

    fn lives_in(&self, applicant: ApplicantKey, row: RowNumber) -> bool {
        let hash = self.indices().hash(&applicant);
        self.indices().live.find(hash, |found| (found == row).then_some(())).is_some()
    }

    /// What stands in the indices, with repetitions and leftovers if there were any: for the digest.
    pub(super) fn indexed(&self) -> Indexed<'_> {
        let rows = |index: &Index| index.rows().into_iter().filter_map(|row| self.at(row)).collect();
        let Indices { requests, codes, billings, .. } = self.indices();
        let (requests, codes, billings) = (rows(requests), rows(codes), rows(billings));
        Indexed { requests, codes, billings, live: self.live_pairs() }
    }

    fn live_pairs(&self) -> Vec<(ApplicantKey, RegistrationId)> {
        let mut rows = self.indices().live.rows();
        let mut pairs = Vec::with_capacity(rows.len());
        rows.sort_unstable();
        rows.dedup();
        for (row, registration) in rows.iter().filter_map(|row| Some((*row, self.at(*row)?))) {
            let here = registration.applicants.iter().filter(|applicant| self.lives_in(applicant.key, row));
            pairs.extend(here.map(|applicant| (applicant.key, registration.id)));
        }
        pairs
    }
}

/// What the indices of a roll point to.
pub(super) struct Indexed<'a> {
    pub(super) requests: Vec<&'a Arc<Registration>>,
    pub(super) codes: Vec<&'a Arc<Registration>>,
    pub(super) billings: Vec<&'a Arc<Registration>>,
    pub(super) live: Vec<(ApplicantKey, RegistrationId)>,
}
