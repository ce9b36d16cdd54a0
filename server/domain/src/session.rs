//! Sessions: windows of a service day, each with its share of a lane's places. Owns how a day's places are dealt out over
//! them; counts nothing.

use std::{
    cmp::Reverse,
    fmt,
    num::{NonZeroU8, NonZeroU32},
};

/// Minutes of the steps in which sessions begin and end.
const STEP_MINUTES: u16 = 15;
const MINUTES_A_DAY: u16 = 24 * 60;

/// When a session begins: by that it is named. A quarter hour of the day.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SessionStart(u8);

/// A window of a service day, in the office's zone. Two bytes: every registration has room for one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Session {
    start: SessionStart,
    end: NonZeroU8,
}

/// What is no session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("quarter hours of one day are allowed, 08:00 or 08:15, and an end after the start")]
pub struct SessionError;

/// What is no start of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the start of a session on a quarter hour is allowed, as 08:00")]
pub struct SessionStartError;

/// A session as a catalogue has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SessionShare {
    /// Which.
    pub session: Session,
    /// How many parts of the day's places it gets, of all parts together.
    pub share: NonZeroU32,
}

/// A session with its places of one slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SessionPlaces {
    /// Which.
    pub session: Session,
    /// How many.
    pub places: u32,
}

/// A place in a queue: each session has one of its own, and a day without sessions has one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Turn {
    /// Which session; `None` where there are none.
    pub session: Option<Session>,
    /// Its number there, from 1.
    pub queue_number: u32,
}

impl SessionStart {
    /// Reads `08:00`.
    ///
    /// # Errors
    /// When it is no quarter hour of a day.
    pub fn parse(raw: &str) -> Result<Self, SessionStartError> {
        let number = |part: &str| {
            let is_one = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
            is_one.then(|| part.parse::<u16>().ok()).flatten()
        };
        let (hour, minute) = raw.split_once(':').ok_or(SessionStartError)?;
        let (hour, minute) = number(hour).zip(number(minute)).ok_or(SessionStartError)?;
        let is_time = hour < 24 && minute < 60 && minute.is_multiple_of(STEP_MINUTES);
        let start = u8::try_from((hour * 60 + minute) / STEP_MINUTES).map_err(|_| SessionStartError)?;
        is_time.then_some(Self(start)).ok_or(SessionStartError)
    }

    /// In minutes after midnight.
    #[must_use]
    pub fn minute(self) -> u16 {
        u16::from(self.0) * STEP_MINUTES
    }

    /// As a small number that no other start has.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }
}

impl fmt::Display for SessionStart {
    /// `08:00`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        clock(self.minute(), f)
    }
}

impl Session {
    /// From one minute of the day to another.
    ///
    /// # Errors
    /// When they are no quarter hours, or the end does not come after the start.
    pub fn new(start_minute: u16, end_minute: u16) -> Result<Self, SessionError> {
        let step = |minute: u16| {
            let is_one = minute.is_multiple_of(STEP_MINUTES) && minute <= MINUTES_A_DAY;
            u8::try_from(minute / STEP_MINUTES).ok().filter(|_| is_one)
        };
        let (start, end) = step(start_minute).zip(step(end_minute)).ok_or(SessionError)?;
        let end = NonZeroU8::new(end).filter(|end| end.get() > start).ok_or(SessionError)?;
        Ok(Self { start: SessionStart(start), end })
    }

    /// When it begins.
    #[must_use]
    pub const fn start(self) -> SessionStart {
        self.start
    }

    /// When it ends, in minutes after midnight.
    #[must_use]
    pub fn end_minute(self) -> u16 {
        u16::from(self.end.get()) * STEP_MINUTES
    }

    /// When it ends, as `09:00`.
    #[must_use]
    pub fn end(self) -> impl fmt::Display {
        struct End(u16);
        impl fmt::Display for End {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                clock(self.0, f)
            }
        }
        End(self.end_minute())
    }

    /// Whether it has an instant in common with another.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        self.start.minute() < other.end_minute() && other.start.minute() < self.end_minute()
    }
}

impl fmt::Display for Session {
    /// `08:00-09:00`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.start, self.end())
    }
}

fn clock(minute: u16, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "{:02}:{:02}", minute / 60, minute % 60)
}

/// Deals a day's places out over its sessions, by largest remainder (Hamilton): each gets the whole part of what its
/// share comes to, and what is left goes, one each, to those whose part was cut most; the earlier of equals first.
#[must_use]
pub fn deal(places: u32, shares: &[SessionShare]) -> Vec<SessionPlaces> {
    let parts: u64 = shares.iter().map(|one| u64::from(one.share.get())).sum();
    let exact = |one: &SessionShare| u64::from(places) * u64::from(one.share.get());
    let whole = |one: &SessionShare| u32::try_from(exact(one) / parts).unwrap_or(places);
    let mut dealt: Vec<_> =
        shares.iter().map(|one| SessionPlaces { session: one.session, places: whole(one) }).collect();
    let left = places - dealt.iter().map(|one| one.places).sum::<u32>();
    let mut by_remainder: Vec<usize> = (0..shares.len()).collect();
    by_remainder.sort_by_key(|index| Reverse(exact(&shares[*index]) % parts));
    for index in by_remainder.into_iter().take(left as usize) {
        dealt[index].places += 1;
    }
    dealt
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shares(shares: &[u32]) -> Vec<SessionShare> {
        let share = |(hour, share): (u16, &u32)| SessionShare {
            session: Session::new(hour * 60, (hour + 1) * 60).unwrap(),
            share: NonZeroU32::new(*share).unwrap(),
        };
        (0..).zip(shares).map(share).collect()
    }

    fn dealt(places: u32, of: &[u32]) -> Vec<u32> {
        deal(places, &shares(of)).iter().map(|one| one.places).collect()
    }

    #[test]
    fn places_are_dealt_out_by_largest_remainder() {
        for (places, of, expected) in [
            (120, vec![1; 7], vec![18, 17, 17, 17, 17, 17, 17]),
            (7, vec![1; 7], vec![1; 7]),
            (3, vec![1; 7], vec![1, 1, 1, 0, 0, 0, 0]),
            (0, vec![1; 3], vec![0; 3]),
            (10, vec![20, 20, 10], vec![4, 4, 2]),
            (50, vec![20, 20, 10], vec![20, 20, 10]),
            // 3.36, 4.2, 2.44 with one left: the last was cut most.
            (10, vec![84, 105, 61], vec![3, 4, 3]),
            (1, vec![1, 2], vec![0, 1]),
            (1_000_000, vec![u32::MAX, u32::MAX, 1], vec![500_000, 500_000, 0]),
            (u32::MAX, vec![1], vec![u32::MAX]),
        ] {
            assert_eq!(dealt(places, &of), expected, "{places} over {of:?}");
        }
        assert_eq!(deal(5, &[]), [], "a lane without sessions deals nothing out");
    }

    proptest! {
        #[test]
        fn shares_add_up_to_the_places_and_none_is_a_place_off(
            places in prop_oneof![0_u32..300, any::<u32>()],
            of in proptest::collection::vec(prop_oneof![1_u32..50, 1..=u32::MAX], 1..24),
        ) {
            let dealt = dealt(places, &of);
            prop_assert_eq!(dealt.iter().map(|one| u64::from(*one)).sum::<u64>(), u64::from(places));
            let parts: u64 = of.iter().map(|one| u64::from(*one)).sum();
            for (got, share) in dealt.iter().zip(&of) {
                let exact = u64::from(places) * u64::from(*share) / parts;
                prop_assert!((exact..=exact + 1).contains(&u64::from(*got)), "{got} of {exact}");
            }
            for (one, other) in dealt.iter().zip(&of).flat_map(|a| dealt.iter().zip(&of).map(move |b| (a, b))) {
                prop_assert!(one.1 <= other.1 || one.0 >= other.0, "a larger share has no fewer places");
            }
        }
    }

    #[test]
    fn a_session_stands_on_quarter_hours_of_one_day() {
        for (start, end, expected) in [
            (480, 540, Some("08:00-09:00")),
            (0, 1_440, Some("00:00-24:00")),
            (495, 510, Some("08:15-08:30")),
            (480, 480, None),
            (540, 480, None),
            (481, 540, None),
            (480, 541, None),
            (1_425, 1_455, None),
            (u16::MAX, u16::MAX, None),
        ] {
            let session = Session::new(start, end).ok();
            assert_eq!(session.map(|found| found.to_string()).as_deref(), expected, "{start} to {end}");
            let told = session.map(|found| (found.start().minute(), found.end_minute()));
            assert_eq!(told, expected.map(|_| (start, end)));
        }
        let at = |start, end| Session::new(start, end).unwrap();
        assert!(at(480, 540).overlaps(at(525, 600)) && at(0, 1_440).overlaps(at(480, 540)));
        assert!(!at(480, 540).overlaps(at(540, 600)) && !at(540, 600).overlaps(at(480, 540)));
        assert_eq!(size_of::<Option<Session>>(), 2, "a registration has room for so much");
    }

    #[test]
    fn a_start_is_read_as_it_is_written() {
        for raw in ["08:00", "00:00", "23:45"] {
            assert_eq!(SessionStart::parse(raw).unwrap().to_string(), raw);
        }
        for raw in ["", "8:00", "08:05", "24:00", "08:60", "08:00:00", "08.00", "+8:00", "08:00 "] {
            assert_eq!(SessionStart::parse(raw), Err(SessionStartError), "{raw:?}");
        }
    }
}
