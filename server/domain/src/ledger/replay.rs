//! Replay: applying events that are in the log already, many in a row. It changes nothing that applying them one by one
//! would not.

use super::{Ledger, Misfit, ahead::LOOKED_AT};
use crate::event::{Change, Event};

/// How far a replay has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pace {
    /// Events applied before these.
    pub applied: u64,
    /// Events that the log says it has. Nothing is lost where it does not know.
    pub of: u64,
}

impl Pace {
    /// How many there will be of what there are so many of by now, if they go on coming as they did.
    pub(super) fn expected(self, by_now: usize) -> usize {
        let expected = u128::from(self.of) * by_now as u128 / u128::from(self.applied.max(1));
        usize::try_from(expected).unwrap_or(usize::MAX)
    }
}

impl Ledger {
    /// Applies events in their order.
    ///
    /// # Errors
    /// When one contradicts the state: how many fitted before it. The state must not be used afterwards.
    pub fn replay(&mut self, events: &[Event], pace: Pace) -> Result<(), (usize, Misfit)> {
        let mut applied = 0;
        for some in events.chunks(LOOKED_AT) {
            let grants = some.iter().filter_map(|event| match &event.change {
                Change::Granted(registration) => Some(&**registration),
                _ => None,
            });
            self.look_ahead(grants.clone().map(|registration| registration.slot));
            self.roll.look_ahead(grants, pace);
            for event in some {
                self.apply(event).map_err(|misfit| (applied, misfit))?;
                applied += 1;
            }
        }
        Ok(())
    }
}
