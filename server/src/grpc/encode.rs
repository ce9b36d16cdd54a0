//! Registrations as bytes of the API, written where they are sent from: a batch has a thousand. What stands here twice,
//! the schema says once; a test holds both against each other.

use bytes::Bytes;
use compact_str::{CompactString, ToCompactString as _, format_compact};
use kuota_domain::{
    ids::OfficeId,
    registration::{Applicant, Billing, Registration},
    time::UnixMillis,
};
use prost::encoding::{WireType, encode_key, encode_varint, message, uint32};
use uuid::Uuid;

use super::{
    convert::{ground_of, lane_of, passport_of, state_of, timestamp},
    reschedule,
};
use crate::{
    engine::{Directory, Granted, Offer},
    wire::{nested, number, present, text},
};

/// Bytes before a message on a stream: whether it is compressed, and its length.
pub(super) const PREFIX_BYTES: usize = 5;

/// Writes a message as it is sent on a stream.
pub(super) fn framed(room: usize, write: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    let mut out = Vec::with_capacity(PREFIX_BYTES + room);
    out.resize(PREFIX_BYTES, 0);
    write(&mut out);
    let length = u32::try_from(out.len() - PREFIX_BYTES).unwrap_or(u32::MAX);
    out[1..PREFIX_BYTES].copy_from_slice(&length.to_be_bytes());
    out.into()
}

/// Writes a UUID in its usual form as a field.
pub(super) fn uuid(tag: u32, uuid: u128, out: &mut Vec<u8>) {
    text(tag, Uuid::from_u128(uuid).hyphenated().encode_lower(&mut Uuid::encode_buffer()), out);
}

/// Writes an instant as a field.
pub(super) fn instant(tag: u32, at: UnixMillis, out: &mut Vec<u8>) {
    message::encode(tag, &timestamp(at), out);
}

/// Bytes of a registration of one applicant, about.
pub(super) const REGISTRATION_BYTES_USUAL: usize = 320;

/// Writes a registration, as `kuota.v1.Registration` has it.
pub(super) fn registration(granted: &Granted, directory: &Directory, out: &mut Vec<u8>) {
    let registration = &*granted.registration;
    let office = directory.id(registration.slot.office).map_or("", OfficeId::as_str);
    uuid(1, registration.id.0, out);
    text(2, &registration.code.to_compact_string(), out);
    uuid(3, registration.request.id, out);
    text(4, office, out);
    text(5, &registration.slot.day.to_compact_string(), out);
    number(6, enumerated(lane_of(registration.slot.lane)), out);
    number(7, enumerated(state_of(registration.state)), out);
    number(8, registration.queue_number, out);
    present(9, granted.durable, out);
    for one in &registration.applicants {
        nested(10, out, |out| applicant(one, out));
    }
    instant(11, registration.created, out);
    instant(12, registration.updated(), out);
    text(13, registration.cancel_reason(), out);
    if registration.particulars.is_some() {
        particulars(registration, directory, out);
    }
    if let Some(session) = registration.session {
        nested(24, out, |out| {
            text(1, &session.start().to_compact_string(), out);
            text(2, &session.end().to_compact_string(), out);
        });
    }
    if let Some(at) = registration.checked_in() {
        instant(27, at, out);
    }
    if let Some(at) = registration.served() {
        instant(28, at, out);
    }
}

/// What few registrations have.
fn particulars(registration: &Registration, directory: &Directory, out: &mut Vec<u8>) {
    if let Some(fee) = registration.fee() {
        present(14, fee.0, out);
    }
    number(15, enumerated(ground_of(registration.ground())), out);
    if let Some(Billing { reference, expires }) = registration.billing() {
        text(16, &reference.to_compact_string(), out);
        instant(17, expires, out);
    }
    if let Some((payment, at)) = registration.paid_at() {
        text(18, payment.reference.as_str(), out);
        instant(19, *at, out);
    }
    let cases: Vec<u32> = registration.cases().iter().map(|case| case.0).collect();
    uint32::encode_packed(20, &cases, out);
    if let (Some(left), Some(moved)) = (reschedule::left(registration, directory), registration.moved()) {
        message::encode(21, &left, out);
        instant(22, moved.at, out);
    }
}

fn applicant(applicant: &Applicant, out: &mut Vec<u8>) {
    text(1, &last_four(applicant), out);
    text(2, &applicant.reference, out);
    number(3, enumerated(passport_of(applicant.passport)), out);
}

/// The last four digits of a NIK.
pub(super) fn last_four(applicant: &Applicant) -> CompactString {
    format_compact!("{:04}", applicant.last_four)
}

/// Bytes of five alternatives, about.
pub(super) const ALTERNATIVES_BYTES_USUAL: usize = 320;

/// Writes what of an alternative is ready long before it is named.
pub fn write_offer(offer: &Offer<'_>, out: &mut Vec<u8>) {
    text(1, offer.office.as_str(), out);
    text(2, &offer.day.to_compact_string(), out);
    number(3, enumerated(lane_of(offer.lane)), out);
    number(4, offer.surcharge.0, out);
    number(5, offer.metres, out);
}

/// Writes an alternative as `kuota.v1.Refusal` has it.
pub(super) fn alternative(offer: &[u8], available: u32, out: &mut Vec<u8>) {
    encode_key(6, WireType::LengthDelimited, out);
    encode_varint((offer.len() + uint32::encoded_len(6, &available)) as u64, out);
    out.extend_from_slice(offer);
    present(6, available, out);
}

fn enumerated(value: impl Into<i32>) -> u64 {
    u64::from(value.into().unsigned_abs())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use kuota_domain::{
        billing::BillingReference,
        calendar::ServiceDay,
        code::BookingCode,
        fees::Rupiah,
        ids::{CallerNumber, ContentHash, OfficeId, OfficeNumber, RegistrationId, RequestKey, TrancheNumber},
        nik::ApplicantKey,
        passport::{Ground, PassportKind},
        payment::{CaseNumber, Payment, PaymentReference},
        registration::{Move, Particulars, RegistrationState},
        session::Session,
        slot::{Lane, SlotKey},
    };

    use kuota_api::v1;
    use prost::Message as _;

    use super::*;
    use crate::grpc::convert;

    fn granted(applicants: usize, reference: &str, state: RegistrationState) -> Granted {
        let is_priced = applicants == 2;
        let passport = is_priced.then_some(PassportKind::Electronic10Years);
        let applicant = |last_four| Applicant {
            key: ApplicantKey([7; 16]),
            last_four,
            passport,
            reference: reference.into(),
        };
        let cancel_reason = if state == RegistrationState::Cancelled { "moved" } else { "" };
        let reference = PaymentReference::parse("BRI/1").unwrap();
        let payment = Payment { reference, amount: Rupiah(0) };
        let particulars = Particulars {
            updated: is_priced.then_some(UnixMillis(1_795_000_001_000)),
            fee: is_priced.then_some(Rupiah(0)),
            ground: is_priced.then_some(Ground::Disabled),
            cancel_reason: cancel_reason.into(),
            billing: is_priced.then_some(Billing {
                reference: BillingReference::draw(7, 0),
                expires: UnixMillis(1_795_000_007_000),
            }),
            paid: is_priced.then_some((payment, UnixMillis(1_795_000_002_000))),
            cases: if is_priced { vec![CaseNumber(1), CaseNumber(300)] } else { Vec::new() },
            moved: is_priced.then_some(Move {
                request: RequestKey { caller: CallerNumber(0), id: 2 },
                from: SlotKey {
                    office: OfficeNumber(0),
                    day: ServiceDay::parse("2026-12-01").unwrap(),
                    lane: Lane::OneDay,
                },
                to: SlotKey {
                    office: OfficeNumber(0),
                    day: ServiceDay::parse("2026-11-30").unwrap(),
                    lane: Lane::OneDay,
                },
                named: None,
                at: UnixMillis(1_795_000_003_000),
            }),
            checked_in: is_priced.then_some(UnixMillis(1_795_000_004_000)),
            served: is_priced.then_some(UnixMillis(1_795_000_005_000)),
        };

        let registration = Registration {
            id: RegistrationId(0x0193_5f3e_7b2a_7cc0_9b1e_3f2a_5d6c_7e8f),
            request: RequestKey { caller: CallerNumber(0), id: 1 },
            content: ContentHash([1; 16]),
            slot: SlotKey {
                office: OfficeNumber(0),
                day: ServiceDay::parse("2026-11-30").unwrap(),
                lane: Lane::OneDay,
            },
            tranche: TrancheNumber(1),
            state,
            session: is_priced.then(|| Session::new(8 * 60, 9 * 60).unwrap()),
            queue_number: 120,
            code: BookingCode::draw(0xDEAD_BEEF, 0),
            applicants: (1..).take(applicants).collect::<Vec<u16>>().into_iter().map(applicant).collect(),
            created: UnixMillis(1_795_000_000_123),
            particulars: particulars.boxed(),
        };
        Granted { registration: Arc::new(registration), durable: applicants == 1 }
    }

    #[test]
    fn a_registration_is_written_as_the_schema_has_it() {
        let directory = Directory::default();
        for granted in [
            granted(1, "", RegistrationState::Confirmed),
            granted(2, "a 1", RegistrationState::Cancelled),
            granted(5, &"\u{e9}".repeat(64), RegistrationState::Confirmed),
        ] {
            let mut out = Vec::new();
            registration(&granted, &directory, &mut out);
            assert_eq!(out, convert::registration(&granted, &directory).encode_to_vec());
        }
    }

    #[test]
    fn alternatives_are_written_as_the_schema_has_them() {
        let office = OfficeId::parse(&"o".repeat(63)).unwrap();
        let day = ServiceDay::parse("2026-12-01").unwrap();
        let mut out = Vec::new();
        let mut expected = v1::Refusal::default();
        for (lane, surcharge, metres, available) in [
            (Lane::Regular, 0, 0, 1),
            (Lane::OneDay, 1_000_000, 0, 300),
            (Lane::Priority, 0, 199_999, u32::MAX),
        ] {
            let mut offer = Vec::new();
            let surcharge = Rupiah(surcharge);
            write_offer(&Offer { office: &office, day, lane, surcharge, metres }, &mut offer);
            alternative(&offer, available, &mut out);
            expected.alternatives.push(v1::Alternative {
                office_id: office.to_string(),
                service_date: "2026-12-01".into(),
                lane: lane_of(lane).into(),
                surcharge_rupiah: surcharge.0.into(),
                distance_m: metres,
                available,
            });
        }
        assert_eq!(out, expected.encode_to_vec());
    }
}
