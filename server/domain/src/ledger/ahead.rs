//! Looking ahead: reading in one go what the next decisions will read one after the other, so that memory is waited for
//! once and not by each. It changes nothing, and is worth its while where there are more slots than a core's cache holds.

use std::hint::black_box;

use super::{DayState, Ledger};
use crate::slot::SlotKey;

/// Slots looked at in one go: enough that memory is waited for once, few enough that what was read is still at hand.
pub const LOOKED_AT: usize = 64;

/// Slots that are at hand anyway,
pub const SLOTS_AT_HAND: usize = 2_048;
/// and offices with about as many.
pub const OFFICES_AT_HAND: usize = 64;

impl Ledger {
    /// Reads what asks for these slots are decided by: [`LOOKED_AT`] of them, and no more.
    pub fn look_ahead(&self, slots: impl Iterator<Item = SlotKey> + Clone) {
        if self.offices.len() <= OFFICES_AT_HAND {
            return;
        }
        let slots = slots.take(LOOKED_AT);
        // Reads that do not wait for each other, and little between them. What is read and not used need not be read.
        let offices = slots.clone().filter_map(|slot| self.offices.get(slot.office.index()));
        black_box(offices.fold(false, |read, office| read ^ office.holds));
        let mut days: [Option<&DayState>; LOOKED_AT] = [None; LOOKED_AT];
        for (place, slot) in days.iter_mut().zip(slots) {
            *place = self.day(slot.office, slot.day);
        }
        let days = || days.iter().flatten();
        black_box(days().fold(false, |read, day| read ^ day.closed));
        black_box(days().fold(0, |read, day| read ^ day.registrations.last().copied().unwrap_or(0)));
    }
}
