//! JSON for scripts: the API's field and enum names, times in RFC 3339.

pub(super) mod operations;
pub(super) mod payments;

use kuota_client::{
    Alternative, Error, Lane, Office, OfficeKind, OfficeSession, Outcome, PassportFee, PassportKind,
    PriorityGround, Refusal, RefusalReason, RegisteredApplicant, Registration, RegistrationState,
    RescheduledFrom, Session, Slot, SlotState, WatchedSlot,
};
use prost_types::{Duration, Timestamp};
use serde_json::{Value, json};
use tonic::Code;

pub(super) fn offices(offices: &[Office]) -> String {
    let session = |session: &OfficeSession| {
        let OfficeSession { start_time, end_time, daily_places } = session;
        json!({ "start_time": start_time, "end_time": end_time, "daily_places": daily_places })
    };
    let office = |office: &Office| {
        let lanes: Vec<Value> = office
            .lanes
            .iter()
            .map(|lane| {
                json!({
                    "lane": lane_name(lane.lane()),
                    "daily_places": lane.daily_places,
                    "source": lane.source,
                    "surcharge_rupiah": lane.surcharge_rupiah,
                    "cut_off_time": lane.cut_off_time,
                    "hold_ms": lane.hold.as_ref().map(millis),
                    "sessions": lane.sessions.iter().map(session).collect::<Vec<_>>(),
                })
            })
            .collect();
        json!({
            "id": office.id,
            "name": office.name,
            "kind": OfficeKind::as_str_name(&office.kind()),
            "parent_id": office.parent_id,
            "time_zone": office.time_zone,
            "latitude": office.latitude,
            "longitude": office.longitude,
            "lanes": lanes,
        })
    };
    pretty(&json!({ "offices": offices.iter().map(office).collect::<Vec<_>>() }))
}

pub(super) fn fees(fees: &[PassportFee], surcharges: &[(Lane, i64)]) -> String {
    let fee = |fee: &PassportFee| {
        json!({
            "passport_kind": PassportKind::as_str_name(&fee.passport_kind()),
            "fee_rupiah": fee.fee_rupiah,
            "source": fee.source,
        })
    };
    let surcharge =
        |(lane, rupiah): &(Lane, i64)| json!({ "lane": lane_name(*lane), "surcharge_rupiah": rupiah });
    pretty(&json!({
        "passport_fees": fees.iter().map(fee).collect::<Vec<_>>(),
        "surcharges": surcharges.iter().map(surcharge).collect::<Vec<_>>(),
    }))
}

pub(super) fn slots(slots: &[Slot]) -> String {
    pretty(&json!({ "slots": slots.iter().map(slot_value).collect::<Vec<_>>() }))
}

/// A watched slot, on a line.
pub(super) fn watched(watched: &WatchedSlot) -> String {
    let mut value = watched.slot.as_ref().map(slot_value).unwrap_or_default();
    value["revision"] = watched.revision.into();
    value.to_string()
}

fn slot_value(slot: &Slot) -> Value {
    json!({
        "office_id": slot.office_id,
        "service_date": slot.service_date,
        "lane": lane_name(slot.lane()),
        "capacity": slot.capacity,
        "available": slot.available,
        "state": SlotState::as_str_name(&slot.state()),
        "open_time": slot.open_time.as_ref().map(time),
    })
}

pub(super) fn outcome(outcome: &Outcome) -> String {
    pretty(&match outcome {
        Outcome::Registered(registration) => json!({ "registration": registration_value(registration) }),
        Outcome::Refused(refusal) => json!({ "refusal": refusal_value(refusal) }),
    })
}

/// With the id under which a write can be repeated.
pub(super) fn error(error: &Error, request_id: Option<&str>) -> Value {
    let fields: Vec<Value> = match error {
        Error::Status(failed) => failed
            .fields
            .iter()
            .map(|(field, allowed)| json!({ "field": field, "description": allowed }))
            .collect(),
        _ => Vec::new(),
    };
    let retry_after_ms = error.retry_after().and_then(|wait| u64::try_from(wait.as_millis()).ok());
    let mut value = json!({
        "error": {
            "code": format!("{:?}", error.code()),
            "reason": error.reason(),
            "message": error.to_string(),
            "fields": fields,
            "retry_after_ms": retry_after_ms,
            "attempts": error.attempts(),
            "outcome_unknown": error.is_outcome_unknown(),
        }
    });
    if let Some(request_id) = request_id {
        value["error"]["request_id"] = request_id.into();
    }
    if let Error::Status(failed) = error
        && let Some(words) = &failed.localized
    {
        value["error"]["localized_message"] = words.as_str().into();
    }
    value
}

/// A reason without its prefix; one this client does not know by its number.
pub(super) fn reason_name(refusal: &Refusal) -> String {
    match RefusalReason::try_from(refusal.reason) {
        Ok(reason) => reason.as_str_name().trim_start_matches("REFUSAL_REASON_").into(),
        Err(_) => format!("REASON_{}", refusal.reason),
    }
}

/// A status code as gRPC writes it: `NOT_FOUND`.
pub(super) fn code_name(code: Code) -> String {
    let mut name = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

fn registration_value(registration: &Registration) -> Value {
    let applicant = |applicant: &RegisteredApplicant| {
        json!({
            "nik_last_four": applicant.nik_last_four,
            "reference": applicant.reference,
            "passport_kind": passport_name(applicant.passport_kind()),
        })
    };
    let applicants: Vec<Value> = registration.applicants.iter().map(applicant).collect();
    json!({
        "id": registration.id,
        "code": registration.code,
        "request_id": registration.request_id,
        "office_id": registration.office_id,
        "service_date": registration.service_date,
        "lane": lane_name(registration.lane()),
        "state": RegistrationState::as_str_name(&registration.state()),
        "queue_number": registration.queue_number,
        "durable": registration.durable,
        "applicants": applicants,
        "create_time": registration.create_time.as_ref().map(time),
        "update_time": registration.update_time.as_ref().map(time),
        "cancel_reason": registration.cancel_reason,
        "fee_rupiah": registration.fee_rupiah,
        "ground": ground_name(registration.ground()),
        "billing_reference": registration.billing_reference,
        "hold_expire_time": registration.hold_expire_time.as_ref().map(time),
        "payment_reference": registration.payment_reference,
        "payment_time": registration.payment_time.as_ref().map(time),
        "payment_case_numbers": registration.payment_case_numbers,
        "rescheduled_from": registration.rescheduled_from.as_ref().map(left_value),
        "reschedule_time": registration.reschedule_time.as_ref().map(time),
        "session": registration.session.as_ref().map(session_value),
        "check_in_time": registration.check_in_time.as_ref().map(time),
        "serve_time": registration.serve_time.as_ref().map(time),
    })
}

fn left_value(left: &RescheduledFrom) -> Value {
    json!({
        "office_id": left.office_id,
        "service_date": left.service_date,
        "lane": lane_name(left.lane()),
    })
}

fn session_value(session: &Session) -> Value {
    json!({ "start_time": session.start_time, "end_time": session.end_time })
}

fn refusal_value(refusal: &Refusal) -> Value {
    json!({
        "reason": RefusalReason::as_str_name(&refusal.reason()),
        "message": refusal.message,
        "metadata": refusal.metadata,
        "open_time": refusal.open_time.as_ref().map(time),
        "retry_after_ms": refusal.retry_after.as_ref().map(millis),
        "alternatives": refusal.alternatives.iter().map(alternative_value).collect::<Vec<_>>(),
    })
}

fn alternative_value(alternative: &Alternative) -> Value {
    json!({
        "office_id": alternative.office_id,
        "service_date": alternative.service_date,
        "lane": lane_name(alternative.lane()),
        "surcharge_rupiah": alternative.surcharge_rupiah,
        "distance_m": alternative.distance_m,
        "available": alternative.available,
    })
}

/// Null where it was not said.
fn passport_name(kind: PassportKind) -> Option<&'static str> {
    Some(kind).filter(|kind| *kind != PassportKind::Unspecified).map(|kind| kind.as_str_name())
}

/// Null where there is none.
fn ground_name(ground: PriorityGround) -> Option<&'static str> {
    Some(ground).filter(|ground| *ground != PriorityGround::Unspecified).map(|ground| ground.as_str_name())
}

fn lane_name(lane: Lane) -> &'static str {
    lane.as_str_name()
}

fn time(at: &Timestamp) -> String {
    at.to_string()
}

pub(super) fn millis(span: &Duration) -> i64 {
    span.seconds * 1_000 + i64::from(span.nanos) / 1_000_000
}

fn pretty(value: &Value) -> String {
    format!("{value:#}")
}
