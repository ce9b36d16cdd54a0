//! Payments without a place, as committed, for operators and for whoever repeats a payment.

use std::{collections::BTreeMap, ops::Bound, sync::Arc};

use kuota_domain::payment::{CaseNumber, PaymentCase, PaymentReference};
use parking_lot::RwLock;

/// Cases by number. Written by the ledger's thread alone.
#[derive(Debug, Default)]
pub(super) struct Cases(RwLock<Kept>);

#[derive(Debug, Default)]
struct Kept {
    cases: BTreeMap<CaseNumber, Arc<PaymentCase>>,
    open: usize,
}

impl Cases {
    /// A case, new or changed.
    pub(super) fn put(&self, case: &Arc<PaymentCase>) {
        let mut kept = self.0.write();
        let before = kept.cases.insert(case.number, case.clone());
        kept.open += usize::from(case.resolved.is_none());
        kept.open -= usize::from(before.is_some_and(|before| before.resolved.is_none()));
    }

    /// A case left memory.
    pub(super) fn forget(&self, number: CaseNumber) {
        let mut kept = self.0.write();
        let before = kept.cases.remove(&number);
        kept.open -= usize::from(before.is_some_and(|before| before.resolved.is_none()));
    }

    /// One of them.
    pub(super) fn get(&self, number: CaseNumber) -> Option<Arc<PaymentCase>> {
        self.0.read().cases.get(&number).cloned()
    }

    /// The last of these that is about a payment.
    pub(super) fn of_payment(
        &self,
        numbers: &[CaseNumber],
        reference: &PaymentReference,
    ) -> Option<Arc<PaymentCase>> {
        let kept = self.0.read();
        let found = numbers.iter().rev().filter_map(|number| kept.cases.get(number));
        let mut found = found.filter(|case| case.payment.reference == *reference);
        found.next().cloned()
    }

    /// Some of them after a number, in order, open ones or all; and whether there are more.
    pub(super) fn page(
        &self,
        (after, most): (Option<CaseNumber>, usize),
        is_wanted: impl Fn(&PaymentCase) -> bool,
    ) -> (Vec<Arc<PaymentCase>>, bool) {
        let kept = self.0.read();
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut wanted = kept.cases.range((from, Bound::Unbounded)).map(|(_, case)| case);
        let mut wanted = wanted.by_ref().filter(|case| is_wanted(case));
        let page = wanted.by_ref().take(most).cloned().collect();
        (page, wanted.next().is_some())
    }

    /// How many wait for an operator.
    pub(super) fn open(&self) -> usize {
        self.0.read().open
    }
}
