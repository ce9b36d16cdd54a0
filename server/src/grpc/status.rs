//! The one place where a failure becomes a gRPC status, and the one where a refusal gets its words.

use std::{collections::HashMap, time::Duration};

use kuota_api::v1;
use kuota_domain::{ids::RequestKey, refusal::Refusal, slot::Lane, time::UnixMillis};
use tonic::{Code, Status, metadata::MetadataValue};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};

use super::convert::timestamp;
use crate::engine::{Failure, retry_after};

/// Domain of every ErrorInfo.
const DOMAIN: &str = "kuota.v1";
/// When to come back while the ledger has too much to do.
const OVERLOAD_RETRY: Duration = Duration::from_millis(250);
/// When to come back while the log has no space, or the server restarts.
const RECOVERY_RETRY: Duration = Duration::from_secs(2);

/// Fields of a request that are not well-formed.
pub(super) fn invalid(violations: Vec<FieldViolation>) -> Status {
    let said =
        violations.iter().map(|v| format!("{}: {}", v.field, v.description)).collect::<Vec<_>>().join("; ");
    let mut details = ErrorDetails::with_bad_request(violations);
    details.set_error_info("INVALID_FIELD", DOMAIN, HashMap::new());
    Status::with_error_details(Code::InvalidArgument, said, details)
}

/// A failure that is no refusal. Never shows SQL, a path or Debug text.
pub(super) fn status(failure: Failure) -> Status {
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
        Failure::Overloaded => {
            unavailable("OVERLOADED", "too many calls wait; nothing was decided", OVERLOAD_RETRY)
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
        // Refusals are answers: `outcome` turns them into one before they come here.
        Failure::Refused(_) => {
            with_info(Code::Internal, "INTERNAL", "a refusal went astray".into(), HashMap::new())
        }
    }
}

fn with_info(code: Code, reason: &str, message: String, metadata: HashMap<String, String>) -> Status {
    Status::with_error_details(code, message, ErrorDetails::with_error_info(reason, DOMAIN, metadata))
}

fn unavailable(reason: &str, message: &str, retry: Duration) -> Status {
    let mut details = ErrorDetails::with_retry_info(Some(retry));
    details.set_error_info(reason, DOMAIN, HashMap::new());
    let mut status = Status::with_error_details(Code::Unavailable, message, details);
    status.metadata_mut().insert(
        "grpc-retry-pushback-ms",
        MetadataValue::from(u64::try_from(retry.as_millis()).unwrap_or(u64::MAX)),
    );
    status
}

/// The API's form of a refusal.
pub(super) fn refusal(refusal: &Refusal, now: UnixMillis, request: Option<RequestKey>) -> v1::Refusal {
    let spread = request.map_or(0, |request| fold(request.id)) ^ now.0.cast_unsigned();
    let retry = retry_after(refusal, now, spread);
    let mut answer = v1::Refusal {
        reason: reason(refusal).into(),
        message: message(refusal),
        metadata: HashMap::new(),
        open_time: None,
        retry_after: retry.and_then(|retry| prost_types::Duration::try_from(retry).ok()),
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
        Refusal::AlreadyRegistered { applicant } => say("applicant", applicant.to_string()),
        Refusal::NotAServiceDay { holiday: Some(name) } => say("holiday", name.to_string()),
        Refusal::BeyondHorizon { horizon } => say("horizon", horizon.to_string()),
        Refusal::LaneNotOffered { offered } => say("offered", names(offered)),
        Refusal::NotOpenYet { open_at } => answer.open_time = Some(timestamp(*open_at)),
        Refusal::SoldOut | Refusal::Paused | Refusal::Busy | Refusal::NotAServiceDay { holiday: None } => {}
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
    }
}

fn message(refusal: &Refusal) -> String {
    match refusal {
        Refusal::SoldOut => "No place is left on this day.".into(),
        Refusal::NotEnoughPlaces { available, asked } => {
            format!("Only {available} of the {asked} places asked for are left on this day.")
        }
        Refusal::NotOpenYet { .. } => "Registration for this day has not opened yet.".into(),
        Refusal::Closed { .. } => "Registration for this day has closed.".into(),
        Refusal::Paused => "Registration is paused by the office.".into(),
        Refusal::AlreadyRegistered { applicant } => {
            format!("Applicant {applicant} (counted from 0) already has a registration.")
        }
        Refusal::Busy => "Many are asking for the last places; ask again shortly.".into(),
        Refusal::NotAServiceDay { holiday: Some(name) } => {
            format!("The office is closed on this day: {name}.")
        }
        Refusal::NotAServiceDay { holiday: None } => "The office does not serve on this weekday.".into(),
        Refusal::BeyondHorizon { horizon } => {
            format!("This day is not scheduled yet; the last scheduled day is {horizon}.")
        }
        Refusal::LaneNotOffered { offered } => format!("The office offers other lanes: {}.", names(offered)),
    }
}

fn names(lanes: &[Lane]) -> String {
    lanes.iter().map(|lane| lane.name()).collect::<Vec<_>>().join(", ")
}
