//! People and what they ask.

use kuota_client::{Ask, Client, Lane, Outcome, Refusal, RefusalReason, Registration, RetryPolicy};

use super::{MONDAY, OFFICE};

/// Asks again after BUSY, at once and so often at most: patience is bounded, time is not waited for.
const BUSY_TRIES_MAX: usize = 200_000;

/// A client with one connection that asks once: what the server says is what the test sees.
pub(crate) async fn single_minded(address: &str) -> Client {
    let builder = Client::builder(format!("http://{address}")).channels(1).retry(RetryPolicy::none());
    builder.connect().await.unwrap()
}

/// The NIK of somebody: the same for the same number.
pub(crate) fn nik(number: u32) -> String {
    let (date, serial) = (number / 9_999, number % 9_999 + 1);
    assert!(date < 28 * 12);
    format!("617101{:02}{:02}87{serial:04}", date % 28 + 1, date / 28 + 1)
}

/// Somebody's wish for Monday in Pontianak.
pub(crate) fn wish(number: u32) -> Ask {
    wish_for(OFFICE, MONDAY, number)
}

pub(crate) fn wish_for(office: &str, day: &str, number: u32) -> Ask {
    Ask::new(office, day, Lane::Regular).applicant(nik(number), format!("person {number}"))
}

/// Registers, and asks again while the answer is BUSY; or OVERLOADED, where a slow machine makes a crowd of what is none, and
/// the client has asked as often as it does by itself: nothing was decided.
pub(crate) async fn insist(client: &Client, ask: &Ask) -> Outcome {
    for _ in 0..BUSY_TRIES_MAX {
        match client.register(ask).await {
            Ok(Outcome::Refused(refusal)) if refusal.reason() == RefusalReason::Busy => {}
            Err(error) if error.reason() == Some("OVERLOADED") => {}
            outcome => return outcome.unwrap(),
        }
        tokio::task::yield_now().await;
    }
    panic!("still busy after {BUSY_TRIES_MAX} tries");
}

pub(crate) fn registered(outcome: Outcome) -> Registration {
    match outcome {
        Outcome::Registered(registration) => registration,
        Outcome::Refused(refusal) => panic!("refused: {refusal:?}"),
    }
}

pub(crate) fn refused(outcome: Outcome) -> Refusal {
    match outcome {
        Outcome::Refused(refusal) => refusal,
        Outcome::Registered(registration) => panic!("registered: {registration:?}"),
    }
}
