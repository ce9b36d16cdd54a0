//! The generated services, played from a script.

use std::{pin::Pin, sync::Arc};

use kuota_api::v1::{
    self, admin_service_server as admin, availability_service_server as availability,
    office_service_server as office, registration_service_server as registration,
};
use tokio_stream::StreamExt as _;
use tonic::{
    Request, Response, Status,
    transport::{Server, server::Router},
};

use super::{Script, Stream};

type Streamed<A> = Pin<Box<dyn tokio_stream::Stream<Item = Result<A, Status>> + Send>>;
type Answered<A> = Result<Response<A>, Status>;

/// Plays a script.
#[derive(Clone)]
struct Player(Arc<Script>);

pub(super) fn router(script: &Arc<Script>) -> Router {
    let player = Player(script.clone());
    Server::builder()
        .add_service(registration::RegistrationServiceServer::new(player.clone()))
        .add_service(availability::AvailabilityServiceServer::new(player.clone()))
        .add_service(office::OfficeServiceServer::new(player.clone()))
        .add_service(admin::AdminServiceServer::new(player))
}

fn streamed<A: Send + 'static>(answer: Answered<Stream<A>>) -> Answered<Streamed<A>> {
    let Stream { messages, stays_open } = answer?.into_inner();
    let messages = tokio_stream::iter(messages);
    Ok(Response::new(if stays_open {
        Box::pin(messages.chain(tokio_stream::pending()))
    } else {
        Box::pin(messages)
    }))
}

#[tonic::async_trait]
impl registration::RegistrationService for Player {
    async fn register(&self, request: Request<v1::RegisterRequest>) -> Answered<v1::RegisterResponse> {
        self.0.register.next(request)
    }

    async fn register_batch(
        &self,
        request: Request<v1::RegisterBatchRequest>,
    ) -> Answered<v1::RegisterBatchResponse> {
        self.0.register_batch.next(request)
    }

    async fn get_registration(
        &self,
        request: Request<v1::GetRegistrationRequest>,
    ) -> Answered<v1::GetRegistrationResponse> {
        self.0.get.next(request)
    }

    async fn cancel(&self, request: Request<v1::CancelRequest>) -> Answered<v1::CancelResponse> {
        self.0.cancel.next(request)
    }

    async fn confirm_payment(
        &self,
        request: Request<v1::ConfirmPaymentRequest>,
    ) -> Answered<v1::ConfirmPaymentResponse> {
        self.0.confirm_payment.next(request)
    }

    async fn reschedule(&self, request: Request<v1::RescheduleRequest>) -> Answered<v1::RescheduleResponse> {
        self.0.reschedule.next(request)
    }

    async fn check_in(&self, request: Request<v1::CheckInRequest>) -> Answered<v1::CheckInResponse> {
        self.0.check_in.next(request)
    }

    async fn complete(&self, request: Request<v1::CompleteRequest>) -> Answered<v1::CompleteResponse> {
        self.0.complete.next(request)
    }
}

#[tonic::async_trait]
impl office::OfficeService for Player {
    async fn list_offices(
        &self,
        request: Request<v1::ListOfficesRequest>,
    ) -> Answered<v1::ListOfficesResponse> {
        self.0.offices.next(request)
    }
}

#[tonic::async_trait]
impl availability::AvailabilityService for Player {
    type WatchAvailabilityStream = Streamed<v1::WatchAvailabilityResponse>;

    async fn list_availability(
        &self,
        request: Request<v1::ListAvailabilityRequest>,
    ) -> Answered<v1::ListAvailabilityResponse> {
        self.0.availability.next(request)
    }

    async fn watch_availability(
        &self,
        request: Request<v1::WatchAvailabilityRequest>,
    ) -> Answered<Self::WatchAvailabilityStream> {
        streamed(self.0.watch.next(request))
    }
}

#[tonic::async_trait]
impl admin::AdminService for Player {
    type ExportStream = Streamed<v1::ExportResponse>;

    async fn apply_catalog(
        &self,
        request: Request<v1::ApplyCatalogRequest>,
    ) -> Answered<v1::ApplyCatalogResponse> {
        self.0.apply_catalog.next(request)
    }

    async fn get_catalog(&self, request: Request<v1::GetCatalogRequest>) -> Answered<v1::GetCatalogResponse> {
        self.0.get_catalog.next(request)
    }

    async fn schedule_opening(
        &self,
        request: Request<v1::ScheduleOpeningRequest>,
    ) -> Answered<v1::ScheduleOpeningResponse> {
        self.0.schedule_opening.next(request)
    }

    async fn set_quota(&self, request: Request<v1::SetQuotaRequest>) -> Answered<v1::SetQuotaResponse> {
        self.0.set_quota.next(request)
    }

    async fn clear_override(
        &self,
        request: Request<v1::ClearOverrideRequest>,
    ) -> Answered<v1::ClearOverrideResponse> {
        self.0.clear_override.next(request)
    }

    async fn pause(&self, request: Request<v1::PauseRequest>) -> Answered<v1::PauseResponse> {
        self.0.pause.next(request)
    }

    async fn resume(&self, request: Request<v1::ResumeRequest>) -> Answered<v1::ResumeResponse> {
        self.0.resume.next(request)
    }

    async fn list_events(&self, request: Request<v1::ListEventsRequest>) -> Answered<v1::ListEventsResponse> {
        self.0.list_events.next(request)
    }

    async fn export(&self, request: Request<v1::ExportRequest>) -> Answered<Self::ExportStream> {
        streamed(self.0.export.next(request))
    }

    async fn list_payment_cases(
        &self,
        request: Request<v1::ListPaymentCasesRequest>,
    ) -> Answered<v1::ListPaymentCasesResponse> {
        self.0.payment_cases.next(request)
    }

    async fn resolve_payment_case(
        &self,
        request: Request<v1::ResolvePaymentCaseRequest>,
    ) -> Answered<v1::ResolvePaymentCaseResponse> {
        self.0.resolve_case.next(request)
    }

    async fn reschedule_specially(
        &self,
        request: Request<v1::RescheduleSpeciallyRequest>,
    ) -> Answered<v1::RescheduleSpeciallyResponse> {
        self.0.specially.next(request)
    }

    async fn list_days(&self, request: Request<v1::ListDaysRequest>) -> Answered<v1::ListDaysResponse> {
        self.0.days.next(request)
    }
}
