//! The gate of one slot: what lets about as many asks through to the ledger as there are places.
//!
//! Two things are kept apart. `free` is committed state: the ledger alone writes it, and refusals are said from it
//! alone (INV-5). *Permits* are claimed lock-free from shards; a claim that finds too few becomes a *standby*, never a
//! refusal. The gate may err, but only towards letting an ask through or making it wait.
//!
//! Accounting, at rest: permits in shards + permits held by passes = `free` + debt. The debt belongs to [`Keeper`],
//! which only the ledger's thread uses.

use std::sync::Arc;

use crate::{
    limits::{PLACES_PER_LANE_MAX, PLACES_PER_SHARD_MIN},
    permits::{Counters, Permits, ShardWay},
    refusal::Refusal,
    sync::{AtomicI64, AtomicU32, AtomicU64, Ordering},
    time::UnixMillis,
};

// A slot's word: free places, places that are taken, and two flags.
const FREE: u64 = (1 << TAKEN_FROM) - 1;
const TAKEN_FROM: u32 = 32;
const PAUSED: u64 = 1 << 62;
const CUT_OFF: u64 = 1 << 63;
const _: () = assert!((PLACES_PER_LANE_MAX as u64) < PAUSED >> TAKEN_FROM, "the word has no room for them");

/// Committed figures of a slot, as the ledger publishes them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Figures {
    /// All places, free or taken.
    pub capacity: u32,
    /// Places to be had once it is open.
    pub free: u32,
    /// Places that somebody has. With those that are free more than there are, where there once were more.
    pub taken: u32,
    /// Held by an operator.
    pub paused: bool,
    /// When its places can be had.
    pub open_at: UnixMillis,
    /// When booking ends.
    pub close_at: UnixMillis,
    /// What ends it.
    pub ending: Ending,
}

/// What ends booking for a slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Ending {
    /// The office's closing time.
    #[default]
    Closing,
    /// An hour from which on this lane takes no more asks for the day.
    CutOff,
}

/// The shared part of a slot: read by every call, written by the ledger's thread at publication. A small one is one cache
/// line with the count of its holders, because there are many and each call comes to another.
#[derive(Debug)]
pub struct SlotGate {
    /// `free`, `taken` and the flags. Read by every refused call and written only when places change.
    word: AtomicU64,
    open_at_ms: AtomicI64,
    close_at_ms: AtomicI64,
    capacity: AtomicU32,
    /// Where its user keeps more about it; 0 at first, and nothing to the gate.
    tag: AtomicU32,
    permits: Permits,
}

/// A way into a gate.
#[derive(Debug)]
enum Way {
    /// The only one.
    Gate(Arc<SlotGate>),
    /// By one of several shards.
    Shard(Arc<ShardWay>),
}

impl SlotGate {
    /// Shards that suit a slot: one word for a small one, one per core for a large one.
    #[must_use]
    pub fn shards_for(places: u32, cores: usize) -> usize {
        let wanted = usize::try_from(places / PLACES_PER_SHARD_MIN).unwrap_or(usize::MAX);
        wanted.clamp(1, cores.max(1))
    }

    /// A gate with these figures, its free places as permits, and the keeper that settles it.
    #[must_use]
    pub fn new(figures: Figures, shards: usize) -> (Arc<Self>, Keeper) {
        let gate = Arc::new(Self {
            word: AtomicU64::new(0),
            open_at_ms: AtomicI64::new(0),
            close_at_ms: AtomicI64::new(0),
            capacity: AtomicU32::new(0),
            tag: AtomicU32::new(0),
            permits: Permits::new(shards),
        });
        let mut keeper = Keeper { gate: gate.clone() };
        keeper.publish(figures, 0);
        (gate, keeper)
    }

    /// Committed figures.
    #[must_use]
    pub fn figures(&self) -> Figures {
        // Acquire: pairs with the Release in `Keeper::publish`, so that the times and whatever was published before
        // the word (registrations, request map) are seen with it.
        let word = self.word.load(Ordering::Acquire);
        Figures {
            capacity: self.capacity.load(Ordering::Relaxed),
            free: free_of(word),
            taken: taken_of(word),
            paused: word & PAUSED != 0,
            open_at: UnixMillis(self.open_at_ms.load(Ordering::Relaxed)),
            close_at: UnixMillis(self.close_at_ms.load(Ordering::Relaxed)),
            ending: if word & CUT_OFF == 0 { Ending::Closing } else { Ending::CutOff },
        }
    }

    /// Lets an ask in that holds neither permits nor a seat yet: whoever leaves it so bounds how many there are. `hint` spreads
    /// callers over shards.
    #[must_use]
    pub fn enter(self: &Arc<Self>, hint: usize) -> Pass {
        let way = match self.permits.shard_way(hint) {
            None => Way::Gate(self.clone()),
            Some(way) => Way::Shard(way.clone()),
        };
        Pass { way, held: Held::Nothing }
    }

    /// Permits in the shards: a sum over moving parts, exact only at rest.
    #[must_use]
    pub fn permits_in(&self) -> u32 {
        self.permits.counters().sum()
    }

    /// Permits held by asks: exact only at rest, like [`SlotGate::permits_in`].
    #[must_use]
    pub fn permits_out(&self) -> u32 {
        let circulating = free_of(self.word.load(Ordering::Relaxed)) + self.permits.counters().debt();
        circulating.saturating_sub(self.permits_in())
    }

    /// Asks that wait without permits.
    #[must_use]
    pub fn standbys(&self) -> u32 {
        self.permits.counters().standbys()
    }

    /// What [`SlotGate::set_tag`] set last; 0, if it never did.
    #[must_use]
    pub fn tag(&self) -> u32 {
        self.tag.load(Ordering::Relaxed)
    }

    /// Notes where more about this slot is kept. Relaxed: whoever looks there must find out whether it is.
    pub fn set_tag(&self, tag: u32) {
        self.tag.store(tag, Ordering::Relaxed);
    }
}

impl Way {
    fn counters(&self) -> (Counters<'_>, usize) {
        match self {
            Self::Gate(gate) => (gate.permits.counters(), 0),
            Self::Shard(way) => way.counters(),
        }
    }
}

const fn free_of(word: u64) -> u32 {
    (word & FREE) as u32
}

const fn taken_of(word: u64) -> u32 {
    ((word & !PAUSED & !CUT_OFF) >> TAKEN_FROM) as u32
}

impl Figures {
    /// Why `places` cannot be had now; `None` when they may be.
    #[must_use]
    pub fn refuse(&self, places: u32, now: UnixMillis) -> Option<Refusal> {
        if now >= self.close_at {
            return Some(match self.ending {
                Ending::Closing => Refusal::Closed { at: self.close_at },
                Ending::CutOff => Refusal::PastCutOff { at: self.close_at },
            });
        }
        // INV-6: nothing before its opening.
        if now < self.open_at {
            return Some(Refusal::NotOpenYet { open_at: self.open_at });
        }
        if self.paused {
            return Some(Refusal::Paused);
        }
        // INV-5: said from committed figures alone.
        (self.free < places).then(|| Refusal::too_few(self.free, places))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    Permits(u32),
    /// A standby's place in the queue.
    Seat,
    Nothing,
}

/// An ask's way to the ledger: permits, or a standby's seat. Dropped, it gives back what it holds.
#[derive(Debug)]
pub struct Pass {
    way: Way,
    held: Held,
}

impl Pass {
    /// The ask was granted: its permits are gone with the places. Says how many it had.
    #[must_use = "the keeper must be told what was spent"]
    pub fn spend(mut self) -> u32 {
        match self.held {
            Held::Permits(permits) => {
                self.held = Held::Nothing;
                permits
            }
            Held::Seat | Held::Nothing => 0,
        }
    }

    /// Takes exactly `places` permits, if there are as many; says whether it did. One that holds something already takes none.
    pub fn claim(&mut self, places: u32) -> bool {
        let (counters, shard) = self.way.counters();
        let taken = self.held == Held::Nothing && counters.claim(places, shard);
        if taken {
            self.held = Held::Permits(places);
        }
        taken
    }

    /// Takes a seat to wait without permits, unless too many do already; says whether it did.
    pub fn wait(&mut self) -> bool {
        let taken = self.held == Held::Nothing && self.way.counters().0.wait();
        if taken {
            self.held = Held::Seat;
        }
        taken
    }

    /// The gate, if what giving it back or spending it will write stands there, as in a small slot.
    #[must_use]
    pub const fn gate(&self) -> Option<&Arc<SlotGate>> {
        match &self.way {
            Way::Gate(gate) => Some(gate),
            Way::Shard(_) => None,
        }
    }

    /// Whether it waits without permits.
    #[must_use]
    pub const fn is_standby(&self) -> bool {
        matches!(self.held, Held::Seat)
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let (counters, shard) = self.way.counters();
        match self.held {
            Held::Permits(permits) => counters.give(permits, shard),
            Held::Seat => counters.end_wait(),
            Held::Nothing => {}
        }
    }
}

/// The ledger's side of a gate. There is one for each slot, and only the ledger's thread uses it: what it wrote last it reads
/// back from there.
#[derive(Debug)]
pub struct Keeper {
    gate: Arc<SlotGate>,
}

impl Keeper {
    /// Publishes committed figures after a batch whose grants spent `spent` permits of this slot.
    pub fn publish(&mut self, figures: Figures, spent: u32) {
        let (gate, before, debt) = (&self.gate, self.free(), self.debt());
        gate.capacity.store(figures.capacity, Ordering::Relaxed);
        gate.open_at_ms.store(figures.open_at.0, Ordering::Relaxed);
        gate.close_at_ms.store(figures.close_at.0, Ordering::Relaxed);
        let paused = if figures.paused { PAUSED } else { 0 };
        let ending = match figures.ending {
            Ending::Closing => 0,
            Ending::CutOff => CUT_OFF,
        };
        // Release: pairs with the Acquire in `figures`. Publication order: registrations, request map, this, answers.
        let places = u64::from(figures.free) | u64::from(figures.taken) << TAKEN_FROM;
        gate.word.store(places | paused | ending, Ordering::Release);

        // What circulates shrank by `spent`; it must become the new `free`.
        let owed = i64::from(before) + i64::from(debt) - i64::from(spent) - i64::from(figures.free);
        if owed < 0 {
            gate.permits.counters().give_evenly(u32::try_from(-owed).unwrap_or(u32::MAX));
        }
        self.collect(u32::try_from(owed.max(0)).unwrap_or(u32::MAX));
    }

    /// Takes permits that came home against the debt; says whether it is paid.
    pub fn settle(&mut self) -> bool {
        self.collect(self.debt())
    }

    /// So many are owed, before those are taken that came home.
    fn collect(&mut self, mut debt: u32) -> bool {
        let counters = self.gate.permits.counters();
        if debt > 0 {
            debt -= counters.take_up_to(debt, 0);
        }
        counters.tell_debt(debt);
        debt == 0
    }

    /// As last published.
    fn free(&self) -> u32 {
        free_of(self.gate.word.load(Ordering::Relaxed))
    }

    /// The shared part.
    #[must_use]
    pub fn gate(&self) -> &Arc<SlotGate> {
        &self.gate
    }

    /// Permits in circulation beyond those for free places: for places given to standbys or taken back, still to come home.
    #[must_use]
    pub fn debt(&self) -> u32 {
        self.gate.permits.counters().debt()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::limits::STANDBYS_PER_SLOT_MAX;

    #[test]
    fn a_small_slot_is_one_cache_line_with_the_count_of_its_holders() {
        assert!(size_of::<SlotGate>() + 2 * size_of::<usize>() <= 64, "{}", size_of::<SlotGate>());
    }

    fn figures(free: u32) -> Figures {
        let (open_at, close_at) = (UnixMillis(1_000), UnixMillis(2_000));
        Figures {
            capacity: 10,
            free,
            taken: 10 - free,
            paused: false,
            open_at,
            close_at,
            ending: Ending::Closing,
        }
    }

    #[test]
    fn each_reason_to_refuse_is_read_from_the_committed_figures() {
        let paused = Figures { paused: true, ..figures(3) };
        let cut_off = Figures { ending: Ending::CutOff, ..figures(3) };
        for (figures, places, now, expected) in [
            (figures(3), 3, 1_000, None),
            (figures(3), 1, 999, Some(Refusal::NotOpenYet { open_at: UnixMillis(1_000) })),
            (figures(3), 1, 2_000, Some(Refusal::Closed { at: UnixMillis(2_000) })),
            (figures(0), 1, 1_500, Some(Refusal::SoldOut)),
            (figures(3), 4, 1_500, Some(Refusal::NotEnoughPlaces { available: 3, asked: 4 })),
            (paused, 1, 1_500, Some(Refusal::Paused)),
            (cut_off, 1, 1_999, None),
            (cut_off, 1, 2_000, Some(Refusal::PastCutOff { at: UnixMillis(2_000) })),
        ] {
            let (gate, _keeper) = SlotGate::new(figures, 8);
            assert_eq!(gate.figures(), figures);
            assert_eq!(gate.figures().refuse(places, UnixMillis(now)), expected);
        }
    }

    #[test]
    fn a_party_is_collected_across_shards_or_waits() {
        let (gate, _keeper) = SlotGate::new(figures(8), 8);
        let (mut party, mut waiting) = (gate.enter(3), gate.enter(0));
        assert!(party.claim(5));
        assert!(
            !waiting.claim(4) && waiting.wait(),
            "three permits are left, and none is lost to the failed claim"
        );
        assert_eq!((gate.permits_in(), gate.standbys()), (3, 1));
        drop((party, waiting));
        assert_eq!((gate.permits_in(), gate.standbys()), (8, 0));
    }

    #[test]
    fn standbys_are_bounded() {
        let (gate, _keeper) = SlotGate::new(figures(0), 1);
        let mut waiting: Vec<_> = (0..=STANDBYS_PER_SLOT_MAX).map(|_| gate.enter(0)).collect();
        let seated = waiting.iter_mut().filter_map(|pass| pass.wait().then_some(())).count();
        assert_eq!((seated, gate.standbys()), (STANDBYS_PER_SLOT_MAX as usize, STANDBYS_PER_SLOT_MAX));
        drop(waiting);
        assert_eq!(gate.standbys(), 0);
    }

    #[test]
    fn what_a_standby_got_is_settled_against_permits_that_come_home() {
        let (gate, mut keeper) = SlotGate::new(figures(2), 8);
        let (mut slow, mut standby) = (gate.enter(0), gate.enter(0));
        assert!(slow.claim(2) && !standby.claim(1) && standby.wait());
        assert_eq!(standby.spend(), 0);
        keeper.publish(figures(1), 0);
        assert_eq!((keeper.debt(), gate.permits_in()), (1, 0));
        drop(slow);
        assert!(keeper.settle());
        assert_eq!((gate.permits_in(), gate.standbys()), (1, 0));
    }

    #[test]
    fn whoever_holds_something_takes_no_more_and_whoever_holds_nothing_gives_nothing_back() {
        let (gate, mut keeper) = SlotGate::new(figures(5), 8);
        let (mut pair, mut seated, mut late) = (gate.enter(3), gate.enter(3), gate.enter(3));
        assert!(pair.claim(2) && seated.wait());
        assert!(!pair.claim(1) && !pair.wait() && !seated.claim(1) && !seated.wait());
        assert!(!late.claim(4), "three are left");
        assert_eq!((gate.permits_in(), gate.standbys()), (3, 1));
        assert_eq!((seated.spend(), late.spend(), pair.spend()), (0, 0, 2));
        keeper.publish(figures(3), 2);
        assert_eq!((gate.permits_in(), gate.standbys(), keeper.debt()), (3, 0, 0));
    }

    #[test]
    fn capacity_can_fall_below_what_is_out_and_rise_again() {
        let (gate, mut keeper) = SlotGate::new(figures(6), 8);
        let mut held = gate.enter(0);
        assert!(held.claim(4));
        keeper.publish(figures(1), 0);
        assert_eq!((gate.permits_in(), keeper.debt()), (0, 3));
        keeper.publish(figures(5), 0);
        assert_eq!((gate.permits_in(), keeper.debt()), (1, 0));
        assert_eq!(held.spend(), 4);
        keeper.publish(figures(1), 4);
        assert_eq!((gate.permits_in(), keeper.debt()), (1, 0));
    }

    #[test]
    fn a_small_slot_has_one_word_and_a_large_one_a_shard_a_core() {
        for (places, cores, shards) in [(120, 8, 1), (1_024, 8, 2), (100_000, 8, 8), (100_000, 0, 1)] {
            assert_eq!(SlotGate::shards_for(places, cores), shards);
        }
    }
}
