//! Another place for a registration, at its caller's wish or at an operator's.

use kuota_api::v1::{
    self, Lane, RescheduleSpeciallyResponse, registration_service_client::RegistrationServiceClient,
};
use tonic::Request;
use uuid::Uuid;

use crate::{
    admin::{Admin, By, service},
    ask::Outcome,
    call::{Call, Effect, insist},
    client::Client,
    error::Error,
};

/// A wish for another place, which carries its `request_id`: one for each intent, the same on every repeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reschedule {
    /// UUID of the wish.
    pub request_id: String,
    /// The registration's id.
    pub id: String,
    /// Where it shall go.
    pub to: Destination,
}

/// Where a registration shall go; what is not said stays as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The service day: 2026-12-01.
    pub service_date: String,
    /// Another office.
    pub office_id: Option<String>,
    /// Another lane, of the same price.
    pub lane: Option<Lane>,
    /// A session there, by its start: 08:00. Empty: the earliest with room for the party.
    pub session: String,
}

impl Destination {
    /// Another day, at the same office and in the same lane.
    #[must_use]
    pub fn day(service_date: impl Into<String>) -> Self {
        Self { service_date: service_date.into(), office_id: None, lane: None, session: String::new() }
    }

    /// At another office.
    #[must_use]
    pub fn office(mut self, office_id: impl Into<String>) -> Self {
        self.office_id = Some(office_id.into());
        self
    }

    /// In another lane.
    #[must_use]
    pub fn lane(mut self, lane: Lane) -> Self {
        self.lane = Some(lane);
        self
    }

    /// In a session, by its start: 08:00.
    #[must_use]
    pub fn session(mut self, start: impl Into<String>) -> Self {
        self.session = start.into();
        self
    }
}

impl Reschedule {
    /// Under a new `request_id`.
    #[must_use]
    pub fn new(id: impl Into<String>, to: Destination) -> Self {
        Self { request_id: Uuid::now_v7().to_string(), id: id.into(), to }
    }

    /// Under an id of the caller's choice: a UUID.
    #[must_use]
    pub fn request_id(mut self, request_id: impl Into<String>) -> Self {
        self.request_id = request_id.into();
        self
    }

    fn request(&self) -> v1::RescheduleRequest {
        let Self { request_id, id, to: Destination { service_date, office_id, lane, session } } =
            self.clone();
        v1::RescheduleRequest { request_id, id, service_date, office_id, lane: lane.map(i32::from), session }
    }
}

impl Client {
    /// Gives a place up for another one, in one step: once for each registration, until the day before. Sent again, the same
    /// wish gets the same registration, as it stands by then.
    ///
    /// ```no_run
    /// # async fn example(client: kuota_client::Client, id: &str) -> Result<(), kuota_client::Error> {
    /// use kuota_client::{Destination, Outcome, Reschedule};
    ///
    /// let wish = Reschedule::new(id, Destination::day("2026-12-01"));
    /// match client.reschedule(&wish).await? {
    ///     Outcome::Registered(registration) => println!("now on {}", registration.service_date),
    ///     Outcome::Refused(refusal) => println!("it stays where it was: {}", refusal.message),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `NOT_FOUND` when there is no such registration or office, `FAILED_PRECONDITION` with `REQUEST_ID_REUSED` when the
    /// id stands for another wish, or when there is no answer. A refusal is an answer.
    pub async fn reschedule(&self, wish: &Reschedule) -> Result<Outcome, Error> {
        insist(Call::begin(&self.link.terms, Effect::Write), |allowed| async move {
            let send = async |channel, request: Request<_>| {
                RegistrationServiceClient::new(channel).reschedule(request).await
            };
            Outcome::of_reschedule(self.link.attempt(allowed, wish.request(), send).await?)
        })
        .await
    }
}

impl Admin {
    /// Gives a registration another place after an officer's error, an outage or force majeure: also on the service day
    /// itself, and without counting as its one reschedule.
    ///
    /// # Errors
    /// `NOT_FOUND`; `FAILED_PRECONDITION` with why it cannot go there (`SOLD_OUT`, `SAME_SLOT`, `TERMS_DIFFER`,
    /// `TOO_LATE_TO_RESCHEDULE` …); or when there is no answer.
    pub async fn reschedule_specially(
        &self,
        by: &By,
        id: &str,
        to: &Destination,
    ) -> Result<RescheduleSpeciallyResponse, Error> {
        self.specially(by, (id, to), Effect::Write).await
    }

    /// What that would change. Nothing changes.
    ///
    /// # Errors
    /// As [`reschedule_specially`](Self::reschedule_specially).
    pub async fn preview_reschedule(
        &self,
        by: &By,
        id: &str,
        to: &Destination,
    ) -> Result<RescheduleSpeciallyResponse, Error> {
        self.specially(by, (id, to), Effect::Read).await
    }

    async fn specially(
        &self,
        by: &By,
        (id, to): (&str, &Destination),
        effect: Effect,
    ) -> Result<RescheduleSpeciallyResponse, Error> {
        let Destination { service_date, office_id, lane, session } = to.clone();
        let request = v1::RescheduleSpeciallyRequest {
            command: by.command(),
            id: id.into(),
            service_date,
            office_id,
            lane: lane.map(i32::from),
            session,
            validate_only: effect == Effect::Read,
        };
        let send = async |channel, request: Request<_>| service(channel).reschedule_specially(request).await;
        self.link.call(effect, &request, send).await
    }
}
