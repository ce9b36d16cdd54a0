//! The use cases: what a caller may ask, in the order that keeps the invariants. Sole owner of live state.
//!
//! A call goes: request map, slot word, applicants, claim, ledger. The slot's word is read (Acquire) before the
//! request map, so that whoever finds the slot sold out also finds the registration that a repeat asks for.

mod applicants;
mod batch;
mod boot;
mod directory;
mod ledger_thread;
mod log_thread;
mod publish;
mod read_model;
mod requests;

use std::{
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crossbeam_channel::{Sender, TrySendError, bounded};
use kuota_domain::{
    calendar::ServiceDay,
    code::BookingCode,
    ids::{CallerNumber, ContentHash, OfficeNumber, RegistrationId, RequestKey},
    ledger::{Cancellation, Ledger},
    nik::{Nik, NikKey},
    refusal::Refusal,
    registration::{Applicant, Ask, Registration},
    slot::{Lane, SlotKey},
    time::UnixMillis,
};
use sha2::{Digest, Sha256};
use tokio::sync::{oneshot, watch};
use uuid::Uuid;

use self::{batch::Order, ledger_thread::LedgerThread, read_model::ReadModel, requests::Found};
pub use self::{
    boot::{BootError, Recovered, recover},
    directory::{Directory, OfficeEntry},
    log_thread::LogWriter,
};
use crate::{clock::Clock, telemetry::Metrics};

/// Orders that may wait for the ledger.
pub const LEDGER_QUEUE_MAX: usize = 8_192;
/// Orders decided into one batch.
pub const BATCH_COMMANDS_MAX: usize = 4_096;
/// Calls that may wait for the outcome of one request id, besides the first.
pub const JOINERS_PER_REQUEST_MAX: usize = 16;

/// How safe an answer must be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Durability {
    /// After the commit (INV-4).
    Durable,
    /// After the decision.
    Accepted,
}

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

/// How to find a registration.
#[derive(Clone, Copy, Debug)]
pub enum Key {
    /// By its id.
    Id(RegistrationId),
    /// By its booking code.
    Code(BookingCode),
    /// By the request it answered.
    Request(RequestKey),
}

/// A registration, and whether it is in the log.
#[derive(Clone, Debug)]
pub struct Granted {
    /// It.
    pub registration: Arc<Registration>,
    /// False: a crash may lose it.
    pub durable: bool,
}

/// Why there is no registration to answer with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Failure {
    /// The business answer "no": not an error.
    Refused(Refusal),
    /// No such office.
    OfficeNotFound(String),
    /// No such registration.
    RegistrationNotFound,
    /// The request id stands for something else.
    RequestReused,
    /// More asks wait for the ledger than it can take.
    Overloaded,
    /// The log has no space: surely nothing was written.
    LogFull,
    /// The log failed: whether it was written will be known after a restart.
    OutcomeUnknown,
    /// The wall clock moved: nothing is granted on its word.
    ClockDrift,
    /// The server is going down: nothing was written.
    Stopping,
}

/// What a call is told.
pub type Answer = Result<Granted, Failure>;

/// What ends the process.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fatal {
    /// The log cannot be written.
    Log(String),
    /// An invariant is broken.
    Invariant(String),
}

/// What an engine is made of.
#[derive(Debug)]
pub struct EngineParts {
    /// State, as recovered.
    pub ledger: Ledger,
    /// Where its log goes on.
    pub log: LogWriter,
    /// The last instant in the log.
    pub now: UnixMillis,
    /// Turns NIKs into applicants.
    pub nik_key: NikKey,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Most shards a slot's permits are spread over.
    pub shards_max: usize,
}

/// The engine. Calls on it are answered from memory or by its ledger's thread.
#[derive(Debug)]
pub struct Engine {
    read: Arc<ReadModel>,
    orders: Option<Sender<Order>>,
    ledger: Option<JoinHandle<()>>,
    nik_key: NikKey,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    fatal: watch::Receiver<Option<Fatal>>,
}

impl Engine {
    /// Starts the ledger's thread and the log's.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start(parts: EngineParts) -> std::io::Result<Self> {
        let EngineParts { ledger, log, now, nik_key, clock, metrics, shards_max } = parts;
        let read = Arc::new(ReadModel::default());
        let (orders, incoming) = bounded(LEDGER_QUEUE_MAX);
        let (fatal_sender, fatal) = watch::channel(None);
        let log = log_thread::spawn(log)?;
        let ledger = LedgerThread::new(
            ledger,
            read.clone(),
            clock.clone(),
            metrics.clone(),
            fatal_sender,
            (shards_max, now),
        );
        let last_words = LastWords(read.clone());
        let ledger = thread::Builder::new().name("kuota-ledger".into()).spawn(move || {
            // Dropped in reverse order, also by a panic: first the queue, then whoever still waits is answered.
            let _last_words = last_words;
            let incoming = incoming;
            ledger.run(&incoming, log);
        })?;
        Ok(Self { read, orders: Some(orders), ledger: Some(ledger), nik_key, clock, metrics, fatal })
    }

    /// Asks for places.
    ///
    /// # Errors
    /// A refusal, or why there is no answer.
    pub async fn register(&self, wish: Wish) -> Answer {
        let answer = match self.try_register(wish) {
            Ok(Reached::Answer(granted)) => Ok(granted),
            Ok(Reached::Waiting(receiver)) => receiver.await.unwrap_or(Err(Failure::OutcomeUnknown)),
            Err(failure) => Err(failure),
        };
        if let Err(Failure::Refused(refusal)) = &answer {
            self.metrics.refused(refusal);
        }
        answer
    }

    /// Everything of a registration that needs no waiting.
    fn try_register(&self, wish: Wish) -> Result<Reached, Failure> {
        let now = self.clock.now();
        let directory = self.read.directory.load();
        let Some((office, entry)) = directory.find(&wish.office) else {
            return Err(Failure::OfficeNotFound(wish.office));
        };
        let slot = SlotKey { office, day: wish.day, lane: wish.lane };
        let key = RequestKey { caller: wish.caller, id: wish.request_id };
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
                    registration: RegistrationId(Uuid::now_v7().as_u128()),
                    request: key,
                    content,
                    slot,
                    applicants: party,
                    code_seed: Uuid::new_v4().as_u64_pair().0,
                };
                return self.claim(gate, ask, wish.durability, now);
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

    /// The places may be had: enters the request, claims, and hands over to the ledger.
    fn claim(
        &self,
        gate: &Arc<kuota_domain::gate::SlotGate>,
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
        let request = ask.request;
        match self.hand_over(gate, ask, now) {
            Ok(()) => Ok(Reached::Waiting(receiver)),
            Err(failure) => {
                // Whoever joined in between is told the same.
                self.read.requests.withdraw(request).answer(&Err(failure.clone()));
                Err(failure)
            }
        }
    }

    /// From the claim to the queue there is no await: a caller that goes away takes no permit with it.
    fn hand_over(
        &self,
        gate: &Arc<kuota_domain::gate::SlotGate>,
        ask: Ask,
        passed_at: UnixMillis,
    ) -> Result<(), Failure> {
        let asking = self.read.applicants.begin(&ask.applicants);
        // The random part of the id spreads callers over shards.
        let hint = usize::try_from(ask.code_seed >> 32).unwrap_or(0);
        let pass = if asking.is_alone() { gate.enter(ask.places(), hint) } else { gate.enter_standby() };
        let pass = pass.ok_or(Refusal::Busy)?;
        self.send(Order::Register { ask, pass, asking, passed_at, queued: Instant::now() })
    }

    /// Gives the places of a registration back.
    ///
    /// # Errors
    /// A refusal, or why there is no answer.
    pub async fn cancel(&self, id: RegistrationId, caller: CallerNumber, reason: &str) -> Answer {
        if self.clock.drifts() {
            return Err(Failure::ClockDrift);
        }
        let (answer, receiver) = oneshot::channel();
        let cancellation = Cancellation { registration: id, caller, reason: reason.into() };
        self.send(Order::Cancel { cancellation, answer })?;
        let answer = receiver.await.unwrap_or(Err(Failure::OutcomeUnknown));
        if let Err(Failure::Refused(refusal)) = &answer {
            self.metrics.refused(refusal);
        }
        answer
    }

    /// A registration as committed, or as promised to a caller who did not wait for the commit.
    #[must_use]
    pub fn find(&self, key: Key) -> Option<Granted> {
        let committed = match key {
            Key::Id(id) => self.read.registration(id),
            Key::Code(code) => self.read.by_code(code),
            Key::Request(request) => self.read.requests.done(request),
        };
        if let Some(registration) = committed {
            return Some(Granted { registration, durable: true });
        }
        let promised = self.read.accepted(|registration| match key {
            Key::Id(id) => registration.id == id,
            Key::Code(code) => registration.code == code,
            Key::Request(request) => registration.request == request,
        });
        promised.map(|registration| Granted { registration, durable: false })
    }

    /// Offices and slots, as committed.
    #[must_use]
    pub fn directory(&self) -> Arc<Directory> {
        self.read.directory.load_full()
    }

    /// The office of a number.
    #[must_use]
    pub fn office_id(&self, number: OfficeNumber) -> String {
        let directory = self.read.directory.load();
        directory.office(number).map_or_else(String::new, |entry| entry.office.id.to_string())
    }

    /// The engine's clock.
    #[must_use]
    pub fn now(&self) -> UnixMillis {
        self.clock.now()
    }

    /// Whether the wall clock is not believed.
    #[must_use]
    pub fn clock_drifts(&self) -> bool {
        self.clock.drifts()
    }

    /// Milliseconds the wall clock has moved against the monotonic one.
    #[must_use]
    pub fn clock_drift_ms(&self) -> i64 {
        self.clock.drift_ms()
    }

    /// Orders that wait for the ledger.
    #[must_use]
    pub fn queue_len(&self) -> usize {
        self.orders.as_ref().map_or(0, Sender::len)
    }

    /// Registrations in memory, and applicants with a live one.
    #[must_use]
    pub fn population(&self) -> (usize, usize) {
        (self.read.registrations(), self.read.applicants.live_count())
    }

    /// Waits until everything asked before is in the log or refused.
    pub async fn flush(&self) {
        let (answer, receiver) = oneshot::channel();
        if self.send(Order::Flush(answer)).is_ok() {
            // An error means that the thread is gone: nothing is left to wait for.
            let _ = receiver.await;
        }
    }

    /// Resolves when the process must end, with the reason.
    pub async fn fatal(&self) -> Fatal {
        let mut fatal = self.fatal.clone();
        let gone = || Fatal::Invariant("the ledger's thread is gone".into());
        fatal
            .wait_for(Option::is_some)
            .await
            .map_or_else(|_| gone(), |fatal| fatal.clone().unwrap_or_else(gone))
    }

    /// Whether the process must end.
    #[must_use]
    pub fn fatal_now(&self) -> Option<Fatal> {
        self.fatal.borrow().clone()
    }

    /// Ends the threads after everything queued is in the log.
    pub fn stop(mut self) {
        self.join();
    }

    fn join(&mut self) {
        self.orders = None;
        if let Some(ledger) = self.ledger.take() {
            // A panic was raised as fatal already.
            let _ = ledger.join();
        }
    }

    fn send(&self, order: Order) -> Result<(), Failure> {
        let orders = self.orders.as_ref().ok_or(Failure::Stopping)?;
        orders.try_send(order).map_err(|error| match error {
            TrySendError::Full(_) => Failure::Overloaded,
            TrySendError::Disconnected(_) => Failure::Stopping,
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

impl Drop for Engine {
    fn drop(&mut self) {
        self.join();
    }
}

/// Answers whoever still waits when the ledger's thread is gone.
struct LastWords(Arc<ReadModel>);

impl Drop for LastWords {
    fn drop(&mut self) {
        self.0.requests.give_up();
    }
}

/// How far a registration came without waiting.
enum Reached {
    Answer(Granted),
    Waiting(oneshot::Receiver<Answer>),
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

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// How long a caller should wait before it asks again. The spread keeps a crowd from coming back as one.
#[must_use]
pub fn retry_after(refusal: &Refusal, now: UnixMillis, spread: u64) -> Option<Duration> {
    match refusal {
        Refusal::NotOpenYet { open_at } => Some(now.until(*open_at) + Duration::from_millis(spread % 1_000)),
        Refusal::Busy => Some(Duration::from_millis(50 + spread % 200)),
        Refusal::SoldOut
        | Refusal::NotEnoughPlaces { .. }
        | Refusal::Closed { .. }
        | Refusal::Paused
        | Refusal::AlreadyRegistered { .. }
        | Refusal::NotAServiceDay { .. }
        | Refusal::BeyondHorizon { .. }
        | Refusal::LaneNotOffered { .. } => None,
    }
}
