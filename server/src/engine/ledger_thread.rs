//! The ledger's thread: decides what has queued up, sends it to the log as one batch, and publishes it once the log
//! has it. While one batch syncs, the next is decided: group commit without a timer.

use std::{
    mem,
    sync::Arc,
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, RecvTimeoutError, Select, TryRecvError};
use hashbrown::HashSet;
use kuota_domain::{
    catalog::Catalog,
    event::{Actor, Event},
    ids::TrancheNumber,
    ledger::{Command, Decision, Ledger, Rejection},
    limits::DUE_EVENTS_PER_BATCH_MAX,
    slot::SlotKey,
    time::UnixMillis,
};
use tokio::sync::watch as signal;
use tracing::{debug, error, info};

use super::{
    Failure, Fatal, Granted,
    batch::{Asked, Batch, Entrant, Order, Reply, Verdict},
    congestion::Congestion,
    directory::OfficesView,
    log_thread::{Appended, LogThread, Sealed},
    operate::OperatorView,
    read_model::ReadModel,
    requests::Waiters,
};
use crate::{
    clock::{Clock, STEP_BACK_MAX_MS},
    log::AppendError,
    telemetry::Metrics,
};

/// How long to wait after the log was full before scheduled changes are tried again.
const FULL_BACKOFF_MS: i64 = 1_000;
/// How long the log may take before orders are looked for: what asks then wait in the queue instead of in a batch. From then
/// on as long again as it has taken, up to the second.
const GATHER: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(8));
/// The longest the thread sleeps: a clock may be moved while it does.
const IDLE_WAIT_MAX: Duration = Duration::from_millis(250);

/// The one owner of live state.
#[derive(Debug)]
pub(super) struct LedgerThread {
    pub(super) ledger: Ledger,
    /// Slots with permits out that must still come home.
    pub(super) indebted: HashSet<TrancheNumber>,
    pub(super) read: Arc<ReadModel>,
    clock: Arc<dyn Clock>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) fatal: signal::Sender<Option<Fatal>>,
    pub(super) shards_max: usize,
    /// Never falls below the log's last instant.
    pub(super) now: UnixMillis,
    pub(super) current: Batch,
    pub(super) sealed: Option<Batch>,
    /// Operators' writes that wait for what is due: as many as their queue has. No more is taken from there meanwhile.
    put_off: Vec<Order>,
    /// An empty one with room: batches take turns in three, so that their memory stays warm.
    pub(super) spare: Batch,
    /// Empty, with room: who is answered once a batch is visible.
    pub(super) published: Vec<(Waiters, Granted)>,
    /// The catalogue as the state has it; `None`: not made since it changed.
    pub(super) catalog: Option<Arc<Catalog>>,
    pub(super) log_full_until: Option<UnixMillis>,
    drifting: bool,
    pub(super) congestion: Congestion,
}

impl LedgerThread {
    pub(super) fn new(
        ledger: Ledger,
        read: Arc<ReadModel>,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
        fatal: signal::Sender<Option<Fatal>>,
        (shards_max, now): (usize, UnixMillis),
    ) -> Self {
        let mut thread = Self {
            ledger,
            indebted: HashSet::new(),
            read,
            clock,
            metrics,
            fatal,
            shards_max,
            now,
            current: Batch::default(),
            sealed: None,
            put_off: Vec::new(),
            spare: Batch::default(),
            published: Vec::new(),
            catalog: None,
            log_full_until: None,
            drifting: false,
            congestion: Congestion::new(Instant::now()),
        };
        thread.publish_recovered();
        thread
    }

    /// Serves until every sender of orders is gone and the last batch is in the log.
    pub(super) fn run(mut self, orders: &Receiver<Order>, operators: Receiver<Order>, log: LogThread) {
        let served = self.serve(orders, &operators, &log);
        // Operators who still wait are told that the outcome is unknown.
        drop(operators);
        // The log is closed before this thread ends, and with it the data directory's lock is free.
        if let Err(fatal) = served {
            self.stop(fatal, orders);
        }
        drop(log.batches);
        if log.thread.join().is_err() {
            self.fatal.send_replace(Some(Fatal::Log("the log's thread panicked".into())));
        }
    }

    fn serve(
        &mut self,
        orders: &Receiver<Order>,
        operators: &Receiver<Order>,
        log: &LogThread,
    ) -> Result<(), Fatal> {
        let mut open = true;
        while open || self.sealed.is_some() || !self.put_off.is_empty() {
            if self.sealed.is_some() {
                self.wait_for(log)?;
                open = open && self.take_waiting(orders, operators);
            } else {
                let mut select = Select::new();
                select.recv(orders);
                select.recv(operators);
                match select.ready_timeout(self.wait()) {
                    Ok(_) => open = self.take_waiting(orders, operators),
                    Err(_) => self.take_due(),
                }
            }
            if self.sealed.is_none() && !self.current.is_empty() && !self.seal(log) {
                return Err(Fatal::Log("the log's thread is gone".into()));
            }
            self.mind_the_door();
        }
        Ok(())
    }

    /// Waits for the log, but not for long. Whoever asks meanwhile waits for it too, and is looked for now and then, so that
    /// nobody need wake this thread.
    fn wait_for(&mut self, log: &LogThread) -> Result<(), Fatal> {
        let sealed_at = self.sealed.as_ref().and_then(|batch| batch.sealed_at);
        let gather = sealed_at.map_or(GATHER.0, |at| at.elapsed().clamp(GATHER.0, GATHER.1));
        match log.results.recv_timeout(gather) {
            Ok(Appended { result, emptied }) => {
                self.spare.events = emptied;
                self.finish(result)
            }
            Err(RecvTimeoutError::Timeout) => Ok(()),
            Err(RecvTimeoutError::Disconnected) => {
                self.finish(Err(AppendError::Broken("the log's thread is gone".into())))
            }
        }
    }

    fn wait(&self) -> Duration {
        let due = self.ledger.next_due().max(self.log_full_until.unwrap_or(UnixMillis::MIN));
        // Nothing can become due while the clock is not believed.
        if self.drifting { IDLE_WAIT_MAX } else { self.clock.now().until(due).min(IDLE_WAIT_MAX) }
    }

    /// Decides everything that has queued up: operators are few, and come before the crowd. Says whether more can come.
    fn take_waiting(&mut self, orders: &Receiver<Order>, operators: &Receiver<Order>) -> bool {
        let mut round = mem::take(&mut self.put_off);
        if round.is_empty() {
            round.extend(operators.try_iter());
        }
        let operators = round.len();
        let (room, mut commands, mut open) = (self.room(operators), 0, true);
        while open && commands < room {
            match orders.try_recv() {
                Ok(order) => {
                    commands += order.commands();
                    round.push(order);
                }
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => open = false,
            }
        }
        if !round.is_empty() {
            self.take_round(round);
            self.metrics.drained(operators + commands, self.read.door.queued());
        }
        open
    }

    fn take_round(&mut self, round: Vec<Order>) {
        let first = round.iter().find_map(Order::queued);
        self.current.oldest = self.current.oldest.or(first);
        if !self.tick() {
            round.into_iter().for_each(|order| self.refuse(order, &Failure::ClockDrift));
            return;
        }
        // An ask that passed the gate is never too early (INV-6), but for a clock that was far ahead.
        let believed = self.now.plus_ms(STEP_BACK_MAX_MS);
        let passed = round.iter().flat_map(Order::entrants).map(|entrant| entrant.passed_at);
        let passed = passed.filter(|passed_at| *passed_at <= believed);
        self.now = self.now.max(passed.max().unwrap_or(UnixMillis::MIN));
        self.decide_due();
        for order in round {
            if self.is_stale(&order) {
                self.shed(order);
            } else {
                self.decide(order);
            }
        }
    }

    /// Takes the time: after the last drained command, and never below the log's. Says whether it is believed.
    fn tick(&mut self) -> bool {
        let drifts = self.clock.drifts();
        if drifts != self.drifting {
            self.drifting = drifts;
            let drift_ms = self.clock.drift_ms();
            if drifts {
                error!(
                    drift_ms,
                    "the wall clock was moved: writes pause until it is back, or the server restarted"
                );
            } else {
                info!(drift_ms, "the wall clock is believed again");
            }
        }
        if !drifts {
            self.now = self.now.max(self.clock.now());
        }
        !drifts
    }

    fn take_due(&mut self) {
        if self.tick() {
            self.decide_due();
        }
        self.settle();
    }

    pub(super) fn decide_due(&mut self) {
        // Before anything else is written, whatever that is: a full log may have kept the start from it.
        if let Some(change) = self.ledger.format_due() {
            let (at, actor) = (self.now, Actor::system("start"));
            self.apply(Event { at, actor, reason: "a newer server".into(), change });
        }
        let backing_off = self.log_full_until.is_some_and(|until| self.now < until);
        let has_room = self.current.events.len() < DUE_EVENTS_PER_BATCH_MAX;
        if self.now < self.ledger.next_due() || backing_off || !has_room {
            return;
        }
        for change in self.ledger.due(self.now) {
            let (at, actor) = (self.now, Actor::system("schedule"));
            self.apply(Event { at, actor, reason: Box::default(), change });
        }
    }

    /// Whether more is due than was decided.
    pub(super) fn is_behind(&self) -> bool {
        self.ledger.next_due() <= self.now
    }

    fn decide(&mut self, order: Order) {
        match order {
            Order::Register(crowd, queued) => {
                let mut entrants = crowd.take().into_iter();
                self.metrics.waited(queued.elapsed(), entrants.len());
                for at in 0..entrants.len() {
                    self.ledger.look_ahead_at(at, entrants.as_slice(), |entrant| &entrant.ask);
                    entrants.next().into_iter().for_each(|entrant| self.register(entrant));
                }
            }
            Order::Operate { instruction, validate_only, answer } => {
                // What is due is the schedule's doing, and must not stand at the operator's account. It may take batches.
                self.decide_due();
                if self.is_behind() && self.log_full_until.is_none() {
                    self.put_off.push(Order::Operate { instruction, validate_only, answer });
                } else {
                    self.operate(&instruction, validate_only, answer);
                }
            }
            Order::Command { command, answer } => {
                let wanted = self.wanted(&command);
                let (verdict, _) = self.verdict(*command);
                self.current.replies.push(Reply::Command { verdict, wanted, answer });
            }
            Order::Flush(answer) => self.current.replies.push(Reply::Flush(answer)),
        }
    }

    fn register(&mut self, entrant: Entrant) {
        let Entrant { ask, pass, asking, .. } = entrant;
        let (request, slot, places) = (ask.request, ask.slot, ask.places());
        let (verdict, is_new) = self.verdict(Command::Register(ask));
        if let (Ok(registration), true) = (&verdict, is_new) {
            self.read.decided(registration);
        }
        let position = || self.ledger.position_of_change(slot).expect("a grant changes its slot");
        let granted = is_new.then(position);
        let asked = Asked { request, slot, places, verdict, granted, pass, asking };
        self.current.replies.push(Reply::Ask(asked));
    }

    /// The places that a command which passes no gate wants all the same: like a standby it has no permits.
    fn wanted(&self, command: &Command) -> Option<(SlotKey, u32)> {
        match command {
            Command::Reschedule(wish) => {
                let registration = self.ledger.registration(wish.registration)?;
                Some((wish.slot, registration.places()))
            }
            Command::Register(_)
            | Command::Cancel(_)
            | Command::Pay(_)
            | Command::CheckIn(_)
            | Command::Complete(_) => None,
        }
    }

    /// Decides a command and applies what it changes; says whether it did.
    #[expect(clippy::needless_pass_by_value, reason = "a command is decided once")]
    fn verdict(&mut self, command: Command) -> (Verdict, bool) {
        match self.ledger.decide(&command, self.now) {
            Ok(Decision::Repeat(registration)) => (Ok(registration), false),
            Err(rejection) => (Err(rejection), false),
            Ok(Decision::Change(event)) => {
                let change = event.change.clone();
                self.apply(event);
                (self.changed(&change).ok_or(Rejection::NotFound), true)
            }
        }
    }

    /// Sends the current batch to the log; one that changes nothing needs no log.
    fn seal(&mut self, log: &LogThread) -> bool {
        self.ledger.seal();
        let mut batch = mem::replace(&mut self.current, mem::take(&mut self.spare));
        self.take_views(&mut batch);
        if let Some(queued) = batch.oldest {
            self.congestion.handed_over(queued.elapsed());
        }
        if batch.events.is_empty() {
            self.ledger.commit();
            self.show(batch);
            return true;
        }
        let sealed = Sealed { events: mem::take(&mut batch.events), now: self.now };
        batch.sealed_at = Some(Instant::now());
        self.sealed = Some(batch);
        log.batches.send(sealed).is_ok()
    }

    /// What operators and calls will see, before the state runs on.
    fn take_views(&mut self, batch: &mut Batch) {
        self.ledger.take_changes(&mut batch.figures);
        if batch.catalog_changed {
            batch.offices = Some(OfficesView::of(&self.ledger));
        }
        if batch.catalog_changed || batch.layer_changed {
            let view = OperatorView::of(&self.ledger, self.catalog.take());
            self.catalog = Some(view.catalog.clone());
            batch.view = Some(view);
        }
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
                self.show(batch);
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

    fn show(&mut self, batch: Batch) {
        let took = batch.sealed_at.map_or(Duration::ZERO, |sealed_at| sealed_at.elapsed());
        self.congestion.served(batch.replies.len(), took);
        self.publish(batch);
    }

    /// Neither the sealed batch nor what was decided on top of it happened: everyone is told, refusals included.
    fn drop_batches(&mut self, sealed: Batch, failure: &Failure) {
        self.ledger.roll_back();
        self.catalog = None;
        let current = mem::take(&mut self.current);
        let replies: Vec<Reply> = sealed.replies.into_iter().chain(current.replies).collect();
        debug!(replies = replies.len(), "decisions dropped");
        // First nothing of them is found any more, then anybody is told.
        for reply in &replies {
            if let Reply::Ask(Asked { verdict: Ok(registration), .. }) = reply {
                self.read.undecided(registration);
            }
        }
        for reply in replies {
            match reply {
                // The pass gives its permits back when it is dropped.
                Reply::Ask(Asked { request, pass, asking, .. }) => {
                    drop((pass, asking));
                    self.read.requests.withdraw(request).answer(&Err(failure.clone()));
                }
                Reply::Command { answer, .. } => {
                    let _ = answer.send(Err(failure.clone()));
                }
                Reply::Operate { answer, .. } => {
                    let _ = answer.send(Err(failure.clone()));
                }
                Reply::Flush(answer) => {
                    let _ = answer.send(());
                }
            }
        }
        self.settle();
    }

    /// Takes permits that came home against what slots owe.
    pub(super) fn settle(&mut self) {
        if !self.indebted.is_empty() {
            let mut slots = self.read.slots.write();
            self.indebted.retain(|tranche| !slots.settle(*tranche));
        }
    }

    /// The log is lost to this process: raises the alarm, and tells everyone who still asks.
    fn stop(&mut self, fatal: Fatal, orders: &Receiver<Order>) {
        self.fatal.send_replace(Some(fatal));
        let sealed = self.sealed.take().unwrap_or_default();
        self.drop_batches(sealed, &Failure::OutcomeUnknown);
        for order in orders {
            self.refuse(order, &Failure::Stopping);
        }
    }

    /// Sends an order back undecided.
    pub(super) fn refuse(&self, order: Order, failure: &Failure) {
        match order {
            Order::Register(crowd, _) => {
                crowd.take().into_iter().for_each(|entrant| self.turn_away(entrant, failure));
            }
            Order::Operate { answer, .. } => {
                let _ = answer.send(Err(failure.clone()));
            }
            Order::Command { answer, .. } => {
                // A caller that went away changes nothing.
                let _ = answer.send(Err(failure.clone()));
            }
            Order::Flush(answer) => {
                let _ = answer.send(());
            }
        }
    }

    fn turn_away(&self, entrant: Entrant, failure: &Failure) {
        drop((entrant.pass, entrant.asking));
        self.read.requests.withdraw(entrant.ask.request).answer(&Err(failure.clone()));
    }
}
