//! The hash chain over the rows: tampering, gaps and reordering show.

use sha2::{Digest, Sha256};

use super::{Row, RowDigest};

/// What stands before the first row.
pub const GENESIS: RowDigest = [0; 32];

/// A row that does not continue the chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainFault {
    /// Rows are missing or doubled.
    #[error("event {expected} should follow, found {found}")]
    Gap {
        /// The number that should come.
        expected: u64,
        /// The number that came.
        found: u64,
    },
    /// A row before it was changed.
    #[error("the row of event {0} does not continue the row before it")]
    Broken(u64),
    /// The row was changed.
    #[error("the row of event {0} does not match its own digest")]
    Changed(u64),
    /// Fewer than one event.
    #[error("the row of event {0} holds no event")]
    Empty(u64),
}

/// Where a log ends: what the next row continues.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Chain {
    next_seq: u64,
    digest: RowDigest,
}

impl Default for Chain {
    fn default() -> Self {
        Self { next_seq: 1, digest: GENESIS }
    }
}

impl Chain {
    /// Digest of the last row.
    #[must_use]
    pub const fn digest(&self) -> RowDigest {
        self.digest
    }

    /// Number of the last event; 0 for an empty log.
    #[must_use]
    pub const fn last_seq(&self) -> u64 {
        self.next_seq - 1
    }

    /// The row that continues the chain. The chain itself moves on with [`Chain::advance`], once it is written.
    #[must_use]
    pub fn seal(
        &self,
        events: u64,
        payload: Vec<u8>,
        (batch_id, writer): (u128, u128),
        (format, now_ms): (u32, i64),
    ) -> Row {
        let mut row = Row {
            first_seq: self.next_seq,
            last_seq: self.next_seq + events.saturating_sub(1),
            batch_id,
            prev_digest: self.digest,
            digest: GENESIS,
            format,
            writer,
            now_ms,
            payload,
        };
        row.digest = digest(&row);
        row
    }

    /// Moves on over a row that this chain sealed.
    pub fn advance(&mut self, sealed: &Row) {
        debug_assert_eq!((sealed.first_seq, sealed.prev_digest), (self.next_seq, self.digest));
        (self.next_seq, self.digest) = (sealed.last_seq + 1, sealed.digest);
    }

    /// Moves on over a row from elsewhere.
    ///
    /// # Errors
    /// When the row does not continue the chain, or was changed.
    pub fn follow(&mut self, row: &Row) -> Result<(), ChainFault> {
        if row.first_seq != self.next_seq {
            return Err(ChainFault::Gap { expected: self.next_seq, found: row.first_seq });
        }
        if row.last_seq < row.first_seq {
            return Err(ChainFault::Empty(row.first_seq));
        }
        if row.prev_digest != self.digest {
            return Err(ChainFault::Broken(row.first_seq));
        }
        if row.digest != digest(row) {
            return Err(ChainFault::Changed(row.first_seq));
        }
        (self.next_seq, self.digest) = (row.last_seq + 1, row.digest);
        Ok(())
    }
}

fn digest(row: &Row) -> RowDigest {
    let mut sha = Sha256::new();
    sha.update(row.prev_digest);
    sha.update(row.first_seq.to_be_bytes());
    sha.update(row.last_seq.to_be_bytes());
    sha.update(row.batch_id.to_be_bytes());
    sha.update(row.format.to_be_bytes());
    sha.update(row.writer.to_be_bytes());
    sha.update(row.now_ms.to_be_bytes());
    sha.update(&row.payload);
    sha.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Row> {
        let mut chain = Chain::default();
        (0..3_u8)
            .map(|n| {
                let row = chain.seal(2, vec![n; 8], (u128::from(n), 7), (1, i64::from(n)));
                chain.follow(&row).unwrap();
                row
            })
            .collect()
    }

    fn follow_all(rows: &[Row]) -> Result<Chain, ChainFault> {
        let mut chain = Chain::default();
        rows.iter().try_for_each(|row| chain.follow(row)).map(|()| chain)
    }

    #[test]
    fn an_untouched_log_is_followed_to_its_end() {
        assert_eq!(follow_all(&rows()).unwrap().last_seq(), 6);
    }

    #[test]
    fn every_change_is_found() {
        let tampered: [(fn(&mut Vec<Row>), ChainFault); 6] = [
            (|rows| rows[1].payload[0] ^= 1, ChainFault::Changed(3)),
            (|rows| rows[1].now_ms += 1, ChainFault::Changed(3)),
            (|rows| rows[1].digest[0] ^= 1, ChainFault::Changed(3)),
            (|rows| rows[2].prev_digest[0] ^= 1, ChainFault::Broken(5)),
            (|rows| drop(rows.remove(1)), ChainFault::Gap { expected: 3, found: 5 }),
            (|rows| rows[0].last_seq = 0, ChainFault::Empty(1)),
        ];
        for (tamper, fault) in tampered {
            let mut rows = rows();
            tamper(&mut rows);
            assert_eq!(follow_all(&rows), Err(fault));
        }
    }
}
