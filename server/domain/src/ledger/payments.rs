//! Payments: what one comes to, and what becomes of those that found no place. A payment that was accepted has a place or
//! a case, always (INV-11).

use std::sync::Arc;

use super::{Decision, Ledger, Misfit, Objection, PaymentRecord, Rejection, Timer, Undo, index::RowNumber};
use crate::{
    event::{Actor, CaseResolution, Change, Event, PaymentReceipt},
    ids::RegistrationId,
    limits::PAYMENT_CASES_PER_REGISTRATION_MAX,
    payment::{
        CaseCause, CaseNumber, Payee, Payment, PaymentCase, PaymentEffect, PaymentNotice, PaymentReference,
        Resolution, Resolved,
    },
    refusal::Refusal,
    registration::{Registration, RegistrationState},
    session::{Session, Turn},
    slot::SlotKey,
    time::UnixMillis,
};

/// What an operator wants done about a case.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Remedy {
    /// The money goes back.
    Refund,
    /// Its registration gets a place here.
    Place(SlotKey),
}

impl Ledger {
    /// Payments without a place, and those of them that were resolved and not forgotten.
    pub fn cases(&self) -> impl Iterator<Item = &Arc<PaymentCase>> {
        self.cases.values()
    }

    /// One of them.
    #[must_use]
    pub fn case(&self, number: CaseNumber) -> Option<&Arc<PaymentCase>> {
        self.cases.get(&number)
    }

    /// The number a new case gets.
    pub(super) fn next_case(&self) -> CaseNumber {
        CaseNumber(self.last_case + 1)
    }

    pub(super) fn decide_payment(
        &self,
        notice: &PaymentNotice,
        now: UnixMillis,
    ) -> Result<Decision, Rejection> {
        let found = match notice.payee {
            Payee::Id(id) => self.roll.get(id),
            Payee::Billing(reference) => self.roll.by_billing(reference),
        };
        let PaymentNotice { payment, caller, .. } = notice;
        if let Some(known) = self.payments.get(&payment.reference) {
            let same =
                |found: &&Arc<Registration>| (found.id, payment.amount) == (known.registration, known.amount);
            return found.filter(same).cloned().map(Decision::Repeat).ok_or(Rejection::PaymentReused);
        }
        let registration = found.ok_or(Rejection::NotFound)?;
        let (Some(_), Some(due)) = (registration.billing(), registration.fee()) else {
            return Err(Refusal::NoPaymentDue { state: registration.state }.into());
        };
        if payment.amount != due {
            return Err(Refusal::WrongAmount { due, paid: payment.amount }.into());
        }
        let effect = self.effect(registration, now);
        let is_one_too_many = registration.cases().len() >= PAYMENT_CASES_PER_REGISTRATION_MAX;
        if is_one_too_many && matches!(effect, PaymentEffect::CaseOpened(..)) {
            return Err(Rejection::TooManyPayments);
        }
        let (id, slot, payment) = (registration.id, registration.slot, payment.clone());
        Ok(Decision::Change(Event {
            at: now,
            actor: Actor { caller: *caller, subject: Box::default() },
            reason: Box::default(),
            change: Change::PaymentReceived(Box::new(PaymentReceipt { id, slot, payment, effect })),
        }))
    }

    fn effect(&self, registration: &Registration, now: UnixMillis) -> PaymentEffect {
        let case = |cause| PaymentEffect::CaseOpened(self.next_case(), cause);
        match registration.state {
            // Also when the deadline has passed and the schedule has not come to it yet: nobody else has the place.
            RegistrationState::Held => PaymentEffect::Confirmed,
            RegistrationState::Expired => self
                .late_turn(registration, now)
                .map_or_else(|_| case(CaseCause::PlaceGone), PaymentEffect::Reinstated),
            RegistrationState::Cancelled => case(CaseCause::PaidAfterCancellation),
            RegistrationState::Confirmed
            | RegistrationState::CheckedIn
            | RegistrationState::Served
            | RegistrationState::NoShow => case(CaseCause::PaidTwice),
        }
    }

    /// The turn a registration gets that was paid too late: its own, else another session's of the day; `None`: its own.
    fn late_turn(&self, registration: &Registration, now: UnixMillis) -> Result<Option<Turn>, Refusal> {
        let (slot, party) = (registration.slot, registration.places());
        if let Some(refusal) = self.why_no_place(registration, slot, now) {
            return Err(refusal);
        }
        let own = registration.session.map(Session::start);
        let at = (slot, self.day(slot.office, slot.day).ok_or(Refusal::SoldOut)?);
        let turn = self.next_turn(at, (own, party), now);
        let turn = turn.or_else(|_| self.next_turn(at, (None, party), now))?;
        Ok(Some(turn).filter(|turn| turn.session != registration.session))
    }

    /// Why a registration that holds no place cannot have one in a slot: the rules of an ask.
    fn why_no_place(&self, registration: &Registration, slot: SlotKey, now: UnixMillis) -> Option<Refusal> {
        let live = |applicant: &crate::registration::Applicant| self.is_live(applicant.key);
        self.why_not_there(registration, slot, now).or_else(|| {
            let applicant = registration.applicants.iter().position(live)?;
            Some(Refusal::AlreadyRegistered { applicant })
        })
    }

    /// Why a slot has no places for a registration, whoever it is for.
    pub(super) fn why_not_there(
        &self,
        registration: &Registration,
        slot: SlotKey,
        now: UnixMillis,
    ) -> Option<Refusal> {
        let Some(figures) = self.figures(slot) else {
            let office = self.offices.get(slot.office.index()).map(|state| &state.office);
            let why = |office: &Arc<crate::catalog::Office>| {
                office.why_unscheduled(self.rule_of(office), &self.holidays, (slot.lane, slot.day), now)
            };
            return Some(office.map_or(Refusal::SoldOut, why));
        };
        figures.refuse(registration.places(), now)
    }

    pub(super) fn decide_remedy(
        &self,
        number: CaseNumber,
        remedy: Remedy,
        now: UnixMillis,
    ) -> Result<Change, Objection> {
        let case = self.cases.get(&number).ok_or(Objection::NoSuchCase(number))?;
        if case.resolved.is_some() {
            return Err(Objection::CaseResolved(number));
        }
        let id = case.registration;
        let resolution = match remedy {
            Remedy::Refund => Resolution::Refund,
            Remedy::Place(slot) => {
                let registration = self.roll.get(id).ok_or(Objection::CaseNeedsRefund(number))?;
                match registration.state {
                    RegistrationState::Expired | RegistrationState::Cancelled => {}
                    // It has a place, or had it to the end: this money is too much.
                    RegistrationState::Held
                    | RegistrationState::Confirmed
                    | RegistrationState::CheckedIn
                    | RegistrationState::Served
                    | RegistrationState::NoShow => {
                        return Err(Objection::CaseNeedsRefund(number));
                    }
                }
                if let Some(refusal) = self.why_no_place(registration, slot, now) {
                    return Err(Objection::Refused(refusal));
                }
                let day = self.day(slot.office, slot.day);
                let places = day.and_then(|day| Some((day, day.lanes[slot.lane.index()]?)));
                let (day, places) = places.ok_or(Objection::NotScheduled(slot.day))?;
                let turn = self.next_turn((slot, day), (None, registration.places()), now);
                let turn = turn.map_err(Objection::Refused)?;
                Resolution::Place { slot, tranche: places.tranche(), turn }
            }
        };
        Ok(Change::CaseResolved(CaseResolution { case: number, id, resolution }))
    }

    pub(super) fn expire_hold(
        &mut self,
        (id, slot): (RegistrationId, SlotKey),
        at: UnixMillis,
    ) -> Result<(), Misfit> {
        let (row, before) = self.row_in(id, &[RegistrationState::Held])?;
        let is_over = before.billing().is_some_and(|billing| billing.expires <= at);
        if before.slot != slot || !is_over {
            return Err(Misfit::Registration);
        }
        let expired = (*before).clone().enter(RegistrationState::Expired, at);
        self.end_hold(row, &before);
        self.give_back(row, &before)?;
        self.replace(expired, before);
        Ok(())
    }

    /// No deadline is waited for any more.
    pub(super) fn end_hold(&mut self, row: RowNumber, before: &Registration) {
        if let (RegistrationState::Held, Some(billing)) = (before.state, before.billing()) {
            self.clear_timer(billing.expires, Timer::Hold(row));
        }
    }

    pub(super) fn receive_payment(&mut self, receipt: &PaymentReceipt, event: &Event) -> Result<(), Misfit> {
        let PaymentReceipt { id, slot, payment, effect } = receipt;
        let row = self.roll.row_of(*id).ok_or(Misfit::Registration)?;
        let before = self.roll.at(row).ok_or(Misfit::Registration)?.clone();
        if before.slot != *slot || before.fee() != Some(payment.amount) || before.billing().is_none() {
            return Err(Misfit::Payment);
        }
        let mut after = (*before).clone().changed(event.at);
        let mut case = None;
        match *effect {
            PaymentEffect::Confirmed if before.state == RegistrationState::Held => {
                self.end_hold(row, &before);
                after = after.paid(payment, event.at);
            }
            PaymentEffect::Reinstated(turn) if before.state == RegistrationState::Expired => {
                let session = turn.map_or(before.session, |turn| turn.session);
                self.take_again(row, &before, (before.slot, session, event.at))?;
                if let Some(turn) = turn {
                    self.change_queue(row, &before, (before.slot, turn))?;
                    (after.session, after.queue_number) = (turn.session, turn.queue_number);
                }
                after = after.paid(payment, event.at);
            }
            PaymentEffect::CaseOpened(number, cause) if suits(cause, before.state) => {
                self.open_case(number, cause, &before, (payment, event.at))?;
                after = after.with(|particulars| particulars.cases.push(number));
                case = Some(number);
            }
            PaymentEffect::Confirmed | PaymentEffect::Reinstated(_) | PaymentEffect::CaseOpened(..) => {
                return Err(Misfit::Payment);
            }
        }
        let record = PaymentRecord { registration: *id, amount: payment.amount, case };
        if self.payments.insert(payment.reference.clone(), record).is_some() {
            return Err(Misfit::Payment);
        }
        self.journal.note(Undo::Payment(Box::new((payment.reference.clone(), None))));
        self.replace(after, before);
        Ok(())
    }

    /// INV-11: a paid registration that is cancelled has a case from then on.
    pub(super) fn open_refund_case(
        &mut self,
        before: &Registration,
        case: Option<CaseNumber>,
        at: UnixMillis,
    ) -> Result<(), Misfit> {
        match (before.payment(), case) {
            (None, None) => Ok(()),
            (Some(payment), Some(number)) => {
                let payment = payment.clone();
                self.open_case(number, CaseCause::CancelledAfterPayment, before, (&payment, at))?;
                let record = self.payments.get_mut(&payment.reference).ok_or(Misfit::Payment)?;
                let undo = (payment.reference, Some(*record));
                record.case = Some(number);
                self.journal.note(Undo::Payment(Box::new(undo)));
                Ok(())
            }
            (Some(_), None) | (None, Some(_)) => Err(Misfit::Payment),
        }
    }

    fn open_case(
        &mut self,
        number: CaseNumber,
        cause: CaseCause,
        of: &Registration,
        (payment, opened): (&Payment, UnixMillis),
    ) -> Result<(), Misfit> {
        if number != self.next_case() {
            return Err(Misfit::Payment);
        }
        let (registration, code, slot, payment) = (of.id, of.code, of.slot, payment.clone());
        let case = PaymentCase { number, registration, code, slot, payment, cause, opened, resolved: None };
        self.cases.insert(number, Arc::new(case));
        self.last_case = number.0;
        self.journal.note(Undo::CaseOpened(number));
        Ok(())
    }

    pub(super) fn resolve_case(&mut self, resolved: &CaseResolution, event: &Event) -> Result<(), Misfit> {
        let CaseResolution { case, id, resolution } = *resolved;
        let before = self.cases.get(&case).cloned().ok_or(Misfit::Payment)?;
        if before.resolved.is_some() || before.registration != id {
            return Err(Misfit::Payment);
        }
        let (at, actor, reason) = (event.at, event.actor.clone(), event.reason.clone());
        let after =
            PaymentCase { resolved: Some(Resolved { at, actor, reason, resolution }), ..(*before).clone() };
        self.cases.insert(case, Arc::new(after));
        self.journal.note(Undo::Case(before.clone()));
        if let Resolution::Place { slot, tranche, turn } = resolution {
            let states = [RegistrationState::Expired, RegistrationState::Cancelled];
            let (row, found) = self.row_in(id, &states)?;
            self.take_again(row, &found, (slot, turn.session, at))?;
            self.change_queue(row, &found, (slot, turn))?;
            if self.places_mut(slot).map(|places| places.tranche()) != Some(tranche) {
                return Err(Misfit::Tranche(tranche.0));
            }
            let Turn { session, queue_number } = turn;
            let placed = Registration { slot, tranche, session, queue_number, ..(*found).clone() };
            let placed = placed.changed(at).paid(&before.payment, at).with(|particulars| {
                particulars.cancel_reason = Box::default();
            });
            self.replace(placed, found);
        }
        if self.roll.row_of(id).is_none() {
            // Its registration left memory before: nothing asks for the case any more.
            self.drop_case(case);
        }
        Ok(())
    }

    /// A registration leaves memory: its payments do too, but for those whose case is open (INV-11).
    pub(super) fn forget_payments(&mut self, forgotten: &Registration) {
        if let Some(payment) = forgotten.payment() {
            self.drop_payment(&payment.reference.clone());
        }
        for number in forgotten.cases() {
            if self.cases.get(number).is_some_and(|case| case.resolved.is_some()) {
                self.drop_case(*number);
            }
        }
    }

    fn drop_case(&mut self, number: CaseNumber) {
        if let Some(case) = self.cases.remove(&number) {
            self.drop_payment(&case.payment.reference);
            self.journal.note(Undo::Case(case));
        }
    }

    fn drop_payment(&mut self, reference: &PaymentReference) {
        // One that an open case names stays known.
        let has_case =
            |record: &PaymentRecord| record.case.is_some_and(|case| self.cases.contains_key(&case));
        if self.payments.get(reference).is_some_and(|record| !has_case(record)) {
            let dropped = self.payments.remove(reference);
            self.journal.note(Undo::Payment(Box::new((reference.clone(), dropped))));
        }
    }
}

/// Whether a registration in a state can have led to a case.
fn suits(cause: CaseCause, state: RegistrationState) -> bool {
    match cause {
        CaseCause::PlaceGone => state == RegistrationState::Expired,
        CaseCause::PaidAfterCancellation => state == RegistrationState::Cancelled,
        CaseCause::PaidTwice => matches!(
            state,
            RegistrationState::Confirmed
                | RegistrationState::CheckedIn
                | RegistrationState::Served
                | RegistrationState::NoShow
        ),
        // Opened by the cancellation, not by a payment.
        CaseCause::CancelledAfterPayment => false,
    }
}
