//! Another place for a registration, in one step: never two, never none.

use std::sync::Arc;

use super::{Decision, Ledger, Misfit, Objection, Rejection, Timer};
use crate::{
    event::{Actor, Change, Event, Rescheduled},
    ids::RegistrationId,
    refusal::Refusal,
    registration::{Move, Registration, RegistrationState},
    rescheduling::{Circumstances, Rescheduling, Wisher},
    session::{Session, SessionStart, Turn},
    slot::SlotKey,
    time::UnixMillis,
};

impl Ledger {
    pub(super) fn decide_reschedule(
        &self,
        wish: &Rescheduling,
        now: UnixMillis,
    ) -> Result<Decision, Rejection> {
        let registration = self.roll.get(wish.registration).ok_or(Rejection::NotFound)?;
        // INV-3: the id names this registration, and this step of it, or something else.
        if let Some(known) = self.roll.by_request(wish.request) {
            let moved = known.moved().filter(|moved| moved.request == wish.request);
            let is_same = |moved: Move| (moved.to, moved.named) == (wish.slot, wish.session);
            let same = known.id == registration.id && moved.is_some_and(is_same);
            return if same { Ok(Decision::Repeat(known.clone())) } else { Err(Rejection::RequestReused) };
        }
        let from = registration.slot;
        let office = self.offices.get(from.office.index()).ok_or(Rejection::NotFound)?;
        let day_begins = from.day.minute(0, &office.office.zone);
        let to = (wish.slot, wish.session);
        let step = self.decide_step(registration, to, (Wisher::Caller, day_begins), now);
        let step = step.map_err(Rejection::Refused)?;
        let change = Change::Rescheduled(Box::new(Rescheduled { request: Some(wish.request), ..step }));
        let actor = Actor { caller: wish.request.caller, subject: Box::default() };
        Ok(Decision::Change(Event { at: now, actor, reason: Box::default(), change }))
    }

    /// What an operator wishes goes as long as the day lasts, and counts for nothing.
    pub(super) fn decide_special_reschedule(
        &self,
        id: RegistrationId,
        to: (SlotKey, Option<SessionStart>),
        now: UnixMillis,
    ) -> Result<Change, Objection> {
        let registration = self.roll.get(id).ok_or(Objection::NoSuchRegistration)?;
        let from = registration.slot;
        let day = self.day(from.office, from.day).ok_or(Objection::NoSuchRegistration)?;
        let step = self.decide_step(registration, to, (Wisher::Operator, day.end), now);
        Ok(Change::Rescheduled(Box::new(step.map_err(Objection::Refused)?)))
    }

    /// The step to another slot, by the rules of an ask, but for the applicants: they have this very place.
    fn decide_step(
        &self,
        registration: &Arc<Registration>,
        (to, named): (SlotKey, Option<SessionStart>),
        (wisher, until): (Wisher, UnixMillis),
        now: UnixMillis,
    ) -> Result<Rescheduled, Refusal> {
        let office = self.offices.get(to.office.index()).map(|state| &state.office);
        let offer = office.and_then(|office| office.offer(to.lane));
        let around = Circumstances { now, until, fees: &self.fees, offer };
        if let Some(refusal) = registration.why_it_stays(to, wisher, around) {
            return Err(refusal);
        }
        if let Some(refusal) = self.why_not_there(registration, to, now) {
            return Err(refusal);
        }
        let day = self.day(to.office, to.day).ok_or(Refusal::Busy)?;
        let tranche = day.lanes[to.lane.index()].ok_or(Refusal::Busy)?.tranche();
        let (id, from) = (registration.id, registration.slot);
        let turn = self.next_turn((to, day), (named, registration.places()), now)?;
        // Not beyond the day it goes to, like every hold.
        let hold_expires = held_until(registration).map(|expires| expires.min(day.end));
        Ok(Rescheduled { id, from, to, tranche, turn, named, hold_expires, request: None })
    }

    pub(super) fn reschedule(&mut self, step: &Rescheduled, at: UnixMillis) -> Result<(), Misfit> {
        let Rescheduled { id, from, to, tranche, turn, named, hold_expires, request } = *step;
        let (row, before) = self.row_in(id, &[RegistrationState::Held, RegistrationState::Confirmed])?;
        let counts_twice = request.is_some() && before.moved().is_some();
        let is_held = before.state == RegistrationState::Held;
        if before.slot != from || from == to || counts_twice || is_held != hold_expires.is_some() {
            return Err(Misfit::Registration);
        }
        if request.is_some_and(|request| self.roll.by_request(request).is_some()) {
            return Err(Misfit::Reused);
        }
        if named.is_some() && named != turn.session.map(Session::start) {
            return Err(Misfit::Session);
        }
        let figures = self.figures(to).ok_or(Misfit::Day(to.day))?;
        // INV-1, INV-6.
        if figures.refuse(before.places(), at).is_some() {
            return Err(if figures.paused { Misfit::Paused } else { Misfit::Places });
        }
        if self.places_mut(to).map(|places| places.tranche()) != Some(tranche) {
            return Err(Misfit::Tranche(tranche.0));
        }
        self.change_queue(row, &before, (to, turn))?;
        self.keep_session_taken(to, turn.session);
        self.take_session(to, turn.session, before.places())?;
        self.keep_session_taken(from, before.session);
        self.free_session(from, before.session, before.places())?;
        self.count(to, |taken| taken.checked_add(before.places()))?;
        self.count(from, |taken| taken.checked_sub(before.places()))?;
        self.end_hold(row, &before);
        if let Some(expires) = hold_expires {
            self.set_timer(expires, Timer::Hold(row));
        }
        let Turn { session, queue_number } = turn;
        let moved = Registration { slot: to, tranche, session, queue_number, ..(*before).clone() };
        let mut after = moved.changed(at);
        if hold_expires != held_until(&before) {
            after = after.with(|particulars| {
                let billing = particulars.billing.zip(hold_expires);
                particulars.billing = billing.map(|(billing, expires)| billing.until(expires));
            });
        }
        if let Some(request) = request {
            after = after.with(|particulars| particulars.moved = Some(Move { request, from, to, named, at }));
        }
        self.replace(after, before);
        Ok(())
    }
}

/// When its hold expires, if it is held.
fn held_until(registration: &Registration) -> Option<UnixMillis> {
    let is_held = registration.state == RegistrationState::Held;
    registration.billing().filter(|_| is_held).map(|billing| billing.expires)
}
