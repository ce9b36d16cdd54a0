//! A batch: many asks in one call, and again for those whose answer is still out.

use kuota_api::v1::{self, RegisterBatchItem, registration_service_client::RegistrationServiceClient};
use tonic::{Code, Request};

use crate::{
    ask::{Ask, Outcome},
    call::{Call, Effect},
    error::{Error, Failed},
    failure::Failure,
    limits::{BATCH_ANSWER_MAX_BYTES, BATCH_ASKS_MAX},
    link::Link,
};

/// An ask without a definite answer yet.
struct Open {
    /// Where it stands in the batch.
    index: usize,
    /// It may have been granted.
    outcome_unknown: bool,
    /// What went wrong last.
    failure: Option<Failure>,
}

impl Open {
    fn note(&mut self, failure: Failure) {
        self.outcome_unknown |= failure.is_outcome_unknown();
        self.failure = Some(failure);
    }
}

type Answers = Vec<Option<Result<Outcome, Error>>>;

/// Sends a batch until every ask has its answer, or the call is given up.
pub(crate) async fn register(link: &Link, asks: &[Ask]) -> Result<Vec<Result<Outcome, Error>>, Error> {
    if !(1..=BATCH_ASKS_MAX).contains(&asks.len()) {
        let what = format!("a batch of {} asks; 1 to {BATCH_ASKS_MAX} are allowed", asks.len());
        return Err(Error::Argument { what });
    }
    let mut answers: Answers = asks.iter().map(|_| None).collect();
    let mut open: Vec<Open> =
        (0..asks.len()).map(|index| Open { index, outcome_unknown: false, failure: None }).collect();
    let mut call = Call::begin(&link.terms, Effect::Write);
    let mut was_answered = false;
    loop {
        let requests = open.iter().map(|open| asks[open.index].request.clone()).collect();
        let send = async |channel, request: Request<_>| {
            RegistrationServiceClient::new(channel)
                .max_decoding_message_size(BATCH_ANSWER_MAX_BYTES)
                .register_batch(request)
                .await
        };
        let answer = link.attempt(call.attempt(), v1::RegisterBatchRequest { requests }, send).await;
        let failure = match answer.and_then(|answer| as_many(answer.items, open.len())) {
            Ok(items) => {
                was_answered = true;
                open = sort(items, open, &mut answers, &call);
                slowest(&open)
            }
            Err(failure) => {
                open.iter_mut().for_each(|open| open.note(failure.clone()));
                Some(failure)
            }
        };
        let Some(failure) = failure else {
            call.answered();
            break;
        };
        match call.failed(failure) {
            Ok(wait) => tokio::time::sleep(wait).await,
            Err(error) if !was_answered => return Err(error),
            Err(_) => break,
        }
    }
    for Open { index, outcome_unknown, failure } in open {
        let failure = failure.unwrap_or_else(Failure::no_outcome);
        answers[index] = Some(Err(call.error_of(failure, outcome_unknown)));
    }
    Ok(answers.into_iter().flatten().collect())
}

/// Keeps what is definite; returns the asks that are still open.
fn sort(items: Vec<RegisterBatchItem>, open: Vec<Open>, answers: &mut Answers, call: &Call<'_>) -> Vec<Open> {
    let mut still_open = Vec::new();
    for (item, mut open) in items.into_iter().zip(open) {
        match Outcome::of_item(item) {
            Ok(outcome) => answers[open.index] = Some(Ok(outcome)),
            Err(failure) if failure.is_retryable() => {
                open.note(failure);
                still_open.push(open);
            }
            Err(failure) => answers[open.index] = Some(Err(call.error_of(failure, false))),
        }
    }
    still_open
}

/// The failure that wants the longest wait: the next attempt serves all of them.
fn slowest(open: &[Open]) -> Option<Failure> {
    open.iter().filter_map(|open| open.failure.as_ref()).max_by_key(|failure| failure.retry_after()).cloned()
}

/// Items are told apart by their place alone.
fn as_many(items: Vec<RegisterBatchItem>, asked: usize) -> Result<Vec<RegisterBatchItem>, Failure> {
    if items.len() == asked {
        return Ok(items);
    }
    let message = format!("the server answered {} items to {asked} asks", items.len());
    Err(Failure::answered(Failed::bare(Code::Unknown, message)))
}
