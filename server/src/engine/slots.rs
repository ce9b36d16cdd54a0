//! What the ledger's thread keeps of every slot: who settles its gate, and how many people are where, as committed. Found by
//! tranche, of which a slot has one: with thousands of slots each look into a table is a wait for memory.

use std::collections::VecDeque;

use hashbrown::HashMap;
use kuota_domain::{
    ahead::{coming, fetch_all},
    calendar::ServiceDay,
    gate::{Figures, Keeper},
    ids::{OfficeNumber, TrancheNumber},
    ledger::{Changed, SLOTS_AT_HAND},
    registration::{Registration, RegistrationState},
    slot::{Lane, SlotKey},
};

use super::Engine;

/// People of one slot by the state of their registration.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally([u32; RegistrationState::ALL.len()]);

/// Every slot's. Others may read tallies; only the ledger's thread writes.
#[derive(Debug, Default)]
pub(super) struct Slots {
    /// By tranche, from `first` on; nothing where there is no slot any more. Most days are forgotten in the order in which they
    /// were released; a day far ahead keeps eight bytes for each tranche since.
    keepers: VecDeque<Option<Keeper>>,
    first: u32,
    others: Others,
    /// For who knows a slot by its name.
    tranches: HashMap<SlotKey, TrancheNumber>,
}

/// Everybody who is not confirmed, by slot. The rest of those whose places are taken are: so a grant has nothing to count.
#[derive(Debug, Default)]
pub(super) struct Others(HashMap<TrancheNumber, Tally>);

/// Where a registration stands, and with how many people; `None`: it is confirmed, and so nothing is counted.
type Standing = Option<(TrancheNumber, RegistrationState, u32)>;

/// Where a registration stood, and where it stands now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step(Standing, Standing);

impl Tally {
    /// People in a state.
    #[must_use]
    pub const fn of(&self, state: RegistrationState) -> u32 {
        self.0[state as usize]
    }

    /// With those confirmed who are none of these, of so many whose places are taken.
    fn of_taken(mut self, taken: u32) -> Self {
        let counted = RegistrationState::ALL.into_iter().filter(|state| state.is_counted());
        let others: u32 = counted.map(|state| self.of(state)).sum();
        self.0[RegistrationState::Confirmed as usize] = taken.saturating_sub(others);
        self
    }
}

impl Step {
    /// `None`: there is nothing to count, as after a grant that is confirmed.
    pub(super) fn of(before: Option<&Registration>, after: &Registration) -> Option<Self> {
        let standing = |of: &Registration| {
            let is_counted = of.state != RegistrationState::Confirmed;
            is_counted.then(|| (of.tranche, of.state, of.places()))
        };
        let step = Self(before.and_then(standing), standing(after));
        (step.0 != step.1).then_some(step)
    }
}

impl Others {
    fn of(&mut self, tranche: TrancheNumber) -> &mut Tally {
        self.0.entry(tranche).or_default()
    }

    /// Counts a registration where it stands now, and no longer where it stood.
    pub(super) fn count(&mut self, Step(before, after): Step) {
        if let Some((tranche, state, people)) = before {
            self.of(tranche).0[state as usize] -= people;
        }
        if let Some((tranche, state, people)) = after {
            self.of(tranche).0[state as usize] += people;
        }
    }
}

impl Slots {
    fn place(&self, tranche: TrancheNumber) -> Option<usize> {
        tranche.0.checked_sub(self.first).map(|ahead| ahead as usize)
    }

    fn get(&self, tranche: TrancheNumber) -> Option<&Keeper> {
        self.keepers.get(self.place(tranche)?)?.as_ref()
    }

    fn get_mut(&mut self, tranche: TrancheNumber) -> Option<&mut Keeper> {
        let place = self.place(tranche)?;
        self.keepers.get_mut(place)?.as_mut()
    }

    /// Committed figures of a slot.
    fn figures(&self, slot: SlotKey) -> Option<Figures> {
        Some(self.get(*self.tranches.get(&slot)?)?.gate().figures())
    }

    /// Committed free places of a slot.
    pub(super) fn free(&self, slot: SlotKey) -> u32 {
        self.figures(slot).map_or(0, |figures| figures.free)
    }

    /// How many people of a slot are where.
    fn tally(&self, slot: SlotKey) -> Option<Tally> {
        let others = self.others.0.get(self.tranches.get(&slot)?);
        Some(others.copied().unwrap_or_default().of_taken(self.figures(slot)?.taken))
    }

    /// Fetches what publishing the next of these will read. `at` are published, these are not.
    pub(super) fn look_ahead(&self, at: usize, changes: &[Changed]) {
        if self.tranches.len() <= SLOTS_AT_HAND {
            return;
        }
        let place = |(_, found): &Changed| self.place(found.as_ref()?.0);
        for (stage, some) in coming(at, changes.len(), 2) {
            let some = changes[some].iter().filter_map(|change| self.keepers.get(place(change)?));
            match stage {
                0 => fetch_all(some),
                _ => fetch_all(some.flatten().map(|keeper| &**keeper.gate())),
            }
        }
    }

    /// There is a slot.
    pub(super) fn open(&mut self, (tranche, slot): (TrancheNumber, SlotKey), keeper: Keeper) {
        if self.keepers.is_empty() {
            self.first = tranche.0;
        }
        for _ in tranche.0..self.first {
            self.keepers.push_front(None);
        }
        self.first = self.first.min(tranche.0);
        let ahead = (tranche.0 - self.first) as usize;
        while self.keepers.len() <= ahead {
            self.keepers.push_back(None);
        }
        self.keepers[ahead] = Some(keeper);
        self.tranches.insert(slot, tranche);
    }

    /// Publishes figures of a slot whose grants spent so many permits, and says whether it owes some still. `None`: there is no
    /// such slot.
    pub(super) fn publish(&mut self, tranche: TrancheNumber, figures: Figures, spent: u32) -> Option<bool> {
        let keeper = self.get_mut(tranche)?;
        keeper.publish(figures, spent);
        Some(keeper.debt() > 0)
    }

    /// Takes permits that came home against what a slot owes; says whether it owes nothing more.
    pub(super) fn settle(&mut self, tranche: TrancheNumber) -> bool {
        self.get_mut(tranche).is_none_or(Keeper::settle)
    }

    /// Counts registrations where they stand now, and no longer where they stood.
    pub(super) fn count(&mut self, steps: Vec<Step>) {
        for Step(before, after) in steps {
            let is_there = |standing: &(TrancheNumber, _, _)| self.get(standing.0).is_some();
            self.others.count(Step(before.filter(is_there), after.filter(is_there)));
        }
    }

    /// What was counted before anybody looks.
    pub(super) fn add(&mut self, others: &Others) {
        for (tranche, more) in &others.0 {
            let people = self.others.of(*tranche).0.iter_mut();
            people.zip(more.0).for_each(|(people, more)| *people += more);
        }
    }

    /// A day left memory.
    pub(super) fn drop_day(&mut self, office: OfficeNumber, day: ServiceDay) {
        for lane in Lane::ALL {
            let tranche = self.tranches.remove(&SlotKey { office, day, lane });
            if let Some((tranche, place)) = tranche.and_then(|tranche| Some((tranche, self.place(tranche)?)))
            {
                self.keepers[place] = None;
                self.others.0.remove(&tranche);
            }
        }
        while matches!(self.keepers.front(), Some(None)) {
            self.keepers.pop_front();
            self.first += 1;
        }
    }
}

impl Engine {
    /// How many people of a slot are where.
    #[must_use]
    pub fn tally(&self, slot: SlotKey) -> Tally {
        self.read.slots.read().tally(slot).unwrap_or_default()
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

    fn figures(free: u32, taken: u32) -> Figures {
        Figures {
            capacity: free + taken,
            free,
            taken,
            paused: false,
            open_at: UnixMillis(0),
            close_at: UnixMillis::MAX,
            ending: Ending::Closing,
        }
    }

    fn open(slots: &mut Slots, tranche: u32, slot: SlotKey) {
        slots.open((TrancheNumber(tranche), slot), SlotGate::new(figures(tranche, 0), 1).1);
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
        assert_eq!((slots.first, slots.keepers.len(), slots.tranches.len()), (75, 1, 1));
        slots.drop_day(OfficeNumber(0), ServiceDay::from_number(4));
        open(&mut slots, 76, key(4, Lane::Regular));
        assert_eq!((slots.first, slots.keepers.len(), slots.free(key(4, Lane::Regular))), (76, 1, 76));
    }

    #[test]
    fn whoever_is_nowhere_else_and_has_a_place_is_confirmed() {
        use RegistrationState::{Cancelled, CheckedIn, Confirmed, Held, NoShow};
        let (mut slots, slot) = (Slots::default(), key(1, Lane::Regular));
        let standing = |state, people| Some((TrancheNumber(9), state, people));
        open(&mut slots, 9, slot);
        slots.publish(TrancheNumber(9), figures(3, 9), 6);
        // Two wait to be paid for; three came, one did not, one gave the place back.
        let steps = [
            Step(None, standing(Held, 4)),
            Step(standing(Held, 2), None),
            Step(None, standing(CheckedIn, 3)),
            Step(None, standing(NoShow, 1)),
            Step(None, standing(Cancelled, 1)),
        ];
        slots.count(steps.to_vec());
        let tally = slots.tally(slot).unwrap();
        let counted = [Held, Confirmed, CheckedIn, NoShow, Cancelled].map(|state| tally.of(state));
        assert_eq!(counted, [2, 3, 3, 1, 1]);
        // Of a day that is gone nothing is kept.
        slots.drop_day(OfficeNumber(0), ServiceDay::from_number(1));
        slots.count(vec![Step(standing(Held, 2), standing(NoShow, 2))]);
        assert_eq!((slots.tally(slot), slots.others.0.len()), (None, 0));
    }
}
