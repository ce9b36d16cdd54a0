//! Who has an ask on its way. It only makes other asks of the same person wait without permits, so that one person's many
//! asks cannot hold many places.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use crossbeam_utils::CachePadded;
use hashbrown::hash_table::Entry;
use kuota_domain::{nik::ApplicantKey, registration::Applicant};
use smallvec::SmallVec;

use super::{
    admission::{Counted, Origin},
    parted::Parted,
};

/// Every ask on its way, and every applicant with one.
#[derive(Debug, Default)]
pub(super) struct Askings(Arc<UnderWay>);

#[derive(Debug, Default)]
struct UnderWay {
    applicants: Parted<ApplicantKey, ()>,
    /// Every ask counts itself in and out: on a line of its own. Relaxed: it orders nothing.
    asks: CachePadded<AtomicUsize>,
}

impl Askings {
    /// Notes that a party has an ask on its way, and where from.
    pub(super) fn begin(&self, party: &[Applicant], from: &Origin) -> Asking {
        let (mut taken, mut alone) = (SmallVec::new(), true);
        for Applicant { key, .. } in party {
            self.0.applicants.enter(key, |entry| match entry {
                Entry::Vacant(vacant) => {
                    vacant.insert((*key, ()));
                    taken.push(*key);
                }
                Entry::Occupied(_) => alone = false,
            });
        }
        self.0.asks.fetch_add(1, Ordering::Relaxed);
        Asking { taken, alone, under_way: self.0.clone(), _counted: from.count() }
    }

    /// Many are over.
    pub(super) fn end_all(&self, mut over: Vec<Asking>) {
        let taken = over.iter_mut().flat_map(|asking| asking.taken.drain(..));
        self.0.applicants.remove_all(&taken.collect::<Vec<_>>(), |_, ()| {});
    }

    /// Asks that are not answered.
    pub(super) fn under_way(&self) -> usize {
        self.0.asks.load(Ordering::Relaxed)
    }
}

/// A party's ask on its way; over when dropped.
#[derive(Debug)]
pub(super) struct Asking {
    taken: SmallVec<[ApplicantKey; 1]>,
    alone: bool,
    under_way: Arc<UnderWay>,
    _counted: Counted,
}

impl Asking {
    /// Whether none of the party has another ask on its way.
    pub(super) const fn is_alone(&self) -> bool {
        self.alone
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        for key in &self.taken {
            self.under_way.applicants.remove(key);
        }
        self.under_way.asks.fetch_sub(1, Ordering::Relaxed);
    }
}
