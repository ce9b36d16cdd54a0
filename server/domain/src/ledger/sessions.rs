//! Sessions as the ledger counts them: the windows of a slot with their places, and how far each queue has come. The gate
//! knows nothing of them: it counts slots. A day without sessions has nothing here.

use hashbrown::HashMap;

use super::{DayState, Ledger, Misfit, Undo, digest::Sink};
use crate::{
    calendar::ServiceDay,
    ids::OfficeNumber,
    refusal::Refusal,
    session::{Session, SessionPlaces, SessionStart, Turn},
    slot::{Lane, SlotKey},
    time::UnixMillis,
};

/// No day begins earlier than so long before it ends, whatever its clocks do.
const DAY_LENGTH_MAX_MS: i64 = 26 * 3_600_000;

type DayKey = (OfficeNumber, ServiceDay);

/// The days that have sessions.
#[derive(Debug, Default)]
pub(super) struct Sessions(HashMap<DayKey, DaySessions>);

/// The sessions of an office's day.
#[derive(Clone, Debug, Default)]
pub(super) struct DaySessions {
    /// By lane, each in the order of their starts.
    windows: [Vec<Window>; Lane::ALL.len()],
    /// The last queue number of each, whatever the lane. A session that gave none may be missing.
    last_numbers: Vec<(SessionStart, u32)>,
}

/// A session of a slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Window {
    session: Session,
    /// Its places; `None`: it is not offered any more, and stands here for those who were granted it.
    places: Option<u32>,
    /// Places taken: more than there are where there were more before.
    taken: u32,
}

impl Window {
    fn room(&self) -> Option<u32> {
        Some(self.places?.saturating_sub(self.taken))
    }
}

impl Sessions {
    fn windows(&self, slot: SlotKey) -> &[Window] {
        // Most catalogues have none: nothing is looked for then.
        let day = if self.0.is_empty() { None } else { self.0.get(&(slot.office, slot.day)) };
        day.map_or(&[], |day| &day.windows[slot.lane.index()])
    }

    fn window_mut(&mut self, slot: SlotKey, start: SessionStart) -> Option<&mut Window> {
        let windows = &mut self.0.get_mut(&(slot.office, slot.day))?.windows[slot.lane.index()];
        windows.iter_mut().find(|window| window.session.start() == start)
    }

    fn last_number(&self, day: DayKey, start: SessionStart) -> u32 {
        let numbers = self.0.get(&day).map_or(&[][..], |day| &day.last_numbers);
        numbers.iter().find(|(of, _)| *of == start).map_or(0, |(_, last)| *last)
    }

    /// How far the queue of a session has come.
    pub(super) fn last_number_mut(&mut self, day: DayKey, session: Session) -> &mut u32 {
        let (numbers, start) = (&mut self.0.entry(day).or_default().last_numbers, session.start());
        let at = numbers.iter().position(|(of, _)| *of == start).unwrap_or_else(|| {
            numbers.push((start, 0));
            numbers.len() - 1
        });
        &mut numbers[at].1
    }

    /// What is known of a day, for its digest.
    pub(super) fn digest_into(&self, day: DayKey, sink: &mut Sink) {
        let Some(day) = self.0.get(&day) else { return };
        for (lane, windows) in Lane::ALL.into_iter().zip(&day.windows) {
            for Window { session, places, taken } in windows {
                sink.bytes(b"session");
                sink.bytes(lane.name().as_bytes());
                session_into(*session, sink);
                sink.maybe(places.map(i64::from));
                sink.number(*taken);
            }
        }
        let mut numbers: Vec<_> = day.last_numbers.iter().filter(|(_, last)| *last > 0).collect();
        numbers.sort_unstable();
        for (start, last) in numbers {
            sink.bytes(b"session queue");
            sink.number(start.minute());
            sink.number(*last);
        }
    }

    pub(super) fn restore(&mut self, day: DayKey, before: Option<DaySessions>) {
        match before {
            Some(sessions) => self.0.insert(day, sessions),
            None => self.0.remove(&day),
        };
    }
}

pub(super) fn session_into(session: Session, sink: &mut Sink) {
    sink.number(session.start().minute());
    sink.number(session.end_minute());
}

impl Ledger {
    /// The sessions of a slot: each with the places it has and those that are taken.
    pub fn sessions(&self, slot: SlotKey) -> impl Iterator<Item = (SessionPlaces, u32)> {
        self.sessions.windows(slot).iter().filter_map(|window| {
            let Window { session, places, taken } = *window;
            Some((SessionPlaces { session, places: places? }, taken))
        })
    }

    /// The turn a party gets in a slot that has places for it: in the session it names, or in the earliest with room.
    pub(super) fn next_turn(
        &self,
        (slot, day): (SlotKey, &DayState),
        (wanted, party): (Option<SessionStart>, u32),
        now: UnixMillis,
    ) -> Result<Turn, Refusal> {
        let is_near = day.end <= now.plus_ms(DAY_LENGTH_MAX_MS);
        let begun = |session: Session| {
            let office = &self.offices.get(slot.office.index()).filter(|_| is_near)?.office;
            Some(slot.day.minute(session.start().minute(), &office.zone)).filter(|at| *at <= now)
        };
        let session = choose(self.sessions.windows(slot), (wanted, party), begun)?;
        let last = match session {
            Some(session) => self.sessions.last_number((slot.office, slot.day), session.start()),
            None => day.last_queue_number,
        };
        Ok(Turn { session, queue_number: last + 1 })
    }

    /// How far a queue has come.
    pub(super) fn last_number_mut(&mut self, day: DayKey, session: Option<Session>) -> Option<&mut u32> {
        let state = self.offices.get_mut(day.0.index())?.days.get_mut(&day.1)?;
        Some(match session {
            Some(session) => self.sessions.last_number_mut(day, session),
            None => &mut state.last_queue_number,
        })
    }

    /// Sets how a slot's places are dealt out. What was taken stays taken, also in a session that is not offered any more:
    /// it may come back.
    pub(super) fn set_sessions(&mut self, slot: SlotKey, dealt: &[SessionPlaces]) {
        let day = (slot.office, slot.day);
        if dealt.is_empty() && self.sessions.windows(slot).is_empty() {
            return;
        }
        self.keep_sessions(day);
        let windows = &mut self.sessions.0.entry(day).or_default().windows[slot.lane.index()];
        let before = std::mem::take(windows);
        let taken = |start| before.iter().find(|one| one.session.start() == start).map_or(0, |one| one.taken);
        windows.extend(dealt.iter().map(|SessionPlaces { session, places }| Window {
            session: *session,
            places: Some(*places),
            taken: taken(session.start()),
        }));
        let is_dealt =
            |window: &Window| dealt.iter().any(|one| one.session.start() == window.session.start());
        let gone = before.iter().filter(|window| window.taken > 0 && !is_dealt(window));
        windows.extend(gone.map(|window| Window { places: None, ..*window }));
        windows.sort_unstable_by_key(|window| window.session);
    }

    /// The day is forgotten.
    pub(super) fn forget_sessions(&mut self, day: DayKey) {
        if self.sessions.0.contains_key(&day) {
            self.keep_sessions(day);
            self.sessions.0.remove(&day);
        }
    }

    fn keep_sessions(&mut self, day: DayKey) {
        let before = self.sessions.0.get(&day).cloned();
        self.journal.note(Undo::Sessions(Box::new((day, before))));
    }

    /// Takes a party's places of a session; of none where the slot has none. The caller notes how to undo it.
    pub(super) fn take_session(
        &mut self,
        slot: SlotKey,
        session: Option<Session>,
        party: u32,
    ) -> Result<(), Misfit> {
        let Some(session) = session else {
            let is_offered = self.sessions.windows(slot).iter().any(|window| window.places.is_some());
            return if is_offered { Err(Misfit::Session) } else { Ok(()) };
        };
        let window = self.sessions.window_mut(slot, session.start()).ok_or(Misfit::Session)?;
        if window.session != session || window.room().is_none_or(|room| room < party) {
            return Err(Misfit::Session);
        }
        window.taken += party;
        Ok(())
    }

    /// A party's places of a session are free again. The caller notes how to undo it.
    pub(super) fn free_session(
        &mut self,
        slot: SlotKey,
        session: Option<Session>,
        party: u32,
    ) -> Result<(), Misfit> {
        let Some(session) = session else { return Ok(()) };
        let window = self.sessions.window_mut(slot, session.start()).ok_or(Misfit::Session)?;
        window.taken = window.taken.checked_sub(party).ok_or(Misfit::Session)?;
        Ok(())
    }

    /// Takes back what [`Ledger::take_session`] or [`Ledger::free_session`] did.
    pub(super) fn set_session_taken(&mut self, slot: SlotKey, start: SessionStart, taken: u32) {
        if let Some(window) = self.sessions.window_mut(slot, start) {
            window.taken = taken;
        }
    }

    /// Notes how many places of a session are taken before that changes.
    pub(super) fn keep_session_taken(&mut self, slot: SlotKey, session: Option<Session>) {
        let Some(start) = session.map(Session::start) else { return };
        let taken = self.sessions.window_mut(slot, start).map_or(0, |window| window.taken);
        self.journal.note(Undo::SessionTaken(slot, start, taken));
    }
}

/// Places are dealt out over sessions whole, or not at all.
pub(super) fn check_dealt(places: u32, sessions: &[SessionPlaces]) -> Result<(), Misfit> {
    let dealt = sessions.iter().map(|one| u64::from(one.places)).sum::<u64>();
    if sessions.is_empty() || dealt == u64::from(places) { Ok(()) } else { Err(Misfit::Session) }
}

/// The session a party gets: the one it names, or the earliest with room for all of it, and never one that has begun. A
/// party comes together, so it is not spread over sessions. `begun` says when a session began, if it did.
fn choose(
    windows: &[Window],
    (wanted, party): (Option<SessionStart>, u32),
    begun: impl Fn(Session) -> Option<UnixMillis>,
) -> Result<Option<Session>, Refusal> {
    let offered = || windows.iter().filter_map(|window| Some((window.session, window.room()?)));
    let to_come = || offered().filter(|(session, _)| begun(*session).is_none());
    let with_room = || to_come().filter(|(_, room)| *room >= party).map(|(session, _)| session);
    let starts = || with_room().map(Session::start).collect();
    let named = match wanted {
        None if offered().next().is_none() => return Ok(None),
        None => None,
        Some(start) => {
            let named = offered().find(|(session, _)| session.start() == start);
            let none = || Refusal::NoSuchSession { offered: offered().map(|(one, _)| one.start()).collect() };
            Some(named.ok_or_else(none)?)
        }
    };
    let found =
        named.map_or_else(|| with_room().next(), |(session, _)| with_room().find(|one| *one == session));
    if found.is_some() {
        return Ok(found);
    }
    let left = named.map_or_else(|| to_come().map(|(_, room)| room).max(), |(_, room)| Some(room));
    let latest = named.or_else(|| offered().next_back()).and_then(|(session, _)| begun(session));
    Err(match latest {
        Some(at) => Refusal::SessionBegun { at, with_room: starts() },
        None => Refusal::SessionFull { available: left.unwrap_or(0), asked: party, with_room: starts() },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(hour: u16) -> SessionStart {
        session(hour).start()
    }

    fn session(hour: u16) -> Session {
        Session::new(hour * 60, (hour + 1) * 60).unwrap()
    }

    #[test]
    fn a_party_gets_the_session_it_names_or_the_earliest_that_has_room_for_all_of_it() {
        let window = |hour, places, taken| Window { session: session(hour), places, taken };
        let windows = [
            window(8, Some(2), 2),
            window(9, Some(3), 2),
            window(10, None, 1),
            window(11, Some(2), 0),
            window(12, Some(1), 4),
        ];
        let full = |available, asked, with_room: &[u16]| {
            let with_room = with_room.iter().map(|hour| start(*hour)).collect();
            Err(Refusal::SessionFull { available, asked, with_room })
        };
        let begun = |hour: u16, with_room: &[u16]| {
            let with_room = with_room.iter().map(|hour| start(*hour)).collect();
            Err(Refusal::SessionBegun { at: UnixMillis(hour.into()), with_room })
        };
        let none = || Err(Refusal::NoSuchSession { offered: [8, 9, 11, 12].map(start).to_vec() });
        // The hour it is, who wants which session, and what they get.
        for (hour, wanted, party, expected) in [
            (0, None, 1, Ok(Some(session(9)))),
            (0, None, 2, Ok(Some(session(11)))),
            (0, None, 3, full(2, 3, &[])),
            (0, Some(9), 1, Ok(Some(session(9)))),
            (0, Some(11), 2, Ok(Some(session(11)))),
            (0, Some(9), 2, full(1, 2, &[11])),
            (0, Some(8), 1, full(0, 1, &[9, 11])),
            (0, Some(12), 1, full(0, 1, &[9, 11])),
            (0, Some(10), 1, none()),
            (0, Some(7), 1, none()),
            (9, None, 1, Ok(Some(session(11)))),
            (9, Some(9), 1, begun(9, &[11])),
            (9, Some(8), 1, begun(8, &[11])),
            (11, None, 1, full(0, 1, &[])),
            (12, None, 1, begun(12, &[])),
            (12, Some(7), 1, none()),
        ] {
            let begun_at = |session: Session| {
                let at = session.start().minute() / 60;
                (at <= hour).then_some(UnixMillis(at.into()))
            };
            let chosen = choose(&windows, (wanted.map(start), party), begun_at);
            assert_eq!(chosen, expected, "{party} for {wanted:?} at {hour}");
        }
    }

    #[test]
    fn where_there_are_no_sessions_none_is_got_and_none_can_be_named() {
        let gone = [Window { session: session(8), places: None, taken: 1 }];
        for windows in [&[][..], &gone] {
            let never = |_| None;
            assert_eq!(choose(windows, (None, 5), never), Ok(None));
            let named = choose(windows, (Some(start(8)), 1), never);
            assert_eq!(named, Err(Refusal::NoSuchSession { offered: Vec::new() }));
        }
    }
}
