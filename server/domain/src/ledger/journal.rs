//! Undoing what was decided and not committed. While one batch syncs, the next is decided on top of it; if the sync
//! fails, both are undone, newest first.

use std::{mem, sync::Arc};

use super::{
    CommandRecord, DayState, Ledger, LogIdentity, Pause, PaymentRecord, Timer, arrivals::Link,
    index::RowNumber, sessions::DaySessions,
};
use crate::{
    calendar::{Holidays, ServiceDay, WeeklyOpening},
    catalog::Office,
    event::Override,
    fees::Fees,
    ids::{OfficeNumber, OpeningId, RequestKey},
    payment::{CaseNumber, PaymentCase, PaymentReference},
    registration::Registration,
    session::{Session, SessionStart},
    slot::{Scope, SlotKey},
    time::UnixMillis,
};

/// One step back.
#[derive(Debug)]
pub(super) enum Undo {
    Identity(Option<Box<LogIdentity>>),
    Holidays(Arc<Holidays>),
    Fees(Arc<Fees>),
    Opening(OpeningId, Option<Box<WeeklyOpening>>),
    /// `None`: the office was added last.
    Office(OfficeNumber, Option<(Arc<Office>, bool)>),
    Day(OfficeNumber, ServiceDay, Option<Box<DayState>>),
    Sessions(Box<((OfficeNumber, ServiceDay), Option<DaySessions>)>),
    TrancheAdded,
    Taken(SlotKey, u32),
    SessionTaken(SlotKey, SessionStart, u32),
    /// A registration was granted, in this row.
    Granted(RowNumber),
    /// What a registration was before.
    Replaced(Arc<Registration>),
    /// A row is live no longer.
    LifeEnded(RowNumber),
    /// A row is live again.
    LifeBegan(RowNumber),
    /// A registration went to the end of another queue.
    Moved(Box<Moved>),
    /// What was known of a payment before.
    Payment(Box<(PaymentReference, Option<PaymentRecord>)>),
    /// A case was opened, the last one.
    CaseOpened(CaseNumber),
    /// What a case was before.
    Case(Arc<PaymentCase>),
    /// A registration left memory, and stood after another.
    Forgotten(RowNumber, Arc<Registration>, Link),
    TimerSet(UnixMillis, Timer),
    TimerCleared(UnixMillis, Timer),
    Override(SlotKey, Box<Option<Override>>),
    Pause(Box<(Scope, Option<Pause>)>),
    Command(Box<(RequestKey, Option<CommandRecord>)>),
    CatalogAtStart(Box<Option<[u8; 32]>>),
}

/// A step from one queue to the end of another.
#[derive(Debug)]
pub(super) struct Moved {
    pub(super) row: RowNumber,
    pub(super) from: (OfficeNumber, ServiceDay),
    /// What came after it there.
    pub(super) later: Link,
    pub(super) to: (OfficeNumber, ServiceDay),
    pub(super) session: Option<Session>,
}

/// Steps back for the batch under way, and for the one that is being committed.
#[derive(Debug, Default)]
pub(super) struct Journal {
    current: Vec<Undo>,
    sealed: Vec<Undo>,
    is_sealed: bool,
    /// While a log is replayed everything is committed already.
    replaying: bool,
}

impl Journal {
    pub(super) fn note(&mut self, undo: Undo) {
        if !self.replaying {
            self.current.push(undo);
        }
    }

    pub(super) const fn is_replaying(&self) -> bool {
        self.replaying
    }
}

impl Ledger {
    /// Begins to apply events that are in the log already: they cannot be undone.
    pub(super) fn begin_replay(&mut self) {
        self.journal.replaying = true;
    }

    /// From here on what is applied can be undone.
    pub(super) fn end_replay(&mut self) {
        self.journal.replaying = false;
    }

    /// Closes the batch under way; what is applied from now on belongs to the next.
    ///
    /// # Panics
    /// When the batch before has neither been committed nor rolled back: at most one is on its way to the log.
    pub fn seal(&mut self) {
        assert!(!self.journal.is_sealed, "one batch at a time is on its way to the log");
        mem::swap(&mut self.journal.current, &mut self.journal.sealed);
        self.journal.is_sealed = true;
    }

    /// How far the batch under way has come.
    pub(super) fn savepoint(&self) -> usize {
        self.journal.current.len()
    }

    /// Undoes what was applied since.
    pub(super) fn undo_to(&mut self, savepoint: usize) {
        while self.journal.current.len() > savepoint
            && let Some(undo) = self.journal.current.pop()
        {
            self.undo(undo);
        }
    }

    /// The sealed batch is in the log.
    pub fn commit(&mut self) {
        self.journal.sealed.clear();
        self.journal.is_sealed = false;
    }

    /// The sealed batch is not in the log: undoes it, and what was decided on top of it.
    pub fn roll_back(&mut self) {
        let mut current = mem::take(&mut self.journal.current);
        let mut sealed = mem::take(&mut self.journal.sealed);
        for undo in current.drain(..).rev().chain(sealed.drain(..).rev()) {
            self.undo(undo);
        }
        (self.journal.current, self.journal.sealed) = (current, sealed);
        self.journal.is_sealed = false;
        self.forget_changes();
        self.plan_anew();
    }

    fn undo(&mut self, undo: Undo) {
        match undo {
            Undo::Identity(before) => self.identity = before.map(|before| *before),
            Undo::Holidays(before) => self.holidays = before,
            Undo::Fees(before) => self.fees = before,
            Undo::Opening(id, before) => restore(&mut self.openings, id, before.map(|before| *before)),
            Undo::Office(number, Some((office, open))) => {
                let state = &mut self.offices[number.index()];
                (state.office, state.open) = (office, open);
            }
            Undo::Office(_, None) => {
                if let Some(added) = self.offices.pop() {
                    self.office_numbers.remove(&added.office.id);
                }
            }
            Undo::Day(office, day, before) => {
                let days = &mut self.offices[office.index()].days;
                match before {
                    Some(before) => days.insert(day, *before),
                    None => {
                        days.remove(&day);
                    }
                }
            }
            Undo::Sessions(sessions) => {
                let (day, before) = *sessions;
                self.sessions.restore(day, before);
            }
            Undo::TrancheAdded => {
                self.tranches.pop();
            }
            Undo::Taken(slot, before) => {
                if let Some(places) = self.places_mut(slot) {
                    places.taken = before;
                }
            }
            Undo::SessionTaken(slot, start, before) => self.set_session_taken(slot, start, before),
            Undo::Granted(row) => self.undo_grant(row),
            Undo::Replaced(before) => {
                self.roll.replace(before);
            }
            Undo::LifeEnded(row) => {
                self.roll.begin_life(row);
            }
            Undo::LifeBegan(row) => {
                self.roll.end_life(row);
            }
            Undo::Moved(moved) => self.undo_move(&moved),
            Undo::Payment(payment) => {
                let (reference, before) = *payment;
                restore(&mut self.payments, reference, before);
            }
            Undo::CaseOpened(number) => {
                self.cases.remove(&number);
                self.last_case = number.0 - 1;
            }
            Undo::Case(before) => {
                self.cases.insert(before.number, before);
            }
            Undo::Forgotten(row, registration, before) => self.roll.restore(row, &registration, before),
            Undo::TimerSet(at, timer) => {
                self.timers.remove(&(at, timer));
            }
            Undo::TimerCleared(at, timer) => {
                self.timers.insert((at, timer));
            }
            Undo::Override(slot, before) => restore(&mut self.overrides, slot, *before),
            Undo::Pause(pause) => {
                let (scope, before) = *pause;
                restore(&mut self.pauses, scope, before);
            }
            Undo::Command(command) => {
                let (request, before) = *command;
                if let Some(undone) = self.commands.remove(&request) {
                    self.command_ages.remove(&(undone.at, request));
                }
                if let Some(record) = before {
                    self.commands.insert(request, record);
                    self.command_ages.insert((record.at, request));
                }
            }
            Undo::CatalogAtStart(before) => self.catalog_at_start = *before,
        }
    }

    fn undo_move(&mut self, Moved { row, from, later, to, session }: &Moved) {
        if let Some(day) = self.offices[to.0.index()].days.get_mut(&to.1) {
            self.roll.links().pop(&mut day.arrivals);
        }
        self.last_number_mut(*to, *session).into_iter().for_each(|last| *last -= 1);
        if let Some(day) = self.offices[from.0.index()].days.get_mut(&from.1) {
            self.roll.links_mut().insert(&mut day.arrivals, *row, *later);
        }
    }

    fn undo_grant(&mut self, row: RowNumber) {
        self.roll.end_life(row);
        let Some(registration) = self.roll.remove(row) else { return };
        let slot = registration.slot;
        if let Some(places) = self.places_mut(slot) {
            places.taken -= registration.places();
        }
        if let Some(day) = self.offices[slot.office.index()].days.get_mut(&slot.day) {
            self.roll.links().pop(&mut day.arrivals);
        }
        // It was taken, so that it can be given back.
        let _ = self.free_session(slot, registration.session, registration.places());
        let last_number = self.last_number_mut((slot.office, slot.day), registration.session);
        last_number.into_iter().for_each(|last| *last -= 1);
    }
}

fn restore<K: Ord, V>(map: &mut std::collections::BTreeMap<K, V>, key: K, before: Option<V>) {
    match before {
        Some(value) => map.insert(key, value),
        None => map.remove(&key),
    };
}
