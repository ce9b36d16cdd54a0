//! Payments, as the clerk sees them.

use kuota_domain::{
    ledger::{Directive, Objection, Rejection, Remedy},
    payment::{CaseNumber, Payee},
    refusal::Refusal,
    registration::{Registration, RegistrationState},
    session::{Session, SessionStart},
    slot::SlotKey,
};
use proptest::prelude::*;

use crate::{Entry, FEE, Run, day_end};

impl Run {
    /// Its number follows the last one of its queue.
    pub(crate) fn queue(&mut self, registration: &Registration) -> Result<(), TestCaseError> {
        let slot = registration.slot;
        let session = registration.session.map(Session::start);
        let last = self.clerk.numbers.entry((slot.office, slot.day, session)).or_default();
        *last += 1;
        prop_assert_eq!(registration.queue_number, *last);
        Ok(())
    }

    pub(crate) fn pay(&mut self, pick: u8, reference: &str, is_wrong: bool) -> Result<(), TestCaseError> {
        if self.clerk.entries.is_empty() {
            return Ok(());
        }
        let index = usize::from(pick) % self.clerk.entries.len();
        let entry = self.clerk.entries[index].clone();
        let now = self.world.now;
        let amount = FEE * u32::try_from(entry.people.len()).unwrap() + u32::from(is_wrong);
        let why_not = self.why_no_place(&entry, entry.slot);
        let turn = self.late_turn(&entry);
        let answer = self.world.pay(Payee::Id(entry.id), reference, amount);
        if let Some(known) = self.clerk.payments.get(reference) {
            let same = *known == (entry.id, amount);
            prop_assert!(same == answer.is_ok() && (same || answer == Err(Rejection::PaymentReused)));
            return Ok(());
        }
        let paid = match answer {
            Ok(paid) => paid,
            Err(Rejection::Refused(Refusal::NoPaymentDue { .. })) => {
                prop_assert!(entry.expires.is_none());
                return Ok(());
            }
            Err(Rejection::Refused(Refusal::WrongAmount { .. })) => {
                prop_assert!(is_wrong);
                return Ok(());
            }
            Err(Rejection::TooManyPayments) => {
                prop_assert!(self.clerk.payments.values().filter(|(id, _)| *id == entry.id).count() > 15);
                return Ok(());
            }
            Err(other) => return Err(TestCaseError::fail(format!("{other:?}"))),
        };
        prop_assert!(!is_wrong && entry.expires.is_some() && paid.updated() == now);
        self.clerk.payments.insert(reference.into(), (entry.id, amount));
        let is_placed = match entry.state {
            RegistrationState::Held => true,
            RegistrationState::Expired => why_not.is_none(),
            RegistrationState::Confirmed
            | RegistrationState::CheckedIn
            | RegistrationState::Served
            | RegistrationState::NoShow
            | RegistrationState::Cancelled => false,
        };
        if is_placed {
            prop_assert_eq!(paid.state, RegistrationState::Confirmed);
            let entry = &mut self.clerk.entries[index];
            (entry.state, entry.paid) = (RegistrationState::Confirmed, Some(reference.into()));
            let session = paid.session.map(Session::start);
            prop_assert_eq!(session, turn);
            if std::mem::replace(&mut entry.session, session) != session {
                self.queue(&paid)?;
            }
        } else {
            prop_assert_eq!(paid.state, entry.state);
            self.clerk.open_cases.insert(paid.cases().last().unwrap().0, reference.into());
        }
        Ok(())
    }

    /// The session of somebody who pays: their own, or another where they came too late for it.
    fn late_turn(&self, entry: &Entry) -> Option<SessionStart> {
        if entry.state != RegistrationState::Expired {
            return entry.session;
        }
        let party = entry.people.len();
        let own = self.turn(entry.slot, entry.session, party);
        own.or_else(|| self.turn(entry.slot, None, party)).flatten()
    }

    /// Why somebody without a place cannot have one in a slot.
    fn why_no_place(&self, entry: &Entry, slot: SlotKey) -> Option<&'static str> {
        let now = self.world.now;
        let Some(figures) = self.world.ledger.figures(slot) else { return Some("none") };
        let taken = self.clerk.taken(slot) + entry.people.len();
        [
            (now < figures.open_at || now >= figures.close_at, "not open"),
            (self.clerk.pauses.iter().any(|scope| scope.covers(slot)), "paused"),
            (taken > figures.capacity as usize, "taken"),
            (entry.people.iter().any(|person| self.clerk.is_live(*person, now)), "registered"),
            (self.turn(slot, None, entry.people.len()).is_none(), "no session"),
        ]
        .into_iter()
        .find_map(|(is_so, why)| is_so.then_some(why))
    }

    pub(crate) fn resolve(&mut self, case: CaseNumber, remedy: Remedy) -> Result<(), TestCaseError> {
        let open = self.clerk.open_cases.get(&case.0).cloned();
        let of = open.as_ref().map(|reference| self.clerk.payments[reference].0);
        let index = of.and_then(|id| self.clerk.entries.iter().position(|entry| entry.id == id));
        let why_not = match (remedy, index) {
            (Remedy::Place(slot), Some(index)) => self.why_no_place(&self.clerk.entries[index], slot),
            (Remedy::Place(_), None) | (Remedy::Refund, _) => None,
        };
        // An id of its own each time: repeats are tried elsewhere.
        let request = 1_000 + self.world.log.len() as u128;
        let answer = self.world.operate(request, Directive::ResolveCase { case, remedy });
        match answer {
            Ok(_) => {
                self.clerk.done.insert(request, (String::new(), self.world.now));
                let reference = open.unwrap();
                self.clerk.open_cases.remove(&case.0);
                if let Remedy::Place(slot) = remedy {
                    prop_assert_eq!(why_not, None);
                    let index = index.unwrap();
                    let placed = self.world.ledger.registration(of.unwrap()).unwrap().clone();
                    prop_assert_eq!((placed.slot, placed.state), (slot, RegistrationState::Confirmed));
                    self.queue(&placed)?;
                    let entry = &mut self.clerk.entries[index];
                    prop_assert!(!entry.has_place());
                    (entry.slot, entry.day_end) = (slot, day_end(slot));
                    entry.session = placed.session.map(Session::start);
                    (entry.state, entry.paid) = (RegistrationState::Confirmed, Some(reference));
                }
                self.clerk.forget(self.world.now);
            }
            Err(Objection::NoSuchCase(_) | Objection::CaseResolved(_)) => prop_assert!(open.is_none()),
            Err(Objection::CaseNeedsRefund(_)) => {
                let has_place = index.is_none_or(|index| self.clerk.entries[index].has_place());
                prop_assert!(has_place);
            }
            Err(Objection::Refused(refusal)) => prop_assert!(why_not.is_some(), "{refusal:?}"),
            Err(other) => prop_assert!(false, "{other:?}"),
        }
        Ok(())
    }

    /// INV-11: no payment without a place or a case, and no open case is forgotten.
    pub(crate) fn check_payments(&self) -> Result<(), TestCaseError> {
        let ledger = &self.world.ledger;
        for (reference, (id, _)) in &self.clerk.payments {
            let registration = ledger.registration(*id);
            let payment = registration.and_then(|found| found.payment());
            let has_place = payment.is_some_and(|payment| payment.reference.as_str() == reference)
                && registration.is_some_and(|found| {
                    !matches!(found.state, RegistrationState::Expired | RegistrationState::Cancelled)
                });
            let has_case = ledger.cases().any(|case| case.payment.reference.as_str() == reference);
            prop_assert!(has_place || has_case, "{reference} is lost");
        }
        for case in self.clerk.open_cases.keys() {
            let found = ledger.case(CaseNumber(*case));
            prop_assert!(found.is_some_and(|found| found.resolved.is_none()), "case {case} is lost");
        }
        Ok(())
    }
}
