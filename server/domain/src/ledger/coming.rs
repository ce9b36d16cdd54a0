//! Registrations on the roll whose keys wait to be entered in the indices: entered one by one, each key would wait for memory.

use hashbrown::HashMap;

use super::{
    Misfit,
    finder::Indices,
    index::{Entries, RowNumber},
    replay::Pace,
    roll::Roll,
};
use crate::registration::{Applicant, Billing, Registration};

/// Registrations on the roll whose keys wait to be entered. Whoever has some must enter them before anything is looked up.
#[derive(Debug, Default)]
pub(super) struct Coming {
    /// In the order in which they came.
    rows: Vec<RowNumber>,
    ids: Entries,
    requests: Entries,
    codes: Entries,
    billings: Entries,
    live: Entries,
}

impl Coming {
    /// One more, which nothing has happened to since it was granted; false when there are no numbers for so many rows.
    pub(super) fn push(&mut self, row: RowNumber, registration: &Registration, indices: &Indices) -> bool {
        let Registration { id, request, code, applicants, .. } = registration;
        self.rows.push(row);
        self.ids.push(indices.hash(id), row)
            && self.requests.push(indices.hash(request), row)
            && self.codes.push(indices.hash(code), row)
            && registration
                .billing()
                .is_none_or(|Billing { reference, .. }| self.billings.push(indices.hash(&reference), row))
            && applicants.iter().all(|Applicant { key, .. }| self.live.push(indices.hash(key), row))
    }

    pub(super) const fn len(&self) -> usize {
        self.rows.len()
    }
}

impl Roll {
    /// Enters all of them, as long as nobody else looks into the indices.
    ///
    /// # Errors
    /// How many came before the first whose key is taken, and by whose rule it must not be.
    pub(super) fn enter_all(&mut self, coming: &mut Coming, pace: Pace) -> Result<(), (usize, Misfit)> {
        let (rows, indices) = self.split();
        let found = |row: RowNumber| rows.get(row as usize).and_then(|found| found.as_deref());
        let both = |is_taken: fn(&Registration, &Registration) -> bool| {
            move |by, row| found(by).zip(found(row)).is_some_and(|(by, other)| is_taken(by, other))
        };
        // INV-3,
        let ids = indices.ids.fill(&mut coming.ids, pace, both(|by, other| by.id == other.id));
        let answers = both(|by, other| by.answers(other.request));
        let requests = indices.requests.fill(&mut coming.requests, pace, answers);
        let codes = indices.codes.fill(&mut coming.codes, pace, both(|by, other| by.code == other.code));
        let reference = both(|by, other| other.billing().is_some_and(|one| by.is_billed_by(one.reference)));
        let billings = indices.billings.fill(&mut coming.billings, pace, reference);
        // and INV-2.
        let live = both(|by, other| other.is_kept_out_by(by));
        let live = indices.live.fill(&mut coming.live, pace, live);

        let reused = [ids, requests, codes, billings].into_iter().flatten().map(|row| (row, Misfit::Reused));
        let refused = live.into_iter().map(|row| (row, Misfit::Applicant)).chain(reused);
        // Of one that is refused twice: what is found first where it is alone.
        let refused: HashMap<_, _> = refused.collect();
        let mut rows = coming.rows.iter().enumerate();
        let first = rows.find_map(|(position, row)| Some((position, refused.get(row)?.clone())));
        coming.rows.clear();
        first.map_or(Ok(()), Err)
    }
}
