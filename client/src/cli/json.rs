//! JSON for scripts: the API's field and enum names, times in RFC 3339.

use kuota_client::{
    Error, Lane, Office, OfficeKind, Outcome, Refusal, RefusalReason, Registration, RegistrationState, Slot,
    SlotState,
};
use prost_types::{Duration, Timestamp};
use serde_json::{Value, json};

pub(super) fn offices(offices: &[Office]) -> String {
    let office = |office: &Office| {
        let lanes: Vec<Value> = office
            .lanes
            .iter()
            .map(|lane| json!({ "lane": lane_name(lane.lane()), "daily_places": lane.daily_places, "source": lane.source }))
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

pub(super) fn slots(slots: &[Slot]) -> String {
    let slot = |slot: &Slot| {
        json!({
            "office_id": slot.office_id,
            "service_date": slot.service_date,
            "lane": lane_name(slot.lane()),
            "capacity": slot.capacity,
            "available": slot.available,
            "state": SlotState::as_str_name(&slot.state()),
            "open_time": slot.open_time.as_ref().map(time),
        })
    };
    pretty(&json!({ "slots": slots.iter().map(slot).collect::<Vec<_>>() }))
}

pub(super) fn outcome(outcome: &Outcome) -> String {
    pretty(&match outcome {
        Outcome::Registered(registration) => json!({ "registration": registration_value(registration) }),
        Outcome::Refused(refusal) => json!({ "refusal": refusal_value(refusal) }),
    })
}

pub(super) fn error(error: &Error) -> String {
    let fields = match error {
        Error::Url { .. } | Error::Connect { .. } => Vec::new(),
        Error::Status(failed) => failed
            .fields
            .iter()
            .map(|(field, allowed)| json!({ "field": field, "description": allowed }))
            .collect(),
    };
    pretty(&json!({
        "error": {
            "code": format!("{:?}", error.code()),
            "reason": error.reason(),
            "message": error.to_string(),
            "fields": fields,
        }
    }))
}

fn registration_value(registration: &Registration) -> Value {
    let applicants: Vec<Value> = registration
        .applicants
        .iter()
        .map(
            |applicant| json!({ "nik_last_four": applicant.nik_last_four, "reference": applicant.reference }),
        )
        .collect();
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
    })
}

fn refusal_value(refusal: &Refusal) -> Value {
    json!({
        "reason": RefusalReason::as_str_name(&refusal.reason()),
        "message": refusal.message,
        "metadata": refusal.metadata,
        "open_time": refusal.open_time.as_ref().map(time),
        "retry_after_ms": refusal.retry_after.as_ref().map(millis),
    })
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
