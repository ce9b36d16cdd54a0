//! One driver's thread: releases what is due at every tick, collects what is answered, and lets people decide what they
//! do next. A single task does all of it; connections have one each; calls have none.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashSet, VecDeque},
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{SyncSender, TrySendError},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use kuota_api::v1::RefusalReason;

use super::{
    answer::{Outcome, UNKNOWN, read_batch, read_register},
    ask::{Ack, Ask, Driven, Load, RefusedRepeat, Why},
    call::Fault,
    clock::RunClock,
    closed::thread_cpu_ns,
    letter::{Desk, Letters},
    persona::{Next, next},
    pulse::{Pulse, Silence},
    tally::{Second, record},
    ticks::Ticks,
    wire::{Done, NotSent, Procedure, Wire},
};
use crate::{
    limits::SECONDS_KEPT_MAX,
    plan::{Kind, Plan},
    scenario::Scenario,
};

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
    /// Whether the server answers, and what was done to it.
    pub pulse: Pulse,
    /// Acknowledgements so far: when chaos strikes depends on it.
    pub acknowledged: AtomicU64,
    /// Calls under way, by thread.
    pub in_flight: Vec<AtomicU64>,
    /// The most there ever were of all threads.
    pub in_flight_max: AtomicU64,
    /// Every response time is kept: memory grows with the run.
    pub keeps_samples: bool,
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
    silence: Silence,
    /// A call was wanted while no connection stood, and nothing was answered since.
    is_turned_away: bool,
    /// Seconds that are over and that nobody took yet.
    over: VecDeque<Second>,
}

/// Drives one thread's share of the plan to its end.
pub(super) async fn work(
    index: usize,
    shared: Arc<Shared>,
    wire: Wire<Load>,
    seconds: SyncSender<Second>,
) -> Driven {
    let now_us = shared.clock.now_us();
    let first_us = shared.plan.arrivals.first().map_or(now_us, |arrival| arrival.at_us);
    let mut worker = Worker {
        index,
        seconds,
        wire,
        desk: Desk::default(),
        cursor: 0,
        later: BinaryHeap::new(),
        due: Vec::new(),
        second: Second::new(now_us.div_euclid(1_000_000)),
        driven: Driven {
            sold_out: vec![0; shared.plan.slots],
            late_start_us: now_us - first_us,
            ..Driven::default()
        },
        told: HashSet::new(),
        cpu_ns: thread_cpu_ns(),
        silence: Silence::since(now_us),
        is_turned_away: false,
        over: VecDeque::new(),
        shared,
    };
    let mut ticks = Ticks::new();
    poll_fn(|cx| worker.poll(cx, &mut ticks)).await;
    worker.flush_second(i64::MAX);
    // Whoever shows seconds may be gone: the totals are in the tally.
    worker.over.drain(..).for_each(|second| drop(worker.seconds.send(second)));
    let Silence { longest, unexcused, .. } = worker.silence;
    (worker.driven.tally.silence_us, worker.driven.tally.unexcused_silence_us) = (longest, unexcused);
    worker.driven.cpu_ns = thread_cpu_ns();
    worker.driven
}

impl Worker {
    fn poll(&mut self, cx: &mut Context<'_>, ticks: &mut Ticks) -> Poll<()> {
        self.collect(cx);
        let Poll::Ready(frozen) = ticks.poll(cx) else { return Poll::Pending };
        let now_us = self.shared.clock.now_us();
        self.turn_second(now_us);
        self.wire.tend(cx, now_us);
        self.collect(cx);
        self.listen(now_us, frozen);
        self.release(now_us);
        // New calls must be looked at once, or nobody is told when they end.
        self.collect(cx);
        self.gauge();
        let is_over = self.cursor >= self.shared.plan.arrivals.len() && self.later.is_empty();
        if is_over && self.wire.in_flight() == 0 {
            return Poll::Ready(());
        }
        ticks.set(cx, self.next_us().saturating_sub(self.shared.clock.now_us()));
        Poll::Pending
    }

    fn collect(&mut self, cx: &mut Context<'_>) {
        let shared = self.shared.clone();
        while let Poll::Ready(done) = self.wire.poll_done(cx, || shared.clock.now_us()) {
            let done_us = shared.clock.now_us();
            if matches!(done.answer, Ok(_) | Err(Fault::Status(_))) {
                self.is_turned_away = false;
                shared.pulse.answer(done_us);
            }
            self.settle_call(done, done_us);
        }
    }

    fn listen(&mut self, now_us: i64, frozen: Duration) {
        let is_waiting = self.wire.in_flight() > 0 || self.is_turned_away;
        let frozen_us = i64::try_from(frozen.as_micros()).unwrap_or(i64::MAX);
        self.silence.listen(&self.shared.pulse, is_waiting, now_us, frozen_us);
    }

    /// When something is due next.
    fn next_us(&self) -> i64 {
        let arrival = self.shared.plan.arrivals.get(self.cursor).map(|arrival| arrival.at_us);
        let later = self.later.peek().map(|Reverse(ask)| ask.at_us);
        arrival.into_iter().chain(later).min().unwrap_or(i64::MAX)
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
        let counts = &mut self.second.counts;
        counts.offered += 1;
        counts.looks += u64::from(ask.kind() == Kind::Look);
        let is_first = ask.tries == 0 && !matches!(ask.kind(), Kind::Look | Kind::SecondClick);
        counts.journeys += u64::from(is_first);
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
            Ok(()) => {
                self.second.counts.sent += asks;
                self.second.counts.calls += 1;
            }
            // Nobody listens: a caller would be told so at once.
            Err(NotSent::Down(load)) => {
                self.is_turned_away = true;
                self.miss(load.asks().len(), false, now_us);
                for ask in load.asks() {
                    self.time(ask, now_us, now_us);
                    self.settle(*ask, now_us, Err(Why::NotSent), now_us);
                }
            }
            // Whoever would have made it would have waited for as long as a call may take.
            Err(NotSent::Full(load)) => {
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
            (Ok(message), Load::One(ask)) => self.settle(*ask, sent_us, Ok(read_register(message)), done_us),
            (Ok(message), Load::Many(asks)) => self.settle_batch(asks, message, sent_us, done_us),
            (Err(Fault::Status(code)), load) => {
                for ask in load.asks() {
                    self.settle(*ask, sent_us, Ok(Outcome::Failed { code: *code }), done_us);
                }
            }
            (Err(Fault::Reset | Fault::Broken), load) => {
                self.miss(load.asks().len(), timed_out, done_us);
                for ask in load.asks() {
                    self.settle(*ask, sent_us, Err(Why::UnderWay), done_us);
                }
            }
        }
    }

    fn settle_batch(&mut self, asks: &[Ask], message: &[u8], sent_us: i64, done_us: i64) {
        let shared = self.shared.clone();
        let request_ids = asks.iter().map(|ask| shared.letters.identities().request(ask.person, ask.ordinal));
        let mut outcomes = read_batch(message, request_ids);
        for (ask, outcome) in asks.iter().zip(&mut outcomes) {
            self.settle(*ask, sent_us, Ok(outcome), done_us);
        }
        // Items that nobody asked for.
        outcomes.for_each(|_| self.second.counts.fail(UNKNOWN));
    }

    /// Calls without an answer.
    fn miss(&mut self, asks: usize, timed_out: bool, now_us: i64) {
        let (asks, is_excused) = (asks as u64, self.is_excused(now_us));
        let counts = &mut self.second.counts;
        *(if timed_out { &mut counts.timed_out } else { &mut counts.broken }) += asks;
        counts.excused += if is_excused { asks } else { 0 };
    }

    fn is_excused(&self, now_us: i64) -> bool {
        self.shared.pulse.excuses_error(now_us, self.shared.scenario.timeout_us())
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
            let is_hot = self.shared.plan.is_hot(ask.slot);
            record(&mut tally.offices[usize::from(!is_hot)], response_us);
        }
    }

    fn settle(&mut self, ask: Ask, sent_us: i64, outcome: Result<Outcome, Why>, done_us: i64) {
        let counts = &mut self.second.counts;
        counts.answered += u64::from(outcome.is_ok());
        let mut is_open = ask.is_open;
        let mut leave_open = |why| {
            is_open = true;
            if ask.kind() != Kind::Look {
                self.driven.unknown.push((ask, why));
            }
        };
        match outcome {
            Ok(Outcome::Granted { id, create_time_ms }) => {
                let is_new = self.told.insert(id);
                *(if is_new { &mut counts.granted } else { &mut counts.repeated }) += 1;
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
                self.shared.acknowledged.fetch_add(u64::from(is_new), Ordering::Relaxed);
            }
            Ok(Outcome::Refused { reason, .. }) => {
                counts.refuse(reason);
                if reason == RefusalReason::SoldOut {
                    self.driven.sold_out[usize::from(ask.slot)] += 1;
                }
                if ask.is_open || ask.kind() == Kind::SecondClick {
                    let Ask { person, ordinal, .. } = ask;
                    self.driven.refused_repeats.push(RefusedRepeat { person, ordinal, sent_us });
                }
            }
            Ok(Outcome::Failed { code }) => {
                counts.fail(code);
                let timeout_us = self.shared.scenario.timeout_us();
                counts.excused += u64::from(self.shared.pulse.excuses_error(done_us, timeout_us));
                leave_open(Why::Failed);
            }
            Err(why) => leave_open(why),
        }
        let plan = &self.shared.plan;
        let mut random = plan.waits(ask.person, ask.ordinal, ask.tries);
        let is_last = u64::from(ask.tries) + 1 >= plan.attempts(ask.person);
        let (wait_us, ordinal) =
            match next(&self.shared.scenario, ask.kind(), ask.tries, outcome.ok(), &mut random) {
                Next::End { has_place } => return self.end(&ask, done_us, has_place),
                Next::Again { .. } | Next::Other { .. } if is_last => return self.end(&ask, done_us, false),
                Next::Again { wait_us } => (wait_us, ask.ordinal),
                Next::Other { wait_us } => (wait_us, ask.ordinal + 1),
            };
        let slot = if ordinal == ask.ordinal { ask.slot } else { plan.choice(ask.person, ordinal) };
        let at_us = done_us + wait_us;
        self.second.counts.retries += 1;
        let is_open = is_open && ordinal == ask.ordinal;
        self.later.push(Reverse(ask.next(at_us, slot, ordinal, is_open)));
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
        // Never waits for whoever shows them: what is not taken now is offered again with the next.
        self.over.push_back(full);
        while let Some(second) = self.over.pop_front() {
            if let Err(TrySendError::Full(second)) = self.seconds.try_send(second) {
                self.over.push_front(second);
                break;
            }
        }
        if self.over.len() > SECONDS_KEPT_MAX {
            self.over.pop_front();
        }
    }
}
