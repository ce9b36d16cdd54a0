//! What is kept of every slot: who settles its gate, and how many people are where, as committed. By tranche, of which a slot has
//! one: so nothing is searched, and with thousands of slots one line of memory is waited for where a table takes two.

use std::{collections::VecDeque, hint::black_box};

use hashbrown::HashMap;
use kuota_domain::{
    calendar::ServiceDay,
    gate::Keeper,
    ids::{OfficeNumber, TrancheNumber},
    ledger::{LOOKED_AT, SLOTS_AT_HAND},
    registration::{Registration, RegistrationState},
    slot::{Lane, SlotKey},
};

use super::Engine;

/// People of one slot by the state of their registration.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally([u32; RegistrationState::ALL.len()]);

/// One slot's, in a line of its own.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Kept {
    pub(super) keeper: Keeper,
    tally: Tally,
}

/// Every slot's. Written by the ledger's thread alone.
#[derive(Debug, Default)]
pub(super) struct KeptSlots {
    /// From the tranche `first` on. Days are forgotten about in the order in which they were released.
    kept: VecDeque<Option<Kept>>,
    first: u32,
    /// People of slots that are opened by the batch that places them.
    early: HashMap<TrancheNumber, Tally>,
    /// For who knows a slot by its name.
    tranches: HashMap<SlotKey, TrancheNumber>,
}

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

impl KeptSlots {
    fn get(&self, tranche: TrancheNumber) -> Option<&Kept> {
        self.kept.get(tranche.0.checked_sub(self.first)? as usize)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, tranche: TrancheNumber) -> Option<&mut Kept> {
        self.kept.get_mut(tranche.0.checked_sub(self.first)? as usize)?.as_mut()
    }

    /// That of a slot, if there is such a slot.
    pub(super) fn of(&self, slot: SlotKey) -> Option<&Kept> {
        self.get(*self.tranches.get(&slot)?)
    }

    /// Reads what counting in the first [`LOOKED_AT`] of these will read: one after the other, each would wait for memory.
    pub(super) fn look_ahead(&self, tranches: impl Iterator<Item = TrancheNumber>) {
        if self.tranches.len() > SLOTS_AT_HAND {
            let found = tranches.take(LOOKED_AT).filter_map(|tranche| self.get(tranche));
            black_box(found.fold(0, |read, kept| read ^ kept.tally.0[0]));
        }
    }

    /// There is a slot.
    pub(super) fn open(&mut self, (tranche, slot): (TrancheNumber, SlotKey), keeper: Keeper) {
        if self.kept.is_empty() {
            self.first = tranche.0;
        }
        while tranche.0 < self.first {
            self.kept.push_front(None);
            self.first -= 1;
        }
        let at = (tranche.0 - self.first) as usize;
        while self.kept.len() <= at {
            self.kept.push_back(None);
        }
        let tally = self.early.remove(&tranche).unwrap_or_default();
        self.kept[at] = Some(Kept { keeper, tally });
        self.tranches.insert(slot, tranche);
    }

    /// A registration stands otherwise than it was shown before, if it was.
    pub(super) fn count(&mut self, before: Option<&Registration>, after: &Registration) {
        if let Some(before) = before {
            self.tally_mut(before.tranche).0[before.state as usize] -= before.places();
        }
        self.tally_mut(after.tranche).count(after);
    }

    fn tally_mut(&mut self, tranche: TrancheNumber) -> &mut Tally {
        let at = tranche.0.wrapping_sub(self.first) as usize;
        match self.kept.get_mut(at) {
            Some(Some(kept)) => &mut kept.tally,
            Some(None) | None => self.early.entry(tranche).or_default(),
        }
    }

    /// So many more people than were counted one by one.
    pub(super) fn add(&mut self, counted: &HashMap<TrancheNumber, Tally>) {
        for (tranche, more) in counted {
            let people = self.tally_mut(*tranche).0.iter_mut();
            people.zip(more.0).for_each(|(people, more)| *people += more);
        }
    }

    /// A day left memory.
    pub(super) fn drop_day(&mut self, office: OfficeNumber, day: ServiceDay) {
        for lane in Lane::ALL {
            if let Some(tranche) = self.tranches.remove(&SlotKey { office, day, lane })
                && let Some(kept) = self.kept.get_mut((tranche.0 - self.first) as usize)
            {
                *kept = None;
            }
        }
        while let Some(None) = self.kept.front() {
            self.kept.pop_front();
            self.first += 1;
        }
    }
}

impl Engine {
    /// How many people of a slot are where.
    #[must_use]
    pub fn tally(&self, slot: SlotKey) -> Tally {
        self.read.kept.read().of(slot).map(|kept| kept.tally).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use kuota_domain::{
        gate::{Ending, Figures, SlotGate},
        time::UnixMillis,
    };

    use super::*;

    fn slot(day: i32, lane: Lane) -> SlotKey {
        SlotKey { office: OfficeNumber(0), day: ServiceDay::from_number(day), lane }
    }

    fn open(kept: &mut KeptSlots, tranche: u32, slot: SlotKey) {
        let figures = Figures {
            capacity: tranche,
            free: tranche,
            paused: false,
            open_at: UnixMillis(0),
            close_at: UnixMillis::MAX,
            ending: Ending::Closing,
        };
        kept.open((TrancheNumber(tranche), slot), SlotGate::new(figures, 1).1);
    }

    #[test]
    fn slots_are_found_by_tranche_and_by_name_in_whatever_order_they_come_and_go() {
        let mut kept = KeptSlots::default();
        let capacity = |kept: &KeptSlots, slot| Some(kept.of(slot)?.keeper.gate().figures().capacity);
        for (tranche, day) in [(70, 3), (68, 1), (75, 4), (69, 2)] {
            open(&mut kept, tranche, slot(day, Lane::Regular));
        }
        open(&mut kept, 71, slot(3, Lane::Priority));
        let found = [1, 2, 3, 4].map(|day| capacity(&kept, slot(day, Lane::Regular)));
        assert_eq!(found, [Some(68), Some(69), Some(70), Some(75)]);
        assert!(kept.get(TrancheNumber(72)).is_none() && kept.get_mut(TrancheNumber(67)).is_none());
        for day in [2, 1, 3] {
            kept.drop_day(OfficeNumber(0), ServiceDay::from_number(day));
            kept.drop_day(OfficeNumber(0), ServiceDay::from_number(day));
        }
        // What is gone at the front takes no room.
        assert_eq!((kept.first, kept.kept.len(), kept.tranches.len()), (75, 1, 1));
        kept.drop_day(OfficeNumber(0), ServiceDay::from_number(4));
        // Somebody is placed there by the batch that opens it.
        kept.tally_mut(TrancheNumber(76)).0[0] = 2;
        open(&mut kept, 76, slot(4, Lane::Regular));
        assert_eq!(capacity(&kept, slot(4, Lane::Regular)), Some(76));
        assert_eq!((kept.first, kept.kept.len(), kept.early.len()), (76, 1, 0));
        assert_eq!(kept.of(slot(4, Lane::Regular)).map(|kept| kept.tally.0[0]), Some(2));
    }
}
