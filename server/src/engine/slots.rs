//! What the ledger's thread keeps of every slot: who settles its gate, and how many people are where, as committed. Found by
//! tranche, of which a slot has one: with thousands of slots a look into a table is two waits for memory, this is one.

use std::{collections::VecDeque, hint::black_box};

use hashbrown::HashMap;
use kuota_domain::{
    calendar::ServiceDay,
    gate::{Figures, Keeper},
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
struct Slot {
    keeper: Keeper,
    tally: Tally,
}

const _: () = assert!(size_of::<Option<Slot>>() <= 64, "more than one line");

/// Every slot's. Others may read tallies; only the ledger's thread writes, and before anybody looks those who help it start.
#[derive(Debug, Default)]
pub(super) struct Slots {
    slots: Vec<Option<Slot>>,
    vacant: Vec<usize>,
    /// By tranche, from `first` on: one more than where its slot stands, 0 for none. Most days are forgotten in the order in which
    /// they were released; a day far ahead keeps four bytes for each tranche since.
    places: VecDeque<u32>,
    first: u32,
    /// People of slots that are opened by the very batch that places them.
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

impl Slots {
    fn place(&self, tranche: TrancheNumber) -> Option<usize> {
        let ahead = tranche.0.checked_sub(self.first)?;
        (*self.places.get(ahead as usize)? as usize).checked_sub(1)
    }

    fn get(&self, tranche: TrancheNumber) -> Option<&Slot> {
        self.slots.get(self.place(tranche)?)?.as_ref()
    }

    fn get_mut(&mut self, tranche: TrancheNumber) -> Option<&mut Slot> {
        let place = self.place(tranche)?;
        self.slots.get_mut(place)?.as_mut()
    }

    /// That of a name.
    fn named(&self, slot: SlotKey) -> Option<&Slot> {
        self.get(*self.tranches.get(&slot)?)
    }

    /// Committed free places of a slot.
    pub(super) fn free(&self, slot: SlotKey) -> u32 {
        self.named(slot).map_or(0, |slot| slot.keeper.gate().figures().free)
    }

    /// Reads what counting in the first [`LOOKED_AT`] of these, and publishing them, will read: one after the other, each would
    /// wait for memory.
    pub(super) fn look_ahead(&self, tranches: impl Iterator<Item = TrancheNumber>) {
        if self.tranches.len() > SLOTS_AT_HAND {
            let found = tranches.take(LOOKED_AT).filter_map(|tranche| self.get(tranche));
            black_box(found.fold(0, |read, slot| read ^ slot.keeper.gate().tag()));
        }
    }

    /// There is a slot.
    pub(super) fn open(&mut self, (tranche, slot): (TrancheNumber, SlotKey), keeper: Keeper) {
        let tally = self.early.remove(&tranche).unwrap_or_default();
        let place = self.vacant.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.slots[place] = Some(Slot { keeper, tally });
        if self.places.is_empty() {
            self.first = tranche.0;
        }
        for _ in tranche.0..self.first {
            self.places.push_front(0);
        }
        self.first = self.first.min(tranche.0);
        let ahead = (tranche.0 - self.first) as usize;
        self.places.resize(self.places.len().max(ahead + 1), 0);
        self.places[ahead] = u32::try_from(place + 1).unwrap_or(0);
        self.tranches.insert(slot, tranche);
    }

    /// Publishes figures of a slot whose grants spent so many permits, and says whether it owes some still. `None`: there is no
    /// such slot.
    pub(super) fn publish(&mut self, tranche: TrancheNumber, figures: Figures, spent: u32) -> Option<bool> {
        let keeper = &mut self.get_mut(tranche)?.keeper;
        keeper.publish(figures, spent);
        Some(keeper.debt() > 0)
    }

    /// Takes permits that came home against what a slot owes; says whether it owes nothing more.
    pub(super) fn settle(&mut self, tranche: TrancheNumber) -> bool {
        self.get_mut(tranche).is_none_or(|slot| slot.keeper.settle())
    }

    /// A registration stands otherwise than it was shown before, if it was.
    pub(super) fn count(&mut self, before: Option<&Registration>, after: &Registration) {
        if let Some(before) = before {
            self.tally_mut(before.tranche).0[before.state as usize] -= before.places();
        }
        self.tally_mut(after.tranche).count(after);
    }

    /// So many more people than were counted one by one.
    pub(super) fn add(&mut self, counted: &HashMap<TrancheNumber, Tally>) {
        for (tranche, more) in counted {
            let people = self.tally_mut(*tranche).0.iter_mut();
            people.zip(more.0).for_each(|(people, more)| *people += more);
        }
    }

    fn tally_mut(&mut self, tranche: TrancheNumber) -> &mut Tally {
        match self.place(tranche).and_then(|place| self.slots.get_mut(place)) {
            Some(Some(slot)) => &mut slot.tally,
            Some(None) | None => self.early.entry(tranche).or_default(),
        }
    }

    /// A day left memory.
    pub(super) fn drop_day(&mut self, office: OfficeNumber, day: ServiceDay) {
        for lane in Lane::ALL {
            let tranche = self.tranches.remove(&SlotKey { office, day, lane });
            if let Some((tranche, place)) = tranche.and_then(|tranche| Some((tranche, self.place(tranche)?)))
            {
                self.slots[place] = None;
                self.vacant.push(place);
                self.places[(tranche.0 - self.first) as usize] = 0;
            }
        }
        while self.places.front() == Some(&0) {
            self.places.pop_front();
            self.first += 1;
        }
    }
}

impl Engine {
    /// How many people of a slot are where.
    #[must_use]
    pub fn tally(&self, slot: SlotKey) -> Tally {
        self.read.slots.read().named(slot).map(|slot| slot.tally).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use kuota_domain::{
        gate::{Ending, SlotGate},
        time::UnixMillis,
    };

    use super::*;

    fn key(day: i32, lane: Lane) -> SlotKey {
        SlotKey { office: OfficeNumber(0), day: ServiceDay::from_number(day), lane }
    }

    fn open(slots: &mut Slots, tranche: u32, slot: SlotKey) {
        let figures = Figures {
            capacity: tranche,
            free: tranche,
            paused: false,
            open_at: UnixMillis(0),
            close_at: UnixMillis::MAX,
            ending: Ending::Closing,
        };
        slots.open((TrancheNumber(tranche), slot), SlotGate::new(figures, 1).1);
    }

    #[test]
    fn slots_are_found_by_tranche_and_by_name_in_whatever_order_they_come_and_go() {
        let mut slots = Slots::default();
        for (tranche, day) in [(70, 3), (68, 1), (75, 4), (69, 2)] {
            open(&mut slots, tranche, key(day, Lane::Regular));
        }
        open(&mut slots, 71, key(3, Lane::Priority));
        let free = [1, 2, 3, 4, 5].map(|day| slots.free(key(day, Lane::Regular)));
        assert_eq!(free, [68, 69, 70, 75, 0]);
        let found = [67, 71, 72, 75, 76].map(|tranche| slots.get(TrancheNumber(tranche)).is_some());
        assert_eq!(found, [false, true, false, true, false]);
        for day in [2, 1, 3] {
            slots.drop_day(OfficeNumber(0), ServiceDay::from_number(day));
            slots.drop_day(OfficeNumber(0), ServiceDay::from_number(day));
        }
        // What is gone takes no room.
        assert_eq!(
            (slots.first, slots.places.len(), slots.vacant.len(), slots.tranches.len()),
            (75, 1, 4, 1)
        );
        slots.drop_day(OfficeNumber(0), ServiceDay::from_number(4));
        // Somebody is placed there by the batch that opens it.
        slots.tally_mut(TrancheNumber(76)).0[0] = 2;
        open(&mut slots, 76, key(4, Lane::Regular));
        assert_eq!((slots.first, slots.places.len(), slots.slots.len(), slots.early.len()), (76, 1, 5, 0));
        let opened = slots.named(key(4, Lane::Regular)).map(|slot| slot.tally);
        assert_eq!((slots.free(key(4, Lane::Regular)), opened.map(|tally| tally.0[0])), (76, Some(2)));
    }
}
