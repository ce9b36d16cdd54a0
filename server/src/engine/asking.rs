//! Who has an ask on its way. It only makes other asks of the same person wait without permits, so that one person's many
//! asks cannot hold many places.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use crossbeam_utils::CachePadded;
use dashmap::{DashMap, Entry};
use hashbrown::DefaultHashBuilder;
use kuota_domain::{nik::ApplicantKey, registration::Applicant};
use smallvec::SmallVec;

use super::admission::{Counted, Origin};
use crate::limits::UNDER_WAY_PARTS;

type Applicants = DashMap<ApplicantKey, (), DefaultHashBuilder>;

/// Every ask on its way, and every applicant with one.
#[derive(Debug, Default)]
pub(super) struct Askings(Arc<UnderWay>);

#[derive(Debug)]
struct UnderWay {
    applicants: Applicants,
    /// Every ask counts itself in and out: on a line of its own. Relaxed: it orders nothing.
    asks: CachePadded<AtomicUsize>,
}

impl Default for UnderWay {
    fn default() -> Self {
        let hashing = DefaultHashBuilder::default();
        let applicants = DashMap::with_hasher_and_shard_amount(hashing, UNDER_WAY_PARTS);
        Self { applicants, asks: CachePadded::default() }
    }
}

impl Askings {
    /// Notes that a party has an ask on its way, and where from.
    pub(super) fn begin(&self, party: &[Applicant], from: &Origin) -> Asking {
        let (mut taken, mut alone) = (SmallVec::new(), true);
        for applicant in party {
            match self.0.applicants.entry(applicant.key) {
                Entry::Vacant(vacant) => {
                    vacant.insert(());
                    taken.push(applicant.key);
                }
                Entry::Occupied(_) => alone = false,
            }
        }
        self.0.asks.fetch_add(1, Ordering::Relaxed);
        Asking { taken, alone, under_way: self.0.clone(), _counted: from.count() }
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
