//! Reschedules: messages to wishes, and where a registration came from.

use kuota_api::v1;
use kuota_domain::{
    calendar::ServiceDay,
    ids::{CallerNumber, RegistrationId, RequestKey},
    ledger::Directive,
    limits::SLUG_CHARS_MAX,
    registration::Registration,
};
use tonic::Status;

use super::{
    Api,
    admin::whole,
    command,
    convert::{self, Violations, lane_of},
    language::Language,
    status::status,
};
use crate::engine::{Destination, Directory, Key};

/// What a caller wishes: for which registration, under which id, and where to.
pub(super) type Wished = (RegistrationId, RequestKey, Destination);

/// Reads a caller's wish.
pub(super) fn wish(request: &v1::RescheduleRequest, caller: CallerNumber) -> Result<Wished, Status> {
    let mut violations = Violations::default();
    let request_id = violations.take("request_id", convert::uuid(&request.request_id));
    let id = violations.take("id", convert::uuid(&request.id));
    let to = (request.service_date.as_str(), request.office_id.as_deref(), request.lane);
    let to = destination((to, &request.session), &mut violations);
    let (ids, to) = whole(violations, (request_id.zip(id), to))?;
    Ok((RegistrationId(ids.1), RequestKey { caller, id: ids.0 }, to))
}

fn destination(
    ((date, office, lane), session): ((&str, Option<&str>, Option<i32>), &str),
    violations: &mut Violations,
) -> Option<Destination> {
    if office.is_some_and(|office| office.is_empty() || office.len() > SLUG_CHARS_MAX) {
        violations.add("office_id", "the id of an office, as ListOffices names it, or none is allowed");
    }
    let lane = lane.map(|lane| violations.take("lane", convert::lane(lane)));
    let session = convert::session(session, violations);
    let day = violations.take("service_date", ServiceDay::parse(date));
    Some(Destination { office: office.map(Into::into), day: day?, lane: lane.flatten(), session })
}

/// The place that a registration gave up, if it did.
pub(super) fn left(registration: &Registration, directory: &Directory) -> Option<v1::RescheduledFrom> {
    let from = registration.moved()?.from;
    let office = directory.office(from.office);
    Some(v1::RescheduledFrom {
        office_id: office.map_or_else(String::new, |entry| entry.office.id.to_string()),
        service_date: from.day.to_string(),
        lane: lane_of(from.lane).into(),
    })
}

impl Api {
    /// Has a registration go elsewhere at an operator's wish, or says what that would mean.
    pub(super) async fn special_reschedule(
        &self,
        mut request: v1::RescheduleSpeciallyRequest,
        language: Language,
    ) -> Result<v1::RescheduleSpeciallyResponse, Status> {
        let validate_only = std::mem::take(&mut request.validate_only);
        let mut violations = Violations::default();
        let wanted = command::take(&mut request, &mut violations);
        let id = violations.take("id", convert::uuid(&request.id)).map(RegistrationId);
        let to = (request.service_date.as_str(), request.office_id.as_deref(), request.lane);
        let to = destination((to, &request.session), &mut violations);
        let (wanted, (id, to)) = whole(violations, (wanted, id.zip(to)))?;
        let slot = self.engine.destination_of(id, &to).map_err(|failure| status(failure, language))?;
        let directive = Directive::Reschedule { registration: id, slot, session: to.session };
        let done = self.operate(wanted, directive, validate_only, language).await?;
        let registration = self.engine.find(Key::Id(id)).map(|found| self.registration(&found));
        let (receipt, slots, server_time) = (done.receipt(), done.slots(), self.server_time());
        Ok(v1::RescheduleSpeciallyResponse { receipt, registration, slots, server_time })
    }
}
