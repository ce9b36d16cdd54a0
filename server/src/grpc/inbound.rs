//! What a peer sends on a stream, as a body that generated code reads.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use h2::RecvStream;
use http_body::{Body, Frame, SizeHint};
/// A body that is still coming in, with what was read of it before.
#[derive(Debug)]
pub(super) struct Inbound {
    first: Option<Bytes>,
    stream: RecvStream,
    data_ended: bool,
}

impl Inbound {
    pub(super) const fn new(first: Option<Bytes>, stream: RecvStream) -> Self {
        Self { first, stream, data_ended: false }
    }

    /// Lets the peer send as much again.
    fn take(&mut self, data: Bytes) -> Frame<Bytes> {
        // An error is a stream that is over: nobody sends on it.
        let _ = self.stream.flow_control().release_capacity(data.len());
        Frame::data(data)
    }
}

impl Body for Inbound {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(self.take(first))));
        }
        if !self.data_ended {
            match ready!(self.stream.poll_data(cx)) {
                Some(Ok(data)) => return Poll::Ready(Some(Ok(self.take(data)))),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => self.data_ended = true,
            }
        }
        match ready!(self.stream.poll_trailers(cx)) {
            Ok(trailers) => Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers)))),
            Err(error) => Poll::Ready(Some(Err(error))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.stream.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
