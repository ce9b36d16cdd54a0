//! A log that takes so long for each event: what a server can do is then known, and little.

use std::{
    thread,
    time::{Duration, Instant},
};

use kuota_server::log::{AppendError, EventLog, ReadError, Row};

#[derive(Debug)]
struct SlowLog {
    log: Box<dyn EventLog>,
    each: Duration,
}

/// Between engine and log.
pub(crate) fn slowed(each: Duration) -> Box<dyn FnOnce(Box<dyn EventLog>) -> Box<dyn EventLog> + Send> {
    Box::new(move |log| Box::new(SlowLog { log, each }))
}

impl EventLog for SlowLog {
    fn append(&mut self, row: &Row) -> Result<(), AppendError> {
        let events = u32::try_from(row.last_seq - row.first_seq + 1).unwrap_or(u32::MAX);
        let until = Instant::now() + self.each * events;
        self.log.append(row)?;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            thread::park_timeout(left);
        }
    }

    fn read(&mut self, visit: &mut dyn FnMut(&Row) -> Result<(), ReadError>) -> Result<(), ReadError> {
        self.log.read(visit)
    }

    fn last_seq(&mut self) -> Result<u64, ReadError> {
        self.log.last_seq()
    }

    fn size_bytes(&self) -> u64 {
        self.log.size_bytes()
    }
}
