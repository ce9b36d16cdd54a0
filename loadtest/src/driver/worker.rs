//! One driver's thread: releases what is due at every tick, collects what is answered, and lets people decide what they
//! do next. A single task does all of it; connections have one each; calls have none.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashSet},
    future::poll_fn,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::SyncSender,
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use kuota_api::v1::RefusalReason;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::{
    answer::{Outcome, read_batch, read_register},
    call::Fault,
    clock::RunClock,
    closed::thread_cpu_ns,
    letter::{Desk, Letters},
    persona::{Next, next},
    tally::{Second, Tally, record},
    wire::{Done, Procedure, Wire},
};
use crate::{
    limits::TICK,
    plan::{Arrival, Kind, Plan},
    scenario::Scenario,
};

/// One call of somebody's journey.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Ask {
    /// When it was intended.
    pub at_us: i64,
    /// When the journey's first call was.
    pub first_us: i64,
    /// Who.
    pub person: u32,
    /// For which slot.
    pub slot: u16,
    /// Which of the person's wishes.
    pub ordinal: u8,
    /// Calls of the journey before this one.
    pub tries: u8,
    kind: u8,
}

/// An acknowledgement, as the server gave it.
#[derive(Clone, Copy, Debug)]
pub struct Ack {
    /// Who.
    pub person: u32,
    /// Of which slot.
    pub slot: u16,
    /// Of which wish.
    pub ordinal: u8,
    /// Who that is.
    pub kind: Kind,
    /// The registration's id.
    pub id: u128,
    /// When it was granted, by the server.
    pub create_time_ms: i64,
    /// When the answer came, by the run's clock.
    pub done_us: i64,
    /// When the journey began.
    pub first_us: i64,
}

/// What all threads of a run share.
#[derive(Debug)]
pub struct Shared {
    /// Everything the scenario says.
    pub scenario: Scenario,
    /// Every intended call.
    pub plan: Plan,
    /// Bodies.
    pub letters: Letters,
    /// The run's clock.
    pub clock: RunClock,
    /// Where to.
    pub address: SocketAddr,
    /// Acknowledgements so far: when chaos strikes depends on it.
    pub acknowledged: AtomicU64,
    /// Calls under way, by thread.
    pub in_flight: Vec<AtomicU64>,
    /// The most there ever were of all threads.
    pub in_flight_max: AtomicU64,
    /// Every response time is kept: memory grows with the run.
    pub keeps_samples: bool,
}

/// What one thread brings home.
#[derive(Debug, Default)]
pub struct Driven {
    /// What it counted.
    pub tally: Tally,
    /// What it was told.
    pub acks: Vec<Ack>,
    /// Asks whose outcome is not known.
    pub unknown: Vec<Ask>,
    /// How often a slot was said to be sold out.
    pub sold_out: Vec<u32>,
    /// CPU time of the thread.
    pub cpu_ns: u64,
    /// Response times, where they are kept.
    pub samples: Vec<i64>,
}

enum Load {
    One(Ask),
    Many(Box<[Ask]>),
}

struct Worker {
    index: usize,
    shared: Arc<Shared>,
    seconds: SyncSender<Second>,
    wire: Wire<Load>,
    desk: Desk,
    cursor: usize,
    later: BinaryHeap<Reverse<Ask>>,
    due: Vec<Ask>,
    second: Second,
    driven: Driven,
    /// Registrations this thread was told of: a journey stays on one thread, and so do its repeats.
    told: HashSet<u128>,
    /// CPU time of this thread when the second began.
    cpu_ns: u64,
    /// Since when nothing was answered although calls are under way.
    quiet_since_us: i64,
}

/// Drives one thread's share of the plan to its end.
///
/// # Errors
/// When no connection can be had at the start.
pub async fn work(index: usize, shared: Arc<Shared>, seconds: SyncSender<Second>) -> io::Result<Driven> {
    let client = &shared.scenario.client;
    let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let (threads, connections) = (size(client.threads), size(client.connections));
    let own = connections / threads + usize::from(index < connections % threads);
    let timeout_us = shared.scenario.timeout_us();
    let wire = Wire::connect(shared.address, own, size(client.streams), timeout_us).await?;
    let now_us = shared.clock.now_us();
    let mut worker = Worker {
        index,
        seconds,
        wire,
        desk: Desk::default(),
        cursor: 0,
        later: BinaryHeap::new(),
        due: Vec::new(),
        second: Second::new(now_us.div_euclid(1_000_000)),
        driven: Driven { sold_out: vec![0; shared.plan.slots], ..Driven::default() },
        told: HashSet::new(),
        cpu_ns: thread_cpu_ns(),
        quiet_since_us: now_us,
        shared,
    };
    let mut ticks = interval(TICK);
    // A tick that was missed is not made up for: the next one releases everything that is due.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    poll_fn(|cx| worker.poll(cx, &mut ticks)).await;
    worker.flush_second(i64::MAX);
    worker.driven.cpu_ns = thread_cpu_ns();
    Ok(worker.driven)
}

impl Worker {
    fn poll(&mut self, cx: &mut Context<'_>, ticks: &mut Interval) -> Poll<()> {
        self.collect(cx);
        if ticks.poll_tick(cx).is_ready() {
            // Registers for the next tick.
            while ticks.poll_tick(cx).is_ready() {}
            let now_us = self.shared.clock.now_us();
            self.turn_second(now_us);
            self.wire.tend(cx, now_us);
            self.collect(cx);
            self.listen(now_us);
            self.release(now_us);
            // New calls must be looked at once, or nobody is told when they end.
            self.collect(cx);
            self.gauge();
            let is_over = self.cursor >= self.shared.plan.arrivals.len() && self.later.is_empty();
            if is_over && self.wire.in_flight() == 0 {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }

    fn collect(&mut self, cx: &mut Context<'_>) {
        let shared = self.shared.clone();
        while let Poll::Ready(done) = self.wire.poll_done(cx, || shared.clock.now_us()) {
            let done_us = shared.clock.now_us();
            self.quiet_since_us = done_us;
            self.settle_call(done, done_us);
        }
    }

    /// How long it has been quiet although somebody waits.
    fn listen(&mut self, now_us: i64) {
        if self.wire.in_flight() == 0 {
            self.quiet_since_us = now_us;
        }
        let silence_us = now_us - self.quiet_since_us;
        let silence = &mut self.driven.tally.silence_us;
        *silence = (*silence).max((silence_us, self.quiet_since_us));
    }

    /// Everything whose time has come, at once, whatever is behind.
    fn release(&mut self, now_us: i64) {
        let threads = self.shared.in_flight.len();
        while let Some(arrival) = self.shared.plan.arrivals.get(self.cursor).copied() {
            if arrival.at_us > now_us {
                break;
            }
            self.cursor += 1;
            // By person, so that a journey stays on one thread.
            if usize::try_from(arrival.person).unwrap_or(0) % threads == self.index {
                self.offer(Ask::from(arrival));
            }
        }
        while self.later.peek().is_some_and(|Reverse(ask)| ask.at_us <= now_us) {
            if let Some(Reverse(ask)) = self.later.pop() {
                self.offer(ask);
            }
        }
        let due = std::mem::take(&mut self.due);
        let most = usize::try_from(self.shared.scenario.client.batch_asks).unwrap_or(1);
        for asks in due.chunks(most) {
            self.send(Procedure::RegisterBatch, Load::Many(asks.into()));
        }
        self.due = due;
        self.due.clear();
    }

    fn offer(&mut self, ask: Ask) {
        self.second.counts.offered += 1;
        if ask.kind() == Kind::Look {
            self.send(Procedure::ListAvailability, Load::One(ask));
        } else if self.shared.scenario.client.batch_asks > 1 {
            self.due.push(ask);
        } else {
            self.send(Procedure::Register, Load::One(ask));
        }
    }

    fn send(&mut self, procedure: Procedure, load: Load) {
        let now_us = self.shared.clock.now_us();
        let (letters, desk) = (&self.shared.letters, &mut self.desk);
        let body = |load: &Load| -> Bytes {
            match load {
                Load::One(ask) if procedure == Procedure::ListAvailability => letters.look(ask.slot),
                Load::One(ask) => letters.ask(desk, ask.slot, ask.person, ask.ordinal),
                Load::Many(asks) => {
                    letters.batch(desk, asks.iter().map(|ask| (ask.slot, ask.person, ask.ordinal)))
                }
            }
        };
        let asks = load.asks().len() as u64;
        for ask in load.asks() {
            record(&mut self.second.lag, now_us - ask.at_us);
        }
        match self.wire.send(procedure, body, load, now_us) {
            Ok(()) => self.second.counts.sent += asks,
            // Nobody listens: a caller would be told so at once.
            Err(load) if self.wire.is_down() => {
                self.second.counts.sent += asks;
                self.settle_call(
                    Done { load, sent_us: now_us, answer: Err(Fault::Broken), timed_out: false },
                    now_us,
                );
            }
            // Whoever would have made it would have waited for as long as a call may take.
            Err(load) => {
                self.second.counts.unsent += asks;
                let timeout_us = self.shared.scenario.timeout_us();
                for ask in load.asks() {
                    self.time(ask, now_us, now_us + timeout_us);
                    let took_us = now_us - ask.first_us;
                    self.driven.tally.end_journey(ask.kind().persona(), took_us, false);
                }
            }
        }
    }

    fn settle_call(&mut self, done: Done<Load>, done_us: i64) {
        let Done { load, sent_us, answer, timed_out } = done;
        for ask in load.asks() {
            self.time(ask, sent_us, done_us);
        }
        match (&answer, &load) {
            (Ok(_), Load::One(ask)) if ask.kind() == Kind::Look => {
                self.second.counts.answered += 1;
                self.second.counts.looked += 1;
            }
            (Ok(message), Load::One(ask)) => self.settle(*ask, Some(read_register(message)), done_us),
            (Ok(message), Load::Many(asks)) => {
                let outcomes = read_batch(message).map(Some).chain(std::iter::repeat(None));
                for (ask, outcome) in asks.iter().zip(outcomes) {
                    self.settle(*ask, outcome, done_us);
                }
            }
            (Err(Fault::Status(code)), load) => {
                for ask in load.asks() {
                    self.settle(*ask, Some(Outcome::Failed { code: *code }), done_us);
                }
            }
            (Err(Fault::Broken), load) => {
                let asks = load.asks().len() as u64;
                *(if timed_out {
                    &mut self.second.counts.timed_out
                } else {
                    &mut self.second.counts.broken
                }) += asks;
                for ask in load.asks() {
                    self.settle(*ask, None, done_us);
                }
            }
        }
    }

    /// Every call counts, however it ended: nothing is left out of the percentiles.
    fn time(&mut self, ask: &Ask, sent_us: i64, done_us: i64) {
        let response_us = done_us - ask.at_us;
        record(&mut self.second.response, response_us);
        if self.shared.keeps_samples {
            self.driven.samples.push(response_us);
        }
        record(&mut self.second.service, done_us - sent_us);
        let tally = &mut self.driven.tally;
        if let Some(persona) = ask.kind().persona() {
            record(&mut tally.personas[persona as usize], response_us);
            let is_cold = usize::from(ask.slot) * 10 >= self.shared.plan.slots;
            record(&mut tally.offices[usize::from(is_cold)], response_us);
        }
    }

    fn settle(&mut self, ask: Ask, outcome: Option<Outcome>, done_us: i64) {
        let counts = &mut self.second.counts;
        match outcome {
            Some(_) => counts.answered += 1,
            None if ask.kind() == Kind::Look => {}
            None => self.driven.unknown.push(ask),
        }
        match outcome {
            Some(Outcome::Granted { id, create_time_ms }) => {
                *(if self.told.insert(id) { &mut counts.granted } else { &mut counts.repeated }) += 1;
                self.driven.acks.push(Ack {
                    person: ask.person,
                    slot: ask.slot,
                    ordinal: ask.ordinal,
                    kind: ask.kind(),
                    id,
                    create_time_ms,
                    done_us,
                    first_us: ask.first_us,
                });
                // Relaxed: it only says when chaos is due.
                self.shared.acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            Some(Outcome::Refused { reason, .. }) => {
                counts.refuse(reason);
                if reason == RefusalReason::SoldOut {
                    self.driven.sold_out[usize::from(ask.slot)] += 1;
                }
            }
            Some(Outcome::Failed { code }) => {
                counts.fail(code);
                if ask.kind() != Kind::Look {
                    self.driven.unknown.push(ask);
                }
            }
            None => {}
        }
        let plan = &self.shared.plan;
        let mut random = plan.waits(ask.person, ask.ordinal, ask.tries);
        let is_last = u64::from(ask.tries) + 1 >= plan.attempts(ask.person);
        let (wait_us, ordinal) =
            match next(&self.shared.scenario, ask.kind(), ask.tries, outcome, &mut random) {
                Next::End { has_place } => return self.end(&ask, done_us, has_place),
                Next::Again { .. } | Next::Other { .. } if is_last => return self.end(&ask, done_us, false),
                Next::Again { wait_us } => (wait_us, ask.ordinal),
                Next::Other { wait_us } => (wait_us, ask.ordinal + 1),
            };
        let slot = if ordinal == ask.ordinal { ask.slot } else { plan.choice(ask.person, ordinal) };
        let at_us = done_us + wait_us;
        self.second.counts.retries += 1;
        self.later.push(Reverse(Ask { at_us, slot, ordinal, tries: ask.tries + 1, ..ask }));
    }

    fn end(&mut self, ask: &Ask, done_us: i64, has_place: bool) {
        // A second click is no journey of its own.
        if ask.kind() != Kind::SecondClick {
            self.driven.tally.end_journey(ask.kind().persona(), done_us - ask.first_us, has_place);
        }
    }

    fn gauge(&self) {
        // Relaxed: figures for people. The sum may be a tick old for other threads.
        self.shared.in_flight[self.index].store(self.wire.in_flight() as u64, Ordering::Relaxed);
        let all = self.shared.in_flight.iter().map(|calls| calls.load(Ordering::Relaxed)).sum();
        self.shared.in_flight_max.fetch_max(all, Ordering::Relaxed);
    }

    fn turn_second(&mut self, now_us: i64) {
        let second = now_us.div_euclid(1_000_000);
        if second != self.second.second {
            self.flush_second(second);
        }
    }

    fn flush_second(&mut self, next: i64) {
        let mut full = std::mem::replace(&mut self.second, Second::new(next));
        full.in_flight = self.wire.in_flight() as u64;
        let cpu_ns = thread_cpu_ns();
        full.cpu_ns = cpu_ns - std::mem::replace(&mut self.cpu_ns, cpu_ns);
        let tally = &mut self.driven.tally;
        tally.counts.add(&full.counts);
        for (own, other) in [
            (&mut tally.response, &full.response),
            (&mut tally.service, &full.service),
            (&mut tally.lag, &full.lag),
        ] {
            // The bounds are the same.
            let _ = own.add(other);
        }
        // Whoever shows seconds may be gone: the totals are kept here.
        let _ = self.seconds.send(full);
    }
}

impl Load {
    fn asks(&self) -> &[Ask] {
        match self {
            Self::One(ask) => std::slice::from_ref(ask),
            Self::Many(asks) => asks,
        }
    }
}

impl Ask {
    /// Which kind of call.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        Kind::ALL[self.kind as usize]
    }
}

impl From<Arrival> for Ask {
    fn from(arrival: Arrival) -> Self {
        let Arrival { at_us, person, slot, ordinal, kind } = arrival;
        Self { at_us, first_us: at_us, person, slot, ordinal, tries: 0, kind: kind as u8 }
    }
}
