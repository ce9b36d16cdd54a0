//! `RegisterBatch`, ask by ask: each is read where it lies and becomes a wish before the next is looked at, and each
//! answer is written before the next. A thousand messages in memory at once would cost more than their decisions.

use std::sync::Arc;

use bytes::Bytes;
use kuota_api::v1;
use kuota_domain::{ids::RequestKey, time::UnixMillis};
use prost::{Message as _, encoding::message};
use tonic::Status;
use uuid::Uuid;

use super::{
    Api,
    ask::{Ask, asks_of},
    convert::{self, Violations},
    encode::{REGISTRATION_BYTES_USUAL, framed, instant, registration, uuid},
    language::Language,
    registration::ANONYMOUS,
    status::status,
};
use crate::{
    engine::{Answer, Directory, Failure, Origin, Wish},
    limits::BATCH_ASKS_MAX,
    wire::{nested, text},
};

/// Bytes of an item, about: a registration and the id of its request.
const ITEM_BYTES_USUAL: usize = REGISTRATION_BYTES_USUAL + 48;

/// A batch that was read.
#[derive(Debug)]
pub(super) struct Batch {
    wishes: Vec<Wish>,
    /// One an ask, in their order.
    lines: Vec<Line>,
}

/// What is kept of an ask for its item.
#[derive(Debug)]
enum Line {
    /// It is a wish, and its id came as ids are written.
    Usual(u128),
    /// It is a wish, and its id came in another way: echoed as it came.
    Echoed(u128, Box<str>),
    /// It is none.
    Wrong(Box<str>, Box<Status>),
}

impl Batch {
    /// Reads a `kuota.v1.RegisterBatchRequest`; `None` where that has something this release does not declare.
    pub(super) fn read(message: &[u8]) -> Option<Result<Self, Status>> {
        let (length, asks) = asks_of(message);
        let mut batch = match Self::with_room(length) {
            Ok(batch) => batch,
            Err(status) => return Some(Err(status)),
        };
        for ask in asks {
            batch.push(&ask?);
        }
        Some(Ok(batch))
    }

    /// Reads what generated code has read.
    ///
    /// # Errors
    /// When there is no ask, or there are too many.
    pub(super) fn of(requests: &[v1::RegisterRequest]) -> Result<Self, Status> {
        let mut batch = Self::with_room(requests.len())?;
        requests.iter().for_each(|request| batch.push(&Ask::of(request)));
        Ok(batch)
    }

    fn with_room(asks: usize) -> Result<Self, Status> {
        let mut violations = Violations::default();
        if !(1..=BATCH_ASKS_MAX).contains(&asks) {
            violations.add("requests", format!("1 to {BATCH_ASKS_MAX} asks are allowed; found {asks}"));
        }
        violations.check()?;
        Ok(Self { wishes: Vec::with_capacity(asks), lines: Vec::with_capacity(asks) })
    }

    fn push(&mut self, ask: &Ask<'_>) {
        self.lines.push(match convert::wish(ask, ANONYMOUS) {
            Ok(wish) => {
                let id = wish.request_id;
                self.wishes.push(wish);
                let usual = Uuid::from_u128(id).hyphenated();
                if usual.encode_lower(&mut Uuid::encode_buffer()) == ask.request_id {
                    Line::Usual(id)
                } else {
                    Line::Echoed(id, ask.request_id.into())
                }
            }
            Err(status) => Line::Wrong(ask.request_id.into(), Box::new(status)),
        });
    }

    /// Asks for all of it. The answers are a `kuota.v1.RegisterBatchResponse`, as it is sent on a stream.
    pub(super) async fn answer(self, api: &Api, from: &Origin, language: Language) -> Bytes {
        let Self { wishes, lines } = self;
        let answers = api.engine.register_batch(wishes, from).await;
        // They come back together: each is told the same.
        let shed = answers.iter().find_map(|answer| match answer {
            Err(failure @ Failure::Overloaded(_)) => Some(detailed(&status(failure.clone(), language))),
            Ok(_) | Err(_) => None,
        });
        let mut answers = answers.into_iter();
        let directory = api.engine.directory();
        let (now, shed) = (api.engine.now(), shed.unwrap_or_default());
        let speaker = Speaker { api, directory, language, now, shed };
        let room = lines.len() * ITEM_BYTES_USUAL;
        framed(room, |out| {
            for (at, line) in lines.iter().enumerate() {
                speaker.directory.look_ahead_to_tell(at, answers.as_slice(), |answer| answer);
                nested(1, out, |out| speaker.item(line, || answers.next(), out));
            }
            instant(2, speaker.now, out);
        })
    }
}

/// Says what became of asks.
struct Speaker<'a> {
    api: &'a Api,
    directory: Arc<Directory>,
    language: Language,
    now: UnixMillis,
    /// What items are told that are shed.
    shed: tonic_types::pb::Status,
}

impl Speaker<'_> {
    /// Writes a `kuota.v1.RegisterBatchItem`.
    fn item(&self, line: &Line, answer: impl FnOnce() -> Option<Answer>, out: &mut Vec<u8>) {
        let id = match line {
            Line::Usual(id) => {
                uuid(1, *id, out);
                *id
            }
            Line::Echoed(id, echo) => {
                text(1, echo, out);
                *id
            }
            Line::Wrong(echo, status) => {
                text(1, echo, out);
                return error(status, out);
            }
        };
        match answer().unwrap_or(Err(Failure::Internal)) {
            Ok(granted) => nested(2, out, |out| registration(&granted, &self.directory, out)),
            Err(Failure::Refused(why, wanted)) => {
                let key = Some(RequestKey { caller: ANONYMOUS, id });
                message::encode(
                    3,
                    &self.api.refusal((&why, wanted, None), self.now, key, self.language),
                    out,
                );
            }
            Err(Failure::Overloaded(_)) => message::encode(4, &self.shed, out),
            Err(failure) => error(&status(failure, self.language), out),
        }
    }
}

/// Writes the status a single call would have failed with.
fn error(status: &Status, out: &mut Vec<u8>) {
    message::encode(4, &detailed(status), out);
}

/// A status as items have it.
fn detailed(status: &Status) -> tonic_types::pb::Status {
    // Ours all carry google.rpc.Status in their details.
    let detailed = tonic_types::pb::Status::decode(status.details()).unwrap_or_default();
    let (code, message) = (status.code().into(), status.message().to_owned());
    tonic_types::pb::Status { code, message, details: detailed.details }
}
