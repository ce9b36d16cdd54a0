//! Figures of a report, as JSON has them: loadtest/SCHEMA.md says what each is.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::Serialize;
use tonic::Code;

use super::series::Row;
use crate::{exit::Verdict, plan::Persona, verify::judge::Findings};

/// A percentile in milliseconds, by a share from 0 to 1; 0 when nothing was counted.
#[must_use]
pub fn ms(histogram: &Histogram<u32>, share: f64) -> f64 {
    if histogram.is_empty() {
        return 0.0;
    }
    let us = if share >= 1.0 { histogram.max() } else { histogram.value_at_quantile(share) };
    #[expect(clippy::cast_precision_loss, reason = "an hour in microseconds is exact")]
    let ms = us as f64 / 1_000.0;
    ms
}

/// The name of a gRPC code: `InvalidArgument` as `INVALID_ARGUMENT`.
#[must_use]
pub fn code_name(code: i32) -> String {
    let mut name = String::new();
    for letter in format!("{:?}", Code::from_i32(code)).chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

/// Percentiles of one kind of latency, in milliseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[expect(missing_docs, reason = "the names are the percentiles")]
pub struct Percentiles {
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
}

impl Percentiles {
    /// Of a histogram.
    #[must_use]
    pub fn of(histogram: &Histogram<u32>) -> Self {
        let at = |share| ms(histogram, share);
        Self { p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), max: at(1.0) }
    }
}

/// The latencies of a run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Latencies {
    /// done − intended: the headline.
    pub response: Percentiles,
    /// done − sent.
    pub service: Percentiles,
    /// sent − intended: the client's own.
    pub lag: Percentiles,
    /// From a person's first intent to the last answer.
    pub journey: Percentiles,
    /// Response times at the tenth of offices that is asked most,
    pub response_hot_offices: Percentiles,
    /// and at the others.
    pub response_other_offices: Percentiles,
}

/// What became of people of one kind.
#[derive(Clone, Debug, Default, Serialize)]
pub struct PersonaFigures {
    /// Journeys that came to an end; a bot has one for each request id.
    pub journeys: u64,
    /// People with a place.
    pub places: u64,
    /// Their share of all places.
    pub share_percent: f64,
    /// Their response times.
    pub response: Percentiles,
}

/// What became of one office.
#[derive(Clone, Debug, Serialize)]
pub struct OfficeFigures {
    /// Which.
    pub office_id: String,
    /// Places of all its service days.
    pub capacity: u64,
    /// Places that are taken.
    pub granted: u64,
    /// Seconds from the opening to the last place; none when some are left.
    pub sold_out_after_s: Option<f64>,
    /// Asks that were told SOLD_OUT.
    pub told_sold_out: u64,
}

/// What was used.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Usage {
    /// CPU of the driver's threads, in microseconds a call sent.
    pub client_cpu_us_per_call: f64,
    /// CPU of the server in microseconds a call, where it is on this machine.
    pub server_cpu_us_per_call: Option<f64>,
    /// The most memory the load tester used.
    pub peak_memory_mib: f64,
    /// Calls a second that this client makes against a server that does nothing.
    pub ceiling_calls_per_s: f64,
    /// Most calls sent in one second.
    pub busiest_second_calls: u64,
    /// CPU of this client's busiest thread in its busiest second, as a share of a core.
    pub busiest_second_cpu_percent: f64,
    /// How late this machine wakes a thread that waits, 99th percentile.
    pub noise_p99_ms: f64,
}

/// A threshold that was asked for.
#[derive(Clone, Debug, Serialize)]
pub struct RequirementFigure {
    /// As it was asked.
    pub requirement: String,
    /// What was found; none when there is no such figure.
    pub found: Option<f64>,
    /// Whether it holds.
    pub holds: bool,
}

/// Everything a run says.
#[derive(Clone, Debug, Default, Serialize)]
#[expect(missing_docs, reason = "loadtest/SCHEMA.md says what each figure is")]
pub struct Report {
    pub verdict: Verdict,
    pub reasons: Vec<String>,
    pub scenario: String,
    pub seed: u64,
    pub run_id: String,
    pub schedule_digest: String,
    pub time_compression_factor: u64,
    pub target: String,
    pub own_server: bool,
    pub t0: String,
    pub days_were_open: bool,
    pub not_proven: Vec<String>,
    pub duration_s: f64,
    pub people: u64,
    pub offices: usize,
    pub places: u64,
    pub offered: u64,
    pub sent: u64,
    pub calls: u64,
    pub answered: u64,
    pub unsent: u64,
    pub timed_out: u64,
    pub broken: u64,
    pub retries: u64,
    pub retry_amplification: f64,
    pub in_flight_max: u64,
    pub granted: u64,
    pub repeated: u64,
    pub looked: u64,
    pub refused: BTreeMap<String, u64>,
    pub errors: BTreeMap<String, u64>,
    pub errors_excused: u64,
    pub payments: BTreeMap<&'static str, u64>,
    #[serde(flatten)]
    pub findings: Findings,
    pub log_verified: Option<bool>,
    pub latency_ms: Latencies,
    pub silence_max_ms: f64,
    pub silence_unexcused_max_ms: f64,
    pub first_grant_after_t0_ms: Option<i64>,
    pub order_inversions_percent: Option<f64>,
    pub chaos: Option<String>,
    pub usage: Usage,
    pub personas: BTreeMap<&'static str, PersonaFigures>,
    pub by_office: Vec<OfficeFigures>,
    pub requirements: Vec<RequirementFigure>,
    pub command: String,
    pub machine: String,
    pub series: Vec<Row>,
}

impl Report {
    /// A report with every figure there can be: what a threshold may name.
    #[must_use]
    pub fn shape() -> Self {
        let mut shape = Self {
            first_grant_after_t0_ms: Some(0),
            order_inversions_percent: Some(0.0),
            usage: Usage { server_cpu_us_per_call: Some(0.0), ..Usage::default() },
            ..Self::default()
        };
        shape.personas.extend(Persona::ALL.map(|persona| (persona.name(), PersonaFigures::default())));
        shape
    }
}
