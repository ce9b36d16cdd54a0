//! A server in this process that answers from a script, and remembers what it was asked.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::allow_attributes, reason = "not every part is unused everywhere")]

pub(crate) mod friday;
mod services;
pub(crate) mod tool;

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex},
};

use kuota_api::v1::{self, RegisterBatchItem};
use tokio::{net::TcpListener, sync::oneshot};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Code, Request, Response, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

type Answer<Q, A> = Box<dyn FnOnce(&Q) -> Result<A, Status> + Send>;

/// The answers of one RPC, in the order in which they are given.
pub(crate) struct Play<Q, A> {
    answers: Mutex<VecDeque<Answer<Q, A>>>,
    asked: Mutex<Vec<(Q, Option<String>)>>,
}

impl<Q, A> Default for Play<Q, A> {
    fn default() -> Self {
        Self { answers: Mutex::default(), asked: Mutex::default() }
    }
}

impl<Q: Clone, A: Send + 'static> Play<Q, A> {
    pub(crate) fn then(&self, answer: Result<A, Status>) -> &Self {
        self.answer_with(|_| answer)
    }

    pub(crate) fn answer_with(&self, answer: impl FnOnce(&Q) -> Result<A, Status> + Send + 'static) -> &Self {
        self.answers.lock().unwrap().push_back(Box::new(answer));
        self
    }

    /// What was asked until now.
    pub(crate) fn asked(&self) -> Vec<Q> {
        self.asked.lock().unwrap().iter().map(|(request, _)| request.clone()).collect()
    }

    pub(crate) fn languages(&self) -> Vec<Option<String>> {
        self.asked.lock().unwrap().iter().map(|(_, language)| language.clone()).collect()
    }

    fn next(&self, request: Request<Q>) -> Result<Response<A>, Status> {
        let language = request.metadata().get("accept-language").and_then(|value| value.to_str().ok());
        let language = language.map(ToOwned::to_owned);
        let request = request.into_inner();
        let answer = self.answers.lock().unwrap().pop_front();
        let answer =
            answer.map_or_else(|| Err(Status::unimplemented("not in the script")), |answer| answer(&request));
        self.asked.lock().unwrap().push((request, language));
        answer.map(Response::new)
    }
}

/// A stream that plays messages and then ends, or stays open in silence.
pub(crate) struct Stream<A> {
    pub(crate) messages: Vec<Result<A, Status>>,
    pub(crate) stays_open: bool,
}

/// What each RPC answers.
#[derive(Default)]
pub(crate) struct Script {
    pub(crate) register: Play<v1::RegisterRequest, v1::RegisterResponse>,
    pub(crate) register_batch: Play<v1::RegisterBatchRequest, v1::RegisterBatchResponse>,
    pub(crate) get: Play<v1::GetRegistrationRequest, v1::GetRegistrationResponse>,
    pub(crate) cancel: Play<v1::CancelRequest, v1::CancelResponse>,
    pub(crate) confirm_payment: Play<v1::ConfirmPaymentRequest, v1::ConfirmPaymentResponse>,
    pub(crate) reschedule: Play<v1::RescheduleRequest, v1::RescheduleResponse>,
    pub(crate) specially: Play<v1::RescheduleSpeciallyRequest, v1::RescheduleSpeciallyResponse>,
    pub(crate) check_in: Play<v1::CheckInRequest, v1::CheckInResponse>,
    pub(crate) complete: Play<v1::CompleteRequest, v1::CompleteResponse>,
    pub(crate) days: Play<v1::ListDaysRequest, v1::ListDaysResponse>,
    pub(crate) payment_cases: Play<v1::ListPaymentCasesRequest, v1::ListPaymentCasesResponse>,
    pub(crate) resolve_case: Play<v1::ResolvePaymentCaseRequest, v1::ResolvePaymentCaseResponse>,
    pub(crate) offices: Play<v1::ListOfficesRequest, v1::ListOfficesResponse>,
    pub(crate) availability: Play<v1::ListAvailabilityRequest, v1::ListAvailabilityResponse>,
    pub(crate) watch: Play<v1::WatchAvailabilityRequest, Stream<v1::WatchAvailabilityResponse>>,
    pub(crate) apply_catalog: Play<v1::ApplyCatalogRequest, v1::ApplyCatalogResponse>,
    pub(crate) get_catalog: Play<v1::GetCatalogRequest, v1::GetCatalogResponse>,
    pub(crate) schedule_opening: Play<v1::ScheduleOpeningRequest, v1::ScheduleOpeningResponse>,
    pub(crate) set_quota: Play<v1::SetQuotaRequest, v1::SetQuotaResponse>,
    pub(crate) clear_override: Play<v1::ClearOverrideRequest, v1::ClearOverrideResponse>,
    pub(crate) pause: Play<v1::PauseRequest, v1::PauseResponse>,
    pub(crate) resume: Play<v1::ResumeRequest, v1::ResumeResponse>,
    pub(crate) list_events: Play<v1::ListEventsRequest, v1::ListEventsResponse>,
    pub(crate) export: Play<v1::ExportRequest, Stream<v1::ExportResponse>>,
}

/// A server under way; it ends when dropped.
pub(crate) struct Scripted {
    pub(crate) url: String,
    pub(crate) script: Arc<Script>,
    _stop: oneshot::Sender<()>,
}

impl Scripted {
    /// All services on one port that the system chose.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let script = Arc::new(Script::default());
        let (stop, stopped) = oneshot::channel::<()>();
        let router = services::router(&script);
        let stopping = async { drop(stopped.await) };
        tokio::spawn(router.serve_with_incoming_shutdown(TcpListenerStream::new(listener), stopping));
        Self { url, script, _stop: stop }
    }
}

pub(crate) fn granted(request_id: &str) -> v1::Registration {
    v1::Registration {
        code: "K7P29QXW".into(),
        request_id: request_id.into(),
        queue_number: 1,
        ..Default::default()
    }
}

/// The answer that grants an ask.
#[expect(clippy::unnecessary_wraps, reason = "an answer of a script may be an error")]
pub(crate) fn grant(request: &v1::RegisterRequest) -> Result<v1::RegisterResponse, Status> {
    let outcome = v1::register_response::Outcome::Registration(granted(&request.request_id));
    Ok(v1::RegisterResponse { outcome: Some(outcome), server_time: None })
}

pub(crate) fn refusal(reason: v1::RefusalReason, retry_after_ms: i32) -> v1::Refusal {
    let retry_after = prost_types::Duration { seconds: 0, nanos: retry_after_ms * 1_000_000 };
    let retry_after = Some(retry_after).filter(|_| retry_after_ms > 0);
    v1::Refusal { reason: reason.into(), message: "no".into(), retry_after, ..Default::default() }
}

#[expect(clippy::unnecessary_wraps, reason = "an answer of a script may be an error")]
pub(crate) fn refuse(reason: v1::RefusalReason, retry_after_ms: i32) -> Result<v1::RegisterResponse, Status> {
    let outcome = v1::register_response::Outcome::Refusal(refusal(reason, retry_after_ms));
    Ok(v1::RegisterResponse { outcome: Some(outcome), server_time: None })
}

/// An error with a reason.
pub(crate) fn failed(code: Code, reason: &str) -> Status {
    let details = ErrorDetails::with_error_info(reason, "kuota.v1", HashMap::new());
    Status::with_error_details(code, reason.to_ascii_lowercase(), details)
}

pub(crate) fn item_granted(request: &v1::RegisterRequest) -> RegisterBatchItem {
    let outcome = v1::register_batch_item::Outcome::Registration(granted(&request.request_id));
    RegisterBatchItem { request_id: request.request_id.clone(), outcome: Some(outcome) }
}

pub(crate) fn item_refused(request: &v1::RegisterRequest, reason: v1::RefusalReason) -> RegisterBatchItem {
    let outcome = v1::register_batch_item::Outcome::Refusal(refusal(reason, 0));
    RegisterBatchItem { request_id: request.request_id.clone(), outcome: Some(outcome) }
}

pub(crate) fn item_failed(request: &v1::RegisterRequest, code: Code, reason: &str) -> RegisterBatchItem {
    // The details of a status are a google.rpc.Status already.
    let status = prost::Message::decode(failed(code, reason).details()).unwrap();
    let outcome = v1::register_batch_item::Outcome::Error(status);
    RegisterBatchItem { request_id: request.request_id.clone(), outcome: Some(outcome) }
}
