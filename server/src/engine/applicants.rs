//! Who has a live registration, as committed, and who has an ask on its way. The first is a reason to refuse (INV-2);
//! the second only makes an ask wait without permits, so that one person's many asks cannot hold many places.

use std::sync::Arc;

use dashmap::{DashMap, Entry};
use kuota_domain::{
    nik::ApplicantKey,
    registration::{Applicant, Registration},
};

use super::shelf::Shelf;

#[derive(Debug)]
pub(super) struct Applicants {
    live: Shelf<ApplicantKey, Living>,
    asking: Arc<DashMap<ApplicantKey, ()>>,
}

/// One of a party with a live registration.
#[derive(Clone, Debug)]
struct Living {
    registration: Arc<Registration>,
    at: usize,
}

impl Default for Applicants {
    fn default() -> Self {
        Self {
            live: Shelf::new(|living| living.registration.applicants[living.at].key),
            asking: Arc::default(),
        }
    }
}

impl Applicants {
    /// The first of a party with a live registration.
    pub(super) fn first_live(&self, party: &[Applicant]) -> Option<usize> {
        party.iter().position(|applicant| self.live.contains(&applicant.key))
    }

    /// Notes that a party has an ask on its way.
    pub(super) fn begin(&self, party: &[Applicant]) -> Asking {
        let mut taken = Vec::with_capacity(party.len());
        let mut alone = true;
        for applicant in party {
            match self.asking.entry(applicant.key) {
                Entry::Vacant(vacant) => {
                    vacant.insert(());
                    taken.push(applicant.key);
                }
                Entry::Occupied(_) => alone = false,
            }
        }
        Asking { taken, alone, asking: self.asking.clone() }
    }

    pub(super) fn lives(&self, registration: &Arc<Registration>) {
        for at in 0..registration.applicants.len() {
            self.live.put(Living { registration: registration.clone(), at });
        }
    }

    pub(super) fn ends(&self, registration: &Registration) {
        for applicant in &registration.applicants {
            self.live.remove_if(&applicant.key, |living| living.registration.id == registration.id);
        }
    }

    pub(super) fn live_count(&self) -> usize {
        self.live.len()
    }
}

/// A party's ask on its way; over when dropped.
#[derive(Debug)]
pub(super) struct Asking {
    taken: Vec<ApplicantKey>,
    alone: bool,
    asking: Arc<DashMap<ApplicantKey, ()>>,
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
            self.asking.remove(key);
        }
    }
}
