//! What went wrong, told apart by what a caller does next.

use std::{fmt, time::Duration};

use tonic::Code;

/// A call without an answer, after all its attempts.
///
/// A refusal is no error: it is an [`Outcome`](crate::Outcome). What to do next:
///
/// | question | method |
/// |---|---|
/// | May the place have been given all the same? | [`is_outcome_unknown`](Self::is_outcome_unknown): send the same ask again |
/// | Is it worth asking again? | [`is_retryable`](Self::is_retryable), not before [`retry_after`](Self::retry_after) |
/// | What is wrong with the ask? | [`reason`](Self::reason), and the fields of [`Failed`] |
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address is none this client speaks to: nothing was asked.
    #[error("{url}: an address like http://127.0.0.1:50051 is allowed; there is no TLS yet")]
    Url {
        /// What was given.
        url: String,
    },
    /// The call or a setting is not well-formed: nothing was asked.
    #[error("{what}")]
    Argument {
        /// What was found, and what is allowed.
        what: String,
    },
    /// Nobody could be reached.
    #[error("cannot reach {url}: {reason}")]
    Connect {
        /// Where.
        url: String,
        /// Why not.
        reason: String,
        /// How often it was tried.
        attempts: u32,
        /// An earlier attempt of the same call did reach the server, and may have been carried out.
        outcome_unknown: bool,
    },
    /// Time ran out before an answer came, whoever noticed first. A write may have been carried out.
    #[error("no answer within {}", span(*after))]
    Deadline {
        /// How long the whole call took.
        after: Duration,
        /// How often it was tried.
        attempts: u32,
        /// The call may have been carried out. False for look-ups, which change nothing.
        outcome_unknown: bool,
    },
    /// The server answered with an error, or the connection broke.
    #[error("{0}")]
    Status(Box<Failed>),
    /// Patience ended before it was known whether the place was given: `register_and_wait`.
    #[error("it is not known whether the place was given; ask again with request_id {request_id} ({last})")]
    OutcomeUnknown {
        /// Ask again with it, until there is an answer: it is granted at most once.
        request_id: String,
        /// How often it was tried.
        attempts: u32,
        /// What went wrong last.
        last: Box<Self>,
    },
}

/// A gRPC error with its details.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Failed {
    /// The status code.
    pub code: Code,
    /// For people.
    pub message: String,
    /// For people, in the language asked for, where the server has the words.
    pub localized: Option<String>,
    /// Machine-readable reason, as `REQUEST_ID_REUSED`.
    pub reason: Option<String>,
    /// Fields that are not well-formed, with what is allowed.
    pub fields: Vec<(String, String)>,
    /// When to ask again.
    pub retry_after: Option<Duration>,
    /// How often the call was tried.
    pub attempts: u32,
    /// The call may have been carried out all the same. False for look-ups, which change nothing.
    pub outcome_unknown: bool,
}

impl Error {
    /// The gRPC status code; `Unavailable` when nobody was reached or the outcome is unknown.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Url { .. } | Self::Argument { .. } => Code::InvalidArgument,
            Self::Connect { .. } | Self::OutcomeUnknown { .. } => Code::Unavailable,
            Self::Deadline { .. } => Code::DeadlineExceeded,
            Self::Status(failed) => failed.code,
        }
    }

    /// The machine-readable reason.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Url { .. } | Self::Argument { .. } | Self::Connect { .. } | Self::Deadline { .. } => None,
            Self::OutcomeUnknown { .. } => Some("OUTCOME_UNKNOWN"),
            Self::Status(failed) => failed.reason.as_deref(),
        }
    }

    /// Whether the same ask, with the same `request_id`, is worth sending again.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Url { .. } | Self::Argument { .. } => false,
            Self::Connect { .. } | Self::Deadline { .. } | Self::OutcomeUnknown { .. } => true,
            Self::Status(failed) => failed.is_retryable(),
        }
    }

    /// Whether the ask may have been granted all the same: only its repeat, with the same `request_id`, tells.
    #[must_use]
    pub fn is_outcome_unknown(&self) -> bool {
        match self {
            Self::Url { .. } | Self::Argument { .. } => false,
            Self::Connect { outcome_unknown, .. } | Self::Deadline { outcome_unknown, .. } => {
                *outcome_unknown
            }
            Self::Status(failed) => failed.outcome_unknown,
            Self::OutcomeUnknown { .. } => true,
        }
    }

    /// When the server wants to be asked again, if it said so.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Url { .. } | Self::Argument { .. } | Self::Connect { .. } | Self::Deadline { .. } => None,
            Self::Status(failed) => failed.retry_after,
            Self::OutcomeUnknown { last, .. } => last.retry_after(),
        }
    }

    /// How often the call was sent, or tried to be.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        match self {
            Self::Url { .. } | Self::Argument { .. } => 0,
            Self::Connect { attempts, .. }
            | Self::Deadline { attempts, .. }
            | Self::OutcomeUnknown { attempts, .. } => *attempts,
            Self::Status(failed) => failed.attempts,
        }
    }
}

/// `250 ms`, `3.5 s`, `10 s`.
fn span(after: Duration) -> String {
    let tenths = after.as_millis().saturating_add(50) / 100;
    match (tenths / 10, tenths % 10) {
        (0, _) => format!("{} ms", after.as_millis()),
        (seconds, 0) => format!("{seconds} s"),
        (seconds, tenth) => format!("{seconds}.{tenth} s"),
    }
}

impl Failed {
    /// By the code: one that says that nothing is known to have happened, or that the outcome is unknown.
    pub(crate) fn is_retryable(&self) -> bool {
        matches!(self.code, Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown)
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.message.is_empty(), self.fields.first()) {
            (false, _) => write!(f, "{}", self.message)?,
            (true, Some((field, allowed))) => write!(f, "{field}: {allowed}")?,
            (true, None) => write!(f, "{}", self.code)?,
        }
        if let Some(after) = self.retry_after {
            write!(f, " (ask again in {} ms)", after.as_millis())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_as_closely_as_people_care() {
        for (after_ms, expected) in [(250, "250 ms"), (3_512, "3.5 s"), (9_998, "10 s"), (10_001, "10 s")] {
            assert_eq!(span(Duration::from_millis(after_ms)), expected);
        }
    }
}
