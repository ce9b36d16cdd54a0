//! `AdminService`: what operators change, and what they look back at.

use std::sync::Arc;

use futures_util::stream;
use kuota_api::v1::{self, admin_service_server::AdminService};
use kuota_domain::{
    calendar::ServiceDay,
    ids::RegistrationId,
    ledger::Directive,
    limits::{ACTOR_CHARS_MAX, DAYS_AHEAD_MAX, OPENING_DAYS_MAX, PLACES_PER_LANE_MAX},
    registration::Registration,
    slot::{Lane, Scope, SlotKey},
    time::UnixMillis,
};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{
    Api, BoxStream, command,
    convert::{self, Violations, ground_of, lane_of, passport_of, session_of, state_of, timestamp},
    history,
    language::Language,
    office,
    paging::{fingerprint, page, token},
    reschedule,
    status::{invalid, status},
};
use crate::{
    catalog_file::{parse, render},
    engine::{Directory, Failure, HistoryQuery, OfficeEntry, Subject},
    limits::{CHANGES_SHOWN_MAX, EXPORT_CHUNK},
};

const EVENTS_DEFAULT: usize = 100;
const EVENTS_MAX: usize = 1_000;

#[tonic::async_trait]
impl AdminService for Api {
    async fn apply_catalog(
        &self,
        request: Request<v1::ApplyCatalogRequest>,
    ) -> Result<Response<v1::ApplyCatalogResponse>, Status> {
        let language = Language::of(request.metadata());
        let mut request = request.into_inner();
        let validate_only = std::mem::take(&mut request.validate_only);
        let mut violations = Violations::default();
        let wanted = command::take(&mut request, &mut violations);
        let text = request.toml;
        let _seat = self.take_writer(language)?;
        let parsed = blocking(move || parse("toml", &text), language).await?;
        let catalog = violations.take("toml", parsed);
        let (wanted, catalog) = whole(violations, (wanted, catalog))?;
        let catalog = Arc::new(catalog);
        let directive =
            Directive::ApplyCatalog { catalog: catalog.clone(), close_offices: request.close_offices };
        let done = self.operate(wanted, directive, validate_only, language).await?;
        let before = done.catalog_before();
        let compare = move || before.map_or_else(Vec::new, |before| before.differences(&catalog));
        let differences = blocking(compare, language).await?;
        let shown = differences.iter().take(CHANGES_SHOWN_MAX).map(command::difference);
        Ok(Response::new(v1::ApplyCatalogResponse {
            receipt: done.receipt(),
            changes: shown.collect(),
            changes_total: u32::try_from(differences.len()).unwrap_or(u32::MAX),
            slots: done.slots(),
            slots_total: done.slots_total(),
            server_time: self.server_time(),
        }))
    }

    async fn get_catalog(
        &self,
        _: Request<v1::GetCatalogRequest>,
    ) -> Result<Response<v1::GetCatalogResponse>, Status> {
        let (view, directory) = (self.engine.operator_view(), self.engine.directory());
        let overrides = view.overrides.iter().filter_map(|(slot, set)| {
            let entry = directory.office(slot.office)?;
            Some(v1::Override {
                office_id: entry.office.id.to_string(),
                service_date: slot.day.to_string(),
                lane: lane_of(slot.lane).into(),
                places: set.places,
                open_time: set.open_at.map(timestamp),
            })
        });
        let (overrides, pauses) = (overrides.collect(), command::pauses(&view, &directory));
        let toml = blocking(move || render(&view.catalog), Language::default()).await?;
        let server_time = self.server_time();
        Ok(Response::new(v1::GetCatalogResponse { toml, overrides, pauses, server_time }))
    }

    async fn schedule_opening(
        &self,
        request: Request<v1::ScheduleOpeningRequest>,
    ) -> Result<Response<v1::ScheduleOpeningResponse>, Status> {
        let language = Language::of(request.metadata());
        let mut request = request.into_inner();
        let validate_only = std::mem::take(&mut request.validate_only);
        let mut violations = Violations::default();
        let wanted = command::take(&mut request, &mut violations);
        let directory = self.engine.directory();
        let (office, entry) = office::find(&directory, &request.office_id, language)?;
        let days = self.days(("service_dates", &request.service_dates), entry, &mut violations);
        let lanes = lanes(&request.lanes, entry, &mut violations);
        let open_at = request.open_time.as_ref().ok_or("the time of the opening is required");
        let open_at = violations.take("open_time", open_at.and_then(convert::instant));
        if let Some(places) = request.places {
            check_places(places, &mut violations);
        }
        let (wanted, open_at) = whole(violations, (wanted, open_at))?;
        let slots = days.iter().flat_map(|day| lanes.iter().map(|lane| (*day, *lane)));
        let slots = slots.map(|(day, lane)| SlotKey { office, day, lane }).collect();
        let directive = Directive::ScheduleOpening { slots, open_at, places: request.places };
        let done = self.operate(wanted, directive, validate_only, language).await?;
        let (receipt, slots, server_time) = (done.receipt(), done.slots(), self.server_time());
        Ok(Response::new(v1::ScheduleOpeningResponse { receipt, slots, server_time }))
    }

    async fn set_quota(
        &self,
        request: Request<v1::SetQuotaRequest>,
    ) -> Result<Response<v1::SetQuotaResponse>, Status> {
        let language = Language::of(request.metadata());
        let mut request = request.into_inner();
        let validate_only = std::mem::take(&mut request.validate_only);
        let mut violations = Violations::default();
        let wanted = command::take(&mut request, &mut violations);
        check_places(request.places, &mut violations);
        let asked = (request.office_id.as_str(), request.service_date.as_str(), request.lane);
        let slot = self.slot(asked, &mut violations, language)?;
        let (wanted, slot) = whole(violations, (wanted, slot))?;
        let directive = Directive::SetQuota { slot, places: request.places };
        let done = self.operate(wanted, directive, validate_only, language).await?;
        let (receipt, slots, server_time) = (done.receipt(), done.slots(), self.server_time());
        Ok(Response::new(v1::SetQuotaResponse { receipt, slots, server_time }))
    }

    async fn clear_override(
        &self,
        request: Request<v1::ClearOverrideRequest>,
    ) -> Result<Response<v1::ClearOverrideResponse>, Status> {
        let language = Language::of(request.metadata());
        let mut request = request.into_inner();
        let validate_only = std::mem::take(&mut request.validate_only);
        let mut violations = Violations::default();
        let wanted = command::take(&mut request, &mut violations);
        let asked = (request.office_id.as_str(), request.service_date.as_str(), request.lane);
        let slot = self.slot(asked, &mut violations, language)?;
        let (wanted, slot) = whole(violations, (wanted, slot))?;
        let done = self.operate(wanted, Directive::ClearOverride(slot), validate_only, language).await?;
        let (receipt, slots, server_time) = (done.receipt(), done.slots(), self.server_time());
        Ok(Response::new(v1::ClearOverrideResponse { receipt, slots, server_time }))
    }

    async fn pause(&self, request: Request<v1::PauseRequest>) -> Result<Response<v1::PauseResponse>, Status> {
        let language = Language::of(request.metadata());
        let mut request = request.into_inner();
        let mut violations = Violations::default();
        let wanted = command::take(&mut request, &mut violations);
        let scope = self.scope(request.scope, &mut violations, language)?;
        let (wanted, scope) = whole(violations, (wanted, scope))?;
        let done = self.operate(wanted, Directive::Pause(scope), false, language).await?;
        let (receipt, pauses, server_time) = (done.receipt(), self.pauses(), self.server_time());
        Ok(Response::new(v1::PauseResponse { receipt, pauses, server_time }))
    }

    async fn resume(
        &self,
        request: Request<v1::ResumeRequest>,
    ) -> Result<Response<v1::ResumeResponse>, Status> {
        let language = Language::of(request.metadata());
        let mut request = request.into_inner();
        let mut violations = Violations::default();
        let wanted = command::take(&mut request, &mut violations);
        let scope = self.scope(request.scope, &mut violations, language)?;
        let (wanted, scope) = whole(violations, (wanted, scope))?;
        let done = self.operate(wanted, Directive::Resume(scope), false, language).await?;
        let (receipt, pauses, server_time) = (done.receipt(), self.pauses(), self.server_time());
        Ok(Response::new(v1::ResumeResponse { receipt, pauses, server_time }))
    }

    async fn list_events(
        &self,
        request: Request<v1::ListEventsRequest>,
    ) -> Result<Response<v1::ListEventsResponse>, Status> {
        let language = Language::of(request.metadata());
        let request = request.into_inner();
        let mut violations = Violations::default();
        let query = fingerprint(&format!(
            "{:?}",
            v1::ListEventsRequest { page_size: 0, page_token: String::new(), ..request.clone() }
        ));
        let asked = (request.page_size, request.page_token.as_str());
        let page = page(asked, (EVENTS_DEFAULT, EVENTS_MAX), query, &mut violations);
        let mut time = |field, at: &Option<prost_types::Timestamp>| {
            at.as_ref().and_then(|at| violations.take(field, convert::instant(at)))
        };
        let from = time("from_time", &request.from_time).unwrap_or(UnixMillis::MIN);
        let to = time("to_time", &request.to_time).unwrap_or(UnixMillis::MAX);
        let (registration, office, actor) = (&request.registration_id, &request.office_id, &request.actor);
        let subject = self.subject((registration, office, actor), &mut violations, language)?;
        violations.check()?;
        let after =
            page.after.map_or(0, |after| u64::try_from(u128::from_be_bytes(after)).unwrap_or(u64::MAX));
        let wanted = HistoryQuery { subject, from, to, after, most: page.size };
        let engine = self.engine.clone();
        let history = blocking(move || engine.history(&wanted), language).await?;
        let history = history.map_err(|failure| status(failure, language))?;

        let directory = self.engine.directory();
        let events = history.events.iter().map(|(number, event)| history::event(&directory, *number, event));
        let next_page_token = history
            .goes_on_after
            .map_or_else(String::new, |number| token(query, u128::from(number).to_be_bytes()));
        let (events, server_time) = (events.collect(), self.server_time());
        Ok(Response::new(v1::ListEventsResponse { events, next_page_token, server_time }))
    }

    type ExportStream = BoxStream<v1::ExportResponse>;

    async fn export(
        &self,
        request: Request<v1::ExportRequest>,
    ) -> Result<Response<Self::ExportStream>, Status> {
        let language = Language::of(request.metadata());
        let request = request.into_inner();
        let mut violations = Violations::default();
        let days = convert::days((&request.from_date, &request.to_date), &mut violations);
        violations.check()?;
        let directory = self.engine.directory();
        let office = request.office_id.as_deref().map(|id| office::find(&directory, id, language));
        let office = office.transpose()?.map(|(number, _)| number);
        let engine = self.engine.clone();
        let found = blocking(move || engine.export(office, days), language).await?;
        let (found, seat) = found.map_err(|failure| status(failure, language))?;
        let mut rest = found.into_iter();
        // Made as it is read: however slow the reader, only the list is held, and few hold one.
        let chunks = std::iter::from_fn(move || {
            let _seat = &seat;
            let chunk: Vec<_> =
                rest.by_ref().take(EXPORT_CHUNK).map(|found| exported(&directory, &found)).collect();
            (!chunk.is_empty()).then_some(Ok(v1::ExportResponse { registrations: chunk }))
        });
        Ok(Response::new(Box::pin(stream::iter(chunks))))
    }

    async fn list_payment_cases(
        &self,
        request: Request<v1::ListPaymentCasesRequest>,
    ) -> Result<Response<v1::ListPaymentCasesResponse>, Status> {
        Ok(Response::new(self.payment_cases(request.get_ref())?))
    }

    async fn resolve_payment_case(
        &self,
        request: Request<v1::ResolvePaymentCaseRequest>,
    ) -> Result<Response<v1::ResolvePaymentCaseResponse>, Status> {
        let language = Language::of(request.metadata());
        Ok(Response::new(self.resolve_case(request.into_inner(), language).await?))
    }

    async fn reschedule_specially(
        &self,
        request: Request<v1::RescheduleSpeciallyRequest>,
    ) -> Result<Response<v1::RescheduleSpeciallyResponse>, Status> {
        let language = Language::of(request.metadata());
        Ok(Response::new(self.special_reschedule(request.into_inner(), language).await?))
    }

    async fn list_days(
        &self,
        request: Request<v1::ListDaysRequest>,
    ) -> Result<Response<v1::ListDaysResponse>, Status> {
        let language = Language::of(request.metadata());
        Ok(Response::new(self.days_counted(request.get_ref(), language)?))
    }
}

impl Api {
    /// The slot a write is about.
    pub(super) fn slot(
        &self,
        (office_id, date, lane): (&str, &str, i32),
        violations: &mut Violations,
        language: Language,
    ) -> Result<Option<SlotKey>, Status> {
        let directory = self.engine.directory();
        let (office, entry) = office::find(&directory, office_id, language)?;
        let day = self.days(("service_date", &[date.to_owned()]), entry, violations).first().copied();
        let lane = violations.take("lane", convert::lane(lane));
        Ok(day.zip(lane).map(|(day, lane)| SlotKey { office, day, lane }))
    }

    fn days(
        &self,
        (field, dates): (&str, &[String]),
        entry: &OfficeEntry,
        violations: &mut Violations,
    ) -> Vec<ServiceDay> {
        if dates.is_empty() || dates.len() > OPENING_DAYS_MAX {
            violations.add("service_dates", format!("1 to {OPENING_DAYS_MAX} service days are allowed"));
            return Vec::new();
        }
        let last = ServiceDay::at(self.engine.now(), &entry.office.zone).plus_days(DAYS_AHEAD_MAX);
        let mut days = Vec::with_capacity(dates.len());
        for (index, date) in dates.iter().enumerate() {
            let field = if field == "service_dates" { format!("{field}[{index}]") } else { field.to_owned() };
            let Some(day) = violations.take(&field, ServiceDay::parse(date)) else { continue };
            if day > last {
                violations.add(field, format!("a day up to {DAYS_AHEAD_MAX} days ahead is allowed"));
            } else if !days.contains(&day) {
                days.push(day);
            }
        }
        days
    }

    fn scope(
        &self,
        scope: Option<v1::Scope>,
        violations: &mut Violations,
        language: Language,
    ) -> Result<Option<Scope>, Status> {
        let Some(scope) = scope else {
            violations.add("scope", "a scope is required; an empty one is everything");
            return Ok(None);
        };
        let directory = self.engine.directory();
        let office = scope.office_id.as_deref().map(|id| office::find(&directory, id, language));
        let day = scope.service_date.as_deref();
        let day = day.and_then(|day| violations.take("scope.service_date", ServiceDay::parse(day)));
        let lane = scope.lane.and_then(|lane| violations.take("scope.lane", convert::lane(lane)));
        let office = office.transpose()?.map(|(number, _)| number);
        Ok(Some(Scope { office, day, lane }))
    }

    fn subject(
        &self,
        (registration, office, actor): (&Option<String>, &Option<String>, &Option<String>),
        violations: &mut Violations,
        language: Language,
    ) -> Result<Subject, Status> {
        let registration = registration.as_deref();
        let registration = registration.and_then(|id| violations.take("registration_id", convert::uuid(id)));
        if actor.as_ref().is_some_and(|actor| actor.chars().count() > ACTOR_CHARS_MAX) {
            violations.add("actor", format!("up to {ACTOR_CHARS_MAX} characters are allowed"));
        }
        let directory = self.engine.directory();
        let office = office.as_deref().map(|id| office::find(&directory, id, language)).transpose()?;
        Ok(Subject {
            registration: registration.map(RegistrationId),
            office: office.map(|(number, _)| number),
            actor: actor.as_deref().map(Into::into),
        })
    }
}

fn check_places(places: u32, violations: &mut Violations) {
    if places > PLACES_PER_LANE_MAX {
        violations.add("places", format!("0 to {PLACES_PER_LANE_MAX} is allowed"));
    }
}

/// Both parts of a request, or what is wrong with it.
pub(super) fn whole<A, B>(violations: Violations, parts: (Option<A>, Option<B>)) -> Result<(A, B), Status> {
    violations.check()?;
    parts.0.zip(parts.1).ok_or_else(|| invalid(Vec::new()))
}

/// Work that would hold up calls.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
    language: Language,
) -> Result<T, Status> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| {
        status(if error.is_panic() { Failure::Internal } else { Failure::Stopping }, language)
    })
}

/// The lanes that are named, each once, or all the office offers.
fn lanes(named: &[i32], entry: &OfficeEntry, violations: &mut Violations) -> Vec<Lane> {
    if named.len() > Lane::ALL.len() {
        violations.add("lanes", format!("up to {} lanes are allowed", Lane::ALL.len()));
        return Vec::new();
    }
    let mut lanes: Vec<Lane> = Vec::new();
    for (index, lane) in named.iter().enumerate() {
        let lane = violations.take(&format!("lanes[{index}]"), convert::lane(*lane));
        lanes.extend(lane.filter(|lane| !lanes.contains(lane)));
    }
    if named.is_empty() {
        lanes.extend(entry.office.lanes.iter().map(|offer| offer.lane));
        if lanes.is_empty() {
            violations.add("lanes", "a lane is required: the office offers none by its catalogue");
        }
    }
    lanes
}

fn exported(directory: &Directory, found: &Registration) -> v1::ExportedRegistration {
    let office = directory.office(found.slot.office);
    v1::ExportedRegistration {
        id: Uuid::from_u128(found.id.0).to_string(),
        code: found.code.to_string(),
        request_id: Uuid::from_u128(found.request.id).to_string(),
        office_id: office.map_or_else(String::new, |entry| entry.office.id.to_string()),
        service_date: found.slot.day.to_string(),
        lane: lane_of(found.slot.lane).into(),
        state: state_of(found.state).into(),
        queue_number: found.queue_number,
        references: found.applicants.iter().map(|applicant| applicant.reference.to_string()).collect(),
        create_time: Some(timestamp(found.created)),
        update_time: Some(timestamp(found.updated())),
        cancel_reason: found.cancel_reason().to_owned(),
        fee_rupiah: found.fee().map(|fee| fee.0.into()),
        ground: ground_of(found.ground()).into(),
        passport_kinds: found.applicants.iter().map(|one| passport_of(one.passport).into()).collect(),
        billing_reference: found.billing().map_or_else(String::new, |billing| billing.reference.to_string()),
        hold_expire_time: found.billing().map(|billing| timestamp(billing.expires)),
        payment_reference: found
            .payment()
            .map_or_else(String::new, |paid| paid.reference.as_str().to_owned()),
        payment_time: found.paid_at().map(|(_, at)| timestamp(*at)),
        payment_case_numbers: found.cases().iter().map(|case| case.0).collect(),
        rescheduled_from: reschedule::left(found, directory),
        reschedule_time: found.moved().map(|moved| timestamp(moved.at)),
        session: found.session.map(session_of),
        check_in_time: found.checked_in().map(timestamp),
        serve_time: found.served().map(timestamp),
    }
}
