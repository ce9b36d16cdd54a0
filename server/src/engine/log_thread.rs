//! The log's thread: takes one batch at a time, encodes it, appends it durably, says how it went.

use std::{
    any::Any,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Instant,
};

use crossbeam_channel::{Receiver, Sender, bounded};
use kuota_domain::{event::Event, time::UnixMillis};
use uuid::Uuid;

use crate::{
    log::{AppendError, Chain, EventLog, FORMAT, encode_events},
    telemetry::Metrics,
};

/// A log with the place where it ends.
#[derive(Debug)]
pub struct LogWriter {
    pub(super) log: Box<dyn EventLog>,
    pub(super) chain: Chain,
    pub(super) writer: u128,
    pub(super) metrics: Arc<Metrics>,
    /// Of the last batch: the next one goes into it.
    payload: Vec<u8>,
    /// Lives as long as the log is open. Declared last: dropped after the log.
    kept: Option<Box<dyn Any + Send>>,
}

impl LogWriter {
    /// Continues a log from the end of its chain.
    #[must_use]
    pub fn new(log: Box<dyn EventLog>, chain: Chain, metrics: Arc<Metrics>) -> Self {
        metrics.log_bytes(log.size_bytes());
        Self { log, chain, writer: Uuid::new_v4().as_u128(), metrics, payload: Vec::new(), kept: None }
    }

    /// Keeps something, a lock for one, until the log is closed.
    #[must_use]
    pub fn keeping(mut self, kept: Box<dyn Any + Send>) -> Self {
        self.kept = Some(kept);
        self
    }

    /// Appends one batch; when it returns `Ok`, no crash loses it.
    pub(super) fn append(&mut self, events: &[Event], now: UnixMillis) -> Result<(), AppendError> {
        let began = Instant::now();
        let ids = (Uuid::new_v4().as_u128(), self.writer);
        let payload = encode_events(events, now, std::mem::take(&mut self.payload));
        let row = self.chain.seal(events.len() as u64, payload, ids, (FORMAT, now.0));
        self.log.append(&row)?;
        self.chain.advance(&row);
        self.payload = row.payload;
        self.metrics.committed(events.len(), began.elapsed(), self.log.size_bytes());
        Ok(())
    }
}

/// A batch on its way to the log.
#[derive(Debug)]
pub(super) struct Sealed {
    pub(super) events: Vec<Event>,
    pub(super) now: UnixMillis,
}

/// What became of a batch.
#[derive(Debug)]
pub(super) struct Appended {
    pub(super) result: Result<(), AppendError>,
    /// What held the events, empty: the next batch goes into it.
    pub(super) emptied: Vec<Event>,
}

/// The ledger's end of the log's thread. Dropping it ends the thread after its last batch.
#[derive(Debug)]
pub(super) struct LogThread {
    pub(super) batches: Sender<Sealed>,
    pub(super) results: Receiver<Appended>,
    pub(super) thread: JoinHandle<()>,
}

pub(super) fn spawn(mut writer: LogWriter) -> std::io::Result<LogThread> {
    let (batches, incoming) = bounded::<Sealed>(1);
    let (outgoing, results) = bounded(1);
    let thread = thread::Builder::new().name("kuota-log".into()).spawn(move || {
        for Sealed { mut events, now } in incoming {
            let result = writer.append(&events, now);
            events.clear();
            if outgoing.send(Appended { result, emptied: events }).is_err() {
                return;
            }
        }
    })?;
    Ok(LogThread { batches, results, thread })
}
