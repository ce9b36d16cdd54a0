//! What a service answers, as frames of a stream: head, data as the peer makes room for it, trailers.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use h2::{SendStream, server::SendResponse};
use http::{HeaderMap, HeaderValue, Response, header::CONTENT_TYPE};
use http_body::{Body as _, Frame};
use tonic::{Status, body::Body};

use super::meter::{Call, STATUS, UNKNOWN, code};

/// The head of an answer that is well.
pub(super) fn head<T>(body: T) -> Response<T> {
    let mut head = Response::new(body);
    head.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    head
}

/// The trailers of an answer that is well.
pub(super) fn trailers() -> HeaderMap {
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert(STATUS.clone(), HeaderValue::from_static("0"));
    trailers
}

/// The body of an answer that is one message, encoded already.
#[derive(Debug)]
pub(super) struct Sealed {
    message: Option<Bytes>,
    is_over: bool,
}

impl Sealed {
    /// An answer with that message.
    pub(super) fn response(message: Bytes) -> Response<Body> {
        head(Body::new(Self { message: Some(message), is_over: false }))
    }
}

impl http_body::Body for Sealed {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Poll::Ready(match self.message.take() {
            Some(message) => Some(Ok(Frame::data(message))),
            None if std::mem::replace(&mut self.is_over, true) => None,
            None => Some(Ok(Frame::trailers(trailers()))),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.is_over
    }
}

/// Sends an answer to its end, and ends its call with the status that the trailers tell. Whoever goes away in the middle
/// has cancelled it.
pub(super) async fn send(
    response: Response<Body>,
    mut respond: SendResponse<Bytes>,
    mut call: Option<Call>,
) -> Result<(), h2::Error> {
    let (head, body) = response.into_parts();
    let head = Response::from_parts(head, ());
    if body.is_end_stream() {
        respond.send_response(head, true)?;
        return Ok(());
    }
    let mut stream = respond.send_response(head, false)?;
    let mut body = pin!(body);
    loop {
        let frame = match poll_fn(|cx| next(&mut stream, body.as_mut(), cx)).await? {
            None => {
                end(&mut call, Some(UNKNOWN));
                return stream.send_data(Bytes::new(), true);
            }
            Some(Err(_)) => {
                end(&mut call, Some(UNKNOWN));
                stream.send_reset(h2::Reason::INTERNAL_ERROR);
                return Ok(());
            }
            Some(Ok(frame)) => frame,
        };
        match frame.into_data() {
            Ok(data) => {
                let is_last = body.is_end_stream();
                if !data.is_empty() {
                    // A token of room is enough to go on: one message is buffered at most.
                    stream.reserve_capacity(1);
                    poll_fn(|cx| has_room(&mut stream, cx)).await?;
                }
                stream.send_data(data, is_last)?;
                if is_last {
                    end(&mut call, Some(UNKNOWN));
                    return Ok(());
                }
            }
            Err(frame) => {
                if let Ok(trailers) = frame.into_trailers() {
                    end(&mut call, code(&trailers));
                    stream.reserve_capacity(0);
                    return stream.send_trailers(trailers);
                }
            }
        }
    }
}

fn end(call: &mut Option<Call>, said: Option<usize>) {
    if let Some(call) = call.take() {
        call.end(said.unwrap_or(UNKNOWN));
    }
}

/// The next frame; an error once the peer wants no more.
fn next(
    stream: &mut SendStream<Bytes>,
    body: Pin<&mut Body>,
    cx: &mut Context<'_>,
) -> Poll<Result<Option<Result<Frame<Bytes>, Status>>, h2::Error>> {
    if let Poll::Ready(reason) = stream.poll_reset(cx) {
        return Poll::Ready(Err(reason?.into()));
    }
    body.poll_frame(cx).map(Ok)
}

fn has_room(stream: &mut SendStream<Bytes>, cx: &mut Context<'_>) -> Poll<Result<(), h2::Error>> {
    while stream.capacity() == 0 {
        match ready!(stream.poll_capacity(cx)) {
            Some(room) => drop(room?),
            // The stream is over.
            None => return Poll::Ready(Err(h2::Reason::CANCEL.into())),
        }
    }
    Poll::Ready(Ok(()))
}
