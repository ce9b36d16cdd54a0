//! `Register` without the detour through generated code, for an ask that came in whole with its head: read where it
//! lies, begun at once, and answered in the same breath unless the ledger is asked. Everything else, and everything odd,
//! goes the generated way, which knows what to say.

use std::{
    cell::OnceCell,
    task::{Context, Poll},
};

use bytes::Bytes;
use h2::{RecvStream, server::SendResponse};
use http::HeaderMap;
use kuota_domain::{ids::RequestKey, refusal::Refusal, time::UnixMillis};
use prost::Message;
use tonic::Status;

use super::{
    Api,
    ask::Ask,
    convert, deadline,
    desk::is_encoded,
    encode::{
        ALTERNATIVES_BYTES_USUAL, PREFIX_BYTES, REGISTRATION_BYTES_USUAL, framed, instant, registration,
    },
    inbound::{Inbound, plain_length},
    language::Language,
    meter::{Call, OK, UNAVAILABLE},
    outbound::{head, trailers},
    overloaded::Overloaded,
    registration::ANONYMOUS,
    status::refusal,
    waiting::{Held, Waiting},
};
use crate::{
    engine::{Answer, Failure, Origin, Wanted, Wish},
    limits::ASK_BYTES_AT_ONCE_MAX,
    wire::nested,
};

/// Bytes of what follows the outcome in an answer: the server's time.
const REST_BYTES_USUAL: usize = 16;

/// What was read of an ask.
pub(super) enum Read {
    /// All of it: a wish, or what is wrong with it.
    Whole(Result<Wish, Status>),
    /// Not all of it, or it is none.
    Other(Inbound),
}

/// Reads an ask if it is there.
pub(super) fn read(headers: &HeaderMap, mut stream: RecvStream, cx: &mut Context<'_>) -> Read {
    if is_encoded(headers) {
        return Read::Other(Inbound::new(None, stream));
    }
    let Poll::Ready(Some(Ok(data))) = stream.poll_data(cx) else {
        return Read::Other(Inbound::new(None, stream));
    };
    // Many send the end by itself.
    let is_whole = stream.is_end_stream() || matches!(stream.poll_data(cx), Poll::Ready(None));
    let asked = is_whole.then(|| message(&data)).flatten().and_then(Ask::read);
    match asked.map(|ask| convert::wish(&ask, ANONYMOUS)) {
        Some(wish) => Read::Whole(wish),
        None => Read::Other(Inbound::new(Some(data), stream)),
    }
}

/// The message in a body, if that is plain and short and has no other.
fn message(body: &Bytes) -> Option<&[u8]> {
    let (prefix, message) = body.split_first_chunk::<PREFIX_BYTES>()?;
    let fits = plain_length(*prefix) == Some(message.len());
    (fits && message.len() <= ASK_BYTES_AT_ONCE_MAX).then_some(message)
}

/// An ask that was read and is not begun, and the way back.
pub(super) struct Asked {
    pub(super) wish: Result<Wish, Status>,
    pub(super) headers: HeaderMap,
    pub(super) respond: SendResponse<Bytes>,
    pub(super) call: Call,
}

/// Begins asks, and answers what the ledger need not be asked.
#[derive(Debug)]
pub(super) struct Quick {
    api: Api,
    /// Why most are refused on a Friday, encoded but for the alternatives: in English and in Indonesian.
    sold_out: [Bytes; 2],
    overloaded: Overloaded,
}

impl Quick {
    pub(super) fn new(api: Api) -> Self {
        let sold_out = [Language::English, Language::Indonesian]
            .map(|language| refusal(&Refusal::SoldOut, UnixMillis(0), None, language).encode_to_vec().into());
        Self { api, sold_out, overloaded: Overloaded::new() }
    }

    /// Answers asks that came together, or has them wait.
    pub(super) fn register_all(&self, asked: Vec<Asked>, from: &Origin, waiting: &mut Waiting) {
        let directory = (asked.len() > 1).then(|| self.api.engine.directory());
        let mut asked = asked.into_iter();
        for at in 0..asked.len() {
            if let Some(directory) = &directory {
                directory.look_ahead(at, asked.as_mut_slice(), |asked| asked.wish.as_mut().ok());
            }
            asked.next().into_iter().for_each(|asked| self.register(asked, from, waiting));
        }
    }

    fn register(&self, asked: Asked, from: &Origin, waiting: &mut Waiting) {
        let Asked { wish, headers, mut respond, call } = asked;
        let wish = match wish {
            Ok(wish) => wish,
            Err(status) => return send(Err(status), respond, call),
        };
        let language = Language::of_headers(&headers);
        let key = RequestKey { caller: wish.caller, id: wish.request_id };
        let now = self.api.engine.now();
        let answer = match self.api.engine.begin(wish, from, now, waiting.next()) {
            Some(Err(Failure::Refused(Refusal::SoldOut, wanted))) => Ok(self.sold_out(wanted, language, now)),
            Some(Err(Failure::Overloaded(pushback))) => {
                call.end(UNAVAILABLE);
                // An error is a caller that went away.
                let _ = respond.send_response(self.overloaded.head(pushback, language), true);
                return;
            }
            Some(answer) => self.response(answer, key, (language, now)),
            None => {
                let timeout = deadline::of(&headers);
                return waiting.hold(Held::new((respond, call), (key, language), timeout));
            }
        };
        send(answer, respond, call);
    }

    /// Sends what was begun to the ledger, as one.
    pub(super) fn post(&self, waiting: &mut Waiting) {
        self.api.engine.post(waiting.mailbox());
    }

    /// Answers those who wait, as far as there are answers.
    pub(super) fn carry_on(&self, waiting: &mut Waiting, cx: &mut Context<'_>) {
        let engine = &self.api.engine;
        let (mut now, directory) = (None, OnceCell::new());
        let look = |at, letters: &[(usize, Answer)]| {
            if at > 0 || letters.len() > 1 {
                let directory = directory.get_or_init(|| engine.directory());
                directory.look_ahead_to_tell(at, letters, |(_, answer)| answer);
            }
        };
        waiting.poll(cx, look, |Held { respond, call, key, language, .. }, answer| {
            let now = *now.get_or_insert_with(|| engine.now());
            let response = match answer {
                Some(answer) => self.response(engine.told(answer), key, (language, now)),
                None => Err(deadline::passed()),
            };
            send(response, respond, call);
        });
    }

    /// An answer as a `kuota.v1.RegisterResponse`.
    fn response(
        &self,
        answer: Answer,
        key: RequestKey,
        (language, now): (Language, UnixMillis),
    ) -> Result<Bytes, Status> {
        let granted = match answer {
            Ok(granted) => granted,
            refused => {
                let response = self.api.register_response(refused, key, language, now)?;
                return Ok(framed(response.encoded_len(), |out| {
                    // Writing to memory does not fail.
                    let _ = response.encode(out);
                }));
            }
        };
        let directory = self.api.engine.directory();
        Ok(framed(REGISTRATION_BYTES_USUAL + REST_BYTES_USUAL, |out| {
            nested(1, out, |out| registration(&granted, &directory, out));
            instant(3, now, out);
        }))
    }

    fn sold_out(&self, wanted: Option<Wanted>, language: Language, now: UnixMillis) -> Bytes {
        let [english, indonesian] = &self.sold_out;
        let prepared = match language {
            Language::English => english,
            Language::Indonesian => indonesian,
        };
        framed(prepared.len() + ALTERNATIVES_BYTES_USUAL + REST_BYTES_USUAL, |out| {
            nested(2, out, |out| {
                out.extend_from_slice(prepared);
                self.api.name_alternatives((wanted, None), now, out);
            });
            instant(3, now, out);
        })
    }
}

/// Sends an answer in one go. It is short, so that h2 may keep it until the peer makes room.
fn send(answer: Result<Bytes, Status>, mut respond: SendResponse<Bytes>, call: Call) {
    // An error is a caller that went away.
    let _ = match answer {
        Ok(message) => {
            call.end(OK);
            reply(message, &mut respond)
        }
        Err(status) => {
            call.end(i32::from(status.code()).unsigned_abs() as usize);
            respond.send_response(status.into_http(), true).map(drop)
        }
    };
}

fn reply(message: Bytes, respond: &mut SendResponse<Bytes>) -> Result<(), h2::Error> {
    let mut stream = respond.send_response(head(()), false)?;
    stream.send_data(message, false)?;
    stream.send_trailers(trailers())
}
