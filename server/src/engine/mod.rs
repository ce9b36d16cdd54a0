//! The use cases: what a caller may ask. Sole owner of live state.

mod admission;
mod alternatives;
mod answer;
mod apply;
mod asking;
mod attendance;
mod batch;
mod boot;
mod caller;
mod cases;
mod congestion;
mod directory;
mod history;
mod ledger_thread;
mod log_thread;
mod names;
mod operate;
mod parted;
mod payments;
mod publish;
mod read_model;
mod register;
mod replay;
mod requests;
mod reschedule;
mod slots;
mod watch;

use std::{
    sync::Arc,
    thread::{self, JoinHandle},
};

use crossbeam_channel::{Sender, TrySendError, bounded};
use kuota_domain::{
    billing::BillingReference,
    code::BookingCode,
    ids::{CallerNumber, OfficeNumber, RegistrationId, RequestKey},
    ledger::{Cancellation, Command, Ledger},
    nik::NikKey,
    time::UnixMillis,
};
use tokio::sync::{Semaphore, oneshot, watch as signal};

pub use self::{
    admission::Origin,
    alternatives::{Offer, WriteOffer},
    answer::{Answer, Durability, Failure, Fatal, Granted, Pushback, Wanted, retry_after},
    boot::{BootError, Recovered, recover},
    caller::Mailbox,
    directory::{Directory, OfficeEntry},
    history::{History, HistoryQuery, Subject},
    log_thread::LogWriter,
    operate::{Operated, OperatorAnswer, OperatorView, Receipt},
    payments::Paid,
    register::{Person, Whereabouts, Wish},
    reschedule::Destination,
    slots::Tally,
    watch::{Sighting, SlotFilter, Tidings, WatchHub, Watcher},
};
use self::{
    alternatives::Menus, batch::Order, ledger_thread::LedgerThread, read_model::ReadModel, watch::Changes,
};
use crate::{
    clock::Clock,
    limits::{HISTORY_READS_MAX, LEDGER_QUEUE_MAX, OPERATORS_QUEUE_MAX},
    log::LogReader,
    telemetry::{Metrics, Shed},
};

/// How to find a registration.
#[derive(Clone, Copy, Debug)]
pub enum Key {
    /// By its id.
    Id(RegistrationId),
    /// By its booking code.
    Code(BookingCode),
    /// By the request it answered.
    Request(RequestKey),
    /// By what its payer names.
    Billing(BillingReference),
}

/// What an engine is made of.
#[derive(Debug)]
pub struct EngineParts {
    /// State, as recovered.
    pub ledger: Ledger,
    /// Where its log goes on.
    pub log: LogWriter,
    /// Reads the log back.
    pub reader: LogReader,
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
    /// How what is named to the refused is written.
    pub write_offer: WriteOffer,
}

/// The engine. Calls on it are answered from memory or by its ledger's thread.
#[derive(Debug)]
pub struct Engine {
    read: Arc<ReadModel>,
    orders: Option<Sender<Order>>,
    /// Operators have a way of their own, past the crowd.
    operators: Option<Sender<Order>>,
    /// The last instant in the log when it started, or the clock's.
    started_at: UnixMillis,
    reader: LogReader,
    readers: Arc<Semaphore>,
    menus: Menus,
    ledger: Option<JoinHandle<()>>,
    nik_key: NikKey,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    fatal: signal::Receiver<Option<Fatal>>,
}

impl Engine {
    /// Starts the ledger's thread and the log's.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start(parts: EngineParts) -> std::io::Result<Self> {
        let EngineParts { ledger, log, reader, now, nik_key, clock, metrics, shards_max, write_offer } =
            parts;
        let read = Arc::new(ReadModel::of(ledger.finder()));
        let (orders, incoming) = bounded(LEDGER_QUEUE_MAX);
        let (operators, from_operators) = bounded(OPERATORS_QUEUE_MAX);
        let (fatal_sender, fatal) = signal::channel(None);
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
            ledger.run(&incoming, from_operators, log);
        })?;
        let readers = Arc::new(Semaphore::new(HISTORY_READS_MAX));
        let (orders, operators, ledger) = (Some(orders), Some(operators), Some(ledger));
        let started_at = now.max(clock.now());
        Ok(Self {
            read,
            orders,
            operators,
            started_at,
            reader,
            readers,
            menus: Menus::new(write_offer),
            ledger,
            nik_key,
            clock,
            metrics,
            fatal,
        })
    }

    /// Gives the places of a registration back.
    ///
    /// # Errors
    /// A refusal, or why there is no answer.
    pub async fn cancel(&self, id: RegistrationId, caller: CallerNumber, reason: &str) -> Answer {
        let cancellation = Cancellation { registration: id, caller, reason: reason.into() };
        self.command(Command::Cancel(cancellation)).await
    }

    /// Has the ledger decide a command that passes no gate.
    async fn command(&self, command: Command) -> Answer {
        if self.clock.drifts() {
            return Err(Failure::ClockDrift);
        }
        let (answer, receiver) = oneshot::channel();
        self.send(Order::Command { command: Box::new(command), answer })?;
        let answer = receiver.await.unwrap_or(Err(Failure::OutcomeUnknown));
        if let Err(Failure::Refused(refusal, _)) = &answer {
            self.metrics.refused(refusal);
        }
        answer
    }

    /// A registration as committed, or as promised to a caller who did not wait for the commit.
    #[must_use]
    pub fn find(&self, key: Key) -> Option<Granted> {
        let committed = match key {
            Key::Id(id) => self.read.finder.by_id(id),
            Key::Code(code) => self.read.finder.by_code(code),
            Key::Request(request) => self.read.finder.by_request(request),
            Key::Billing(reference) => self.read.finder.by_billing(reference),
        };
        if let Some(registration) = committed {
            return Some(Granted { registration, durable: true });
        }
        let promised = self.read.accepted(|registration| match key {
            Key::Id(id) => registration.id == id,
            Key::Code(code) => registration.code == code,
            Key::Request(request) => registration.request == request,
            Key::Billing(reference) => {
                registration.billing().is_some_and(|billing| billing.reference == reference)
            }
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

    fn changes(&self) -> &Changes {
        &self.read.changes
    }

    fn started_at(&self) -> UnixMillis {
        self.started_at
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

    /// Asks that wait for the ledger.
    #[must_use]
    pub fn queue_len(&self) -> usize {
        self.read.door.queued()
    }

    /// Registrations in memory, and applicants with a live one.
    #[must_use]
    pub fn population(&self) -> (usize, usize) {
        (self.read.finder.registrations(), self.read.finder.applicants())
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
        (self.orders, self.operators) = (None, None);
        if let Some(ledger) = self.ledger.take() {
            // A panic was raised as fatal already.
            let _ = ledger.join();
        }
    }

    fn send(&self, order: Order) -> Result<(), Failure> {
        self.deliver(order).map_err(|(failure, _)| failure)
    }

    /// Puts an order into its queue, or gives it back.
    fn deliver(&self, order: Order) -> Result<(), (Failure, Order)> {
        let way = if matches!(order, Order::Operate { .. }) { &self.operators } else { &self.orders };
        let Some(way) = way else { return Err((Failure::Stopping, order)) };
        way.try_send(order).map_err(|error| match error {
            TrySendError::Full(order) => (self.shed(Shed::QueueFull), order),
            TrySendError::Disconnected(order) => (Failure::Stopping, order),
        })
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
