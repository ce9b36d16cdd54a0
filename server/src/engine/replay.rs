//! Replaying a log: one thread reads and checks it, one decodes, one applies. What one hands over to the next comes back to be
//! filled again, so that it need not be new memory.

use std::{
    io, mem,
    thread::{self, ScopedJoinHandle},
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, Sender, bounded};
use kuota_domain::{
    event::Event,
    ledger::{Ledger, Replay},
    time::UnixMillis,
};
use tracing::info;

use super::BootError;
use crate::{
    limits::{REPLAY_DECODED_AHEAD_MAX, REPLAY_EVENTS_TOGETHER, REPLAY_ROWS_AHEAD_MAX},
    log::{Chain, EventLog, FORMAT, ReadError, decode_events},
};

const PROGRESS_EVERY: Duration = Duration::from_secs(2);

/// What a log adds up to.
#[derive(Debug)]
pub(super) struct Replayed {
    pub(super) ledger: Ledger,
    /// Where it ends.
    pub(super) chain: Chain,
    /// Its last instant.
    pub(super) now: UnixMillis,
}

/// Replays a log.
///
/// # Errors
/// When it is damaged, not understood, or contradicts itself: of several faults the first in the log.
pub(super) fn replay(log: &mut dyn EventLog) -> Result<Replayed, BootError> {
    let total = log.last_seq()?;
    let (rows, rows_ahead) = between(REPLAY_ROWS_AHEAD_MAX);
    let (events, events_ahead) = between(REPLAY_DECODED_AHEAD_MAX);
    let (applied, decoded, read) = thread::scope(|scope| {
        let spawn = |name: &str| thread::Builder::new().name(name.into());
        let read = spawn("kuota-read").spawn_scoped(scope, move || read(log, &rows))?;
        let decoded = spawn("kuota-decode").spawn_scoped(scope, move || decode(&rows_ahead, &events))?;
        // This thread's end of the line is gone when it has applied all, or one did not fit: then the others end too.
        let applied = apply(events_ahead, total);
        Ok::<_, io::Error>((applied, joined(decoded), joined(read)))
    })
    .map_err(|error| ReadError::Storage(error.to_string()))?;
    let (ledger, now) = applied?;
    decoded?;
    Ok(Replayed { ledger, chain: read?, now })
}

fn joined<T>(thread: ScopedJoinHandle<'_, Result<T, ReadError>>) -> Result<T, ReadError> {
    thread.join().unwrap_or_else(|_| Err(ReadError::Storage("a thread of the replay panicked".into())))
}

/// One end of a line between two threads.
struct Giver<T> {
    to: Sender<T>,
    back: Receiver<T>,
}

/// The other. Of more than enough to be filled again some may go.
struct Taker<T> {
    from: Receiver<T>,
    back: Sender<T>,
}

fn between<T>(most: usize) -> (Giver<T>, Taker<T>) {
    let ((to, from), (give_back, back)) = (bounded(most), bounded(most));
    (Giver { to, back }, Taker { from, back: give_back })
}

impl<T: Default> Giver<T> {
    /// Hands something over, and leaves something to fill in its place; false when nobody takes it any more.
    fn give(&self, full: &mut T) -> bool {
        self.to.send(mem::replace(full, self.back.try_recv().unwrap_or_default())).is_ok()
    }
}

/// Rows that are decoded together.
#[derive(Default)]
struct Rows {
    payloads: Vec<u8>,
    /// The first event of each, its instant, and where its payload ends.
    rows: Vec<(u64, UnixMillis, usize)>,
    events: u64,
}

/// Events that are applied together.
#[derive(Default)]
struct Events {
    /// In their order.
    events: Vec<Event>,
    /// The last instant among their rows.
    now: Option<UnixMillis>,
}

fn read(log: &mut dyn EventLog, decoder: &Giver<Rows>) -> Result<Chain, ReadError> {
    let (mut chain, mut rows) = (Chain::default(), Rows::default());
    log.read(&mut |row| {
        chain.follow(row)?;
        if row.format > FORMAT {
            return Err(ReadError::NotUnderstood(format!(
                "the log has format {}; this server knows format {FORMAT}: start a newer one",
                row.format
            )));
        }
        rows.payloads.extend_from_slice(&row.payload);
        rows.rows.push((row.first_seq, UnixMillis(row.now_ms), rows.payloads.len()));
        rows.events += row.last_seq - row.first_seq + 1;
        // Who takes nothing has found a fault before this row, and tells it.
        if rows.events >= REPLAY_EVENTS_TOGETHER && !decoder.give(&mut rows) {
            return Err(ReadError::Damaged(format!("before event {}", row.last_seq)));
        }
        Ok(())
    })
    .inspect_err(|_| {
        decoder.give(&mut rows);
    })?;
    decoder.give(&mut rows);
    Ok(chain)
}

fn decode(reader: &Taker<Rows>, ledger: &Giver<Events>) -> Result<(), ReadError> {
    let mut decoded = Events::default();
    for mut rows in &reader.from {
        let mut begin = 0;
        for (first, now, end) in rows.rows.drain(..) {
            let read = decode_events(&rows.payloads[begin..end], now, &mut decoded.events);
            if let Err(error) = read {
                // What comes before it may not fit: that is told first.
                ledger.give(&mut decoded);
                return Err(ReadError::NotUnderstood(format!("event {first}: {error}")));
            }
            decoded.now = decoded.now.max(Some(now));
            begin = end;
        }
        rows.payloads.clear();
        rows.events = 0;
        let _ = reader.back.try_send(rows);
        if !ledger.give(&mut decoded) {
            break;
        }
    }
    Ok(())
}

fn apply(Taker { from, back }: Taker<Events>, total: u64) -> Result<(Ledger, UnixMillis), BootError> {
    let mut replay = Replay::of(total);
    let (mut applied, mut last, mut told) = (0, UnixMillis::MIN, Instant::now());
    for Events { mut events, now } in from {
        replay.apply(&events)?;
        applied += events.len();
        last = last.max(now.unwrap_or(last));
        if told.elapsed() > PROGRESS_EVERY {
            told = Instant::now();
            info!(events = applied, of = total, "replaying the log");
        }
        // Here what they held is at hand.
        events.clear();
        let _ = back.try_send(Events { events, now: None });
    }
    Ok((replay.end()?, last))
}
