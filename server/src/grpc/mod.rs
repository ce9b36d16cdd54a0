//! The gRPC edge: decode, call the engine, encode. Decides nothing.

mod admin;
mod availability;
mod command;
mod convert;
mod health;
mod history;
mod language;
mod metrics_layer;
mod office;
mod paging;
mod registration;
mod status;
mod words;

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures_util::Stream;
use kuota_api::v1::{
    admin_service_server::AdminServiceServer, availability_service_server::AvailabilityServiceServer,
    office_service_server::OfficeServiceServer, registration_service_server::RegistrationServiceServer,
};
use tokio::sync::Semaphore;
use tonic::transport::{
    Server,
    server::{Connected, TcpConnectInfo},
};
use tonic_health::{
    ServingStatus,
    pb::health_server::HealthServer,
    server::{HealthReporter, HealthService},
};

pub use self::health::is_serving;
use self::metrics_layer::MetricsLayer;
use crate::{
    accept::{Acceptor, Connection},
    engine::{Engine, WatchHub},
    limits::{
        BATCH_BYTES_MAX, HEADER_LIST_BYTES_MAX, KEEPALIVE_EVERY, KEEPALIVE_TIMEOUT, LOCAL_RESETS_MAX,
        OPERATOR_BYTES_MAX, OPERATORS_QUEUE_MAX, REQUEST_BYTES_MAX, STREAMS_PER_CONNECTION_MAX,
    },
    telemetry::Metrics,
};

/// The services other systems call.
pub struct Services {
    api: Api,
    metrics: Arc<Metrics>,
    calls: Arc<AtomicUsize>,
    health: HealthReporter,
}

/// The services over one engine.
#[derive(Clone, Debug)]
struct Api {
    engine: Arc<Engine>,
    hub: Arc<WatchHub>,
    /// Seats for catalogues that are being read.
    writers: Arc<Semaphore>,
}

/// A stream of answers.
type BoxStream<T> = Pin<Box<dyn Stream<Item = Result<T, tonic::Status>> + Send>>;

const SERVICES: [&str; 5] = [
    "",
    "kuota.v1.RegistrationService",
    "kuota.v1.OfficeService",
    "kuota.v1.AvailabilityService",
    "kuota.v1.AdminService",
];

impl Services {
    /// Services over an engine; not serving until said.
    #[must_use]
    pub fn new(engine: Arc<Engine>, hub: Arc<WatchHub>, metrics: Arc<Metrics>) -> Self {
        let writers = Arc::new(Semaphore::new(OPERATORS_QUEUE_MAX));
        let api = Api { engine, hub, writers };
        Self { api, metrics, calls: Arc::default(), health: HealthReporter::new() }
    }

    /// Says to whoever asks whether calls are welcome.
    pub async fn set_serving(&self, serving: bool) {
        let status = if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
        for service in SERVICES {
            self.health.set_service_status(service, status).await;
        }
    }

    /// Unary calls that are not answered yet.
    #[must_use]
    pub fn calls_under_way(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    /// Serves the API, health and reflection until `shutdown`.
    ///
    /// # Errors
    /// When the transport fails, or the descriptors are broken.
    pub async fn serve(&self, acceptor: Acceptor, shutdown: impl Future<Output = ()>) -> anyhow::Result<()> {
        let api = self.api.clone();
        builder()
            .layer(MetricsLayer::new(&self.metrics, &self.calls))
            .add_service(self.health())
            .add_service(descriptors().build_v1()?)
            .add_service(descriptors().build_v1alpha()?)
            .add_service(
                RegistrationServiceServer::new(api.clone()).max_decoding_message_size(BATCH_BYTES_MAX),
            )
            .add_service(OfficeServiceServer::new(api.clone()).max_decoding_message_size(REQUEST_BYTES_MAX))
            .add_service(AvailabilityServiceServer::new(api).max_decoding_message_size(REQUEST_BYTES_MAX))
            .serve_with_incoming_shutdown(acceptor.into_stream(), shutdown)
            .await?;
        Ok(())
    }

    /// Serves operators until `shutdown`, with a way around the crowd.
    ///
    /// # Errors
    /// When the transport fails, or the descriptors are broken.
    pub async fn serve_admin(
        &self,
        acceptor: Acceptor,
        shutdown: impl Future<Output = ()>,
    ) -> anyhow::Result<()> {
        builder()
            .layer(MetricsLayer::new(&self.metrics, &self.calls))
            .add_service(self.health())
            .add_service(descriptors().build_v1()?)
            .add_service(descriptors().build_v1alpha()?)
            .add_service(
                AdminServiceServer::new(self.api.clone()).max_decoding_message_size(OPERATOR_BYTES_MAX),
            )
            .serve_with_incoming_shutdown(acceptor.into_stream(), shutdown)
            .await?;
        Ok(())
    }

    fn health(&self) -> HealthServer<HealthService> {
        HealthServer::new(HealthService::from_health_reporter(self.health.clone()))
    }
}

impl std::fmt::Debug for Services {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Services").field("api", &self.api).finish_non_exhaustive()
    }
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream().connect_info()
    }
}

fn builder() -> Server {
    Server::builder()
        .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX)
        .http2_max_local_error_reset_streams(Some(LOCAL_RESETS_MAX))
        .http2_max_header_list_size(HEADER_LIST_BYTES_MAX)
        .http2_keepalive_interval(Some(KEEPALIVE_EVERY))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
}

fn descriptors() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(kuota_api::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
}
