//! Replay: applying events that are in the log already, many in a row. It changes nothing that applying them one by one
//! would not.

use std::sync::Arc;

use super::{Ledger, Misfit, ahead::LOOKED_AT, coming::Coming};
use crate::{
    event::{Change, Event},
    registration::Registration,
};

/// A log that is being replayed. Its ledger is had at the end.
#[derive(Debug)]
pub struct Replay {
    ledger: Ledger,
    /// Grants in a row whose keys wait to be entered.
    coming: Coming,
    /// So many are entered together.
    together: usize,
    /// Events before the first of those.
    entered: u64,
    applied: u64,
    /// Events that the log says it has.
    of: u64,
}

/// An event that does not fit what comes before it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("event {seq} of the log does not fit what comes before it: {misfit}")]
pub struct Unfit {
    /// Its number, from 1.
    pub seq: u64,
    /// Why it does not.
    pub misfit: Misfit,
}

/// How far a replay has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Pace {
    /// Events applied before these.
    pub(super) applied: u64,
    /// Events that the log says it has. Nothing is lost where it does not know.
    pub(super) of: u64,
}

impl Pace {
    /// How many there will be of what there are so many of by now, if they go on coming as they did.
    pub(super) fn expected(self, by_now: usize) -> usize {
        let expected = u128::from(self.of) * by_now as u128 / u128::from(self.applied.max(1));
        usize::try_from(expected).unwrap_or(usize::MAX)
    }
}

impl Replay {
    /// From the first event on; `events` is how many the log says it has. Keys of so many grants are entered `together`.
    #[must_use]
    pub fn of(events: u64, together: usize) -> Self {
        let mut ledger = Ledger::default();
        ledger.begin_replay();
        Self { ledger, coming: Coming::default(), together, entered: 0, applied: 0, of: events }
    }

    /// With the next events applied.
    ///
    /// # Errors
    /// When one contradicts those before it. Where it contradicts a key that waits to be entered, that is found later.
    pub fn apply(mut self, events: &[Event]) -> Result<Self, Unfit> {
        for some in events.chunks(LOOKED_AT) {
            let grants = some.iter().filter_map(grant_of);
            self.ledger.roll.make_room(self.pace());
            self.ledger.look_ahead(grants.clone().map(|granted| granted.slot));
            if grants.clone().count() == some.len() {
                for (event, granted) in some.iter().zip(grants) {
                    let granted = self.grant(event, granted);
                    granted.map_err(|misfit| self.unfit(misfit))?;
                    self.applied += 1;
                }
                if self.coming.len() >= self.together {
                    self.enter_coming()?;
                }
            } else {
                self.enter_coming()?;
                self.ledger.roll.look_ahead(grants.map(|granted| &**granted), self.pace());
                for event in some {
                    self.ledger.apply(event).map_err(|misfit| self.unfit(misfit))?;
                    self.applied += 1;
                }
                self.entered = self.applied;
            }
        }
        Ok(self)
    }

    /// The ledger as of the last event.
    ///
    /// # Errors
    /// When an event contradicts those before it.
    pub fn end(mut self) -> Result<Ledger, Unfit> {
        self.enter_coming()?;
        self.ledger.end_replay();
        Ok(self.ledger)
    }

    /// Applies a grant among others, whose keys are looked up by none of them.
    fn grant(&mut self, event: &Event, granted: &Arc<Registration>) -> Result<(), Misfit> {
        self.ledger.check_format(&event.change)?;
        self.ledger.grant(granted, event.at, |roll| roll.enter_later(granted, &mut self.coming))
    }

    fn enter_coming(&mut self) -> Result<(), Unfit> {
        if self.coming.len() > 0 {
            let pace = self.pace();
            let entered = self.ledger.roll.enter_all(&mut self.coming, pace);
            entered.map_err(|(before, misfit)| Unfit { seq: self.entered + before as u64 + 1, misfit })?;
        }
        self.entered = self.applied;
        Ok(())
    }

    /// The next event does not fit, unless one whose keys wait does not either: then that is the first.
    fn unfit(&mut self, misfit: Misfit) -> Unfit {
        let seq = self.applied + 1;
        self.enter_coming().err().unwrap_or(Unfit { seq, misfit })
    }

    const fn pace(&self) -> Pace {
        Pace { applied: self.applied, of: self.of }
    }
}

/// What an event grants; nothing where it has a second request id, which no grant has when it is made.
fn grant_of(event: &Event) -> Option<&Arc<Registration>> {
    match &event.change {
        Change::Granted(granted) if granted.moved().is_none() => Some(granted),
        _ => None,
    }
}
