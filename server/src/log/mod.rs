//! The log: an append-only list of event batches, the only truth. Knows rows, not rules.

mod chain;
mod codec;
mod memory;
mod read_ahead;
mod sqlite;
mod wal;

use std::fmt;

pub use self::{
    chain::{Chain, ChainFault, GENESIS},
    codec::{CodecError, decode_events, encode_events},
    memory::MemoryLog,
    sqlite::{LogOptions, LogReader, SqliteLog, check_wal, read_rows},
    wal::WalReport,
};

/// Version of the event set this server writes, and the newest it understands.
pub use kuota_domain::event::FORMAT;

/// SHA-256 of a row, over the row before it.
pub type RowDigest = [u8; 32];

/// One batch of events as stored.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Row {
    /// Number of its first event in the log, from 1.
    pub first_seq: u64,
    /// Number of its last event.
    pub last_seq: u64,
    /// UUID of the batch: tells a batch that was written from one that was not.
    pub batch_id: u128,
    /// Digest of the row before it.
    pub prev_digest: RowDigest,
    /// Digest of this row.
    pub digest: RowDigest,
    /// Version of the event set.
    pub format: u32,
    /// UUID of the process that wrote it.
    pub writer: u128,
    /// The batch's instant, Unix time in milliseconds.
    pub now_ms: i64,
    /// `kuota.log.v1.EventBatch`.
    pub payload: Vec<u8>,
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Row({}..={}, {} bytes)", self.first_seq, self.last_seq, self.payload.len())
    }
}

/// A row that could not be appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Nothing was written, surely; there may be space later.
    #[error("the log has no space left")]
    Full,
    /// The storage failed: whether the row is there is unknown until the log is opened again.
    #[error("the log cannot be written: {0}")]
    Broken(String),
}

/// A log that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The storage failed.
    #[error("the log cannot be read: {0}")]
    Storage(String),
    /// It is not a log of this program, or of a newer one.
    #[error("{0}")]
    NotUnderstood(String),
    /// It was damaged or tampered with.
    #[error("the log is damaged: {0}")]
    Damaged(String),
}

impl From<ChainFault> for ReadError {
    fn from(fault: ChainFault) -> Self {
        Self::Damaged(fault.to_string())
    }
}

impl From<CodecError> for ReadError {
    fn from(error: CodecError) -> Self {
        Self::NotUnderstood(error.to_string())
    }
}

/// Where batches go. One writer owns it; every implementation passes the same conformance tests.
pub trait EventLog: Send + fmt::Debug {
    /// Writes one row durably. When it returns `Ok`, no crash loses the row (INV-4).
    ///
    /// # Errors
    /// [`AppendError::Full`] when surely nothing was written, [`AppendError::Broken`] when that is unknown.
    fn append(&mut self, row: &Row) -> Result<(), AppendError>;

    /// Lends every row to `visit`, in order.
    ///
    /// # Errors
    /// When the storage fails, or `visit` does.
    fn read(&mut self, visit: &mut dyn FnMut(&Row) -> Result<(), ReadError>) -> Result<(), ReadError>;

    /// Number of the last event; 0 when empty.
    ///
    /// # Errors
    /// When the storage fails.
    fn last_seq(&mut self) -> Result<u64, ReadError>;

    /// Bytes it takes up.
    fn size_bytes(&self) -> u64;
}
