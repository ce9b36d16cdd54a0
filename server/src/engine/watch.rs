//! Telling watchers what changed. The ledger's thread notes which slots it touched; one task turns that into numbered
//! steps, ten a second at most; each watcher reads slots as they stand when it comes round to it. So nothing queues up
//! for a watcher, however slow it is: it holds a position, and never an old state. While nobody watches, nothing is noted.

use std::{
    collections::{BTreeSet, VecDeque},
    ops::Deref,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering, fence},
    },
    time::Duration,
};

use dashmap::DashMap;
use hashbrown::HashSet;
use kuota_domain::{
    calendar::ServiceDay,
    gate::Figures,
    ids::OfficeNumber,
    slot::{Lane, SlotKey},
    time::UnixMillis,
};
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore, watch},
    time::Instant,
};

use super::{Directory, Engine, Failure, OfficeEntry};
use crate::limits::{WATCH_EVERY, WATCH_SLOTS_MAX, WATCH_STEPS_KEPT_MAX};

/// Slots touched since the last step.
#[derive(Debug, Default)]
pub(super) struct Changes {
    slots: Mutex<HashSet<SlotKey>>,
    noted: Notify,
    watchers: AtomicUsize,
}

impl Changes {
    /// Whether anybody watches. Asked after the words of slots were written: pairs with the fence in [`Changes::begin`], so
    /// that a watcher who is not seen here sees those words.
    pub(super) fn are_watched(&self) -> bool {
        fence(Ordering::SeqCst);
        self.watchers.load(Ordering::Relaxed) > 0
    }

    /// Somebody watches, from now on. Says whether nobody did.
    fn begin(&self) -> bool {
        let is_first = self.watchers.fetch_add(1, Ordering::Relaxed) == 0;
        fence(Ordering::SeqCst);
        is_first
    }

    fn end(&self) {
        self.watchers.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn note(&self, slots: impl IntoIterator<Item = SlotKey>) {
        let mut noted = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        noted.extend(slots);
        if !noted.is_empty() {
            self.noted.notify_one();
        }
    }

    fn take(&self) -> HashSet<SlotKey> {
        std::mem::take(&mut *self.slots.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Slots that changed together.
#[derive(Debug)]
struct Step {
    revision: u64,
    slots: Vec<SlotKey>,
}

/// What watchers follow: the last steps, and the revision before them.
#[derive(Clone, Debug)]
struct Feed {
    /// Everything up to here is older than the steps.
    before: u64,
    steps: Arc<VecDeque<Arc<Step>>>,
    is_over: bool,
}

impl Feed {
    fn last(&self) -> u64 {
        self.steps.back().map_or(self.before, |step| step.revision)
    }
}

/// Where watchers meet the engine.
#[derive(Debug)]
pub struct WatchHub {
    engine: Arc<Engine>,
    feed: watch::Sender<Feed>,
    /// When each slot last changed; those not in it have not changed since somebody began to watch.
    revisions: DashMap<SlotKey, u64>,
    /// As of then.
    first_revision: AtomicU64,
    seats: Arc<Semaphore>,
    seats_max: usize,
}

/// Which slots. Days before `from` are left out; where it is not said, those before today in each office's zone.
#[derive(Clone, Debug, Default)]
pub struct SlotFilter {
    /// Only this office.
    pub office: Option<OfficeNumber>,
    /// Only from this day on.
    pub from: Option<ServiceDay>,
    /// Only up to this day.
    pub to: Option<ServiceDay>,
    /// Only this lane.
    pub lane: Option<Lane>,
    /// When today is, if it shall not move on.
    pub as_of: Option<UnixMillis>,
}

impl SlotFilter {
    fn first_day(&self, entry: &OfficeEntry, now: UnixMillis) -> ServiceDay {
        self.from.unwrap_or_else(|| ServiceDay::at(self.as_of.unwrap_or(now), &entry.office.zone))
    }

    /// Slots in order of office, day and lane, with their committed figures; those of closed offices on request.
    pub fn slots<'a>(
        &'a self,
        directory: &'a Directory,
        (after, closed_too): (Option<SlotKey>, bool),
        now: UnixMillis,
    ) -> impl Iterator<Item = (SlotKey, Figures)> + 'a {
        let first = after.map_or(OfficeNumber(0), |slot| slot.office);
        let offices = directory.offices_from(first).filter(move |(number, entry)| match self.office {
            Some(office) => office == *number,
            None => entry.open || closed_too,
        });
        let slots = offices.flat_map(move |(office, entry)| {
            let from = self.first_day(entry, now);
            let from = after.filter(|slot| slot.office == office).map_or(from, |slot| slot.day.max(from));
            entry
                .slots_from(from)
                .take_while(|(day, ..)| self.to.is_none_or(|to| *day <= to))
                .map(move |(day, lane, gate)| (SlotKey { office, day, lane }, gate))
        });
        slots
            .filter(move |(slot, _)| self.lane.is_none_or(|lane| lane == slot.lane))
            .filter(move |(slot, _)| after.is_none_or(|after| *slot > after))
            .map(|(slot, gate)| (slot, gate.figures()))
    }

    fn matches(&self, directory: &Directory, slot: SlotKey, now: UnixMillis) -> bool {
        let Some(entry) = directory.office(slot.office) else { return false };
        let from = self.first_day(entry, now);
        self.office.is_none_or(|office| office == slot.office)
            && self.lane.is_none_or(|lane| lane == slot.lane)
            && self.to.is_none_or(|to| slot.day <= to)
            && slot.day >= from
    }
}

/// A slot as a watcher is shown it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sighting {
    /// Which.
    pub slot: SlotKey,
    /// How it stands.
    pub figures: Figures,
    /// At this revision, or later.
    pub revision: u64,
}

/// What a watcher is told next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Tidings {
    /// A part of the snapshot.
    Snapshot(Vec<Sighting>),
    /// The snapshot is complete, with so many slots.
    SnapshotEnd(u32),
    /// Slots that changed.
    Changes(Vec<Sighting>),
    /// Nothing for so long.
    Silence,
}

impl WatchHub {
    /// A hub for so many watchers at once.
    #[must_use]
    pub fn new(engine: Arc<Engine>, seats_max: usize) -> Self {
        // Time makes revisions grow across restarts; the log's own never goes back.
        let first_revision = u64::try_from(engine.started_at().0).unwrap_or(0).max(1);
        let feed = Feed { before: first_revision, steps: Arc::default(), is_over: false };
        let first_revision = AtomicU64::new(first_revision);
        let (feed, _) = watch::channel(feed);
        let seats = Arc::new(Semaphore::new(seats_max));
        Self { engine, feed, revisions: DashMap::new(), first_revision, seats, seats_max }
    }

    /// Watchers now.
    #[must_use]
    pub fn watchers(&self) -> usize {
        self.seats_max.saturating_sub(self.seats.available_permits())
    }

    /// Turns changes into steps until the hub is closed.
    pub async fn run(&self) {
        let mut over = self.feed.subscribe();
        let mut seen_at = self.engine.now();
        let mut next_by_clock = self.cross(seen_at, seen_at).1;
        loop {
            tokio::select! {
                () = self.engine.changes().noted.notified() => {}
                // Slots also open and close by the clock alone.
                () = tokio::time::sleep(WATCH_EVERY) => {}
                _ = over.wait_for(|feed| feed.is_over) => return,
            }
            let mut slots = self.engine.changes().take();
            let now = self.engine.now();
            if !self.engine.changes().are_watched() {
                // Whoever begins looks at every slot; what the clock brings is looked up then.
                (seen_at, next_by_clock) = (now, UnixMillis::MIN);
                continue;
            }
            let directory = self.engine.directory();
            for figures in slots.iter().filter_map(|slot| directory.figures(*slot)) {
                next_by_clock = next_by_clock.min(next_after(figures, now));
            }
            if now >= next_by_clock || now < seen_at {
                let (crossed, next) = self.cross(seen_at, now);
                slots.extend(crossed);
                next_by_clock = next;
            }
            seen_at = now;
            if !slots.is_empty() {
                self.step(slots);
                // Conflated: what changes meanwhile waits for the next step.
                tokio::time::sleep(WATCH_EVERY).await;
            }
        }
    }

    /// Ends every watch, and lets nobody watch any more.
    pub fn close(&self) {
        self.seats.close();
        self.feed.send_modify(|feed| feed.is_over = true);
    }

    /// Begins a watch.
    ///
    /// # Errors
    /// When there are too many watchers, or the server is going down.
    pub fn watch(self: &Arc<Self>, filter: SlotFilter, heartbeat: Duration) -> Result<Watcher, Failure> {
        let feed = self.feed.subscribe();
        if feed.borrow().is_over {
            return Err(Failure::Stopping);
        }
        let seat = self.seats.clone().try_acquire_owned().map_err(|_| Failure::TooManyWatchers)?;
        let presence = Presence::begin(self.clone());
        let seen = feed.borrow().last();
        let mode = Mode::Snapshot { after: None, told: 0 };
        Ok(Watcher { hub: presence, filter, heartbeat, feed, seen, mode, _seat: seat })
    }

    /// Slots that opened or closed by the clock since `before`, and when the next will.
    fn cross(&self, before: UnixMillis, now: UnixMillis) -> (Vec<SlotKey>, UnixMillis) {
        let directory = self.engine.directory();
        let (mut crossed, mut next) = (Vec::new(), UnixMillis::MAX);
        for (office, entry) in directory.offices() {
            for (day, lane, gate) in entry.slots() {
                let figures = gate.figures();
                let passed = |at: UnixMillis| (before < at) != (now < at);
                if passed(figures.open_at) || passed(figures.close_at) {
                    crossed.push(SlotKey { office, day, lane });
                }
                next = next.min(next_after(figures, now));
            }
        }
        self.revisions.retain(|slot, _| directory.figures(*slot).is_some());
        (crossed, next)
    }

    /// A revision greater than any before.
    fn next_revision(&self, last: u64) -> u64 {
        // A clock that is not believed does not carry revisions away with it.
        let by_clock = if self.engine.clock_drifts() { 0 } else { self.engine.now().0 };
        u64::try_from(by_clock).unwrap_or(0).max(last + 1)
    }

    /// What changed while nobody watched was not noted: every slot may have, until now.
    fn begin_anew(&self) {
        self.feed.send_modify(|feed| {
            feed.before = self.next_revision(feed.last());
            feed.steps = Arc::default();
            // Relaxed: the feed's lock orders it for whoever follows.
            self.first_revision.store(feed.before, Ordering::Relaxed);
            self.revisions.clear();
        });
    }

    fn step(&self, slots: HashSet<SlotKey>) {
        self.feed.send_modify(|feed| {
            let revision = self.next_revision(feed.last());
            for slot in &slots {
                self.revisions.insert(*slot, revision);
            }
            let mut steps = (*feed.steps).clone();
            steps.push_back(Arc::new(Step { revision, slots: slots.into_iter().collect() }));
            if steps.len() > WATCH_STEPS_KEPT_MAX
                && let Some(forgotten) = steps.pop_front()
            {
                feed.before = forgotten.revision;
            }
            feed.steps = Arc::new(steps);
        });
    }

    fn revision(&self, slot: SlotKey) -> u64 {
        let first = self.first_revision.load(Ordering::Relaxed);
        self.revisions.get(&slot).map_or(first, |revision| first.max(*revision))
    }

    /// A slot now. The revision is read first, so that the figures are never older than it says; and it is none that
    /// the watcher has not come to yet, so that what its step tells later has a greater one.
    fn sight(&self, directory: &Directory, slot: SlotKey, seen: u64) -> Option<Sighting> {
        let revision = self.revision(slot).min(seen);
        Some(Sighting { slot, revision, figures: directory.figures(slot)? })
    }
}

fn next_after(figures: Figures, now: UnixMillis) -> UnixMillis {
    let later = |at: UnixMillis| if at > now { at } else { UnixMillis::MAX };
    later(figures.open_at).min(later(figures.close_at))
}

#[derive(Clone, Copy, Debug)]
enum Mode {
    /// Shows every slot, in order.
    Snapshot { after: Option<SlotKey>, told: u32 },
    /// Has fallen behind: shows every slot that changed since, in order.
    CatchUp { after: Option<SlotKey>, since: u64 },
    /// Waits for steps.
    Follow,
}

/// Somebody watches as long as this is there.
#[derive(Debug)]
struct Presence(Arc<WatchHub>);

impl Presence {
    fn begin(hub: Arc<WatchHub>) -> Self {
        if hub.engine.changes().begin() {
            hub.begin_anew();
        }
        Self(hub)
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.0.engine.changes().end();
    }
}

impl Deref for Presence {
    type Target = WatchHub;

    fn deref(&self) -> &WatchHub {
        &self.0
    }
}

/// One watch. Costs the same however slowly it is read.
#[derive(Debug)]
pub struct Watcher {
    hub: Presence,
    filter: SlotFilter,
    heartbeat: Duration,
    feed: watch::Receiver<Feed>,
    /// Everything up to this revision was told, or is being told.
    seen: u64,
    mode: Mode,
    _seat: OwnedSemaphorePermit,
}

impl Watcher {
    /// What to tell next. Waits for a change, no longer than a heartbeat.
    ///
    /// # Errors
    /// When the server is going down.
    pub async fn next(&mut self) -> Result<Tidings, Failure> {
        let silent_at = Instant::now() + self.heartbeat;
        loop {
            if self.feed.borrow().is_over {
                return Err(Failure::Stopping);
            }
            match self.mode {
                Mode::Snapshot { after, told } => {
                    let chunk = self.chunk(after, 0);
                    let Some(last) = chunk.last().map(|sighting| sighting.slot) else {
                        self.mode = Mode::Follow;
                        return Ok(Tidings::SnapshotEnd(told));
                    };
                    let told = told + u32::try_from(chunk.len()).unwrap_or(u32::MAX);
                    self.mode = Mode::Snapshot { after: Some(last), told };
                    return Ok(Tidings::Snapshot(chunk));
                }
                Mode::CatchUp { after, since } => {
                    let chunk = self.chunk(after, since);
                    let last = chunk.last().map(|sighting| sighting.slot);
                    self.mode = last.map_or(Mode::Follow, |last| Mode::CatchUp { after: Some(last), since });
                    if last.is_some() {
                        return Ok(Tidings::Changes(chunk));
                    }
                }
                Mode::Follow => {
                    if let Some(changes) = self.follow() {
                        return Ok(Tidings::Changes(changes));
                    }
                    if !matches!(self.mode, Mode::Follow) {
                        continue;
                    }
                    let waited = tokio::time::timeout_at(silent_at, self.feed.changed()).await;
                    match waited {
                        Ok(Ok(())) => {}
                        Ok(Err(_)) => return Err(Failure::Stopping),
                        Err(_) => return Ok(Tidings::Silence),
                    }
                }
            }
        }
    }

    /// The next slots in order that changed after a revision.
    fn chunk(&self, after: Option<SlotKey>, since: u64) -> Vec<Sighting> {
        let (directory, now) = (self.hub.engine.directory(), self.hub.engine.now());
        // Who follows is also told that an office closed; who comes new is not shown it.
        let slots = self.filter.slots(&directory, (after, since > 0), now).map(|(slot, _)| slot);
        let changed = slots.filter(|slot| self.hub.revision(*slot) > since);
        changed.filter_map(|slot| self.hub.sight(&directory, slot, self.seen)).take(WATCH_SLOTS_MAX).collect()
    }

    /// What the steps since the last time hold for this watcher; `None`: nothing, or too much for one message.
    fn follow(&mut self) -> Option<Vec<Sighting>> {
        let feed = self.feed.borrow_and_update().clone();
        let (since, last) = (self.seen, feed.last());
        self.seen = last;
        if since >= last {
            return None;
        }
        let (directory, now) = (self.hub.engine.directory(), self.hub.engine.now());
        let mut slots = BTreeSet::new();
        for step in feed.steps.iter().filter(|step| step.revision > since) {
            let matching = step.slots.iter().filter(|slot| self.filter.matches(&directory, **slot, now));
            slots.extend(matching.take(WATCH_SLOTS_MAX + 1));
            if slots.len() > WATCH_SLOTS_MAX {
                break;
            }
        }
        if since < feed.before || slots.len() > WATCH_SLOTS_MAX {
            self.mode = Mode::CatchUp { after: None, since };
            return None;
        }
        let sightings: Vec<_> =
            slots.into_iter().filter_map(|slot| self.hub.sight(&directory, slot, last)).collect();
        (!sightings.is_empty()).then_some(sightings)
    }
}
