//! Which slots changed since that was asked last, for whoever publishes their figures. Not part of the state.

use std::mem;

use super::{DayState, Ledger, ahead::LOOKED_AT};
use crate::{
    calendar::ServiceDay,
    event::Change,
    gate::Figures,
    ids::{OfficeNumber, TrancheNumber},
    slot::{Lane, Scope, SlotKey},
};

/// A slot that changed, its tranche, and its figures as they stand then; `None`: the slot is gone.
pub type Changed = (SlotKey, Option<(TrancheNumber, Figures)>);

/// The slots that changed, each once, in the order in which they did first.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// How each stands, if nothing but grants changed it; of others, that is looked up in the end.
    slots: Vec<Changed>,
    /// Tells this list from those before it; now and then one of those had the same number.
    list: u8,
    /// Where the one stands that changed last: that is asked for next.
    last: usize,
}

impl Changes {
    /// Notes a slot of that day, and how it stands after a grant; `None`: after something else.
    pub(super) fn note(
        &mut self,
        slot: SlotKey,
        day: &mut DayState,
        granted: Option<(TrancheNumber, Figures)>,
    ) {
        if let Some(at) = self.position(slot, day) {
            let standing = &mut self.slots[at].1;
            *standing = standing.and(granted);
            self.last = at;
        } else if let Some(places) = &mut day.lanes[slot.lane.index()] {
            self.last = self.slots.len();
            places.changed_at = u32::try_from(self.last).unwrap_or(u32::MAX);
            day.noted_in[slot.lane.index()] = self.list;
            self.slots.push((slot, granted));
        }
    }

    /// A day changes, otherwise than by grants: how they left its slots is looked up in the end.
    pub(super) fn doubt(&mut self, office: OfficeNumber, day: ServiceDay, state: &DayState) {
        for slot in Lane::ALL.map(|lane| SlotKey { office, day, lane }) {
            if let Some(at) = self.position(slot, state) {
                self.slots[at].1 = None;
            }
        }
    }

    /// Each slot's places know where it stands, and who stands there says whether that is still so (Briggs and Torczon, An
    /// efficient representation for sparse sets, 1993). So nothing is searched, and nothing need be undone.
    fn position(&self, slot: SlotKey, day: &DayState) -> Option<usize> {
        let lane = slot.lane.index();
        let at = day.lanes[lane]?.changed_at as usize;
        (day.noted_in[lane] == self.list && self.is_at(slot, at)).then_some(at)
    }

    fn is_at(&self, slot: SlotKey, at: usize) -> bool {
        self.slots.get(at).is_some_and(|(changed, _)| *changed == slot)
    }

    /// Begins another list, with the room of that one. What was in it is of no more use.
    fn renew(&mut self, mut room: Vec<Changed>) -> Vec<Changed> {
        room.clear();
        self.list = self.list.wrapping_add(1);
        mem::replace(&mut self.slots, room)
    }
}

impl Ledger {
    /// Notes whose figures a change may have changed. A grant has done so itself.
    pub(super) fn note_changes(&mut self, change: &Change) {
        if self.journal.is_replaying() {
            return;
        }
        match change {
            Change::Granted(_) => {}
            Change::Paused(scope) | Change::Resumed(scope) => self.note_all(*scope),
            _ => change.slots().for_each(|slot| self.note(slot)),
        }
    }

    fn note_all(&mut self, scope: Scope) {
        let held: Vec<_> = self.slots().filter(|slot| scope.covers(*slot)).collect();
        held.into_iter().for_each(|slot| self.note(slot));
    }

    fn note(&mut self, slot: SlotKey) {
        let state = self.offices.get_mut(slot.office.index());
        if let Some(day) = state.and_then(|state| state.days.get_mut(&slot.day)) {
            self.changes.note(slot, day, None);
        }
    }

    /// Where a slot will stand among those that changed; `None`: it did not.
    #[must_use]
    pub fn position_of_change(&self, slot: SlotKey) -> Option<usize> {
        if self.changes.is_at(slot, self.changes.last) {
            return Some(self.changes.last);
        }
        self.changes.position(slot, self.day(slot.office, slot.day)?)
    }

    /// Takes the slots that changed since this was called last. A slot may stand there that did not change after all. What is
    /// handed in is of no more use, but for its room.
    pub fn take_changes(&mut self, changes: &mut Vec<Changed>) {
        *changes = self.changes.renew(mem::take(changes));
        for some in changes.chunks_mut(LOOKED_AT) {
            let unknown = || some.iter().filter(|(_, standing)| standing.is_none()).map(|(slot, _)| *slot);
            // Of many slots a batch changes, the first are no longer at hand.
            if unknown().next().is_some() {
                self.look_ahead(unknown());
                some.iter_mut()
                    .for_each(|(slot, standing)| *standing = standing.or_else(|| self.standing(*slot)));
            }
        }
    }

    /// Nobody will ask for what changed so far.
    pub(super) fn forget_changes(&mut self) {
        self.changes.renew(Vec::new());
    }
}
