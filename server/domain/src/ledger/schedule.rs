//! What the calendar makes due: openings written ahead, days that end, days that may be forgotten.

use super::{Ledger, Timer};
use crate::{
    calendar::ServiceDay,
    catalog::Office,
    event::{Change, Release, Times},
    ids::{OfficeNumber, TrancheNumber},
    limits::{DEMO_SEARCH_DAYS, DUE_EVENTS_PER_BATCH_MAX, OFFICES_PLANNED_MAX, REPEATS_KEPT_DAYS},
    slot::{Lane, SlotKey},
    time::UnixMillis,
};

const DAY_MS: i64 = 86_400_000;

impl Ledger {
    /// When something is due next.
    #[must_use]
    pub fn next_due(&self) -> UnixMillis {
        let timer = self.timers.first().map_or(UnixMillis::MAX, |(at, _)| *at);
        timer.min(self.next_plan)
    }

    /// Changes that are due, at most [`DUE_EVENTS_PER_BATCH_MAX`] (and one office's schedule); the rest are due at
    /// once again.
    pub fn due(&mut self, now: UnixMillis) -> Vec<Change> {
        let mut changes: Vec<Change> = self
            .timers
            .range(..=(now, Timer::MAX))
            .take(DUE_EVENTS_PER_BATCH_MAX)
            .map(timer_change)
            .collect();
        if now >= self.next_plan && changes.is_empty() {
            self.plan_offices(now, &mut changes);
        }
        changes
    }

    /// Has every office's schedule looked at again.
    pub(super) fn plan_anew(&mut self) {
        self.next_plan = UnixMillis::MIN;
        for office in &mut self.offices {
            office.planned_until = UnixMillis::MIN;
        }
    }

    fn plan_offices(&mut self, now: UnixMillis, changes: &mut Vec<Change>) {
        self.next_plan = UnixMillis::MAX;
        let (mut planned, mut releases) = (0, 0);
        for index in 0..self.offices.len() {
            if self.offices[index].planned_until <= now {
                if planned == OFFICES_PLANNED_MAX || changes.len() >= DUE_EVENTS_PER_BATCH_MAX {
                    self.next_plan = UnixMillis::MIN;
                    return;
                }
                planned += 1;
                let number = OfficeNumber(u32::try_from(index).unwrap_or(u32::MAX));
                self.plan_office(number, now, changes, &mut releases);
                let zone = &self.offices[index].office.zone;
                let midnight = ServiceDay::at(now, zone).minute(1440, zone);
                self.offices[index].planned_until = midnight;
            }
            self.next_plan = self.next_plan.min(self.offices[index].planned_until);
        }
    }

    /// Brings an office's tranches in line with its rule, its lanes and the holidays.
    fn plan_office(
        &self,
        number: OfficeNumber,
        now: UnixMillis,
        changes: &mut Vec<Change>,
        releases: &mut usize,
    ) {
        let state = &self.offices[number.index()];
        let (office, rule) = (&state.office, self.rule_of(&state.office));
        let today = ServiceDay::at(now, &office.zone);
        let horizon = rule.map_or(today, |rule| rule.horizon(today));
        let last = state.days.keys().next_back().copied().unwrap_or(today).max(horizon);
        for day in (today.number()..=last.number()).map(ServiceDay::from_number) {
            let known = state.days.get(&day);
            let rule =
                rule.filter(|rule| state.open && rule.covers(day) && !self.holidays.contains_key(&day));
            if known.is_some_and(|known| known.closed)
                || (known.is_none() && (rule.is_none() || day > horizon))
            {
                continue;
            }
            let opens = rule.map_or(UnixMillis::MAX, |rule| rule.open_at(day, &office.zone));
            for lane in Lane::ALL {
                let wanted = office.offer(lane).filter(|_| rule.is_some()).map_or(0, |offer| offer.places);
                let slot = SlotKey { office: number, day, lane };
                match known.and_then(|known| Some((known, known.lanes[lane.index()]?))) {
                    Some((known, places)) => {
                        // The opening of an opened tranche never changes, nor does one move without places.
                        let fixed = places.open_at <= now || wanted == 0;
                        let open_at = if fixed { places.open_at } else { opens };
                        let times = times_of(office, day, open_at);
                        let found =
                            Times { open_at: places.open_at, close_at: known.close_at, day_end: known.end };
                        if (places.capacity, found) != (wanted, times) {
                            changes.push(Change::TrancheChanged {
                                tranche: places.tranche,
                                places: wanted,
                                times,
                            });
                        }
                    }
                    None if wanted > 0 && day <= horizon => {
                        self.push_release(office, (slot, wanted, opens), now, (changes, releases));
                    }
                    None => {}
                }
            }
        }
    }

    /// Opens the next service days at once, from tomorrow on in each office's zone: a one-off opening.
    #[must_use]
    pub fn open_now(&self, days: usize, now: UnixMillis) -> Vec<Change> {
        let (mut changes, mut releases) = (Vec::new(), 0);
        for (number, state) in (0..).map(OfficeNumber).zip(&self.offices).filter(|(_, state)| state.open) {
            let Some(rule) = self.rule_of(&state.office) else { continue };
            let tomorrow = ServiceDay::at(now, &state.office.zone).plus_days(1);
            let service_days = (0..DEMO_SEARCH_DAYS)
                .map(|ahead| tomorrow.plus_days(ahead))
                .filter(|day| rule.covers(*day) && !self.holidays.contains_key(day));
            for day in service_days.take(days) {
                for offer in &state.office.lanes {
                    let slot = SlotKey { office: number, day, lane: offer.lane };
                    let released = state.days.get(&day).and_then(|day| day.lanes[offer.lane.index()]);
                    match released {
                        Some(places) if places.open_at > now => changes.push(Change::TrancheChanged {
                            tranche: places.tranche,
                            places: places.capacity,
                            times: times_of(&state.office, day, now),
                        }),
                        Some(_) => {}
                        None => {
                            let asked = (slot, offer.places, now);
                            self.push_release(&state.office, asked, now, (&mut changes, &mut releases));
                        }
                    }
                }
            }
        }
        changes
    }

    fn push_release(
        &self,
        office: &Office,
        (slot, places, open_at): (SlotKey, u32, UnixMillis),
        now: UnixMillis,
        (changes, releases): (&mut Vec<Change>, &mut usize),
    ) {
        let times = times_of(office, slot.day, open_at);
        if now >= times.close_at {
            return;
        }
        *releases += 1;
        let next = u32::try_from(self.tranches.len() + *releases).unwrap_or(u32::MAX);
        let (tranche, opening) = (TrancheNumber(next), office.opening.clone());
        changes.push(Change::TrancheReleased(Release { tranche, slot, opening, places, times }));
    }
}

fn times_of(office: &Office, day: ServiceDay, open_at: UnixMillis) -> Times {
    let close_at = day.minute(office.closing_minute, &office.zone);
    Times { open_at, close_at, day_end: day.minute(1440, &office.zone) }
}

impl Timer {
    const MAX: Self = Self::Forget(OfficeNumber(u32::MAX), ServiceDay::from_number(i32::MAX));
}

fn timer_change((at, timer): &(UnixMillis, Timer)) -> Change {
    match *timer {
        Timer::DayEnd(office, day) => {
            Change::DayClosed { office, day, forget_at: at.plus_ms(REPEATS_KEPT_DAYS * DAY_MS) }
        }
        Timer::Forget(office, day) => Change::DayForgotten { office, day },
    }
}
