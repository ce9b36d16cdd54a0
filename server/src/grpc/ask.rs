//! An ask as it lies in a message: its texts are borrowed from there. Reads the fields this release declares; where a
//! message has others, or is none, it says so, and generated code has the word.

use kuota_api::v1;
use smallvec::SmallVec;

use crate::wire::{Fields, Value};

/// `kuota.v1.RegisterRequest`, borrowed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Ask<'a> {
    pub(super) request_id: &'a str,
    pub(super) office_id: &'a str,
    pub(super) service_date: &'a str,
    pub(super) lane: i32,
    pub(super) applicants: SmallVec<[Applicant<'a>; 1]>,
    pub(super) durability: i32,
    pub(super) ground: i32,
    pub(super) session: &'a str,
}

/// `kuota.v1.Applicant`, borrowed. Has no `Debug` that would tell digits (INV-10).
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Applicant<'a> {
    pub(super) nik: &'a str,
    pub(super) reference: &'a str,
    pub(super) passport_kind: i32,
}

impl std::fmt::Debug for Applicant<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Applicant").field("reference", &self.reference).finish_non_exhaustive()
    }
}

impl<'a> Ask<'a> {
    /// The ask in a message, if that has nothing else.
    pub(super) fn read(message: &'a [u8]) -> Option<Self> {
        let mut ask = Self::default();
        for field in Fields(message) {
            match field? {
                (1, Value::Bytes(text)) => ask.request_id = str::from_utf8(text).ok()?,
                (2, Value::Bytes(text)) => ask.office_id = str::from_utf8(text).ok()?,
                (3, Value::Bytes(text)) => ask.service_date = str::from_utf8(text).ok()?,
                (4, Value::Number(lane)) => ask.lane = i32::try_from(lane).ok()?,
                (5, Value::Bytes(applicant)) => ask.applicants.push(Applicant::read(applicant)?),
                (6, Value::Number(durability)) => ask.durability = i32::try_from(durability).ok()?,
                (7, Value::Number(ground)) => ask.ground = i32::try_from(ground).ok()?,
                (8, Value::Bytes(text)) => ask.session = str::from_utf8(text).ok()?,
                _ => return None,
            }
        }
        Some(ask)
    }

    /// The same of what generated code has read.
    pub(super) fn of(request: &'a v1::RegisterRequest) -> Self {
        let applicant = |applicant: &'a v1::Applicant| Applicant {
            nik: &applicant.nik,
            reference: &applicant.reference,
            passport_kind: applicant.passport_kind,
        };
        Self {
            request_id: &request.request_id,
            office_id: &request.office_id,
            service_date: &request.service_date,
            lane: request.lane,
            applicants: request.applicants.iter().map(applicant).collect(),
            durability: request.durability,
            ground: request.ground,
            session: &request.session,
        }
    }
}

impl<'a> Applicant<'a> {
    fn read(message: &'a [u8]) -> Option<Self> {
        let mut applicant = Self::default();
        for field in Fields(message) {
            match field? {
                (1, Value::Bytes(text)) => applicant.nik = str::from_utf8(text).ok()?,
                (2, Value::Bytes(text)) => applicant.reference = str::from_utf8(text).ok()?,
                (3, Value::Number(kind)) => applicant.passport_kind = i32::try_from(kind).ok()?,
                _ => return None,
            }
        }
        Some(applicant)
    }
}

/// The asks of a `kuota.v1.RegisterBatchRequest`, as they lie in it, and how many there are; `None` for what is none.
pub(super) fn asks_of(batch: &[u8]) -> (usize, impl Iterator<Item = Option<Ask<'_>>>) {
    let asks = Fields(batch).map(|field| match field? {
        (1, Value::Bytes(ask)) => Ask::read(ask),
        _ => None,
    });
    (Fields(batch).count(), asks)
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;

    fn request() -> v1::RegisterRequest {
        let applicant = |nik: &str, reference: &str| v1::Applicant {
            nik: nik.into(),
            reference: reference.into(),
            passport_kind: v1::PassportKind::Electronic10Years.into(),
        };
        v1::RegisterRequest {
            request_id: "01935f3e-7b2a-7cc0-9b1e-3f2a5d6c7e8f".into(),
            office_id: "kanim-pontianak".into(),
            service_date: "2026-11-30".into(),
            lane: v1::Lane::OneDay.into(),
            applicants: vec![applicant("6171010101900001", "\u{e9}"), applicant("", &"x".repeat(200))],
            durability: v1::Durability::Accepted.into(),
            ground: v1::PriorityGround::Pregnant.into(),
            session: "08:00".into(),
        }
    }

    #[test]
    fn an_ask_is_read_as_generated_code_reads_it() {
        for request in [request(), v1::RegisterRequest::default()] {
            assert_eq!(Ask::read(&request.encode_to_vec()), Some(Ask::of(&request)));
        }
        // Messages that follow each other are one, and the last of two numbers counts.
        let twice = [request().encode_to_vec(), request().encode_to_vec()].concat();
        let merged = v1::RegisterRequest::decode(&*twice).unwrap();
        assert_eq!(Ask::read(&twice), Some(Ask::of(&merged)));
        let batch = v1::RegisterBatchRequest { requests: vec![request(), Default::default(), request()] };
        let message = batch.encode_to_vec();
        let asks: Vec<_> = batch.requests.iter().map(|request| Some(Ask::of(request))).collect();
        let (length, read) = asks_of(&message);
        assert_eq!(length, 3);
        assert!(read.eq(asks));
    }

    #[test]
    fn what_this_release_does_not_declare_is_left_to_generated_code() {
        let whole = request().encode_to_vec();
        let with = |more: &[u8]| [&whole, more].concat();
        for message in [
            with(&[0x98, 0x06, 1]),            // field 99
            with(&[0x0a, 1, 0xff]),            // no UTF-8
            with(&[0x0d, 1, 2, 3, 4]),         // a text in four bytes
            with(&[0x20, 0xff]),               // a number without end
            with(&[0x2a, 2, 0x48, 1]),         // a ninth field of an applicant
            whole[..whole.len() - 3].to_vec(), // cut short
        ] {
            assert_eq!(Ask::read(&message), None, "{message:?}");
        }
        assert_eq!(asks_of(&[0x0a, 9, 1]).1.collect::<Vec<_>>(), [None]);
    }
}
