//! Applying events: assigning what they carry, and nothing else (INV-7). What does not fit is a broken log or a bug.

use std::sync::Arc;

use super::{
    CommandRecord, DayState, Ledger, LogIdentity, OfficeState, Pause, Places, RowNumber, Timer, Undo,
    journal::Moved, sessions::check_dealt,
};
use crate::{
    calendar::ServiceDay,
    catalog::Office,
    days::Days,
    event::{Change, CommandMark, Event, Override, Release, Times},
    ids::{OfficeNumber, RegistrationId, TrancheNumber},
    payment::CaseNumber,
    registration::{Registration, RegistrationState},
    session::{Session, SessionPlaces, Turn},
    slot::{Scope, SlotKey},
    time::UnixMillis,
};

/// An event that contradicts what came before it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// A log opens once, with its first event.
    #[error("the log is opened twice, or not by its first event")]
    Opening,
    /// An event of a set that the log was not raised to, or a set that is not newer.
    #[error("an event needs a newer format than the log has, or the format is not raised")]
    Format,
    /// No such office.
    #[error("office number {0} is not defined, or is defined out of order")]
    Office(u32),
    /// No such tranche, or a slot released twice.
    #[error("tranche {0} is not released, or is released out of order or twice")]
    Tranche(u32),
    /// No such day.
    #[error("service day {0} is not scheduled")]
    Day(ServiceDay),
    /// INV-1 or INV-6 broken.
    #[error("a grant exceeds the places of its slot, or comes before its opening")]
    Places,
    /// INV-2 broken.
    #[error("an applicant is granted a second live registration")]
    Applicant,
    /// INV-3 broken, or an id given twice.
    #[error("a request, registration id or booking code is used a second time")]
    Reused,
    /// The queue has a gap.
    #[error("a queue number does not follow the one before it")]
    QueueNumber,
    /// A session beyond its places, one that is not offered, or places that are not dealt out whole.
    #[error("a session is not offered, has no room, or sessions do not add up to the places of their slot")]
    Session,
    /// A grant while an operator holds the slot.
    #[error("a grant comes while its slot is paused")]
    Paused,
    /// An opening rule that is not there, or an operator's write carried out twice.
    #[error("an operator's change does not fit what was there before it")]
    Operator,
    /// No such registration, or not in that state.
    #[error("a registration changes that does not exist, or is not in a state for it")]
    Registration,
    /// INV-11 broken, or a payment or case that does not fit.
    #[error("a payment or its case does not fit its registration, or is there twice")]
    Payment,
}

impl Ledger {
    /// Applies one event.
    ///
    /// # Errors
    /// When it contradicts the state. The state must not be used afterwards.
    pub fn apply(&mut self, event: &Event) -> Result<(), Misfit> {
        self.check_format(&event.change)?;
        match &event.change {
            Change::FormatRaised(format) => {
                let identity = self.identity.ok_or(Misfit::Opening)?;
                self.journal.note(Undo::Identity(Some(Box::new(identity))));
                self.identity = Some(LogIdentity { format: *format, ..identity });
            }
            Change::FeesDefined(fees) => {
                let before = std::mem::replace(&mut self.fees, fees.clone());
                self.journal.note(Undo::Fees(before));
            }
            Change::LogOpened { log_id, format, nik_key_check } => {
                let (log_id, format, nik_key_check) = (*log_id, *format, *nik_key_check);
                self.journal.note(Undo::Identity(self.identity.map(Box::new)));
                self.identity = Some(LogIdentity { log_id, format, nik_key_check });
            }
            Change::HolidaysDefined(holidays) => {
                let before = std::mem::replace(&mut self.holidays, holidays.clone());
                self.journal.note(Undo::Holidays(before));
                self.plan_anew();
            }
            Change::OpeningDefined(rule) => {
                let before = self.openings.insert(rule.id.clone(), rule.clone());
                self.journal.note(Undo::Opening(rule.id.clone(), before.map(Box::new)));
                self.plan_anew();
            }
            Change::OpeningRemoved(id) => {
                let before = self.openings.remove(id).ok_or(Misfit::Operator)?;
                self.journal.note(Undo::Opening(id.clone(), Some(Box::new(before))));
                self.plan_anew();
            }
            Change::CatalogApplied { digest, at_start } => {
                if *at_start {
                    let before = self.catalog_at_start.replace(*digest);
                    self.journal.note(Undo::CatalogAtStart(Box::new(before)));
                }
            }
            Change::CommandCarriedOut(mark) => self.note_command(mark, event.at)?,
            Change::OverrideSet { slot, set } => self.set_override(*slot, Some(*set))?,
            Change::OverrideCleared(slot) => self.set_override(*slot, None)?,
            Change::Paused(scope) => self.pause(*scope, event)?,
            Change::Resumed(scope) => {
                let before = self.pauses.remove(scope).ok_or(Misfit::Operator)?;
                self.journal.note(Undo::Pause(Box::new((*scope, Some(before)))));
            }
            Change::OfficeDefined { number, office } => self.define_office(*number, office)?,
            Change::OfficeClosed(number) => {
                self.keep_office(*number)?;
                self.offices[number.index()].open = false;
                self.plan_office_anew(*number);
            }
            Change::TrancheReleased(release) => self.release(release)?,
            Change::TrancheChanged { tranche, slot, places, times, sessions } => {
                self.change_tranche((*tranche, *slot), (*places, sessions), *times)?;
            }
            Change::Granted(granted) => self.grant(granted, event.at, |roll| roll.enter(granted))?,
            Change::Cancelled { id, slot, case } => self.cancel((*id, *slot), *case, event)?,
            Change::HoldExpired { id, slot } => self.expire_hold((*id, *slot), event.at)?,
            Change::Rescheduled(step) => self.reschedule(step, event.at)?,
            Change::CheckedIn { id, slot } => self.check_in((*id, *slot), event.at)?,
            Change::Served { id, slot } => self.complete((*id, *slot), event.at)?,
            Change::NoShows { office, day, ids } => self.mark_no_shows((*office, *day), ids, event.at)?,
            Change::PaymentReceived(receipt) => self.receive_payment(receipt, event)?,
            Change::CaseResolved(resolved) => self.resolve_case(resolved, event)?,
            Change::DayClosed { office, day, forget_at } => self.close_day(*office, *day, *forget_at)?,
            Change::DayForgotten { office, day } => self.forget_day(*office, *day)?,
        }
        self.note_changes(&event.change);
        Ok(())
    }

    /// Whether the log may hold a change where it stands.
    pub(super) fn check_format(&self, change: &Change) -> Result<(), Misfit> {
        if self.identity.is_none() != matches!(change, Change::LogOpened { .. }) {
            return Err(Misfit::Opening);
        }
        if self.identity.is_some_and(|identity| !fits(identity.format, change)) {
            return Err(Misfit::Format);
        }
        Ok(())
    }

    pub(super) fn places_mut(&mut self, slot: SlotKey) -> Option<&mut Places> {
        let day = self.offices.get_mut(slot.office.index())?.days.get_mut(&slot.day)?;
        day.lanes[slot.lane.index()].as_mut()
    }

    fn day_mut(&mut self, office: OfficeNumber, day: ServiceDay) -> Result<&mut DayState, Misfit> {
        let state = self.offices.get_mut(office.index()).ok_or(Misfit::Office(office.0))?;
        state.days.get_mut(&day).ok_or(Misfit::Day(day))
    }

    fn keep_office(&mut self, number: OfficeNumber) -> Result<(), Misfit> {
        let before = self.offices.get(number.index()).ok_or(Misfit::Office(number.0))?;
        self.journal.note(Undo::Office(number, Some((before.office.clone(), before.open))));
        Ok(())
    }

    fn keep_day(&mut self, office: OfficeNumber, day: ServiceDay) {
        let before = self.day(office, day).cloned().map(Box::new);
        if let Some(before) = &before {
            self.changes.doubt(office, day, before);
        }
        self.journal.note(Undo::Day(office, day, before));
    }

    pub(super) fn set_timer(&mut self, at: UnixMillis, timer: Timer) {
        if self.timers.insert((at, timer)) {
            self.journal.note(Undo::TimerSet(at, timer));
        }
    }

    pub(super) fn clear_timer(&mut self, at: UnixMillis, timer: Timer) {
        if self.timers.remove(&(at, timer)) {
            self.journal.note(Undo::TimerCleared(at, timer));
        }
    }

    fn note_command(&mut self, mark: &CommandMark, at: UnixMillis) -> Result<(), Misfit> {
        while let Some((age, request)) =
            self.command_ages.first().copied().filter(|(age, _)| *age < mark.forget_before)
        {
            self.command_ages.remove(&(age, request));
            let forgotten = self.commands.remove(&request);
            self.journal.note(Undo::Command(Box::new((request, forgotten))));
        }
        let record = CommandRecord { content: mark.content, at, changes: mark.changes };
        if self.commands.insert(mark.request, record).is_some() {
            return Err(Misfit::Operator);
        }
        self.command_ages.insert((at, mark.request));
        self.journal.note(Undo::Command(Box::new((mark.request, None))));
        Ok(())
    }

    fn set_override(&mut self, slot: SlotKey, set: Option<Override>) -> Result<(), Misfit> {
        if slot.office.index() >= self.offices.len() {
            return Err(Misfit::Office(slot.office.0));
        }
        let before = match set {
            Some(set) => self.overrides.insert(slot, set),
            None => Some(self.overrides.remove(&slot).ok_or(Misfit::Operator)?),
        };
        self.journal.note(Undo::Override(slot, Box::new(before)));
        self.plan_office_anew(slot.office);
        Ok(())
    }

    fn pause(&mut self, scope: Scope, event: &Event) -> Result<(), Misfit> {
        if scope.office.is_some_and(|office| office.index() >= self.offices.len()) {
            return Err(Misfit::Operator);
        }
        let (since, actor) = (event.at, event.actor.subject.clone());
        let before = self.pauses.insert(scope, Pause { since, actor, reason: event.reason.clone() });
        self.journal.note(Undo::Pause(Box::new((scope, before))));
        Ok(())
    }

    fn define_office(&mut self, number: OfficeNumber, office: &Arc<Office>) -> Result<(), Misfit> {
        let known = self.office_numbers.get(&office.id);
        if known.is_some_and(|known| *known != number) || number.index() > self.offices.len() {
            return Err(Misfit::Office(number.0));
        }
        if known.is_some() {
            self.keep_office(number)?;
            let state = &mut self.offices[number.index()];
            (state.office, state.open, state.holds) = (office.clone(), true, office.holds());
        } else if number.index() == self.offices.len() {
            self.journal.note(Undo::Office(number, None));
            self.office_numbers.insert(office.id.clone(), number);
            let (open, holds, days, planned_until) = (true, office.holds(), Days::default(), UnixMillis::MIN);
            self.offices.push(OfficeState { office: office.clone(), open, holds, days, planned_until });
        } else {
            return Err(Misfit::Office(number.0));
        }
        self.plan_office_anew(number);
        Ok(())
    }

    fn release(&mut self, release: &Release) -> Result<(), Misfit> {
        let Release { tranche, slot, places, times, .. } = *release;
        let misfit = Misfit::Tranche(tranche.0);
        check_dealt(places, &release.sessions)?;
        if tranche.0 as usize != self.tranches.len() + 1 || self.figures(slot).is_some() {
            return Err(misfit);
        }
        self.keep_day(slot.office, slot.day);
        let state = self.offices.get_mut(slot.office.index()).ok_or(Misfit::Office(slot.office.0))?;
        let day = state.days.get_or_insert_with(slot.day, || DayState::new(times));
        if day.closed {
            return Err(misfit);
        }
        day.lanes[slot.lane.index()] = Some(Places::new(tranche, places, times).ok_or(misfit)?);
        self.tranches.push(slot);
        self.journal.note(Undo::TrancheAdded);
        self.set_sessions(slot, &release.sessions);
        self.set_day_times(slot, times)
    }

    fn change_tranche(
        &mut self,
        (tranche, slot): (TrancheNumber, SlotKey),
        (capacity, sessions): (u32, &[SessionPlaces]),
        times: Times,
    ) -> Result<(), Misfit> {
        check_dealt(capacity, sessions)?;
        let misfit = Misfit::Tranche(tranche.0);
        if self.slot_of_tranche(tranche) != Some(slot) {
            return Err(misfit);
        }
        self.keep_day(slot.office, slot.day);
        let places = self.places_mut(slot).ok_or(misfit.clone())?;
        let changed = Places::new(tranche, capacity, times).ok_or(misfit)?;
        *places = Places { taken: places.taken, changed_at: places.changed_at, ..changed };
        self.set_sessions(slot, sessions);
        self.set_day_times(slot, times)
    }

    /// The day's own times follow its latest release or change. The caller has kept the day.
    fn set_day_times(&mut self, slot: SlotKey, times: Times) -> Result<(), Misfit> {
        let day = self.day_mut(slot.office, slot.day)?;
        let end_before = std::mem::replace(&mut day.end, times.day_end);
        day.close_at = times.close_at;
        if day.closed {
            return Ok(());
        }
        let timer = Timer::DayEnd(slot.office, slot.day);
        if end_before != times.day_end {
            self.clear_timer(end_before, timer);
        }
        self.set_timer(times.day_end, timer);
        Ok(())
    }

    fn cancel(
        &mut self,
        (id, slot): (RegistrationId, SlotKey),
        case: Option<CaseNumber>,
        event: &Event,
    ) -> Result<(), Misfit> {
        let (row, before) = self.row_in(id, &[RegistrationState::Held, RegistrationState::Confirmed])?;
        if before.slot != slot {
            return Err(Misfit::Registration);
        }
        self.open_refund_case(&before, case, event.at)?;
        self.end_hold(row, &before);
        self.give_back(row, &before)?;
        let cancelled = (*before).clone().enter(RegistrationState::Cancelled, event.at);
        let cancelled = cancelled.with(|particulars| {
            particulars.cancel_reason = event.reason.clone();
            particulars.paid = None;
            particulars.cases.extend(case);
        });
        self.replace(cancelled, before);
        Ok(())
    }

    /// The row of a registration in one of these states, and how it stands.
    pub(super) fn row_in(
        &self,
        id: RegistrationId,
        states: &[RegistrationState],
    ) -> Result<(RowNumber, Arc<Registration>), Misfit> {
        let row = self.roll.row_of(id).ok_or(Misfit::Registration)?;
        let found = self.roll.at(row).filter(|found| states.contains(&found.state));
        Ok((row, found.ok_or(Misfit::Registration)?.clone()))
    }

    /// A registration stands otherwise from now on.
    pub(super) fn replace(&mut self, after: Registration, before: Arc<Registration>) {
        self.roll.replace(Arc::new(after));
        self.journal.note(Undo::Replaced(before));
    }

    /// A registration's places, and its life if it has one, end.
    pub(super) fn give_back(&mut self, row: RowNumber, before: &Registration) -> Result<(), Misfit> {
        self.end_life(row);
        self.count(before.slot, |taken| taken.checked_sub(before.places()))?;
        self.keep_session_taken(before.slot, before.session);
        self.free_session(before.slot, before.session, before.places())
    }

    /// More places of a slot are taken, or fewer.
    pub(super) fn count(&mut self, slot: SlotKey, count: impl Fn(u32) -> Option<u32>) -> Result<(), Misfit> {
        let places = self.places_mut(slot).ok_or(Misfit::Day(slot.day))?;
        let before = places.taken;
        places.taken = count(before).ok_or(Misfit::Places)?;
        self.journal.note(Undo::Taken(slot, before));
        Ok(())
    }

    /// A registration that holds no place takes one.
    pub(super) fn take_again(
        &mut self,
        row: RowNumber,
        registration: &Registration,
        (slot, session, at): (SlotKey, Option<Session>, UnixMillis),
    ) -> Result<(), Misfit> {
        let figures = self.figures(slot).ok_or(Misfit::Day(slot.day))?;
        if figures.paused {
            return Err(Misfit::Paused);
        }
        // INV-1, INV-6.
        if figures.refuse(registration.places(), at).is_some() {
            return Err(Misfit::Places);
        }
        // INV-2.
        if !self.roll.begin_life(row) {
            return Err(Misfit::Applicant);
        }
        self.journal.note(Undo::LifeBegan(row));
        self.count(slot, |taken| taken.checked_add(registration.places()))?;
        self.keep_session_taken(slot, session);
        self.take_session(slot, session, registration.places())
    }

    /// A registration leaves its place in the queue for the last one of another.
    pub(super) fn change_queue(
        &mut self,
        row: RowNumber,
        registration: &Registration,
        (slot, turn): (SlotKey, Turn),
    ) -> Result<(), Misfit> {
        let from = (registration.slot.office, registration.slot.day);
        let mut arrivals = self.day_mut(from.0, from.1)?.arrivals;
        let later = self.roll.links_mut().remove(&mut arrivals, row).ok_or(Misfit::QueueNumber)?;
        self.day_mut(from.0, from.1)?.arrivals = arrivals;
        let to = (slot.office, slot.day);
        let mut arrivals = self.day_mut(to.0, to.1)?.arrivals;
        self.roll.links_mut().push(&mut arrivals, row);
        self.day_mut(to.0, to.1)?.arrivals = arrivals;
        let Turn { session, queue_number } = turn;
        let last_number = self.last_number_mut(to, session).ok_or(Misfit::Day(to.1))?;
        if queue_number != *last_number + 1 {
            return Err(Misfit::QueueNumber);
        }
        *last_number = queue_number;
        self.journal.note(Undo::Moved(Box::new(Moved { row, from, later, to, session })));
        Ok(())
    }

    fn end_life(&mut self, row: RowNumber) {
        if self.roll.end_life(row) {
            self.journal.note(Undo::LifeEnded(row));
        }
    }

    fn close_day(
        &mut self,
        office: OfficeNumber,
        day: ServiceDay,
        forget_at: UnixMillis,
    ) -> Result<(), Misfit> {
        self.keep_day(office, day);
        let state = self.day_mut(office, day)?;
        state.closed = true;
        let (end, arrivals) = (state.end, state.arrivals);
        self.clear_timer(end, Timer::DayEnd(office, day));
        self.set_timer(forget_at, Timer::Forget(office, day));
        for row in self.roll.links().rows(arrivals) {
            self.end_life(row);
        }
        Ok(())
    }

    fn forget_day(&mut self, office: OfficeNumber, day: ServiceDay) -> Result<(), Misfit> {
        self.keep_day(office, day);
        self.forget_sessions((office, day));
        let state = self.offices.get_mut(office.index()).ok_or(Misfit::Office(office.0))?;
        let forgotten = state.days.remove(&day).filter(|day| day.closed).ok_or(Misfit::Day(day))?;
        let timer = Timer::Forget(office, day);
        let due = self.timers.iter().find(|(_, other)| *other == timer).copied();
        if let Some((at, timer)) = due {
            self.clear_timer(at, timer);
        }
        for row in self.roll.links().rows(forgotten.arrivals) {
            let leaving = self.roll.at(row).cloned().ok_or(Misfit::Registration)?;
            self.forget_payments(&leaving);
            let registration = self.roll.remove(row).ok_or(Misfit::Registration)?;
            self.journal.note(Undo::Forgotten(row, registration, self.roll.links().before(row)));
        }
        Ok(())
    }
}

/// Whether a log of a format may hold a change: one of its own event set, or a raise beyond it.
fn fits(format: u32, change: &Change) -> bool {
    match change {
        Change::FormatRaised(raised) => *raised > format,
        _ => change.format() <= format,
    }
}
