//! What callers see: committed state, for concurrent readers. The ledger's thread writes it, after the commit only.

use std::sync::Arc;

use arc_swap::ArcSwap;
use dashmap::DashMap;
use kuota_domain::{code::BookingCode, ids::RegistrationId, registration::Registration};

use super::{
    applicants::Applicants, directory::Directory, operate::OperatorView, requests::Requests, watch::Changes,
};

#[derive(Debug, Default)]
pub(super) struct ReadModel {
    pub(super) directory: ArcSwap<Directory>,
    pub(super) operators: ArcSwap<OperatorView>,
    /// Slots that changed and that watchers have not been told of.
    pub(super) changes: Changes,
    pub(super) requests: Requests,
    pub(super) applicants: Applicants,
    registrations: DashMap<RegistrationId, Arc<Registration>>,
    codes: DashMap<BookingCode, RegistrationId>,
    /// Promised to callers who did not ask for more, and not in the log yet: at most two batches.
    accepted: DashMap<RegistrationId, Arc<Registration>>,
}

impl ReadModel {
    pub(super) fn registration(&self, id: RegistrationId) -> Option<Arc<Registration>> {
        self.registrations.get(&id).map(|found| found.clone())
    }

    pub(super) fn by_code(&self, code: BookingCode) -> Option<Arc<Registration>> {
        let id = *self.codes.get(&code)?;
        self.registration(id)
    }

    /// The ledger granted it, and the log does not have it yet.
    pub(super) fn decided(&self, registration: &Arc<Registration>) {
        // First to be found, then told: whoever was told finds it.
        self.accepted.insert(registration.id, registration.clone());
        if !self.requests.decided(registration) {
            self.accepted.remove(&registration.id);
        }
    }

    /// The log does not have it, and never will.
    pub(super) fn undecided(&self, registration: &Registration) {
        self.accepted.remove(&registration.id);
    }

    /// One that was promised before it was in the log.
    pub(super) fn accepted(&self, found: impl Fn(&Registration) -> bool) -> Option<Arc<Registration>> {
        self.accepted.iter().find(|entry| found(entry.value())).map(|entry| entry.value().clone())
    }

    /// Every committed registration, in no particular order.
    pub(super) fn for_each(&self, mut visit: impl FnMut(&Arc<Registration>)) {
        self.registrations.iter().for_each(|entry| visit(entry.value()));
    }

    pub(super) fn registrations(&self) -> usize {
        self.registrations.len()
    }

    /// A registration, new or changed. Its applicants and the request map follow, then the slot's word.
    pub(super) fn put(&self, registration: &Arc<Registration>) {
        self.codes.insert(registration.code, registration.id);
        self.registrations.insert(registration.id, registration.clone());
        self.accepted.remove(&registration.id);
    }

    pub(super) fn forget(&self, registration: &Registration) {
        self.applicants.ends(registration);
        self.requests.forget(registration.request);
        self.codes.remove(&registration.code);
        self.registrations.remove(&registration.id);
    }
}
