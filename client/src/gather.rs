//! Makes updates of a watch's messages: whole snapshots, and no state older than one already shown. No connection.

use kuota_api::v1::{WatchAvailabilityResponse, WatchedSlot, watch_availability_response::Event};
use tonic::Code;

use crate::{
    board::{Board, SlotKey},
    error::Failed,
    failure::Failure,
    limits::WATCHED_SLOTS_MAX,
    watch::Update,
};

/// What a watch has shown, and the snapshot under way.
#[derive(Debug, Default)]
pub(crate) struct Gather {
    shown: Board,
    /// Unset once the stream's snapshot is complete.
    snapshot: Option<Vec<WatchedSlot>>,
}

impl Gather {
    /// A new stream begins with a snapshot. What was shown is remembered.
    pub(crate) fn begin_stream(&mut self) {
        self.snapshot = Some(Vec::new());
    }

    /// Takes a message; returns what it shows, if anything.
    pub(crate) fn take(&mut self, message: WatchAvailabilityResponse) -> Result<Option<Update>, Failure> {
        match message.event {
            Some(Event::Snapshot(part)) => {
                let snapshot = self.snapshot.as_mut().ok_or_else(|| broken("a snapshot after its end"))?;
                if snapshot.len() + part.slots.len() > WATCHED_SLOTS_MAX {
                    let message = format!("more than {WATCHED_SLOTS_MAX} slots to watch: narrow the filter");
                    return Err(Failure::answered(Failed::bare(Code::OutOfRange, message)));
                }
                snapshot.extend(part.slots);
                Ok(None)
            }
            Some(Event::SnapshotEnd(end)) => {
                let slots = self.snapshot.take().ok_or_else(|| broken("a second end of the snapshot"))?;
                if usize::try_from(end.slots) != Ok(slots.len()) {
                    return Err(broken("a snapshot with parts missing"));
                }
                Ok(Some(self.replace(slots)))
            }
            Some(Event::Changes(changes)) => {
                if self.snapshot.is_some() {
                    return Err(broken("changes before the snapshot's end"));
                }
                let news: Vec<WatchedSlot> =
                    changes.slots.into_iter().filter(|slot| self.is_news(slot)).collect();
                news.iter().cloned().for_each(|slot| self.shown.put(slot));
                Ok(if news.is_empty() { None } else { Some(Update::Changed(news)) })
            }
            // An event of a newer server is as good a sign of life as a heartbeat.
            Some(Event::Heartbeat(_)) | None => Ok(None),
        }
    }

    /// What the snapshot leaves out is gone; what it has in an older state stays as it was shown.
    fn replace(&mut self, slots: Vec<WatchedSlot>) -> Update {
        let before = std::mem::take(&mut self.shown);
        let mut newest = Vec::with_capacity(slots.len());
        for watched in slots {
            let Some(slot) = &watched.slot else { continue };
            let shown = before.watched(&SlotKey::of(slot));
            newest.push(shown.filter(|shown| shown.revision > watched.revision).cloned().unwrap_or(watched));
        }
        newest.iter().cloned().for_each(|slot| self.shown.put(slot));
        Update::Snapshot(newest)
    }

    fn is_news(&self, watched: &WatchedSlot) -> bool {
        let Some(slot) = &watched.slot else { return false };
        let shown = self.shown.watched(&SlotKey::of(slot));
        // A slot may come in a newer state than its revision says: the same revision may be news.
        shown.is_none_or(|shown| watched.revision >= shown.revision && watched != shown)
    }
}

/// A stream that makes no sense is as good as a broken one: another one is opened.
fn broken(what: &str) -> Failure {
    Failure::answered(Failed::bare(Code::Unknown, format!("the watch is broken: {what}")))
}

#[cfg(test)]
mod tests {
    use kuota_api::v1::{Heartbeat, Lane, Slot, SnapshotEnd, WatchedSlots};

    use super::*;

    fn slot(office: &str, available: u32, revision: u64) -> WatchedSlot {
        let slot = Slot {
            office_id: office.into(),
            service_date: "2026-11-30".into(),
            lane: Lane::Regular.into(),
            available: Some(available),
            ..Slot::default()
        };
        WatchedSlot { slot: Some(slot), revision }
    }

    fn message(event: Event) -> WatchAvailabilityResponse {
        WatchAvailabilityResponse { event: Some(event), server_time: None }
    }

    fn part(slots: &[WatchedSlot]) -> WatchAvailabilityResponse {
        message(Event::Snapshot(WatchedSlots { slots: slots.into() }))
    }

    fn end(slots: u32) -> WatchAvailabilityResponse {
        message(Event::SnapshotEnd(SnapshotEnd { slots }))
    }

    fn changes(slots: &[WatchedSlot]) -> WatchAvailabilityResponse {
        message(Event::Changes(WatchedSlots { slots: slots.into() }))
    }

    #[test]
    fn a_snapshot_is_shown_whole_and_nothing_old_after_it() {
        let mut gather = Gather::default();
        gather.begin_stream();
        assert_eq!(gather.take(part(&[slot("a", 5, 1)])).unwrap(), None);
        assert_eq!(gather.take(part(&[slot("b", 5, 4)])).unwrap(), None);
        let both = Update::Snapshot(vec![slot("a", 5, 1), slot("b", 5, 4)]);
        assert_eq!(gather.take(end(2)).unwrap(), Some(both));
        assert_eq!(gather.take(message(Event::Heartbeat(Heartbeat {}))).unwrap(), None);
        let shown = gather.take(changes(&[slot("a", 4, 2), slot("b", 9, 3)])).unwrap();
        assert_eq!(shown, Some(Update::Changed(vec![slot("a", 4, 2)])), "b is older than what was shown");
        assert_eq!(gather.take(changes(&[slot("a", 4, 2)])).unwrap(), None, "nothing is new");

        gather.begin_stream();
        assert_eq!(gather.take(part(&[slot("a", 5, 1), slot("c", 1, 1)])).unwrap(), None);
        let shown = gather.take(end(2)).unwrap();
        let expected = Update::Snapshot(vec![slot("a", 4, 2), slot("c", 1, 1)]);
        assert_eq!(shown, Some(expected), "the newer state of a stays, b is gone");
    }

    #[test]
    fn a_stream_out_of_order_is_broken() {
        let rows: [&[WatchAvailabilityResponse]; 4] = [
            &[changes(&[slot("a", 1, 1)])],
            &[part(&[slot("a", 1, 1)]), end(2)],
            &[end(0), end(0)],
            &[end(0), part(&[slot("a", 1, 1)])],
        ];
        for messages in rows {
            let mut gather = Gather::default();
            gather.begin_stream();
            let (last, first) = messages.split_last().unwrap();
            for message in first {
                gather.take(message.clone()).unwrap();
            }
            let failure = gather.take(last.clone()).unwrap_err();
            assert!(failure.is_retryable(), "another stream is opened: {failure:?}");
        }
    }
}
