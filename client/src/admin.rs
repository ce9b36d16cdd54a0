//! The client of operators: one method a call of `AdminService`.

use std::time::{Duration, SystemTime};

use kuota_api::v1::{
    self, ApplyCatalogResponse, ClearOverrideResponse, GetCatalogResponse, Lane, PauseResponse,
    ResumeResponse, ScheduleOpeningResponse, Scope, SetQuotaResponse,
    admin_service_client::AdminServiceClient,
};
use tonic::{Request, transport::Channel};
use uuid::Uuid;

use crate::{
    board::SlotKey,
    builder::Builder,
    call::Effect,
    error::Error,
    export::{Export, ExportFilter},
    history::{EventFilter, Events},
    limits::ADMIN_ANSWER_MAX_BYTES,
    link::Link,
    retry::RetryPolicy,
};

/// A connection to a server's listener for operators: `http://127.0.0.1:50052`.
///
/// Writes say [who and why](By), and are idempotent: sent again with the same [`By`] they change nothing.
///
/// ```no_run
/// # async fn example() -> Result<(), kuota_client::Error> {
/// use kuota_client::{Admin, By, Lane, Scope, SlotKey};
///
/// let admin = Admin::connect("http://127.0.0.1:50052").await?;
/// let slot = SlotKey::new("kanim-pontianak", "2026-11-30", Lane::Regular);
/// let changed = admin.set_quota(&By::new("siti", "second counter open"), &slot, 140).await?;
/// println!("{:?}", changed.slots);
/// let everything = Scope::default();
/// admin.pause(&By::new("siti", "fire drill"), &everything).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Admin {
    pub(crate) link: Link,
}

/// Who changes something and why, with the id by which repeats are recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct By {
    /// The person or program, up to 64 characters.
    pub actor: String,
    /// Why, up to 200 characters; kept in the log.
    pub reason: String,
    /// A UUID, one for each intent.
    pub request_id: String,
}

/// Service days that open once, at a time.
#[derive(Clone, Debug, PartialEq)]
pub struct Opening {
    /// The office.
    pub office_id: String,
    /// The service days, 1 to 31.
    pub service_dates: Vec<String>,
    /// The lanes; all that the office offers when empty.
    pub lanes: Vec<Lane>,
    /// When they open.
    pub open_time: SystemTime,
    /// Places of each day and lane, instead of the catalogue's.
    pub places: Option<u32>,
}

impl By {
    /// Under a new `request_id`.
    #[must_use]
    pub fn new(actor: impl Into<String>, reason: impl Into<String>) -> Self {
        let request_id = Uuid::now_v7().to_string();
        Self { actor: actor.into(), reason: reason.into(), request_id }
    }

    /// Under an id of the caller's choice: a UUID.
    #[must_use]
    pub fn request_id(mut self, request_id: impl Into<String>) -> Self {
        self.request_id = request_id.into();
        self
    }

    pub(crate) fn command(&self) -> Option<v1::Command> {
        let Self { actor, reason, request_id } = self.clone();
        Some(v1::Command { request_id, actor, reason })
    }
}

#[doc(hidden)]
impl From<Link> for Admin {
    fn from(link: Link) -> Self {
        Self { link }
    }
}

impl Admin {
    /// Connects to the listener for operators with the default settings.
    ///
    /// # Errors
    /// When the URL is none, or nobody answers there.
    pub async fn connect(url: &str) -> Result<Self, Error> {
        Self::builder(url).connect().await
    }

    /// Settings for a connection to the listener for operators.
    pub fn builder(url: impl Into<String>) -> Builder<Self> {
        Builder::new(url, 1)
    }

    /// With another deadline for each call; clones keep theirs.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.link.terms.deadline = deadline;
        self
    }

    /// With another retry policy; clones keep theirs.
    #[must_use]
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.link.terms.retry = retry;
        self
    }

    /// The catalogue in force, with what operators set above it.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn catalog(&self) -> Result<GetCatalogResponse, Error> {
        let send = async |channel, request: Request<_>| service(channel).get_catalog(request).await;
        self.link.call(Effect::Read, &v1::GetCatalogRequest {}, send).await
    }

    /// What applying a catalogue would change. Nothing changes.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` with line and key for a text that is no catalogue, `FAILED_PRECONDITION` with `OFFICE_IN_USE`
    /// when it drops an office with live registrations, or when there is no answer.
    pub async fn preview_catalog(
        &self,
        by: &By,
        toml: &str,
        close_offices: bool,
    ) -> Result<ApplyCatalogResponse, Error> {
        let toml = toml.to_owned();
        let request =
            v1::ApplyCatalogRequest { command: by.command(), toml, validate_only: true, close_offices };
        let send = async |channel, request: Request<_>| service(channel).apply_catalog(request).await;
        self.link.call(Effect::Read, &request, send).await
    }

    /// Brings offices, lanes, openings, holidays and fees in line with a catalogue in TOML. Places that are granted, and
    /// what operators set above the catalogue, stand.
    ///
    /// # Errors
    /// As [`preview_catalog`](Self::preview_catalog).
    pub async fn apply_catalog(
        &self,
        by: &By,
        toml: &str,
        close_offices: bool,
    ) -> Result<ApplyCatalogResponse, Error> {
        let toml = toml.to_owned();
        let request =
            v1::ApplyCatalogRequest { command: by.command(), toml, validate_only: false, close_offices };
        let send = async |channel, request: Request<_>| service(channel).apply_catalog(request).await;
        self.link.call(Effect::Write, &request, send).await
    }

    /// What an opening would change. Nothing changes.
    ///
    /// # Errors
    /// As [`schedule_opening`](Self::schedule_opening).
    pub async fn preview_opening(
        &self,
        by: &By,
        opening: &Opening,
    ) -> Result<ScheduleOpeningResponse, Error> {
        self.open(by, opening, Effect::Read).await
    }

    /// Opens service days once, at a time, instead of when their rule would. All of them or none.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` with `OPENING_IN_THE_PAST`, `FAILED_PRECONDITION` with `ALREADY_OPEN`, `BOOKING_CLOSED` or
    /// `PLACES_REQUIRED`, or when there is no answer.
    pub async fn schedule_opening(
        &self,
        by: &By,
        opening: &Opening,
    ) -> Result<ScheduleOpeningResponse, Error> {
        self.open(by, opening, Effect::Write).await
    }

    async fn open(
        &self,
        by: &By,
        opening: &Opening,
        effect: Effect,
    ) -> Result<ScheduleOpeningResponse, Error> {
        let request = v1::ScheduleOpeningRequest {
            command: by.command(),
            office_id: opening.office_id.clone(),
            service_dates: opening.service_dates.clone(),
            lanes: opening.lanes.iter().copied().map(i32::from).collect(),
            open_time: Some(opening.open_time.into()),
            places: opening.places,
            validate_only: effect == Effect::Read,
        };
        let send = async |channel, request: Request<_>| service(channel).schedule_opening(request).await;
        self.link.call(effect, &request, send).await
    }

    /// What a quota would change. Nothing changes.
    ///
    /// # Errors
    /// As [`set_quota`](Self::set_quota).
    pub async fn preview_quota(
        &self,
        by: &By,
        slot: &SlotKey,
        places: u32,
    ) -> Result<SetQuotaResponse, Error> {
        self.quota(by, (slot, places), Effect::Read).await
    }

    /// Sets the places of a slot, granted ones included. Fewer than are granted take nothing away: no more is granted.
    ///
    /// # Errors
    /// `FAILED_PRECONDITION` with `NOT_SCHEDULED` or `BOOKING_CLOSED`, or when there is no answer.
    pub async fn set_quota(&self, by: &By, slot: &SlotKey, places: u32) -> Result<SetQuotaResponse, Error> {
        self.quota(by, (slot, places), Effect::Write).await
    }

    async fn quota(
        &self,
        by: &By,
        (slot, places): (&SlotKey, u32),
        effect: Effect,
    ) -> Result<SetQuotaResponse, Error> {
        let SlotKey { office_id, service_date, lane } = slot.clone();
        let (command, validate_only) = (by.command(), effect == Effect::Read);
        let lane = lane.into();
        let request = v1::SetQuotaRequest { command, office_id, service_date, lane, places, validate_only };
        let send = async |channel, request: Request<_>| service(channel).set_quota(request).await;
        self.link.call(effect, &request, send).await
    }

    /// What clearing an override would change. Nothing changes.
    ///
    /// # Errors
    /// As [`clear_override`](Self::clear_override).
    pub async fn preview_clear(&self, by: &By, slot: &SlotKey) -> Result<ClearOverrideResponse, Error> {
        self.clear(by, slot, Effect::Read).await
    }

    /// Takes quota and opening of a slot back to what the catalogue says. An opening that has happened stands.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn clear_override(&self, by: &By, slot: &SlotKey) -> Result<ClearOverrideResponse, Error> {
        self.clear(by, slot, Effect::Write).await
    }

    async fn clear(&self, by: &By, slot: &SlotKey, effect: Effect) -> Result<ClearOverrideResponse, Error> {
        let SlotKey { office_id, service_date, lane } = slot.clone();
        let (command, validate_only) = (by.command(), effect == Effect::Read);
        let lane = lane.into();
        let request = v1::ClearOverrideRequest { command, office_id, service_date, lane, validate_only };
        let send = async |channel, request: Request<_>| service(channel).clear_override(request).await;
        self.link.call(effect, &request, send).await
    }

    /// Stops giving out places within a scope; an empty one is everything. Cancelling and look-ups go on.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn pause(&self, by: &By, scope: &Scope) -> Result<PauseResponse, Error> {
        let request = v1::PauseRequest { command: by.command(), scope: Some(scope.clone()) };
        let send = async |channel, request: Request<_>| service(channel).pause(request).await;
        self.link.call(Effect::Write, &request, send).await
    }

    /// Takes back the pause of exactly that scope. The answer lists the pauses still in force.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn resume(&self, by: &By, scope: &Scope) -> Result<ResumeResponse, Error> {
        let request = v1::ResumeRequest { command: by.command(), scope: Some(scope.clone()) };
        let send = async |channel, request: Request<_>| service(channel).resume(request).await;
        self.link.call(Effect::Write, &request, send).await
    }

    /// What happened: who, when and why, in the order of the log. Nothing is asked until [`Events::next`].
    #[must_use]
    pub fn events(&self, filter: &EventFilter) -> Events {
        Events::new(self.link.clone(), filter)
    }

    /// Registrations as they stand, by office, service day and queue number, without any NIK.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn export(&self, filter: &ExportFilter) -> Result<Export, Error> {
        Export::open(&self.link, filter).await
    }
}

/// A catalogue is larger than the answers tonic takes unasked.
pub(crate) fn service(channel: Channel) -> AdminServiceClient<Channel> {
    AdminServiceClient::new(channel).max_decoding_message_size(ADMIN_ANSWER_MAX_BYTES)
}
