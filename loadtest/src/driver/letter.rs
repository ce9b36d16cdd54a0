//! Bodies of calls: encoded once for each slot, then patched in place. Fixed-width fields stay where they stand.

use bytes::{BufMut as _, Bytes, BytesMut};
use kuota_api::v1::{Applicant, Durability, Lane, ListAvailabilityRequest, PassportKind, RegisterRequest};
use prost::Message as _;

use crate::{
    limits::BODY_BLOCK_BYTES,
    plan::identity::{Identities, NIK_DIGITS, REFERENCE_CHARS, REQUEST_ID_CHARS, write_uuid},
};

/// A slot as a request names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotName {
    /// The office.
    pub office_id: String,
    /// The service day.
    pub service_date: String,
    /// The lane.
    pub lane: Lane,
}

/// gRPC's frame of a message: no compression, then its length.
const PREFIX: usize = 5;

#[derive(Debug)]
struct Letter {
    message: Vec<u8>,
    request_id: usize,
    nik: usize,
    reference: usize,
}

/// Bodies for every slot of a run.
#[derive(Debug)]
pub struct Letters {
    letters: Vec<Letter>,
    looks: Vec<Bytes>,
    identities: Identities,
}

/// Where bodies are written: cut from large blocks, so that a call does not allocate.
#[derive(Debug, Default)]
pub struct Desk(BytesMut);

impl Letters {
    /// Encodes them. Everybody comes for the same kind of passport, if any is said.
    #[must_use]
    pub fn new(slots: &[SlotName], identities: Identities, passport: PassportKind) -> Self {
        let look = |slot: &SlotName| {
            let request = ListAvailabilityRequest {
                office_id: Some(slot.office_id.clone()),
                lane: Some(slot.lane.into()),
                ..ListAvailabilityRequest::default()
            };
            framed(&request.encode_to_vec())
        };
        let letters = slots.iter().map(|slot| Letter::to(slot, passport)).collect();
        Self { letters, looks: slots.iter().map(look).collect(), identities }
    }

    /// Who asks.
    #[must_use]
    pub const fn identities(&self) -> &Identities {
        &self.identities
    }

    /// A look at what is free at the slot's office.
    #[must_use]
    pub fn look(&self, slot: u16) -> Bytes {
        self.looks[usize::from(slot)].clone()
    }

    /// A `RegisterRequest`.
    pub fn ask(&self, desk: &mut Desk, slot: u16, person: u32, ordinal: u8) -> Bytes {
        let letter = &self.letters[usize::from(slot)];
        let into = desk.room(PREFIX + letter.message.len());
        put_prefix(into, letter.message.len());
        self.write(into, letter, person, ordinal);
        desk.0.split().freeze()
    }

    /// A `RegisterBatchRequest`.
    pub fn batch(&self, desk: &mut Desk, asks: impl Iterator<Item = (u16, u32, u8)> + Clone) -> Bytes {
        let length = |slot: u16| self.letters[usize::from(slot)].message.len();
        let total = asks.clone().map(|(slot, ..)| 1 + varint_len(length(slot)) + length(slot)).sum();
        let into = desk.room(PREFIX + total);
        put_prefix(into, total);
        for (slot, person, ordinal) in asks {
            // Field 1, length-delimited.
            into.put_u8(0x0A);
            put_varint(into, length(slot));
            self.write(into, &self.letters[usize::from(slot)], person, ordinal);
        }
        desk.0.split().freeze()
    }

    fn write(&self, into: &mut BytesMut, letter: &Letter, person: u32, ordinal: u8) {
        let start = into.len();
        into.put_slice(&letter.message);
        let message = &mut into[start..];
        write_uuid(self.identities.request(person, ordinal), &mut message[letter.request_id..]);
        self.identities.nik(person, &mut message[letter.nik..letter.nik + NIK_DIGITS]);
        self.identities.reference(person, &mut message[letter.reference..letter.reference + REFERENCE_CHARS]);
    }
}

impl Desk {
    fn room(&mut self, bytes: usize) -> &mut BytesMut {
        if self.0.capacity() < bytes {
            self.0.reserve(bytes.max(BODY_BLOCK_BYTES));
        }
        &mut self.0
    }
}

impl Letter {
    fn to(slot: &SlotName, passport: PassportKind) -> Self {
        // Texts that stand nowhere else, so that they are found again.
        let (request_id, nik, reference) =
            ("#".repeat(REQUEST_ID_CHARS), "%".repeat(NIK_DIGITS), "&".repeat(REFERENCE_CHARS));
        let (passport_kind, nik_text, reference_text) = (passport.into(), nik.clone(), reference.clone());
        let applicant = Applicant { nik: nik_text, reference: reference_text, passport_kind };
        let request = RegisterRequest {
            request_id: request_id.clone(),
            office_id: slot.office_id.clone(),
            service_date: slot.service_date.clone(),
            lane: slot.lane.into(),
            applicants: vec![applicant],
            durability: Durability::Durable.into(),
            ..RegisterRequest::default()
        };
        let message = request.encode_to_vec();
        let find = |text: &str| {
            message.windows(text.len()).position(|window| window == text.as_bytes()).unwrap_or(0)
        };
        let (request_id, nik, reference) = (find(&request_id), find(&nik), find(&reference));
        Self { request_id, nik, reference, message }
    }
}

fn framed(message: &[u8]) -> Bytes {
    let mut into = BytesMut::with_capacity(PREFIX + message.len());
    put_prefix(&mut into, message.len());
    into.put_slice(message);
    into.freeze()
}

fn put_prefix(into: &mut BytesMut, length: usize) {
    into.put_u8(0);
    into.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
}

fn varint_len(value: usize) -> usize {
    let bits = usize::try_from((value | 1).ilog2()).unwrap_or(0) + 1;
    bits.div_ceil(7)
}

fn put_varint(into: &mut BytesMut, mut value: usize) {
    while value >= 0x80 {
        into.put_u8(u8::try_from(value & 0x7F).unwrap_or(0) | 0x80);
        value >>= 7;
    }
    into.put_u8(u8::try_from(value).unwrap_or(0));
}

#[cfg(test)]
mod tests {
    use kuota_api::v1::RegisterBatchRequest;

    use super::*;

    #[test]
    fn patched_bodies_are_what_prost_reads() {
        let slot = |office: &str| SlotName {
            office_id: office.into(),
            service_date: "2026-11-30".into(),
            lane: Lane::Regular,
        };
        let letters = Letters::new(
            &[slot("kanim-a"), slot("mpp-b")],
            Identities::new(1, ""),
            PassportKind::Unspecified,
        );
        let mut desk = Desk::default();
        let body = letters.ask(&mut desk, 1, 7, 2);
        assert_eq!(usize::from(body[4]), body.len() - PREFIX);
        let ask = RegisterRequest::decode(&body[PREFIX..]).unwrap();
        let id = uuid::Uuid::parse_str(&ask.request_id).unwrap().as_u128();
        assert_eq!((ask.office_id.as_str(), id), ("mpp-b", letters.identities().request(7, 2)));
        let asks = [(0, 1, 0), (1, 7, 2)];
        let batch = letters.batch(&mut desk, asks.into_iter());
        let batch = RegisterBatchRequest::decode(&batch[PREFIX..]).unwrap();
        assert_eq!(batch.requests[1], ask);
        assert_eq!(batch.requests[0].office_id, "kanim-a");
    }
}
