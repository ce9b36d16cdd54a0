//! Service days and the weekly rule that opens them, in the office's own zone.
//!
//! Everything that needs time-zone data is computed here, before an event is written; replay never comes here (INV-7).

use std::{collections::BTreeMap, fmt, sync::Arc};

use jiff::{
    civil::{Date, Time},
    tz::TimeZone,
};

use crate::{ids::OpeningId, time::UnixMillis};

/// 1970-01-01 was a Thursday: three days after a Monday.
const EPOCH_WEEKDAY: i32 = 3;

/// A text that is no calendar day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a calendar day between 2000-01-01 and 2199-12-31, written like 2026-11-30, is allowed")]
pub struct DayError;

/// A calendar day on which applicants come, as days since 1970-01-01.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceDay(i32);

impl ServiceDay {
    /// Reads `2026-11-30`.
    ///
    /// # Errors
    /// When it is written otherwise, does not exist, or lies outside of 2000 to 2199.
    pub fn parse(raw: &str) -> Result<Self, DayError> {
        let bytes = raw.as_bytes();
        let shape = bytes.len() == 10 && bytes[4] == b'-' && bytes[7] == b'-';
        let number = |range: std::ops::Range<usize>| {
            bytes[range]
                .iter()
                .try_fold(0_i16, |n, b| b.is_ascii_digit().then(|| n * 10 + i16::from(b - b'0')))
        };
        if !shape {
            return Err(DayError);
        }
        let (year, month, day) = (number(0..4), number(5..7), number(8..10));
        let (Some(year @ 2000..=2199), Some(month), Some(day)) = (year, month, day) else {
            return Err(DayError);
        };
        let (month, day) =
            (i8::try_from(month).map_err(|_| DayError)?, i8::try_from(day).map_err(|_| DayError)?);
        Date::new(year, month, day).map(Self::from_date).map_err(|_| DayError)
    }

    /// The day of a stored number.
    #[must_use]
    pub const fn from_number(days: i32) -> Self {
        Self(days)
    }

    /// Days since 1970-01-01.
    #[must_use]
    pub const fn number(self) -> i32 {
        self.0
    }

    /// The calendar day it is in a zone.
    #[must_use]
    pub fn at(now: UnixMillis, zone: &Zone) -> Self {
        let instant = jiff::Timestamp::from_millisecond(now.0).unwrap_or(jiff::Timestamp::MAX);
        Self::from_date(zone.0.to_datetime(instant).date())
    }

    /// So many days later.
    #[must_use]
    pub const fn plus_days(self, days: i32) -> Self {
        Self(self.0.saturating_add(days))
    }

    /// Days since Monday.
    #[must_use]
    pub const fn weekday(self) -> Weekday {
        Weekday::ALL[(self.0 + EPOCH_WEEKDAY).rem_euclid(7) as usize]
    }

    /// The instant at so many minutes after midnight; 1,440 is the end of the day.
    #[must_use]
    pub fn minute(self, minute_of_day: u16, zone: &Zone) -> UnixMillis {
        let (day, minute) = (self.plus_days(i32::from(minute_of_day / 1440)), minute_of_day % 1440);
        let part = |number: u16| i8::try_from(number).unwrap_or(0);
        let time = Time::new(part(minute / 60), part(minute % 60), 0, 0).unwrap_or(Time::MIN);
        let instant = zone.0.to_timestamp(day.date().to_datetime(time));
        UnixMillis(instant.map_or(i64::MAX, jiff::Timestamp::as_millisecond))
    }

    fn from_date(date: Date) -> Self {
        let epoch = Date::constant(1970, 1, 1);
        Self(date.since(epoch).map_or(0, |span| span.get_days()))
    }

    fn date(self) -> Date {
        let epoch = Date::constant(1970, 1, 1);
        epoch.checked_add(jiff::Span::new().days(self.0)).unwrap_or(Date::MAX)
    }
}

impl fmt::Display for ServiceDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.date().fmt(f)
    }
}

impl fmt::Debug for ServiceDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A day of the week.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Weekday {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

impl Weekday {
    /// Every weekday, from Monday.
    pub const ALL: [Self; 7] = [
        Self::Monday,
        Self::Tuesday,
        Self::Wednesday,
        Self::Thursday,
        Self::Friday,
        Self::Saturday,
        Self::Sunday,
    ];

    /// Days after Monday.
    #[must_use]
    pub const fn index(self) -> u8 {
        self as u8
    }

    /// Name as in catalogues.
    #[must_use]
    pub const fn name(self) -> &'static str {
        ["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY"][self as usize]
    }

    /// The weekday of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|weekday| weekday.name() == name)
    }
}

/// A set of weekdays; bit 0 is Monday.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Weekdays(pub u8);

impl Weekdays {
    /// Whether it holds that weekday.
    #[must_use]
    pub const fn contains(self, weekday: Weekday) -> bool {
        self.0 >> weekday.index() & 1 == 1
    }

    /// With that weekday.
    #[must_use]
    pub const fn with(self, weekday: Weekday) -> Self {
        Self(self.0 | 1 << weekday.index())
    }
}

/// An unknown time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an IANA time zone name such as Asia/Pontianak, Asia/Makassar or Asia/Jayapura is allowed")]
pub struct ZoneError;

/// An IANA time zone.
#[derive(Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

impl Zone {
    /// The zone of that name.
    ///
    /// # Errors
    /// When the time-zone data does not know it.
    pub fn parse(name: &str) -> Result<Self, ZoneError> {
        TimeZone::get(name).map(Self).map_err(|_| ZoneError)
    }

    /// Coordinated universal time.
    #[must_use]
    pub const fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// Its IANA name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Days without service, with their names.
pub type Holidays = BTreeMap<ServiceDay, Arc<str>>;

/// "Friday 14:00 opens Monday to Friday of next week."
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WeeklyOpening {
    /// Its name.
    pub id: OpeningId,
    /// When it opens: the day of the week,
    pub weekday: Weekday,
    /// and the minute after midnight, in the office's zone.
    pub minute_of_day: u16,
    /// The weekdays it opens,
    pub service_weekdays: Weekdays,
    /// so many weeks (Monday to Sunday) ahead.
    pub weeks_ahead: u8,
}

impl WeeklyOpening {
    /// Whether the office serves on that day, holidays aside.
    #[must_use]
    pub const fn covers(&self, day: ServiceDay) -> bool {
        self.service_weekdays.contains(day.weekday())
    }

    /// The instant that opens a service day.
    #[must_use]
    pub fn open_at(&self, day: ServiceDay, zone: &Zone) -> UnixMillis {
        let monday = day.plus_days(-i32::from(day.weekday().index()));
        let opening_day = monday.plus_days(i32::from(self.weekday.index()) - 7 * i32::from(self.weeks_ahead));
        opening_day.minute(self.minute_of_day, zone)
    }

    /// The last day worth scheduling today, holidays aside: what the next opening opens lies within.
    #[must_use]
    pub fn horizon(&self, today: ServiceDay) -> ServiceDay {
        let far = 7 * (i32::from(self.weeks_ahead) + 1);
        let days = (0..=far).rev().map(|ahead| today.plus_days(ahead));
        days.into_iter().find(|day| self.covers(*day)).unwrap_or(today)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn friday() -> WeeklyOpening {
        WeeklyOpening {
            id: OpeningId::parse("weekly").unwrap(),
            weekday: Weekday::Friday,
            minute_of_day: 14 * 60,
            service_weekdays: Weekdays(0b1_1111),
            weeks_ahead: 1,
        }
    }

    fn instant(text: &str) -> UnixMillis {
        UnixMillis(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    #[test]
    fn days_are_read_strictly() {
        for (raw, good) in [
            ("2026-11-30", true),
            ("2028-02-29", true),
            ("2026-02-29", false),
            ("2026-13-01", false),
            ("2026-00-10", false),
            ("2026-1-01", false),
            ("2026/11/30", false),
            ("1999-12-31", false),
            ("2200-01-01", false),
            ("+026-11-30", false),
            ("2026-11-3\u{661}", false),
            ("", false),
        ] {
            let day = ServiceDay::parse(raw);
            assert_eq!(day.is_ok(), good, "{raw}");
            if let Ok(day) = day {
                assert_eq!(day.to_string(), raw);
            }
        }
    }

    #[test]
    fn weekdays_follow_the_calendar() {
        for (raw, weekday) in [
            ("2026-11-22", Weekday::Sunday),
            ("2026-11-27", Weekday::Friday),
            ("2026-11-30", Weekday::Monday),
            ("2000-01-01", Weekday::Saturday),
        ] {
            assert_eq!(ServiceDay::parse(raw).unwrap().weekday(), weekday, "{raw}");
        }
    }

    #[test]
    fn friday_two_in_the_afternoon_opens_next_week_in_each_zone() {
        for (zone, opens) in [
            ("Asia/Pontianak", "2026-11-27T07:00:00Z"),
            ("Asia/Makassar", "2026-11-27T06:00:00Z"),
            ("Asia/Jayapura", "2026-11-27T05:00:00Z"),
        ] {
            let zone = Zone::parse(zone).unwrap();
            for day in ["2026-11-30", "2026-12-01", "2026-12-04"] {
                let day = ServiceDay::parse(day).unwrap();
                assert_eq!(friday().open_at(day, &zone), instant(opens), "{day} {zone:?}");
            }
            let week_after = ServiceDay::parse("2026-12-07").unwrap();
            assert_eq!(friday().open_at(week_after, &zone), instant(opens).plus_ms(7 * 86_400_000));
        }
    }

    #[test]
    fn weekends_are_no_service_days() {
        for (day, covered) in [("2026-11-27", true), ("2026-11-28", false), ("2026-11-29", false)] {
            assert_eq!(friday().covers(ServiceDay::parse(day).unwrap()), covered, "{day}");
        }
    }

    #[test]
    fn today_is_the_offices_today() {
        let midnight_in_pontianak = instant("2026-11-26T17:00:00Z");
        for (zone, today) in
            [("Asia/Pontianak", "2026-11-27"), ("Asia/Jayapura", "2026-11-27"), ("UTC", "2026-11-26")]
        {
            assert_eq!(ServiceDay::at(midnight_in_pontianak, &Zone::parse(zone).unwrap()).to_string(), today);
        }
        let before = midnight_in_pontianak.plus_ms(-1);
        assert_eq!(ServiceDay::at(before, &Zone::parse("Asia/Pontianak").unwrap()).to_string(), "2026-11-26");
    }

    #[test]
    fn a_day_ends_where_the_next_begins_also_when_clocks_change() {
        let berlin = Zone::parse("Europe/Berlin").unwrap();
        let long_day = ServiceDay::parse("2026-10-25").unwrap();
        assert_eq!(long_day.minute(1440, &berlin), long_day.plus_days(1).minute(0, &berlin));
        assert_eq!(long_day.minute(1440, &berlin).0 - long_day.minute(0, &berlin).0, 25 * 3_600_000);
    }
}
