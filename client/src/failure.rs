//! One failed attempt, as the retry loop sees it: what it was, and what the server wants done about it.

use std::{error::Error as _, time::Duration};

use tonic::{Code, ConnectError, Status, TimeoutExpired};
use tonic_types::{ErrorDetails, FieldViolation, RpcStatusExt as _, StatusExt as _, pb};

use crate::error::{Error, Failed};

/// Set by servers that speak gRPC's retry protocol: milliseconds to wait, or a negative number for "never".
const PUSHBACK: &str = "grpc-retry-pushback-ms";
/// What tonic says, with CANCELLED, when a `grpc-timeout` has passed at the server.
const TIMEOUT_EXPIRED: &str = "Timeout expired";
/// What tonic says of an answer in HTTP that is none in gRPC.
const NO_GRPC: &str = "grpc-status header missing";
/// Of an answer that holds nothing this client knows.
const NO_OUTCOME: &str = "the server's answer holds no outcome this client knows";

/// A failed attempt.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    pub(crate) pushback: Pushback,
    pub(crate) failed: Box<Failed>,
}

/// Where the attempt came to grief.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// No connection: nothing was asked.
    NotSent,
    /// Time ran out, here or at the server.
    Overdue,
    /// An error was answered, or the connection broke under the call.
    Status,
}

/// What the server said about the next attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pushback {
    Unsaid,
    After(Duration),
    Never,
}

impl Failure {
    /// Time ran out at this end.
    pub(crate) fn overdue() -> Self {
        let failed = Box::new(Failed::bare(Code::DeadlineExceeded, TIMEOUT_EXPIRED.into()));
        Self { kind: Kind::Overdue, pushback: Pushback::Unsaid, failed }
    }

    /// A server that answers with nothing is newer than this client: the outcome is unknown.
    pub(crate) fn no_outcome() -> Self {
        Self::answered(Failed::bare(Code::Unknown, NO_OUTCOME.into()))
    }

    /// A stream that should not have ended.
    pub(crate) fn ended() -> Self {
        Self::answered(Failed::bare(Code::Unavailable, "the stream ended".into()))
    }

    pub(crate) fn answered(failed: Failed) -> Self {
        Self { kind: Kind::Status, pushback: Pushback::Unsaid, failed: Box::new(failed) }
    }

    /// Whether the same call may be tried again.
    pub(crate) fn is_retryable(&self) -> bool {
        self.failed.is_retryable()
    }

    /// Whether the server may have carried the call out.
    pub(crate) fn is_outcome_unknown(&self) -> bool {
        match self.kind {
            Kind::NotSent => false,
            Kind::Overdue => true,
            // With another reason the server says that nothing was written.
            Kind::Status => {
                self.is_retryable() && matches!(self.failed.reason.as_deref(), None | Some("OUTCOME_UNKNOWN"))
            }
        }
    }

    /// The server's own word on when to come back: pushback before RetryInfo.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self.pushback {
            Pushback::After(wait) => Some(wait),
            Pushback::Unsaid | Pushback::Never => self.failed.retry_after,
        }
    }

    /// The error a caller sees.
    pub(crate) fn into_error(
        self,
        url: &str,
        attempts: u32,
        outcome_unknown: bool,
        after: Duration,
    ) -> Error {
        match self.kind {
            Kind::NotSent => {
                Error::Connect { url: url.into(), reason: self.failed.message, attempts, outcome_unknown }
            }
            Kind::Overdue => Error::Deadline { after, attempts, outcome_unknown },
            Kind::Status => {
                let retry_after = self.retry_after();
                let mut failed = Failed { attempts, outcome_unknown, retry_after, ..*self.failed };
                if failed.message.starts_with(NO_GRPC) {
                    failed.message = format!("no gRPC is spoken at {url}");
                }
                Error::Status(Box::new(failed))
            }
        }
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        let kind = if is_caused_by::<ConnectError>(&status) {
            Kind::NotSent
        } else if is_timeout(&status) {
            Kind::Overdue
        } else {
            Kind::Status
        };
        let details = status.get_error_details();
        let mut failed = Failed::new(status.code(), status.message(), &details);
        // tonic calls some broken connections INTERNAL. Only a status made at this end has a source.
        if failed.code == Code::Internal && status.source().is_some() {
            failed.code = Code::Unavailable;
        }
        if kind == Kind::NotSent {
            failed.message = innermost(&status);
        }
        Self { kind, pushback: pushback(&status), failed: Box::new(failed) }
    }
}

impl From<&pb::Status> for Failure {
    /// An item of a batch.
    fn from(status: &pb::Status) -> Self {
        let details = status.get_error_details();
        Self::answered(Failed::new(Code::from_i32(status.code), &status.message, &details))
    }
}

impl Failed {
    fn new(code: Code, message: &str, details: &ErrorDetails) -> Self {
        let violations = details.bad_request().map(|bad| bad.field_violations.clone()).unwrap_or_default();
        let field = |violation: FieldViolation| (violation.field, violation.description);
        Self {
            localized: details.localized_message().map(|words| words.message.clone()),
            reason: details.error_info().map(|info| info.reason.clone()),
            fields: violations.into_iter().map(field).collect(),
            retry_after: details.retry_info().and_then(|info| info.retry_delay),
            ..Self::bare(code, message.into())
        }
    }

    pub(crate) fn bare(code: Code, message: String) -> Self {
        Self {
            code,
            message,
            localized: None,
            reason: None,
            fields: Vec::new(),
            retry_after: None,
            attempts: 1,
            outcome_unknown: false,
        }
    }
}

fn is_timeout(status: &Status) -> bool {
    match status.code() {
        Code::DeadlineExceeded => true,
        Code::Cancelled => is_caused_by::<TimeoutExpired>(status) || status.message() == TIMEOUT_EXPIRED,
        _ => false,
    }
}

fn is_caused_by<T: std::error::Error + 'static>(status: &Status) -> bool {
    let mut cause = status.source();
    while let Some(error) = cause {
        if error.is::<T>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// A value that is no number asks for no retry, as gRFC A6 has it.
fn pushback(status: &Status) -> Pushback {
    let Some(value) = status.metadata().get(PUSHBACK) else { return Pushback::Unsaid };
    let wait_ms = value.to_str().ok().and_then(|text| text.parse::<i64>().ok());
    match wait_ms.map(u64::try_from) {
        Some(Ok(wait_ms)) => Pushback::After(Duration::from_millis(wait_ms)),
        Some(Err(_)) | None => Pushback::Never,
    }
}

/// The root of an error, which names the cause and not the layers above it.
pub(crate) fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn a_timeout_is_told_apart_from_a_cancel() {
        let rows = [
            (Status::cancelled("Timeout expired"), Kind::Overdue, true, true),
            (Status::deadline_exceeded("late"), Kind::Overdue, true, true),
            (Status::cancelled("the proxy went away"), Kind::Status, true, true),
            (Status::unavailable(""), Kind::Status, true, true),
            (Status::unknown(""), Kind::Status, true, true),
            (Status::internal(""), Kind::Status, false, false),
            (Status::invalid_argument(""), Kind::Status, false, false),
            (Status::failed_precondition(""), Kind::Status, false, false),
        ];
        for (status, kind, is_retryable, is_unknown) in rows {
            let failure = Failure::from(status);
            let told = (failure.kind, failure.is_retryable(), failure.is_outcome_unknown());
            assert_eq!(told, (kind, is_retryable, is_unknown), "{failure:?}");
        }
    }

    #[test]
    fn a_reason_says_that_nothing_was_written() {
        for (reason, is_unknown) in [("OVERLOADED", false), ("LOG_FULL", false), ("OUTCOME_UNKNOWN", true)] {
            let details = ErrorDetails::with_error_info(reason, "kuota.v1", HashMap::new());
            let failure = Failure::from(Status::with_error_details(Code::Unavailable, "", details));
            assert!(failure.is_retryable());
            assert_eq!(failure.is_outcome_unknown(), is_unknown, "{reason}");
        }
    }

    #[test]
    fn pushback_is_read_as_grpc_has_it() {
        let rows = [
            (None, Pushback::Unsaid),
            (Some("0"), Pushback::After(Duration::ZERO)),
            (Some("1500"), Pushback::After(Duration::from_millis(1_500))),
            (Some("-1"), Pushback::Never),
            (Some("soon"), Pushback::Never),
            (Some(""), Pushback::Never),
        ];
        for (value, expected) in rows {
            let mut status = Status::unavailable("");
            if let Some(value) = value {
                status.metadata_mut().insert(PUSHBACK, value.parse().unwrap());
            }
            assert_eq!(Failure::from(status).pushback, expected, "{value:?}");
        }
    }
}
