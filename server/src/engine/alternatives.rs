//! What else is free, for those who are refused. A slot that refuses has a menu: slots that may be named instead, written
//! ready to be sent. It says where to look; whether a place is there is read from each slot's word when the answer is
//! made. So nothing is ever named that was gone at that instant, and a menu that is a moment old only misses what came
//! free since.
//!
//! Whoever is refused first, or finds the menu old, makes it, one at a time and so many in a tenth of a second; meanwhile
//! others are told what there is. A slot where nobody is refused costs nothing.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use arc_swap::{ArcSwapOption, Guard};
use kuota_domain::{
    alternative::{Alternative, Shortlist, other_lanes},
    calendar::ServiceDay,
    catalog::OfficeKind,
    distance::{Neighbour, Point, neighbours},
    fees::Rupiah,
    gate::SlotGate,
    ids::{OfficeId, OfficeNumber, RegistrationId},
    limits::ALTERNATIVES_MAX,
    slot::{Lane, SlotKey},
    time::UnixMillis,
};
use parking_lot::Mutex;

use super::{Directory, Engine, Wanted};
use crate::limits::{MENU_FRESH, MENUS_MAX, MENUS_PER_WINDOW_MAX, MENUS_WINDOW_MS, SHORT_MENU_FRESH};

/// A slot that may be named, but for how many places it has.
#[derive(Debug)]
pub struct Offer<'a> {
    /// Its office.
    pub office: &'a OfficeId,
    /// Its day.
    pub day: ServiceDay,
    /// Its lane.
    pub lane: Lane,
    /// What the lane costs each applicant beyond the passport.
    pub surcharge: Rupiah,
    /// Metres to its office.
    pub metres: u32,
}

/// Writes an offer as it is sent: the engine keeps it, and does not read it.
pub type WriteOffer = fn(&Offer<'_>, &mut Vec<u8>);

/// What may be named at one slot.
#[derive(Debug)]
pub(super) struct Menu {
    /// Where they are refused who are told of it.
    slot: SlotKey,
    choices: Shortlist<Choice>,
    written: Box<[u8]>,
    made_at: UnixMillis,
    /// The directory's, when it was made.
    edition: u64,
}

#[derive(Debug)]
struct Choice {
    slot: SlotKey,
    gate: Arc<SlotGate>,
    /// Where it stands in what is written.
    from: u32,
    to: u32,
}

impl Menu {
    /// Names what has places for so many now, among what may be named; says how many were named.
    fn name(
        &self,
        (places, may_be): (u32, impl Fn(SlotKey) -> bool),
        now: UnixMillis,
        mut tell: impl FnMut(&[u8], u32),
    ) -> usize {
        self.choices.in_turns(|choice| {
            let figures = choice.gate.figures();
            let is_named = figures.refuse(places, now).is_none() && may_be(choice.slot);
            if is_named {
                tell(&self.written[choice.from as usize..choice.to as usize], figures.free);
            }
            is_named
        })
    }

    /// Whether it is time to look again, when so many could be named.
    fn is_old(&self, now: UnixMillis, named: usize) -> bool {
        let fresh = if named < ALTERNATIVES_MAX { SHORT_MENU_FRESH } else { MENU_FRESH };
        // A clock that was set back makes it old as well.
        now < self.made_at || self.made_at.until(now) >= fresh
    }
}

/// Where menus are made.
#[derive(Debug)]
pub(super) struct Menus {
    write: WriteOffer,
    allowance: Allowance,
    /// Menus as they were made, each in the place of the one that was made first. The tag of a slot's gate says where its own
    /// is, from 1 on, unless another slot's has taken the place since.
    made: Box<[ArcSwapOption<Menu>]>,
    maker: Mutex<Maker>,
}

#[derive(Debug, Default)]
struct Maker {
    /// The directory that the rest was made of.
    edition: u64,
    places: Vec<(OfficeKind, Point)>,
    neighbours: HashMap<OfficeNumber, Arc<[Neighbour]>>,
    /// Where the next menu goes of a slot that has none.
    next: usize,
}

/// Bounds what is made in a span of time: its number, and below that how many were made in it.
#[derive(Debug, Default)]
struct Allowance(AtomicU64);

impl Allowance {
    fn number(now: UnixMillis) -> u64 {
        (now.0 / MENUS_WINDOW_MS).cast_unsigned() << u32::BITS
    }

    /// How many were made in this span. Relaxed throughout: one more or less does no harm.
    fn made(&self, now: UnixMillis) -> u64 {
        let last = self.0.load(Ordering::Relaxed);
        let made = last.wrapping_sub(Self::number(now));
        if made > u64::from(u32::MAX) { 0 } else { made }
    }

    /// Whether one more may be made.
    fn is_left(&self, now: UnixMillis) -> bool {
        self.made(now) < MENUS_PER_WINDOW_MAX
    }

    /// One more is made.
    fn take(&self, now: UnixMillis) {
        self.0.store(Self::number(now) + self.made(now) + 1, Ordering::Relaxed);
    }
}

impl Menus {
    pub(super) fn new(write: WriteOffer) -> Self {
        let made = (0..MENUS_MAX).map(|_| ArcSwapOption::empty()).collect();
        Self { write, allowance: Allowance::default(), made, maker: Mutex::default() }
    }

    /// Where the menu of a slot is, or was.
    fn place(&self, gate: &SlotGate) -> Option<usize> {
        (gate.tag() as usize).checked_sub(1)
    }

    /// The menu of a slot, if it has one.
    fn of(&self, slot: SlotKey, gate: &SlotGate) -> Option<Guard<Option<Arc<Menu>>>> {
        let found = self.made.get(self.place(gate)?)?.load();
        let is_its_own = found.as_ref().is_some_and(|menu| menu.slot == slot);
        is_its_own.then_some(found)
    }

    /// A new menu for a slot, unless one is being made, or enough were.
    fn make(
        &self,
        directory: &Directory,
        (slot, gate): (SlotKey, &SlotGate),
        now: UnixMillis,
    ) -> Option<Arc<Menu>> {
        if !self.allowance.is_left(now) {
            return None;
        }
        let mut maker = self.maker.try_lock()?;
        self.allowance.take(now);
        maker.see(directory);
        let menu = Arc::new(maker.menu(directory, slot, now, self.write)?);
        let known = self.of(slot, gate).and_then(|_| self.place(gate));
        let at = known.unwrap_or_else(|| maker.next_place(gate));
        self.made[at].store(Some(menu.clone()));
        Some(menu)
    }
}

impl Maker {
    /// A place for the menu of a slot that has none.
    fn next_place(&mut self, gate: &SlotGate) -> usize {
        let at = self.next;
        self.next = (at + 1) % MENUS_MAX;
        gate.set_tag(u32::try_from(at + 1).unwrap_or(0));
        at
    }

    /// Forgets what was made of another directory.
    fn see(&mut self, directory: &Directory) {
        if self.edition != directory.edition() {
            self.edition = directory.edition();
            self.places =
                directory.offices().map(|(_, entry)| (entry.office.kind, Point::of(&entry.office))).collect();
            self.neighbours.clear();
        }
    }

    fn neighbours(&mut self, office: OfficeNumber) -> Arc<[Neighbour]> {
        let find = || neighbours(office, &self.places).into();
        self.neighbours.entry(office).or_insert_with(find).clone()
    }

    fn menu(
        &mut self,
        directory: &Directory,
        asked: SlotKey,
        now: UnixMillis,
        write: WriteOffer,
    ) -> Option<Menu> {
        let entry = directory.office(asked.office)?;
        let today = ServiceDay::at(now, &entry.office.zone);
        let days = entry.slots_from(today).filter(|(_, lane, _)| *lane == asked.lane);
        let lanes = other_lanes(asked.lane).iter();
        let near = self.neighbours(asked.office);
        let at = |near: &Neighbour| {
            let entry = directory.office(near.office).filter(|entry| entry.open)?;
            Some((*near, entry.gate(asked.day, asked.lane)?))
        };
        let shortlist = Shortlist::of(
            asked,
            days.map(|(day, _, gate)| (day, gate)),
            lanes.filter_map(|lane| Some((*lane, entry.gate(asked.day, *lane)?))),
            near.iter().filter_map(at),
            |gate| {
                let figures = gate.figures();
                if figures.refuse(1, now).is_some() { 0 } else { figures.free }
            },
        );
        let mut written = Vec::new();
        let choices = shortlist.map(|Alternative { slot, metres, source }| {
            let from = position(&written);
            if let Some(entry) = directory.office(slot.office) {
                let surcharge =
                    directory.fees().surcharges.get(&slot.lane).map_or(Rupiah(0), |price| price.rupiah);
                let (office, day, lane) = (&entry.office.id, slot.day, slot.lane);
                write(&Offer { office, day, lane, surcharge, metres }, &mut written);
            }
            Choice { slot, gate: source.clone(), from, to: position(&written) }
        });
        Some(Menu {
            slot: asked,
            choices,
            written: written.into(),
            made_at: now,
            edition: directory.edition(),
        })
    }
}

fn position(written: &[u8]) -> u32 {
    u32::try_from(written.len()).unwrap_or(u32::MAX)
}

impl Engine {
    /// Names what may be had instead, to somebody who is refused: each as it was written, and how many places it has. To
    /// somebody who would give a registration's place up for it, only where that may go.
    pub fn alternatives(
        &self,
        (wanted, leaving): (Wanted, Option<RegistrationId>),
        now: UnixMillis,
        mut tell: impl FnMut(&[u8], u32),
    ) {
        let Wanted { slot, places } = wanted;
        let directory = self.read.directory.load();
        let leaving = leaving.and_then(|id| self.read.finder.by_id(id));
        let may_be = |slot| leaving.as_ref().is_none_or(|found| directory.may_go(found, slot, now));
        let Some(gate) = directory.gate(slot) else { return };
        let menu = self.menus.of(slot, gate);
        let known = menu.iter().find_map(|menu| menu.as_ref());
        let known = known.filter(|menu| menu.edition == directory.edition());
        let named = known.map(|menu| (menu.name((places, &may_be), now, &mut tell), menu));
        match named {
            Some((named, menu)) if !menu.is_old(now, named) => {}
            // This one was told; the next is told by what is made now.
            Some(_) => drop(self.menus.make(&directory, (slot, gate), now)),
            None => {
                if let Some(menu) = self.menus.make(&directory, (slot, gate), now) {
                    menu.name((places, may_be), now, tell);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::iter::empty;

    use super::*;

    #[test]
    fn so_many_menus_are_made_in_a_tenth_of_a_second_and_no_more() {
        let allowance = Allowance::default();
        let made_at = |now_ms| {
            let makes = |_: &u32| {
                let may = allowance.is_left(UnixMillis(now_ms));
                may.then(|| allowance.take(UnixMillis(now_ms))).is_some()
            };
            (0..2_000).filter(makes).count() as u64
        };
        for now_ms in [1_795_392_000_000, 1_795_391_999_950, 0, -170, i64::MAX] {
            assert_eq!(made_at(now_ms), MENUS_PER_WINDOW_MAX, "{now_ms}, a clock set back included");
            assert_eq!(made_at(now_ms), 0);
        }
        assert_eq!(made_at(200), MENUS_PER_WINDOW_MAX);
        assert_eq!(made_at(299), 0);
        assert_eq!(made_at(300), MENUS_PER_WINDOW_MAX);
    }

    #[test]
    fn a_menu_grows_old_sooner_where_it_is_short_and_when_the_clock_is_set_back() {
        let made_at = UnixMillis(10_000);
        let slot = SlotKey { office: OfficeNumber(0), day: ServiceDay::from_number(0), lane: Lane::Regular };
        let nothing = Shortlist::<Alternative<()>>::of(slot, empty(), empty(), empty(), |()| 0);
        let choices = nothing.map(|_| -> Choice { unreachable!("nothing was found") });
        let menu = Menu { slot, choices, written: Box::default(), made_at, edition: 0 };
        for (after_ms, named, expected) in [
            (0, 0, false),
            (249, 4, false),
            (250, 4, true),
            (250, ALTERNATIVES_MAX, false),
            (999, ALTERNATIVES_MAX, false),
            (1_000, ALTERNATIVES_MAX, true),
            (-1, ALTERNATIVES_MAX, true),
        ] {
            let now = UnixMillis(10_000 + after_ms);
            assert_eq!(menu.is_old(now, named), expected, "{after_ms} ms, {named} named");
        }
    }
}
