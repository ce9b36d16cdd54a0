//! `RegistrationService`.

use kuota_api::v1::{
    self, cancel_response, check_in_response, complete_response, register_response,
    registration_service_server::RegistrationService, reschedule_response,
};
use kuota_domain::{
    ids::{CallerNumber, RegistrationId, RequestKey},
    refusal::Refusal,
    time::UnixMillis,
};
use prost::Message as _;
use tonic::{Request, Response, Status};

use super::{
    Api,
    ask::Ask,
    batch::Batch,
    convert::{self, timestamp},
    days,
    encode::{PREFIX_BYTES, alternative},
    language::Language,
    payments, reschedule,
    status::{refusal, status},
};
use crate::engine::{Answer, Failure, Granted, Origin, Wanted};

/// Until there is authentication, every caller is the same one.
pub(super) const ANONYMOUS: CallerNumber = CallerNumber(0);

#[expect(clippy::large_enum_variant, reason = "an answer is moved a few times and never kept in numbers")]
enum Outcome {
    Registration(v1::Registration),
    Refusal(v1::Refusal),
}

impl Api {
    /// Refusals are answers; every other failure is an error. `leaving` is whose place would have been given up.
    fn outcome(
        &self,
        (answer, leaving): (Answer, Option<RegistrationId>),
        request: Option<RequestKey>,
        language: Language,
        now: UnixMillis,
    ) -> Result<Outcome, Status> {
        match answer {
            Ok(granted) => Ok(Outcome::Registration(self.registration(&granted))),
            Err(Failure::Refused(why, wanted)) => {
                Ok(Outcome::Refusal(self.refusal((&why, wanted, leaving), now, request, language)))
            }
            Err(failure) => Err(status(failure, language)),
        }
    }

    /// A refusal, with what may be had instead.
    pub(super) fn refusal(
        &self,
        (why, wanted, leaving): (&Refusal, Option<Wanted>, Option<RegistrationId>),
        now: UnixMillis,
        request: Option<RequestKey>,
        language: Language,
    ) -> v1::Refusal {
        let mut answer = refusal(why, now, request, language);
        let mut alternatives = Vec::new();
        self.name_alternatives((wanted, leaving), now, &mut alternatives);
        // Ours, and just written.
        let merged = answer.merge(&*alternatives);
        debug_assert!(merged.is_ok(), "alternatives are no fields of a refusal: {merged:?}");
        answer
    }

    /// Writes what may be had instead, as `kuota.v1.Refusal` has it.
    pub(super) fn name_alternatives(
        &self,
        (wanted, leaving): (Option<Wanted>, Option<RegistrationId>),
        now: UnixMillis,
        out: &mut Vec<u8>,
    ) {
        if let Some(wanted) = wanted {
            let tell = |offer: &[u8], available| alternative(offer, available, out);
            self.engine.alternatives((wanted, leaving), now, tell);
        }
    }

    pub(super) fn register_response(
        &self,
        answer: Answer,
        key: RequestKey,
        language: Language,
        now: UnixMillis,
    ) -> Result<v1::RegisterResponse, Status> {
        let outcome = match self.outcome((answer, None), Some(key), language, now)? {
            Outcome::Registration(registration) => register_response::Outcome::Registration(registration),
            Outcome::Refusal(refusal) => register_response::Outcome::Refusal(refusal),
        };
        Ok(v1::RegisterResponse { outcome: Some(outcome), server_time: Some(timestamp(now)) })
    }

    pub(super) fn registration(&self, granted: &Granted) -> v1::Registration {
        convert::registration(granted, &self.engine.directory())
    }

    pub(super) fn server_time(&self) -> Option<prost_types::Timestamp> {
        Some(timestamp(self.engine.now()))
    }
}

#[tonic::async_trait]
impl RegistrationService for Api {
    async fn register(
        &self,
        request: Request<v1::RegisterRequest>,
    ) -> Result<Response<v1::RegisterResponse>, Status> {
        let language = Language::of(request.metadata());
        let from = origin(&request);
        let mut request = request.into_inner();
        let wish = convert::wish(&Ask::of(&request), ANONYMOUS);
        convert::wipe(std::slice::from_mut(&mut request));
        let wish = wish?;
        let key = RequestKey { caller: wish.caller, id: wish.request_id };
        let answer = self.engine.register(wish, &from).await;
        Ok(Response::new(self.register_response(answer, key, language, self.engine.now())?))
    }

    async fn register_batch(
        &self,
        request: Request<v1::RegisterBatchRequest>,
    ) -> Result<Response<v1::RegisterBatchResponse>, Status> {
        let language = Language::of(request.metadata());
        let from = origin(&request);
        let mut requests = request.into_inner().requests;
        let batch = Batch::of(&requests);
        convert::wipe(&mut requests);
        let answer = batch?.answer(self, &from, language).await;
        // Ours, and just written.
        let message = v1::RegisterBatchResponse::decode(&answer[PREFIX_BYTES..]);
        Ok(Response::new(message.map_err(|_| status(Failure::Internal, language))?))
    }

    async fn get_registration(
        &self,
        request: Request<v1::GetRegistrationRequest>,
    ) -> Result<Response<v1::GetRegistrationResponse>, Status> {
        let language = Language::of(request.metadata());
        let key = convert::key(request.into_inner(), ANONYMOUS)?;
        let found = self.engine.find(key).ok_or_else(|| status(Failure::RegistrationNotFound, language))?;
        let registration = Some(self.registration(&found));
        let server_time = self.server_time();
        Ok(Response::new(v1::GetRegistrationResponse { registration, server_time }))
    }

    async fn cancel(
        &self,
        request: Request<v1::CancelRequest>,
    ) -> Result<Response<v1::CancelResponse>, Status> {
        let language = Language::of(request.metadata());
        let request = request.into_inner();
        let id = convert::cancellation(&request)?;
        let answer = self.engine.cancel(id, ANONYMOUS, &request.reason).await;
        let outcome = match self.outcome((answer, None), None, language, self.engine.now())? {
            Outcome::Registration(registration) => cancel_response::Outcome::Registration(registration),
            Outcome::Refusal(refusal) => cancel_response::Outcome::Refusal(refusal),
        };
        let server_time = self.server_time();
        Ok(Response::new(v1::CancelResponse { outcome: Some(outcome), server_time }))
    }

    async fn confirm_payment(
        &self,
        request: Request<v1::ConfirmPaymentRequest>,
    ) -> Result<Response<v1::ConfirmPaymentResponse>, Status> {
        let language = Language::of(request.metadata());
        let notice = payments::notice(request.into_inner(), ANONYMOUS)?;
        Ok(Response::new(self.paid(self.engine.pay(notice).await, language)?))
    }

    async fn check_in(
        &self,
        request: Request<v1::CheckInRequest>,
    ) -> Result<Response<v1::CheckInResponse>, Status> {
        use v1::{check_in_request::Key as Said, get_registration_request::Key as Asked};
        let language = Language::of(request.metadata());
        let v1::CheckInRequest { key, actor } = request.into_inner();
        let key = key.map(|key| match key {
            Said::Id(id) => Asked::Id(id),
            Said::Code(code) => Asked::Code(code),
            Said::RequestId(id) => Asked::RequestId(id),
            Said::BillingReference(text) => Asked::BillingReference(text),
        });
        let key = days::attendee(key, &actor, ANONYMOUS)?;
        let answer = self.engine.check_in(key, ANONYMOUS, &actor).await;
        let outcome = match self.outcome((answer, None), None, language, self.engine.now())? {
            Outcome::Registration(registration) => check_in_response::Outcome::Registration(registration),
            Outcome::Refusal(refusal) => check_in_response::Outcome::Refusal(refusal),
        };
        let server_time = self.server_time();
        Ok(Response::new(v1::CheckInResponse { outcome: Some(outcome), server_time }))
    }

    async fn complete(
        &self,
        request: Request<v1::CompleteRequest>,
    ) -> Result<Response<v1::CompleteResponse>, Status> {
        use v1::{complete_request::Key as Said, get_registration_request::Key as Asked};
        let language = Language::of(request.metadata());
        let v1::CompleteRequest { key, actor } = request.into_inner();
        let key = key.map(|key| match key {
            Said::Id(id) => Asked::Id(id),
            Said::Code(code) => Asked::Code(code),
            Said::RequestId(id) => Asked::RequestId(id),
            Said::BillingReference(text) => Asked::BillingReference(text),
        });
        let key = days::attendee(key, &actor, ANONYMOUS)?;
        let answer = self.engine.complete(key, ANONYMOUS, &actor).await;
        let outcome = match self.outcome((answer, None), None, language, self.engine.now())? {
            Outcome::Registration(registration) => complete_response::Outcome::Registration(registration),
            Outcome::Refusal(refusal) => complete_response::Outcome::Refusal(refusal),
        };
        let server_time = self.server_time();
        Ok(Response::new(v1::CompleteResponse { outcome: Some(outcome), server_time }))
    }

    async fn reschedule(
        &self,
        request: Request<v1::RescheduleRequest>,
    ) -> Result<Response<v1::RescheduleResponse>, Status> {
        let language = Language::of(request.metadata());
        let (id, key, to) = reschedule::wish(request.get_ref(), ANONYMOUS)?;
        let answer = self.engine.reschedule(id, key, &to).await;
        let outcome = match self.outcome((answer, Some(id)), Some(key), language, self.engine.now())? {
            Outcome::Registration(registration) => reschedule_response::Outcome::Registration(registration),
            Outcome::Refusal(refusal) => reschedule_response::Outcome::Refusal(refusal),
        };
        let server_time = self.server_time();
        Ok(Response::new(v1::RescheduleResponse { outcome: Some(outcome), server_time }))
    }
}

/// The connection a call came on.
fn origin<T>(request: &Request<T>) -> Origin {
    request.extensions().get::<Origin>().cloned().unwrap_or_default()
}
