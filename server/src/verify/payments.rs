//! What the oracle knows of payments: each that was accepted has a place or a case (INV-11), and holds end in time.

use std::collections::HashMap;

use kuota_api::log::v1 as stored;

use super::{Grant, Oracle, Standing, key};

/// A payment without a place.
pub(super) struct Case {
    registration: Vec<u8>,
    reference: String,
    is_resolved: bool,
}

/// Payments and cases, as the log tells of them.
#[derive(Default)]
pub(super) struct Money {
    /// Payments that were accepted: for which registration.
    received: HashMap<String, Vec<u8>>,
    /// The same by registration.
    of: HashMap<Vec<u8>, Vec<String>>,
    /// Payments that hold a place, by registration.
    placed: HashMap<Vec<u8>, String>,
    cases: HashMap<u32, Case>,
    cases_opened: u32,
    /// The last case that a payment led to.
    case_of: HashMap<String, u32>,
}

impl Oracle {
    /// A hold ends when it is over, and never under a payment.
    pub(super) fn hold_expired(&mut self, at_ms: i64, expired: &stored::HoldExpired) -> Option<&'static str> {
        let id = &expired.registration_id;
        let Some(grant) = self.grants.get_mut(id).filter(|grant| grant.standing == Standing::Held) else {
            return Some("a hold expires that is none");
        };
        let is_early = grant.hold.is_none_or(|hold| at_ms < hold.expires_ms);
        let is_elsewhere = expired.slot.as_ref().map(key) != Some(grant.slot);
        grant.standing = Standing::Expired;
        self.give_back(id);
        if self.money.placed.contains_key(id) {
            return Some("a hold expires that was paid for");
        }
        (is_early || is_elsewhere).then_some("a hold expires before its deadline, or in another slot")
    }

    /// What was paid for a registration that is cancelled goes over into a case.
    pub(super) fn refund_due(&mut self, id: &[u8], case: u32) -> Option<&'static str> {
        match (self.money.placed.remove(id), case) {
            (None, 0) => None,
            (Some(_), 0) => Some("a paid registration is cancelled without a case"),
            (None, _) => Some("a case is opened for nothing that was paid"),
            (Some(reference), number) => self.open(number, id, reference),
        }
    }

    fn open(&mut self, number: u32, id: &[u8], reference: String) -> Option<&'static str> {
        self.money.cases_opened += 1;
        self.money.case_of.insert(reference.clone(), number);
        let case = Case { registration: id.to_vec(), reference, is_resolved: false };
        self.money.cases.insert(number, case);
        (number != self.money.cases_opened).then_some("cases are not numbered in order")
    }

    pub(super) fn payment_received(
        &mut self,
        at_ms: i64,
        received: stored::PaymentReceived,
    ) -> Option<&'static str> {
        let stored::PaymentReceived { registration_id: id, payment_reference, amount_rupiah, .. } = received;
        let Some(grant) = self.grants.get(&id) else { return Some("a payment is for no registration") };
        let (standing, slot, own) = (grant.standing, grant.slot, grant.session);
        if grant.hold.is_none() || grant.fee != Some(u64::from(amount_rupiah)) {
            return Some("a payment is accepted that is not the fee of a held place");
        }
        if self.money.received.insert(payment_reference.clone(), id.clone()).is_some() {
            return Some("a payment is accepted twice");
        }
        self.money.of.entry(id.clone()).or_default().push(payment_reference.clone());
        match (received.effect, standing) {
            (1, Standing::Held) => {}
            (2, Standing::Expired) => {
                let (session, queue_number) = match received.queue_number {
                    0 => (own, None),
                    number => (received.session, Some(number)),
                };
                if let Some(fault) = self.take_again(at_ms, &id, (slot, session, queue_number)) {
                    return Some(fault);
                }
            }
            (3, Standing::Held) => {
                return Some("a payment comes to what its registration's state does not allow");
            }
            (3, _) => {
                let expected = match standing {
                    Standing::Expired => 1,
                    Standing::Cancelled => 2,
                    Standing::Held
                    | Standing::Confirmed
                    | Standing::CheckedIn
                    | Standing::Served
                    | Standing::NoShow => 3,
                };
                if received.cause != expected {
                    return Some("a case names another cause than there is");
                }
                return self.open(received.payment_case, &id, payment_reference);
            }
            _ => return Some("a payment comes to what its registration's state does not allow"),
        }
        self.confirm(&id, payment_reference);
        None
    }

    fn confirm(&mut self, id: &[u8], reference: String) {
        if let Some(grant) = self.grants.get_mut(id) {
            grant.standing = Standing::Confirmed;
        }
        self.money.placed.insert(id.to_vec(), reference);
    }

    pub(super) fn case_resolved(
        &mut self,
        at_ms: i64,
        resolved: &stored::PaymentCaseResolved,
    ) -> Option<&'static str> {
        let Some(case) = self.money.cases.get_mut(&resolved.payment_case).filter(|case| !case.is_resolved)
        else {
            return Some("a case is resolved that does not exist, or twice");
        };
        case.is_resolved = true;
        let (id, reference) = (case.registration.clone(), case.reference.clone());
        if id != resolved.registration_id {
            return Some("a case is resolved for another registration");
        }
        let slot = resolved.slot.as_ref().map(key)?;
        let Some(grant) = self.grants.get_mut(&id) else { return Some("a place is for no registration") };
        if !matches!(grant.standing, Standing::Expired | Standing::Cancelled) {
            return Some("a place is given to a registration that has one");
        }
        let before = std::mem::replace(&mut grant.slot, slot);
        self.move_day(&id, (before.0, before.1), (slot.0, slot.1));
        self.confirm(&id, reference);
        if self.cited(resolved.tranche) != Some(slot) {
            return Some("a place cites a tranche of another slot");
        }
        self.take_again(at_ms, &id, (slot, resolved.session, Some(resolved.queue_number)))
    }

    /// A registration without a place takes one, by the rules of a grant; at the end of a queue, unless it kept its number.
    fn take_again(
        &mut self,
        at_ms: i64,
        id: &[u8],
        (slot, session, queue_number): (super::SlotKey, Option<stored::Session>, Option<u32>),
    ) -> Option<&'static str> {
        let queue = ((slot.0, slot.1), session.map(|one| one.start_minute));
        if queue_number.is_some_and(|number| !self.queue_numbers.insert((queue.0, queue.1, number))) {
            return Some("a queue number is given twice");
        }
        let applicants = self.grants.get(id).map(|grant| grant.applicants.clone()).unwrap_or_default();
        let party = applicants.len() as u64;
        for applicant in applicants {
            if self.live.insert(applicant, id.to_vec()).is_some() {
                self.fault(
                    super::Kind::DuplicateApplicant,
                    "a place is taken again by an applicant with another",
                );
            }
        }
        if let Some(grant) = self.grants.get_mut(id) {
            grant.session = session;
        }
        self.take_places(at_ms, party, (slot, session))
    }

    /// Places are taken by a registration that is there already, by the rules of a grant.
    pub(super) fn take_places(
        &mut self,
        at_ms: i64,
        party: u64,
        (slot, session): (super::SlotKey, Option<stored::Session>),
    ) -> Option<&'static str> {
        let Some(places) = self.slots.get_mut(&slot) else {
            return Some("a place is taken where there are none");
        };
        places.taken += party;
        let (over, early) = (places.taken > places.capacity, at_ms < places.open_at_ms);
        let is_cut_off = places.cut_off_ms.is_some_and(|cut_off_ms| at_ms >= cut_off_ms);
        let is_closed = self.ends.get(&(slot.0, slot.1)).is_none_or(|(close_ms, _)| at_ms >= *close_ms);
        if over {
            self.fault(super::Kind::Oversold, "oversold by a place that is taken once more");
        }
        if early {
            self.fault(super::Kind::Early, "a place is taken once more before its opening");
        }
        if is_cut_off || is_closed || self.is_held(slot) {
            return Some("a place is taken where no grant may be");
        }
        self.take_session(at_ms, slot, session, party)
    }

    /// A registration leaves memory: its payments do too, unless a case of theirs is open.
    pub(super) fn forget_money(&mut self, id: &[u8]) {
        self.money.placed.remove(id);
        for reference in self.money.of.remove(id).unwrap_or_default() {
            let case = self.money.case_of.get(&reference).and_then(|case| self.money.cases.get(case));
            if case.is_none_or(|case| case.is_resolved) {
                self.money.received.remove(&reference);
            }
        }
    }

    /// INV-11, at the end: every payment has a place or a case.
    pub(super) fn check_money(&mut self) {
        let Money { received, placed, case_of, cases, .. } = &self.money;
        let has_place = |reference: &String, id: &Vec<u8>| {
            placed.get(id) == Some(reference) && self.grants.get(id).is_some_and(Grant::had_place)
        };
        let lost: Vec<String> = received
            .iter()
            .filter(|(reference, id)| !has_place(reference, id) && !case_of.contains_key(*reference))
            .map(|(reference, _)| reference.clone())
            .collect();
        self.verdict.payments = received.len() as u64;
        self.verdict.open_cases = cases.values().filter(|case| !case.is_resolved).count() as u64;
        for reference in lost {
            let what = format!("payment {reference} has neither a place nor a case");
            self.fault(super::Kind::LostPayment, what);
        }
    }
}

impl Grant {
    /// Whether it has a place, or had it to the end of its day.
    const fn had_place(&self) -> bool {
        !matches!(self.standing, Standing::Expired | Standing::Cancelled)
    }

    /// Whether it has a place that can be given up.
    pub(super) const fn has_place(&self) -> bool {
        matches!(self.standing, Standing::Held | Standing::Confirmed)
    }
}
