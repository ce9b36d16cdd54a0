//! What a peer sends on a stream: as a body that generated code reads, or as the one message in it.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use h2::RecvStream;
use http_body::{Body, Frame, SizeHint};

use super::encode::PREFIX_BYTES;

/// A body that is still coming in, with what was read of it before.
#[derive(Debug)]
pub(super) struct Inbound {
    first: Option<Bytes>,
    stream: RecvStream,
    data_ended: bool,
}

/// Bytes of the message that a prefix announces; `None`: it is compressed.
pub(super) fn plain_length([is_compressed, length @ ..]: [u8; PREFIX_BYTES]) -> Option<usize> {
    usize::try_from(u32::from_be_bytes(length)).ok().filter(|_| is_compressed == 0)
}

/// All of a body.
#[derive(Debug)]
pub(super) enum Gathered {
    /// It is one plain message, with its prefix.
    Message(Bytes, RecvStream),
    /// It is something else, as it came.
    Other(Inbound),
}

impl Inbound {
    pub(super) const fn new(first: Option<Bytes>, stream: RecvStream) -> Self {
        Self { first, stream, data_ended: false }
    }

    /// The message in a body, once all of it is there, if it is plain and has at most so many bytes. Waits.
    pub(super) async fn gather(mut stream: RecvStream, bytes_max: usize) -> Gathered {
        let mut body = BytesMut::new();
        let mut length = None;
        while length.is_none_or(|length| body.len() <= length) {
            match stream.data().await {
                Some(Ok(data)) => {
                    // An error is a stream that is over: nobody sends on it.
                    let _ = stream.flow_control().release_capacity(data.len());
                    body.extend_from_slice(&data);
                }
                // Whoever reads on is told the error.
                Some(Err(_)) => break,
                None if Some(body.len()) == length => {
                    return Gathered::Message(body.freeze(), stream);
                }
                None => break,
            }
            if let (None, Some((prefix, _))) = (length, body.split_first_chunk::<PREFIX_BYTES>()) {
                let Some(announced) = plain_length(*prefix).filter(|long| *long <= bytes_max) else { break };
                length = Some(PREFIX_BYTES + announced);
                body.reserve((PREFIX_BYTES + announced).saturating_sub(body.len()));
            }
        }
        Gathered::Other(Self { first: Some(body.freeze()), stream, data_ended: false })
    }

    /// A body whose data were gathered.
    pub(super) const fn again(body: Bytes, stream: RecvStream) -> Self {
        Self { first: Some(body), stream, data_ended: true }
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
