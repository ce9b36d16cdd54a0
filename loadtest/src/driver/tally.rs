//! What a driver's thread counts: outcomes, three histograms, and the same by the second. For latencies and rates only:
//! whether places were given out rightly is never read from here.

use hdrhistogram::Histogram;
use kuota_api::v1::RefusalReason;

use super::pulse::Span;
use crate::{
    limits::{HISTOGRAM_DIGITS, HISTOGRAM_MAX_US},
    plan::Persona,
};

/// Reasons of a refusal that have a counter: as many as the API names, and the unknown one.
pub const REASONS: usize = 11;
/// gRPC codes.
pub const CODES: usize = 17;

/// A histogram of microseconds.
#[must_use]
pub fn histogram() -> Histogram<u32> {
    // The bounds are constants that fit; a histogram that grows is the way out if they did not.
    Histogram::new_with_bounds(1, HISTOGRAM_MAX_US, HISTOGRAM_DIGITS)
        .unwrap_or_else(|_| Histogram::new(HISTOGRAM_DIGITS).unwrap_or_else(|_| unreachable()))
}

/// Three digits are always allowed.
fn unreachable() -> Histogram<u32> {
    std::process::abort()
}

/// Counts a time; one below a microsecond counts as one.
pub fn record(histogram: &mut Histogram<u32>, us: i64) {
    histogram.saturating_record(u64::try_from(us).unwrap_or(0).max(1));
}

/// Counts of outcomes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Asks and looks whose time came.
    pub offered: u64,
    /// Asks and looks sent.
    pub sent: u64,
    /// Calls sent: a batch is one.
    pub calls: u64,
    /// Looks whose time came.
    pub looks: u64,
    /// First asks of journeys whose time came.
    pub journeys: u64,
    /// Calls with an answer, errors of the server among them.
    pub answered: u64,
    /// Calls not sent because as many were under way as are allowed.
    pub unsent: u64,
    /// Calls given up.
    pub timed_out: u64,
    /// Calls whose connection broke, or could not be had.
    pub broken: u64,
    /// Of those, and of errors, how many an ordered blow to the server excuses.
    pub excused: u64,
    /// Calls that ask again, for any reason.
    pub retries: u64,
    /// Registrations that were not told before.
    pub granted: u64,
    /// Registrations that were: a repeat got the first one back.
    pub repeated: u64,
    /// Looks at what is free.
    pub looked: u64,
    /// Refusals by reason.
    pub refused: [u64; REASONS],
    /// gRPC errors by code, timeouts and broken connections not among them.
    pub errors: [u64; CODES],
}

impl Counts {
    /// With those of another.
    pub fn add(&mut self, other: &Self) {
        for (own, other) in [
            (&mut self.offered, other.offered),
            (&mut self.sent, other.sent),
            (&mut self.calls, other.calls),
            (&mut self.looks, other.looks),
            (&mut self.journeys, other.journeys),
            (&mut self.excused, other.excused),
            (&mut self.answered, other.answered),
            (&mut self.unsent, other.unsent),
            (&mut self.timed_out, other.timed_out),
            (&mut self.broken, other.broken),
            (&mut self.retries, other.retries),
            (&mut self.granted, other.granted),
            (&mut self.repeated, other.repeated),
            (&mut self.looked, other.looked),
        ] {
            *own += other;
        }
        let refused = self.refused.iter_mut().zip(other.refused);
        for (own, other) in refused.chain(self.errors.iter_mut().zip(other.errors)) {
            *own += other;
        }
    }

    /// One more refusal.
    pub fn refuse(&mut self, reason: RefusalReason) {
        let index = usize::try_from(i32::from(reason)).unwrap_or(0);
        self.refused[if index < REASONS { index } else { 0 }] += 1;
    }

    /// One more error.
    pub fn fail(&mut self, code: u8) {
        let index = usize::from(code);
        self.errors[if index < CODES { index } else { 2 }] += 1;
    }

    /// All refusals.
    #[must_use]
    pub fn refusals(&self) -> u64 {
        self.refused.iter().sum()
    }

    /// All errors.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.errors.iter().sum()
    }
}

/// One thread's second.
#[derive(Debug)]
pub struct Second {
    /// Which, from T0.
    pub second: i64,
    /// What happened in it.
    pub counts: Counts,
    /// Response times of calls that ended in it.
    pub response: Histogram<u32>,
    /// Service times of the same.
    pub service: Histogram<u32>,
    /// Lag of calls sent in it.
    pub lag: Histogram<u32>,
    /// Calls under way at its end.
    pub in_flight: u64,
    /// CPU time of the thread in it.
    pub cpu_ns: u64,
}

impl Second {
    /// An empty one.
    #[must_use]
    pub fn new(second: i64) -> Self {
        let (response, service, lag) = (histogram(), histogram(), histogram());
        Self { second, counts: Counts::default(), response, service, lag, in_flight: 0, cpu_ns: 0 }
    }
}

/// Everything one thread counted.
#[derive(Debug)]
pub struct Tally {
    /// Outcomes.
    pub counts: Counts,
    /// done − intended.
    pub response: Histogram<u32>,
    /// done − sent.
    pub service: Histogram<u32>,
    /// sent − intended.
    pub lag: Histogram<u32>,
    /// From a person's first intent to the last answer.
    pub journey: Histogram<u32>,
    /// Response times by persona.
    pub personas: [Histogram<u32>; 4],
    /// Response times of the tenth of offices that is asked most, and of the others.
    pub offices: [Histogram<u32>; 2],
    /// Longest time without an answer while calls were under way or wanted,
    pub silence_us: Span,
    /// and the longest that no ordered blow to the server excuses.
    pub unexcused_silence_us: Span,
    /// People by persona, of those that came to an end: all, and those with a place.
    pub ended: [(u64, u64); 4],
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            counts: Counts::default(),
            response: histogram(),
            service: histogram(),
            lag: histogram(),
            journey: histogram(),
            personas: std::array::from_fn(|_| histogram()),
            offices: std::array::from_fn(|_| histogram()),
            silence_us: (0, 0),
            unexcused_silence_us: (0, 0),
            ended: [(0, 0); 4],
        }
    }
}

impl Tally {
    /// With those of another thread.
    pub fn add(&mut self, other: &Self) {
        self.counts.add(&other.counts);
        let own = [&mut self.response, &mut self.service, &mut self.lag, &mut self.journey];
        let others = [&other.response, &other.service, &other.lag, &other.journey];
        let own = own.into_iter().chain(&mut self.personas).chain(&mut self.offices);
        for (own, other) in own.zip(others.into_iter().chain(&other.personas).chain(&other.offices)) {
            // Both have the same bounds.
            let _ = own.add(other);
        }
        self.silence_us = self.silence_us.max(other.silence_us);
        self.unexcused_silence_us = self.unexcused_silence_us.max(other.unexcused_silence_us);
        for (own, other) in self.ended.iter_mut().zip(other.ended) {
            *own = (own.0 + other.0, own.1 + other.1);
        }
    }

    /// A person's journey is over.
    pub fn end_journey(&mut self, persona: Option<Persona>, took_us: i64, has_place: bool) {
        if let Some(persona) = persona {
            record(&mut self.journey, took_us);
            let ended = &mut self.ended[persona as usize];
            *ended = (ended.0 + 1, ended.1 + u64::from(has_place));
        }
    }
}
