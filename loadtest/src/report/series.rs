//! The run by the second: threads' seconds merged, shown as they end, and kept as rows of bounded size.

use std::collections::BTreeMap;

use serde::Serialize;

use super::figures::ms;
use crate::{driver::tally::Second, limits::SERIES_SECONDS_MAX};

/// One second of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Which, from T0.
    pub second: i64,
    /// Asks and looks whose time came.
    pub offered: u64,
    /// Asks and looks sent.
    pub sent: u64,
    /// Asks and looks answered.
    pub answered: u64,
    /// Registrations that were not told before.
    pub granted: u64,
    /// Repeats that got the first registration back.
    pub repeated: u64,
    /// Refusals.
    pub refused: u64,
    /// Looks at what is free.
    pub looked: u64,
    /// gRPC errors, timeouts and broken connections.
    pub errors: u64,
    /// Calls not sent at the in-flight cap.
    pub unsent: u64,
    /// Calls sent: a batch is one.
    pub calls: u64,
    /// Calls under way at the end.
    pub in_flight: u64,
    /// Response times of calls that ended in it: median, in milliseconds,
    pub response_p50_ms: f64,
    /// 99th percentile,
    pub response_p99_ms: f64,
    /// 99.9th percentile,
    pub response_p999_ms: f64,
    /// and the longest.
    pub response_max_ms: f64,
    /// 99th percentile of service times.
    pub service_p99_ms: f64,
    /// 99th percentile of the client's own lag.
    pub lag_p99_ms: f64,
    /// CPU of this client's busiest thread, as a share of a core.
    pub client_cpu_percent: f64,
}

/// Seconds as they come from threads.
#[derive(Debug)]
pub struct Series {
    threads: usize,
    open: BTreeMap<i64, (usize, Second)>,
    rows: Vec<Row>,
}

impl Series {
    /// Of so many threads.
    #[must_use]
    pub const fn of(threads: usize) -> Self {
        Self { threads, open: BTreeMap::new(), rows: Vec::new() }
    }

    /// One thread's second; the row when every thread has told of it.
    pub fn take(&mut self, second: Second) -> Option<&Row> {
        let number = second.second;
        let merged = match self.open.remove(&number) {
            None => (1, second),
            Some((threads, mut merged)) => {
                merged.counts.add(&second.counts);
                merged.in_flight += second.in_flight;
                merged.cpu_ns = merged.cpu_ns.max(second.cpu_ns);
                // The bounds are the same.
                let _ = merged.response.add(&second.response);
                let _ = merged.service.add(&second.service);
                let _ = merged.lag.add(&second.lag);
                (threads + 1, merged)
            }
        };
        if merged.0 < self.threads {
            self.open.insert(number, merged);
            return None;
        }
        self.close(&merged.1)
    }

    fn close(&mut self, second: &Second) -> Option<&Row> {
        if self.rows.len() >= SERIES_SECONDS_MAX {
            return None;
        }
        let counts = &second.counts;
        self.rows.push(Row {
            second: second.second,
            offered: counts.offered,
            sent: counts.sent,
            answered: counts.answered,
            granted: counts.granted,
            repeated: counts.repeated,
            refused: counts.refusals(),
            looked: counts.looked,
            errors: counts.failures() + counts.timed_out + counts.broken,
            unsent: counts.unsent,
            calls: counts.calls,
            in_flight: second.in_flight,
            response_p50_ms: ms(&second.response, 0.5),
            response_p99_ms: ms(&second.response, 0.99),
            response_p999_ms: ms(&second.response, 0.999),
            response_max_ms: ms(&second.response, 1.0),
            service_p99_ms: ms(&second.service, 0.99),
            lag_p99_ms: ms(&second.lag, 0.99),
            #[expect(clippy::cast_precision_loss, reason = "figures for people")]
            client_cpu_percent: second.cpu_ns as f64 / 1e7,
        });
        self.rows.last()
    }

    /// All rows, those of seconds in which a thread had ended before included.
    #[must_use]
    pub fn finish(mut self) -> Vec<Row> {
        for (_, (_, second)) in std::mem::take(&mut self.open) {
            self.close(&second);
        }
        self.rows.sort_by_key(|row| row.second);
        self.rows
    }
}
