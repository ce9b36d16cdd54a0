//! What callers see: committed state, for concurrent readers. The ledger's thread writes it, after the commit only.

use std::{
    num::NonZero,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use arc_swap::ArcSwap;
use dashmap::DashMap;
use kuota_domain::{
    ids::RegistrationId,
    ledger::{Finder, Ledger, Row},
    registration::{Registration, RegistrationState},
};
use parking_lot::RwLock;

use super::{
    admission::Door,
    asking::Askings,
    cases::Cases,
    directory::Directory,
    operate::OperatorView,
    requests::Requests,
    slots::{Others, Slots, Step},
    watch::Changes,
};

#[derive(Debug)]
pub(super) struct ReadModel {
    pub(super) directory: ArcSwap<Directory>,
    pub(super) operators: ArcSwap<OperatorView>,
    /// Slots that changed and that watchers have not been told of.
    pub(super) changes: Changes,
    /// Every registration.
    pub(super) finder: Finder,
    pub(super) requests: Requests,
    pub(super) askings: Askings,
    pub(super) door: Door,
    pub(super) cases: Cases,
    /// Of every slot, its gate's keeper and how many people are where.
    pub(super) slots: RwLock<Slots>,
    /// Registrations that wait to be paid for: only the ledger's thread changes it, once all are put.
    held: AtomicUsize,
    /// Promised to callers who did not ask for more, and not in the log yet: at most two batches.
    accepted: DashMap<RegistrationId, Arc<Registration>>,
    /// How many those are: only the ledger's thread changes it.
    accepted_len: AtomicUsize,
}

impl ReadModel {
    /// One that finds these registrations, once they are shown.
    pub(super) fn of(finder: Finder) -> Self {
        Self {
            directory: ArcSwap::default(),
            operators: ArcSwap::default(),
            changes: Changes::default(),
            requests: Requests::of(finder.clone()),
            finder,
            askings: Askings::default(),
            door: Door::default(),
            cases: Cases::default(),
            slots: RwLock::default(),
            held: AtomicUsize::new(0),
            accepted: DashMap::default(),
            accepted_len: AtomicUsize::new(0),
        }
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

    /// All of a ledger's, before anybody else looks or writes. By as many threads as there are cores: each registration is
    /// waited for.
    pub(super) fn put_all(&self, ledger: &Ledger) {
        self.finder.make_room(ledger.rows());
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        thread::scope(|scope| {
            for piece in ledger.pieces(cores) {
                scope.spawn(move || {
                    let (mut others, mut held) = (Others::default(), 0);
                    for (row, registration) in piece {
                        self.finder.show(row, registration);
                        Step::of(None, registration).into_iter().for_each(|step| others.count(step));
                        held += usize::from(is_held(registration));
                    }
                    self.slots.write().add(&others);
                    self.held.fetch_add(held, Ordering::Relaxed);
                });
            }
        });
    }

    /// A registration, new or changed. The request map follows, then the slot's word, and with that its step is counted.
    pub(super) fn put(&self, row: Row, registration: &Arc<Registration>) -> Option<Step> {
        let before = self.finder.show(row, registration);
        self.count_held(before.as_deref(), registration);
        self.undecided(registration);
        Step::of(before.as_deref(), registration)
    }

    /// Registrations that wait to be paid for.
    pub(super) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    fn count_held(&self, before: Option<&Registration>, registration: &Registration) {
        let was_held = before.is_some_and(is_held);
        // Relaxed: what only one thread changes orders nothing.
        match (was_held, is_held(registration)) {
            (false, true) => self.held.fetch_add(1, Ordering::Relaxed),
            (true, false) => self.held.fetch_sub(1, Ordering::Relaxed),
            (true, true) | (false, false) => 0,
        };
    }
}

fn is_held(registration: &Registration) -> bool {
    registration.state == RegistrationState::Held
}
