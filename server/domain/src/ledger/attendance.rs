//! The service day itself: who came, who was served, and who did not come.

use std::sync::Arc;

use super::{DayState, Decision, Ledger, Misfit, Rejection};
use crate::{
    calendar::ServiceDay,
    event::{Actor, Change, Event},
    ids::{CallerNumber, OfficeNumber, RegistrationId},
    refusal::Refusal,
    registration::{Registration, RegistrationState},
    slot::SlotKey,
    time::UnixMillis,
};

/// Word that somebody came, or was served.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attendance {
    /// Whose registration.
    pub registration: RegistrationId,
    /// Who says so.
    pub caller: CallerNumber,
    /// The clerk or the counter, if it was said.
    pub actor: Box<str>,
}

impl Ledger {
    pub(super) fn decide_check_in(&self, who: &Attendance, now: UnixMillis) -> Result<Decision, Rejection> {
        let registration = self.roll.get(who.registration).ok_or(Rejection::NotFound)?;
        let state = registration.state;
        match state {
            RegistrationState::CheckedIn | RegistrationState::Served => {
                return Ok(Decision::Repeat(registration.clone()));
            }
            // Who is a no-show came too late.
            RegistrationState::Confirmed | RegistrationState::NoShow => {}
            RegistrationState::Held | RegistrationState::Expired | RegistrationState::Cancelled => {
                return Err(Refusal::NotConfirmed { state }.into());
            }
        }
        self.check_day(registration.slot, now)?;
        let (id, slot) = (registration.id, registration.slot);
        Ok(Decision::Change(said(who, Change::CheckedIn { id, slot }, now)))
    }

    pub(super) fn decide_complete(&self, who: &Attendance, now: UnixMillis) -> Result<Decision, Rejection> {
        let registration = self.roll.get(who.registration).ok_or(Rejection::NotFound)?;
        let state = registration.state;
        match state {
            RegistrationState::Served => return Ok(Decision::Repeat(registration.clone())),
            RegistrationState::CheckedIn => {}
            RegistrationState::Held
            | RegistrationState::Confirmed
            | RegistrationState::Expired
            | RegistrationState::Cancelled
            | RegistrationState::NoShow => return Err(Refusal::NotCheckedIn { state }.into()),
        }
        self.check_day(registration.slot, now)?;
        let (id, slot) = (registration.id, registration.slot);
        Ok(Decision::Change(said(who, Change::Served { id, slot }, now)))
    }

    /// Whether it is the service day of a slot, on the office's clock.
    fn check_day(&self, slot: SlotKey, now: UnixMillis) -> Result<(), Rejection> {
        let office = self.offices.get(slot.office.index()).ok_or(Rejection::NotFound)?;
        let day = office.days.get(&slot.day).ok_or(Rejection::NotFound)?;
        if now >= day.end || day.closed {
            return Err(Refusal::ServiceDayOver { day: slot.day, at: day.end }.into());
        }
        let at = slot.day.minute(0, &office.office.zone);
        if now < at {
            return Err(Refusal::TooEarlyToCheckIn { day: slot.day, at }.into());
        }
        Ok(())
    }

    /// Registrations of a day whose people did not come, in the order in which they were granted. Where nobody at all was
    /// checked in, check-in was not in use that day, and nobody is known to be absent.
    pub(super) fn absent(&self, day: &DayState) -> impl Iterator<Item = RegistrationId> {
        let is_known = self.is_attended(day);
        let found = self.roll.links().rows(day.arrivals).into_iter().filter_map(|row| self.roll.at(row));
        let is_absent = move |state| is_known && state == RegistrationState::Confirmed;
        found.filter(move |found| is_absent(found.state)).map(|found| found.id)
    }

    /// Whether anybody was checked in. Nobody's check-in is ever taken back, so that once is for ever.
    fn is_attended(&self, day: &DayState) -> bool {
        let mut found = self.roll.links().latest_first(day.arrivals).filter_map(|row| self.roll.at(row));
        found.any(|found| found.checked_in().is_some())
    }

    pub(super) fn check_in(
        &mut self,
        (id, slot): (RegistrationId, SlotKey),
        at: UnixMillis,
    ) -> Result<(), Misfit> {
        let (_, before) = self.row_in(id, &[RegistrationState::Confirmed])?;
        self.attend(slot, before, |after| {
            after
                .enter(RegistrationState::CheckedIn, at)
                .with(|particulars| particulars.checked_in = Some(at))
        })
    }

    pub(super) fn complete(
        &mut self,
        (id, slot): (RegistrationId, SlotKey),
        at: UnixMillis,
    ) -> Result<(), Misfit> {
        let (_, before) = self.row_in(id, &[RegistrationState::CheckedIn])?;
        self.attend(slot, before, |after| {
            after.enter(RegistrationState::Served, at).with(|particulars| particulars.served = Some(at))
        })
    }

    /// The place of who did not come stays taken: nobody else could have it any more.
    pub(super) fn mark_no_shows(
        &mut self,
        (office, day): (OfficeNumber, ServiceDay),
        ids: &[RegistrationId],
        at: UnixMillis,
    ) -> Result<(), Misfit> {
        let is_over = |found: &DayState| !found.closed && found.end <= at;
        if !self.day(office, day).is_some_and(|found| is_over(found) && self.is_attended(found)) {
            return Err(Misfit::Day(day));
        }
        for id in ids {
            let (_, before) = self.row_in(*id, &[RegistrationState::Confirmed])?;
            if (before.slot.office, before.slot.day) != (office, day) {
                return Err(Misfit::Registration);
            }
            self.replace(before.as_ref().clone().enter(RegistrationState::NoShow, at), before);
        }
        Ok(())
    }

    fn attend(
        &mut self,
        slot: SlotKey,
        before: Arc<Registration>,
        change: impl FnOnce(Registration) -> Registration,
    ) -> Result<(), Misfit> {
        let is_open = self.day(slot.office, slot.day).is_some_and(|day| !day.closed);
        if before.slot != slot || !is_open {
            return Err(Misfit::Registration);
        }
        self.replace(change(before.as_ref().clone()), before);
        Ok(())
    }
}

fn said(who: &Attendance, change: Change, now: UnixMillis) -> Event {
    let actor = Actor { caller: who.caller, subject: who.actor.clone() };
    Event { at: now, actor, reason: Box::default(), change }
}
