//! One call under way: from the stream's first frame to its trailers. A future without a task or a timer of its own.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use h2::{RecvStream, client::ResponseFuture};
use http::HeaderMap;

use super::answer::UNKNOWN;
use crate::limits::ANSWER_BYTES_MAX;

/// gRPC's frame of a message.
const PREFIX: usize = 5;

/// Why there is no answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The server said so, by a code.
    Status(u8),
    /// The stream alone was reset: whether the call was carried out is not known.
    Reset,
    /// The connection broke: whether the call was carried out is not known.
    Broken,
}

impl From<&h2::Error> for Fault {
    fn from(error: &h2::Error) -> Self {
        if error.is_reset() { Self::Reset } else { Self::Broken }
    }
}

/// A call under way.
#[derive(Debug)]
pub(super) struct Call<L> {
    state: State,
    message: Bytes,
    /// What the call is, handed back with its answer; and where it stands in the table of open calls.
    pub(super) load: Option<(L, usize)>,
}

#[derive(Debug)]
enum State {
    Head(ResponseFuture),
    Body { stream: RecvStream, is_read: bool },
}

/// A call that is over.
#[derive(Debug)]
pub(super) struct Ended<L> {
    pub(super) load: L,
    pub(super) key: usize,
    pub(super) answer: Result<Bytes, Fault>,
}

impl<L> Call<L> {
    pub(super) fn new(response: ResponseFuture, load: L, key: usize) -> Self {
        Self { state: State::Head(response), message: Bytes::new(), load: Some((load, key)) }
    }

    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, Fault>> {
        loop {
            match &mut self.state {
                State::Head(response) => {
                    let response = match ready!(Pin::new(response).poll(cx)) {
                        Ok(response) => response,
                        Err(error) => return Poll::Ready(Err(Fault::from(&error))),
                    };
                    // An answer of trailers only: the status stands in the head.
                    if let Some(code) = status(response.headers())
                        && code != 0
                    {
                        return Poll::Ready(Err(Fault::Status(code)));
                    }
                    if response.status() != http::StatusCode::OK {
                        return Poll::Ready(Err(Fault::Status(UNKNOWN)));
                    }
                    self.state = State::Body { stream: response.into_body(), is_read: false };
                }
                State::Body { stream, is_read: is_read @ false } => match ready!(stream.poll_data(cx)) {
                    Some(Ok(data)) => {
                        if self.message.is_empty() {
                            self.message = data;
                        } else if self.message.len() + data.len() <= ANSWER_BYTES_MAX {
                            let mut whole = BytesMut::from(std::mem::take(&mut self.message));
                            whole.extend_from_slice(&data);
                            self.message = whole.freeze();
                        } else {
                            return Poll::Ready(Err(Fault::Status(UNKNOWN)));
                        }
                    }
                    Some(Err(error)) => return Poll::Ready(Err(Fault::from(&error))),
                    None => *is_read = true,
                },
                State::Body { stream, is_read: true } => {
                    let trailers = match ready!(stream.poll_trailers(cx)) {
                        Ok(Some(trailers)) => trailers,
                        Ok(None) => return Poll::Ready(Err(Fault::Status(UNKNOWN))),
                        Err(error) => return Poll::Ready(Err(Fault::from(&error))),
                    };
                    return Poll::Ready(match status(&trailers) {
                        Some(0) if self.message.len() >= PREFIX => Ok(self.message.slice(PREFIX..)),
                        Some(0) | None => Err(Fault::Status(UNKNOWN)),
                        Some(code) => Err(Fault::Status(code)),
                    });
                }
            }
        }
    }
}

impl<L: Unpin> Future for Call<L> {
    type Output = Ended<L>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Ended<L>> {
        let answer = ready!(self.poll_answer(cx));
        match self.load.take() {
            Some((load, key)) => Poll::Ready(Ended { load, key, answer }),
            None => Poll::Pending,
        }
    }
}

fn status(headers: &HeaderMap) -> Option<u8> {
    std::str::from_utf8(headers.get("grpc-status")?.as_bytes()).ok()?.parse().ok()
}
