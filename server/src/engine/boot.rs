//! From a log to a ledger that is ready to serve: replay, then what the catalogue and the calendar ask for.

use std::{io, sync::Arc, time::Instant};

use kuota_domain::{
    catalog::Catalog,
    event::{Actor, Change, Event},
    ledger::{CatalogConflict, Ledger, Unfit},
    nik::NikKey,
    time::UnixMillis,
};
use tracing::{info, warn};
use uuid::Uuid;

use super::{
    LogWriter,
    replay::{Replayed, replay},
};
use crate::{
    limits::BATCH_COMMANDS_MAX,
    log::{AppendError, EventLog, FORMAT, ReadError},
    telemetry::Metrics,
};

/// Service days that `--demo` opens.
const DEMO_DAYS: usize = 5;

/// Why a server cannot start on a log.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// It cannot be read or is not understood.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It contradicts itself.
    #[error(transparent)]
    Misfit(#[from] Unfit),
    /// A thread cannot be started.
    #[error("a thread of the replay cannot be started: {0}")]
    Thread(io::Error),
    /// It was written with another key.
    #[error(
        "the NIK key is not the one this log was written with: repeats and live registrations would be missed"
    )]
    NikKey,
    /// The catalogue contradicts it.
    #[error(transparent)]
    Catalog(#[from] CatalogConflict),
    /// It cannot be written.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The clock stands before the log's last instant.
    #[error(
        "the clock says {now_ms} ms, {behind_ms} ms before the last event of the log: set it right, or wait"
    )]
    Clock {
        /// Now.
        now_ms: i64,
        /// Behind by.
        behind_ms: i64,
    },
}

/// A ledger with its log.
#[derive(Debug)]
pub struct Recovered {
    /// State.
    pub ledger: Ledger,
    /// Where the log goes on.
    pub writer: LogWriter,
    /// The last instant in the log.
    pub now: UnixMillis,
    /// Events replayed.
    pub events: u64,
}

/// Replays a log.
///
/// # Errors
/// When the log is damaged, not understood, contradicts itself, or belongs to another key.
pub fn recover(
    mut log: Box<dyn EventLog>,
    nik_key: &NikKey,
    metrics: Arc<Metrics>,
) -> Result<Recovered, BootError> {
    let began = Instant::now();
    let Replayed { ledger, chain, now } = replay(&mut *log)?;
    let identity = ledger.identity();
    if identity.is_some_and(|identity| identity.nik_key_check != nik_key.check_value(identity.log_id)) {
        return Err(BootError::NikKey);
    }
    metrics.replayed(began.elapsed());
    let events = chain.last_seq();
    Ok(Recovered { ledger, writer: LogWriter::new(log, chain, metrics), now, events })
}

impl Recovered {
    /// Opens an empty log.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn open_log(&mut self, nik_key: &NikKey, now: UnixMillis) -> Result<(), BootError> {
        if self.ledger.identity().is_some() {
            return Ok(());
        }
        let log_id = Uuid::new_v4().as_u128();
        let nik_key_check = nik_key.check_value(log_id);
        self.write(vec![Change::LogOpened { log_id, format: FORMAT, nik_key_check }], ("start", ""), now)?;
        Ok(())
    }

    /// Raises the log of an older server to the format of this one, before anything else is written.
    ///
    /// # Errors
    /// When the log cannot be written.
    pub fn raise_format(&mut self, now: UnixMillis) -> Result<(), BootError> {
        let before = self.ledger.identity().map(|identity| identity.format);
        if self.ledger.format_due().is_some() && self.write(Vec::new(), ("start", "a newer server"), now)? {
            info!(before, now = FORMAT, "the log's format was raised: older servers will refuse it");
        }
        Ok(())
    }

    /// Brings the ledger in line with the catalogue and the calendar.
    ///
    /// # Errors
    /// When the catalogue would take something away, or the log cannot be written.
    pub fn apply_catalog(&mut self, catalog: &Catalog, now: UnixMillis) -> Result<(), BootError> {
        let digest = catalog.digest();
        let mut has_space = true;
        // An operator may have applied another since: the one named at the start counts when it is another one itself.
        if self.ledger.catalog_at_start() == Some(digest) {
            if !self.ledger.reconcile(catalog, true)?.is_empty() {
                info!(
                    "the catalogue an operator applied stays in force: the one named at the start has not changed"
                );
            }
        } else {
            let mut changes = self.ledger.reconcile(catalog, false)?;
            if self.ledger.catalog_at_start().is_some() {
                info!(
                    changes = changes.len(),
                    "the catalogue named at the start is another one than before: applied"
                );
            }
            changes.push(Change::CatalogApplied { digest, at_start: true });
            has_space = self.write(changes, ("catalogue", ""), now)?;
        }
        while has_space && self.ledger.next_due() <= now {
            let changes = self.ledger.due(now);
            has_space = self.write(changes, ("schedule", ""), now)?;
        }
        Ok(())
    }

    /// Opens the next five service days at once.
    ///
    /// # Errors
    /// When the log cannot be written.
    pub fn open_demo(&mut self, now: UnixMillis) -> Result<(), BootError> {
        let changes = self.ledger.open_now(DEMO_DAYS, now);
        self.write(changes, ("--demo", "one-off opening of the next five service days"), now)?;
        Ok(())
    }

    /// The instant to start from: the clock's, or the log's last where the clock is a little behind.
    ///
    /// # Errors
    /// When it is behind by more than a drift that is put up with.
    pub fn start_from(&self, now: UnixMillis) -> Result<UnixMillis, BootError> {
        let behind_ms = self.now.0.saturating_sub(now.0);
        let tolerated = behind_ms <= crate::clock::DRIFT_MAX_MS;
        if tolerated { Ok(now.max(self.now)) } else { Err(BootError::Clock { now_ms: now.0, behind_ms }) }
    }

    /// Applies, appends, and takes back what could not be appended. A full log is no reason not to serve what is
    /// there: says whether it took the changes.
    fn write(
        &mut self,
        changes: Vec<Change>,
        (subject, reason): (&str, &str),
        now: UnixMillis,
    ) -> Result<bool, BootError> {
        self.now = self.now.max(now);
        let changes = self.ledger.format_due().into_iter().chain(changes);
        let event =
            |change| Event { at: self.now, actor: Actor::system(subject), reason: reason.into(), change };
        let events: Vec<Event> = changes.map(event).collect();
        for batch in events.chunks(BATCH_COMMANDS_MAX) {
            for (seq, event) in (self.writer.chain.last_seq() + 1..).zip(batch) {
                self.ledger.apply(event).map_err(|misfit| Unfit { seq, misfit })?;
            }
            self.ledger.seal();
            match self.writer.append(batch, self.now) {
                Ok(()) => self.ledger.commit(),
                Err(AppendError::Full) if self.writer.chain.last_seq() > 0 => {
                    self.ledger.roll_back();
                    self.writer.metrics.log_writable(false);
                    warn!(
                        subject,
                        "the log is full: serving what is there, and trying again when there is space"
                    );
                    return Ok(false);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }
}
