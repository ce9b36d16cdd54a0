//! A digest of the whole state, the same on every machine: two ledgers that agree on it are the same ledger.

use sha2::{Digest, Sha256};

use super::{Ledger, Timer};
use crate::registration::{Registration, RegistrationState};

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
        for (day, name) in self.holidays.iter() {
            sink.number(day.number());
            sink.bytes(name.as_bytes());
        }
        for rule in self.openings.values() {
            sink.bytes(rule.id.as_str().as_bytes());
            sink.number(rule.weekday.index());
            sink.number(rule.minute_of_day);
            sink.number(rule.service_weekdays.0);
            sink.number(rule.weeks_ahead);
        }
        for state in &self.offices {
            self.office_into(state, &mut sink);
        }
        let mut registrations: Vec<_> = self.registrations.values().collect();
        registrations.sort_unstable_by_key(|registration| registration.id);
        for registration in registrations {
            self.registration_into(registration, &mut sink);
        }
        for (at, timer) in &self.timers {
            let (kind, office, day) = match *timer {
                Timer::DayEnd(office, day) => (0_u8, office, day),
                Timer::Forget(office, day) => (1, office, day),
            };
            sink.number(at.0);
            sink.number(kind);
            sink.number(office.0);
            sink.number(day.number());
        }
        sink.0.finalize().into()
    }

    fn office_into(&self, state: &super::OfficeState, sink: &mut Sink) {
        let office = &state.office;
        sink.bytes(office.id.as_str().as_bytes());
        sink.bytes(office.name.as_bytes());
        sink.bytes(office.kind.name().as_bytes());
        sink.bytes(office.parent.as_ref().map_or("", |parent| parent.as_str()).as_bytes());
        sink.bytes(office.zone.name().as_bytes());
        sink.number(office.latitude_e6);
        sink.number(office.longitude_e6);
        sink.bytes(office.opening.as_str().as_bytes());
        sink.number(office.closing_minute);
        for offer in &office.lanes {
            sink.bytes(offer.lane.name().as_bytes());
            sink.number(offer.places);
            sink.bytes(offer.source.as_bytes());
        }
        sink.number(u8::from(state.open));
        for (day, at) in &state.days {
            sink.number(day.number());
            sink.number(at.close_at.0);
            sink.number(at.end.0);
            sink.number(u8::from(at.closed));
            sink.number(at.last_queue_number);
            for id in &at.registrations {
                sink.bytes(&id.0.to_be_bytes());
            }
            for places in at.lanes.iter().flatten() {
                sink.number(places.tranche.0);
                sink.number(places.capacity);
                sink.number(places.taken);
                sink.number(places.open_at.0);
            }
        }
    }

    fn registration_into(&self, registration: &Registration, sink: &mut Sink) {
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
        });
        sink.number(registration.queue_number);
        sink.bytes(&registration.code.number().to_be_bytes());
        for applicant in &registration.applicants {
            sink.bytes(&applicant.key.0);
            sink.number(applicant.last_four);
            sink.bytes(applicant.reference.as_bytes());
            sink.number(u8::from(self.live.get(&applicant.key) == Some(&registration.id)));
        }
        sink.number(registration.created.0);
        sink.number(registration.updated.0);
        sink.bytes(registration.cancel_reason.as_bytes());
    }
}

/// Numbers have eight bytes and texts their length before them, so that no two states spell the same.
struct Sink(Sha256);

impl Sink {
    fn bytes(&mut self, bytes: &[u8]) {
        self.number(i64::try_from(bytes.len()).unwrap_or(i64::MAX));
        self.0.update(bytes);
    }

    fn number(&mut self, number: impl Into<i64>) {
        self.0.update(number.into().to_be_bytes());
    }
}
