//! The board: every watched slot as it stands by now.

use std::collections::BTreeMap;

use kuota_api::v1::{Lane, Slot, WatchedSlot};

use crate::watch::Update;

/// What names a slot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotKey {
    /// The office.
    pub office_id: String,
    /// The service day: `2026-11-30`.
    pub service_date: String,
    /// The lane.
    pub lane: Lane,
}

/// The slots of a watch, kept current by its updates.
///
/// ```no_run
/// # async fn example(client: kuota_client::Client) -> Result<(), kuota_client::Error> {
/// use kuota_client::{AvailabilityFilter, Board};
///
/// let (mut watch, mut board) = (client.watch(AvailabilityFilter::default()), Board::default());
/// loop {
///     board.apply(&watch.next().await?);
///     let free: u32 = board.slots().filter_map(|slot| slot.available).sum();
///     println!("{} slots, {free} places free", board.len());
/// }
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Board {
    slots: BTreeMap<SlotKey, WatchedSlot>,
}

impl SlotKey {
    /// Names a slot.
    #[must_use]
    pub fn new(office_id: impl Into<String>, service_date: impl Into<String>, lane: Lane) -> Self {
        Self { office_id: office_id.into(), service_date: service_date.into(), lane }
    }

    /// The name of a slot.
    #[must_use]
    pub fn of(slot: &Slot) -> Self {
        Self::new(&slot.office_id, &slot.service_date, slot.lane())
    }
}

impl Board {
    /// Applies an update: a snapshot replaces everything, changes replace their slots.
    pub fn apply(&mut self, update: &Update) {
        match update {
            Update::Snapshot(slots) => {
                self.slots.clear();
                slots.iter().cloned().for_each(|slot| self.put(slot));
            }
            Update::Changed(slots) => slots.iter().cloned().for_each(|slot| self.put(slot)),
        }
    }

    /// Every slot, ordered by office, service day and lane.
    pub fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.slots.values().filter_map(|watched| watched.slot.as_ref())
    }

    /// One slot.
    #[must_use]
    pub fn get(&self, key: &SlotKey) -> Option<&Slot> {
        self.watched(key)?.slot.as_ref()
    }

    /// How many slots there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    pub(crate) fn watched(&self, key: &SlotKey) -> Option<&WatchedSlot> {
        self.slots.get(key)
    }

    pub(crate) fn put(&mut self, watched: WatchedSlot) {
        if let Some(slot) = &watched.slot {
            self.slots.insert(SlotKey::of(slot), watched);
        }
    }
}
