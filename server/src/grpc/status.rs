//! The one place where a failure becomes a gRPC status, and a refusal an answer.

use std::{collections::HashMap, time::Duration};

use kuota_api::v1;
use kuota_domain::{ids::RequestKey, ledger::Objection, refusal::Refusal, time::UnixMillis};
use tonic::{Code, Status, metadata::MetadataValue};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};

use super::{convert::timestamp, language::Language, words};
use crate::{
    engine::{Failure, retry_after},
    limits::{VIOLATION_CHARS_MAX, VIOLATIONS_SHOWN_MAX},
};

/// Domain of every ErrorInfo.
const DOMAIN: &str = "kuota.v1";
/// When to come back while the log has no space, or the server restarts.
const RECOVERY_RETRY: Duration = Duration::from_secs(2);

/// Fields of a request that are not well-formed.
pub(super) fn invalid(mut violations: Vec<FieldViolation>) -> Status {
    // All of it must fit into the headers of an answer.
    violations.truncate(VIOLATIONS_SHOWN_MAX);
    for violation in &mut violations {
        if let Some((end, _)) = violation.description.char_indices().nth(VIOLATION_CHARS_MAX) {
            violation.description.truncate(end);
            violation.description.push('\u{2026}');
        }
    }
    let said =
        violations.iter().map(|v| format!("{}: {}", v.field, v.description)).collect::<Vec<_>>().join("; ");
    let mut details = ErrorDetails::with_bad_request(violations);
    details.set_error_info("INVALID_FIELD", DOMAIN, HashMap::new());
    Status::with_error_details(Code::InvalidArgument, said, details)
}

/// A failure that is no refusal. Never shows SQL, a path or Debug text.
pub(super) fn status(failure: Failure, language: Language) -> Status {
    let localized = match language {
        Language::English => None,
        Language::Indonesian => Some(words::failure_in_indonesian(&failure)),
    };
    let field = match &failure {
        Failure::PassportNeeded { applicant } => Some(format!("applicants[{applicant}].passport_kind")),
        Failure::Objected(Objection::OpeningInThePast { .. }) => Some("open_time".to_owned()),
        _ => None,
    };
    let (code, reason, message, retry, metadata) = anatomy(failure);
    let mut details = ErrorDetails::with_error_info(reason, DOMAIN, metadata);
    if let Some(words) = localized {
        details.set_localized_message(language.tag(), words);
    }
    if let Some(field) = field {
        details.set_bad_request(vec![FieldViolation::new(field, message.clone())]);
    }
    let Some(retry) = retry else { return Status::with_error_details(code, message, details) };
    details.set_retry_info(Some(retry));
    let mut status = Status::with_error_details(code, message, details);
    let pushback = MetadataValue::from(u64::try_from(retry.as_millis()).unwrap_or(u64::MAX));
    status.metadata_mut().insert("grpc-retry-pushback-ms", pushback);
    status
}

type Anatomy = (Code, &'static str, String, Option<Duration>, HashMap<String, String>);

fn anatomy(failure: Failure) -> Anatomy {
    match failure {
        Failure::OfficeNotFound(office) => {
            let metadata = HashMap::from([("office_id".to_owned(), office.clone())]);
            let message = format!("there is no office `{office}`; ListOffices names them all");
            with_info(Code::NotFound, "OFFICE_NOT_FOUND", message, metadata)
        }
        Failure::RegistrationNotFound => {
            let message = "there is no such registration".into();
            with_info(Code::NotFound, "REGISTRATION_NOT_FOUND", message, HashMap::new())
        }
        Failure::RequestReused => {
            let message = "this request_id stands for other content; use a new UUID for a new intent".into();
            with_info(Code::FailedPrecondition, "REQUEST_ID_REUSED", message, HashMap::new())
        }
        Failure::PaymentReused => {
            let message = "this payment_reference stands for another payment".into();
            with_info(Code::FailedPrecondition, "PAYMENT_REFERENCE_REUSED", message, HashMap::new())
        }
        Failure::TooManyPayments => {
            let message = "too many payments for this registration found no place; refund this one".into();
            with_info(Code::ResourceExhausted, "TOO_MANY_PAYMENTS", message, HashMap::new())
        }
        Failure::PassportNeeded { .. } => {
            let message =
                "places are held here: each applicant must name a passport_kind that has a fee".into();
            with_info(Code::InvalidArgument, "INVALID_FIELD", message, HashMap::new())
        }
        Failure::Overloaded(pushback) => {
            unavailable("OVERLOADED", "too many calls wait; nothing was decided", pushback.wait())
        }
        Failure::LogFull => {
            unavailable("LOG_FULL", "the server's storage is full; nothing was written", RECOVERY_RETRY)
        }
        Failure::OutcomeUnknown => {
            let message = "the outcome is unknown; ask again with the same request_id";
            unavailable("OUTCOME_UNKNOWN", message, RECOVERY_RETRY)
        }
        Failure::ClockDrift => {
            let message = "the server's clock was moved; nothing is granted until it is trusted again";
            unavailable("CLOCK_DRIFT", message, RECOVERY_RETRY)
        }
        Failure::Stopping => {
            unavailable("STOPPING", "the server is going down; nothing was decided", RECOVERY_RETRY)
        }
        Failure::TooManyWatchers => {
            unavailable("TOO_MANY_WATCHERS", "as many watch as may; watch again later", RECOVERY_RETRY)
        }
        Failure::LogUnreadable => {
            unavailable("LOG_UNREADABLE", "the log cannot be read back now", RECOVERY_RETRY)
        }
        Failure::Objected(objection) => objected(&objection),
        Failure::Internal => {
            let message = "a fault of the server; its log says more".into();
            with_info(Code::Internal, "INTERNAL", message, HashMap::new())
        }
        // Refusals are answers: `outcome` turns them into one before they come here.
        Failure::Refused(..) => {
            with_info(Code::Internal, "INTERNAL", "a refusal went astray".into(), HashMap::new())
        }
    }
}

fn with_info(
    code: Code,
    reason: &'static str,
    message: String,
    metadata: HashMap<String, String>,
) -> Anatomy {
    (code, reason, message, None, metadata)
}

fn unavailable(reason: &'static str, message: &str, retry: Duration) -> Anatomy {
    (Code::Unavailable, reason, message.into(), Some(retry), HashMap::new())
}

fn objected(objection: &Objection) -> Anatomy {
    let (code, reason) = match objection {
        Objection::RequestReused => (Code::FailedPrecondition, "REQUEST_ID_REUSED"),
        Objection::OfficeInUse { .. } => (Code::FailedPrecondition, "OFFICE_IN_USE"),
        Objection::OfficeClosed(_) => (Code::FailedPrecondition, "OFFICE_CLOSED"),
        Objection::NotScheduled(_) => (Code::FailedPrecondition, "NOT_SCHEDULED"),
        Objection::PlacesNeeded(_) => (Code::FailedPrecondition, "PLACES_REQUIRED"),
        Objection::AlreadyOpen(_) => (Code::FailedPrecondition, "ALREADY_OPEN"),
        Objection::BookingClosed(_) => (Code::FailedPrecondition, "BOOKING_CLOSED"),
        Objection::OpeningInThePast { .. } => (Code::InvalidArgument, "OPENING_IN_THE_PAST"),
        Objection::TooManyPauses => (Code::ResourceExhausted, "TOO_MANY_PAUSES"),
        Objection::TooManyOverrides => (Code::ResourceExhausted, "TOO_MANY_OVERRIDES"),
        Objection::NoSuchCase(_) => (Code::NotFound, "PAYMENT_CASE_NOT_FOUND"),
        Objection::CaseResolved(_) => (Code::FailedPrecondition, "PAYMENT_CASE_RESOLVED"),
        Objection::CaseNeedsRefund(_) => (Code::FailedPrecondition, "PAYMENT_CASE_NEEDS_REFUND"),
        Objection::NoSuchRegistration => (Code::NotFound, "REGISTRATION_NOT_FOUND"),
        Objection::Refused(refusal) => (Code::FailedPrecondition, Refusal::REASONS[refusal.index()]),
        Objection::Contradiction(_) => (Code::Internal, "INTERNAL"),
    };
    let metadata = match objection {
        Objection::OfficeInUse { office, live } => HashMap::from([
            ("office_id".to_owned(), office.to_string()),
            ("live".to_owned(), live.to_string()),
        ]),
        Objection::OfficeClosed(office) => HashMap::from([("office_id".to_owned(), office.to_string())]),
        Objection::NotScheduled(day)
        | Objection::PlacesNeeded(day)
        | Objection::AlreadyOpen(day)
        | Objection::BookingClosed(day) => HashMap::from([("service_date".to_owned(), day.to_string())]),
        Objection::NoSuchCase(case) | Objection::CaseResolved(case) | Objection::CaseNeedsRefund(case) => {
            HashMap::from([("number".to_owned(), case.0.to_string())])
        }
        Objection::RequestReused
        | Objection::NoSuchRegistration
        | Objection::Refused(_)
        | Objection::OpeningInThePast { .. }
        | Objection::TooManyPauses
        | Objection::TooManyOverrides
        | Objection::Contradiction(_) => HashMap::new(),
    };
    with_info(code, reason, words::objection(objection), metadata)
}

/// The API's form of a refusal.
pub(super) fn refusal(
    refusal: &Refusal,
    now: UnixMillis,
    request: Option<RequestKey>,
    language: Language,
) -> v1::Refusal {
    let spread = request.map_or(0, |request| fold(request.id)) ^ now.0.cast_unsigned();
    let retry = retry_after(refusal, now, spread);
    let mut answer = v1::Refusal {
        reason: reason(refusal).into(),
        message: words::refusal(refusal, language),
        metadata: HashMap::new(),
        open_time: None,
        retry_after: retry.and_then(|retry| prost_types::Duration::try_from(retry).ok()),
        alternatives: Vec::new(),
    };
    let mut say = |key: &str, value: String| {
        answer.metadata.insert(key.into(), value);
    };
    match refusal {
        Refusal::NotEnoughPlaces { available, asked } => {
            say("available", available.to_string());
            say("asked", asked.to_string());
        }
        Refusal::Closed { at } => say("closed_at_ms", at.0.to_string()),
        Refusal::WrongAmount { due, paid } => {
            say("due_rupiah", due.0.to_string());
            say("paid_rupiah", paid.0.to_string());
        }
        Refusal::NoPaymentDue { state } => say("state", state.name().to_owned()),
        Refusal::HoldExpired { at } => say("expired_at_ms", at.0.to_string()),
        Refusal::AlreadyRescheduled { at } => say("rescheduled_at_ms", at.0.to_string()),
        Refusal::TooLateToReschedule { at } => say("until_ms", at.0.to_string()),
        Refusal::NotReschedulable { state } => say("state", state.name().to_owned()),
        Refusal::TooEarlyToCheckIn { day, at } => {
            say("service_date", day.to_string());
            answer.open_time = Some(timestamp(*at));
        }
        Refusal::ServiceDayOver { day, at } => {
            say("service_date", day.to_string());
            say("ended_at_ms", at.0.to_string());
        }
        Refusal::NotConfirmed { state }
        | Refusal::NotCheckedIn { state }
        | Refusal::AlreadyCheckedIn { state } => say("state", state.name().to_owned()),
        Refusal::TermsDiffer { term } => say("term", term.name().to_owned()),
        Refusal::PastCutOff { at } => say("cut_off_at_ms", at.0.to_string()),
        Refusal::AlreadyRegistered { applicant } => say("applicant", applicant.to_string()),
        Refusal::NotAServiceDay { holiday: Some(name) } => say("holiday", name.to_string()),
        Refusal::BeyondHorizon { horizon } => say("horizon", horizon.to_string()),
        Refusal::LaneNotOffered { offered } => say("offered", words::lanes(offered)),
        Refusal::NotOpenYet { open_at } => answer.open_time = Some(timestamp(*open_at)),
        Refusal::SessionFull { available, asked, with_room } => {
            say("available", available.to_string());
            say("asked", asked.to_string());
            say("sessions_with_room", words::sessions(with_room));
        }
        Refusal::NoSuchSession { offered } => say("offered", words::sessions(offered)),
        Refusal::SessionBegun { at, with_room } => {
            say("began_at_ms", at.0.to_string());
            say("sessions_with_room", words::sessions(with_room));
        }
        Refusal::SoldOut
        | Refusal::Paused
        | Refusal::Busy
        | Refusal::SameSlot
        | Refusal::NotAServiceDay { holiday: None } => {}
    }
    answer
}

/// Mixes both halves of a UUID: the low bits of some versions are constant.
fn fold(id: u128) -> u64 {
    let bytes = id.to_be_bytes();
    bytes
        .iter()
        .fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01B3))
        >> 7
}

const fn reason(refusal: &Refusal) -> v1::RefusalReason {
    match refusal {
        Refusal::SoldOut => v1::RefusalReason::SoldOut,
        Refusal::NotEnoughPlaces { .. } => v1::RefusalReason::NotEnoughPlaces,
        Refusal::NotOpenYet { .. } => v1::RefusalReason::NotOpenYet,
        Refusal::Closed { .. } => v1::RefusalReason::Closed,
        Refusal::Paused => v1::RefusalReason::Paused,
        Refusal::AlreadyRegistered { .. } => v1::RefusalReason::AlreadyRegistered,
        Refusal::Busy => v1::RefusalReason::Busy,
        Refusal::NotAServiceDay { .. } => v1::RefusalReason::NotAServiceDay,
        Refusal::BeyondHorizon { .. } => v1::RefusalReason::BeyondHorizon,
        Refusal::LaneNotOffered { .. } => v1::RefusalReason::LaneNotOffered,
        Refusal::PastCutOff { .. } => v1::RefusalReason::PastCutOff,
        Refusal::WrongAmount { .. } => v1::RefusalReason::WrongAmount,
        Refusal::NoPaymentDue { .. } => v1::RefusalReason::NoPaymentDue,
        Refusal::HoldExpired { .. } => v1::RefusalReason::HoldExpired,
        Refusal::AlreadyRescheduled { .. } => v1::RefusalReason::AlreadyRescheduled,
        Refusal::TooLateToReschedule { .. } => v1::RefusalReason::TooLateToReschedule,
        Refusal::NotReschedulable { .. } => v1::RefusalReason::NotReschedulable,
        Refusal::SameSlot => v1::RefusalReason::SameSlot,
        Refusal::TermsDiffer { .. } => v1::RefusalReason::TermsDiffer,
        Refusal::SessionFull { .. } => v1::RefusalReason::SessionFull,
        Refusal::NoSuchSession { .. } => v1::RefusalReason::NoSuchSession,
        Refusal::SessionBegun { .. } => v1::RefusalReason::SessionBegun,
        Refusal::TooEarlyToCheckIn { .. } => v1::RefusalReason::TooEarlyToCheckIn,
        Refusal::NotConfirmed { .. } => v1::RefusalReason::NotConfirmed,
        Refusal::NotCheckedIn { .. } => v1::RefusalReason::NotCheckedIn,
        Refusal::AlreadyCheckedIn { .. } => v1::RefusalReason::AlreadyCheckedIn,
        Refusal::ServiceDayOver { .. } => v1::RefusalReason::ServiceDayOver,
    }
}
