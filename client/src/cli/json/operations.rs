//! What operators see, as JSON.

use kuota_client::{
    ApplyCatalogResponse, CatalogChange, CatalogChangeKind, DayCount, Event, EventKind, ExportedRegistration,
    GetCatalogResponse, Lane, Override, PauseState, Receipt, RegistrationState, RescheduleSpeciallyResponse,
    Scope, SlotChange,
};
use serde_json::{Value, json};

use super::{
    ground_name, lane_name, left_value, passport_name, pretty, registration_value, session_value, time,
};

pub(in super::super) fn catalog(answer: &GetCatalogResponse) -> String {
    pretty(&json!({
        "toml": answer.toml,
        "overrides": answer.overrides.iter().map(override_value).collect::<Vec<_>>(),
        "pauses": answer.pauses.iter().map(pause_value).collect::<Vec<_>>(),
    }))
}

pub(in super::super) fn status(answer: &GetCatalogResponse) -> String {
    pretty(&json!({
        "overrides": answer.overrides.iter().map(override_value).collect::<Vec<_>>(),
        "pauses": answer.pauses.iter().map(pause_value).collect::<Vec<_>>(),
    }))
}

pub(in super::super) fn applied(answer: &ApplyCatalogResponse) -> String {
    pretty(&json!({
        "receipt": answer.receipt.as_ref().map(receipt_value),
        "changes": answer.changes.iter().map(change_value).collect::<Vec<_>>(),
        "changes_total": answer.changes_total,
        "slots": answer.slots.iter().map(slot_value).collect::<Vec<_>>(),
        "slots_total": answer.slots_total,
    }))
}

pub(in super::super) fn slots(receipt: Option<&Receipt>, slots: &[SlotChange]) -> String {
    pretty(&json!({
        "receipt": receipt.map(receipt_value),
        "slots": slots.iter().map(slot_value).collect::<Vec<_>>(),
    }))
}

pub(in super::super) fn rescheduled(answer: &RescheduleSpeciallyResponse) -> String {
    pretty(&json!({
        "receipt": answer.receipt.as_ref().map(receipt_value),
        "registration": answer.registration.as_ref().map(registration_value),
        "slots": answer.slots.iter().map(slot_value).collect::<Vec<_>>(),
    }))
}

pub(in super::super) fn days(days: &[DayCount]) -> String {
    let day = |day: &DayCount| {
        json!({
            "office_id": day.office_id,
            "service_date": day.service_date,
            "lane": lane_name(day.lane()),
            "capacity": day.capacity,
            "held": day.held,
            "confirmed": day.confirmed,
            "checked_in": day.checked_in,
            "served": day.served,
            "no_show": day.no_show,
            "cancelled": day.cancelled,
            "expired": day.expired,
        })
    };
    pretty(&json!({ "days": days.iter().map(day).collect::<Vec<_>>() }))
}

pub(in super::super) fn pauses(receipt: Option<&Receipt>, pauses: &[PauseState]) -> String {
    pretty(&json!({
        "receipt": receipt.map(receipt_value),
        "pauses": pauses.iter().map(pause_value).collect::<Vec<_>>(),
    }))
}

pub(in super::super) fn events(events: &[Event], is_cut: bool) -> String {
    pretty(&json!({
        "events": events.iter().map(event_value).collect::<Vec<_>>(),
        "more": is_cut,
        "last_number": events.last().map(|event| event.number),
    }))
}

/// A registration, on a line.
pub(in super::super) fn exported(registration: &ExportedRegistration) -> String {
    json!({
        "id": registration.id,
        "code": registration.code,
        "request_id": registration.request_id,
        "office_id": registration.office_id,
        "service_date": registration.service_date,
        "lane": lane_name(registration.lane()),
        "state": RegistrationState::as_str_name(&registration.state()),
        "queue_number": registration.queue_number,
        "references": registration.references,
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
        "check_in_time": registration.check_in_time.as_ref().map(time),
        "serve_time": registration.serve_time.as_ref().map(time),
        "passport_kinds": registration.passport_kinds().map(passport_name).collect::<Vec<_>>(),
        "session": registration.session.as_ref().map(session_value),
    })
    .to_string()
}

pub(super) fn receipt_value(receipt: &Receipt) -> Value {
    json!({
        "request_id": receipt.request_id,
        "time": receipt.time.as_ref().map(time),
        "changes": receipt.changes,
        "repeated_request": receipt.repeated_request,
    })
}

fn change_value(change: &CatalogChange) -> Value {
    json!({
        "kind": CatalogChangeKind::as_str_name(&change.kind()),
        "subject": change.subject,
        "field": change.field,
        "before": change.before,
        "after": change.after,
    })
}

fn slot_value(slot: &SlotChange) -> Value {
    json!({
        "office_id": slot.office_id,
        "service_date": slot.service_date,
        "lane": lane_name(slot.lane()),
        "capacity_before": slot.capacity_before,
        "capacity_after": slot.capacity_after,
        "granted": slot.granted,
        "open_time_before": slot.open_time_before.as_ref().map(time),
        "open_time_after": slot.open_time_after.as_ref().map(time),
    })
}

fn override_value(found: &Override) -> Value {
    json!({
        "office_id": found.office_id,
        "service_date": found.service_date,
        "lane": lane_name(found.lane()),
        "places": found.places,
        "open_time": found.open_time.as_ref().map(time),
    })
}

fn pause_value(pause: &PauseState) -> Value {
    json!({
        "scope": pause.scope.as_ref().map(scope_value),
        "since": pause.since.as_ref().map(time),
        "actor": pause.actor,
        "reason": pause.reason,
    })
}

fn scope_value(scope: &Scope) -> Value {
    json!({
        "office_id": scope.office_id,
        "service_date": scope.service_date,
        "lane": scope.lane.map(|_| lane_name(scope.lane())),
    })
}

fn event_value(event: &Event) -> Value {
    let lane = Some(event.lane()).filter(|lane| *lane != Lane::Unspecified);
    json!({
        "number": event.number,
        "time": event.time.as_ref().map(time),
        "actor": event.actor,
        "reason": event.reason,
        "kind": EventKind::as_str_name(&event.kind()),
        "description": event.description,
        "registration_id": event.registration_id,
        "office_id": event.office_id,
        "service_date": event.service_date,
        "lane": lane.map(lane_name),
        "request_id": event.request_id,
    })
}
