//! A catalogue's file: TOML in, well-formed offices out, or line and key of what is wrong; and the way back.

mod render;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    num::NonZeroU32,
    sync::Arc,
};

use kuota_domain::{
    calendar::{ServiceDay, Weekday, Weekdays, WeeklyOpening, Zone},
    catalog::{Catalog, LaneOffer, Office, OfficeKind},
    fees::{Fees, Price, Rupiah},
    ids::Slug,
    limits::{
        HOLD_MINUTES_DEFAULT, HOLD_MINUTES_MAX, HOLIDAYS_MAX, OFFICES_MAX, OPENINGS_MAX, PLACES_PER_LANE_MAX,
        RUPIAH_MAX, SESSIONS_PER_LANE_MAX, WEEKS_AHEAD_MAX,
    },
    passport::PassportKind,
    session::{Session, SessionShare},
    slot::Lane,
};
use serde::{Deserialize, Deserializer, de::Error as _};
use toml::Spanned;

pub use self::render::render;
use crate::located::Located;

/// The catalogue of West Kalimantan.
pub const WEST_KALIMANTAN: &str = include_str!("../../../deploy/catalog/kalbar.toml");

/// Reads a catalogue; `name` stands in messages.
///
/// # Errors
/// Names line and key of what is wrong.
pub fn parse(name: &str, text: &str) -> Result<Catalog, Located> {
    let file: CatalogFile = toml::from_str(text).map_err(|error| Located::of(name, text, &error))?;
    if file.offices.is_empty() {
        return Err(Located::new(name, 1, "office", "a catalogue has at least one [[office]]"));
    }
    file.check().map_err(|(span, message)| Located::at(name, text, &span, message))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CatalogFile {
    #[serde(default, rename = "opening")]
    openings: Vec<OpeningEntry>,
    #[serde(default, rename = "holiday")]
    holidays: Vec<HolidayEntry>,
    #[serde(default, rename = "fee")]
    fees: Vec<FeeEntry>,
    #[serde(default, rename = "surcharge")]
    surcharges: Vec<SurchargeEntry>,
    #[serde(default, rename = "office")]
    offices: Vec<OfficeEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OpeningEntry {
    id: Spanned<Id>,
    weekday: Day,
    time: Clock,
    service_weekdays: Vec<Day>,
    weeks_ahead: Bounded<1, { WEEKS_AHEAD_MAX as u32 }>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HolidayEntry {
    date: Spanned<Date>,
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FeeEntry {
    passport: Spanned<Passport>,
    rupiah: Bounded<0, RUPIAH_MAX>,
    source: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SurchargeEntry {
    lane: Spanned<LaneName>,
    rupiah: Bounded<0, RUPIAH_MAX>,
    source: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfficeEntry {
    id: Spanned<Id>,
    name: String,
    kind: Kind,
    parent: Option<Spanned<Id>>,
    time_zone: IanaZone,
    latitude: Degrees<90>,
    longitude: Degrees<180>,
    opening: Spanned<Id>,
    closing_time: Clock,
    #[serde(rename = "lane")]
    lanes: Vec<LaneEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LaneEntry {
    lane: Spanned<LaneName>,
    places: Bounded<0, PLACES_PER_LANE_MAX>,
    source: String,
    cut_off_time: Option<Clock>,
    #[serde(default)]
    confirm: Confirm,
    hold_minutes: Option<Spanned<Bounded<1, HOLD_MINUTES_MAX>>>,
    #[serde(default)]
    sessions: Vec<SessionEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SessionEntry {
    start: Spanned<Clock>,
    end: Clock,
    share: Bounded<1, PLACES_PER_LANE_MAX>,
}

/// When a place is confirmed.
#[derive(Deserialize, Clone, Copy, Default, PartialEq)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Confirm {
    #[default]
    AtOnce,
    ByPayment,
}

type Complaint = (std::ops::Range<usize>, String);

impl CatalogFile {
    /// What one entry cannot know: whether names are unique and whether they exist.
    fn check(self) -> Result<Catalog, Complaint> {
        let mut openings: Vec<WeeklyOpening> = Vec::new();
        let mut rules: HashSet<Slug> = HashSet::new();
        for entry in self.openings {
            let id = entry.id.get_ref().0.clone();
            if rules.len() == OPENINGS_MAX {
                return Err((entry.id.span(), format!("at most {OPENINGS_MAX} openings are allowed")));
            }
            if !rules.insert(id.clone()) {
                return Err((entry.id.span(), format!("opening `{id}` is there twice")));
            }
            let days = entry.service_weekdays.iter().fold(Weekdays::default(), |days, day| days.with(day.0));
            openings.push(WeeklyOpening {
                id,
                weekday: entry.weekday.0,
                minute_of_day: entry.time.0,
                service_weekdays: days,
                weeks_ahead: u8::try_from(entry.weeks_ahead.0).unwrap_or(WEEKS_AHEAD_MAX),
            });
        }
        let mut holidays: BTreeMap<ServiceDay, Arc<str>> = BTreeMap::new();
        for entry in self.holidays {
            let (span, day) = (entry.date.span(), entry.date.into_inner().0);
            if holidays.len() == HOLIDAYS_MAX {
                return Err((span, format!("at most {HOLIDAYS_MAX} holidays are allowed")));
            }
            if holidays.insert(day, entry.name.into()).is_some() {
                return Err((span, format!("holiday {day} is there twice")));
            }
        }
        let fees = check_fees(self.fees, self.surcharges)?;
        let mut kinds: HashMap<Slug, OfficeKind> = HashMap::new();
        let mut offices = Vec::with_capacity(self.offices.len());
        for entry in self.offices {
            let id = entry.id.get_ref().0.clone();
            if kinds.len() == OFFICES_MAX {
                return Err((entry.id.span(), format!("at most {OFFICES_MAX} offices are allowed")));
            }
            if kinds.insert(id.clone(), entry.kind.0).is_some() {
                return Err((entry.id.span(), format!("office `{id}` is there twice")));
            }
            if let Some(parent) = &entry.parent
                && (parent.get_ref().0 == id || !kinds.contains_key(&parent.get_ref().0))
            {
                let message = format!("parent `{}` must be an office above this one", parent.get_ref().0);
                return Err((parent.span(), message));
            }
            let opening = entry.opening.get_ref().0.clone();
            if !rules.contains(&opening) {
                let known: Vec<_> = openings.iter().map(|rule| rule.id.as_str()).collect();
                let message = format!("no opening `{opening}`; there is {}", known.join(", "));
                return Err((entry.opening.span(), message));
            }
            offices.push(Office {
                id,
                name: entry.name.into(),
                kind: entry.kind.0,
                parent: entry.parent.map(|parent| parent.into_inner().0),
                zone: entry.time_zone.0,
                latitude_e6: entry.latitude.0,
                longitude_e6: entry.longitude.0,
                opening,
                closing_minute: entry.closing_time.0,
                lanes: check_lanes(entry.lanes, &fees)?,
            });
        }
        Ok(Catalog { openings, holidays, offices, fees })
    }
}

fn check_fees(passports: Vec<FeeEntry>, surcharges: Vec<SurchargeEntry>) -> Result<Fees, Complaint> {
    let price = |rupiah: u32, source: String| Price { rupiah: Rupiah(rupiah), source: source.into() };
    let mut fees = Fees::default();
    for entry in passports {
        let (span, kind) = (entry.passport.span(), entry.passport.into_inner().0);
        if fees.passports.insert(kind, price(entry.rupiah.0, entry.source)).is_some() {
            return Err((span, format!("the fee of {kind} is there twice")));
        }
    }
    for entry in surcharges {
        let (span, lane) = (entry.lane.span(), entry.lane.into_inner().0);
        if fees.surcharges.insert(lane, price(entry.rupiah.0, entry.source)).is_some() {
            return Err((span, format!("the surcharge of {lane} is there twice")));
        }
    }
    Ok(fees)
}

fn check_lanes(entries: Vec<LaneEntry>, fees: &Fees) -> Result<Vec<LaneOffer>, Complaint> {
    let mut lanes: Vec<LaneOffer> = Vec::new();
    for entry in entries {
        let (span, lane) = (entry.lane.span(), entry.lane.into_inner().0);
        if lanes.iter().any(|offer| offer.lane == lane) {
            return Err((span, format!("lane {lane} is there twice")));
        }
        let minutes = entry.hold_minutes.as_ref().map(|minutes| minutes.get_ref().0);
        let hold_minutes = match (entry.confirm, &entry.hold_minutes) {
            (Confirm::AtOnce, None) => None,
            (Confirm::AtOnce, Some(minutes)) => {
                return Err((
                    minutes.span(),
                    "only a lane with confirm = \"BY_PAYMENT\" holds places".into(),
                ));
            }
            (Confirm::ByPayment, _) if fees.passports.is_empty() => {
                return Err((span, "to be confirmed by payment, places need a [[fee]]".into()));
            }
            (Confirm::ByPayment, _) => Some(minutes.unwrap_or(HOLD_MINUTES_DEFAULT)),
        };
        lanes.push(LaneOffer {
            lane,
            places: entry.places.0,
            source: entry.source.into(),
            cut_off_minute: entry.cut_off_time.map(|time| time.0),
            hold_minutes,
            sessions: check_sessions(entry.sessions)?,
        });
    }
    lanes.sort_by_key(|offer| offer.lane);
    Ok(lanes)
}

/// In order, whatever their order in the file.
fn check_sessions(entries: Vec<SessionEntry>) -> Result<Vec<SessionShare>, Complaint> {
    let mut sessions: Vec<SessionShare> = Vec::with_capacity(entries.len());
    for entry in entries {
        let span = entry.start.span();
        if sessions.len() == SESSIONS_PER_LANE_MAX {
            return Err((span, format!("at most {SESSIONS_PER_LANE_MAX} sessions are allowed")));
        }
        let session = Session::new(entry.start.get_ref().0, entry.end.0);
        let session = session.map_err(|error| (span.clone(), error.to_string()))?;
        if let Some(other) = sessions.iter().find(|other| other.session.overlaps(session)) {
            return Err((span, format!("session {session} overlaps {}", other.session)));
        }
        let share = NonZeroU32::new(entry.share.0).unwrap_or(NonZeroU32::MIN);
        sessions.push(SessionShare { session, share });
    }
    sessions.sort_by_key(|one| one.session);
    Ok(sessions)
}

/// Values that are read from a text and say what is allowed when they are not well-formed.
macro_rules! from_text {
    ($($name:ident($inner:ty), $parse:expr;)+) => {$(
        struct $name($inner);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                let parse: fn(&str) -> Result<$inner, String> = $parse;
                parse(&text).map($name).map_err(|allowed| D::Error::custom(format!("`{text}`: {allowed}")))
            }
        }
    )+};
}

from_text! {
    Id(Slug), |text| Slug::parse(text).map_err(|error| error.to_string());
    Date(ServiceDay), |text| ServiceDay::parse(text).map_err(|error| error.to_string());
    IanaZone(Zone), |text| Zone::parse(text).map_err(|error| error.to_string());
    Clock(u16), clock;
    Day(Weekday), |text| {
        Weekday::from_name(text).ok_or_else(|| one_of(Weekday::ALL.iter().map(|day| day.name())))
    };
    Kind(OfficeKind), |text| {
        OfficeKind::from_name(text).ok_or_else(|| one_of(OfficeKind::ALL.iter().map(|kind| kind.name())))
    };
    Passport(PassportKind), |text| {
        PassportKind::from_name(text).ok_or_else(|| one_of(PassportKind::ALL.iter().map(|kind| kind.name())))
    };
    LaneName(Lane), |text| {
        Lane::from_name(text).ok_or_else(|| one_of(Lane::ALL.iter().map(|lane| lane.name())))
    };
}

fn one_of<'a>(names: impl Iterator<Item = &'a str>) -> String {
    format!("one of {} is allowed", names.collect::<Vec<_>>().join(", "))
}

fn clock(text: &str) -> Result<u16, String> {
    let number = |part: &str| (part.len() == 2).then(|| part.parse::<u16>().ok()).flatten();
    let parts = text.split_once(':').and_then(|(hour, minute)| Some((number(hour)?, number(minute)?)));
    match parts {
        Some((hour @ 0..=23, minute @ 0..=59)) => Ok(hour * 60 + minute),
        Some((24, 0)) => Ok(1_440),
        _ => Err("a time of day from 00:00 to 24:00 is allowed".into()),
    }
}

/// A whole number within bounds.
struct Bounded<const MIN: u32, const MAX: u32>(u32);

impl<'de, const MIN: u32, const MAX: u32> Deserialize<'de> for Bounded<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = i64::deserialize(deserializer)?;
        let bounded = u32::try_from(number).ok().filter(|number| (MIN..=MAX).contains(number));
        bounded.map(Self).ok_or_else(|| D::Error::custom(format!("{number}: {MIN} to {MAX} is allowed")))
    }
}

/// Degrees, kept as millionths.
struct Degrees<const MAX: i32>(i32);

impl<'de, const MAX: i32> Deserialize<'de> for Degrees<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let degrees = f64::deserialize(deserializer)?;
        if degrees.abs() <= f64::from(MAX) {
            #[expect(clippy::cast_possible_truncation, reason = "at most 180 million")]
            return Ok(Self((degrees * 1e6).round() as i32));
        }
        Err(D::Error::custom(format!("{degrees}: -{MAX} to {MAX} degrees are allowed")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Catalog, String> {
        parse("offices.toml", text).map_err(|error| error.to_string())
    }

    #[test]
    fn west_kalimantan_is_complete() {
        let catalog = parse("kalbar.toml", WEST_KALIMANTAN).unwrap();
        let pontianak = &catalog.offices[0];
        assert_eq!(pontianak.id.as_str(), "kanim-pontianak");
        assert_eq!(pontianak.offer(Lane::Regular).unwrap().places, 120);
        assert_eq!(catalog.offices.len(), 11);
        assert_eq!(pontianak.offer(Lane::OneDay).unwrap().cut_off_minute, Some(600));
        let rupiah: Vec<u32> = catalog.fees.passports.values().map(|price| price.rupiah.0).collect();
        assert_eq!(rupiah, [350_000, 650_000, 650_000, 950_000]);
        assert_eq!(catalog.fees.surcharges[&Lane::OneDay].rupiah, Rupiah(1_000_000));
        assert_eq!(catalog.offices.iter().filter(|office| office.kind == OfficeKind::Mpp).count(), 3);
        assert!(catalog.offices.iter().all(|office| office.zone.name() == "Asia/Pontianak"));
    }

    #[test]
    fn what_is_wrong_is_named_with_file_line_and_key() {
        let (good, _) = WEST_KALIMANTAN.split_once("[[office]]\nid = \"ukk-mempawah\"").unwrap();
        assert!(load(good).is_ok());
        let line_of = |text: &str, found: &str| {
            let at = text.find(found).unwrap();
            text[..at].lines().count().max(1) + usize::from(text[..at].ends_with('\n'))
        };
        for (from, to, key, message) in [
            ("\"FRIDAY\"\ntime", "\"FRYDAY\"\ntime", "weekday", "`FRYDAY`: one of MONDAY, "),
            ("\"14:00\"", "\"2 pm\"", "time", "`2 pm`: a time of day from 00:00 to 24:00 is allowed"),
            ("weeks_ahead = 1", "weeks_ahead = 0", "weeks_ahead", "0: 1 to 26 is allowed"),
            ("\"2026-12-25\"", "\"2026-02-30\"", "date", "`2026-02-30`: a calendar day"),
            ("\"2027-01-01\"", "\"2026-12-25\"", "date", "holiday 2026-12-25 is there twice"),
            ("\"kanim-pontianak\"", "\"Kanim\"", "id", "`Kanim`: a slug of 1 to 63"),
            ("\"KANIM\"", "\"BANK\"", "kind", "`BANK`: one of KANIM, UKK, MPP is allowed"),
            ("\"Asia/Pontianak\"", "\"Asia/Kalbar\"", "time_zone", "`Asia/Kalbar`: an IANA time zone"),
            ("latitude = -0.0517", "latitude = -91.0", "latitude", "-91: -90 to 90 degrees are allowed"),
            ("opening = \"weekly\"", "opening = \"daily\"", "opening", "no opening `daily`; there is weekly"),
            (
                "opening = \"weekly\"",
                "opening = \"weekly\"\nparent = \"nobody\"",
                "parent",
                "parent `nobody` must be",
            ),
            ("\"ONE_DAY\"\nplaces", "\"REGULAR\"\nplaces", "lane", "lane REGULAR is there twice"),
            ("places = 120", "places = -1", "places", "-1: 0 to 1000000 is allowed"),
            ("\"10:00\"", "\"10\"", "cut_off_time", "`10`: a time of day from 00:00 to 24:00"),
            (
                "places = 120\n",
                "places = 120\nhold_minutes = 5\n",
                "hold_minutes",
                "only a lane with confirm = ",
            ),
            (
                "places = 120\n",
                "places = 120\nconfirm = \"LATER\"\n",
                "confirm",
                "unknown variant `LATER`, expected ",
            ),
            ("rupiah = 350000", "rupiah = -1", "rupiah", "-1: 0 to 100000000 is allowed"),
            ("\"ORDINARY_5_YEARS\"", "\"DIPLOMATIC\"", "passport", "`DIPLOMATIC`: one of ORDINARY_5_YEARS, "),
            ("places = 120", "seats = 120", "seats", "unknown field `seats`, expected one of"),
            ("kind = \"KANIM\"", "kind = ", "kind", ""),
        ] {
            let bad = good.replacen(from, to, 1);
            let error = load(&bad).unwrap_err();
            let changed = to.lines().last().unwrap();
            let line = if to.contains('\n') && to.contains("FRYDAY") {
                line_of(&bad, "weekday")
            } else {
                line_of(&bad, changed)
            };
            let line = if message.contains("2026-12-25 is there twice") {
                line_of(&bad, "date = \"2026-12-25\"\nname = \"New")
            } else {
                line
            };
            let line = if message.contains("REGULAR is there") {
                line_of(&bad, "lane = \"REGULAR\"\nplaces = 25")
            } else {
                line
            };
            let expected = format!("offices.toml:{line}: {key}: {message}");
            assert!(error.starts_with(&expected), "expected {expected}\n   found {error}");
        }
    }

    #[test]
    fn a_lane_that_holds_places_needs_fees_and_says_for_how_long() {
        let (rules, _) = WEST_KALIMANTAN.split_once("# What passports cost").unwrap();
        let by_payment = |more: &str| {
            let lane = format!("places = 120\nconfirm = \"BY_PAYMENT\"\n{more}");
            WEST_KALIMANTAN.replacen("places = 120\n", &lane, 1)
        };
        for (more, minutes) in [("", 120), ("hold_minutes = 30\n", 30)] {
            let catalog = load(&by_payment(more)).unwrap();
            assert_eq!(catalog.offices[0].offer(Lane::Regular).unwrap().hold_minutes, Some(minutes));
        }
        let unpriced = format!("{rules}[[office]]{}", by_payment("").split_once("[[office]]").unwrap().1);
        assert!(load(&unpriced).unwrap_err().contains("places need a [[fee]]"));
    }

    #[test]
    fn an_empty_catalogue_is_refused() {
        assert_eq!(load("").unwrap_err(), "offices.toml:1: office: a catalogue has at least one [[office]]");
    }
}
