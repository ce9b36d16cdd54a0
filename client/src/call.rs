//! One logical call: its attempts, the time each may take, and when it is given up.

use std::time::Duration;

use tokio::time::Instant;

use crate::{error::Error, failure::Failure, retry::RetryPolicy};

/// Whether a call that fails may have changed something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    Read,
    Write,
}

/// What every call of a client goes by.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    pub(crate) url: String,
    pub(crate) deadline: Duration,
    pub(crate) attempt_timeout: Duration,
    pub(crate) retry: RetryPolicy,
}

/// A call under way.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    terms: &'a Terms,
    effect: Effect,
    began: Instant,
    attempts: u32,
    /// An attempt may have been carried out. A later failure does not undo that.
    outcome_unknown: bool,
}

impl<'a> Call<'a> {
    pub(crate) fn begin(terms: &'a Terms, effect: Effect) -> Self {
        Self { terms, effect, began: Instant::now(), attempts: 0, outcome_unknown: false }
    }

    /// Begins an attempt; says how long it may take. The last one may use all the time that is left.
    pub(crate) fn attempt(&mut self) -> Duration {
        self.attempts += 1;
        let left = self.left();
        if self.attempts >= self.terms.retry.attempts_max {
            left
        } else {
            left.min(self.terms.attempt_timeout)
        }
    }

    /// Takes note of an answer.
    pub(crate) fn answered(&self) {
        self.terms.retry.budget.refund();
    }

    /// Takes note of a failure; says how long to wait before the next attempt, or why there is none.
    pub(crate) fn failed(&mut self, failure: Failure) -> Result<Duration, Error> {
        self.outcome_unknown |= self.effect == Effect::Write && failure.is_outcome_unknown();
        let may_retry = !failure.is_retryable() || self.terms.retry.budget.charge();
        let wait = self.terms.retry.wait_after(&failure, self.attempts, self.left());
        match wait {
            Some(wait) if may_retry => Ok(wait),
            // What is wrong with the ask itself is known, whatever became of earlier attempts.
            Some(_) | None => {
                let outcome_unknown = self.outcome_unknown && failure.is_retryable();
                Err(self.error_of(failure, outcome_unknown))
            }
        }
    }

    /// The error that a failure comes to when the call, or a part of it, ends with it.
    pub(crate) fn error_of(&self, failure: Failure, outcome_unknown: bool) -> Error {
        failure.into_error(&self.terms.url, self.attempts, outcome_unknown, self.began.elapsed())
    }

    fn left(&self) -> Duration {
        self.terms.deadline.saturating_sub(self.began.elapsed())
    }
}

/// Makes attempts until there is an answer, or the call is given up.
pub(crate) async fn insist<T, F>(mut call: Call<'_>, attempt: impl Fn(Duration) -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Failure>>,
{
    loop {
        match attempt(call.attempt()).await {
            Ok(answer) => {
                call.answered();
                return Ok(answer);
            }
            Err(failure) => tokio::time::sleep(call.failed(failure)?).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, collections::HashMap};

    use tonic::Status;

    use super::*;
    use crate::budget::RetryBudget;

    fn terms() -> Terms {
        Terms {
            url: "http://127.0.0.1:1".into(),
            deadline: Duration::from_secs(10),
            attempt_timeout: Duration::from_secs(3),
            retry: RetryPolicy::default(),
        }
    }

    /// Plays answers; a missing one never comes. Says what came out and how long each attempt was given.
    async fn play(
        terms: &Terms,
        effect: Effect,
        script: Vec<Result<u32, Status>>,
    ) -> (Result<u32, Error>, Vec<u64>) {
        let script = RefCell::new(script.into_iter());
        let allowed_ms = RefCell::new(Vec::new());
        let outcome = insist(Call::begin(terms, effect), |allowed| {
            allowed_ms.borrow_mut().push(u64::try_from(allowed.as_millis()).unwrap());
            let answer = script.borrow_mut().next();
            async move {
                match answer {
                    Some(answer) => answer.map_err(Failure::from),
                    None => tokio::time::timeout(allowed, std::future::pending())
                        .await
                        .map_err(|_| Failure::overdue())?,
                }
            }
        });
        let outcome = outcome.await;
        (outcome, allowed_ms.into_inner())
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_is_repeated_until_it_is_answered() {
        let script = vec![Err(Status::unavailable("")), Err(Status::cancelled("Timeout expired")), Ok(7)];
        let (outcome, allowed_ms) = play(&terms(), Effect::Write, script).await;
        assert_eq!((outcome.unwrap(), allowed_ms.len()), (7, 3));
    }

    #[tokio::test(start_paused = true)]
    async fn no_attempt_outlives_the_deadline_and_the_outcome_is_unknown() {
        let began = Instant::now();
        let (outcome, allowed_ms) = play(&terms(), Effect::Write, vec![]).await;
        let error = outcome.unwrap_err();
        assert!(matches!(error, Error::Deadline { .. }) && error.is_outcome_unknown(), "{error:?}");
        assert!(began.elapsed() <= Duration::from_secs(11));
        assert_eq!((error.attempts(), &allowed_ms[..3]), (4, &[3_000, 3_000, 3_000][..]));
        assert!(allowed_ms[3] < 1_000, "only what is left: {allowed_ms:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn without_retries_the_one_attempt_has_all_the_time() {
        let terms = Terms { retry: RetryPolicy::none(), ..terms() };
        let (outcome, allowed_ms) = play(&terms, Effect::Read, vec![]).await;
        let error = outcome.unwrap_err();
        assert_eq!((error.attempts(), allowed_ms), (1, vec![10_000]));
        assert!(!error.is_outcome_unknown(), "a look-up changes nothing");
    }

    #[tokio::test(start_paused = true)]
    async fn an_early_unknown_outcome_is_not_forgotten() {
        let overloaded = || {
            let details =
                tonic_types::ErrorDetails::with_error_info("OVERLOADED", "kuota.v1", HashMap::new());
            <Status as tonic_types::StatusExt>::with_error_details(tonic::Code::Unavailable, "", details)
        };
        let all = |status: fn() -> Status| vec![Err(overloaded()), Err(status())];
        let terms = Terms { retry: RetryPolicy { attempts_max: 2, ..RetryPolicy::default() }, ..terms() };
        let (outcome, _) =
            play(&terms, Effect::Write, vec![Err(Status::unavailable("")), Err(overloaded())]).await;
        assert!(outcome.unwrap_err().is_outcome_unknown());
        let (outcome, _) = play(&terms, Effect::Write, all(|| Status::unavailable(""))).await;
        assert!(outcome.unwrap_err().is_outcome_unknown());
        let (outcome, _) = play(&terms, Effect::Write, vec![Err(overloaded()), Err(overloaded())]).await;
        assert!(!outcome.unwrap_err().is_outcome_unknown(), "nothing was written");
    }

    #[tokio::test(start_paused = true)]
    async fn when_the_budget_is_spent_the_error_comes_at_once() {
        let retry = RetryPolicy { budget: RetryBudget::new(4, 100), ..RetryPolicy::default() };
        let terms = Terms { retry, ..terms() };
        let failures = || (0..5).map(|_| Err(Status::unavailable(""))).collect::<Vec<_>>();
        let (outcome, _) = play(&terms, Effect::Write, failures()).await;
        assert_eq!(outcome.unwrap_err().attempts(), 2, "the second failure leaves half of four");
        let (outcome, _) = play(&terms, Effect::Write, failures()).await;
        assert_eq!(outcome.unwrap_err().attempts(), 1, "another call shares it");
    }
}
