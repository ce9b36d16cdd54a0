//! The client: one method a use case, with a deadline on every call.

use std::time::Duration;

use kuota_api::v1::{
    self, Durability, Lane, Office, Refusal, Registration, Slot,
    availability_service_client::AvailabilityServiceClient, cancel_response, get_registration_request,
    office_service_client::OfficeServiceClient, register_response,
    registration_service_client::RegistrationServiceClient,
};
use tonic::{
    Request, Status,
    transport::{Channel, Endpoint},
};
use uuid::Uuid;

use crate::Error;

/// For a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// For a call, unless said otherwise.
const DEADLINE: Duration = Duration::from_secs(10);
/// Pages followed before a listing is taken to be endless.
const PAGES_MAX: usize = 10_000;

/// A connection to a server. Cloning is cheap and shares it.
#[derive(Clone, Debug)]
pub struct Client {
    channel: Channel,
    deadline: Duration,
}

/// A wish for places, with the id by which repeats are recognised.
#[derive(Clone, PartialEq)]
pub struct Ask {
    request: v1::RegisterRequest,
}

/// The answer to a command.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Done; this is how it stands.
    Registered(Registration),
    /// Not done, and this is why.
    Refused(Refusal),
}

/// How to find a registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// By its id.
    Id(String),
    /// By its booking code.
    Code(String),
    /// By the request it answered.
    RequestId(String),
}

/// Which slots to list; everything by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AvailabilityFilter {
    /// Only this office.
    pub office_id: Option<String>,
    /// Only from this day on.
    pub from_date: Option<String>,
    /// Only up to this day.
    pub to_date: Option<String>,
    /// Only this lane.
    pub lane: Option<Lane>,
}

impl Ask {
    /// A wish for a place, under a new `request_id`.
    #[must_use]
    pub fn new(office_id: impl Into<String>, service_date: impl Into<String>, lane: Lane) -> Self {
        Self {
            request: v1::RegisterRequest {
                request_id: Uuid::now_v7().to_string(),
                office_id: office_id.into(),
                service_date: service_date.into(),
                lane: lane.into(),
                applicants: Vec::new(),
                durability: Durability::Durable.into(),
            },
        }
    }

    /// With one more applicant, up to five; `reference` is the caller's own.
    #[must_use]
    pub fn applicant(mut self, nik: impl Into<String>, reference: impl Into<String>) -> Self {
        self.request.applicants.push(v1::Applicant { nik: nik.into(), reference: reference.into() });
        self
    }

    /// Under an id of the caller's choice: a UUID.
    #[must_use]
    pub fn request_id(mut self, request_id: impl Into<String>) -> Self {
        self.request.request_id = request_id.into();
        self
    }

    /// With another durability.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.request.durability = durability.into();
        self
    }

    /// The id by which repeats are recognised.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.request.request_id
    }
}

impl std::fmt::Debug for Ask {
    /// Without the applicants: identity numbers do not belong in logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ask").field("request_id", &self.request.request_id).finish_non_exhaustive()
    }
}

impl Client {
    /// Connects to a server: `http://127.0.0.1:50051`.
    ///
    /// # Errors
    /// When the URL is none, or nobody answers there.
    pub async fn connect(url: &str) -> Result<Self, Error> {
        let failed =
            |error: &dyn std::error::Error| Error::Connect { url: url.to_owned(), reason: innermost(error) };
        let not_ours = || Error::Url { url: url.to_owned() };
        let endpoint = Endpoint::from_shared(url.to_owned()).map_err(|_| not_ours())?;
        // Anything else would go out in clear all the same, identity numbers included.
        if endpoint.uri().scheme_str() != Some("http") || endpoint.uri().host().is_none_or(str::is_empty) {
            return Err(not_ours());
        }
        let endpoint = endpoint.connect_timeout(CONNECT_TIMEOUT).tcp_nodelay(true);
        let channel = endpoint.connect().await.map_err(|error| failed(&error))?;
        Ok(Self { channel, deadline: DEADLINE })
    }

    /// With another deadline for each call.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Asks for places. Sent again, the same ask gets the same registration.
    ///
    /// # Errors
    /// When there is no answer; see [`Error::is_retryable`].
    pub async fn register(&self, ask: &Ask) -> Result<Outcome, Error> {
        let answer = self.registrations().register(self.request(ask.request.clone())).await?;
        match answer.into_inner().outcome {
            Some(register_response::Outcome::Registration(registration)) => {
                Ok(Outcome::Registered(registration))
            }
            Some(register_response::Outcome::Refusal(refusal)) => Ok(Outcome::Refused(refusal)),
            None => Err(unknown_outcome()),
        }
    }

    /// Looks a registration up.
    ///
    /// # Errors
    /// `NOT_FOUND` when there is none, or when there is no answer.
    pub async fn get(&self, key: Key) -> Result<Registration, Error> {
        let key = match key {
            Key::Id(id) => get_registration_request::Key::Id(id),
            Key::Code(code) => get_registration_request::Key::Code(code),
            Key::RequestId(id) => get_registration_request::Key::RequestId(id),
        };
        let request = self.request(v1::GetRegistrationRequest { key: Some(key) });
        let answer = self.registrations().get_registration(request).await?;
        answer.into_inner().registration.ok_or_else(unknown_outcome)
    }

    /// Gives the places of a registration back.
    ///
    /// # Errors
    /// `NOT_FOUND` when there is none, or when there is no answer.
    pub async fn cancel(&self, id: &str, reason: &str) -> Result<Outcome, Error> {
        let request = self.request(v1::CancelRequest { id: id.into(), reason: reason.into() });
        match self.registrations().cancel(request).await?.into_inner().outcome {
            Some(cancel_response::Outcome::Registration(registration)) => {
                Ok(Outcome::Registered(registration))
            }
            Some(cancel_response::Outcome::Refusal(refusal)) => Ok(Outcome::Refused(refusal)),
            None => Err(unknown_outcome()),
        }
    }

    /// Every office.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn offices(&self) -> Result<Vec<Office>, Error> {
        let (mut offices, mut page_token) = (Vec::new(), String::new());
        for _ in 0..PAGES_MAX {
            let request = self.request(v1::ListOfficesRequest { page_size: 0, page_token });
            let page =
                OfficeServiceClient::new(self.channel.clone()).list_offices(request).await?.into_inner();
            offices.extend(page.offices);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(offices);
            }
        }
        Err(endless())
    }

    /// What is free, by the last commit.
    ///
    /// # Errors
    /// `NOT_FOUND` for an unknown office, or when there is no answer.
    pub async fn availability(&self, filter: &AvailabilityFilter) -> Result<Vec<Slot>, Error> {
        let (mut slots, mut page_token) = (Vec::new(), String::new());
        for _ in 0..PAGES_MAX {
            let request = self.request(v1::ListAvailabilityRequest {
                office_id: filter.office_id.clone(),
                from_date: filter.from_date.clone(),
                to_date: filter.to_date.clone(),
                lane: filter.lane.map(i32::from),
                page_size: 0,
                page_token,
            });
            let mut client = AvailabilityServiceClient::new(self.channel.clone());
            let page = client.list_availability(request).await?.into_inner();
            slots.extend(page.slots);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(slots);
            }
        }
        Err(endless())
    }

    fn registrations(&self) -> RegistrationServiceClient<Channel> {
        RegistrationServiceClient::new(self.channel.clone())
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.set_timeout(self.deadline);
        request
    }
}

/// A server that answers with nothing is newer than this client: the outcome is unknown.
fn unknown_outcome() -> Error {
    Status::unknown("the server's answer holds no outcome this client knows").into()
}

fn endless() -> Error {
    Status::out_of_range("the server's list has no end").into()
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
