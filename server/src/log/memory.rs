//! A log in memory: for tests and benches, and for nothing that must last.

use super::{AppendError, EventLog, ReadError, Row};

/// Keeps rows in a list.
#[derive(Debug, Default)]
pub struct MemoryLog {
    rows: Vec<Row>,
}

impl EventLog for MemoryLog {
    fn append(&mut self, row: &Row) -> Result<(), AppendError> {
        self.rows.push(row.clone());
        Ok(())
    }

    fn read(&mut self, visit: &mut dyn FnMut(&Row) -> Result<(), ReadError>) -> Result<(), ReadError> {
        self.rows.iter().try_for_each(visit)
    }

    fn last_seq(&mut self) -> Result<u64, ReadError> {
        Ok(self.rows.last().map_or(0, |row| row.last_seq))
    }

    fn size_bytes(&self) -> u64 {
        self.rows.iter().map(|row| row.payload.len() as u64).sum()
    }
}
