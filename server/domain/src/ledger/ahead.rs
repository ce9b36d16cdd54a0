//! Looking ahead: fetching what the next decisions will read. It changes nothing, and is worth its while where there are more
//! slots than a core's cache holds.

use super::Ledger;
use crate::{
    ahead::{coming, fetch, fetch_all},
    registration::Ask,
    slot::SlotKey,
};

/// Slots looked at in one go: enough that memory is waited for once, few enough that what was fetched is still at hand.
pub(super) const LOOKED_AT: usize = 64;

/// Slots that are at hand anyway,
pub const SLOTS_AT_HAND: usize = 2_048;
/// and offices with about as many.
pub const OFFICES_AT_HAND: usize = 64;
/// Rows whose entries in the indices are at hand anyway.
pub(super) const ROWS_AT_HAND: usize = 32_768;

impl Ledger {
    /// Fetches what the next asks are decided by. `at` are decided, these are not.
    pub fn look_ahead_at<T>(&self, at: usize, asks: &[T], ask: impl Fn(&T) -> &Ask) {
        let many_offices = self.offices.len() > OFFICES_AT_HAND;
        let many_rows = self.roll.rows() > ROWS_AT_HAND;
        if !many_offices && !many_rows {
            return;
        }
        for (stage, some) in coming(at, asks.len(), 2) {
            let some = asks[some].iter().map(&ask);
            if many_offices {
                let slots = some.clone().map(|ask| ask.slot);
                match stage {
                    0 => fetch_all(slots.filter_map(|slot| self.offices.get(slot.office.index()))),
                    _ => fetch_all(slots.filter_map(|slot| self.day(slot.office, slot.day))),
                }
            }
            if many_rows && stage == 0 {
                self.roll.fetch(some);
            }
        }
    }

    /// Fetches what is known of these slots: [`LOOKED_AT`] of them, and no more.
    pub(super) fn look_ahead(&self, slots: impl Iterator<Item = SlotKey> + Clone) {
        if self.offices.len() <= OFFICES_AT_HAND {
            return;
        }
        let slots = slots.take(LOOKED_AT);
        slots.clone().filter_map(|slot| self.offices.get(slot.office.index())).for_each(fetch);
        slots.filter_map(|slot| self.day(slot.office, slot.day)).for_each(fetch);
    }
}
