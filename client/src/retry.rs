//! When a failed call is tried again, and after how long: rules without a connection.

use std::time::Duration;

use crate::{
    budget::RetryBudget,
    failure::{Failure, Pushback},
    limits,
};

/// How calls are retried.
///
/// Every call of Kuota is idempotent: reads change nothing, and writes carry a `request_id` that each attempt repeats.
/// So every call may be retried. Waits grow exponentially with full jitter: each is chosen evenly from zero up to a
/// bound that doubles. What the server says about the time comes first, and no wait goes past the deadline.
///
/// ```
/// use std::time::Duration;
/// use kuota_client::{RetryBudget, RetryPolicy};
///
/// let policy = RetryPolicy {
///     attempts_max: 8,
///     backoff_max: Duration::from_secs(1),
///     budget: RetryBudget::new(1_000, 100),
///     ..RetryPolicy::default()
/// };
/// # let _ = policy;
/// ```
#[derive(Clone, Debug)]
pub struct RetryPolicy {
    /// Attempts of one call, the first included. Zero counts as one.
    pub attempts_max: u32,
    /// Upper end of the first wait.
    pub backoff_base: Duration,
    /// Upper end of every later wait.
    pub backoff_max: Duration,
    /// What all calls together may spend on retries. Clones share it.
    pub budget: RetryBudget,
}

impl RetryPolicy {
    /// One attempt, with all the time there is.
    #[must_use]
    pub fn none() -> Self {
        Self { attempts_max: 1, ..Self::default() }
    }

    /// How long to wait after a failure of the attempt with that number, from 1; `None`: give up.
    ///
    /// The caller has charged the budget, and says how much time is left.
    pub(crate) fn wait_after(&self, failure: &Failure, attempt: u32, left: Duration) -> Option<Duration> {
        if !failure.is_retryable() || attempt >= self.attempts_max {
            return None;
        }
        let wait = match failure.pushback {
            Pushback::Never => return None,
            Pushback::After(wait) => wait,
            // RetryInfo is the least to wait. Callers who were told the same come back spread out.
            Pushback::Unsaid => {
                failure.failed.retry_after.unwrap_or_default() + jittered(self.backoff(attempt))
            }
        };
        Some(wait).filter(|wait| *wait < left)
    }

    /// Upper end of the wait after the attempt with that number, from 1.
    pub(crate) fn backoff(&self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1).min(31);
        self.backoff_base.saturating_mul(1 << doublings).min(self.backoff_max)
    }
}

impl Default for RetryPolicy {
    /// Five attempts, waits of up to 50 ms, 100 ms, 200 ms …, at most 2 s, and a budget of its own.
    fn default() -> Self {
        Self {
            attempts_max: limits::ATTEMPTS_MAX,
            backoff_base: limits::BACKOFF_BASE,
            backoff_max: limits::BACKOFF_MAX,
            budget: RetryBudget::default(),
        }
    }
}

/// Some time from zero up to a bound: full jitter.
pub(crate) fn jittered(bound: Duration) -> Duration {
    let bound_us = u64::try_from(bound.as_micros()).unwrap_or(u64::MAX);
    // Without randomness callers come back together, which is no reason not to come back.
    let random = getrandom::u64().unwrap_or(u64::MAX);
    Duration::from_micros(if bound_us == u64::MAX { random } else { random % (bound_us + 1) })
}

#[cfg(test)]
mod tests {
    use tonic::{Code, Status};
    use tonic_types::{ErrorDetails, StatusExt as _};

    use super::*;

    const LONG: Duration = Duration::from_secs(3_600);

    fn unavailable(pushback: Option<&str>, retry_after: Option<Duration>) -> Failure {
        let details =
            retry_after.map_or_else(ErrorDetails::new, |wait| ErrorDetails::with_retry_info(Some(wait)));
        let mut status = Status::with_error_details(Code::Unavailable, "", details);
        if let Some(value) = pushback {
            status.metadata_mut().insert("grpc-retry-pushback-ms", value.parse().unwrap());
        }
        status.into()
    }

    #[test]
    fn waits_double_up_to_their_bound_with_full_jitter() {
        let policy = RetryPolicy { attempts_max: 100, ..RetryPolicy::default() };
        let bounds_ms: Vec<u128> = (1..=8).map(|attempt| policy.backoff(attempt).as_millis()).collect();
        assert_eq!(bounds_ms, [50, 100, 200, 400, 800, 1_600, 2_000, 2_000]);
        assert_eq!(policy.backoff(u32::MAX), Duration::from_secs(2));
        let waits: Vec<Duration> =
            (0..200).map(|_| policy.wait_after(&unavailable(None, None), 7, LONG).unwrap()).collect();
        assert!(waits.iter().all(|wait| *wait <= Duration::from_secs(2)));
        assert!(waits.iter().any(|wait| *wait < Duration::from_millis(500)), "jitter reaches down to zero");
        assert!(waits.iter().any(|wait| *wait > Duration::from_millis(1_500)), "and up to the bound");
    }

    #[test]
    fn the_servers_word_comes_first() {
        let policy = RetryPolicy::default();
        let second = Duration::from_secs(1);
        let wait = |failure: &Failure, attempt, left| policy.wait_after(failure, attempt, left);
        assert_eq!(wait(&unavailable(Some("700"), Some(second)), 1, LONG), Some(Duration::from_millis(700)));
        assert_eq!(wait(&unavailable(Some("-1"), Some(second)), 1, LONG), None);
        assert_eq!(wait(&unavailable(Some("later"), None), 1, LONG), None);
        let told = wait(&unavailable(None, Some(second)), 1, LONG).unwrap();
        assert!((second..=second + policy.backoff_base).contains(&told), "RetryInfo, and some jitter");
        assert_eq!(wait(&unavailable(Some("700"), None), 1, Duration::from_millis(700)), None, "too late");
        assert_eq!(wait(&unavailable(None, None), 5, LONG), None, "five attempts, no sixth");
        assert_eq!(wait(&Status::invalid_argument("").into(), 1, LONG), None);
        assert_eq!(RetryPolicy::none().wait_after(&unavailable(None, None), 1, LONG), None);
    }
}
