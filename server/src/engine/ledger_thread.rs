//! The ledger's thread: decides what has queued up, sends it to the log as one batch, and publishes it once the log
//! has it. While one batch syncs, the next is decided: group commit without a timer.
//!
//! Publication order: registrations, request map, slot words (Release), answers.

use std::{
    collections::{HashMap, HashSet},
    mem,
    sync::Arc,
    time::Duration,
};

use crossbeam_channel::{Receiver, Select, never};
use kuota_domain::{
    event::{Actor, Change, Event},
    gate::{Figures, Keeper, Pass, SlotGate},
    ids::RequestKey,
    ledger::{Cancellation, Command, Decision, Ledger, Rejection},
    refusal::Refusal,
    registration::{Ask, Registration, RegistrationState},
    slot::SlotKey,
    time::UnixMillis,
};
use tokio::sync::{oneshot, watch};
use tracing::{error, info, warn};

use super::{
    Answer, BATCH_COMMANDS_MAX, Failure, Fatal, Granted,
    applicants::Asking,
    log_thread::{LogThread, Sealed},
    read_model::ReadModel,
};
use crate::{
    clock::{Clock, DRIFT_MAX_MS},
    log::AppendError,
    telemetry::Metrics,
};

/// How long to wait after the log was full before scheduled changes are tried again.
const FULL_BACKOFF_MS: i64 = 1_000;
/// The longest the thread sleeps: a clock may be moved while it does.
const IDLE_WAIT_MAX: Duration = Duration::from_millis(250);

/// Something for the ledger to do.
#[derive(Debug)]
pub(super) enum Order {
    Register {
        ask: Ask,
        pass: Pass,
        asking: Asking,
        /// The gate's clock when it let the ask through.
        passed_at: UnixMillis,
        queued: std::time::Instant,
    },
    Cancel {
        cancellation: Cancellation,
        answer: oneshot::Sender<Answer>,
    },
    /// Answered when everything before it is in the log.
    Flush(oneshot::Sender<()>),
}

/// What is said when a batch is in the log.
#[derive(Debug)]
enum Reply {
    Ask(Asked),
    Cancel { verdict: Verdict, answer: oneshot::Sender<Answer> },
    Flush(oneshot::Sender<()>),
}

#[derive(Debug)]
struct Asked {
    request: RequestKey,
    slot: SlotKey,
    places: u32,
    verdict: Verdict,
    /// Granted by this very batch.
    is_new: bool,
    pass: Pass,
    asking: Asking,
}

type Verdict = Result<Arc<Registration>, Rejection>;

/// What becomes visible when a batch is in the log.
#[derive(Debug)]
enum Publication {
    Registration(Arc<Registration>),
    Ended(Arc<Registration>),
    Forgotten(Arc<Registration>),
    /// Offices, rules or holidays changed.
    Catalog,
    DayDropped(kuota_domain::ids::OfficeNumber, kuota_domain::calendar::ServiceDay),
}

/// Decisions that go to the log together.
#[derive(Debug, Default)]
struct Batch {
    events: Vec<Event>,
    publications: Vec<Publication>,
    touched: HashMap<SlotKey, Figures>,
    replies: Vec<Reply>,
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.events.is_empty() && self.replies.is_empty()
    }
}

/// The one owner of live state.
#[derive(Debug)]
pub(super) struct LedgerThread {
    ledger: Ledger,
    keepers: HashMap<SlotKey, Keeper>,
    /// Slots with permits out that must still come home.
    indebted: HashSet<SlotKey>,
    read: Arc<ReadModel>,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    fatal: watch::Sender<Option<Fatal>>,
    shards_max: usize,
    /// Never falls below the log's last instant.
    now: UnixMillis,
    current: Batch,
    sealed: Option<Batch>,
    log_full_until: Option<UnixMillis>,
}

impl LedgerThread {
    pub(super) fn new(
        ledger: Ledger,
        read: Arc<ReadModel>,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
        fatal: watch::Sender<Option<Fatal>>,
        (shards_max, now): (usize, UnixMillis),
    ) -> Self {
        let mut thread = Self {
            ledger,
            keepers: HashMap::new(),
            indebted: HashSet::new(),
            read,
            clock,
            metrics,
            fatal,
            shards_max,
            now,
            current: Batch::default(),
            sealed: None,
            log_full_until: None,
        };
        thread.publish_recovered();
        thread
    }

    /// Makes everything in the log visible.
    fn publish_recovered(&mut self) {
        for registration in self.ledger.registrations() {
            self.read.put(registration);
            if self.ledger.holds(registration) {
                self.read.applicants.lives(registration);
            }
            self.read.requests.recover(registration);
        }
        self.publish_catalog();
        let slots: Vec<_> = self.ledger.slots().collect();
        let figures = slots.into_iter().filter_map(|slot| Some((slot, self.ledger.figures(slot)?))).collect();
        self.publish_figures(figures, &HashMap::new());
    }

    /// Serves until every sender of orders is gone and the last batch is in the log.
    pub(super) fn run(mut self, orders: &Receiver<Order>, log: LogThread) {
        let (no_orders, no_results) = (never::<Order>(), never::<Result<(), AppendError>>());
        let mut open = true;
        while open || !self.current.is_empty() || self.sealed.is_some() {
            let has_room = open && self.current.replies.len() < BATCH_COMMANDS_MAX;
            let orders_now = if has_room { orders } else { &no_orders };
            let results_now = if self.sealed.is_some() { &log.results } else { &no_results };
            let mut select = Select::new();
            let order_ready = select.recv(orders_now);
            let result_ready = select.recv(results_now);
            match select.select_timeout(self.wait()) {
                Ok(operation) if operation.index() == order_ready => match operation.recv(orders_now) {
                    Ok(order) => self.take_round(order, orders_now),
                    Err(_) => open = false,
                },
                Ok(operation) if operation.index() == result_ready => {
                    let gone = || AppendError::Broken("the log's thread is gone".into());
                    let result = operation.recv(results_now).unwrap_or_else(|_| Err(gone()));
                    if let Err(fatal) = self.finish(result) {
                        return self.stop(fatal, orders);
                    }
                }
                Ok(_) | Err(_) => self.take_due(),
            }
            if self.sealed.is_none() && !self.current.is_empty() && !self.seal(&log) {
                return self.stop(Fatal::Log("the log's thread is gone".into()), orders);
            }
        }
        drop(log.batches);
        if log.thread.join().is_err() {
            self.stop(Fatal::Log("the log's thread panicked".into()), orders);
        }
    }

    fn wait(&self) -> Duration {
        let due = self.ledger.next_due().max(self.log_full_until.unwrap_or(UnixMillis::MIN));
        // Nothing can become due while a batch is on its way, or the clock is not believed.
        if self.sealed.is_some() || self.clock_drifts() {
            IDLE_WAIT_MAX
        } else {
            self.clock.now().until(due).min(IDLE_WAIT_MAX)
        }
    }

    /// Decides everything that has queued up.
    fn take_round(&mut self, first: Order, orders: &Receiver<Order>) {
        let room = BATCH_COMMANDS_MAX - self.current.replies.len();
        let round: Vec<Order> = std::iter::once(first).chain(orders.try_iter().take(room - 1)).collect();
        self.metrics.drained(round.len(), orders.len());
        // `now` comes after the last drained command, and an ask that passed the gate is never too early (INV-6).
        let passed = round.iter().map(|order| match order {
            Order::Register { passed_at, .. } => *passed_at,
            Order::Cancel { .. } | Order::Flush(_) => UnixMillis::MIN,
        });
        self.now = self.now.max(self.clock.now()).max(passed.max().unwrap_or(UnixMillis::MIN));
        self.decide_due();
        for order in round {
            self.decide(order);
        }
    }

    fn take_due(&mut self) {
        self.now = self.now.max(self.clock.now());
        self.decide_due();
        self.settle();
    }

    fn clock_drifts(&self) -> bool {
        self.clock.drift_ms().abs() > DRIFT_MAX_MS
    }

    fn decide_due(&mut self) {
        let backing_off = self.log_full_until.is_some_and(|until| self.now < until);
        if self.now < self.ledger.next_due() || backing_off || self.clock_drifts() {
            return;
        }
        for change in self.ledger.due(self.now) {
            let (at, actor) = (self.now, Actor::system("schedule"));
            self.apply(Event { at, actor, reason: Box::default(), change });
        }
    }

    fn decide(&mut self, order: Order) {
        match order {
            Order::Register { ask, pass, asking, queued, .. } => {
                self.metrics.waited(queued.elapsed());
                let (request, slot, places) = (ask.request, ask.slot, ask.places());
                let (verdict, is_new) = self.verdict(Command::Register(ask));
                if let (Ok(registration), true) = (&verdict, is_new) {
                    self.read.requests.decided(registration);
                }
                let asked = Asked { request, slot, places, verdict, is_new, pass, asking };
                self.current.replies.push(Reply::Ask(asked));
            }
            Order::Cancel { cancellation, answer } => {
                let (verdict, _) = self.verdict(Command::Cancel(cancellation));
                self.current.replies.push(Reply::Cancel { verdict, answer });
            }
            Order::Flush(answer) => self.current.replies.push(Reply::Flush(answer)),
        }
    }

    /// Decides a command and applies what it changes; says whether it did.
    #[expect(clippy::needless_pass_by_value, reason = "a command is decided once")]
    fn verdict(&mut self, command: Command) -> (Verdict, bool) {
        match self.ledger.decide(&command, self.now) {
            Ok(Decision::Repeat(registration)) => (Ok(registration), false),
            Err(rejection) => (Err(rejection), false),
            Ok(Decision::Change(event)) => {
                let id = event.change.registration();
                self.apply(event);
                let changed = id.and_then(|id| self.ledger.registration(id)).cloned();
                (changed.ok_or(Rejection::NotFound), true)
            }
        }
    }

    /// Applies one event to the state that runs ahead, and notes what it will make visible.
    fn apply(&mut self, event: Event) {
        match &event.change {
            Change::DayClosed { office, day, .. } => {
                let ids = self.ledger.registrations_of(*office, *day);
                let ended = ids.iter().filter_map(|id| self.ledger.registration(*id)).cloned();
                self.current.publications.extend(ended.map(Publication::Ended));
            }
            Change::DayForgotten { office, day } => {
                let ids = self.ledger.registrations_of(*office, *day);
                let forgotten = ids.iter().filter_map(|id| self.ledger.registration(*id)).cloned();
                self.current.publications.extend(forgotten.map(Publication::Forgotten));
                self.current.publications.push(Publication::DayDropped(*office, *day));
            }
            Change::LogOpened { .. }
            | Change::HolidaysDefined(_)
            | Change::OpeningDefined(_)
            | Change::OfficeDefined { .. }
            | Change::OfficeClosed(_) => self.current.publications.push(Publication::Catalog),
            Change::TrancheReleased(_)
            | Change::TrancheChanged { .. }
            | Change::Granted(_)
            | Change::Cancelled(_) => {}
        }
        if let Err(misfit) = self.ledger.apply(&event) {
            // Decided from this very state a moment ago: a bug, and going on could only make it worse.
            error!(%misfit, "an invariant is broken");
            self.fatal.send_replace(Some(Fatal::Invariant(misfit.to_string())));
            panic!("an invariant is broken: {misfit}");
        }
        if let Some(slot) = self.slot_of(&event.change) {
            // The figures are read when the batch is sealed.
            let figures = self.ledger.figures(slot);
            self.current.touched.extend(figures.map(|figures| (slot, figures)));
        }
        let changed = event.change.registration();
        let changed = changed.and_then(|id| self.ledger.registration(id)).cloned();
        self.current.publications.extend(changed.map(Publication::Registration));
        self.current.events.push(event);
    }

    fn slot_of(&self, change: &Change) -> Option<SlotKey> {
        match change {
            Change::Granted(registration) => Some(registration.slot),
            Change::Cancelled(id) => self.ledger.registration(*id).map(|registration| registration.slot),
            Change::TrancheReleased(release) => Some(release.slot),
            Change::TrancheChanged { tranche, .. } => self.ledger.slot_of_tranche(*tranche),
            Change::LogOpened { .. }
            | Change::HolidaysDefined(_)
            | Change::OpeningDefined(_)
            | Change::OfficeDefined { .. }
            | Change::OfficeClosed(_)
            | Change::DayClosed { .. }
            | Change::DayForgotten { .. } => None,
        }
    }

    /// Sends the current batch to the log; one that changes nothing needs no log.
    fn seal(&mut self, log: &LogThread) -> bool {
        self.ledger.seal();
        let mut batch = mem::take(&mut self.current);
        if batch.events.is_empty() {
            self.sealed = Some(batch);
            return self.finish(Ok(())).is_ok();
        }
        let sealed = Sealed { events: mem::take(&mut batch.events).into(), now: self.now };
        self.sealed = Some(batch);
        log.batches.send(sealed).is_ok()
    }

    /// The log has the sealed batch, or has not.
    fn finish(&mut self, result: Result<(), AppendError>) -> Result<(), Fatal> {
        let Some(batch) = self.sealed.take() else { return Ok(()) };
        match result {
            Ok(()) => {
                self.ledger.commit();
                if self.log_full_until.take().is_some() {
                    info!("the log has space again");
                }
                self.metrics.log_writable(true);
                self.publish(batch);
                Ok(())
            }
            Err(AppendError::Full) => {
                if self.log_full_until.is_none() {
                    error!("the log is full: nothing is granted until there is space");
                }
                self.metrics.log_writable(false);
                self.log_full_until = Some(self.now.plus_ms(FULL_BACKOFF_MS));
                self.drop_batches(batch, &Failure::LogFull);
                Ok(())
            }
            Err(AppendError::Broken(reason)) => {
                error!(%reason, "the log cannot be written: stopping, and what is unknown will be recovered");
                self.metrics.log_writable(false);
                self.drop_batches(batch, &Failure::OutcomeUnknown);
                Err(Fatal::Log(reason))
            }
        }
    }

    /// Neither the sealed batch nor what was decided on top of it happened: everyone is told, refusals included.
    fn drop_batches(&mut self, sealed: Batch, failure: &Failure) {
        self.ledger.roll_back();
        let current = mem::take(&mut self.current);
        warn!(replies = sealed.replies.len() + current.replies.len(), "decisions dropped");
        for reply in sealed.replies.into_iter().chain(current.replies) {
            match reply {
                // The pass gives its permits back when it is dropped.
                Reply::Ask(Asked { request, pass, asking, .. }) => {
                    drop((pass, asking));
                    self.read.requests.withdraw(request).answer(&Err(failure.clone()));
                }
                Reply::Cancel { answer, .. } => {
                    let _ = answer.send(Err(failure.clone()));
                }
                Reply::Flush(answer) => {
                    let _ = answer.send(());
                }
            }
        }
        self.settle();
    }

    fn publish(&mut self, batch: Batch) {
        let mut waiters = Vec::new();
        let mut catalog_changed = false;
        for publication in batch.publications {
            match publication {
                Publication::Registration(registration) => {
                    self.read.put(&registration);
                    match registration.state {
                        RegistrationState::Confirmed => self.read.applicants.lives(&registration),
                        RegistrationState::Cancelled => self.read.applicants.ends(&registration),
                    }
                    let waiting = self.read.requests.publish(&registration);
                    waiters.push((waiting, Granted { registration, durable: true }));
                }
                Publication::Ended(registration) => self.read.applicants.ends(&registration),
                Publication::Forgotten(registration) => self.read.forget(&registration),
                Publication::Catalog => catalog_changed = true,
                Publication::DayDropped(office, day) => {
                    self.keepers.retain(|slot, _| (slot.office, slot.day) != (office, day));
                    let mut directory = (**self.read.directory.load()).clone();
                    directory.drop_day(office, day);
                    self.read.directory.store(Arc::new(directory));
                }
            }
        }
        if catalog_changed {
            self.publish_catalog();
        }
        // Spent permits are gone with the places; the rest come home before the slots' words are written.
        let mut spent: HashMap<SlotKey, u32> = HashMap::new();
        let mut answers = Vec::with_capacity(batch.replies.len());
        for reply in batch.replies {
            match reply {
                Reply::Ask(Asked { request, slot, places, verdict, is_new, pass, asking }) => {
                    if is_new {
                        *spent.entry(slot).or_default() += pass.spend();
                    } else {
                        drop(pass);
                        answers.push((request, slot, places, verdict));
                    }
                    drop(asking);
                }
                Reply::Cancel { verdict, answer } => {
                    let granted = |registration| Granted { registration, durable: true };
                    let _ = answer.send(verdict.map(granted).map_err(Failure::from));
                }
                Reply::Flush(answer) => {
                    let _ = answer.send(());
                }
            }
        }
        let figures = batch.touched;
        self.publish_figures(figures, &spent);
        self.settle();
        for (waiting, granted) in waiters {
            self.metrics.published(&granted.registration);
            waiting.answer(&Ok(granted));
        }
        for (request, slot, places, verdict) in answers {
            self.answer(request, slot, places, verdict);
        }
    }

    /// Answers an ask that changed nothing.
    fn answer(&self, request: RequestKey, slot: SlotKey, places: u32, verdict: Verdict) {
        let rejection = match verdict {
            Ok(registration) => {
                let published = self.read.registration(registration.id).unwrap_or(registration);
                let waiting = self.read.requests.publish(&published);
                return waiting.answer(&Ok(Granted { registration: published, durable: true }));
            }
            Err(rejection) => self.confirmed(slot, places, rejection),
        };
        self.read.requests.withdraw(request).answer(&Err(rejection.into()));
    }

    /// INV-5: a slot found short within a batch may not have been short at any commit, if places were freed later
    /// in the same batch. Then nothing is claimed, and the caller asks again.
    fn confirmed(&self, slot: SlotKey, places: u32, rejection: Rejection) -> Rejection {
        let short =
            matches!(rejection, Rejection::Refused(Refusal::SoldOut | Refusal::NotEnoughPlaces { .. }));
        let free = self.keepers.get(&slot).map_or(0, |keeper| keeper.gate().figures().free);
        if short && free >= places { Rejection::Refused(Refusal::Busy) } else { rejection }
    }

    fn publish_catalog(&self) {
        let mut directory = (**self.read.directory.load()).clone();
        directory.holidays = self.ledger.holidays().clone();
        for (number, (office, open)) in (0..).map(kuota_domain::ids::OfficeNumber).zip(self.ledger.offices())
        {
            directory.set_office(number, office, self.ledger.rule_of(office), open);
        }
        self.read.directory.store(Arc::new(directory));
    }

    fn publish_figures(&mut self, figures: HashMap<SlotKey, Figures>, spent: &HashMap<SlotKey, u32>) {
        let mut directory = None;
        for (slot, figures) in figures {
            let spent = spent.get(&slot).copied().unwrap_or(0);
            if let Some(keeper) = self.keepers.get_mut(&slot) {
                keeper.publish(figures, spent);
                if keeper.debt() > 0 {
                    self.indebted.insert(slot);
                }
            } else {
                let shards = SlotGate::shards_for(figures.capacity, self.shards_max);
                let (gate, keeper) = SlotGate::new(figures, shards);
                let directory = directory.get_or_insert_with(|| (**self.read.directory.load()).clone());
                directory.add_slot(slot, &gate);
                self.keepers.insert(slot, keeper);
            }
        }
        if let Some(directory) = directory {
            self.read.directory.store(Arc::new(directory));
        }
    }

    /// Takes permits that came home against what slots owe.
    fn settle(&mut self) {
        let keepers = &mut self.keepers;
        self.indebted.retain(|slot| keepers.get_mut(slot).is_some_and(|keeper| !keeper.settle()));
    }

    /// The log is lost to this process: raises the alarm, and tells everyone who still asks.
    fn stop(mut self, fatal: Fatal, orders: &Receiver<Order>) {
        self.fatal.send_replace(Some(fatal));
        let sealed = self.sealed.take().unwrap_or_default();
        self.drop_batches(sealed, &Failure::OutcomeUnknown);
        for order in orders {
            match order {
                Order::Register { ask, pass, asking, .. } => {
                    drop((pass, asking));
                    self.read.requests.withdraw(ask.request).answer(&Err(Failure::Stopping));
                }
                Order::Cancel { answer, .. } => {
                    let _ = answer.send(Err(Failure::Stopping));
                }
                Order::Flush(answer) => {
                    let _ = answer.send(());
                }
            }
        }
    }
}

impl From<Rejection> for Failure {
    fn from(rejection: Rejection) -> Self {
        match rejection {
            Rejection::Refused(refusal) => Self::Refused(refusal),
            Rejection::RequestReused => Self::RequestReused,
            Rejection::NotFound => Self::RegistrationNotFound,
        }
    }
}
