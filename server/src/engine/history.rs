//! Looking back: what the log says of one registration, office or actor, and every registration as it stands. Reads in
//! bounded pieces, and lets few read at once: operators must not slow down what the log is for.

use std::sync::Arc;

use kuota_domain::{
    calendar::ServiceDay,
    event::{Change, Event},
    ids::{OfficeNumber, RegistrationId},
    registration::Registration,
    time::UnixMillis,
};
use tokio::sync::OwnedSemaphorePermit;

use super::{Engine, Failure, Pushback};
use crate::{
    limits::{HISTORY_EVENTS_MAX, HISTORY_ROWS_MAX},
    log::decode_events,
};

/// How far behind the clock of a caller's id the log may be.
const ID_CLOCK_TOLERANCE_MS: i64 = 60_000;

/// Whose history: of everything that is named, and of everything where nothing is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Subject {
    /// Of this registration.
    pub registration: Option<RegistrationId>,
    /// Of this office.
    pub office: Option<OfficeNumber>,
    /// Of this actor.
    pub actor: Option<Box<str>>,
}

/// Which events.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HistoryQuery {
    /// Whose.
    pub subject: Subject,
    /// From then on.
    pub from: UnixMillis,
    /// Before then.
    pub to: UnixMillis,
    /// After the event of this number.
    pub after: u64,
    /// At most so many.
    pub most: usize,
}

/// A part of the history.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Events with their numbers.
    pub events: Vec<(u64, Event)>,
    /// The number of the last event looked at, unless that was the last of all.
    pub goes_on_after: Option<u64>,
}

impl Subject {
    fn matches(&self, event: &Event) -> bool {
        self.registration.is_none_or(|id| event.change.is_about(id))
            && self.office.is_none_or(|office| concerns(&event.change, office))
            && self.actor.as_ref().is_none_or(|actor| event.actor.subject == *actor)
    }

    /// The instant before which there is nothing of it: ids of registrations begin with the time they were made.
    fn begins(&self) -> UnixMillis {
        self.registration.map_or(UnixMillis::MIN, |id| {
            let made_ms = i64::try_from(id.0 >> 80).unwrap_or(i64::MAX);
            UnixMillis(made_ms).plus_ms(-ID_CLOCK_TOLERANCE_MS)
        })
    }
}

/// Whether a change is about an office; a pause of everywhere is about each.
fn concerns(change: &Change, wanted: OfficeNumber) -> bool {
    let is_pause = matches!(change, Change::Paused(_) | Change::Resumed(_));
    change.place().office.map_or(is_pause, |office| office == wanted)
        || change.slots().any(|slot| slot.office == wanted)
}

impl Engine {
    /// Reads a part of the log. Blocks: not to be called where calls are served.
    ///
    /// # Errors
    /// When too many read, or the log cannot be read.
    pub fn history(&self, query: &HistoryQuery) -> Result<History, Failure> {
        let _seat = self.take_reader()?;
        let from = query.from.max(query.subject.begins());
        let mut history = History::default();
        let (mut looked_at, mut events_left) = (query.after, HISTORY_EVENTS_MAX);
        let read = self.reader.read_after(query.after, from, HISTORY_ROWS_MAX, &mut |row| {
            let mut events = Vec::new();
            decode_events(&row.payload, UnixMillis(row.now_ms), &mut events)?;
            for (number, event) in (row.first_seq..).zip(events) {
                if number <= query.after {
                    continue;
                }
                if event.at >= query.to {
                    return Ok(false);
                }
                if history.events.len() == query.most || events_left == 0 {
                    history.goes_on_after = Some(looked_at);
                    return Ok(false);
                }
                (looked_at, events_left) = (number, events_left - 1);
                if event.at >= from && query.subject.matches(&event) {
                    history.events.push((number, event));
                }
            }
            Ok(true)
        });
        let went_on = read.map_err(|error| {
            tracing::error!(%error, "the log cannot be read back");
            Failure::LogUnreadable
        })?;
        if went_on {
            history.goes_on_after = Some(looked_at);
        }
        Ok(history)
    }

    /// Registrations as they stand, by office, service day and queue number, with a seat to be kept as long as the
    /// list is. Blocks like [`Engine::history`].
    ///
    /// # Errors
    /// When too many read.
    pub fn export(
        &self,
        office: Option<OfficeNumber>,
        (from, to): (Option<ServiceDay>, Option<ServiceDay>),
    ) -> Result<(Vec<Arc<Registration>>, OwnedSemaphorePermit), Failure> {
        let seat = self.take_reader()?;
        let mut registrations = Vec::new();
        self.read.finder.for_each(|registration| {
            let slot = registration.slot;
            let wanted = office.is_none_or(|office| office == slot.office)
                && from.is_none_or(|from| slot.day >= from)
                && to.is_none_or(|to| slot.day <= to);
            registrations.extend(wanted.then(|| registration.clone()));
        });
        registrations.sort_unstable_by_key(|found| (found.slot.office, found.slot.day, found.queue_number));
        Ok((registrations, seat))
    }

    fn take_reader(&self) -> Result<OwnedSemaphorePermit, Failure> {
        self.readers.clone().try_acquire_owned().map_err(|_| Failure::Overloaded(Pushback::default()))
    }
}
