//! Counts calls of the API and health checks by method and status code, whoever answers them. Methods it does not know
//! are not counted: their names come from outside.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use http::HeaderMap;

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
pub(super) const UNKNOWN: usize = 2;

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

/// Counts calls.
#[derive(Clone, Debug)]
pub(super) struct Meter {
    methods: Arc<HashMap<String, (Kind, CallMetrics)>>,
    /// Unary calls that are not answered yet.
    under_way: Arc<AtomicUsize>,
}

impl Meter {
    /// With one set of handles for each known method.
    pub(super) fn new(metrics: &Metrics, under_way: &Arc<AtomicUsize>) -> Self {
        let handles = METHODS.map(|(service, method, kind)| {
            (format!("/{service}/{method}"), (kind, metrics.call(kind.label(), service, method)))
        });
        Self { methods: Arc::new(handles.into()), under_way: under_way.clone() }
    }

    /// A call of that path came in.
    pub(super) fn begin(&self, path: &str) -> Option<Call> {
        let (kind, metrics) = self.methods.get(path)?;
        Some(Call::begin(*kind, metrics.clone(), &self.under_way))
    }
}

/// The status, where a head or trailers tell it.
pub(super) fn code(headers: &HeaderMap) -> Option<usize> {
    let status = headers.get("grpc-status")?;
    Some(status.to_str().ok().and_then(|code| code.parse().ok()).unwrap_or(UNKNOWN))
}

/// One call under way. Dropped before its end, it was cancelled.
#[derive(Debug)]
pub(super) struct Call {
    kind: Kind,
    metrics: CallMetrics,
    began: Instant,
    code: usize,
    under_way: Option<Arc<AtomicUsize>>,
}

impl Call {
    fn begin(kind: Kind, metrics: CallMetrics, under_way: &Arc<AtomicUsize>) -> Self {
        metrics.started();
        let under_way = (kind == Kind::Unary).then(|| under_way.clone());
        // Relaxed: the count tells when to stop waiting, and orders nothing else.
        if let Some(count) = &under_way {
            count.fetch_add(1, Ordering::Relaxed);
        }
        Self { kind, metrics, began: Instant::now(), code: CANCELLED, under_way }
    }

    /// The head of its answer is there. An error stands in it; a stream that has begun well may still end badly, and
    /// is given back.
    pub(super) fn head(self, headers: &HeaderMap) -> Option<Self> {
        match (self.kind, code(headers)) {
            (Kind::ServerStream, None) => Some(self),
            (Kind::Unary | Kind::ServerStream, said) => {
                self.end(said.unwrap_or(0));
                None
            }
        }
    }

    /// It is answered, with that status.
    pub(super) fn end(mut self, code: usize) {
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
