//! A server that does nothing: plain tonic that answers every ask with the same refusal. What a client makes against it is
//! the client's own ceiling.

use std::net::SocketAddr;

use kuota_api::v1::{
    CancelRequest, CancelResponse, CheckInRequest, CheckInResponse, CompleteRequest, CompleteResponse,
    ConfirmPaymentRequest, ConfirmPaymentResponse, GetRegistrationRequest, GetRegistrationResponse, Refusal,
    RefusalReason, RegisterBatchRequest, RegisterBatchResponse, RegisterRequest, RegisterResponse,
    RescheduleRequest, RescheduleResponse, register_response,
    registration_service_server::{RegistrationService, RegistrationServiceServer},
};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, transport::Server};

use crate::target::serve::parent_is_gone;

#[derive(Clone, Copy, Debug)]
struct Null;

#[tonic::async_trait]
impl RegistrationService for Null {
    async fn register(
        &self,
        request: Request<RegisterRequest>,
    ) -> Result<Response<RegisterResponse>, Status> {
        drop(request);
        let refusal = Refusal {
            reason: RefusalReason::SoldOut.into(),
            message: "No place is left on this day.".into(),
            ..Refusal::default()
        };
        let outcome = Some(register_response::Outcome::Refusal(refusal));
        Ok(Response::new(RegisterResponse { outcome, server_time: None }))
    }

    async fn register_batch(
        &self,
        _: Request<RegisterBatchRequest>,
    ) -> Result<Response<RegisterBatchResponse>, Status> {
        Err(Status::unimplemented("the null server answers Register"))
    }

    async fn get_registration(
        &self,
        _: Request<GetRegistrationRequest>,
    ) -> Result<Response<GetRegistrationResponse>, Status> {
        Err(Status::unimplemented("the null server answers Register"))
    }

    async fn cancel(&self, _: Request<CancelRequest>) -> Result<Response<CancelResponse>, Status> {
        Err(Status::unimplemented("the null server answers Register"))
    }

    async fn confirm_payment(
        &self,
        _: Request<ConfirmPaymentRequest>,
    ) -> Result<Response<ConfirmPaymentResponse>, Status> {
        Err(Status::unimplemented("the null server answers Register"))
    }

    async fn check_in(&self, _: Request<CheckInRequest>) -> Result<Response<CheckInResponse>, Status> {
        Err(Status::unimplemented("the null server answers Register"))
    }

    async fn complete(&self, _: Request<CompleteRequest>) -> Result<Response<CompleteResponse>, Status> {
        Err(Status::unimplemented("the null server answers Register"))
    }

    async fn reschedule(
        &self,
        _: Request<RescheduleRequest>,
    ) -> Result<Response<RescheduleResponse>, Status> {
        Err(Status::unimplemented("the null server answers Register"))
    }
}

/// Serves until standard input ends.
///
/// # Errors
/// When there is no port, or the transport fails.
pub fn serve_null() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        println!("{}", listener.local_addr()?);
        let incoming = TcpListenerStream::new(listener);
        let service = RegistrationServiceServer::new(Null);
        Server::builder()
            .tcp_nodelay(true)
            .max_concurrent_streams(256)
            .add_service(service)
            .serve_with_incoming_shutdown(incoming, parent_is_gone())
            .await?;
        anyhow::Ok(())
    })
}
