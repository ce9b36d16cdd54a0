//! The least of an answer that a run must know, read from its bytes without making anything of the rest: which outcome,
//! why, and the registration's id and time. What the answers mean is verified later, through the SDK.

use kuota_api::v1::RefusalReason;
use uuid::Uuid;

/// What became of an ask.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// A registration.
    Granted {
        /// Its id.
        id: u128,
        /// When it was granted, by the server.
        create_time_ms: i64,
    },
    /// A refusal.
    Refused {
        /// Why.
        reason: RefusalReason,
        /// When to ask again, if it says so.
        retry_after_ms: Option<u32>,
    },
    /// A gRPC error, of a call or of an item of a batch.
    Failed {
        /// Its code.
        code: u8,
    },
}

/// gRPC's UNKNOWN: also what is said of an answer that makes no sense.
pub const UNKNOWN: u8 = 2;
const NONSENSE: Outcome = Outcome::Failed { code: UNKNOWN };

/// Reads a `RegisterResponse`.
#[must_use]
pub fn read_register(message: &[u8]) -> Outcome {
    for field in Fields(message) {
        match field {
            Some(Field { number: 1, value: Value::Bytes(bytes) }) => return registration(bytes),
            Some(Field { number: 2, value: Value::Bytes(bytes) }) => return refusal(bytes),
            Some(_) => {}
            None => return NONSENSE,
        }
    }
    NONSENSE
}

/// Reads the items of a `RegisterBatchResponse`, which must stand in the order of the asks: one a `request_id`. An item
/// that is missing or is another ask's makes no sense, and neither does any beyond the last ask's.
pub fn read_batch(message: &[u8], request_ids: impl Iterator<Item = u128>) -> impl Iterator<Item = Outcome> {
    let mut items = Fields(message).filter_map(|field| match field {
        Some(Field { number: 1, value: Value::Bytes(bytes) }) => Some(item(bytes)),
        Some(_) => None,
        None => Some((None, NONSENSE)),
    });
    let mut request_ids = request_ids.fuse();
    std::iter::from_fn(move || match (request_ids.next(), items.next()) {
        (Some(asked), Some((Some(found), outcome))) if asked == found => Some(outcome),
        (None, None) => None,
        (Some(_), _) | (None, Some(_)) => Some(NONSENSE),
    })
}

/// The `request_id` of an item, and its outcome.
fn item(message: &[u8]) -> (Option<u128>, Outcome) {
    let mut request_id = None;
    for field in Fields(message) {
        let outcome = match field {
            Some(Field { number: 1, value: Value::Bytes(bytes) }) => {
                request_id = uuid(bytes);
                continue;
            }
            Some(Field { number: 2, value: Value::Bytes(bytes) }) => registration(bytes),
            Some(Field { number: 3, value: Value::Bytes(bytes) }) => refusal(bytes),
            Some(Field { number: 4, value: Value::Bytes(bytes) }) => {
                let code = number(bytes, 1).and_then(|code| u8::try_from(code).ok());
                Outcome::Failed { code: code.unwrap_or(UNKNOWN) }
            }
            Some(_) => continue,
            None => NONSENSE,
        };
        return (request_id, outcome);
    }
    (request_id, NONSENSE)
}

fn uuid(text: &[u8]) -> Option<u128> {
    Uuid::try_parse_ascii(text).ok().map(|id| id.as_u128())
}

fn registration(message: &[u8]) -> Outcome {
    let id = bytes(message, 1).and_then(uuid);
    let time = bytes(message, 11).map(|time| {
        let (seconds, nanos) = (number(time, 1).unwrap_or(0), number(time, 2).unwrap_or(0));
        seconds.cast_signed() * 1_000 + nanos.cast_signed() / 1_000_000
    });
    match (id, time) {
        (Some(id), Some(create_time_ms)) => Outcome::Granted { id, create_time_ms },
        _ => NONSENSE,
    }
}

fn refusal(message: &[u8]) -> Outcome {
    let reason = number(message, 1).and_then(|reason| i32::try_from(reason).ok()).unwrap_or(0);
    let retry_after_ms = bytes(message, 5).map(|span| {
        let (seconds, nanos) = (number(span, 1).unwrap_or(0), number(span, 2).unwrap_or(0));
        u32::try_from(seconds.saturating_mul(1_000) + nanos / 1_000_000).unwrap_or(u32::MAX)
    });
    // A reason that is not known is final, as for every client: it counts as unspecified.
    let reason = RefusalReason::try_from(reason).unwrap_or(RefusalReason::Unspecified);
    Outcome::Refused { reason, retry_after_ms }
}

fn bytes(message: &[u8], wanted: u64) -> Option<&[u8]> {
    Fields(message).find_map(|field| match field? {
        Field { number, value: Value::Bytes(bytes) } if number == wanted => Some(bytes),
        Field { .. } => None,
    })
}

fn number(message: &[u8], wanted: u64) -> Option<u64> {
    Fields(message).find_map(|field| match field? {
        Field { number, value: Value::Number(value) } if number == wanted => Some(value),
        Field { .. } => None,
    })
}

struct Field<'a> {
    number: u64,
    value: Value<'a>,
}

enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Fixed,
}

/// Walks the fields of a message; `None` once, where it is not well-formed.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Option<Field<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field)
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Option<Field<'a>> {
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => Value::Number(self.varint()?),
            1 => self.take(8).map(|_| Value::Fixed)?,
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Value::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Value::Fixed)?,
            _ => return None,
        };
        Some(Field { number: tag >> 3, value })
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use kuota_api::v1::{
        Refusal, RegisterBatchItem, RegisterBatchResponse, RegisterResponse, Registration,
        register_batch_item, register_response,
    };
    use prost::Message as _;

    use super::*;

    const ID: u128 = 0x0193_5f3e_7b2a_7cc0_9b1e_3f2a_5d6c_7e8f;

    fn granted() -> Registration {
        Registration {
            id: Uuid::from_u128(ID).to_string(),
            code: "ACFXH2VC".into(),
            office_id: "kanim-pontianak".into(),
            queue_number: 300,
            durable: Some(true),
            create_time: Some(prost_types::Timestamp { seconds: 1_795_762_800, nanos: 12_000_000 }),
            ..Registration::default()
        }
    }

    fn refused() -> Refusal {
        Refusal {
            reason: RefusalReason::Busy.into(),
            message: "try again".into(),
            retry_after: Some(prost_types::Duration { seconds: 1, nanos: 250_000_000 }),
            ..Refusal::default()
        }
    }

    #[test]
    fn answers_are_read_as_prost_writes_them() {
        let outcome = Some(register_response::Outcome::Registration(granted()));
        let yes = RegisterResponse { outcome, server_time: None };
        let expected = Outcome::Granted { id: ID, create_time_ms: 1_795_762_800_012 };
        assert_eq!(read_register(&yes.encode_to_vec()), expected);
        let outcome = Some(register_response::Outcome::Refusal(refused()));
        let no = RegisterResponse { outcome, server_time: None };
        let expected_no = Outcome::Refused { reason: RefusalReason::Busy, retry_after_ms: Some(1_250) };
        assert_eq!(read_register(&no.encode_to_vec()), expected_no);
    }

    #[test]
    fn items_of_a_batch_stand_in_the_order_of_its_asks() {
        let id = |number: u128| Uuid::from_u128(number);
        let item = |number, outcome| RegisterBatchItem {
            request_id: id(number).to_string(),
            outcome: Some(outcome),
        };
        let yes = item(1, register_batch_item::Outcome::Registration(granted()));
        let no = item(2, register_batch_item::Outcome::Refusal(refused()));
        let (granted, refused) = (
            Outcome::Granted { id: ID, create_time_ms: 1_795_762_800_012 },
            Outcome::Refused { reason: RefusalReason::Busy, retry_after_ms: Some(1_250) },
        );
        for (items, expected) in [
            (vec![yes.clone(), no.clone()], vec![granted, refused]),
            (vec![no.clone(), yes.clone()], vec![NONSENSE, NONSENSE]),
            (vec![yes.clone()], vec![granted, NONSENSE]),
            (vec![yes.clone(), no.clone(), no.clone()], vec![granted, refused, NONSENSE]),
            (vec![no, yes.clone(), yes], vec![NONSENSE, NONSENSE, NONSENSE]),
        ] {
            let batch = RegisterBatchResponse { items, server_time: None }.encode_to_vec();
            let found: Vec<_> = read_batch(&batch, [1, 2].into_iter()).collect();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn what_is_cut_short_is_no_answer() {
        let outcome = Some(register_response::Outcome::Registration(granted()));
        let bytes = RegisterResponse { outcome, server_time: None }.encode_to_vec();
        for length in 0..bytes.len() {
            assert_eq!(read_register(&bytes[..length]), NONSENSE);
        }
    }
}
