//! Replay: applying events that are in the log already, many in a row. It changes nothing that applying them one by one
//! would not.

use super::{Ledger, Misfit, ahead::LOOKED_AT, coming::Coming};
use crate::event::{Change, Event};

/// A log that is being replayed. Its ledger is had at the end.
#[derive(Debug)]
pub struct Replay {
    ledger: Ledger,
    /// Of grants in a row: the keys of those since [`Self::entered`].
    coming: Coming,
    entered: u64,
    applied: u64,
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
    /// From the first event on; `events` is how many the log says it has.
    #[must_use]
    pub fn of(events: u64) -> Self {
        let mut ledger = Ledger::default();
        ledger.begin_replay();
        Self { ledger, coming: Coming::default(), entered: 0, applied: 0, of: events }
    }

    /// Applies the next events.
    ///
    /// # Errors
    /// When one contradicts the state. What contradicts a key that waits to be entered is found when it is. The replay is over
    /// then.
    pub fn apply(&mut self, events: &[Event]) -> Result<(), Unfit> {
        for some in events.chunks(LOOKED_AT) {
            let grants = some.iter().filter_map(|event| match &event.change {
                Change::Granted(registration) => Some(&**registration),
                _ => None,
            });
            self.ledger.roll.make_room(self.pace());
            self.ledger.look_ahead(grants.clone().map(|registration| registration.slot));
            let are_grants = grants.clone().filter(|granted| granted.moved().is_none()).count() == some.len();
            if !are_grants {
                self.enter_coming()?;
                self.ledger.roll.look_ahead(grants, self.pace());
            }
            for event in some {
                let applied = if are_grants { self.grant(event) } else { self.ledger.apply(event) };
                applied.map_err(|misfit| self.unfit(misfit))?;
                self.applied += 1;
            }
            if !are_grants {
                self.entered = self.applied;
            }
            if self.coming.is_full() {
                self.enter_coming()?;
            }
        }
        Ok(())
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

    /// Applies a grant among others: its keys are looked up by none of them.
    fn grant(&mut self, event: &Event) -> Result<(), Misfit> {
        let Change::Granted(granted) = &event.change else { return self.ledger.apply(event) };
        self.ledger.check_format(&event.change)?;
        self.ledger.grant(granted, event.at, |roll| roll.enter_later(granted, &mut self.coming))
    }

    fn enter_coming(&mut self) -> Result<(), Unfit> {
        if !self.coming.is_empty() {
            let pace = self.pace();
            let entered = self.ledger.roll.enter_all(&mut self.coming, pace);
            entered.map_err(|(before, misfit)| Unfit { seq: self.entered + before as u64 + 1, misfit })?;
        }
        self.entered = self.applied;
        Ok(())
    }

    /// The next event does not fit, if none did not before.
    fn unfit(&mut self, misfit: Misfit) -> Unfit {
        let seq = self.applied + 1;
        self.enter_coming().err().unwrap_or(Unfit { seq, misfit })
    }

    const fn pace(&self) -> Pace {
        Pace { applied: self.applied, of: self.of }
    }
}
