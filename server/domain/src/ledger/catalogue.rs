//! Bringing the ledger in line with a catalogue: what differs becomes changes; what is the same becomes nothing.

use std::sync::Arc;

use super::Ledger;
use crate::{
    catalog::Catalog,
    event::Change,
    ids::{OfficeId, OfficeNumber},
};

/// A catalogue that would take something away.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogConflict {
    /// An office with live registrations is missing.
    #[error(
        "office `{office}` is missing from the catalogue but has {live} live registrations; keep it until its last \
         service day has passed, with places = 0 if it shall give out no more"
    )]
    OfficeInUse {
        /// Which.
        office: OfficeId,
        /// How many.
        live: usize,
    },
}

impl Ledger {
    /// What the catalogue changes. Places follow when the schedule is looked at next.
    ///
    /// # Errors
    /// When an office with live registrations is missing from it.
    pub fn reconcile(&self, catalog: &Catalog) -> Result<Vec<Change>, CatalogConflict> {
        let mut changes = Vec::new();
        if *self.holidays != catalog.holidays {
            changes.push(Change::HolidaysDefined(Arc::new(catalog.holidays.clone())));
        }
        let differing = catalog.openings.iter().filter(|rule| self.openings.get(&rule.id) != Some(*rule));
        changes.extend(differing.cloned().map(Change::OpeningDefined));
        let mut next = self.offices.len();
        for office in &catalog.offices {
            let known = self.office_numbers.get(&office.id).copied();
            let same = known.is_some_and(|number| {
                let state = &self.offices[number.index()];
                state.open && *state.office == *office
            });
            if !same {
                let number = known.unwrap_or_else(|| {
                    next += 1;
                    OfficeNumber(u32::try_from(next - 1).unwrap_or(u32::MAX))
                });
                changes.push(Change::OfficeDefined { number, office: Arc::new(office.clone()) });
            }
        }
        for (number, state) in (0..).map(OfficeNumber).zip(&self.offices).filter(|(_, state)| state.open) {
            if catalog.offices.iter().any(|office| office.id == state.office.id) {
                continue;
            }
            let live = self.live_at(number);
            if live > 0 {
                return Err(CatalogConflict::OfficeInUse { office: state.office.id.clone(), live });
            }
            changes.push(Change::OfficeClosed(number));
        }
        Ok(changes)
    }

    fn live_at(&self, number: OfficeNumber) -> usize {
        let open_days = self.offices[number.index()].days.values().filter(|day| !day.closed);
        let registrations = open_days.flat_map(|day| &day.registrations);
        registrations.filter(|id| self.registrations.get(*id).is_some_and(|r| self.holds(r))).count()
    }
}
