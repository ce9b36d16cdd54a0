//! Where calls come in: finds their service, waits as long as the caller does, sends the answer. The services are what
//! generated code makes of ours.

use std::{convert::Infallible, future::poll_fn, mem, pin::Pin, sync::Arc, task::Context, time::Instant};

use bytes::Bytes;
use h2::{RecvStream, server::SendResponse};
use http::{HeaderMap, HeaderName, Request, Response, request::Parts};
use kuota_api::v1::registration_service_server::{RegistrationServiceServer, SERVICE_NAME};
use tokio::sync::watch;
use tonic::{body::Body, service::Routes};
use tower::Service as _;

use super::{
    Api,
    batch::Batch,
    connection::{self, Begin, Incoming, UnderWay},
    deadline,
    encode::PREFIX_BYTES,
    inbound::{Gathered, Inbound},
    language::Language,
    meter::Call,
    outbound::{self, Sealed},
    quick::{self, Asked, Quick, Read},
    waiting::Waiting,
};
use crate::{
    accept::Connection,
    engine::Origin,
    limits::BATCH_BYTES_MAX,
    telemetry::{CallSheet, Method, Metrics},
};

/// Takes connections of one listener.
#[derive(Clone, Debug)]
pub struct Desk(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Asked by so many that their way is the shortest; operators do not have it.
    registration: Option<Registration>,
    others: Routes,
    metrics: Arc<Metrics>,
}

#[derive(Debug)]
struct Registration {
    api: Api,
    quick: Quick,
    generated: RegistrationServiceServer<Api>,
}

/// Takes the calls of one connection.
struct Clerk<'a> {
    desk: &'a Inner,
    sheet: Arc<CallSheet>,
    waiting: Waiting,
    /// Asks that were read and are not begun: they are begun together.
    asked: Vec<Asked>,
    /// Says how many of its asks wait.
    origin: Origin,
}

/// Says how messages of a call are compressed.
static ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
/// How paths of health checks begin.
const HEALTH: &str = "/grpc.health.v1.Health/";

type Answer = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

impl Desk {
    /// For everybody, with a short way for the service that most calls ask.
    pub(super) fn new(api: Api, others: Routes, metrics: Arc<Metrics>) -> Self {
        let generated =
            RegistrationServiceServer::new(api.clone()).max_decoding_message_size(BATCH_BYTES_MAX);
        let registration = Some(Registration { quick: Quick::new(api.clone()), api, generated });
        Self(Arc::new(Inner { registration, others: others.prepare(), metrics }))
    }

    /// For operators.
    pub(super) fn of_operators(others: Routes, metrics: Arc<Metrics>) -> Self {
        Self(Arc::new(Inner { registration: None, others: others.prepare(), metrics }))
    }

    /// Serves a connection until it ends; once `closing` says so, until its calls are answered.
    pub async fn serve(self, connection: Connection, closing: watch::Receiver<bool>) {
        let (sheet, waiting) = (self.0.metrics.call_sheet(), Waiting::default());
        let (asked, origin) = (Vec::new(), Origin::default());
        let mut clerk = Clerk { desk: &self.0, sheet, waiting, asked, origin };
        connection::serve(connection, &mut clerk, closing).await;
    }
}

impl Inner {
    fn answer(&self, mut request: Request<Inbound>, from: &Origin) -> Answer {
        let path = request.uri().path().strip_prefix('/').and_then(|path| path.strip_prefix(SERVICE_NAME));
        match &self.registration {
            Some(registration) if path.is_some_and(|method| method.starts_with('/')) => {
                request.extensions_mut().insert(from.clone());
                registration.generated.clone().call(request)
            }
            _ => Box::pin(self.others.clone().call(request)),
        }
    }
}

impl Registration {
    /// `RegisterBatch` without the detour through generated code, which has the word where something is odd.
    fn batch(&self, mut head: Parts, stream: RecvStream, from: Origin) -> Answer {
        let (api, mut generated) = (self.api.clone(), self.generated.clone());
        Box::pin(async move {
            let inbound = match Inbound::gather(stream, BATCH_BYTES_MAX).await {
                Gathered::Message(body, stream) => match Batch::read(&body[PREFIX_BYTES..]) {
                    Some(Ok(batch)) => {
                        drop(body);
                        let answer = batch.answer(&api, &from, Language::of_headers(&head.headers)).await;
                        return Ok(Sealed::response(answer));
                    }
                    Some(Err(status)) => return Ok(status.into_http()),
                    None => Inbound::again(body, stream),
                },
                Gathered::Other(inbound) => inbound,
            };
            head.extensions.insert(from);
            generated.call(Request::from_parts(head, inbound)).await
        })
    }
}

impl Begin for Clerk<'_> {
    fn goes_first(&self, (request, _): &Incoming) -> bool {
        request.uri().path().starts_with(HEALTH)
    }

    fn begin(
        &mut self,
        (request, respond): Incoming,
        came: Instant,
        cx: &mut Context<'_>,
    ) -> Option<UnderWay> {
        let method = Method::of(request.uri().path());
        let call = method.map(|method| Call::begin(&self.sheet, method, came));
        let (head, stream) = request.into_parts();
        let (call, body) = match (&self.desk.registration, method, call) {
            (Some(registration), Some(Method::REGISTER_BATCH), call) if !is_encoded(&head.headers) => {
                let patience = deadline::passes(deadline::of(&head.headers));
                let answer = registration.batch(head, stream, self.origin.clone());
                return Some(Box::pin(carry(answer, respond, call, patience)));
            }
            (Some(_), Some(Method::REGISTER), Some(call)) => match quick::read(&head.headers, stream, cx) {
                Read::Whole(wish) => {
                    self.asked.push(Asked { wish, headers: head.headers, respond, call });
                    return None;
                }
                Read::Other(body) => (Some(call), body),
            },
            (_, _, call) => (call, Inbound::new(None, stream)),
        };
        let patience = deadline::passes(deadline::of(&head.headers));
        let answer = self.desk.answer(Request::from_parts(head, body), &self.origin);
        Some(Box::pin(carry(answer, respond, call, patience)))
    }

    fn carry_on(&mut self, cx: &mut Context<'_>) {
        if let Some(registration) = &self.desk.registration {
            // Not kept: a connection lasts, and most have one call at a time.
            let asked = mem::take(&mut self.asked);
            registration.quick.register_all(asked, &self.origin, &mut self.waiting);
            registration.quick.post(&mut self.waiting);
            registration.quick.carry_on(&mut self.waiting, cx);
        }
    }
}

/// What was begun belongs to the ledger, also when a bug ends the connection before it was sent.
impl Drop for Clerk<'_> {
    fn drop(&mut self) {
        if let Some(registration) = &self.desk.registration {
            registration.quick.post(&mut self.waiting);
        }
    }
}

/// Whether messages of a call may be compressed.
pub(super) fn is_encoded(headers: &HeaderMap) -> bool {
    headers.contains_key(&ENCODING)
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
        () = patience => deadline::passed().into_http(),
    };
    let call = call.and_then(|call| call.head(response.headers()));
    // An error is a caller that went away.
    let _ = outbound::send(response, respond, call).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of 40 KB an open connection, this is what its task takes; most of the rest are buffers of h2.
    const TASK_BYTES_MAX: usize = 1_920;

    fn bytes_of<A, B, C, F>(_: impl FnOnce(A, B, C) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_connection_keeps_nothing_that_only_its_beginning_needs() {
        let bytes = bytes_of(Desk::serve);
        assert!(bytes <= TASK_BYTES_MAX, "{bytes}");
    }
}
