//! Where calls come in: finds their service, waits as long as the caller does, sends the answer. The services are what
//! generated code makes of ours.

use std::{convert::Infallible, future::poll_fn, pin::Pin, sync::Arc, task::Context};

use bytes::Bytes;
use h2::server::SendResponse;
use http::{Request, Response};
use kuota_api::v1::registration_service_server::{RegistrationServiceServer, SERVICE_NAME};
use tokio::{sync::watch, time::sleep};
use tonic::{Status, body::Body, service::Routes};
use tower::Service as _;

use super::{
    Api,
    connection::{self, Begin, Incoming, UnderWay},
    deadline,
    inbound::Inbound,
    meter::{Call, Meter},
    outbound,
};
use crate::accept::Connection;

/// Takes connections of one listener.
#[derive(Clone, Debug)]
pub struct Desk(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Asked by so many that their way is the shortest; operators do not have it.
    registration: Option<RegistrationServiceServer<Api>>,
    others: Routes,
    meter: Meter,
}

type Answer = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

impl Desk {
    pub(super) fn new(
        registration: Option<RegistrationServiceServer<Api>>,
        others: Routes,
        meter: Meter,
    ) -> Self {
        Self(Arc::new(Inner { registration, others: others.prepare(), meter }))
    }

    /// Serves a connection until it ends; once `closing` says so, until its calls are answered.
    pub async fn serve(self, connection: Connection, closing: watch::Receiver<bool>) {
        connection::serve(connection, &self, closing).await;
    }

    fn answer(&self, request: Request<Inbound>) -> Answer {
        let path = request.uri().path().strip_prefix('/').and_then(|path| path.strip_prefix(SERVICE_NAME));
        match &self.0.registration {
            Some(registration) if path.is_some_and(|method| method.starts_with('/')) => {
                registration.clone().call(request)
            }
            _ => Box::pin(self.0.others.clone().call(request)),
        }
    }
}

impl Begin for Desk {
    fn begin(&self, (request, respond): Incoming, _: &mut Context<'_>) -> Option<UnderWay> {
        let call = self.0.meter.begin(request.uri().path());
        let timeout = deadline::of(request.headers());
        let answer = self.answer(request.map(|stream| Inbound::new(None, stream)));
        let patience = async move {
            match timeout {
                Some(timeout) => sleep(timeout).await,
                None => std::future::pending().await,
            }
        };
        Some(Box::pin(carry(answer, respond, call, patience)))
    }
}

/// Waits for an answer and sends it. Dropped where it stands when the caller goes away or has waited long enough:
/// what it asked of the ledger belongs to the ledger.
async fn carry(
    answer: Answer,
    mut respond: SendResponse<Bytes>,
    call: Option<Call>,
    patience: impl Future<Output = ()>,
) {
    let response = tokio::select! {
        biased;
        Ok(response) = answer => response,
        _ = poll_fn(|cx| respond.poll_reset(cx)) => return,
        () = patience => Status::deadline_exceeded("the time that the caller gave is over").into_http(),
    };
    let call = call.and_then(|call| call.head(response.headers()));
    // An error is a caller that went away.
    let _ = outbound::send(response, respond, call).await;
}
