//! What the clock makes due: openings written ahead, holds that expire, days that end, days that may be forgotten.

use super::{Ledger, Timer};
use crate::{
    calendar::{ServiceDay, Zone},
    catalog::Office,
    event::{Change, Override, Release, Times},
    ids::{OfficeNumber, TrancheNumber},
    limits::{DEMO_SEARCH_DAYS, DUE_EVENTS_PER_BATCH_MAX, OFFICES_PLANNED_MAX, REPEATS_KEPT_DAYS},
    session::SessionPlaces,
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
        let (mut changes, mut room) = (Vec::new(), DUE_EVENTS_PER_BATCH_MAX);
        for (at, timer) in self.timers.range(..=(now, Timer::MAX)) {
            if room == 0 {
                break;
            }
            self.timer_changes((*at, *timer), (&mut changes, &mut room));
        }
        if changes.is_empty() {
            changes = self.plan(now);
        }
        changes
    }

    /// What rules, catalogue and overrides ask for and is not there yet; bounded like [`Ledger::due`].
    pub(super) fn plan(&mut self, now: UnixMillis) -> Vec<Change> {
        let mut changes = Vec::new();
        if now >= self.next_plan {
            self.plan_offices(now, &mut changes);
            self.end_past_pauses(now, &mut changes);
        }
        changes
    }

    /// How far schedules have been looked at.
    pub(super) fn planning(&self) -> (UnixMillis, Vec<UnixMillis>) {
        (self.next_plan, self.offices.iter().map(|office| office.planned_until).collect())
    }

    /// Takes back what looking at schedules in a rehearsal left behind.
    pub(super) fn restore_planning(&mut self, (next_plan, planned): &(UnixMillis, Vec<UnixMillis>)) {
        self.next_plan = *next_plan;
        for (office, planned_until) in self.offices.iter_mut().zip(planned) {
            office.planned_until = *planned_until;
        }
    }

    /// Has one office's schedule looked at again.
    pub(super) fn plan_office_anew(&mut self, number: OfficeNumber) {
        self.next_plan = UnixMillis::MIN;
        if let Some(office) = self.offices.get_mut(number.index()) {
            office.planned_until = UnixMillis::MIN;
        }
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
        let overrides = || self.overrides_of(number);
        let last_set = overrides().next_back().map_or(today, |(slot, _)| slot.day);
        let last_known = state.days.last().unwrap_or(today);
        let last = last_known.max(last_set).max(horizon);
        // An override of a day that is over has nothing to say any more.
        let past = overrides().filter(|(slot, _)| slot.day < today && !self.is_bookable(*slot));
        changes.extend(past.map(|(slot, _)| Change::OverrideCleared(slot)));
        for day in (today.number()..=last.number()).map(ServiceDay::from_number) {
            let known = state.days.get(&day);
            let rule =
                rule.filter(|rule| state.open && rule.covers(day) && !self.holidays.contains_key(&day));
            if known.is_some_and(|known| known.closed) {
                continue;
            }
            let by_rule = rule.map(|rule| rule.open_at(day, &office.zone));
            for lane in Lane::ALL {
                let slot = SlotKey { office: number, day, lane };
                let set = self.overrides.get(&slot).copied().unwrap_or_default();
                let by_catalog = office.offer(lane).filter(|_| rule.is_some()).map(|offer| offer.places);
                let offered = set.places.or(by_catalog).filter(|_| state.open);
                let wanted = offered.unwrap_or(0);
                let opens = set.open_at.or(by_rule);
                match known.and_then(|known| Some((known, known.lanes[lane.index()]?))) {
                    Some((known, places)) => {
                        // The opening of an opened tranche never changes, nor does one move without places.
                        let fixed = places.open_at <= now || wanted == 0;
                        let open_at = opens.filter(|_| !fixed).unwrap_or(places.open_at);
                        let times = times_of(office, (day, lane), open_at);
                        let found = Times {
                            open_at: places.open_at,
                            close_at: known.close_at,
                            cut_off: places.cut_off(),
                            day_end: known.end,
                        };
                        let sessions = dealt(office, lane, wanted);
                        let is_dealt = self.sessions(slot).map(|(one, _)| one).eq(sessions.iter().copied());
                        if (places.capacity, found) != (wanted, times) || !is_dealt {
                            changes.push(Change::TrancheChanged {
                                tranche: places.tranche(),
                                slot,
                                places: wanted,
                                times,
                                sessions,
                            });
                        }
                    }
                    None => {
                        // Also without places: what is scheduled and has none is sold out.
                        let is_due = offered.is_some() && (day <= horizon || set.open_at.is_some());
                        if let Some(opens) = opens.filter(|_| is_due) {
                            self.push_release(office, (slot, wanted, opens), now, (changes, releases));
                        }
                    }
                }
            }
        }
    }

    /// What a timer makes due, with room for so many changes of registrations or days.
    fn timer_changes(
        &self,
        (at, timer): (UnixMillis, Timer),
        (changes, room): (&mut Vec<Change>, &mut usize),
    ) {
        let change = match timer {
            Timer::Hold(row) => {
                let Some(held) = self.roll.at(row) else { return };
                Change::HoldExpired { id: held.id, slot: held.slot }
            }
            Timer::DayEnd(office, day) => {
                // Who did not come is marked first; the day closes when nobody is left to mark.
                let absent = self.day(office, day).into_iter().flat_map(|found| self.absent(found));
                let ids: Box<[_]> = absent.take(*room).collect();
                *room -= ids.len();
                if !ids.is_empty() {
                    changes.push(Change::NoShows { office, day, ids });
                }
                if *room == 0 {
                    return;
                }
                Change::DayClosed { office, day, forget_at: at.plus_ms(REPEATS_KEPT_DAYS * DAY_MS) }
            }
            Timer::Forget(office, day) => Change::DayForgotten { office, day },
        };
        changes.push(change);
        *room -= 1;
    }

    /// Whether the day of a slot is scheduled, and not over.
    fn is_bookable(&self, slot: SlotKey) -> bool {
        self.day(slot.office, slot.day).is_some_and(|day| !day.closed)
    }

    fn overrides_of(
        &self,
        office: OfficeNumber,
    ) -> impl DoubleEndedIterator<Item = (SlotKey, Override)> + use<'_> {
        let edge = |day, lane| SlotKey { office, day: ServiceDay::from_number(day), lane };
        let range = edge(i32::MIN, Lane::Regular)..=edge(i32::MAX, Lane::Priority);
        self.overrides.range(range).map(|(slot, set)| (*slot, *set))
    }

    /// A pause of a service day that is over everywhere holds nothing any more.
    fn end_past_pauses(&self, now: UnixMillis, changes: &mut Vec<Change>) {
        // No zone is more than 26 hours away from another.
        let over = ServiceDay::at(now, &Zone::utc()).plus_days(-2);
        let past = self.pauses.keys().filter(|scope| scope.day.is_some_and(|day| day < over));
        changes.extend(past.map(|scope| Change::Resumed(*scope)));
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
                            tranche: places.tranche(),
                            slot,
                            places: places.capacity,
                            times: times_of(&state.office, (day, offer.lane), now),
                            sessions: dealt(&state.office, offer.lane, places.capacity),
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
        let times = times_of(office, (slot.day, slot.lane), open_at);
        if now >= times.cut_off.map_or(times.close_at, |cut_off| cut_off.min(times.close_at)) {
            return;
        }
        *releases += 1;
        let next = u32::try_from(self.tranches.len() + *releases).unwrap_or(u32::MAX);
        let (tranche, opening) = (TrancheNumber(next), office.opening.clone());
        let sessions = dealt(office, slot.lane, places);
        changes.push(Change::TrancheReleased(Release { tranche, slot, opening, places, times, sessions }));
    }
}

/// A slot's places over the sessions of its lane. An operator's quota is dealt out like the catalogue's.
fn dealt(office: &Office, lane: Lane, places: u32) -> Box<[SessionPlaces]> {
    office.offer(lane).map_or_else(Box::default, |offer| offer.deal(places).into())
}

fn times_of(office: &Office, (day, lane): (ServiceDay, Lane), open_at: UnixMillis) -> Times {
    let close_at = day.minute(office.closing_minute, &office.zone);
    let cut_off = office.offer(lane).and_then(|offer| offer.cut_off(day, &office.zone));
    Times { open_at, close_at, cut_off, day_end: day.minute(1440, &office.zone) }
}

impl Timer {
    const MAX: Self = Self::Forget(OfficeNumber(u32::MAX), ServiceDay::from_number(i32::MAX));
}
