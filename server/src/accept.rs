//! Accepting connections: a bounded number, each with a deadline for its first bytes, and a pause when the system has
//! no descriptors left. Knows nothing of what is spoken on them.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, Sleep, sleep_until},
};
use tracing::{info, warn};

use crate::limits::{
    ACCEPT_PAUSE, CONNECTIONS_MAX, DESCRIPTORS_RESERVED, FIRST_BYTES_WITHIN, OPERATOR_CONNECTIONS_MAX,
};

/// Bytes after which a peer is believed to speak: HTTP/2's preface has 24.
const FIRST_BYTES: usize = 16;
/// One in so many connections is kept for operators.
const OPERATORS_SHARE: usize = 16;
/// Longer than any connection lives.
const NO_END: Duration = Duration::MAX;

/// A listener that hands out a bounded number of connections.
#[derive(Debug)]
pub struct Acceptor {
    listener: TcpListener,
    places: Arc<Semaphore>,
    life: Duration,
    failing: bool,
}

impl Acceptor {
    /// At most so many connections at a time, each living as long as it likes.
    #[must_use]
    pub fn new(listener: TcpListener, connections_max: usize) -> Self {
        Self { listener, places: Arc::new(Semaphore::new(connections_max)), life: NO_END, failing: false }
    }

    /// Ends each connection after so long.
    #[must_use]
    pub fn with_life(mut self, life: Duration) -> Self {
        self.life = life;
        self
    }

    /// The next connection. One too many is closed at once.
    pub async fn next(&mut self) -> Arrival {
        loop {
            match self.listener.accept().await.and_then(|(stream, _)| stream.into_std()) {
                Ok(stream) => {
                    if std::mem::take(&mut self.failing) {
                        info!("connections are accepted again");
                    }
                    // A connection without it is slower and no less right.
                    let _ = stream.set_nodelay(true);
                    if let Ok(place) = self.places.clone().try_acquire_owned() {
                        return Arrival { stream, place, life: self.life };
                    }
                }
                Err(error) => {
                    if !std::mem::replace(&mut self.failing, true) {
                        warn!(%error, "no connection can be accepted");
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

impl axum::serve::Listener for Acceptor {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        loop {
            let arrival = self.next().await;
            if let Ok(peer) = arrival.stream.peer_addr()
                && let Ok(connection) = arrival.open()
            {
                return (connection, peer);
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that no runtime serves yet.
#[derive(Debug)]
pub struct Arrival {
    stream: std::net::TcpStream,
    place: OwnedSemaphorePermit,
    life: Duration,
}

impl Arrival {
    /// Hands it to the runtime this is called on.
    ///
    /// # Errors
    /// When that has no room for it.
    pub fn open(self) -> io::Result<Connection> {
        Ok(Connection::new(TcpStream::from_std(self.stream)?, self.place, self.life))
    }
}

/// Raises the soft limit of descriptors to the hard one, and says how many connections that carries: for services, and
/// for operators.
#[must_use]
pub fn connections_allowed() -> (usize, usize) {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current < limit.maximum {
        limit.current = limit.maximum;
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            warn!(%error, "the limit of descriptors stays as it is");
        }
    }
    let descriptors = getrlimit(Resource::Nofile)
        .current
        .map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX));
    shares(descriptors)
}

/// Operators get a small share: they are few, and services must not lack what they do not use.
fn shares(descriptors: usize) -> (usize, usize) {
    let connections = descriptors.saturating_sub(DESCRIPTORS_RESERVED);
    let operators = (connections / OPERATORS_SHARE).clamp(1, OPERATOR_CONNECTIONS_MAX);
    (connections.saturating_sub(operators).clamp(1, CONNECTIONS_MAX), operators)
}

/// A connection with its place among the allowed ones, and the time it has.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    /// Until the first bytes are there: their deadline. Then the end of the connection, if it has one.
    deadline: Option<Pin<Box<Sleep>>>,
    ends_at: Option<Instant>,
    first_bytes_missing: usize,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    fn new(stream: TcpStream, place: OwnedSemaphorePermit, life: Duration) -> Self {
        let now = Instant::now();
        Self {
            stream,
            deadline: Some(Box::pin(sleep_until(now + FIRST_BYTES_WITHIN.min(life)))),
            ends_at: (life != NO_END).then(|| now + life),
            first_bytes_missing: FIRST_BYTES,
            _place: place,
        }
    }

    fn note(&mut self, read: usize) {
        self.first_bytes_missing = self.first_bytes_missing.saturating_sub(read);
        if self.first_bytes_missing == 0 {
            match self.ends_at {
                Some(ends_at) => {
                    if let Some(deadline) = &mut self.deadline {
                        deadline.as_mut().reset(ends_at);
                    }
                }
                None => self.deadline = None,
            }
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match Pin::new(&mut self.stream).poll_read(cx, buffer) {
            Poll::Ready(result) => {
                if self.first_bytes_missing > 0 {
                    self.note(buffer.filled().len() - before);
                }
                Poll::Ready(result)
            }
            Poll::Pending => match &mut self.deadline {
                Some(deadline) => deadline.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into())),
                None => Poll::Pending,
            },
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    /// Answers are short: one piece of memory goes out by a cheaper call of the system than many.
    fn is_write_vectored(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_shared_between_services_and_operators() {
        for (descriptors, shared) in [
            (0, (1, 1)),
            (DESCRIPTORS_RESERVED + 16, (15, 1)),
            (20_000, (CONNECTIONS_MAX, OPERATOR_CONNECTIONS_MAX)),
            (usize::MAX, (CONNECTIONS_MAX, OPERATOR_CONNECTIONS_MAX)),
        ] {
            assert_eq!(shares(descriptors), shared, "{descriptors}");
        }
    }
}
