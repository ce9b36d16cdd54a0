//! Sessions, as the clerk sees them.

use std::num::NonZeroU32;

use kuota_domain::{
    catalog::Catalog,
    ledger::Directive,
    refusal::Refusal,
    session::{Session, SessionShare, SessionStart},
    slot::{Lane, SlotKey},
};
use proptest::prelude::*;

use crate::{Run, pontianak};

/// Plans of a day, in hours: with and without sessions, so that some come and go.
pub(crate) const PLANS: [&[(u16, u32)]; 5] =
    [&[], &[(8, 1), (9, 1)], &[(8, 1), (9, 2), (12, 1)], &[(9, 1)], &[(8, 7), (10, 3), (14, 2)]];

pub(crate) fn plan(number: usize) -> Vec<SessionShare> {
    let share = |(hour, share): &(u16, u32)| SessionShare {
        session: Session::new(hour * 60, (hour + 1) * 60).unwrap(),
        share: NonZeroU32::new(*share).unwrap(),
    };
    PLANS[number].iter().map(share).collect()
}

pub(crate) fn start(hour: u16) -> SessionStart {
    Session::new(hour * 60, (hour + 1) * 60).unwrap().start()
}

impl Run {
    /// Another plan for the ordinary lane of one office.
    pub(crate) fn replan(&mut self, office: usize, number: usize) -> Result<(), TestCaseError> {
        let catalog: &mut Catalog = &mut self.catalog;
        let offers = catalog.offices[office].lanes.iter_mut();
        let regular = offers.filter(|offer| offer.lane == Lane::Regular);
        regular.for_each(|offer| offer.sessions = plan(number));
        let catalog = catalog.clone().into();
        // An id of its own each time: repeats are tried elsewhere.
        let request = 1_000 + self.world.log.len() as u128;
        let answer = self.world.operate(request, Directive::ApplyCatalog { catalog, close_offices: false });
        prop_assert!(answer.is_ok(), "{answer:?}");
        self.clerk.done.insert(request, (String::new(), self.world.now));
        Ok(())
    }

    fn taken_in(&self, slot: SlotKey, start: SessionStart) -> u32 {
        let here = self.clerk.entries.iter().filter(|entry| entry.slot == slot && entry.has_place());
        let here = here.filter(|entry| entry.session == Some(start));
        here.map(|entry| u32::try_from(entry.people.len()).unwrap()).sum()
    }

    /// The sessions of a slot that are still to come, with the places left in each.
    fn left(&self, slot: SlotKey) -> Vec<(SessionStart, u32)> {
        let zone = pontianak();
        let to_come = |start: &SessionStart| slot.day.minute(start.minute(), &zone) > self.world.now;
        let offered = self.world.ledger.sessions(slot).map(|(one, _)| (one.session.start(), one.places));
        let left =
            |(start, places): (SessionStart, u32)| (start, places.saturating_sub(self.taken_in(slot, start)));
        offered.map(left).filter(|(start, _)| to_come(start)).collect()
    }

    /// The session a party gets in a slot that has places for it; `None` when it gets none.
    pub(crate) fn turn(
        &self,
        slot: SlotKey,
        wanted: Option<SessionStart>,
        party: usize,
    ) -> Option<Option<SessionStart>> {
        let is_plain = self.world.ledger.sessions(slot).next().is_none();
        if is_plain {
            return wanted.is_none().then_some(None);
        }
        let has_room = |(start, left): &(SessionStart, u32)| {
            *left as usize >= party && wanted.is_none_or(|wanted| wanted == *start)
        };
        self.left(slot).into_iter().find(has_room).map(|(start, _)| Some(start))
    }

    /// Whether a refusal for the sake of a session is true.
    pub(crate) fn is_true(
        &self,
        refusal: &Refusal,
        slot: SlotKey,
        (wanted, party): (Option<SessionStart>, usize),
    ) -> bool {
        let left = self.left(slot);
        let fits = |told: &Vec<SessionStart>| {
            let with_room = left.iter().filter(|(_, left)| *left as usize >= party);
            with_room.map(|(start, _)| start).eq(told)
        };
        let named = left.iter().find(|(start, _)| Some(*start) == wanted);
        let offered = || self.world.ledger.sessions(slot).map(|(one, _)| one.session.start());
        match refusal {
            Refusal::SessionFull { available, with_room, .. } => {
                let most = left.iter().map(|(_, left)| *left).max();
                let expected = if wanted.is_some() { named.map(|(_, left)| *left) } else { most };
                expected == Some(*available) && (*available as usize) < party && fits(with_room)
            }
            Refusal::NoSuchSession { offered: told } => {
                offered().eq(told.iter().copied()) && offered().all(|start| Some(start) != wanted)
            }
            Refusal::SessionBegun { at, with_room } => {
                let is_over = if wanted.is_some() { named.is_none() } else { left.is_empty() };
                *at <= self.world.now && is_over && fits(with_room) && offered().next().is_some()
            }
            _ => false,
        }
    }

    /// No session has more than it had room for when it was granted, and a slot's places are in its sessions.
    pub(crate) fn check_sessions(&self) -> Result<(), TestCaseError> {
        let ledger = &self.world.ledger;
        for slot in ledger.slots() {
            let capacity = ledger.figures(slot).unwrap().capacity;
            let dealt: Vec<_> = ledger.sessions(slot).collect();
            prop_assert!(
                dealt.is_empty() || dealt.iter().map(|(one, _)| one.places).sum::<u32>() == capacity,
                "{dealt:?} are not {capacity}"
            );
            for (one, taken) in dealt {
                prop_assert_eq!(taken, self.taken_in(slot, one.session.start()));
            }
        }
        Ok(())
    }
}
