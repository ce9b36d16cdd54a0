//! Which offices and slots there are: an immutable snapshot that calls read without a lock, replaced by the ledger's
//! thread when something is added.

use std::{mem::offset_of, sync::Arc};

use kuota_domain::{
    ahead::{STEP, coming, fetch_all},
    calendar::{Holidays, ServiceDay, WeeklyOpening},
    catalog::Office,
    days::Days,
    fees::Fees,
    gate::{Figures, SlotGate},
    ids::{OfficeId, OfficeNumber},
    ledger::{Ledger, OFFICES_AT_HAND},
    refusal::Refusal,
    registration::Registration,
    rescheduling::{Circumstances, Wisher},
    slot::{Lane, SlotKey},
    time::UnixMillis,
};
use smallvec::SmallVec;

use super::{Answer, Failure, Granted, Whereabouts, Wish, names::Names};

type DaySlots = [Option<Arc<SlotGate>>; Lane::ALL.len()];

/// Every office with its slots.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    /// Apart from the rest of an office: every answer names one.
    names: Arc<Names>,
    offices: Vec<Arc<OfficeEntry>>,
    holidays: Arc<Holidays>,
    fees: Arc<Fees>,
    /// Grows when offices, holidays or fees change.
    edition: u64,
}

/// One office with its slots. What every call reads of it is its first cache line: there are many, and each call comes to
/// another.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub struct OfficeEntry {
    /// Whether it is still in the catalogue.
    pub open: bool,
    days: Days<DaySlots>,
    /// What it is.
    pub office: Arc<Office>,
    rule: Option<WeeklyOpening>,
}

const _: () = assert!(offset_of!(OfficeEntry, office) <= 64, "more than one line");

/// Offices as they stand at one place of the log.
#[derive(Clone, Debug)]
pub(super) struct OfficesView {
    holidays: Arc<Holidays>,
    fees: Arc<Fees>,
    offices: Vec<(Arc<Office>, Option<WeeklyOpening>, bool)>,
}

impl OfficesView {
    pub(super) fn of(ledger: &Ledger) -> Self {
        let offices = ledger.offices().map(|(office, open)| {
            let rule = ledger.rule_of(office).cloned();
            (office.clone(), rule, open)
        });
        let (holidays, fees) = (ledger.holidays().clone(), ledger.fees().clone());
        Self { holidays, fees, offices: offices.collect() }
    }
}

impl Directory {
    /// The office of that id.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<(OfficeNumber, &Arc<OfficeEntry>)> {
        let number = self.names.find(id)?;
        Some((number, self.office(number)?))
    }

    /// The id of an office.
    #[must_use]
    pub fn id(&self, number: OfficeNumber) -> Option<&OfficeId> {
        self.names.id(number)
    }

    /// The office of that number.
    #[must_use]
    pub fn office(&self, number: OfficeNumber) -> Option<&Arc<OfficeEntry>> {
        self.offices.get(number.index())
    }

    /// The office of a wish.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn whereabouts(
        &self,
        Whereabouts { slug, likely }: &Whereabouts,
    ) -> Result<(OfficeNumber, &Arc<OfficeEntry>), Failure> {
        let likely = likely.filter(|office| self.names.is(*office, slug));
        let number = likely.or_else(|| self.names.find(slug));
        let found = number.and_then(|number| Some((number, self.office(number)?)));
        found.ok_or_else(|| Failure::OfficeNotFound(slug.as_str().into()))
    }

    /// Finds the offices of the next wishes, most likely, and fetches what these will read of their slots. `at` are begun,
    /// these are not.
    pub fn look_ahead<T>(&self, at: usize, asks: &mut [T], wish: impl Fn(&mut T) -> Option<&mut Wish>) {
        if self.offices.len() <= OFFICES_AT_HAND {
            return;
        }
        for (stage, some) in coming(at, asks.len(), 3) {
            let wishes = asks[some].iter_mut().filter_map(&wish);
            match stage {
                0 => self.fetch_likely(wishes),
                1 => fetch_all(wishes.filter_map(|wish| self.likely(wish)?.place(wish.day, wish.lane))),
                _ => fetch_all(
                    wishes.filter_map(|wish| Some(&**self.likely(wish)?.gate(wish.day, wish.lane)?)),
                ),
            }
        }
    }

    fn fetch_likely<'a>(&self, wishes: impl Iterator<Item = &'a mut Wish>) {
        let offices = wishes.filter_map(|Wish { office, .. }| {
            office.likely = self.names.guess(&office.slug);
            office.likely
        });
        let offices: SmallVec<[OfficeNumber; STEP]> = offices.collect();
        fetch_all(offices.iter().filter_map(|office| self.id(*office)));
        fetch_all(offices.iter().filter_map(|office| Some(&**self.office(*office)?)));
    }

    fn likely(&self, wish: &Wish) -> Option<&Arc<OfficeEntry>> {
        self.office(wish.office.likely?)
    }

    /// Fetches what telling the next of these answers will read of them and of their offices. `at` are told, these are not.
    pub fn look_ahead_to_tell<T>(&self, at: usize, answers: &[T], answer: impl Fn(&T) -> &Answer) {
        if self.offices.len() <= OFFICES_AT_HAND {
            return;
        }
        for (stage, some) in coming(at, answers.len(), 2) {
            let granted = answers[some].iter().filter_map(|of| answer(of).as_ref().ok());
            let slots = granted.map(|Granted { registration, .. }| &registration.slot);
            match stage {
                0 => fetch_all(slots),
                _ => fetch_all(slots.filter_map(|slot| self.id(slot.office))),
            }
        }
    }

    /// Every office, by number.
    pub fn offices(&self) -> impl Iterator<Item = (OfficeNumber, &Arc<OfficeEntry>)> {
        (0..).map(OfficeNumber).zip(&self.offices)
    }

    /// Offices from a number on.
    pub fn offices_from(
        &self,
        first: OfficeNumber,
    ) -> impl Iterator<Item = (OfficeNumber, &Arc<OfficeEntry>)> {
        (first.0..).map(OfficeNumber).zip(self.offices.iter().skip(first.index()))
    }

    /// What passports cost.
    #[must_use]
    pub const fn fees(&self) -> &Arc<Fees> {
        &self.fees
    }

    /// Committed figures of a slot.
    #[must_use]
    pub fn figures(&self, slot: SlotKey) -> Option<Figures> {
        Some(self.gate(slot)?.figures())
    }

    /// Why there is no slot of that name.
    #[must_use]
    pub fn why_unscheduled(&self, entry: &OfficeEntry, slot: SlotKey, now: UnixMillis) -> Refusal {
        entry.office.why_unscheduled(entry.rule.as_ref(), &self.holidays, (slot.lane, slot.day), now)
    }

    /// Whether a registration may give its place up for one there, whatever is free. It was early enough for that when it
    /// was refused another.
    pub(super) fn may_go(&self, registration: &Registration, to: SlotKey, now: UnixMillis) -> bool {
        let offer = self.office(to.office).and_then(|entry| entry.office.offer(to.lane));
        let around = Circumstances { now, until: UnixMillis::MAX, fees: &self.fees, offer };
        registration.why_it_stays(to, Wisher::Caller, around).is_none()
    }

    /// Grows when offices, holidays or fees change: what was made of them is then out of date.
    pub(super) const fn edition(&self) -> u64 {
        self.edition
    }

    /// The gate of a slot.
    pub(super) fn gate(&self, slot: SlotKey) -> Option<&Arc<SlotGate>> {
        self.office(slot.office)?.gate(slot.day, slot.lane)
    }

    pub(super) fn set_offices(&mut self, view: OfficesView) {
        self.edition += 1;
        (self.holidays, self.fees) = (view.holidays, view.fees);
        for (number, (office, rule, open)) in (0..).map(OfficeNumber).zip(view.offices) {
            self.set_office(number, &office, rule, open);
        }
    }

    fn set_office(
        &mut self,
        number: OfficeNumber,
        office: &Arc<Office>,
        rule: Option<WeeklyOpening>,
        open: bool,
    ) {
        if let Some(entry) = self.offices.get_mut(number.index()) {
            let days = entry.days.clone();
            *entry = Arc::new(OfficeEntry { office: office.clone(), open, rule, days });
        } else {
            let entry = OfficeEntry { office: office.clone(), open, rule, days: Days::default() };
            self.offices.push(Arc::new(entry));
            Arc::make_mut(&mut self.names).push(number, office.id.clone());
        }
    }

    pub(super) fn add_slot(&mut self, slot: SlotKey, gate: &Arc<SlotGate>) {
        if let Some(entry) = self.offices.get_mut(slot.office.index()) {
            let day = Arc::make_mut(entry).days.get_or_insert_with(slot.day, DaySlots::default);
            day[slot.lane.index()] = Some(gate.clone());
        }
    }

    pub(super) fn drop_day(&mut self, office: OfficeNumber, day: ServiceDay) {
        if let Some(entry) = self.offices.get_mut(office.index()) {
            Arc::make_mut(entry).days.remove(&day);
        }
    }
}

impl OfficeEntry {
    /// The gate of a slot.
    #[must_use]
    pub fn gate(&self, day: ServiceDay, lane: Lane) -> Option<&Arc<SlotGate>> {
        self.place(day, lane)?.as_ref()
    }

    fn place(&self, day: ServiceDay, lane: Lane) -> Option<&Option<Arc<SlotGate>>> {
        Some(&self.days.get(&day)?[lane.index()])
    }

    /// Slots in order.
    pub fn slots(&self) -> impl Iterator<Item = (ServiceDay, Lane, &Arc<SlotGate>)> {
        self.days.iter().flat_map(slots_of_day)
    }

    /// Slots from a day on, in order.
    pub fn slots_from(&self, day: ServiceDay) -> impl Iterator<Item = (ServiceDay, Lane, &Arc<SlotGate>)> {
        self.days.from(day).flat_map(slots_of_day)
    }
}

fn slots_of_day<'a>(
    (day, slots): (&'a ServiceDay, &'a DaySlots),
) -> impl Iterator<Item = (ServiceDay, Lane, &'a Arc<SlotGate>)> {
    Lane::ALL.into_iter().filter_map(move |lane| Some((*day, lane, slots[lane.index()].as_ref()?)))
}
