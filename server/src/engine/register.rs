//! Asking for places, in the order that keeps the invariants.
//!
//! A call goes: slot word, request map, applicants, claim, ledger. The slot's word is read (Acquire) before the
//! request map, so that whoever finds the slot sold out also finds the registration that a repeat asks for.

use std::{collections::HashMap, sync::Arc, time::Instant};

use kuota_domain::{
    calendar::ServiceDay,
    gate::{Pass, SlotGate},
    ids::{CallerNumber, ContentHash, RegistrationId, RequestKey},
    nik::Nik,
    refusal::Refusal,
    registration::{Applicant, Ask},
    slot::{Lane, SlotKey},
    time::UnixMillis,
};
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;
use uuid::{NoContext, Timestamp, Uuid};

use super::{
    Answer, Durability, Engine, Failure, Granted,
    applicants::Asking,
    batch::{Crowd, Entrant, Order},
    requests::Found,
};
use crate::limits::BATCHED_ASKS_WAITING_MAX;

/// A well-formed wish for places, as it came in.
#[derive(Debug)]
pub struct Wish {
    /// Who asks.
    pub caller: CallerNumber,
    /// Under which id.
    pub request_id: u128,
    /// Slug of the office.
    pub office: String,
    /// The service day.
    pub day: ServiceDay,
    /// The lane.
    pub lane: Lane,
    /// The party, with the caller's references. The NIKs are wiped when the call leaves here (INV-10).
    pub party: Vec<(Nik, Box<str>)>,
    /// How safe the answer must be.
    pub durability: Durability,
}

impl Engine {
    /// Asks for places.
    ///
    /// # Errors
    /// A refusal, or why there is no answer.
    pub async fn register(&self, wish: Wish) -> Answer {
        let reached = match self.prepare(wish) {
            Ok(Reached::Ready(ready)) => self.hand_over(*ready),
            reached => reached,
        };
        self.outcome(reached).await
    }

    /// Asks for many places at once; the answers come in the order of the wishes. Not atomic: each wish is decided by
    /// itself. One claim a slot, and one message to the ledger.
    pub async fn register_batch(&self, wishes: Vec<Wish>) -> Vec<Answer> {
        let reached: Vec<_> = wishes.into_iter().map(|wish| self.prepare(wish)).collect();
        let reached = self.hand_over_all(reached);
        let mut answers = Vec::with_capacity(reached.len());
        for reached in reached {
            answers.push(self.outcome(reached).await);
        }
        answers
    }

    async fn outcome(&self, reached: Result<Reached, Failure>) -> Answer {
        let answer = match reached {
            Ok(Reached::Answer(granted)) => Ok(granted),
            Ok(Reached::Waiting(receiver)) => receiver.await.unwrap_or(Err(Failure::OutcomeUnknown)),
            // Whoever is ready was handed over before.
            Ok(Reached::Ready(_)) => Err(Failure::Stopping),
            Err(failure) => Err(failure),
        };
        if let Err(Failure::Refused(refusal)) = &answer {
            self.metrics.refused(refusal);
        }
        answer
    }

    /// Everything of a registration that needs neither permits nor waiting.
    fn prepare(&self, wish: Wish) -> Result<Reached, Failure> {
        let now = self.clock.now();
        let directory = self.read.directory.load();
        let Some((office, entry)) = directory.find(&wish.office) else {
            return Err(Failure::OfficeNotFound(wish.office));
        };
        let slot = SlotKey { office, day: wish.day, lane: wish.lane };
        let key = RequestKey { caller: wish.caller, id: wish.request_id };
        // One that left the catalogue still answers repeats (INV-3).
        if !entry.open && !self.read.requests.knows(key) {
            return Err(Failure::OfficeNotFound(wish.office));
        }
        let places = u32::try_from(wish.party.len()).unwrap_or(u32::MAX);
        // The word before the map: a repeat published in between is then seen in the map (INV-3, INV-5).
        let gate = entry.gate(wish.day, wish.lane);
        let refusal = match gate {
            Some(gate) => gate.figures().refuse(places, now),
            None => Some(directory.why_unscheduled(entry, slot, now)),
        };
        if refusal.is_none() || self.read.requests.knows(key) {
            let (party, content) = self.identify(slot, wish.party);
            match self.read.requests.join(key, content, wish.durability) {
                Found::Vacant(_) => {}
                found => return found.reached(),
            }
            if let (None, Some(gate)) = (&refusal, gate) {
                let ask = Ask {
                    registration: self.new_registration_id(now),
                    request: key,
                    content,
                    slot,
                    applicants: party,
                    code_seed: Uuid::new_v4().as_u64_pair().0,
                };
                return self.enter(gate, ask, wish.durability, now);
            }
        }
        // A clock that is not believed may not say that it is too early or too late.
        let by_clock =
            !matches!(refusal, Some(Refusal::SoldOut | Refusal::NotEnoughPlaces { .. } | Refusal::Paused));
        if by_clock && self.clock.drifts() {
            return Err(Failure::ClockDrift);
        }
        Err(refusal.map_or(Failure::Stopping, Failure::Refused))
    }

    /// An id that begins with the engine's time: its history is looked for from then on.
    fn new_registration_id(&self, now: UnixMillis) -> RegistrationId {
        let seconds = u64::try_from(now.0.div_euclid(1_000)).unwrap_or(0);
        let nanos = u32::try_from(now.0.rem_euclid(1_000) * 1_000_000).unwrap_or(0);
        RegistrationId(Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, nanos)).as_u128())
    }

    /// The places may be had: enters the request, and the applicants as asking.
    fn enter(
        &self,
        gate: &Arc<SlotGate>,
        ask: Ask,
        durability: Durability,
        now: UnixMillis,
    ) -> Result<Reached, Failure> {
        if self.clock.drifts() {
            return Err(Failure::ClockDrift);
        }
        if let Some(applicant) = self.read.applicants.first_live(&ask.applicants) {
            // It may be this very request, published since it was looked up: applicants come before the map (INV-3).
            return match self.read.requests.join(ask.request, ask.content, durability) {
                Found::Vacant(_) => Err(Refusal::AlreadyRegistered { applicant }.into()),
                found => found.reached(),
            };
        }
        let receiver = match self.read.requests.enter(ask.request, ask.content, durability) {
            Found::Vacant(Some(receiver)) => receiver,
            found => return found.reached(),
        };
        let asking = self.read.applicants.begin(&ask.applicants);
        Ok(Reached::Ready(Box::new(Ready { gate: gate.clone(), ask, asking, passed_at: now, receiver })))
    }

    /// Claims and sends. From the claim to the queue there is no await: a caller that goes away takes no permit with it.
    fn hand_over(&self, ready: Ready) -> Result<Reached, Failure> {
        let Ready { gate, ask, asking, passed_at, receiver } = ready;
        let request = ask.request;
        let (places, hint) = (ask.places(), spread(&ask));
        let pass = if asking.is_alone() { gate.enter(places, hint) } else { gate.enter_standby() };
        let sent = pass.ok_or(Failure::Refused(Refusal::Busy)).and_then(|pass| {
            let entrant = Entrant { ask, pass, asking, passed_at, queued: Instant::now() };
            self.send(Order::Register(Box::new(entrant)))
        });
        self.sent(sent, request, receiver)
    }

    /// Claims once a slot and sends once. An ask that finds no permit goes along all the same: a batch is bounded, and
    /// so are the asks of all batches that wait, and the ledger refuses it in its turn.
    fn hand_over_all(&self, reached: Vec<Result<Reached, Failure>>) -> Vec<Result<Reached, Failure>> {
        let mut wanted: HashMap<SlotKey, u32> = HashMap::new();
        for ready in reached.iter().filter_map(|reached| reached.as_ref().ok().and_then(Reached::ready)) {
            let alone = if ready.asking.is_alone() { ready.ask.places() } else { 0 };
            *wanted.entry(ready.ask.slot).or_default() += alone;
        }
        let mut pools: HashMap<SlotKey, Pass> = HashMap::with_capacity(wanted.len());
        let (mut entrants, mut receivers) =
            (Vec::with_capacity(reached.len()), Vec::with_capacity(reached.len()));
        for reached in reached {
            let ready = match reached {
                Ok(Reached::Ready(ready)) => *ready,
                reached => {
                    receivers.push((None, reached));
                    continue;
                }
            };
            let Ready { gate, ask, asking, passed_at, receiver } = ready;
            let pool = pools.entry(ask.slot).or_insert_with(|| {
                let places = wanted.get(&ask.slot).copied().unwrap_or(0);
                gate.enter_many(places, spread(&ask))
            });
            let seat = asking.is_alone().then(|| pool.split(ask.places())).flatten();
            let pass = seat.unwrap_or_else(|| gate.enter_unseated());
            receivers.push((Some(ask.request), Ok(Reached::Waiting(receiver))));
            entrants.push(Entrant { ask, pass, asking, passed_at, queued: Instant::now() });
        }
        drop(pools);
        let sent = self.send_batch(entrants);
        let told =
            |(request, reached): (Option<RequestKey>, Result<Reached, Failure>)| match (request, reached) {
                (Some(request), Ok(Reached::Waiting(receiver))) => self.sent(sent.clone(), request, receiver),
                (_, reached) => reached,
            };
        receivers.into_iter().map(told).collect()
    }

    fn send_batch(&self, entrants: Vec<Entrant>) -> Result<(), Failure> {
        if entrants.is_empty() {
            return Ok(());
        }
        let crowd = Crowd::gather(entrants, &self.batched, BATCHED_ASKS_WAITING_MAX);
        self.send(Order::RegisterBatch(crowd.map_err(|_| Failure::Overloaded)?))
    }

    fn sent(
        &self,
        sent: Result<(), Failure>,
        request: RequestKey,
        receiver: oneshot::Receiver<Answer>,
    ) -> Result<Reached, Failure> {
        sent.map(|()| Reached::Waiting(receiver)).inspect_err(|failure| {
            // Whoever joined in between is told the same.
            self.read.requests.withdraw(request).answer(&Err(failure.clone()));
        })
    }

    /// Applicants instead of NIKs, and the hash by which a repeat is told from another ask.
    fn identify(&self, slot: SlotKey, mut party: Vec<(Nik, Box<str>)>) -> (Box<[Applicant]>, ContentHash) {
        let mut content = Sha256::new();
        content.update(slot.office.0.to_be_bytes());
        content.update(slot.day.number().to_be_bytes());
        content.update([u8::try_from(slot.lane.index()).unwrap_or(u8::MAX)]);
        // In place, so that the digits are wiped where they stand (INV-10).
        let applicants = party.iter_mut().map(|(nik, reference)| {
            let (key, reference) = (self.nik_key.applicant(nik), std::mem::take(reference));
            content.update(key.0);
            content.update((reference.len() as u64).to_be_bytes());
            content.update(reference.as_bytes());
            Applicant { key, last_four: nik.last_four(), reference }
        });
        let applicants = applicants.collect();
        let mut hash = [0; 16];
        hash.copy_from_slice(&content.finalize()[..16]);
        (applicants, ContentHash(hash))
    }
}

/// How far a registration came without waiting.
enum Reached {
    Answer(Granted),
    Waiting(oneshot::Receiver<Answer>),
    /// To claim, and to be sent to the ledger.
    Ready(Box<Ready>),
}

impl Reached {
    fn ready(&self) -> Option<&Ready> {
        match self {
            Self::Ready(ready) => Some(ready),
            Self::Answer(_) | Self::Waiting(_) => None,
        }
    }
}

/// An ask that may have its places: its request is entered, and its caller waits.
struct Ready {
    gate: Arc<SlotGate>,
    ask: Ask,
    asking: Asking,
    passed_at: UnixMillis,
    receiver: oneshot::Receiver<Answer>,
}

/// The random part of the code's seed spreads callers over shards.
fn spread(ask: &Ask) -> usize {
    usize::try_from(ask.code_seed >> 32).unwrap_or(0)
}

impl Found {
    fn reached(self) -> Result<Reached, Failure> {
        match self {
            Self::Done(registration) => Ok(Reached::Answer(Granted { registration, durable: true })),
            Self::Joined(receiver) => Ok(Reached::Waiting(receiver)),
            // The first call may yet be granted: nothing final can be said.
            Self::Crowded | Self::Vacant(_) => Err(Failure::OutcomeUnknown),
            Self::Reused => Err(Failure::RequestReused),
        }
    }
}
