//! Deciding: looks at the state, changes nothing, and says what would change, or why not.

use std::sync::Arc;

use super::{Attendance, Ledger};
use crate::{
    billing::BillingReference,
    code::BookingCode,
    event::{Actor, Change, Event},
    ids::{CallerNumber, RegistrationId},
    limits::CODE_TRIES_MAX,
    payment::PaymentNotice,
    refusal::Refusal,
    registration::{Ask, Billing, Particulars, Registration, RegistrationState},
    rescheduling::Rescheduling,
    time::UnixMillis,
};

/// What can be asked of the ledger.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// Places for a party.
    Register(Ask),
    /// The places of a registration back.
    Cancel(Cancellation),
    /// Word of a payment.
    Pay(PaymentNotice),
    /// Another place for a registration.
    Reschedule(Rescheduling),
    /// Word that somebody came.
    CheckIn(Attendance),
    /// Word that somebody was served.
    Complete(Attendance),
}

/// A wish to give places back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cancellation {
    /// Whose places.
    pub registration: RegistrationId,
    /// Who wishes it.
    pub caller: CallerNumber,
    /// Why.
    pub reason: Box<str>,
}

/// What the ledger answers when it does not refuse.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Decision {
    /// This changes; apply it.
    Change(Event),
    /// It was done before; this is how it stands.
    Repeat(Arc<Registration>),
}

/// What the ledger answers when nothing changes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Rejection {
    /// The business answer "no".
    Refused(Refusal),
    /// The request id stands for something else (INV-3).
    RequestReused,
    /// There is no such registration.
    NotFound,
    /// The payment's reference stands for another payment.
    PaymentReused,
    /// As many payments found no place as may for one registration.
    TooManyPayments,
    /// The place would be held for its payment, and the fee is not known: this applicant named no passport that has one.
    PassportNeeded {
        /// Index in the request.
        applicant: usize,
    },
}

impl From<Refusal> for Rejection {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Ledger {
    /// Decides a command at an instant.
    ///
    /// # Errors
    /// When it changes nothing: refused, contradictory, or about a registration that does not exist.
    pub fn decide(&self, command: &Command, now: UnixMillis) -> Result<Decision, Rejection> {
        match command {
            Command::Register(ask) => self.decide_register(ask, now),
            Command::Cancel(cancellation) => self.decide_cancel(cancellation, now),
            Command::Pay(notice) => self.decide_payment(notice, now),
            Command::Reschedule(wish) => self.decide_reschedule(wish, now),
            Command::CheckIn(who) => self.decide_check_in(who, now),
            Command::Complete(who) => self.decide_complete(who, now),
        }
    }

    fn decide_register(&self, ask: &Ask, now: UnixMillis) -> Result<Decision, Rejection> {
        // INV-3: one outcome a request id, whatever became of it and of the slot.
        if let Some(first) = self.roll.by_request(ask.request) {
            let same = first.request == ask.request && first.content == ask.content;
            return if same { Ok(Decision::Repeat(first.clone())) } else { Err(Rejection::RequestReused) };
        }
        let Some(figures) = self.figures(ask.slot) else {
            return Err(self.why_unscheduled(ask, now).map_or(Rejection::NotFound, Rejection::Refused));
        };
        // INV-1, INV-6: capacity and opening in force.
        if let Some(refusal) = figures.refuse(ask.places(), now) {
            return Err(refusal.into());
        }
        // INV-2: one live registration an applicant.
        let is_twice =
            |at: usize| ask.applicants[..at].iter().any(|other| other.key == ask.applicants[at].key);
        let taken = |at: &usize| self.is_live(ask.applicants[*at].key) || is_twice(*at);
        if let Some(applicant) = (0..ask.applicants.len()).find(taken) {
            return Err(Refusal::AlreadyRegistered { applicant }.into());
        }
        let day = self.day(ask.slot.office, ask.slot.day).ok_or(Rejection::NotFound)?;
        let places = day.lanes[ask.slot.lane.index()].ok_or(Rejection::NotFound)?;
        let mut codes = (0..CODE_TRIES_MAX).map(|attempt| BookingCode::draw(ask.code_seed, attempt));
        let free_code = codes.find(|code| !self.roll.has_code(*code)).ok_or(Refusal::Busy)?;
        let turn = self.next_turn((ask.slot, day), (ask.session, ask.places()), now)?;
        let fee = self.fees.of(ask.slot.lane, &ask.applicants);
        let billing = self.billing(ask, now, day.end)?;
        let state = if billing.is_some() { RegistrationState::Held } else { RegistrationState::Confirmed };
        let registration = Registration {
            id: ask.registration,
            request: ask.request,
            content: ask.content,
            slot: ask.slot,
            tranche: places.tranche(),
            state,
            session: turn.session,
            queue_number: turn.queue_number,
            code: free_code,
            applicants: ask.applicants.clone(),
            created: now,
            particulars: Particulars { fee, ground: ask.ground, billing, ..Particulars::default() }.boxed(),
        };
        Ok(Decision::Change(Event {
            at: now,
            actor: Actor { caller: ask.request.caller, subject: Box::default() },
            reason: Box::default(),
            change: Change::Granted(Arc::new(registration)),
        }))
    }

    /// How the place is paid for, where the catalogue has it held: not beyond its own day.
    fn billing(&self, ask: &Ask, now: UnixMillis, day_end: UnixMillis) -> Result<Option<Billing>, Rejection> {
        let office = self.offices.get(ask.slot.office.index()).filter(|state| state.holds);
        let offer = office.and_then(|state| state.office.offer(ask.slot.lane));
        let Some(minutes) = offer.and_then(|offer| offer.hold_minutes) else { return Ok(None) };
        let priced = |kind| self.fees.passports.contains_key(&kind);
        let mut people = ask.applicants.iter();
        if let Some(applicant) = people.position(|one| !one.passport.is_some_and(priced)) {
            return Err(Rejection::PassportNeeded { applicant });
        }
        let mut drawn = (0..CODE_TRIES_MAX).map(|attempt| BillingReference::draw(ask.code_seed, attempt));
        let reference = drawn.find(|one| self.roll.by_billing(*one).is_none()).ok_or(Refusal::Busy)?;
        let expires = now.plus_ms(i64::from(minutes) * 60_000).min(day_end);
        Ok(Some(Billing { reference, expires }))
    }

    fn why_unscheduled(&self, ask: &Ask, now: UnixMillis) -> Option<Refusal> {
        let office = &self.offices.get(ask.slot.office.index())?.office;
        let wish = (ask.slot.lane, ask.slot.day);
        Some(office.why_unscheduled(self.rule_of(office), &self.holidays, wish, now))
    }

    fn decide_cancel(&self, cancellation: &Cancellation, now: UnixMillis) -> Result<Decision, Rejection> {
        let id = cancellation.registration;
        let registration = self.roll.get(id).ok_or(Rejection::NotFound)?;
        match registration.state {
            RegistrationState::Cancelled => Ok(Decision::Repeat(registration.clone())),
            RegistrationState::Expired => {
                let at =
                    registration.billing().map_or_else(|| registration.updated(), |billing| billing.expires);
                Err(Refusal::HoldExpired { at }.into())
            }
            state @ (RegistrationState::CheckedIn | RegistrationState::Served) => {
                Err(Refusal::AlreadyCheckedIn { state }.into())
            }
            RegistrationState::Held | RegistrationState::Confirmed | RegistrationState::NoShow => {
                let slot = registration.slot;
                let day = self.day(slot.office, slot.day).ok_or(Rejection::NotFound)?;
                if now >= day.end {
                    return Err(Refusal::Closed { at: day.end }.into());
                }
                // INV-11: what was paid is not given up with the place.
                let case = registration.payment().map(|_| self.next_case());
                Ok(Decision::Change(Event {
                    at: now,
                    actor: Actor { caller: cancellation.caller, subject: Box::default() },
                    reason: cancellation.reason.clone(),
                    change: Change::Cancelled { id, slot, case },
                }))
            }
        }
    }
}
