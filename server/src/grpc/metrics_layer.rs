//! Counts calls of the API and health checks by method and status code, as the outermost layer: what other layers
//! refuse is counted too. Methods it does not know are not counted: their names come from outside.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use http::{HeaderMap, Request, Response};
use tower::{Layer, Service};

use crate::telemetry::{CallMetrics, Metrics};

const METHODS: [(&str, &str, &str); 6] = [
    ("/kuota.v1.RegistrationService/Register", "kuota.v1.RegistrationService", "Register"),
    ("/kuota.v1.RegistrationService/GetRegistration", "kuota.v1.RegistrationService", "GetRegistration"),
    ("/kuota.v1.RegistrationService/Cancel", "kuota.v1.RegistrationService", "Cancel"),
    ("/kuota.v1.OfficeService/ListOffices", "kuota.v1.OfficeService", "ListOffices"),
    ("/kuota.v1.AvailabilityService/ListAvailability", "kuota.v1.AvailabilityService", "ListAvailability"),
    ("/grpc.health.v1.Health/Check", "grpc.health.v1.Health", "Check"),
];
const CANCELLED: usize = 1;
const UNKNOWN: usize = 2;

/// Counts calls of the services under it.
#[derive(Clone, Debug)]
pub(super) struct MetricsLayer {
    methods: Arc<HashMap<&'static str, CallMetrics>>,
}

impl MetricsLayer {
    /// With one set of handles for each known method.
    pub(super) fn new(metrics: &Metrics) -> Self {
        let handles = METHODS.map(|(path, service, method)| (path, metrics.call(service, method)));
        Self { methods: Arc::new(handles.into()) }
    }
}

impl<S> Layer<S> for MetricsLayer {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted { inner, methods: self.methods.clone() }
    }
}

/// A service whose calls are counted.
#[derive(Clone, Debug)]
pub(super) struct Counted<S> {
    inner: S,
    methods: Arc<HashMap<&'static str, CallMetrics>>,
}

impl<S, B, C> Service<Request<B>> for Counted<S>
where
    S: Service<Request<B>, Response = Response<C>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let call = self.methods.get(request.uri().path()).map(|metrics| Call::begin(metrics.clone()));
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await;
            if let Some(call) = call {
                call.end(answer.as_ref().map_or(UNKNOWN, |response| code(response.headers())));
            }
            answer
        })
    }
}

/// The status of an error stands in the head; success is told at the end of the body.
fn code(headers: &HeaderMap) -> usize {
    let status = headers.get("grpc-status").map(|status| status.to_str().ok()?.parse().ok());
    status.map_or(0, |code| code.unwrap_or(UNKNOWN))
}

/// One call under way. Dropped before its end, it was cancelled.
struct Call {
    metrics: CallMetrics,
    began: Instant,
    code: usize,
}

impl Call {
    fn begin(metrics: CallMetrics) -> Self {
        metrics.started();
        Self { metrics, began: Instant::now(), code: CANCELLED }
    }

    fn end(mut self, code: usize) {
        self.code = code;
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.metrics.handled(self.code, self.began.elapsed());
    }
}
