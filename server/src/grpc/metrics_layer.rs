//! Counts calls of the API and health checks by method and status code, as the outermost layer: what other layers
//! refuse is counted too. Methods it does not know are not counted: their names come from outside.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Instant,
};

use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use crate::telemetry::{CallMetrics, Metrics};

const REGISTRATION: &str = "kuota.v1.RegistrationService";
const OFFICE: &str = "kuota.v1.OfficeService";
const AVAILABILITY: &str = "kuota.v1.AvailabilityService";
const ADMIN: &str = "kuota.v1.AdminService";
const HEALTH: &str = "grpc.health.v1.Health";
const METHODS: [(&str, &str, Kind); 17] = [
    (REGISTRATION, "Register", Kind::Unary),
    (REGISTRATION, "RegisterBatch", Kind::Unary),
    (REGISTRATION, "GetRegistration", Kind::Unary),
    (REGISTRATION, "Cancel", Kind::Unary),
    (OFFICE, "ListOffices", Kind::Unary),
    (AVAILABILITY, "ListAvailability", Kind::Unary),
    (AVAILABILITY, "WatchAvailability", Kind::ServerStream),
    (ADMIN, "ApplyCatalog", Kind::Unary),
    (ADMIN, "GetCatalog", Kind::Unary),
    (ADMIN, "ScheduleOpening", Kind::Unary),
    (ADMIN, "SetQuota", Kind::Unary),
    (ADMIN, "ClearOverride", Kind::Unary),
    (ADMIN, "Pause", Kind::Unary),
    (ADMIN, "Resume", Kind::Unary),
    (ADMIN, "ListEvents", Kind::Unary),
    (ADMIN, "Export", Kind::ServerStream),
    (HEALTH, "Check", Kind::Unary),
];
const CANCELLED: usize = 1;
const UNKNOWN: usize = 2;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Unary,
    ServerStream,
}

impl Kind {
    /// Label as in grpc-ecosystem's Prometheus middleware.
    const fn label(self) -> &'static str {
        match self {
            Self::Unary => "unary",
            Self::ServerStream => "server_stream",
        }
    }
}

type Methods = HashMap<String, (Kind, CallMetrics)>;

/// Counts calls of the services under it.
#[derive(Clone, Debug)]
pub(super) struct MetricsLayer {
    methods: Arc<Methods>,
    /// Unary calls that are not answered yet.
    under_way: Arc<AtomicUsize>,
}

impl MetricsLayer {
    /// With one set of handles for each known method.
    pub(super) fn new(metrics: &Metrics, under_way: &Arc<AtomicUsize>) -> Self {
        let handles = METHODS.map(|(service, method, kind)| {
            (format!("/{service}/{method}"), (kind, metrics.call(kind.label(), service, method)))
        });
        Self { methods: Arc::new(handles.into()), under_way: under_way.clone() }
    }
}

impl<S> Layer<S> for MetricsLayer {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted { inner, methods: self.methods.clone(), under_way: self.under_way.clone() }
    }
}

/// A service whose calls are counted.
#[derive(Clone, Debug)]
pub(super) struct Counted<S> {
    inner: S,
    methods: Arc<Methods>,
    under_way: Arc<AtomicUsize>,
}

impl<S, B, C> Service<Request<B>> for Counted<S>
where
    S: Service<Request<B>, Response = Response<C>>,
    S::Future: Send + 'static,
{
    type Response = Response<CountedBody<C>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let known = self.methods.get(request.uri().path());
        let call = known.map(|(kind, metrics)| {
            let under_way = (*kind == Kind::Unary).then(|| self.under_way.clone());
            (*kind, Call::begin(metrics.clone(), under_way))
        });
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await;
            let said = answer.as_ref().map_or(Some(UNKNOWN), |response| code(response.headers()));
            // An error stands in the head. A stream that has begun well may still end badly.
            let streaming = match (call, said) {
                (Some((Kind::ServerStream, call)), None) => Some(call),
                (Some((_, call)), said) => {
                    call.end(said.unwrap_or(0));
                    None
                }
                (None, _) => None,
            };
            answer.map(|response| response.map(|inner| CountedBody { inner, call: streaming }))
        })
    }
}

/// The status, where a head or trailers tell it.
fn code(headers: &HeaderMap) -> Option<usize> {
    let status = headers.get("grpc-status")?;
    Some(status.to_str().ok().and_then(|code| code.parse().ok()).unwrap_or(UNKNOWN))
}

pin_project! {
    /// A body that counts its call when it ends; dropped before, the call was cancelled.
    #[derive(Debug)]
    pub(super) struct CountedBody<C> {
        #[pin]
        inner: C,
        call: Option<Call>,
    }
}

impl<C: Body> Body for CountedBody<C> {
    type Data = C::Data;
    type Error = C::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<C::Data>, C::Error>>> {
        let body = self.project();
        let frame = ready!(body.inner.poll_frame(cx));
        let said = match &frame {
            Some(Ok(frame)) => frame.trailers_ref().map(|trailers| code(trailers).unwrap_or(UNKNOWN)),
            Some(Err(_)) | None => Some(UNKNOWN),
        };
        if let Some(said) = said
            && let Some(call) = body.call.take()
        {
            call.end(said);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// One call under way. Dropped before its end, it was cancelled.
#[derive(Debug)]
struct Call {
    metrics: CallMetrics,
    began: Instant,
    code: usize,
    under_way: Option<Arc<AtomicUsize>>,
}

impl Call {
    fn begin(metrics: CallMetrics, under_way: Option<Arc<AtomicUsize>>) -> Self {
        metrics.started();
        // Relaxed: the count tells when to stop waiting, and orders nothing else.
        if let Some(count) = &under_way {
            count.fetch_add(1, Ordering::Relaxed);
        }
        Self { metrics, began: Instant::now(), code: CANCELLED, under_way }
    }

    fn end(mut self, code: usize) {
        self.code = code;
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.metrics.handled(self.code, self.began.elapsed());
        if let Some(count) = &self.under_way {
            count.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
