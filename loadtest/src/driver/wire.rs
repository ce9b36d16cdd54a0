//! Connections and the calls on them. HTTP/2 by `h2` alone: no task and no timer for a call. Owns streams, deadlines and
//! reconnecting; knows nothing of what a call is for.

use std::{
    collections::VecDeque,
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use h2::{Reason, SendStream, client::SendRequest};
use http::{HeaderValue, Method, Request, Version};
use slab::Slab;
use tokio::net::TcpStream;

use super::call::{Call, Fault};
use crate::limits::{CALLS_IN_A_ROW, CONNECTION_WINDOW_BYTES, RECONNECT_EVERY_US, STREAM_WINDOW_BYTES};

/// What is called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Procedure {
    /// `RegistrationService.Register`.
    Register,
    /// `RegistrationService.RegisterBatch`.
    RegisterBatch,
    /// `AvailabilityService.ListAvailability`.
    ListAvailability,
}

/// A call that is over.
#[derive(Debug)]
pub struct Done<L> {
    /// What it was.
    pub load: L,
    /// When it was sent.
    pub sent_us: i64,
    /// The message, or why there is none.
    pub answer: Result<Bytes, Fault>,
    /// It was given up by the client.
    pub timed_out: bool,
}

/// A call that was not sent, with its load.
#[derive(Debug)]
pub enum NotSent<L> {
    /// As many calls are under way as every connection takes.
    Full(L),
    /// No connection stands.
    Down(L),
}

type Sender = SendRequest<Bytes>;
type Connecting = Pin<Box<dyn Future<Output = (usize, io::Result<Sender>)> + Send>>;

#[derive(Debug)]
struct Link {
    sender: Option<Sender>,
    in_flight: usize,
    /// Calls of an earlier connection do not count for this one.
    generation: u32,
    retry_at_us: i64,
    is_connecting: bool,
}

impl Link {
    /// Whether it takes one more call: no more than we want, and no more than the server allows.
    fn has_room(&self, streams: usize) -> bool {
        let allowed = |sender: &Sender| self.in_flight < streams.min(sender.current_max_send_streams());
        self.sender.as_ref().is_some_and(allowed)
    }
}

/// Whether a connection is gone. What is the caller's own fault, as one stream too many, says nothing of it.
fn is_dead(error: &h2::Error) -> bool {
    error.is_io() || error.is_go_away() || error.is_reset() || error.reason().is_some()
}

#[derive(Debug)]
struct Open {
    stream: SendStream<Bytes>,
    link: usize,
    generation: u32,
    sent_us: i64,
    serial: u64,
    timed_out: bool,
}

/// Connections, and the calls under way on them.
pub struct Wire<L> {
    address: SocketAddr,
    links: Vec<Link>,
    streams: usize,
    next: usize,
    /// Calls given to it in a row.
    row: usize,
    heads: [Request<()>; 3],
    calls: FuturesUnordered<Call<L>>,
    open: Slab<Open>,
    /// Deadlines in the order they come: every call has the same time.
    deadlines: VecDeque<(i64, usize, u64)>,
    timeout_us: i64,
    serial: u64,
    connecting: FuturesUnordered<Connecting>,
    up: usize,
}

impl<L: Unpin> Wire<L> {
    /// Connects so many connections, each for so many calls at once. Call it within a runtime.
    ///
    /// # Errors
    /// When one of them cannot be had.
    pub async fn connect(
        address: SocketAddr,
        connections: usize,
        streams: usize,
        timeout_us: i64,
    ) -> io::Result<Self> {
        let mut links = Vec::with_capacity(connections);
        for _ in 0..connections {
            links.push(Link {
                sender: Some(dial(address, streams).await?),
                in_flight: 0,
                generation: 0,
                retry_at_us: i64::MIN,
                is_connecting: false,
            });
        }
        let head = |path: &str| head(address, path);
        Ok(Self {
            address,
            up: links.len(),
            links,
            streams,
            next: 0,
            row: 0,
            heads: [
                head("/kuota.v1.RegistrationService/Register")?,
                head("/kuota.v1.RegistrationService/RegisterBatch")?,
                head("/kuota.v1.AvailabilityService/ListAvailability")?,
            ],
            calls: FuturesUnordered::new(),
            open: Slab::new(),
            deadlines: VecDeque::new(),
            timeout_us,
            serial: 0,
            connecting: FuturesUnordered::new(),
        })
    }

    /// Calls under way.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.open.len()
    }

    /// Whether no connection stands.
    #[must_use]
    pub const fn is_down(&self) -> bool {
        self.up == 0
    }

    /// A connection with a stream to spare: in turn, with several calls in a row for each, so that they share a write.
    fn spare(&mut self) -> Option<usize> {
        for _ in 0..=self.links.len() {
            let link = self.next;
            let has_room = self.links[link].has_room(self.streams);
            self.row += 1;
            if self.row >= CALLS_IN_A_ROW || !has_room {
                self.turn();
            }
            if has_room {
                return Some(link);
            }
        }
        None
    }

    /// On to the next connection.
    const fn turn(&mut self) {
        self.next = if self.next + 1 == self.links.len() { 0 } else { self.next + 1 };
        self.row = 0;
    }

    /// Sends a call on the next connection that takes it; gives it back when none does.
    ///
    /// # Errors
    /// The load, when every connection is full or down.
    pub fn send(
        &mut self,
        method: Procedure,
        body: impl FnOnce(&L) -> Bytes,
        load: L,
        now_us: i64,
    ) -> Result<(), NotSent<L>> {
        for _ in 0..self.links.len() {
            let Some(index) = self.spare() else { break };
            let link = &mut self.links[index];
            let Some(sender) = link.sender.as_mut() else { continue };
            let (response, mut stream) = match sender.send_request(self.heads[method as usize].clone(), false)
            {
                Ok(sent) => sent,
                // A connection that died since: the next one may stand.
                Err(error) if is_dead(&error) => {
                    self.lose(index, now_us);
                    continue;
                }
                // It takes no more just now, and is well.
                Err(_) => continue,
            };
            // A stream that breaks here is told by its response.
            let _ = stream.send_data(body(&load), true);
            link.in_flight += 1;
            self.serial += 1;
            let (generation, serial) = (link.generation, self.serial);
            let open = Open { stream, link: index, generation, sent_us: now_us, serial, timed_out: false };
            let key = self.open.insert(open);
            self.deadlines.push_back((now_us + self.timeout_us, key, serial));
            self.calls.push(Call::new(response, load, key));
            return Ok(());
        }
        Err(if self.is_down() { NotSent::Down(load) } else { NotSent::Full(load) })
    }

    fn lose(&mut self, index: usize, now_us: i64) {
        let link = &mut self.links[index];
        if link.sender.take().is_some() {
            link.generation += 1;
            link.in_flight = 0;
            link.retry_at_us = now_us;
            self.up -= 1;
        }
    }

    /// The next call that is over.
    pub fn poll_done(&mut self, cx: &mut Context<'_>, now: impl Fn() -> i64) -> Poll<Done<L>> {
        match self.calls.poll_next_unpin(cx) {
            Poll::Ready(Some(ended)) => {
                let open = self.open.remove(ended.key);
                let link = &mut self.links[open.link];
                if link.generation == open.generation {
                    link.in_flight -= 1;
                    if ended.answer == Err(Fault::Broken) && !open.timed_out {
                        self.lose(open.link, now());
                    }
                }
                Poll::Ready(Done {
                    load: ended.load,
                    sent_us: open.sent_us,
                    answer: ended.answer,
                    timed_out: open.timed_out,
                })
            }
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }

    /// Gives up what is overdue, and connects anew what is down. Once a tick.
    pub fn tend(&mut self, cx: &mut Context<'_>, now_us: i64) {
        self.turn();
        while let Some((at_us, key, serial)) = self.deadlines.front().copied() {
            // Most calls are over by then: their entries go as they come to the front.
            let open = self.open.get_mut(key).filter(|open| open.serial == serial);
            match open {
                Some(_) if at_us > now_us => break,
                Some(open) => {
                    open.timed_out = true;
                    open.stream.send_reset(Reason::CANCEL);
                }
                None => {}
            }
            self.deadlines.pop_front();
        }
        while let Poll::Ready(Some((index, sender))) = self.connecting.poll_next_unpin(cx) {
            let link = &mut self.links[index];
            link.is_connecting = false;
            link.retry_at_us = now_us + RECONNECT_EVERY_US;
            if let Ok(sender) = sender {
                link.sender = Some(sender);
                self.up += 1;
            }
        }
        if self.up < self.links.len() {
            for (index, link) in self.links.iter_mut().enumerate() {
                if link.sender.is_none() && !link.is_connecting && link.retry_at_us <= now_us {
                    link.is_connecting = true;
                    let (address, streams) = (self.address, self.streams);
                    self.connecting.push(Box::pin(async move { (index, dial(address, streams).await) }));
                }
            }
        }
    }
}

impl<L> std::fmt::Debug for Wire<L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wire")
            .field("address", &self.address)
            .field("links", &self.links.len())
            .field("in_flight", &self.open.len())
            .finish_non_exhaustive()
    }
}

async fn dial(address: SocketAddr, streams: usize) -> io::Result<Sender> {
    let socket = TcpStream::connect(address).await?;
    socket.set_nodelay(true)?;
    let handshake = h2::client::Builder::new()
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .initial_max_send_streams(streams)
        .max_concurrent_reset_streams(streams)
        .enable_push(false)
        .handshake(socket)
        .await;
    let (sender, connection) = handshake.map_err(io::Error::other)?;
    // The connection's own task: it writes what is queued and reads what comes. Its end is told by every stream.
    tokio::spawn(async move { drop(connection.await) });
    sender.ready().await.map_err(io::Error::other)
}

fn head(address: SocketAddr, path: &str) -> io::Result<Request<()>> {
    Request::builder()
        .version(Version::HTTP_2)
        .method(Method::POST)
        .uri(format!("http://{address}{path}"))
        .header("content-type", HeaderValue::from_static("application/grpc"))
        .header("te", HeaderValue::from_static("trailers"))
        .body(())
        .map_err(io::Error::other)
}
