//! Bringing the ledger in line with a catalogue: what differs becomes changes; what is the same becomes nothing.

use std::{collections::HashSet, sync::Arc};

use super::Ledger;
use crate::{
    catalog::{Catalog, Office},
    event::Change,
    ids::{OfficeId, OfficeNumber},
};

/// A catalogue that would take something away.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogConflict {
    /// An office with live registrations is missing.
    #[error(
        "office `{office}` is missing from the catalogue but has {live} live registrations; keep it until its last \
         service day has passed, with places = 0 if it shall give out no more, or close it with `kuota admin catalog \
         apply --close-offices`"
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
    /// When an office with live registrations is missing from it, unless `close_offices`.
    pub fn reconcile(&self, catalog: &Catalog, close_offices: bool) -> Result<Vec<Change>, CatalogConflict> {
        let mut changes = Vec::new();
        if *self.holidays != catalog.holidays {
            changes.push(Change::HolidaysDefined(Arc::new(catalog.holidays.clone())));
        }
        if *self.fees != catalog.fees {
            changes.push(Change::FeesDefined(Arc::new(catalog.fees.clone())));
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
        let named: HashSet<&OfficeId> = catalog.offices.iter().map(|office| &office.id).collect();
        for (number, state) in (0..).map(OfficeNumber).zip(&self.offices).filter(|(_, state)| state.open) {
            if named.contains(&state.office.id) {
                continue;
            }
            let live = self.live_at(number);
            if live > 0 && !close_offices {
                return Err(CatalogConflict::OfficeInUse { office: state.office.id.clone(), live });
            }
            changes.push(Change::OfficeClosed(number));
        }
        let kept: HashSet<_> = catalog.openings.iter().map(|rule| &rule.id).collect();
        let removed = self.openings.keys().filter(|id| !kept.contains(id));
        changes.extend(removed.cloned().map(Change::OpeningRemoved));
        Ok(changes)
    }

    /// The catalogue in force: applied, it changes nothing.
    #[must_use]
    pub fn catalog(&self) -> Catalog {
        let mut offices: Vec<Office> = Vec::new();
        let open = self.offices().filter(|(_, open)| *open);
        let mut rest: Vec<&Arc<Office>> = open.map(|(office, _)| office).collect();
        // Parents before children, and otherwise as they came. A catalogue has no circles, so each round places some.
        while !rest.is_empty() {
            let waiting: HashSet<&OfficeId> = rest.iter().map(|office| &office.id).collect();
            let is_ready =
                |office: &&Arc<Office>| office.parent.as_ref().is_none_or(|parent| !waiting.contains(parent));
            let (ready, later): (Vec<_>, Vec<_>) = rest.iter().copied().partition(is_ready);
            let placed = if ready.is_empty() { &later } else { &ready };
            offices.extend(placed.iter().map(|office| (***office).clone()));
            rest = if ready.is_empty() { Vec::new() } else { later };
        }
        Catalog {
            openings: self.openings.values().cloned().collect(),
            holidays: (*self.holidays).clone(),
            offices,
            fees: (*self.fees).clone(),
        }
    }

    fn live_at(&self, number: OfficeNumber) -> usize {
        let open_days = self.offices[number.index()].days.values().filter(|day| !day.closed);
        let registrations = open_days.flat_map(|day| self.roll.links().latest_first(day.arrivals));
        registrations.filter(|row| self.roll.is_live(*row)).count()
    }
}
