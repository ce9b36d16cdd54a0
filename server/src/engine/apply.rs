//! Applying events to the state that runs ahead of the log, and noting what each makes visible once the log has it.

use std::sync::Arc;

use kuota_domain::{
    event::{Change, Event},
    payment::{CaseNumber, PaymentEffect},
    registration::Registration,
};
use tracing::error;

use super::{Fatal, batch::Publication, ledger_thread::LedgerThread};
use crate::telemetry::Happening;

impl LedgerThread {
    /// The registration that a change made or altered, as it is now.
    pub(super) fn changed(&self, change: &Change) -> Option<Arc<Registration>> {
        match change {
            Change::Granted(registration) => Some(registration.clone()),
            _ => self.ledger.registration(change.registration()?).cloned(),
        }
    }

    /// Applies one event to the state that runs ahead, and notes what it will make visible.
    pub(super) fn apply(&mut self, event: Event) {
        match &event.change {
            Change::DayForgotten { office, day } => {
                let forgotten: Vec<_> = self.ledger.registrations_of(*office, *day).cloned().collect();
                let is_over = |number: &&CaseNumber| {
                    self.ledger.case(**number).is_some_and(|case| case.resolved.is_some())
                };
                let cases = forgotten.iter().flat_map(|registration| registration.cases()).filter(is_over);
                self.current.publications.extend(cases.map(|number| Publication::CaseForgotten(*number)));
                let rows = forgotten.iter().filter_map(|registration| self.ledger.row_of(registration.id));
                self.current.publications.extend(rows.map(Publication::Forgotten));
                self.current.publications.push(Publication::DayDropped(*office, *day));
            }
            Change::HolidaysDefined(_)
            | Change::OpeningDefined(_)
            | Change::OpeningRemoved(_)
            | Change::FeesDefined(_)
            | Change::OfficeDefined { .. }
            | Change::OfficeClosed(_) => {
                self.current.catalog_changed = true;
                self.catalog = None;
            }
            Change::OverrideSet { .. }
            | Change::OverrideCleared(_)
            | Change::Paused(_)
            | Change::Resumed(_) => self.current.layer_changed = true,
            Change::LogOpened { .. }
            | Change::FormatRaised(_)
            | Change::CatalogApplied { .. }
            | Change::CommandCarriedOut(_)
            | Change::TrancheReleased(_)
            | Change::TrancheChanged { .. }
            | Change::Granted(_)
            | Change::Cancelled { .. }
            | Change::HoldExpired { .. }
            | Change::Rescheduled(_)
            | Change::CheckedIn { .. }
            | Change::Served { .. }
            | Change::NoShows { .. }
            | Change::PaymentReceived(_)
            | Change::CaseResolved(_)
            | Change::DayClosed { .. } => {}
        }
        if let Err(misfit) = self.ledger.apply(&event) {
            // Decided from this very state a moment ago: a bug, and going on could only make it worse.
            error!(%misfit, "an invariant is broken");
            self.fatal.send_replace(Some(Fatal::Invariant(misfit.to_string())));
            panic!("an invariant is broken: {misfit}");
        }
        self.note_registration(&event.change);
        self.note_case(&event.change);
        self.current.events.push(event);
    }

    fn note_registration(&mut self, change: &Change) {
        if let Change::NoShows { ids, .. } = change {
            let absent = ids.iter().filter_map(|id| self.ledger.registration(*id).cloned());
            return absent.collect::<Vec<_>>().into_iter().for_each(|found| self.note_changed(found, change));
        }
        if let Some(registration) = self.changed(change) {
            self.note_changed(registration, change);
        }
    }

    fn note_changed(&mut self, registration: Arc<Registration>, change: &Change) {
        if let Some(row) = self.ledger.row_of(registration.id) {
            let publication = Publication::Registration(row, registration, Happening::of(change));
            self.current.publications.push(publication);
        }
    }

    fn note_case(&mut self, change: &Change) {
        let number = match change {
            Change::Cancelled { case, .. } => *case,
            Change::PaymentReceived(receipt) => match receipt.effect {
                PaymentEffect::CaseOpened(number, _) => Some(number),
                PaymentEffect::Confirmed | PaymentEffect::Reinstated(_) => None,
            },
            Change::CaseResolved(resolved) => Some(resolved.case),
            _ => None,
        };
        let Some(number) = number else { return };
        let case = self.ledger.case(number).cloned();
        let publication = case.map_or(Publication::CaseForgotten(number), Publication::Case);
        self.current.publications.push(publication);
    }
}
