//! Applying a grant.

use super::{Ledger, Misfit, RowNumber, Timer, Undo, roll::Roll};
use crate::{
    registration::{Registration, RegistrationState},
    time::UnixMillis,
};

impl Ledger {
    /// Applies a grant; `enter` puts it on the roll.
    pub(super) fn grant(
        &mut self,
        registration: &Registration,
        at: UnixMillis,
        enter: impl FnOnce(&mut Roll) -> Result<RowNumber, Misfit>,
    ) -> Result<(), Misfit> {
        let slot = registration.slot;
        if self.is_paused(slot) {
            return Err(Misfit::Paused);
        }
        let state = self.offices.get_mut(slot.office.index()).ok_or(Misfit::Office(slot.office.0))?;
        let day = state.days.get_mut(&slot.day).ok_or(Misfit::Day(slot.day))?;
        let places = day.lanes[slot.lane.index()].as_mut().ok_or(Misfit::Day(slot.day))?;
        // INV-1, INV-6: a log that says otherwise is not believed.
        let room = places.capacity.saturating_sub(places.taken);
        if registration.tranche != places.tranche() {
            return Err(Misfit::Tranche(registration.tranche.0));
        }
        if room < registration.places() || at < places.open_at {
            return Err(Misfit::Places);
        }
        // INV-2, INV-3.
        let row = enter(&mut self.roll)?;
        let last_number = match registration.session {
            None => &mut day.last_queue_number,
            Some(session) => self.sessions.last_number_mut((slot.office, slot.day), session),
        };
        if registration.queue_number != *last_number + 1 {
            return Err(Misfit::QueueNumber);
        }
        *last_number = registration.queue_number;
        places.taken += registration.places();
        self.roll.links_mut().push(&mut day.arrivals, row);
        if !self.journal.is_replaying() {
            let standing = day.standing(slot.lane, false);
            self.changes.note(slot, day, standing);
        }
        self.take_session(slot, registration.session, registration.places())?;
        self.journal.note(Undo::Granted(row));
        match (registration.state, registration.billing()) {
            (RegistrationState::Confirmed, None) => Ok(()),
            (RegistrationState::Held, Some(billing)) => {
                self.set_timer(billing.expires, Timer::Hold(row));
                Ok(())
            }
            _ => Err(Misfit::Registration),
        }
    }
}
