//! Asking for places, in the order that keeps the invariants.
//!
//! A call goes: slot word, request map, applicants, claim, ledger. The slot's word is read (Acquire) before the
//! request map, so that whoever finds the slot sold out also finds the registration that a repeat asks for.

use std::{sync::Arc, time::Instant};

use compact_str::CompactString;
use kuota_domain::{
    calendar::ServiceDay,
    gate::SlotGate,
    ids::{CallerNumber, ContentHash, OfficeNumber, RegistrationId, RequestKey},
    nik::Nik,
    passport::{Ground, PassportKind},
    refusal::Refusal,
    registration::{Applicant, Ask, Party},
    session::SessionStart,
    slot::{Lane, SlotKey},
    time::UnixMillis,
};
use sha2::{Digest, Sha256};
use smallvec::SmallVec;
use tokio::sync::oneshot;
use uuid::{NoContext, Timestamp, Uuid};

use super::{
    Answer, Durability, Engine, Failure, Granted, Origin,
    batch::{Crowd, Entrant, Order},
    caller::{Caller, Mailbox, Sitting},
    requests::Found,
};
use crate::{limits::ASKS_WAITING_MAX, telemetry::Shed};

/// A well-formed wish for places, as it came in.
#[derive(Debug)]
pub struct Wish {
    /// Who asks.
    pub caller: CallerNumber,
    /// Under which id.
    pub request_id: u128,
    /// Where.
    pub office: Whereabouts,
    /// The service day.
    pub day: ServiceDay,
    /// The lane.
    pub lane: Lane,
    /// The session; `None`: any.
    pub session: Option<SessionStart>,
    /// The party. Their NIKs are wiped when the call leaves here (INV-10).
    pub party: SmallVec<[Person; 1]>,
    /// Why they come by the priority lane.
    pub ground: Option<Ground>,
    /// How safe the answer must be.
    pub durability: Durability,
}

/// An office by its slug, as it came in. Most slugs are short and stand in place.
#[derive(Debug)]
pub struct Whereabouts {
    pub(super) slug: CompactString,
    /// Which one that most likely is, for whoever looks ahead. Most likely: it must be held against the slug.
    pub(super) likely: Option<OfficeNumber>,
}

impl From<&str> for Whereabouts {
    fn from(slug: &str) -> Self {
        Self { slug: slug.into(), likely: None }
    }
}

/// One of a party, as it came in.
#[derive(Debug)]
pub struct Person {
    /// Who.
    pub nik: Nik,
    /// What for, if that was said.
    pub passport: Option<PassportKind>,
    /// The caller's own reference.
    pub reference: CompactString,
}

impl Engine {
    /// Asks for places.
    ///
    /// # Errors
    /// A refusal, or why there is no answer.
    pub async fn register(&self, wish: Wish, from: &Origin) -> Answer {
        let (answer, told) = oneshot::channel();
        let mut ready = Vec::with_capacity(1);
        if let Some(answer) = self.ask(wish, (from, self.clock.now()), || Caller::Alone(answer), &mut ready) {
            return self.told(answer);
        }
        self.send_all(ready);
        self.told(told.await.unwrap_or(Err(Failure::OutcomeUnknown)))
    }

    /// Asks for places, as far as that goes without waiting. `None`: once it is posted, the answer comes by mail, under this
    /// number, and is for [`Engine::told`]. `now` is the engine's.
    pub fn begin(
        &self,
        wish: Wish,
        from: &Origin,
        now: UnixMillis,
        (mailbox, call): (&mut Mailbox, usize),
    ) -> Option<Answer> {
        let Mailbox { outgoing, usual, post } = mailbox;
        if outgoing.is_empty() {
            outgoing.reserve_exact(*usual);
        }
        self.ask(wish, (from, now), || post.ticket(call), outgoing).map(|answer| self.told(answer))
    }

    /// Sends what was begun to the ledger. Must come before whoever began it waits.
    pub fn post(&self, mailbox: &mut Mailbox) {
        if !mailbox.outgoing.is_empty() {
            mailbox.usual = mailbox.outgoing.len();
            self.send_all(std::mem::take(&mut mailbox.outgoing));
        }
    }

    /// Prepares one wish and claims what it asks for; the answer, if that can be had without waiting.
    fn ask(
        &self,
        wish: Wish,
        from: (&Origin, UnixMillis),
        caller: impl FnOnce() -> Caller,
        ready: &mut Vec<Entrant>,
    ) -> Option<Answer> {
        match self.prepare(wish, from, caller, ready) {
            Ok(Reached::Ready) => {
                if ready.last_mut().is_some_and(|entrant| !self.claim(entrant)) {
                    ready.pop();
                }
                None
            }
            Ok(Reached::Waiting) => None,
            Ok(Reached::Answer(granted)) => Some(Ok(granted)),
            Err(failure) => Some(Err(failure)),
        }
    }

    /// Counts an answer that a caller is told.
    pub fn told(&self, answer: Answer) -> Answer {
        if let Err(Failure::Refused(refusal, _)) = &answer {
            self.metrics.refused(refusal);
        }
        answer
    }

    /// Asks for many places at once; the answers come in the order of the wishes. Not atomic: each wish is decided by
    /// itself. One message to the ledger.
    pub async fn register_batch(&self, wishes: Vec<Wish>, from: &Origin) -> Vec<Answer> {
        let (mut sitting, now) = (Sitting::of(wishes.len()), self.clock.now());
        let mut ready = Vec::with_capacity(wishes.len());
        let (mut wishes, directory) = (wishes.into_iter(), self.directory());
        for at in 0..wishes.len() {
            directory.look_ahead(at, wishes.as_mut_slice(), |wish| Some(wish));
            let Some(wish) = wishes.next() else { break };
            match self.prepare(wish, (from, now), || sitting.seat(at), &mut ready) {
                // What finds no permit goes along all the same: a batch is bounded, and so are the asks of all batches that
                // wait, and the ledger refuses it in its turn.
                Ok(Reached::Ready) => _ = ready.last_mut().map(Entrant::claim),
                Ok(Reached::Waiting) => {}
                Ok(Reached::Answer(granted)) => sitting.tell(at, Ok(granted)),
                Err(failure) => sitting.tell(at, Err(failure)),
            }
        }
        drop(directory);
        self.send_all(ready);
        let answers = sitting.all().await.into_iter();
        answers.map(|answer| self.told(answer.unwrap_or(Err(Failure::OutcomeUnknown)))).collect()
    }

    /// Everything of a registration that needs neither permits nor waiting. An ask goes from its wish straight to those that are
    /// ready: it is large, and would be copied at every step between.
    fn prepare(
        &self,
        wish: Wish,
        (from, now): (&Origin, UnixMillis),
        caller: impl FnOnce() -> Caller,
        ready: &mut Vec<Entrant>,
    ) -> Result<Reached, Failure> {
        let directory = self.read.directory.load();
        let (office, entry) = directory.whereabouts(&wish.office)?;
        let slot = SlotKey { office, day: wish.day, lane: wish.lane };
        let key = RequestKey { caller: wish.caller, id: wish.request_id };
        // One that left the catalogue still answers repeats (INV-3).
        if !entry.open && !self.read.requests.knows(key) {
            return Err(Failure::OfficeNotFound(entry.office.id.as_str().into()));
        }
        let places = u32::try_from(wish.party.len()).unwrap_or(u32::MAX);
        // The word before the map: a repeat published in between is then seen in the map (INV-3, INV-5).
        let gate = entry.gate(wish.day, wish.lane);
        let refusal = match gate {
            Some(gate) => gate.figures().refuse(places, now),
            None => Some(directory.why_unscheduled(entry, slot, now)),
        };
        if let (None, Some(gate)) = (&refusal, gate) {
            self.admit(key, from)?;
            let (applicants, content) = self.identify(slot, wish.party, (wish.ground, wish.session));
            let ask = Ask {
                registration: self.new_registration_id(now),
                request: key,
                content,
                slot,
                session: wish.session,
                applicants,
                ground: wish.ground,
                code_seed: Uuid::new_v4().as_u64_pair().0,
            };
            return self.enter((gate, from, now), ask, (wish.durability, caller), ready);
        }
        if self.read.requests.knows(key) {
            let (_, content) = self.identify(slot, wish.party, (wish.ground, wish.session));
            match self.read.requests.join(key, content, (wish.durability, caller)) {
                Found::Vacant => {}
                found => return found.reached(),
            }
        }
        // A clock that is not believed may not say that it is too early or too late.
        let by_clock =
            !matches!(refusal, Some(Refusal::SoldOut | Refusal::NotEnoughPlaces { .. } | Refusal::Paused));
        if by_clock && self.clock.drifts() {
            return Err(Failure::ClockDrift);
        }
        Err(refusal.map_or(Failure::Stopping, Failure::from).of_ask(slot, places))
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
        (gate, from, now): (&Arc<SlotGate>, &Origin, UnixMillis),
        ask: Ask,
        waiting: (Durability, impl FnOnce() -> Caller),
        ready: &mut Vec<Entrant>,
    ) -> Result<Reached, Failure> {
        let is_live = |applicant: &Applicant| self.read.finder.by_applicant(applicant.key).is_some();
        if let Some(applicant) = ask.applicants.iter().position(is_live) {
            // It may be a repeat, also of what was published just now: applicants come before the map (INV-3).
            return match self.read.requests.join(ask.request, ask.content, waiting) {
                Found::Vacant => Err(Refusal::AlreadyRegistered { applicant }.into()),
                found => found.reached(),
            };
        }
        match self.read.requests.enter(ask.request, ask.content, waiting) {
            Found::Vacant => {}
            found => return found.reached(),
        }
        let pass = gate.enter(spread(&ask));
        let asking = self.read.askings.begin(&ask.applicants, from);
        ready.push(Entrant { ask, pass, asking, passed_at: now });
        Ok(Reached::Ready)
    }

    /// Claims; if there is nothing to be had, the caller is told. From here to the queue there is no await: a caller that goes
    /// away takes no permit with it.
    fn claim(&self, entrant: &mut Entrant) -> bool {
        let is_in = entrant.claim() || entrant.pass.wait();
        if !is_in {
            self.give_back(entrant.ask.request, &Refusal::Busy.into());
        }
        is_in
    }

    /// It did not get to the ledger. Whoever joined in between is told the same.
    fn give_back(&self, request: RequestKey, failure: &Failure) {
        self.read.requests.withdraw(request).answer(&Err(failure.clone()));
    }

    /// Sends asks to the ledger as one order, or tells all of them why not.
    fn send_all(&self, entrants: Vec<Entrant>) {
        if entrants.is_empty() {
            return;
        }
        let sent = match Crowd::gather(entrants, &self.read.door.queued, ASKS_WAITING_MAX) {
            Ok(crowd) => self.deliver(Order::Register(crowd, Instant::now())),
            Err(crowd) => Err((self.shed(Shed::QueueFull), Order::Register(crowd, Instant::now()))),
        };
        if let Err((failure, order)) = sent {
            order.entrants().iter().for_each(|entrant| self.give_back(entrant.ask.request, &failure));
        }
    }

    /// Applicants instead of NIKs, and the hash by which a repeat is told from another ask.
    fn identify(
        &self,
        slot: SlotKey,
        mut party: SmallVec<[Person; 1]>,
        specifics: (Option<Ground>, Option<SessionStart>),
    ) -> (Party, ContentHash) {
        let mut content = Sha256::new();
        content.update(slot.office.0.to_be_bytes());
        content.update(slot.day.number().to_be_bytes());
        content.update([u8::try_from(slot.lane.index()).unwrap_or(u8::MAX)]);
        // In place, so that the digits are wiped where they stand (INV-10).
        let applicants = party.iter_mut().map(|person| {
            let (key, reference) =
                (self.nik_key.applicant(&person.nik), std::mem::take(&mut person.reference));
            content.update(key.0);
            content.update((reference.len() as u64).to_be_bytes());
            content.update(reference.as_bytes());
            Applicant { key, last_four: person.nik.last_four(), passport: person.passport, reference }
        });
        let applicants: Party = applicants.collect();
        specifics_into(&applicants, specifics, &mut content);
        let mut hash = [0; 16];
        hash.copy_from_slice(&content.finalize()[..16]);
        (applicants, ContentHash(hash))
    }
}

/// Hashes what some asks say beyond the rest. Nothing where they do not: the repeat of an ask from before there was
/// anything to say is the same ask.
fn specifics_into(
    party: &[Applicant],
    (ground, session): (Option<Ground>, Option<SessionStart>),
    content: &mut Sha256,
) {
    if ground.is_none() && session.is_none() && party.iter().all(|applicant| applicant.passport.is_none()) {
        return;
    }
    // A byte each: fewer than are hashed of one more applicant, so that no other party spells the same.
    for applicant in party {
        content.update([applicant.passport.map_or(0, PassportKind::number)]);
    }
    content.update([ground.map_or(0, Ground::number)]);
    if let Some(session) = session {
        content.update([session.number()]);
    }
}

/// How far a registration came without waiting.
enum Reached {
    Answer(Granted),
    /// Somebody will tell.
    Waiting,
    /// Among those that are ready to claim and to be sent to the ledger: its request is entered, and its caller waits.
    Ready,
}

/// The random part of the code's seed spreads callers over shards.
fn spread(ask: &Ask) -> usize {
    usize::try_from(ask.code_seed >> 32).unwrap_or(0)
}

impl Found {
    fn reached(self) -> Result<Reached, Failure> {
        match self {
            Self::Done(registration) => Ok(Reached::Answer(Granted { registration, durable: true })),
            Self::Joined => Ok(Reached::Waiting),
            // The first call may yet be granted: nothing final can be said.
            Self::Crowded | Self::Vacant => Err(Failure::OutcomeUnknown),
            Self::Reused => Err(Failure::RequestReused),
        }
    }
}
