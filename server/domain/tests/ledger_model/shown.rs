//! What is told of changes: who goes by that alone knows every slot's figures.

use std::collections::HashMap;

use kuota_domain::{
    gate::Figures,
    ledger::{Changed, Ledger},
    slot::SlotKey,
};
use proptest::prelude::*;

/// Figures as somebody has them who is told of changes alone.
#[derive(Default)]
pub(crate) struct Shown {
    figures: HashMap<SlotKey, Figures>,
    /// What the sealed batch changes.
    sealed: Vec<Changed>,
}

impl Shown {
    pub(crate) fn seal(&mut self, ledger: &mut Ledger) {
        ledger.take_changes(&mut self.sealed);
    }

    pub(crate) fn finish(&mut self, committed: bool) {
        for (slot, figures) in self.sealed.drain(..).filter(|_| committed) {
            match figures {
                Some((_, figures)) => drop(self.figures.insert(slot, figures)),
                None => drop(self.figures.remove(&slot)),
            }
        }
    }

    /// When nothing is under way, they are those of the ledger.
    pub(crate) fn check(&self, ledger: &Ledger) -> Result<(), TestCaseError> {
        for slot in ledger.slots() {
            prop_assert_eq!(self.figures.get(&slot).copied(), ledger.figures(slot), "told of {:?}", slot);
        }
        Ok(())
    }
}
