//! `RegistrationService`.

use kuota_api::v1::{
    self, cancel_response, register_response, registration_service_server::RegistrationService,
};
use kuota_domain::ids::{CallerNumber, RequestKey};
use tonic::{Request, Response, Status};

use super::{
    Api,
    convert::{self, timestamp},
    status::{refusal, status},
};
use crate::engine::{Answer, Failure, Granted};

/// Until there is authentication, every caller is the same one.
const ANONYMOUS: CallerNumber = CallerNumber(0);

enum Outcome {
    Registration(v1::Registration),
    Refusal(v1::Refusal),
}

impl Api {
    /// Refusals are answers; every other failure is an error.
    fn outcome(&self, answer: Answer, request: Option<RequestKey>) -> Result<Outcome, Status> {
        match answer {
            Ok(granted) => Ok(Outcome::Registration(self.registration(&granted))),
            Err(Failure::Refused(why)) => Ok(Outcome::Refusal(refusal(&why, self.engine.now(), request))),
            Err(failure) => Err(status(failure)),
        }
    }

    fn registration(&self, granted: &Granted) -> v1::Registration {
        let office = self.engine.office_id(granted.registration.slot.office);
        convert::registration(granted, office)
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
        let wish = convert::wish(request.into_inner(), ANONYMOUS)?;
        let key = RequestKey { caller: wish.caller, id: wish.request_id };
        let answer = self.engine.register(wish).await;
        let outcome = match self.outcome(answer, Some(key))? {
            Outcome::Registration(registration) => register_response::Outcome::Registration(registration),
            Outcome::Refusal(refusal) => register_response::Outcome::Refusal(refusal),
        };
        let server_time = self.server_time();
        Ok(Response::new(v1::RegisterResponse { outcome: Some(outcome), server_time }))
    }

    async fn get_registration(
        &self,
        request: Request<v1::GetRegistrationRequest>,
    ) -> Result<Response<v1::GetRegistrationResponse>, Status> {
        let key = convert::key(request.into_inner(), ANONYMOUS)?;
        let found = self.engine.find(key).ok_or_else(|| status(Failure::RegistrationNotFound))?;
        let registration = Some(self.registration(&found));
        let server_time = self.server_time();
        Ok(Response::new(v1::GetRegistrationResponse { registration, server_time }))
    }

    async fn cancel(
        &self,
        request: Request<v1::CancelRequest>,
    ) -> Result<Response<v1::CancelResponse>, Status> {
        let request = request.into_inner();
        let id = convert::cancellation(&request)?;
        let answer = self.engine.cancel(id, ANONYMOUS, &request.reason).await;
        let outcome = match self.outcome(answer, None)? {
            Outcome::Registration(registration) => cancel_response::Outcome::Registration(registration),
            Outcome::Refusal(refusal) => cancel_response::Outcome::Refusal(refusal),
        };
        let server_time = self.server_time();
        Ok(Response::new(v1::CancelResponse { outcome: Some(outcome), server_time }))
    }
}
