//! Which slots changed since that was asked last, for whoever publishes their figures. Not part of the state.

use super::{LOOKED_AT, Ledger};
use crate::{
    event::Change,
    gate::Figures,
    ids::TrancheNumber,
    slot::{Scope, SlotKey},
};

impl Ledger {
    /// Notes whose figures a change may have changed.
    pub(super) fn note_changes(&mut self, change: &Change) {
        if self.journal.is_replaying() {
            return;
        }
        if let Change::Paused(scope) | Change::Resumed(scope) = change {
            self.note_all(*scope);
        } else {
            change.slots().for_each(|slot| self.note(slot));
        }
    }

    fn note_all(&mut self, scope: Scope) {
        let held: Vec<_> = self.slots().filter(|slot| scope.covers(*slot)).collect();
        held.into_iter().for_each(|slot| self.note(slot));
    }

    /// Each slot once: its places know where it stands, and who stands there says whether that is still so (Briggs and
    /// Torczon, An efficient representation for sparse sets, 1993). So nothing is searched, and nothing need be undone.
    fn note(&mut self, slot: SlotKey) {
        if self.position_of_change(slot).is_some() {
            return;
        }
        let (next, list) = (self.changed.len(), self.changed_list);
        let Ok(day) = self.day_mut(slot.office, slot.day) else { return };
        if let Some(places) = &mut day.lanes[slot.lane.index()] {
            places.changed_at = u32::try_from(next).unwrap_or(u32::MAX);
            day.noted_in[slot.lane.index()] = list;
            self.changed.push(slot);
        }
    }

    /// Where a slot will stand among those that changed; `None`: it did not.
    #[must_use]
    pub fn position_of_change(&self, slot: SlotKey) -> Option<usize> {
        let (day, lane) = (self.day(slot.office, slot.day)?, slot.lane.index());
        let at = day.lanes[lane]?.changed_at as usize;
        (day.noted_in[lane] == self.changed_list && self.changed.get(at) == Some(&slot)).then_some(at)
    }

    /// Appends the slots that changed since this was called last, in the order in which they did first, and their tranches
    /// and figures as they stand now. A slot may stand there that did not change after all.
    pub fn take_changes(&mut self, changes: &mut Vec<(SlotKey, Option<(TrancheNumber, Figures)>)>) {
        changes.reserve_exact(self.changed.len());
        for slots in self.changed.chunks(LOOKED_AT) {
            // Of many slots a batch changes, the first are no longer at hand.
            self.look_at_days(slots.iter().copied());
            changes.extend(slots.iter().map(|slot| (*slot, self.standing(*slot))));
        }
        self.forget_changes();
    }

    /// Begins another list.
    pub(super) fn forget_changes(&mut self) {
        self.changed.clear();
        self.changed_list = self.changed_list.wrapping_add(1);
    }
}
