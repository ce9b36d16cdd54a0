//! How many people are where, by slot and state, as committed: for the clerk of an office, and for whoever watches a day.

use std::hint::black_box;

use hashbrown::HashMap;
use kuota_domain::{
    calendar::ServiceDay,
    ids::OfficeNumber,
    ledger::{LOOKED_AT, SLOTS_AT_HAND},
    registration::{Registration, RegistrationState},
    slot::{Lane, SlotKey},
};
use parking_lot::RwLock;

use super::Engine;

/// People of one slot by the state of their registration.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally([u32; RegistrationState::ALL.len()]);

/// Every slot's. Written by the ledger's thread alone.
#[derive(Debug, Default)]
pub(super) struct Tallies(RwLock<HashMap<SlotKey, Tally>>);

impl Tally {
    /// The people of one more registration.
    pub(super) fn count(&mut self, registration: &Registration) {
        self.0[registration.state as usize] += registration.places();
    }

    /// People in a state.
    #[must_use]
    pub const fn of(&self, state: RegistrationState) -> u32 {
        self.0[state as usize]
    }
}

impl Tallies {
    /// Reads what counting in the first [`LOOKED_AT`] of these slots will read: one after the other, each would wait for memory.
    pub(super) fn look_ahead(&self, slots: impl Iterator<Item = SlotKey>) {
        let tallies = self.0.read();
        if tallies.len() > SLOTS_AT_HAND {
            let found = slots.take(LOOKED_AT).filter_map(|slot| tallies.get(&slot));
            black_box(found.fold(0, |read, tally| read ^ tally.0[0]));
        }
    }

    /// There is a slot: makes room for it now, and not when an opening has thousands ask.
    pub(super) fn open(&self, slot: SlotKey) {
        self.0.write().entry(slot).or_default();
    }

    /// A registration stands otherwise than it was shown before, if it was.
    pub(super) fn count(&self, before: Option<&Registration>, after: &Registration) {
        let mut tallies = self.0.write();
        if let Some(before) = before {
            let tally = tallies.entry(before.slot).or_default();
            tally.0[before.state as usize] -= before.places();
        }
        tallies.entry(after.slot).or_default().count(after);
    }

    /// So many more people than were counted one by one.
    pub(super) fn add(&self, counted: &HashMap<SlotKey, Tally>) {
        let mut tallies = self.0.write();
        for (slot, more) in counted {
            let tally = tallies.entry(*slot).or_default();
            tally.0.iter_mut().zip(more.0).for_each(|(people, more)| *people += more);
        }
    }

    /// A day left memory.
    pub(super) fn drop_day(&self, office: OfficeNumber, day: ServiceDay) {
        let mut tallies = self.0.write();
        for lane in Lane::ALL {
            tallies.remove(&SlotKey { office, day, lane });
        }
    }

    fn get(&self, slot: SlotKey) -> Tally {
        self.0.read().get(&slot).copied().unwrap_or_default()
    }
}

impl Engine {
    /// How many people of a slot are where.
    #[must_use]
    pub fn tally(&self, slot: SlotKey) -> Tally {
        self.read.tallies.get(slot)
    }
}
