//! What is asked, and what is answered.

use kuota_api::v1::{
    self, Durability, Lane, PassportKind, PriorityGround, Refusal, Registration, get_registration_request,
};
use uuid::Uuid;

use crate::failure::Failure;

/// A wish for places, with the id by which repeats are recognised.
///
/// Keep it, or at least its [`id`](Self::id), until there is an answer: sent again, the same ask is granted at most
/// once.
#[derive(Clone, PartialEq)]
pub struct Ask {
    pub(crate) request: v1::RegisterRequest,
}

/// The answer to a command.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "an answer is moved a few times and never kept in numbers")]
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
    /// By the billing reference under which its place is paid for.
    Billing(String),
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
                ground: PriorityGround::Unspecified.into(),
                session: String::new(),
            },
        }
    }

    /// With one more applicant, up to five; `reference` is the caller's own.
    #[must_use]
    pub fn applicant(mut self, nik: impl Into<String>, reference: impl Into<String>) -> Self {
        let (nik, reference) = (nik.into(), reference.into());
        self.request.applicants.push(v1::Applicant { nik, reference, ..Default::default() });
        self
    }

    /// What the applicant added last comes for. When all of a party say it, the registration names its fee.
    #[must_use]
    pub fn passport(mut self, kind: PassportKind) -> Self {
        if let Some(last) = self.request.applicants.last_mut() {
            last.passport_kind = kind.into();
        }
        self
    }

    /// Why the party comes by the priority lane: required there, and an error elsewhere.
    #[must_use]
    pub fn ground(mut self, ground: PriorityGround) -> Self {
        self.request.ground = ground.into();
        self
    }

    /// In this session, by its start: `08:00`. Without one it is the earliest with room for the party.
    #[must_use]
    pub fn session(mut self, start: impl Into<String>) -> Self {
        self.request.session = start.into();
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

impl From<Key> for get_registration_request::Key {
    fn from(key: Key) -> Self {
        match key {
            Key::Id(id) => Self::Id(id),
            Key::Code(code) => Self::Code(code),
            Key::RequestId(id) => Self::RequestId(id),
            Key::Billing(reference) => Self::BillingReference(reference),
        }
    }
}

impl Outcome {
    pub(crate) fn of_register(answer: v1::RegisterResponse) -> Result<Self, Failure> {
        use v1::register_response::Outcome as Answered;
        match answer.outcome {
            Some(Answered::Registration(registration)) => Ok(Self::Registered(registration)),
            Some(Answered::Refusal(refusal)) => Ok(Self::Refused(refusal)),
            None => Err(Failure::no_outcome()),
        }
    }

    pub(crate) fn of_cancel(answer: v1::CancelResponse) -> Result<Self, Failure> {
        use v1::cancel_response::Outcome as Answered;
        match answer.outcome {
            Some(Answered::Registration(registration)) => Ok(Self::Registered(registration)),
            Some(Answered::Refusal(refusal)) => Ok(Self::Refused(refusal)),
            None => Err(Failure::no_outcome()),
        }
    }

    pub(crate) fn of_reschedule(answer: v1::RescheduleResponse) -> Result<Self, Failure> {
        use v1::reschedule_response::Outcome as Answered;
        match answer.outcome {
            Some(Answered::Registration(registration)) => Ok(Self::Registered(registration)),
            Some(Answered::Refusal(refusal)) => Ok(Self::Refused(refusal)),
            None => Err(Failure::no_outcome()),
        }
    }

    pub(crate) fn of_check_in(answer: v1::CheckInResponse) -> Result<Self, Failure> {
        use v1::check_in_response::Outcome as Answered;
        match answer.outcome {
            Some(Answered::Registration(registration)) => Ok(Self::Registered(registration)),
            Some(Answered::Refusal(refusal)) => Ok(Self::Refused(refusal)),
            None => Err(Failure::no_outcome()),
        }
    }

    pub(crate) fn of_complete(answer: v1::CompleteResponse) -> Result<Self, Failure> {
        use v1::complete_response::Outcome as Answered;
        match answer.outcome {
            Some(Answered::Registration(registration)) => Ok(Self::Registered(registration)),
            Some(Answered::Refusal(refusal)) => Ok(Self::Refused(refusal)),
            None => Err(Failure::no_outcome()),
        }
    }

    pub(crate) fn of_item(item: v1::RegisterBatchItem) -> Result<Self, Failure> {
        use v1::register_batch_item::Outcome as Answered;
        match item.outcome {
            Some(Answered::Registration(registration)) => Ok(Self::Registered(registration)),
            Some(Answered::Refusal(refusal)) => Ok(Self::Refused(refusal)),
            Some(Answered::Error(status)) => Err(Failure::from(&status)),
            None => Err(Failure::no_outcome()),
        }
    }
}
