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

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use hyper_util::rt::TokioIo;
    use kuota_api::v1::{
        ListAvailabilityRequest, ListAvailabilityResponse, SnapshotEnd,
        availability_service_server::{AvailabilityService, AvailabilityServiceServer},
        watch_availability_response::Event,
    };
    use tokio_stream::StreamExt as _;
    use tonic::{
        Response, Status,
        transport::{Endpoint, Server},
    };

    use super::*;
    use crate::{call::Terms, retry::RetryPolicy};

    /// Shows an empty snapshot to each watcher, and says nothing more.
    #[derive(Clone, Default)]
    struct Mute {
        watched: Arc<Mutex<Vec<WatchAvailabilityRequest>>>,
    }

    #[tonic::async_trait]
    impl AvailabilityService for Mute {
        type WatchAvailabilityStream = std::pin::Pin<
            Box<dyn tokio_stream::Stream<Item = Result<WatchAvailabilityResponse, Status>> + Send>,
        >;

        async fn list_availability(
            &self,
            _: Request<ListAvailabilityRequest>,
        ) -> Result<Response<ListAvailabilityResponse>, Status> {
            Err(Status::unimplemented("only watched"))
        }

        async fn watch_availability(
            &self,
            request: Request<WatchAvailabilityRequest>,
        ) -> Result<Response<Self::WatchAvailabilityStream>, Status> {
            self.watched.lock().unwrap().push(request.into_inner());
            let event = Some(Event::SnapshotEnd(SnapshotEnd { slots: 0 }));
            let end = Ok(WatchAvailabilityResponse { event, server_time: None });
            Ok(Response::new(Box::pin(tokio_stream::once(end).chain(tokio_stream::pending()))))
        }
    }

    /// A link through memory: no socket, so that paused time passes only when everybody waits.
    fn link(server: &Mute) -> Link {
        let server = server.clone();
        let connector = tower::service_fn(move |_| {
            let (near, far) = tokio::io::duplex(64 * 1024);
            let service = AvailabilityServiceServer::new(server.clone());
            let incoming = tokio_stream::once(Ok::<_, io::Error>(far));
            tokio::spawn(Server::builder().add_service(service).serve_with_incoming(incoming));
            std::future::ready(Ok::<_, io::Error>(TokioIo::new(near)))
        });
        let url = "http://memory".to_owned();
        let channel = Endpoint::from_static("http://memory").connect_with_connector_lazy(connector);
        let second = Duration::from_secs(1);
        let retry = RetryPolicy::default();
        Link::new(vec![channel], None, Terms { url, deadline: second, attempt_timeout: second, retry })
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_is_silent_for_three_heartbeats_is_replaced() {
        let server = Mute::default();
        let heartbeat = Duration::from_secs(7);
        let mut watch = Watch::new(link(&server), AvailabilityFilter::default()).heartbeat(heartbeat);
        let began = Instant::now();
        assert_eq!(watch.next().await.unwrap(), Update::Snapshot(vec![]));
        assert!(began.elapsed() < Duration::from_secs(1));
        // A caller that does something else in between loses nothing.
        for _ in 0..3 {
            let tick = Duration::from_secs(5);
            assert!(tokio::time::timeout(tick, watch.next()).await.is_err(), "nothing is told");
        }
        assert_eq!(watch.next().await.unwrap(), Update::Snapshot(vec![]), "by another stream");
        let elapsed = began.elapsed();
        assert!((heartbeat * 3..heartbeat * 3 + Duration::from_secs(1)).contains(&elapsed), "{elapsed:?}");
        let asked = server.watched.lock().unwrap().clone();
        assert_eq!(asked.len(), 2);
        assert_eq!(asked[0].heartbeat, Some(prost_types::Duration { seconds: 7, nanos: 0 }));
    }
}
