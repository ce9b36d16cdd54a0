//! Every metric, by name, with its stored handle. Labels are bounded: an office, a lane, a reason, a method; never an
//! id, never a date. Makes no decisions.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use kuota_domain::{refusal::Refusal, rescheduling::Wisher, slot::Lane};
use metrics::{Counter, Gauge, Histogram, Unit, counter, gauge, histogram, with_local_recorder};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use super::{
    calls::{CallSheet, Calls},
    happening::{Happening, Paid},
};
use crate::limits::CALL_SHEETS;

const GRANTS: &str = "kuota_grants_total";
const CANCELLATIONS: &str = "kuota_cancellations_total";
const RESCHEDULES: &str = "kuota_reschedules_total";
const CHECK_INS: &str = "kuota_check_ins_total";
const SERVED: &str = "kuota_served_total";
const NO_SHOWS: &str = "kuota_no_shows_total";
const HOLDS_EXPIRED: &str = "kuota_holds_expired_total";
const PAYMENTS: &str = "kuota_payments_total";
const HELD: &str = "kuota_held_registrations";
const OPEN_CASES: &str = "kuota_payment_cases_open";
const REFUSALS: &str = "kuota_refusals_total";
const SHED: &str = "kuota_shed_total";
const PLACES_FREE: &str = "kuota_places_free";
const PERMITS_OUT: &str = "kuota_permits_out";
const STANDBYS: &str = "kuota_standbys";
const REGISTRATIONS: &str = "kuota_registrations";
const LIVE_APPLICANTS: &str = "kuota_live_applicants";
const WATCHERS: &str = "kuota_watchers";
const PAUSES: &str = "kuota_pauses";
const OVERRIDES: &str = "kuota_overrides";
const QUEUE_DEPTH: &str = "kuota_ledger_queue_depth";
const QUEUE_WAIT: &str = "kuota_ledger_wait_seconds";
const ROUND_COMMANDS: &str = "kuota_ledger_round_commands";
const BATCH_EVENTS: &str = "kuota_batch_events";
const COMMIT: &str = "kuota_commit_seconds";
const OVERLOAD_WAIT: &str = "kuota_overload_wait_seconds";
const OVERLOAD_LIMIT: &str = "kuota_overload_limit";
const LOG_BYTES: &str = "kuota_log_bytes";
const LOG_WRITABLE: &str = "kuota_log_writable";
const REPLAY: &str = "kuota_replay_seconds";
const CLOCK_DRIFT: &str = "kuota_clock_drift_seconds";
const NEXT_OPENING: &str = "kuota_next_opening_seconds";
const BUILD: &str = "kuota_build_info";

const DESCRIPTIONS: [(&str, Unit, &str); 33] = [
    (CHECK_INS, Unit::Count, "Registrations whose people came, by lane"),
    (SERVED, Unit::Count, "Registrations whose people were served, by lane"),
    (NO_SHOWS, Unit::Count, "Registrations whose people did not come, by lane"),
    (RESCHEDULES, Unit::Count, "Registrations that went to another place, by whose wish it was"),
    (HOLDS_EXPIRED, Unit::Count, "Holds that expired unpaid, by lane"),
    (PAYMENTS, Unit::Count, "Payments accepted, by what they came to"),
    (HELD, Unit::Count, "Registrations that wait to be paid for"),
    (OPEN_CASES, Unit::Count, "Payments without a place that wait for an operator"),
    (GRANTS, Unit::Count, "Registrations granted, by lane"),
    (CANCELLATIONS, Unit::Count, "Registrations cancelled, by lane"),
    (REFUSALS, Unit::Count, "Refusals, by reason"),
    (SHED, Unit::Count, "Asks told OVERLOADED, by why"),
    (PLACES_FREE, Unit::Count, "Places free on open service days, by office and lane"),
    (PERMITS_OUT, Unit::Count, "Permits held by asks on their way to the ledger"),
    (STANDBYS, Unit::Count, "Asks that wait for the ledger without a permit"),
    (REGISTRATIONS, Unit::Count, "Registrations in memory"),
    (LIVE_APPLICANTS, Unit::Count, "Applicants with a live registration"),
    (WATCHERS, Unit::Count, "Watches of availability under way"),
    (PAUSES, Unit::Count, "Pauses in force"),
    (OVERRIDES, Unit::Count, "Slots with a quota or an opening above the catalogue"),
    (QUEUE_DEPTH, Unit::Count, "Asks that wait for the ledger"),
    (QUEUE_WAIT, Unit::Seconds, "Time an ask waited for the ledger"),
    (ROUND_COMMANDS, Unit::Count, "Commands decided in one go"),
    (BATCH_EVENTS, Unit::Count, "Events committed together"),
    (COMMIT, Unit::Seconds, "Time to encode, append and sync one batch"),
    (
        OVERLOAD_WAIT,
        Unit::Seconds,
        "Least time that the first in line waited for the log, of 0.1 s; above 0.05 asks are shed",
    ),
    (OVERLOAD_LIMIT, Unit::Count, "Asks that may wait while the server is overloaded; +Inf while it is not"),
    (LOG_BYTES, Unit::Bytes, "Size of the log"),
    (LOG_WRITABLE, Unit::Count, "1 while the log takes batches, 0 while it is full or failed"),
    (REPLAY, Unit::Seconds, "Time the log took to replay at the start"),
    (CLOCK_DRIFT, Unit::Seconds, "Wall clock against monotonic clock since the start; writes pause at 5"),
    (NEXT_OPENING, Unit::Seconds, "Time until the next opening; NaN when none is scheduled"),
    (BUILD, Unit::Count, "Always 1, with the version"),
];

pub(super) const SECONDS: [f64; 14] =
    [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];
const COUNTS: [f64; 13] =
    [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1_024.0, 2_048.0, 4_096.0];

/// Every metric, and the registry they live in.
pub struct Metrics {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    stored: Stored,
    calls: Calls,
    places_free: Mutex<HashMap<(String, Lane), Gauge>>,
}

/// Handles: a call through one costs a tenth of a look-up by name.
struct Stored {
    grants: [Counter; Lane::ALL.len()],
    cancellations: [Counter; Lane::ALL.len()],
    holds_expired: [Counter; Lane::ALL.len()],
    reschedules: [Counter; Wisher::ALL.len()],
    check_ins: [Counter; Lane::ALL.len()],
    served: [Counter; Lane::ALL.len()],
    no_shows: [Counter; Lane::ALL.len()],
    payments: [Counter; Paid::NAMES.len()],
    refusals: [Counter; Refusal::REASONS.len()],
    shed: [Counter; Shed::ALL.len()],
    overload_wait: Gauge,
    overload_limit: Gauge,
    queue_depth: Gauge,
    queue_wait: Histogram,
    round_commands: Histogram,
    batch_events: Histogram,
    commit: Histogram,
    log_bytes: Gauge,
    log_writable: Gauge,
    replay: Gauge,
}

/// Why an ask was told to come back later.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shed {
    /// As many wait as the log takes in time.
    QueueWait,
    /// As many of its connection wait as there is room for others.
    Connection,
    /// The queue has no room at all.
    QueueFull,
}

impl Shed {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::QueueWait, Self::Connection, Self::QueueFull];

    /// Its label.
    const fn name(self) -> &'static str {
        match self {
            Self::QueueWait => "queue_wait",
            Self::Connection => "connection",
            Self::QueueFull => "queue_full",
        }
    }
}

/// What is measured when somebody looks.
#[derive(Clone, Debug, Default)]
pub struct Gauges {
    /// Places free by office and lane.
    pub places_free: HashMap<(String, Lane), u64>,
    /// Permits held by asks.
    pub permits_out: u64,
    /// Asks without permits.
    pub standbys: u64,
    /// Registrations in memory.
    pub registrations: usize,
    /// Applicants with a live one.
    pub live_applicants: usize,
    /// Registrations that wait to be paid for.
    pub held: usize,
    /// Payments without a place that wait for an operator.
    pub open_cases: usize,
    /// Watches under way.
    pub watchers: usize,
    /// Pauses in force.
    pub pauses: usize,
    /// Slots with something above the catalogue.
    pub overrides: usize,
    /// Orders that wait.
    pub queue_depth: usize,
    /// Wall clock against monotonic clock.
    pub clock_drift_ms: i64,
    /// Until the next opening.
    pub next_opening_ms: Option<i64>,
}

impl Metrics {
    /// A registry of its own: two servers in one process do not mix.
    ///
    /// # Panics
    /// When a bucket list is empty, which it is not.
    #[must_use]
    pub fn new() -> Self {
        let buckets = |builder: PrometheusBuilder, names: &[&str], buckets: &[f64]| {
            names.iter().fold(builder, |builder, name| {
                let name = Matcher::Full((*name).to_owned());
                builder.set_buckets_for_metric(name, buckets).expect("there are buckets")
            })
        };
        let builder = buckets(PrometheusBuilder::new(), &[QUEUE_WAIT, COMMIT], &SECONDS);
        let recorder = buckets(builder, &[ROUND_COMMANDS, BATCH_EVENTS], &COUNTS).build_recorder();
        let handle = recorder.handle();
        with_local_recorder(&recorder, || {
            for (name, unit, description) in DESCRIPTIONS {
                if name.ends_with("_total") {
                    metrics::describe_counter!(name, unit, description);
                } else if [QUEUE_WAIT, COMMIT, ROUND_COMMANDS, BATCH_EVENTS].contains(&name) {
                    metrics::describe_histogram!(name, unit, description);
                } else {
                    metrics::describe_gauge!(name, unit, description);
                }
            }
            gauge!(BUILD, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        });
        let build = || Stored {
            grants: Lane::ALL.map(|lane| counter!(GRANTS, "lane" => lane.name())),
            cancellations: Lane::ALL.map(|lane| counter!(CANCELLATIONS, "lane" => lane.name())),
            holds_expired: Lane::ALL.map(|lane| counter!(HOLDS_EXPIRED, "lane" => lane.name())),
            check_ins: Lane::ALL.map(|lane| counter!(CHECK_INS, "lane" => lane.name())),
            served: Lane::ALL.map(|lane| counter!(SERVED, "lane" => lane.name())),
            no_shows: Lane::ALL.map(|lane| counter!(NO_SHOWS, "lane" => lane.name())),
            reschedules: Wisher::ALL.map(|by| counter!(RESCHEDULES, "by" => by.name())),
            payments: Paid::NAMES.map(|outcome| counter!(PAYMENTS, "outcome" => outcome)),
            refusals: Refusal::REASONS.map(|reason| counter!(REFUSALS, "reason" => reason)),
            shed: Shed::ALL.map(|why| counter!(SHED, "why" => why.name())),
            overload_wait: gauge!(OVERLOAD_WAIT),
            overload_limit: gauge!(OVERLOAD_LIMIT),
            queue_depth: gauge!(QUEUE_DEPTH),
            queue_wait: histogram!(QUEUE_WAIT),
            round_commands: histogram!(ROUND_COMMANDS),
            batch_events: histogram!(BATCH_EVENTS),
            commit: histogram!(COMMIT),
            log_bytes: gauge!(LOG_BYTES),
            log_writable: gauge!(LOG_WRITABLE),
            replay: gauge!(REPLAY),
        };
        let stored = with_local_recorder(&recorder, build);
        let metrics =
            Self { recorder, handle, stored, calls: Calls::new(CALL_SHEETS), places_free: Mutex::default() };
        metrics.log_writable(true);
        metrics.congested(Duration::ZERO, None);
        metrics
    }

    /// Something happened to a registration of a lane, and is in the log.
    pub fn happened(&self, happening: Happening, lane: Lane) {
        match happening {
            Happening::Granted => self.stored.grants[lane.index()].increment(1),
            Happening::Cancelled => self.stored.cancellations[lane.index()].increment(1),
            Happening::Expired => self.stored.holds_expired[lane.index()].increment(1),
            Happening::CheckedIn => self.stored.check_ins[lane.index()].increment(1),
            Happening::Served => self.stored.served[lane.index()].increment(1),
            Happening::NoShow => self.stored.no_shows[lane.index()].increment(1),
            Happening::Rescheduled(by) => self.stored.reschedules[by as usize].increment(1),
            Happening::Paid(paid) => self.stored.payments[paid as usize].increment(1),
            // The operator's write tells.
            Happening::Placed => {}
        }
    }

    /// A caller was told no.
    pub fn refused(&self, refusal: &Refusal) {
        self.stored.refusals[refusal.index()].increment(1);
    }

    /// An ask was told to come back later.
    pub fn shed(&self, why: Shed) {
        self.stored.shed[why as usize].increment(1);
    }

    /// Asks wait that long for the log, and so many may; `None`: as many as there is room for.
    pub fn congested(&self, wait: Duration, limit: Option<usize>) {
        self.stored.overload_wait.set(wait.as_secs_f64());
        self.stored.overload_limit.set(limit.map_or(f64::INFINITY, float));
    }

    /// So many asks waited that long for the ledger.
    pub fn waited(&self, wait: Duration, asks: usize) {
        self.stored.queue_wait.record_many(wait, asks);
    }

    /// The ledger took that many commands; so many still wait.
    pub fn drained(&self, commands: usize, left: usize) {
        self.stored.round_commands.record(float(commands));
        self.stored.queue_depth.set(float(left));
    }

    /// A batch was committed.
    pub fn committed(&self, events: usize, took: Duration, log_bytes: u64) {
        self.stored.batch_events.record(float(events));
        self.stored.commit.record(took);
        self.log_bytes(log_bytes);
    }

    /// The log has that size.
    pub fn log_bytes(&self, bytes: u64) {
        self.stored.log_bytes.set(float(bytes));
    }

    /// Whether the log takes batches.
    pub fn log_writable(&self, writable: bool) {
        self.stored.log_writable.set(f64::from(u8::from(writable)));
    }

    /// The log was replayed.
    pub fn replayed(&self, took: Duration) {
        self.stored.replay.set(took.as_secs_f64());
    }

    /// A sheet on which some connections count their calls.
    #[must_use]
    pub fn call_sheet(&self) -> Arc<CallSheet> {
        self.calls.sheet()
    }

    /// Unary calls that are not answered yet.
    #[must_use]
    pub fn calls_under_way(&self) -> u64 {
        self.calls.unary_under_way()
    }

    /// Adds up what histograms keep one by one until somebody looks; to be done now and then, for nobody may ever look.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }

    /// Everything in Prometheus' text format, with these gauges.
    #[must_use]
    pub fn render(&self, gauges: &Gauges) -> String {
        with_local_recorder(&self.recorder, || {
            let mut places = self.places_free.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            for handle in places.values() {
                handle.set(0.0);
            }
            for ((office, lane), free) in &gauges.places_free {
                let handle = places.entry((office.clone(), *lane)).or_insert_with(
                    || gauge!(PLACES_FREE, "office" => office.clone(), "lane" => lane.name()),
                );
                handle.set(float(*free));
            }
            gauge!(PERMITS_OUT).set(float(gauges.permits_out));
            gauge!(STANDBYS).set(float(gauges.standbys));
            gauge!(REGISTRATIONS).set(float(gauges.registrations));
            gauge!(LIVE_APPLICANTS).set(float(gauges.live_applicants));
            gauge!(HELD).set(float(gauges.held));
            gauge!(OPEN_CASES).set(float(gauges.open_cases));
            gauge!(WATCHERS).set(float(gauges.watchers));
            gauge!(PAUSES).set(float(gauges.pauses));
            gauge!(OVERRIDES).set(float(gauges.overrides));
            gauge!(CLOCK_DRIFT).set(seconds(gauges.clock_drift_ms));
            gauge!(NEXT_OPENING).set(gauges.next_opening_ms.map_or(f64::NAN, seconds));
        });
        self.stored.queue_depth.set(float(gauges.queue_depth));
        self.handle.run_upkeep();
        let mut text = self.handle.render();
        text.push_str(&self.calls.render());
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

#[expect(clippy::cast_precision_loss, reason = "a metric of 2^53 may be off by one")]
fn float(number: impl TryInto<u64>) -> f64 {
    number.try_into().unwrap_or(u64::MAX) as f64
}

#[expect(clippy::cast_precision_loss, reason = "a span of 2^53 ms may be off by one")]
fn seconds(span_ms: i64) -> f64 {
    span_ms as f64 / 1_000.0
}
