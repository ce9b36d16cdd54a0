//! Who waits for an answer: one call, or one ask of a batch. A batch waits once for all of its asks.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use super::{Answer, Failure};

/// Somebody who waits. Dropped without a word, it is told that the outcome is unknown.
#[derive(Debug)]
pub(super) enum Caller {
    Alone(oneshot::Sender<Answer>),
    InBatch(Seat),
}

impl Caller {
    /// Tells the answer. Whoever went away changes nothing.
    pub(super) fn tell(self, answer: Answer) {
        match self {
            Self::Alone(sender) => drop(sender.send(answer)),
            Self::InBatch(seat) => seat.tell(answer),
        }
    }

    /// Whether nobody listens any more.
    pub(super) fn is_gone(&self) -> bool {
        match self {
            Self::Alone(sender) => sender.is_closed(),
            Self::InBatch(seat) => seat.desk.gone.load(Ordering::Relaxed),
        }
    }
}

/// Where the answers of a batch come together.
#[derive(Debug)]
struct Desk {
    answers: Mutex<Vec<Option<Answer>>>,
    /// Seats that have not been told yet.
    open: AtomicUsize,
    all_told: Notify,
    gone: AtomicBool,
}

/// One ask's place at the desk of its batch.
#[derive(Debug)]
pub(super) struct Seat {
    desk: Arc<Desk>,
    at: usize,
    is_told: bool,
}

impl Seat {
    fn tell(mut self, answer: Answer) {
        self.put(answer);
    }

    fn put(&mut self, answer: Answer) {
        self.is_told = true;
        self.desk.answers.lock()[self.at] = Some(answer);
        // Release: pairs with the Acquire in `Sitting::all`; the lock orders the answers themselves.
        if self.desk.open.fetch_sub(1, Ordering::Release) == 1 {
            self.desk.all_told.notify_one();
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if !self.is_told {
            self.put(Err(Failure::OutcomeUnknown));
        }
    }
}

/// A batch that waits for its answers.
#[derive(Debug)]
pub(super) struct Sitting(Arc<Desk>);

impl Sitting {
    /// For so many asks.
    pub(super) fn of(asks: usize) -> Self {
        let answers = Mutex::new((0..asks).map(|_| None).collect());
        let (open, gone) = (AtomicUsize::new(0), AtomicBool::new(false));
        Self(Arc::new(Desk { answers, open, all_told: Notify::new(), gone }))
    }

    /// A seat for one of the asks.
    pub(super) fn seat(&self, at: usize) -> Caller {
        self.0.open.fetch_add(1, Ordering::Relaxed);
        Caller::InBatch(Seat { desk: self.0.clone(), at, is_told: false })
    }

    /// The answer of one that needs no seat.
    pub(super) fn tell(&mut self, at: usize, answer: Answer) {
        self.0.answers.lock()[at] = Some(answer);
    }

    /// The answers of all that took a seat, once every one of them was told.
    pub(super) async fn all(self) -> Vec<Option<Answer>> {
        // Acquire: pairs with the Release in `Seat::put`.
        while self.0.open.load(Ordering::Acquire) > 0 {
            self.0.all_told.notified().await;
        }
        std::mem::take(&mut *self.0.answers.lock())
    }
}

impl Drop for Sitting {
    fn drop(&mut self) {
        // Relaxed: it only lets others forget whoever is gone.
        self.0.gone.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_batch_waits_for_all_of_its_seats_and_a_lost_one_is_unknown() {
        let sitting = Sitting::of(4);
        let (first, second, third) = (sitting.seat(0), sitting.seat(1), sitting.seat(3));
        assert!(!first.is_gone());
        let told = std::thread::spawn(move || {
            third.tell(Err(Failure::Stopping));
            drop(second);
            first.tell(Err(Failure::Overloaded));
        });
        let answers = sitting.all().await;
        let failures: Vec<_> = answers.into_iter().map(|answer| answer.map(Result::unwrap_err)).collect();
        let expected =
            [Some(Failure::Overloaded), Some(Failure::OutcomeUnknown), None, Some(Failure::Stopping)];
        assert_eq!(failures, expected);
        told.join().unwrap();
    }
}
