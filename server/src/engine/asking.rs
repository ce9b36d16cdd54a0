//! Who has an ask on its way. It only makes other asks of the same person wait without permits, so that one person's many
//! asks cannot hold many places.

use std::sync::Arc;

use dashmap::{DashMap, Entry};
use hashbrown::DefaultHashBuilder;
use kuota_domain::{nik::ApplicantKey, registration::Applicant};
use smallvec::SmallVec;

use super::admission::{Origin, Ticket};
use crate::limits::UNDER_WAY_PARTS;

type Applicants = DashMap<ApplicantKey, (), DefaultHashBuilder>;

/// Every applicant with an ask on its way.
#[derive(Debug)]
pub(super) struct Askings(Arc<Applicants>);

impl Default for Askings {
    fn default() -> Self {
        let hashing = DefaultHashBuilder::default();
        Self(Arc::new(DashMap::with_hasher_and_shard_amount(hashing, UNDER_WAY_PARTS)))
    }
}

impl Askings {
    /// Notes that a party has an ask on its way, and where from.
    pub(super) fn begin(&self, party: &[Applicant], from: &Origin) -> Asking {
        let (mut taken, mut alone) = (SmallVec::new(), true);
        for applicant in party {
            match self.0.entry(applicant.key) {
                Entry::Vacant(vacant) => {
                    vacant.insert(());
                    taken.push(applicant.key);
                }
                Entry::Occupied(_) => alone = false,
            }
        }
        Asking { taken, alone, applicants: self.0.clone(), _ticket: from.ticket() }
    }
}

/// A party's ask on its way; over when dropped.
#[derive(Debug)]
pub(super) struct Asking {
    taken: SmallVec<[ApplicantKey; 1]>,
    alone: bool,
    applicants: Arc<Applicants>,
    _ticket: Ticket,
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
            self.applicants.remove(key);
        }
    }
}
