//! What operators look at over HTTP: metrics, liveness, readiness. Reads the engine, changes nothing.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::IntoResponse,
    routing::get,
};
use kuota_domain::calendar::ServiceDay;

use crate::{
    accept::Acceptor,
    engine::{Engine, WatchHub},
    telemetry::{Gauges, Metrics},
};

/// What the pages show.
#[derive(Clone, Debug)]
pub struct Console {
    engine: Arc<Engine>,
    hub: Arc<WatchHub>,
    metrics: Arc<Metrics>,
    ready: Arc<AtomicBool>,
}

impl Console {
    /// Pages over an engine; not ready until said.
    #[must_use]
    pub fn new(engine: Arc<Engine>, hub: Arc<WatchHub>, metrics: Arc<Metrics>) -> Self {
        Self { engine, hub, metrics, ready: Arc::default() }
    }

    /// Says whether calls are welcome.
    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Relaxed);
    }

    /// Serves until `shutdown`.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn serve(
        self,
        acceptor: Acceptor,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<()> {
        let router = Router::new()
            .route("/metrics", get(metrics))
            .route("/healthz", get(|| async { "ok\n" }))
            .route("/readyz", get(readyz))
            .with_state(self);
        axum::serve(acceptor, router).with_graceful_shutdown(shutdown).await
    }

    fn gauges(&self) -> Gauges {
        let (now, directory) = (self.engine.now(), self.engine.directory());
        let (registrations, live_applicants) = self.engine.population();
        let (held, open_cases) = self.engine.unsettled();
        let operators = self.engine.operator_view();
        let mut gauges = Gauges {
            registrations,
            live_applicants,
            held,
            open_cases,
            watchers: self.hub.watchers(),
            pauses: operators.pauses.len(),
            overrides: operators.overrides.len(),
            queue_depth: self.engine.queue_len(),
            clock_drift_ms: self.engine.clock_drift_ms(),
            ..Gauges::default()
        };
        for (_, entry) in directory.offices() {
            let today = ServiceDay::at(now, &entry.office.zone);
            for (_, lane, gate) in entry.slots_from(today) {
                let figures = gate.figures();
                gauges.standbys += u64::from(gate.standbys());
                gauges.permits_out += u64::from(gate.permits_out());
                if now < figures.open_at {
                    let until_ms = figures.open_at.0 - now.0;
                    let nearest_ms = gauges.next_opening_ms.map_or(until_ms, |ms| ms.min(until_ms));
                    gauges.next_opening_ms = Some(nearest_ms);
                } else if now < figures.close_at {
                    let key = (entry.office.id.to_string(), lane);
                    *gauges.places_free.entry(key).or_default() += u64::from(figures.free);
                }
            }
        }
        gauges
    }
}

async fn metrics(State(console): State<Console>) -> impl IntoResponse {
    let text = console.metrics.render(&console.gauges());
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}

async fn readyz(State(console): State<Console>) -> impl IntoResponse {
    let engine = &console.engine;
    if console.ready.load(Ordering::Relaxed) && engine.fatal_now().is_none() && !engine.clock_drifts() {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
    }
}
