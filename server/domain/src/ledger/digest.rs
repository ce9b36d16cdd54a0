//! A digest of the whole state, the same on every machine: two ledgers that agree on it are the same ledger.

use sha2::{Digest, Sha256};

use super::{
    Ledger, OfficeState, Timer,
    roll::{Indexed, Roll},
    sessions::{Sessions, session_into},
};
use crate::{
    calendar::{Holidays, WeeklyOpening},
    catalog::{Catalog, Office},
    fees::Fees,
    ids::OfficeNumber,
    payment::Resolution,
    registration::{Registration, RegistrationState},
    session::SessionStart,
    slot::{Lane, SlotKey},
};

impl Ledger {
    /// SHA-256 over everything, in an order of its own.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut sink = Sink(Sha256::new());
        if let Some(identity) = self.identity {
            sink.bytes(&identity.log_id.to_be_bytes());
            sink.number(identity.format);
            sink.bytes(&identity.nik_key_check);
        }
        holidays_into(&self.holidays, &mut sink);
        sink.length(self.openings.len());
        self.openings.values().for_each(|rule| rule_into(rule, &mut sink));
        sink.length(self.offices.len());
        for (number, state) in (0..).map(OfficeNumber).zip(&self.offices) {
            office_into(&state.office, &mut sink);
            days_into((number, state), (&self.roll, &self.sessions), &mut sink);
        }
        let mut registrations: Vec<_> = self.registrations().collect();
        registrations.sort_unstable_by_key(|registration| registration.id);
        sink.length(registrations.len());
        for registration in registrations {
            registration_into(registration, &mut sink);
        }
        // The indices too: one left over would answer for a registration that never was.
        let Indexed { requests, codes, billings, mut live } = self.roll.indexed();
        let mut requests: Vec<_> = requests.into_iter().map(|found| (found.request, found.id)).collect();
        requests.sort_unstable();
        sink.length(requests.len());
        for (key, id) in requests {
            sink.number(key.caller.0);
            sink.bytes(&key.id.to_be_bytes());
            sink.bytes(&id.0.to_be_bytes());
        }
        let mut codes: Vec<_> = codes.into_iter().map(|found| (found.code, found.id)).collect();
        codes.sort_unstable();
        sink.length(codes.len());
        for (code, id) in codes {
            sink.bytes(&code.number().to_be_bytes());
            sink.bytes(&id.0.to_be_bytes());
        }
        let mut billings: Vec<_> =
            billings.into_iter().filter_map(|found| Some((found.billing()?.reference, found.id))).collect();
        billings.sort_unstable();
        for (reference, id) in billings {
            sink.bytes(b"billing");
            sink.bytes(&reference.number().to_be_bytes());
            sink.bytes(&id.0.to_be_bytes());
        }
        live.sort_unstable();
        sink.length(live.len());
        for (key, id) in live {
            sink.bytes(&key.0);
            sink.bytes(&id.0.to_be_bytes());
        }
        sink.length(self.tranches.len());
        for slot in &self.tranches {
            sink.number(slot.office.0);
            sink.number(slot.day.number());
            sink.bytes(slot.lane.name().as_bytes());
        }
        let mut holds = Vec::new();
        let mut days = Vec::with_capacity(self.timers.len());
        for (at, timer) in &self.timers {
            match *timer {
                Timer::Hold(row) => holds.extend(self.roll.at(row).map(|held| (*at, held.id))),
                Timer::DayEnd(office, day) => days.push((*at, 0_u8, office, day)),
                Timer::Forget(office, day) => days.push((*at, 1, office, day)),
            }
        }
        sink.length(days.len());
        for (at, kind, office, day) in days {
            sink.number(at.0);
            sink.number(kind);
            sink.number(office.0);
            sink.number(day.number());
        }
        // Rows are a matter of one ledger alone.
        holds.sort_unstable();
        for (at, id) in holds {
            sink.bytes(b"hold");
            sink.number(at.0);
            sink.bytes(&id.0.to_be_bytes());
        }
        self.operators_into(&mut sink);
        sink.0.finalize().into()
    }

    fn operators_into(&self, sink: &mut Sink) {
        sink.length(self.overrides.len());
        for (slot, set) in &self.overrides {
            sink.number(slot.office.0);
            sink.number(slot.day.number());
            sink.bytes(slot.lane.name().as_bytes());
            sink.maybe(set.places.map(i64::from));
            sink.maybe(set.open_at.map(|at| at.0));
        }
        sink.length(self.pauses.len());
        for (scope, pause) in &self.pauses {
            sink.maybe(scope.office.map(|office| office.0.into()));
            sink.maybe(scope.day.map(|day| day.number().into()));
            sink.bytes(scope.lane.map_or("", Lane::name).as_bytes());
            sink.number(pause.since.0);
            sink.bytes(pause.actor.as_bytes());
            sink.bytes(pause.reason.as_bytes());
        }
        sink.length(self.commands.len());
        for (request, record) in &self.commands {
            sink.number(request.caller.0);
            sink.bytes(&request.id.to_be_bytes());
            sink.bytes(&record.content.0);
            sink.number(record.at.0);
            sink.number(record.changes);
        }
        sink.bytes(self.catalog_at_start.as_ref().map_or(&[], |digest| digest.as_slice()));
        fees_into(&self.fees, sink);
        self.payments_into(sink);
    }
}

impl Ledger {
    fn payments_into(&self, sink: &mut Sink) {
        for (reference, record) in &self.payments {
            sink.bytes(b"payment");
            sink.bytes(reference.as_str().as_bytes());
            sink.bytes(&record.registration.0.to_be_bytes());
            sink.number(record.amount.0);
            sink.maybe(record.case.map(|case| case.0.into()));
        }
        sink.rare("last case", Some(self.last_case).filter(|last| *last > 0));
        for case in self.cases.values() {
            sink.bytes(b"case");
            sink.number(case.number.0);
            sink.bytes(&case.registration.0.to_be_bytes());
            sink.bytes(&case.code.number().to_be_bytes());
            slot_into(case.slot, sink);
            sink.bytes(case.payment.reference.as_str().as_bytes());
            sink.number(case.payment.amount.0);
            sink.number(case.cause as u8);
            sink.number(case.opened.0);
            let Some(resolved) = &case.resolved else { continue };
            sink.bytes(b"resolved");
            sink.number(resolved.at.0);
            sink.number(resolved.actor.caller.0);
            sink.bytes(resolved.actor.subject.as_bytes());
            sink.bytes(resolved.reason.as_bytes());
            if let Resolution::Place { slot, tranche, turn } = resolved.resolution {
                sink.bytes(b"place");
                slot_into(slot, sink);
                sink.number(tranche.0);
                if let Some(session) = turn.session {
                    sink.bytes(b"session");
                    session_into(session, sink);
                }
                sink.number(turn.queue_number);
            }
        }
    }
}

fn slot_into(slot: SlotKey, sink: &mut Sink) {
    sink.number(slot.office.0);
    sink.number(slot.day.number());
    sink.bytes(slot.lane.name().as_bytes());
}

impl Catalog {
    /// SHA-256 over everything a catalogue says, in whatever order it says it. It tells whether the catalogue named at
    /// the start is another one than before, so that a field more in it would apply every catalogue anew.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut sink = Sink(Sha256::new());
        holidays_into(&self.holidays, &mut sink);
        sink.length(self.openings.len());
        let mut openings: Vec<_> = self.openings.iter().collect();
        openings.sort_by(|a, b| a.id.cmp(&b.id));
        openings.into_iter().for_each(|rule| rule_into(rule, &mut sink));
        sink.length(self.offices.len());
        let mut offices: Vec<_> = self.offices.iter().collect();
        offices.sort_by(|a, b| a.id.cmp(&b.id));
        offices.into_iter().for_each(|office| office_into(office, &mut sink));
        fees_into(&self.fees, &mut sink);
        sink.0.finalize().into()
    }
}

fn holidays_into(holidays: &Holidays, sink: &mut Sink) {
    sink.length(holidays.len());
    for (day, name) in holidays {
        sink.number(day.number());
        sink.bytes(name.as_bytes());
    }
}

fn rule_into(rule: &WeeklyOpening, sink: &mut Sink) {
    sink.bytes(rule.id.as_str().as_bytes());
    sink.number(rule.weekday.index());
    sink.number(rule.minute_of_day);
    sink.number(rule.service_weekdays.0);
    sink.number(rule.weeks_ahead);
}

fn office_into(office: &Office, sink: &mut Sink) {
    sink.bytes(office.id.as_str().as_bytes());
    sink.bytes(office.name.as_bytes());
    sink.bytes(office.kind.name().as_bytes());
    sink.bytes(office.parent.as_ref().map_or("", |parent| parent.as_str()).as_bytes());
    sink.bytes(office.zone.name().as_bytes());
    sink.number(office.latitude_e6);
    sink.number(office.longitude_e6);
    sink.bytes(office.opening.as_str().as_bytes());
    sink.number(office.closing_minute);
    sink.length(office.lanes.len());
    for offer in &office.lanes {
        sink.bytes(offer.lane.name().as_bytes());
        sink.number(offer.places);
        sink.bytes(offer.source.as_bytes());
        sink.rare("cut off", offer.cut_off_minute);
        sink.rare("hold", offer.hold_minutes);
        for one in &offer.sessions {
            sink.bytes(b"session");
            session_into(one.session, sink);
            sink.number(one.share.get());
        }
    }
}

/// Nothing where nothing is said: catalogues without fees have the digest they had before there were any.
fn fees_into(fees: &Fees, sink: &mut Sink) {
    if fees.is_empty() {
        return;
    }
    sink.bytes(b"fees");
    sink.length(fees.passports.len());
    for (kind, price) in &fees.passports {
        sink.bytes(kind.name().as_bytes());
        sink.number(price.rupiah.0);
        sink.bytes(price.source.as_bytes());
    }
    sink.length(fees.surcharges.len());
    for (lane, price) in &fees.surcharges {
        sink.bytes(lane.name().as_bytes());
        sink.number(price.rupiah.0);
        sink.bytes(price.source.as_bytes());
    }
}

fn days_into(
    (number, state): (OfficeNumber, &OfficeState),
    (roll, sessions): (&Roll, &Sessions),
    sink: &mut Sink,
) {
    sink.number(u8::from(state.open));
    sink.length(state.days.len());
    for (day, at) in &state.days {
        sink.number(day.number());
        sink.number(at.close_at.0);
        sink.number(at.end.0);
        sink.number(u8::from(at.closed));
        sink.number(at.last_queue_number);
        sink.length(at.arrivals.len() as usize);
        for registration in roll.links().rows(at.arrivals).into_iter().filter_map(|row| roll.at(row)) {
            sink.bytes(&registration.id.0.to_be_bytes());
        }
        for (lane, places) in Lane::ALL.into_iter().zip(&at.lanes) {
            let Some(places) = places else { continue };
            sink.bytes(lane.name().as_bytes());
            sink.number(places.tranche().0);
            sink.number(places.capacity);
            sink.number(places.taken);
            sink.number(places.open_at.0);
            sink.rare("cut off", places.cut_off().map(|at| at.0));
        }
        sessions.digest_into((number, *day), sink);
    }
}

fn registration_into(registration: &Registration, sink: &mut Sink) {
    sink.bytes(&registration.id.0.to_be_bytes());
    sink.number(registration.request.caller.0);
    sink.bytes(&registration.request.id.to_be_bytes());
    sink.bytes(&registration.content.0);
    sink.number(registration.slot.office.0);
    sink.number(registration.slot.day.number());
    sink.bytes(registration.slot.lane.name().as_bytes());
    sink.number(registration.tranche.0);
    sink.number(match registration.state {
        RegistrationState::Confirmed => 1_u8,
        RegistrationState::Cancelled => 2,
        RegistrationState::Held => 3,
        RegistrationState::Expired => 4,
        RegistrationState::CheckedIn => 5,
        RegistrationState::Served => 6,
        RegistrationState::NoShow => 7,
    });
    sink.number(registration.queue_number);
    sink.bytes(&registration.code.number().to_be_bytes());
    sink.length(registration.applicants.len());
    for applicant in &registration.applicants {
        sink.bytes(&applicant.key.0);
        sink.number(applicant.last_four);
        sink.bytes(applicant.reference.as_bytes());
        if let Some(kind) = applicant.passport {
            sink.bytes(b"passport");
            sink.bytes(kind.name().as_bytes());
        }
    }
    sink.number(registration.created.0);
    sink.number(registration.updated().0);
    sink.bytes(registration.cancel_reason().as_bytes());
    if let Some(session) = registration.session {
        sink.bytes(b"session");
        session_into(session, sink);
    }
    sink.rare("fee", registration.fee().map(|fee| fee.0));
    if let Some(ground) = registration.ground() {
        sink.bytes(b"ground");
        sink.bytes(ground.name().as_bytes());
    }
    if let Some(billing) = registration.billing() {
        sink.bytes(b"billing");
        sink.bytes(&billing.reference.number().to_be_bytes());
        sink.number(billing.expires.0);
    }
    if let Some((payment, at)) = registration.paid_at() {
        sink.bytes(b"paid");
        sink.bytes(payment.reference.as_str().as_bytes());
        sink.number(payment.amount.0);
        sink.number(at.0);
    }
    if let Some(moved) = registration.moved() {
        sink.bytes(b"moved");
        sink.number(moved.request.caller.0);
        sink.bytes(&moved.request.id.to_be_bytes());
        slot_into(moved.from, sink);
        slot_into(moved.to, sink);
        sink.rare("named session", moved.named.map(SessionStart::minute));
        sink.number(moved.at.0);
    }
    sink.rare("checked in", registration.checked_in().map(|at| at.0));
    sink.rare("served", registration.served().map(|at| at.0));
    for case in registration.cases() {
        sink.rare("case", Some(case.0));
    }
}

/// Numbers have eight bytes, texts and lists their length before them, so that no two states spell the same.
pub(super) struct Sink(Sha256);

impl Sink {
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.0.update(bytes);
    }

    fn length(&mut self, length: usize) {
        self.number(i64::try_from(length).unwrap_or(i64::MAX));
    }

    /// Something that may be absent.
    pub(super) fn maybe(&mut self, number: Option<i64>) {
        self.number(u8::from(number.is_some()));
        self.number(number.unwrap_or(0));
    }

    /// Something that is new since there were logs: without it a state spells as it did then. The name is one that
    /// nothing else at its place begins with.
    fn rare(&mut self, name: &str, number: Option<impl Into<i64>>) {
        if let Some(number) = number {
            self.bytes(name.as_bytes());
            self.number(number);
        }
    }

    pub(super) fn number(&mut self, number: impl Into<i64>) {
        self.0.update(number.into().to_be_bytes());
    }
}
