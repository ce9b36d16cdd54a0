//! A watch that does not end: it opens streams one after the other and shows what they bring.

use std::time::Duration;

use kuota_api::v1::{
    WatchAvailabilityRequest, WatchAvailabilityResponse, WatchedSlot,
    availability_service_client::AvailabilityServiceClient,
};
use tokio::time::{Instant, timeout_at};
use tonic::{Request, Streaming};

use crate::{
    client::AvailabilityFilter,
    error::Error,
    failure::{Failure, Pushback},
    gather::Gather,
    limits::{self, HEARTBEATS_MISSED_MAX},
    link::Link,
    retry::jittered,
};

/// What a watch shows.
#[derive(Clone, Debug, PartialEq)]
pub enum Update {
    /// Every slot as it stands. It comes first, and again after each interruption; slots it leaves out are gone.
    Snapshot(Vec<WatchedSlot>),
    /// Slots that changed, or are new.
    Changed(Vec<WatchedSlot>),
}

/// Slots under watch, from [`Client::watch`](crate::Client::watch).
///
/// It lasts as long as it is asked for the [`next`](Self::next) update. A stream that breaks, ends, or stays silent
/// for three heartbeats is replaced by another, with growing pauses in between, however long it takes; a new
/// [`Update::Snapshot`] follows. Of each slot no older state is ever shown after a newer one. Who reads slowly skips
/// states and gets the newest.
#[derive(Debug)]
pub struct Watch {
    link: Link,
    filter: AvailabilityFilter,
    heartbeat: Duration,
    gather: Gather,
    stream: Option<Streaming<WatchAvailabilityResponse>>,
    heard: Instant,
    /// Streams that failed since the last one that brought its snapshot.
    failures: u32,
    open_at: Instant,
}

impl Watch {
    pub(crate) fn new(link: Link, filter: AvailabilityFilter) -> Self {
        let now = Instant::now();
        Self {
            link,
            filter,
            heartbeat: limits::HEARTBEAT,
            gather: Gather::default(),
            stream: None,
            heard: now,
            failures: 0,
            open_at: now,
        }
    }

    /// With another heartbeat: from 1 s to 60 s, 15 s unless said otherwise. What lies outside is taken to the nearest.
    #[must_use]
    pub fn heartbeat(mut self, heartbeat: Duration) -> Self {
        self.heartbeat = heartbeat.clamp(limits::HEARTBEAT_MIN, limits::HEARTBEAT_MAX);
        self
    }

    /// The next update; waits until there is one.
    ///
    /// It may be dropped while it waits, as `select!` does: no update is lost.
    ///
    /// # Errors
    /// Only what asking again cannot mend: `INVALID_ARGUMENT`, `NOT_FOUND` for an unknown office, or a server that
    /// says not to come back.
    pub async fn next(&mut self) -> Result<Update, Error> {
        loop {
            match self.step().await {
                Ok(Some(update)) => {
                    self.failures = 0;
                    return Ok(update);
                }
                Ok(None) => {}
                Err(failure) => self.interrupted(failure)?,
            }
        }
    }

    /// Opens a stream, or takes a message of it.
    async fn step(&mut self) -> Result<Option<Update>, Failure> {
        let silence_max = self.heartbeat * HEARTBEATS_MISSED_MAX;
        let Some(stream) = &mut self.stream else {
            tokio::time::sleep_until(self.open_at).await;
            let send = async |channel, request: Request<_>| {
                AvailabilityServiceClient::new(channel).watch_availability(request).await
            };
            let opened = self.link.open(silence_max, self.request(), send).await?;
            self.heard = Instant::now();
            self.gather.begin_stream();
            self.stream = Some(opened);
            return Ok(None);
        };
        let message = timeout_at(self.heard + silence_max, stream.message()).await;
        let message = message.map_err(|_| Failure::overdue())??;
        self.heard = Instant::now();
        self.gather.take(message.ok_or_else(Failure::ended)?)
    }

    fn interrupted(&mut self, failure: Failure) -> Result<(), Error> {
        self.stream = None;
        self.failures = self.failures.saturating_add(1);
        if !failure.is_retryable() || failure.pushback == Pushback::Never {
            let terms = &self.link.terms;
            return Err(failure.into_error(&terms.url, self.failures, false, Duration::ZERO));
        }
        // All watchers of a server that goes down come back spread out.
        let pause = jittered(self.link.terms.retry.backoff(self.failures));
        self.open_at = Instant::now() + failure.retry_after().unwrap_or_default() + pause;
        Ok(())
    }

    fn request(&self) -> WatchAvailabilityRequest {
        WatchAvailabilityRequest {
            office_id: self.filter.office_id.clone(),
            from_date: self.filter.from_date.clone(),
            to_date: self.filter.to_date.clone(),
            lane: self.filter.lane.map(i32::from),
            heartbeat: self.heartbeat.try_into().ok(),
        }
    }
}
