//! Looking ahead: reading in one go what the next decisions will read one after the other, so that memory is waited for
//! once and not by each. It changes nothing, and is worth its while where there are more slots than a core's cache holds.

use std::hint::black_box;

use super::Ledger;
use crate::{registration::Ask, slot::SlotKey};

/// Slots looked at in one go: enough that memory is waited for once, few enough that what was read is still at hand.
pub const LOOKED_AT: usize = 64;

/// Slots that are at hand anyway,
pub const SLOTS_AT_HAND: usize = 2_048;
/// and offices with about as many.
pub const OFFICES_AT_HAND: usize = 64;
/// Rows whose entries in the indices are at hand anyway.
pub(super) const ROWS_AT_HAND: usize = 32_768;

impl Ledger {
    /// Reads what these asks are decided by: [`LOOKED_AT`] of them, and no more.
    pub fn look_ahead_at<'a>(&self, asks: impl Iterator<Item = &'a Ask> + Clone) {
        self.look_ahead(asks.clone().map(|ask| ask.slot));
        self.roll.look_ahead_at(asks);
    }

    /// Reads what is known of these slots: [`LOOKED_AT`] of them, and no more.
    pub(super) fn look_ahead(&self, slots: impl Iterator<Item = SlotKey> + Clone) {
        if self.offices.len() <= OFFICES_AT_HAND {
            return;
        }
        let slots = slots.take(LOOKED_AT);
        // Reads that do not wait for each other, and little between them. What is read and not used need not be read.
        let offices = slots.clone().filter_map(|slot| self.offices.get(slot.office.index()));
        black_box(offices.fold(false, |read, office| read ^ office.holds));
        let days = slots.filter_map(|slot| self.day(slot.office, slot.day));
        black_box(days.fold(false, |read, day| read ^ day.closed));
    }
}
