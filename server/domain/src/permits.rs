//! The permits of a gate: counters that asks claim from without a lock, one where the slot is small and several where many
//! threads would meet. It owns how permits are taken and given, and knows nothing of places or refusals.

use std::sync::Arc;

use crossbeam_utils::CachePadded;

use crate::{
    limits::STANDBYS_PER_SLOT_MAX,
    sync::{AtomicU32, Ordering},
};

/// Permits, how many wait without, and what the keeper is owed, for whoever looks.
#[derive(Debug)]
pub(crate) enum Permits {
    /// In the gate itself: a small slot is one cache line, and refusals write nothing in it.
    One(Single),
    /// Beside the gate, each in a line of its own.
    Several(Box<Several>),
}

/// The counters of a small slot.
#[derive(Debug)]
pub(crate) struct Single {
    permits: AtomicU32,
    standbys: AtomicU32,
    debt: AtomicU32,
}

#[derive(Debug)]
pub(crate) struct Several {
    shards: Arc<Shards>,
    /// As many as there are shards.
    ways: Box<[Arc<ShardWay>]>,
}

#[derive(Debug)]
pub(crate) struct Shards {
    permits: Box<[CachePadded<AtomicU32>]>,
    standbys: CachePadded<AtomicU32>,
    debt: AtomicU32,
}

/// A way in by one of several shards. Passes hold it, not the gate: what callers share otherwise is the count of those who
/// hold it.
#[derive(Debug)]
pub(crate) struct ShardWay(CachePadded<(Arc<Shards>, usize)>);

impl ShardWay {
    pub(crate) fn counters(&self) -> (Counters<'_>, usize) {
        let (shards, index) = &*self.0;
        (Counters::Several(shards), *index)
    }
}

impl Permits {
    /// None yet, in so many shards.
    pub(crate) fn new(shards: usize) -> Self {
        if shards <= 1 {
            let none = || AtomicU32::new(0);
            return Self::One(Single { permits: none(), standbys: none(), debt: none() });
        }
        let permits = (0..shards).map(|_| CachePadded::new(AtomicU32::new(0))).collect();
        let all = Arc::new(Shards {
            permits,
            standbys: CachePadded::new(AtomicU32::new(0)),
            debt: AtomicU32::new(0),
        });
        let way = |index| Arc::new(ShardWay(CachePadded::new((all.clone(), index))));
        let ways = (0..shards).map(way).collect();
        Self::Several(Box::new(Several { shards: all, ways }))
    }

    pub(crate) fn counters(&self) -> Counters<'_> {
        match self {
            Self::One(single) => Counters::One(single),
            Self::Several(several) => Counters::Several(&several.shards),
        }
    }

    /// The way in that a hint leads to, where there are several.
    pub(crate) fn shard_way(&self, hint: usize) -> Option<&Arc<ShardWay>> {
        match self {
            Self::One(_) => None,
            Self::Several(several) => several.ways.get(hint % several.ways.len()),
        }
    }
}

/// The counters, wherever they are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Counters<'a> {
    One(&'a Single),
    Several(&'a Shards),
}

impl<'a> Counters<'a> {
    const fn shards(self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Several(shards) => shards.permits.len(),
        }
    }

    fn shard(self, hint: usize) -> &'a AtomicU32 {
        match self {
            Self::One(single) => &single.permits,
            Self::Several(shards) => &shards.permits[hint % shards.permits.len()],
        }
    }

    fn waiting(self) -> &'a AtomicU32 {
        match self {
            Self::One(single) => &single.standbys,
            Self::Several(shards) => &shards.standbys,
        }
    }

    const fn owed(self) -> &'a AtomicU32 {
        match self {
            Self::One(single) => &single.debt,
            Self::Several(shards) => &shards.debt,
        }
    }

    /// What the keeper is owed, as it said last.
    pub(crate) fn debt(self) -> u32 {
        self.owed().load(Ordering::Relaxed)
    }

    pub(crate) fn tell_debt(self, debt: u32) {
        self.owed().store(debt, Ordering::Relaxed);
    }

    /// A sum over moving parts, exact only at rest.
    pub(crate) fn sum(self) -> u32 {
        (0..self.shards()).map(|index| self.shard(index).load(Ordering::Relaxed)).sum()
    }

    /// Those who wait without.
    pub(crate) fn standbys(self) -> u32 {
        self.waiting().load(Ordering::Relaxed)
    }

    /// One more waits without, unless too many do already.
    pub(crate) fn wait(self) -> bool {
        // Relaxed: the count bounds a queue and orders nothing else.
        let standbys = self.waiting();
        let mut waiting = standbys.load(Ordering::Relaxed);
        while waiting < STANDBYS_PER_SLOT_MAX {
            let taken =
                standbys.compare_exchange_weak(waiting, waiting + 1, Ordering::Relaxed, Ordering::Relaxed);
            match taken {
                Ok(_) => return true,
                Err(current) => waiting = current,
            }
        }
        false
    }

    /// One waits no longer.
    pub(crate) fn end_wait(self) {
        self.waiting().fetch_sub(1, Ordering::Relaxed);
    }

    /// Takes exactly `places` permits, from several shards if need be, or none.
    pub(crate) fn claim(self, places: u32, hint: usize) -> bool {
        let taken = self.take_up_to(places, hint);
        if taken == places {
            return true;
        }
        self.give(taken, hint);
        false
    }

    /// Takes as many permits as there are, `most` at the most.
    pub(crate) fn take_up_to(self, most: u32, hint: usize) -> u32 {
        let mut taken = 0;
        for step in 0..self.shards() {
            if taken == most {
                break;
            }
            let shard = self.shard(hint.wrapping_add(step));
            let mut there = shard.load(Ordering::Relaxed);
            while there > 0 {
                let part = there.min(most - taken);
                // Acquire: pairs with the Release in `give`; who holds a permit sees what its giver did.
                let swap =
                    shard.compare_exchange_weak(there, there - part, Ordering::Acquire, Ordering::Relaxed);
                match swap {
                    Ok(_) => {
                        taken += part;
                        break;
                    }
                    Err(current) => there = current,
                }
            }
        }
        taken
    }

    pub(crate) fn give(self, permits: u32, hint: usize) {
        if permits > 0 {
            // Release: pairs with the Acquire in `take_up_to`.
            self.shard(hint).fetch_add(permits, Ordering::Release);
        }
    }

    pub(crate) fn give_evenly(self, permits: u32) {
        let shards = u32::try_from(self.shards()).unwrap_or(u32::MAX);
        for (index, spare) in (0..self.shards()).zip(0..) {
            self.give(permits / shards + u32::from(spare < permits % shards), index);
        }
    }
}
