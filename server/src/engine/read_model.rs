//! What callers see: committed state, for concurrent readers. The ledger's thread writes it, after the commit only.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use arc_swap::ArcSwap;
use dashmap::DashMap;
use kuota_domain::{code::BookingCode, ids::RegistrationId, registration::Registration};

use super::{
    applicants::Applicants, directory::Directory, operate::OperatorView, requests::Requests, shelf::Shelf,
    watch::Changes,
};

#[derive(Debug)]
pub(super) struct ReadModel {
    pub(super) directory: ArcSwap<Directory>,
    pub(super) operators: ArcSwap<OperatorView>,
    /// Slots that changed and that watchers have not been told of.
    pub(super) changes: Changes,
    pub(super) requests: Requests,
    pub(super) applicants: Applicants,
    registrations: Shelf<RegistrationId, Arc<Registration>>,
    codes: Shelf<BookingCode, Arc<Registration>>,
    /// Promised to callers who did not ask for more, and not in the log yet: at most two batches.
    accepted: DashMap<RegistrationId, Arc<Registration>>,
    /// How many those are: only the ledger's thread changes it.
    accepted_len: AtomicUsize,
}

impl Default for ReadModel {
    fn default() -> Self {
        Self {
            directory: ArcSwap::default(),
            operators: ArcSwap::default(),
            changes: Changes::default(),
            requests: Requests::default(),
            applicants: Applicants::default(),
            registrations: Shelf::new(|registration| registration.id),
            codes: Shelf::new(|registration| registration.code),
            accepted: DashMap::default(),
            accepted_len: AtomicUsize::new(0),
        }
    }
}

impl ReadModel {
    pub(super) fn registration(&self, id: RegistrationId) -> Option<Arc<Registration>> {
        self.registrations.get(&id)
    }

    pub(super) fn by_code(&self, code: BookingCode) -> Option<Arc<Registration>> {
        self.codes.get(&code)
    }

    /// The ledger granted it, and the log does not have it yet.
    pub(super) fn decided(&self, registration: &Arc<Registration>) {
        if !self.requests.has_impatient() {
            return;
        }
        // First to be found, then told: whoever was told finds it.
        self.accepted.insert(registration.id, registration.clone());
        // Relaxed: what only one thread changes orders nothing.
        self.accepted_len.fetch_add(1, Ordering::Relaxed);
        if !self.requests.decided(registration) {
            self.undecided(registration);
        }
    }

    /// It is no promise any more: the log has it, or never will.
    pub(super) fn undecided(&self, registration: &Registration) {
        let is_some = self.accepted_len.load(Ordering::Relaxed) > 0;
        if is_some && self.accepted.remove(&registration.id).is_some() {
            self.accepted_len.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// One that was promised before it was in the log.
    pub(super) fn accepted(&self, found: impl Fn(&Registration) -> bool) -> Option<Arc<Registration>> {
        self.accepted.iter().find(|entry| found(entry.value())).map(|entry| entry.value().clone())
    }

    /// Every committed registration, in no particular order.
    pub(super) fn for_each(&self, visit: impl FnMut(&Arc<Registration>)) {
        self.registrations.for_each(visit);
    }

    pub(super) fn registrations(&self) -> usize {
        self.registrations.len()
    }

    /// A registration, new or changed. Its applicants and the request map follow, then the slot's word.
    pub(super) fn put(&self, registration: &Arc<Registration>) {
        self.codes.put(registration.clone());
        self.registrations.put(registration.clone());
        self.undecided(registration);
    }

    pub(super) fn forget(&self, registration: &Registration) {
        self.applicants.ends(registration);
        self.requests.forget(registration.request);
        self.codes.remove_if(&registration.code, |_| true);
        self.registrations.remove_if(&registration.id, |_| true);
    }
}
