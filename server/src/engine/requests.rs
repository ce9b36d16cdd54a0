//! The request map: one outcome a request id (INV-3). Each id is pending, then done; at no instant is it neither.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use hashbrown::hash_table::Entry;
use kuota_domain::{
    ids::{ContentHash, RequestKey},
    ledger::Finder,
    registration::Registration,
};

use super::{Answer, Durability, Failure, Granted, caller::Caller, parted::Parted};
use crate::limits::JOINERS_PER_REQUEST_MAX;

/// A request whose outcome is not known yet.
#[derive(Debug)]
struct Pending {
    content: ContentHash,
    /// Decided, and on its way to the log.
    decided: Option<Arc<Registration>>,
    first: Option<Waiter>,
    joined: Vec<Waiter>,
}

#[derive(Debug)]
struct Waiter {
    caller: Caller,
    /// It does not wait for the log.
    impatience: Option<Impatience>,
}

/// Counts a call that does not wait for the log, for as long as it waits at all.
#[derive(Debug)]
struct Impatience(Arc<AtomicUsize>);

impl Drop for Impatience {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a call finds under its request id.
#[derive(Debug)]
pub(super) enum Found {
    /// Nothing, or (from [`Requests::enter`]) the id is now this call's to carry to the ledger.
    Vacant,
    /// The first call is in flight: wait with it.
    Joined,
    /// The first call is in flight, and many wait with it already.
    Crowded,
    /// It was granted.
    Done(Arc<Registration>),
    /// It stands for something else.
    Reused,
}

/// Every request id that is pending or was granted. A registration is shown before its id leaves `pending`: whoever looks
/// into `pending` first, and then for the registration, never misses it.
#[derive(Debug)]
pub(super) struct Requests {
    pending: Parted<RequestKey, Pending>,
    done: Finder,
    impatient: Arc<AtomicUsize>,
}

impl Requests {
    /// None pending; those that were granted are found there.
    pub(super) fn of(done: Finder) -> Self {
        Self { pending: Parted::default(), done, impatient: Arc::default() }
    }

    /// Whether anything is known of an id: cheap, and without the hash of the content.
    pub(super) fn knows(&self, key: RequestKey) -> bool {
        self.pending.contains(&key) || self.done.by_request(key).is_some()
    }

    /// Whether any call that waits would take a decision for an answer.
    pub(super) fn has_impatient(&self) -> bool {
        // Relaxed: an ask that reached the ledger was counted before it was sent; whoever joins it later may as well
        // wait for the log.
        self.impatient.load(Ordering::Relaxed) > 0
    }

    /// Joins the first call or takes its outcome, if there is one.
    pub(super) fn join(
        &self,
        key: RequestKey,
        content: ContentHash,
        waiting: (Durability, impl FnOnce() -> Caller),
    ) -> Found {
        self.pending.look(&key, |pending| match pending {
            Some(pending) => self.join_pending(pending, content, waiting),
            None => self.done.by_request(key).map_or(Found::Vacant, |done| known(done, key, content)),
        })
    }

    fn join_pending(
        &self,
        pending: &mut Pending,
        content: ContentHash,
        waiting: (Durability, impl FnOnce() -> Caller),
    ) -> Found {
        if pending.content != content {
            return Found::Reused;
        }
        let (durability, caller) = waiting;
        if let (Durability::Accepted, Some(registration)) = (durability, &pending.decided) {
            caller().tell(Ok(Granted { registration: registration.clone(), durable: false }));
            return Found::Joined;
        }
        pending.joined.retain(|waiter| !waiter.caller.is_gone());
        if pending.joined.len() >= JOINERS_PER_REQUEST_MAX {
            return Found::Crowded;
        }
        pending.joined.push(self.waiter(caller(), durability));
        Found::Joined
    }

    fn waiter(&self, caller: Caller, durability: Durability) -> Waiter {
        let is_impatient = durability == Durability::Accepted;
        let impatience = is_impatient.then(|| {
            self.impatient.fetch_add(1, Ordering::Relaxed);
            Impatience(self.impatient.clone())
        });
        Waiter { caller, impatience }
    }

    /// Like [`Requests::join`], and takes a vacant id for this call.
    pub(super) fn enter(
        &self,
        key: RequestKey,
        content: ContentHash,
        waiting: (Durability, impl FnOnce() -> Caller),
    ) -> Found {
        self.pending.enter(&key, |entry| match entry {
            Entry::Occupied(mut pending) => self.join_pending(&mut pending.get_mut().1, content, waiting),
            Entry::Vacant(vacant) => {
                // Looked at while nobody else can enter the id: it may have been done in between.
                if let Some(done) = self.done.by_request(key) {
                    return known(done, key, content);
                }
                let (durability, caller) = waiting;
                let first = Some(self.waiter(caller(), durability));
                vacant.insert((key, Pending { content, decided: None, first, joined: Vec::new() }));
                Found::Vacant
            }
        })
    }

    /// The ledger granted it, and the log does not have it yet: answers those who did not ask for more. Says whether
    /// there were any.
    pub(super) fn decided(&self, registration: &Arc<Registration>) -> bool {
        self.pending.look(&registration.request, |pending| {
            let Some(pending) = pending else { return false };
            let mut told = false;
            let is_impatient = |waiter: &mut Waiter| waiter.impatience.is_some();
            let first = pending.first.take_if(is_impatient);
            for waiter in first.into_iter().chain(pending.joined.extract_if(.., is_impatient)) {
                let granted = Granted { registration: registration.clone(), durable: false };
                waiter.caller.tell(Ok(granted));
                told = true;
            }
            // A later caller is told early only if this one can be found already.
            pending.decided = told.then(|| registration.clone());
            told
        })
    }

    /// Nobody will ever answer those who still wait but this.
    pub(super) fn give_up(&self) {
        self.withdraw_all(&self.pending.keys(), |_, waiting| waiting.answer(&Err(Failure::OutcomeUnknown)));
    }

    /// The outcome can be looked up, or nothing came of it and the id may ask again. Returns who waits.
    pub(super) fn withdraw(&self, key: RequestKey) -> Waiters {
        self.pending.remove(&key).map_or_else(Waiters::default, Waiters::from)
    }

    /// The same of many: `found` gets the index of each that somebody waits for.
    pub(super) fn withdraw_all(&self, keys: &[RequestKey], mut found: impl FnMut(usize, Waiters)) {
        self.pending.remove_all(keys, |at, pending| found(at, Waiters::from(pending)));
    }
}

/// What a repeat finds of a request that was granted, or that moved a registration: that was another wish.
fn known(registration: Arc<Registration>, key: RequestKey, content: ContentHash) -> Found {
    let same = (registration.request, registration.content) == (key, content);
    if same { Found::Done(registration) } else { Found::Reused }
}

/// Calls that wait for one outcome.
#[derive(Debug, Default)]
#[must_use = "somebody waits"]
pub(super) struct Waiters {
    first: Option<Waiter>,
    joined: Vec<Waiter>,
}

impl From<Pending> for Waiters {
    fn from(Pending { first, joined, .. }: Pending) -> Self {
        Self { first, joined }
    }
}

impl Waiters {
    /// Tells them all.
    pub(super) fn answer(self, answer: &Answer) {
        for waiter in self.first.into_iter().chain(self.joined) {
            waiter.caller.tell(answer.clone());
        }
    }
}
