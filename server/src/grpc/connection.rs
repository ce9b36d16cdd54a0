//! One HTTP/2 connection: one task that reads its frames, begins its calls, carries them on and writes their answers.
//! What the peer sent in one go is answered in one go. Knows nothing of what the calls are about.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker, ready},
    time::Instant,
};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream::FuturesUnordered, task::AtomicWaker};
use h2::{
    Ping, PingPong, RecvStream,
    server::{Builder, SendResponse},
};
use http::Request;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tracing::debug;

use crate::{
    accept::Connection,
    limits::{
        CALLS_PER_ROUND_MAX, FIRST_BYTES_WITHIN, HEADER_LIST_BYTES_MAX, KEEPALIVE_EVERY, KEEPALIVE_TIMEOUT,
        LOCAL_RESETS_MAX, RECEIVE_WINDOW_BYTES, ROUNDS_PER_POLL_MAX, SEND_BUFFER_BYTES_MAX,
        STREAMS_PER_CONNECTION_MAX,
    },
};

/// A call as it comes in, and the way back.
pub(super) type Incoming = (Request<RecvStream>, SendResponse<Bytes>);

/// A call that is not answered yet.
pub(super) type UnderWay = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Begins a call: whatever cannot be answered at once is carried on by the connection.
pub(super) trait Begin {
    /// Whether a call goes before all others that came in.
    fn goes_first(&self, call: &Incoming) -> bool;

    /// Must not wait. The context is the connection's: what wakes it has the connection polled again, not the call.
    fn begin(&mut self, call: Incoming, came: Instant, cx: &mut Context<'_>) -> Option<UnderWay>;

    /// Answers calls that were begun and are kept here, as far as that goes without waiting.
    fn carry_on(&mut self, cx: &mut Context<'_>);
}

/// Serves a connection until it ends; once `closing` says so, until its calls are answered.
pub(super) async fn serve(socket: Connection, desk: &mut impl Begin, closing: watch::Receiver<bool>) {
    let handshake = Builder::new()
        .initial_window_size(RECEIVE_WINDOW_BYTES)
        .initial_connection_window_size(RECEIVE_WINDOW_BYTES)
        .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX)
        .max_local_error_reset_streams(Some(LOCAL_RESETS_MAX))
        .max_header_list_size(HEADER_LIST_BYTES_MAX)
        .max_send_buffer_size(SEND_BUFFER_BYTES_MAX)
        .handshake(socket);
    // Apart: what it takes is needed once, and a connection lasts.
    let mut link = match Box::pin(timeout(FIRST_BYTES_WITHIN, handshake)).await {
        Ok(Ok(link)) => link,
        Ok(Err(error)) => return debug!(%error, "a connection failed before its first call"),
        Err(_) => return debug!("a connection did not open in time"),
    };
    let heard = Arc::new(AtomicBool::new(true));
    let mut session =
        Session { tasks: FuturesUnordered::new(), arrived: VecDeque::with_capacity(1), heard, desk };
    if let Some(ping_pong) = link.ping_pong() {
        session.tasks.push(Task::Watch(Box::pin(until_silent(ping_pong, session.heard.clone()))));
    }
    session.tasks.push(Task::Watch(Box::pin(until_closing(closing))));
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(bell.clone());
    let ended = std::future::poll_fn(|cx| bell.answer(&waker, cx, |cx| session.poll(&mut link, cx))).await;
    if let Err(error) = ended {
        debug!(%error, "a connection failed");
    }
}

/// What a connection is told.
enum Sign {
    /// A call ended.
    Ended,
    /// No new calls.
    Closing,
    /// The peer does not answer.
    Silent,
}

/// What runs on a connection.
enum Task {
    Call(UnderWay),
    Watch(Pin<Box<dyn Future<Output = Sign> + Send>>),
}

impl Future for Task {
    type Output = Sign;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Sign> {
        match self.get_mut() {
            Self::Call(call) => call.as_mut().poll(cx).map(|()| Sign::Ended),
            Self::Watch(watch) => watch.as_mut().poll(cx),
        }
    }
}

/// Wakes a connection. What a connection does to itself while it is polled, as an answer that shall be written, has it
/// go on at once instead of queueing behind all others, when its memory is no longer at hand.
#[derive(Debug, Default)]
struct Bell {
    polled: AtomicBool,
    rung: AtomicBool,
    task: AtomicWaker,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // SeqCst, here and in `answer`: either this sees that nobody polls, or whoever polls sees this.
        self.rung.store(true, Ordering::SeqCst);
        if !self.polled.load(Ordering::SeqCst) {
            self.task.wake();
        }
    }
}

impl Bell {
    /// Polls until nothing rings, or for a bounded number of rounds.
    fn answer<T>(
        self: &Arc<Self>,
        waker: &Waker,
        cx: &Context<'_>,
        mut round: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        self.task.register(cx.waker());
        self.polled.store(true, Ordering::SeqCst);
        for _ in 0..ROUNDS_PER_POLL_MAX {
            self.rung.store(false, Ordering::SeqCst);
            if let Poll::Ready(over) = round(&mut Context::from_waker(waker)) {
                return Poll::Ready(over);
            }
            if !self.rung.load(Ordering::SeqCst) {
                break;
            }
        }
        self.polled.store(false, Ordering::SeqCst);
        // It rang at the last moment, or goes on ringing: others first.
        if self.rung.load(Ordering::SeqCst) {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

struct Session<'a, D> {
    /// Calls under way, as many as there may be streams, and two watches. Woken one by one.
    tasks: FuturesUnordered<Task>,
    /// Calls that came in and are not begun, and when: as many as there may be streams.
    arrived: VecDeque<(Incoming, Instant)>,
    heard: Arc<AtomicBool>,
    desk: &'a mut D,
}

impl<D: Begin> Session<'_, D> {
    fn poll(
        &mut self,
        link: &mut h2::server::Connection<Connection, Bytes>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), h2::Error>> {
        // First all that came in, then all answers: asking for the next call writes the answers before it.
        let mut came = None;
        let is_over = loop {
            match link.poll_accept(cx) {
                Poll::Ready(Some(Ok(call))) => {
                    let came = *came.get_or_insert_with(Instant::now);
                    if self.desk.goes_first(&call) {
                        self.arrived.push_front((call, came));
                    } else {
                        self.arrived.push_back((call, came));
                    }
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error)),
                Poll::Ready(None) => break true,
                Poll::Pending => break false,
            }
        };
        if came.is_some() {
            self.heard.store(true, Ordering::Relaxed);
        }
        for (call, came) in self.arrived.drain(..self.arrived.len().min(CALLS_PER_ROUND_MAX)) {
            self.tasks.extend(self.desk.begin(call, came, cx).map(Task::Call));
        }
        if !self.arrived.is_empty() {
            // Others have their turn, and then it goes on with these.
            cx.waker().wake_by_ref();
        }
        self.desk.carry_on(cx);
        while let Poll::Ready(Some(sign)) = self.tasks.poll_next_unpin(cx) {
            match sign {
                Sign::Ended => {}
                Sign::Closing => {
                    link.graceful_shutdown();
                    // It has not seen that it shall close.
                    cx.waker().wake_by_ref();
                }
                // Nobody is left to say goodbye to.
                Sign::Silent => return Poll::Ready(Ok(())),
            }
        }
        // An answer wakes the connection, which then writes it.
        if is_over { Poll::Ready(Ok(())) } else { Poll::Pending }
    }
}

async fn until_closing(mut closing: watch::Receiver<bool>) -> Sign {
    // An error means that the server is gone: closed as well.
    let _ = closing.wait_for(|closing| *closing).await;
    Sign::Closing
}

/// Asks a peer that sends no calls whether it is still there.
async fn until_silent(mut ping_pong: PingPong, heard: Arc<AtomicBool>) -> Sign {
    loop {
        sleep(KEEPALIVE_EVERY).await;
        if heard.swap(false, Ordering::Relaxed) {
            continue;
        }
        let asked = async {
            ping_pong.send_ping(Ping::opaque())?;
            std::future::poll_fn(|cx| {
                ready!(ping_pong.poll_pong(cx))?;
                Poll::Ready(Ok::<_, h2::Error>(()))
            })
            .await
        };
        // A link that is over ends by itself.
        if timeout(KEEPALIVE_TIMEOUT, asked).await.is_err() {
            return Sign::Silent;
        }
    }
}
