//! The gRPC edge: decode, call the engine, encode. Decides nothing.

mod admin;
mod ask;
mod availability;
mod batch;
mod command;
mod connection;
mod convert;
mod days;
mod deadline;
mod desk;
mod encode;
mod health;
mod history;
mod inbound;
mod language;
mod meter;
mod office;
mod outbound;
mod overloaded;
mod paging;
mod payments;
mod quick;
mod registration;
mod reschedule;
mod status;
mod waiting;
mod words;

use std::{pin::Pin, sync::Arc};

use futures_util::Stream;
use kuota_api::v1::{
    admin_service_server::AdminServiceServer, availability_service_server::AvailabilityServiceServer,
    office_service_server::OfficeServiceServer,
};
use tokio::sync::Semaphore;
use tonic::service::Routes;
use tonic_health::{
    ServingStatus,
    pb::health_server::HealthServer,
    server::{HealthReporter, HealthService},
};

pub use self::{desk::Desk, encode::write_offer, health::is_serving};
use crate::{
    engine::{Engine, WatchHub},
    limits::{OPERATOR_BYTES_MAX, OPERATORS_QUEUE_MAX, REQUEST_BYTES_MAX},
    telemetry::Metrics,
};

/// The services other systems call.
pub struct Services {
    api: Api,
    metrics: Arc<Metrics>,
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
        Self { api, metrics, health: HealthReporter::new() }
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
    pub fn calls_under_way(&self) -> u64 {
        self.metrics.calls_under_way()
    }

    /// Where services call: the API, health and reflection.
    ///
    /// # Errors
    /// When the descriptors are broken.
    pub fn desk(&self) -> Result<Desk, tonic_reflection::server::Error> {
        let api = self.api.clone();
        let others = self
            .common()?
            .add_service(OfficeServiceServer::new(api.clone()).max_decoding_message_size(REQUEST_BYTES_MAX))
            .add_service(
                AvailabilityServiceServer::new(api.clone()).max_decoding_message_size(REQUEST_BYTES_MAX),
            );
        Ok(Desk::new(api, others, self.metrics.clone()))
    }

    /// Where operators call.
    ///
    /// # Errors
    /// When the descriptors are broken.
    pub fn operators_desk(&self) -> Result<Desk, tonic_reflection::server::Error> {
        let admin = AdminServiceServer::new(self.api.clone()).max_decoding_message_size(OPERATOR_BYTES_MAX);
        Ok(Desk::of_operators(self.common()?.add_service(admin), self.metrics.clone()))
    }

    fn common(&self) -> Result<Routes, tonic_reflection::server::Error> {
        let routes = Routes::new(self.health()).add_service(descriptors().build_v1()?);
        Ok(routes.add_service(descriptors().build_v1alpha()?))
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

fn descriptors() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(kuota_api::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
}
