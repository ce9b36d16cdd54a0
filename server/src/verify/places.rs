//! What the oracle knows of places: releases and their changes, and the sessions that a day's places are dealt out over.

use std::collections::HashMap;

use kuota_api::log::v1 as stored;

use super::{Kind, Oracle, Slot, SlotKey, days::SHORTEST_DAY_MS, key};

/// Shares of sessions by the catalogue, by office and lane.
#[derive(Default)]
pub(super) struct Shares(HashMap<(u32, u32), Vec<(stored::Session, u64)>>);

/// A session of a slot.
#[derive(Default)]
pub(super) struct Window {
    /// As it is offered; `None`: not any more.
    offered: Option<(stored::Session, u64)>,
    taken: u64,
}

impl Oracle {
    pub(super) fn office_defined(&mut self, office: stored::OfficeDefined) {
        let number = office.number;
        self.offices = self.offices.max(number + 1);
        for lane in 1..=3 {
            self.shares.0.remove(&(number, lane));
        }
        for offer in office.lanes {
            let shares = offer.sessions.into_iter();
            let shares = shares.filter_map(|one| Some((one.session?, u64::from(one.share)))).collect();
            self.shares.0.insert((number, offer.lane), shares);
        }
    }

    pub(super) fn released(&mut self, released: &stored::TrancheReleased) -> Option<&'static str> {
        let slot = released.slot.as_ref().map(key)?;
        if released.tranche as usize != self.tranches.len() + 1 || self.slots.contains_key(&slot) {
            return Some("a tranche is numbered out of order, or a slot released twice");
        }
        if slot.0 >= self.offices {
            return Some("unknown office");
        }
        self.tranches.push(slot);
        let (capacity, open_at_ms) = (u64::from(released.places), released.open_at_ms);
        let cut_off_ms = released.cut_off_ms;
        let sessions = HashMap::new();
        self.slots.insert(slot, Slot { capacity, open_at_ms, cut_off_ms, taken: 0, sessions });
        self.ends.insert((slot.0, slot.1), (released.close_at_ms, released.day_end_ms));
        self.dealt(slot, released.places, &released.sessions)
    }

    pub(super) fn changed(&mut self, at_ms: i64, changed: &stored::TrancheChanged) -> Option<&'static str> {
        let known =
            (changed.tranche as usize).checked_sub(1).and_then(|index| self.tranches.get(index)).copied();
        let Some((key_of, slot)) = known.and_then(|of| Some((of, self.slots.get_mut(&of)?))) else {
            return Some("unknown tranche");
        };
        if changed.slot.as_ref().map(key) != Some(key_of) {
            return Some("a tranche is changed for another slot");
        }
        let moved = slot.open_at_ms != changed.open_at_ms;
        let was_open = slot.open_at_ms <= at_ms;
        (slot.capacity, slot.open_at_ms) = (changed.places.into(), changed.open_at_ms);
        slot.cut_off_ms = changed.cut_off_ms;
        self.ends.insert((key_of.0, key_of.1), (changed.close_at_ms, changed.day_end_ms));
        if moved && was_open {
            return Some("the opening of an opened tranche is moved");
        }
        self.dealt(key_of, changed.places, &changed.sessions)
    }

    /// A slot's places are dealt out anew: to the sessions of the catalogue, all of them, and to none a place more or less
    /// than its share comes to.
    fn dealt(&mut self, slot: SlotKey, places: u32, dealt: &[stored::SessionPlaces]) -> Option<&'static str> {
        let windows = &mut self.slots.get_mut(&slot)?.sessions;
        windows.values_mut().for_each(|window| window.offered = None);
        for one in dealt {
            let Some(session) = one.session else { return Some("places are dealt out to no session") };
            let window = windows.entry(session.start_minute).or_default();
            if window.offered.replace((session, one.places.into())).is_some() {
                return Some("a session is there twice");
            }
        }
        windows.retain(|_, window| window.offered.is_some() || window.taken > 0);
        let shares = self.shares.0.get(&(slot.0, slot.2)).map_or(&[][..], |shares| shares);
        if shares.len() != dealt.len() {
            return Some("places are dealt out to other sessions than the catalogue's");
        }
        let (places, parts) = (u64::from(places), shares.iter().map(|(_, share)| share).sum::<u64>());
        let mut sum = 0;
        for one in dealt {
            let share =
                shares.iter().find(|(session, _)| Some(*session) == one.session).map(|(_, share)| share);
            let Some(exact) = share.map(|share| places * share) else {
                return Some("places are dealt out to other sessions than the catalogue's");
            };
            sum += u64::from(one.places);
            if (u64::from(one.places) * parts).abs_diff(exact) >= parts {
                return Some("a session gets other places than its share");
            }
        }
        (!dealt.is_empty() && sum != places).then_some("the sessions of a slot are not all of its places")
    }

    /// A party takes places of a session that is still to come; of none where the slot has none.
    pub(super) fn take_session(
        &mut self,
        at_ms: i64,
        slot: SlotKey,
        session: Option<stored::Session>,
        party: u64,
    ) -> Option<&'static str> {
        let windows = &mut self.slots.get_mut(&slot)?.sessions;
        let Some(session) = session else {
            let is_offered = windows.values().any(|window| window.offered.is_some());
            return is_offered.then_some("a place has no session where there are some");
        };
        let Some(window) = windows.get_mut(&session.start_minute) else {
            return Some("a place has a session that there is not");
        };
        window.taken += party;
        let (taken, offered) = (window.taken, window.offered);
        let Some((_, places)) = offered.filter(|(offered, _)| *offered == session) else {
            return Some("a place has a session that is not offered");
        };
        if taken > places {
            let what = format!("oversold: {taken} places taken of {places} of a session");
            self.fault(Kind::Oversold, what);
        }
        let end_ms = self.ends.get(&(slot.0, slot.1)).map_or(i64::MIN, |(_, end_ms)| *end_ms);
        let begins_ms = end_ms.saturating_sub(SHORTEST_DAY_MS) + i64::from(session.start_minute) * 60_000;
        (at_ms >= begins_ms).then_some("a place has a session that had begun")
    }

    /// A party's places of a session are free again.
    pub(super) fn free_session(&mut self, slot: SlotKey, session: Option<stored::Session>, party: u64) {
        let windows = self.slots.get_mut(&slot).map(|slot| &mut slot.sessions);
        let window = windows.zip(session).and_then(|(windows, one)| windows.get_mut(&one.start_minute));
        if let Some(window) = window {
            window.taken = window.taken.saturating_sub(party);
        }
    }
}
