//! Waiting for a definite answer: what to wait out, how long, and when to say that it is not known.

use std::time::Duration;

use kuota_api::v1::{Refusal, RefusalReason};
use tokio::time::Instant;

use crate::{
    ask::Outcome,
    error::Error,
    retry::{RetryPolicy, jittered},
};

/// Asks, told how much patience is left, until there is an answer to keep.
///
/// Each ask is a logical call with retries of its own. Waits between them go by the policy's back-off, and are not
/// charged to its budget: their pace is bounded by `backoff_max`.
pub(crate) async fn for_an_answer<F>(
    request_id: &str,
    patience: Duration,
    retry: &RetryPolicy,
    ask: impl Fn(Duration) -> F,
) -> Result<Outcome, Error>
where
    F: Future<Output = Result<Outcome, Error>>,
{
    let began = Instant::now();
    let (mut attempts, mut outcome_unknown, mut failures) = (0, false, 0);
    loop {
        let answer = ask(patience.saturating_sub(began.elapsed())).await;
        let wait = match &answer {
            Ok(outcome) => {
                (attempts, outcome_unknown, failures) = (attempts + 1, false, 0);
                wait_out(outcome, retry)
            }
            Err(error) => {
                attempts += error.attempts();
                outcome_unknown = error.is_retryable() && (outcome_unknown || error.is_outcome_unknown());
                failures += 1;
                let wait = error.retry_after().unwrap_or_default() + jittered(retry.backoff(failures));
                error.is_retryable().then_some(wait)
            }
        };
        let left = patience.saturating_sub(began.elapsed());
        match wait.filter(|wait| *wait < left) {
            Some(wait) => tokio::time::sleep(wait).await,
            None => {
                let unknown = |last| Error::OutcomeUnknown {
                    request_id: request_id.into(),
                    attempts,
                    last: Box::new(last),
                };
                return answer.map_err(|error| if outcome_unknown { unknown(error) } else { error });
            }
        }
    }
}

/// How long to wait for another answer than this one; `None`: it is final.
fn wait_out(outcome: &Outcome, retry: &RetryPolicy) -> Option<Duration> {
    let Outcome::Refused(refusal) = outcome else { return None };
    // A reason this client does not know is final.
    let passes = matches!(refusal.reason(), RefusalReason::NotOpenYet | RefusalReason::Busy);
    // The server jitters it. Without it, the pace is ours.
    passes.then(|| retry_after(refusal).unwrap_or_else(|| jittered(retry.backoff_max)))
}

fn retry_after(refusal: &Refusal) -> Option<Duration> {
    Duration::try_from(refusal.retry_after?).ok().filter(|wait| !wait.is_zero())
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use kuota_api::v1::Registration;
    use tonic::Code;

    use super::*;
    use crate::error::Failed;

    const MINUTE: Duration = Duration::from_secs(60);

    fn refusal(reason: RefusalReason, retry_after_ms: u64) -> Result<Outcome, Error> {
        let retry_after = Duration::from_millis(retry_after_ms).try_into().ok();
        Ok(Outcome::Refused(Refusal { reason: reason.into(), retry_after, ..Refusal::default() }))
    }

    fn unavailable(outcome_unknown: bool) -> Result<Outcome, Error> {
        let failed = Failed::bare(Code::Unavailable, "gone".into());
        Err(Error::Status(Box::new(Failed { outcome_unknown, ..failed })))
    }

    fn granted() -> Result<Outcome, Error> {
        Ok(Outcome::Registered(Registration::default()))
    }

    /// Plays answers, repeating the last; says what came out and after how long.
    async fn play(
        script: &[Result<Outcome, Error>],
        patience: Duration,
    ) -> (Result<Outcome, Error>, Duration) {
        let (began, next) = (Instant::now(), RefCell::new(0));
        let ask = |_| {
            let index = *next.borrow();
            *next.borrow_mut() += 1;
            std::future::ready(script[index.min(script.len() - 1)].clone())
        };
        let outcome = for_an_answer("the id", patience, &RetryPolicy::default(), ask).await;
        (outcome, began.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn an_opening_a_crowd_and_an_outage_are_waited_out() {
        let script = [
            refusal(RefusalReason::NotOpenYet, 30_000),
            refusal(RefusalReason::Busy, 500),
            unavailable(true),
            unavailable(false),
            granted(),
        ];
        let (outcome, after) = play(&script, MINUTE).await;
        assert!(matches!(outcome, Ok(Outcome::Registered(_))), "{outcome:?}");
        assert!((Duration::from_millis(30_500)..Duration::from_secs(31)).contains(&after), "{after:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_pass_is_not_waited_for() {
        for reason in [RefusalReason::SoldOut, RefusalReason::Paused, RefusalReason::AlreadyRegistered] {
            let (outcome, after) = play(&[refusal(reason, 1), granted()], MINUTE).await;
            assert_eq!((outcome.unwrap(), after), (refusal(reason, 1).unwrap(), Duration::ZERO));
        }
        let invalid = Err(Error::Status(Box::new(Failed::bare(Code::InvalidArgument, String::new()))));
        let (outcome, after) = play(&[invalid, granted()], MINUTE).await;
        assert_eq!((outcome.unwrap_err().code(), after), (Code::InvalidArgument, Duration::ZERO));
        let tomorrow = refusal(RefusalReason::NotOpenYet, 86_400_000);
        let (outcome, after) = play(&[tomorrow.clone(), granted()], MINUTE).await;
        assert_eq!((outcome.unwrap(), after), (tomorrow.unwrap(), Duration::ZERO), "patience ends before");
    }

    #[tokio::test(start_paused = true)]
    async fn when_patience_ends_without_an_answer_the_id_is_told() {
        let (outcome, after) = play(&[unavailable(true), unavailable(false)], MINUTE).await;
        let error = outcome.unwrap_err();
        assert!(error.is_outcome_unknown() && error.is_retryable() && error.attempts() > 10, "{error:?}");
        assert!(error.to_string().contains("request_id the id"), "{error}");
        assert!(after <= MINUTE && after > MINUTE - Duration::from_secs(3), "{after:?}");

        let (outcome, _) = play(&[unavailable(false)], MINUTE).await;
        assert!(matches!(outcome, Err(Error::Status(_))), "nothing was written, and it says so: {outcome:?}");
        let (outcome, _) = play(&[unavailable(true), refusal(RefusalReason::SoldOut, 0)], MINUTE).await;
        assert!(matches!(outcome, Ok(Outcome::Refused(_))), "an answer resolves it");
    }
}
