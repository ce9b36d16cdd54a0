//! What went wrong, told apart by what a caller does next.

use std::{fmt, time::Duration};

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// A call without an answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is none this client speaks to: nothing was asked.
    #[error("{url}: an address like http://127.0.0.1:50051 is allowed; there is no TLS yet")]
    Url {
        /// What was given.
        url: String,
    },
    /// Nobody could be reached: nothing was asked.
    #[error("cannot reach {url}: {reason}")]
    Connect {
        /// Where.
        url: String,
        /// Why not.
        reason: String,
    },
    /// The server answered with an error.
    #[error("{0}")]
    Status(Box<Failed>),
}

/// A gRPC error with its details.
#[derive(Debug, Clone)]
pub struct Failed {
    /// The status code.
    pub code: Code,
    /// For people.
    pub message: String,
    /// Machine-readable reason, as `REQUEST_ID_REUSED`.
    pub reason: Option<String>,
    /// Fields that are not well-formed, with what is allowed.
    pub fields: Vec<(String, String)>,
    /// When to ask again.
    pub retry_after: Option<Duration>,
}

impl Error {
    /// The gRPC status code; `Unavailable` when nobody was reached.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Url { .. } => Code::InvalidArgument,
            Self::Connect { .. } => Code::Unavailable,
            Self::Status(failed) => failed.code,
        }
    }

    /// The machine-readable reason.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Url { .. } | Self::Connect { .. } => None,
            Self::Status(failed) => failed.reason.as_deref(),
        }
    }

    /// Whether the same ask should be sent again: nothing is known to have happened, or the outcome is unknown.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self.code(), Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown)
    }
}

impl Error {
    /// Whether the ask may have been granted all the same: only its repeat tells.
    #[must_use]
    pub fn is_outcome_unknown(&self) -> bool {
        self.is_retryable()
            && matches!((self, self.reason()), (Self::Status(_), None | Some("OUTCOME_UNKNOWN")))
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        let details = status.get_error_details();
        let violations = details.bad_request().map(|bad| bad.field_violations.clone()).unwrap_or_default();
        Self::Status(Box::new(Failed {
            code: status.code(),
            message: status.message().to_owned(),
            reason: details.error_info().map(|info| info.reason.clone()),
            fields: violations
                .into_iter()
                .map(|violation| (violation.field, violation.description))
                .collect(),
            retry_after: details.retry_info().and_then(|info| info.retry_delay),
        }))
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.message)?;
        if let Some(after) = self.retry_after {
            write!(f, " (ask again in {} ms)", after.as_millis())?;
        }
        Ok(())
    }
}
