//! Has the kernel fetch a file ahead of whoever goes through it from front to back: by itself it fetches little at a time, and
//! the reader waits for each piece. Only speed depends on it.

use std::{fs::File, num::NonZeroU64};

use rustix::fs::{Advice, fadvise};

use crate::limits::REPLAY_BYTES_AHEAD_MAX;

/// Bytes asked for in one go.
const STEP_BYTES: NonZeroU64 = NonZeroU64::new(8 << 20).unwrap();

/// How far a file has been asked for.
#[derive(Debug)]
pub(super) struct ReadAhead<'a> {
    file: &'a File,
    size: u64,
    asked: u64,
}

impl<'a> ReadAhead<'a> {
    /// From the front.
    pub(super) fn of(file: &'a File) -> Self {
        Self { file, size: file.metadata().map_or(0, |meta| meta.len()), asked: 0 }
    }

    /// The reader has come so far, `done` parts `of` all.
    pub(super) fn reached(&mut self, done: u64, of: u64) {
        let read = u128::from(self.size) * u128::from(done) / u128::from(of.max(1));
        let wanted =
            u64::try_from(read).unwrap_or(u64::MAX).saturating_add(REPLAY_BYTES_AHEAD_MAX).min(self.size);
        while self.asked < wanted {
            // What the kernel does not fetch now it fetches when it is read.
            let _ = fadvise(self.file, self.asked, Some(STEP_BYTES), Advice::WillNeed);
            self.asked += STEP_BYTES.get();
        }
    }
}
