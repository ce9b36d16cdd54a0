//! Who waits for an answer: one call, one of many calls with a mailbox in common, or one ask of a batch. A batch waits
//! once for all of its asks; whoever has a mailbox is woken once for all that came into it meanwhile.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::Waker,
};

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use super::{Answer, Failure, batch::Entrant};

/// Somebody who waits. Dropped without a word, it is told that the outcome is unknown.
#[derive(Debug)]
pub(super) enum Caller {
    Alone(oneshot::Sender<Answer>),
    ByMail(Ticket),
    InBatch(Seat),
}

impl Caller {
    /// Tells the answer. Whoever went away changes nothing.
    pub(super) fn tell(self, answer: Answer) {
        match self {
            Self::Alone(sender) => drop(sender.send(answer)),
            Self::ByMail(ticket) => ticket.tell(answer),
            Self::InBatch(seat) => seat.tell(answer),
        }
    }

    /// Whether nobody listens any more.
    pub(super) fn is_gone(&self) -> bool {
        match self {
            Self::Alone(sender) => sender.is_closed(),
            Self::ByMail(ticket) => ticket.post.gone.load(Ordering::Relaxed),
            Self::InBatch(seat) => seat.desk.gone.load(Ordering::Relaxed),
        }
    }
}

/// Where asks of many calls leave together, and their answers arrive, each with the number of its call.
#[derive(Debug, Default)]
pub struct Mailbox {
    /// To be sent before the connection rests: nobody waits for what lies here.
    pub(super) outgoing: Vec<Entrant>,
    /// How many were sent last: so many are likely to come again.
    pub(super) usual: usize,
    pub(super) post: Arc<Post>,
}

/// Where answers arrive.
#[derive(Debug)]
pub(super) struct Post {
    letters: Mutex<Vec<(usize, Answer)>>,
    reader: AtomicWaker,
    gone: AtomicBool,
}

impl Default for Post {
    fn default() -> Self {
        // Room for one: most connections of many have one call at a time.
        let letters = Mutex::new(Vec::with_capacity(1));
        Self { letters, reader: AtomicWaker::new(), gone: AtomicBool::new(false) }
    }
}

impl Post {
    /// Of the call with this number.
    pub(super) fn ticket(self: &Arc<Self>, call: usize) -> Caller {
        Caller::ByMail(Ticket { post: self.clone(), call, is_told: false })
    }
}

impl Mailbox {
    /// Takes what has arrived, and has this waker woken when more does. `letters` is empty, and lends its room.
    pub fn collect(&self, letters: &mut Vec<(usize, Answer)>, reader: &Waker) {
        // Registered before the look: what arrives after it wakes.
        self.post.reader.register(reader);
        std::mem::swap(letters, &mut *self.post.letters.lock());
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        // Relaxed: it only lets others forget whoever is gone.
        self.post.gone.store(true, Ordering::Relaxed);
    }
}

/// One call's answer to come by mail.
#[derive(Debug)]
pub(super) struct Ticket {
    post: Arc<Post>,
    call: usize,
    is_told: bool,
}

impl Ticket {
    fn tell(mut self, answer: Answer) {
        self.put(answer);
    }

    fn put(&mut self, answer: Answer) {
        self.is_told = true;
        let mut letters = self.post.letters.lock();
        letters.push((self.call, answer));
        let is_first = letters.len() == 1;
        drop(letters);
        if is_first {
            self.post.reader.wake();
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.is_told {
            self.put(Err(Failure::OutcomeUnknown));
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

    #[test]
    fn letters_arrive_with_their_numbers_a_lost_one_is_unknown_and_the_first_wakes() {
        let mailbox = Mailbox::default();
        let (first, second) = (mailbox.post.ticket(7), mailbox.post.ticket(8));
        let (waker, woken) = counting_waker();
        let mut letters = Vec::new();
        mailbox.collect(&mut letters, &waker);
        assert!(letters.is_empty() && woken.load(Ordering::Relaxed) == 0);
        first.tell(Err(Failure::Stopping));
        drop(second);
        assert_eq!(woken.load(Ordering::Relaxed), 1);
        mailbox.collect(&mut letters, &waker);
        let told: Vec<_> = letters.drain(..).map(|(call, answer)| (call, answer.unwrap_err())).collect();
        assert_eq!(told, [(7, Failure::Stopping), (8, Failure::OutcomeUnknown)]);
        let third = mailbox.post.ticket(9);
        assert!(!third.is_gone());
        drop(mailbox);
        assert!(third.is_gone());
    }

    fn counting_waker() -> (Waker, Arc<AtomicUsize>) {
        struct Count(Arc<AtomicUsize>);
        impl std::task::Wake for Count {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let woken = Arc::new(AtomicUsize::new(0));
        (Arc::new(Count(woken.clone())).into(), woken)
    }

    #[tokio::test]
    async fn a_batch_waits_for_all_of_its_seats_and_a_lost_one_is_unknown() {
        let sitting = Sitting::of(4);
        let (first, second, third) = (sitting.seat(0), sitting.seat(1), sitting.seat(3));
        assert!(!first.is_gone());
        let told = std::thread::spawn(move || {
            third.tell(Err(Failure::Stopping));
            drop(second);
            first.tell(Err(Failure::Internal));
        });
        let answers = sitting.all().await;
        let failures: Vec<_> = answers.into_iter().map(|answer| answer.map(Result::unwrap_err)).collect();
        let expected =
            [Some(Failure::Internal), Some(Failure::OutcomeUnknown), None, Some(Failure::Stopping)];
        assert_eq!(failures, expected);
        told.join().unwrap();
    }
}
