//! Replaying a log: one thread reads and checks it, some decode in turns, one applies. What one hands over to the next comes
//! back to be filled again, so that it need not be new memory.

use std::{
    mem,
    num::NonZero,
    panic,
    thread::{self, ScopedJoinHandle},
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, Sender, bounded};
use kuota_domain::{
    event::Event,
    ledger::{Ledger, Replay},
    limits::GRANTS_ENTERED_TOGETHER_MAX,
    time::UnixMillis,
};
use tracing::info;

use super::BootError;
use crate::{
    limits::{REPLAY_DECODERS_MAX, REPLAY_EVENT_LISTS_MAX, REPLAY_LIST_EVENTS_MIN, REPLAY_ROW_LISTS_MAX},
    log::{Chain, EventLog, FORMAT, ReadError, Row, decode_events},
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
    let decoders = thread::available_parallelism().map_or(1, NonZero::get).min(REPLAY_DECODERS_MAX);
    let (rows, rows_ahead) = lines(decoders, REPLAY_ROW_LISTS_MAX);
    let (events, events_ahead) = lines(decoders, REPLAY_EVENT_LISTS_MAX);
    thread::scope(|scope| {
        let named = |name: &str| thread::Builder::new().name(name.into());
        let reader = named("kuota-read").spawn_scoped(scope, move || read(log, &rows));
        let reader = reader.map_err(BootError::Thread)?;
        let decoders = rows_ahead.into_iter().zip(events).map(|(reader, ledger)| {
            named("kuota-decode").spawn_scoped(scope, move || decode(&reader, &ledger))
        });
        let decoders = decoders.collect::<Result<Vec<_>, _>>().map_err(BootError::Thread)?;
        // This end of the lines is gone when all is applied, or something did not fit: then the other threads end, too. What the
        // reader finds comes after what is applied.
        let applied = apply(events_ahead, total);
        decoders.into_iter().for_each(joined);
        let chain = joined(reader);
        let (ledger, now) = applied?;
        Ok(Replayed { ledger, chain: chain?, now })
    })
}

fn joined<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| panic::resume_unwind(panic))
}

/// One end of a line between two threads.
struct Giver<T> {
    to: Sender<T>,
    back: Receiver<T>,
}

/// The other.
struct Taker<T> {
    from: Receiver<T>,
    back: Sender<T>,
}

/// What goes from thread to thread, and comes back to be filled again.
trait List: Default {
    fn clear(&mut self);
}

/// Lines that take turns: the first list goes by the first, the next by the next, and so they are taken in their order.
fn lines<T>(lines: usize, lists: usize) -> (Vec<Giver<T>>, Vec<Taker<T>>) {
    let line = |_| {
        let ((to, from), (give_back, back)) = (bounded(lists / lines), bounded(lists / lines));
        (Giver { to, back }, Taker { from, back: give_back })
    };
    (0..lines).map(line).unzip()
}

impl<T: List> Giver<T> {
    /// Hands a list over, and leaves an empty one in its place; false when nobody takes it any more.
    fn give(&self, list: &mut T) -> bool {
        self.to.send(mem::replace(list, self.back.try_recv().unwrap_or_default())).is_ok()
    }
}

impl<T: List> Taker<T> {
    fn give_back(&self, mut list: T) {
        list.clear();
        // Of more than enough some may go.
        let _ = self.back.try_send(list);
    }
}

/// Rows that are decoded together.
#[derive(Default)]
struct RowList {
    spans: Vec<Span>,
    payloads: Vec<u8>,
    events: u64,
}

/// A row without its payload.
struct Span {
    first_seq: u64,
    last_seq: u64,
    now: UnixMillis,
    /// Where its payload ends among the others.
    end: usize,
}

/// Events that are applied together.
#[derive(Default)]
struct EventList {
    events: Vec<Event>,
    /// The last instant of their rows.
    now: Option<UnixMillis>,
    /// Why there are no more.
    fault: Option<ReadError>,
}

impl List for RowList {
    fn clear(&mut self) {
        self.spans.clear();
        self.payloads.clear();
        self.events = 0;
    }
}

impl List for EventList {
    fn clear(&mut self) {
        self.events.clear();
        self.now = None;
        self.fault = None;
    }
}

impl RowList {
    fn push(&mut self, row: &Row) {
        let Row { first_seq, last_seq, now_ms, .. } = *row;
        self.payloads.extend_from_slice(&row.payload);
        self.spans.push(Span { first_seq, last_seq, now: UnixMillis(now_ms), end: self.payloads.len() });
        self.events += last_seq - first_seq + 1;
    }
}

impl EventList {
    /// Appends the events of a row.
    fn decode(&mut self, span: &Span, payload: &[u8]) -> Result<(), ReadError> {
        let before = self.events.len();
        let decoded = decode_events(payload, span.now, &mut self.events);
        let next = span.first_seq + (self.events.len() - before) as u64;
        decoded.map_err(|error| ReadError::NotUnderstood(format!("event {next}: {error}")))?;
        if next != span.last_seq + 1 {
            let Span { first_seq, last_seq, .. } = span;
            let said = format!("the row of events {first_seq} to {last_seq} ends before event {next}");
            return Err(ReadError::Damaged(said));
        }
        self.now = self.now.max(Some(span.now));
        Ok(())
    }
}

fn read(log: &mut dyn EventLog, decoders: &[Giver<RowList>]) -> Result<Chain, ReadError> {
    let (mut chain, mut list) = (Chain::default(), RowList::default());
    let mut turns = decoders.iter().cycle();
    let mut give = |list: &mut RowList| turns.next().is_some_and(|decoder| decoder.give(list));
    let read = log.read(&mut |row| {
        chain.follow(row)?;
        if row.format > FORMAT {
            return Err(ReadError::NotUnderstood(format!(
                "the log has format {}; this server knows format {FORMAT}: start a newer one",
                row.format
            )));
        }
        list.push(row);
        // Who takes nothing has found a fault before this row, and tells it.
        if list.events >= REPLAY_LIST_EVENTS_MIN && !give(&mut list) {
            return Err(ReadError::Damaged(format!("before event {}", row.last_seq)));
        }
        Ok(())
    });
    give(&mut list);
    read.map(|()| chain)
}

fn decode(reader: &Taker<RowList>, ledger: &Giver<EventList>) {
    let mut list = EventList::default();
    for rows in &reader.from {
        let mut begin = 0;
        let decoded = rows.spans.iter().try_for_each(|span| {
            let payload = &rows.payloads[begin..span.end];
            begin = span.end;
            list.decode(span, payload)
        });
        reader.give_back(rows);
        list.fault = decoded.err();
        if !ledger.give(&mut list) {
            break;
        }
    }
}

fn apply(decoders: Vec<Taker<EventList>>, total: u64) -> Result<(Ledger, UnixMillis), BootError> {
    let mut replay = Replay::of(total, GRANTS_ENTERED_TOGETHER_MAX);
    let (mut applied, mut last, mut told) = (0, UnixMillis::MIN, Instant::now());
    // Whose turn it is has no list any more: then nobody has.
    for decoder in decoders.iter().cycle() {
        let Ok(mut list) = decoder.from.recv() else { break };
        replay = replay.apply(&list.events)?;
        if let Some(fault) = list.fault.take() {
            // A key that waits may not fit, and came before.
            replay.end()?;
            return Err(fault.into());
        }
        applied += list.events.len();
        last = last.max(list.now.unwrap_or(last));
        if told.elapsed() > PROGRESS_EVERY {
            told = Instant::now();
            info!(events = applied, of = total, "replaying the log");
        }
        // Here what they held is at hand.
        decoder.give_back(list);
    }
    drop(decoders);
    Ok((replay.end()?, last))
}
