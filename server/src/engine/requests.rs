//! The request map: one outcome a request id (INV-3). Each id is pending or done, and changes in place.

use std::sync::Arc;

use dashmap::{DashMap, Entry};
use kuota_domain::{
    ids::{ContentHash, RequestKey},
    registration::Registration,
};
use tokio::sync::oneshot;

use super::{Answer, Durability, Failure, Granted};
use crate::limits::JOINERS_PER_REQUEST_MAX;

/// What is known of a request id.
#[derive(Debug)]
enum Entered {
    Pending(Box<Pending>),
    Done(Arc<Registration>),
}

#[derive(Debug)]
struct Pending {
    content: ContentHash,
    /// Decided, and on its way to the log.
    decided: Option<Arc<Registration>>,
    waiters: Vec<Waiter>,
}

#[derive(Debug)]
struct Waiter {
    durability: Durability,
    answer: oneshot::Sender<Answer>,
}

/// What a call finds under its request id.
#[derive(Debug)]
pub(super) enum Found {
    /// Nothing, or (from [`Requests::enter`]) the id is now this call's to carry to the ledger.
    Vacant(Option<oneshot::Receiver<Answer>>),
    /// The first call is in flight: wait with it.
    Joined(oneshot::Receiver<Answer>),
    /// The first call is in flight, and many wait with it already.
    Crowded,
    /// It was granted.
    Done(Arc<Registration>),
    /// It stands for something else.
    Reused,
}

/// Every request id that is pending or was granted.
#[derive(Debug, Default)]
pub(super) struct Requests(DashMap<RequestKey, Entered>);

impl Requests {
    /// Whether anything is known of an id: cheap, and without the hash of the content.
    pub(super) fn knows(&self, key: RequestKey) -> bool {
        self.0.contains_key(&key)
    }

    /// The registration of an id.
    pub(super) fn done(&self, key: RequestKey) -> Option<Arc<Registration>> {
        match &*self.0.get(&key)? {
            Entered::Done(registration) => Some(registration.clone()),
            Entered::Pending(_) => None,
        }
    }

    /// Joins the first call or takes its outcome, if there is one.
    pub(super) fn join(&self, key: RequestKey, content: ContentHash, durability: Durability) -> Found {
        match self.0.get_mut(&key) {
            Some(mut entered) => entered.join(content, durability),
            None => Found::Vacant(None),
        }
    }

    /// Like [`Requests::join`], and takes a vacant id for this call.
    pub(super) fn enter(&self, key: RequestKey, content: ContentHash, durability: Durability) -> Found {
        match self.0.entry(key) {
            Entry::Occupied(mut entered) => entered.get_mut().join(content, durability),
            Entry::Vacant(vacant) => {
                let (answer, receiver) = oneshot::channel();
                let waiters = vec![Waiter { durability, answer }];
                let pending = Pending { content, decided: None, waiters };
                vacant.insert(Entered::Pending(Box::new(pending)));
                Found::Vacant(Some(receiver))
            }
        }
    }

    /// The ledger granted it, and the log does not have it yet: answers those who did not ask for more. Says whether
    /// there were any.
    pub(super) fn decided(&self, registration: &Arc<Registration>) -> bool {
        let mut told = false;
        if let Some(mut entered) = self.0.get_mut(&registration.request)
            && let Entered::Pending(pending) = &mut *entered
        {
            let is_accepted = |waiter: &mut Waiter| waiter.durability == Durability::Accepted;
            for waiter in pending.waiters.extract_if(.., is_accepted) {
                let granted = Granted { registration: registration.clone(), durable: false };
                // A caller that went away changes nothing.
                let _ = waiter.answer.send(Ok(granted));
                told = true;
            }
            // A later caller is told early only if this one can be found already.
            pending.decided = told.then(|| registration.clone());
        }
        told
    }

    /// Nobody will ever answer those who still wait but this.
    pub(super) fn give_up(&self) {
        let pending: Vec<RequestKey> = self
            .0
            .iter()
            .filter(|entry| matches!(entry.value(), Entered::Pending(_)))
            .map(|entry| *entry.key())
            .collect();
        for key in pending {
            self.withdraw(key).answer(&Err(Failure::OutcomeUnknown));
        }
    }

    /// The registration is in the log: whoever asks from now on finds it. Returns who waits.
    pub(super) fn publish(&self, registration: &Arc<Registration>) -> Waiters {
        let before = self.0.insert(registration.request, Entered::Done(registration.clone()));
        Waiters(before.map_or_else(Vec::new, Entered::into_waiters))
    }

    /// The log has it since before the start: nobody waits for it.
    pub(super) fn recover(&self, registration: &Arc<Registration>) {
        self.0.insert(registration.request, Entered::Done(registration.clone()));
    }

    /// Nothing came of it: the id may ask again. Returns who waits.
    pub(super) fn withdraw(&self, key: RequestKey) -> Waiters {
        let pending = self.0.remove_if(&key, |_, entered| matches!(entered, Entered::Pending(_)));
        Waiters(pending.map_or_else(Vec::new, |(_, entered)| entered.into_waiters()))
    }

    /// The registration left memory.
    pub(super) fn forget(&self, key: RequestKey) {
        self.0.remove(&key);
    }
}

impl Entered {
    fn join(&mut self, content: ContentHash, durability: Durability) -> Found {
        match self {
            Self::Done(registration) if registration.content == content => Found::Done(registration.clone()),
            Self::Pending(pending) if pending.content == content => {
                let (answer, receiver) = oneshot::channel();
                if let (Durability::Accepted, Some(registration)) = (durability, &pending.decided) {
                    let _ = answer.send(Ok(Granted { registration: registration.clone(), durable: false }));
                    return Found::Joined(receiver);
                }
                pending.waiters.retain(|waiter| !waiter.answer.is_closed());
                if pending.waiters.len() > JOINERS_PER_REQUEST_MAX {
                    return Found::Crowded;
                }
                pending.waiters.push(Waiter { durability, answer });
                Found::Joined(receiver)
            }
            Self::Done(_) | Self::Pending(_) => Found::Reused,
        }
    }

    fn into_waiters(self) -> Vec<Waiter> {
        match self {
            Self::Pending(pending) => pending.waiters,
            Self::Done(_) => Vec::new(),
        }
    }
}

/// Calls that wait for one outcome.
#[derive(Debug)]
#[must_use = "somebody waits"]
pub(super) struct Waiters(Vec<Waiter>);

impl Waiters {
    /// Tells them all.
    pub(super) fn answer(self, answer: &Answer) {
        for waiter in self.0 {
            // A caller that went away changes nothing.
            let _ = waiter.answer.send(answer.clone());
        }
    }
}
