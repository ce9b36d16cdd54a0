//! The catalogue: offices, lanes, opening rules and holidays as data. Reading its file is the server's business;
//! here it is already well-formed.

use std::sync::Arc;

use crate::{
    calendar::{Holidays, ServiceDay, WeeklyOpening, Zone},
    fees::Fees,
    ids::{OfficeId, OpeningId},
    refusal::Refusal,
    session::{SessionPlaces, SessionShare, deal},
    slot::Lane,
    time::UnixMillis,
};

/// What an office is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OfficeKind {
    /// Immigration office.
    Kanim,
    /// Immigration work unit.
    Ukk,
    /// Public service mall.
    Mpp,
}

impl OfficeKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Kanim, Self::Ukk, Self::Mpp];

    /// Name as in catalogues.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kanim => "KANIM",
            Self::Ukk => "UKK",
            Self::Mpp => "MPP",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// A lane an office offers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LaneOffer {
    /// Which.
    pub lane: Lane,
    /// Places on an ordinary day.
    pub places: u32,
    /// Where the figure comes from.
    pub source: Arc<str>,
    /// Until when one may ask on the service day itself, in minutes after its midnight; until booking for the day ends
    /// where it is not said.
    pub cut_off_minute: Option<u16>,
    /// How long a place is held for its payment, in minutes; `None`: places are confirmed at once.
    pub hold_minutes: Option<u32>,
    /// Windows of the day that its places are dealt out over, in order and apart from each other; none: one comes at any
    /// time.
    pub sessions: Vec<SessionShare>,
}

impl LaneOffer {
    /// The instant of its cut-off on a service day.
    #[must_use]
    pub fn cut_off(&self, day: ServiceDay, zone: &Zone) -> Option<UnixMillis> {
        Some(day.minute(self.cut_off_minute?, zone))
    }

    /// So many places of a day, dealt out over its sessions.
    #[must_use]
    pub fn deal(&self, places: u32) -> Vec<SessionPlaces> {
        deal(places, &self.sessions)
    }
}

/// A place that serves applicants.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Office {
    /// Its name for ever.
    pub id: OfficeId,
    /// Its name for people.
    pub name: Arc<str>,
    /// What it is.
    pub kind: OfficeKind,
    /// The office it belongs to.
    pub parent: Option<OfficeId>,
    /// Its zone: service days and openings are meant in it.
    pub zone: Zone,
    /// Millionths of a degree north.
    pub latitude_e6: i32,
    /// Millionths of a degree east.
    pub longitude_e6: i32,
    /// The rule that opens its days.
    pub opening: OpeningId,
    /// When booking for a service day ends, in minutes after its midnight.
    pub closing_minute: u16,
    /// What it offers.
    pub lanes: Vec<LaneOffer>,
}

impl Office {
    /// The lane as offered here.
    #[must_use]
    pub fn offer(&self, lane: Lane) -> Option<&LaneOffer> {
        self.lanes.iter().find(|offer| offer.lane == lane)
    }

    /// Whether places of any lane are held until they are paid for.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.lanes.iter().any(|offer| offer.hold_minutes.is_some())
    }

    /// Why there are no places at all on this lane and day.
    #[must_use]
    pub fn why_unscheduled(
        &self,
        rule: Option<&WeeklyOpening>,
        holidays: &Holidays,
        (lane, day): (Lane, ServiceDay),
        now: UnixMillis,
    ) -> Refusal {
        let today = ServiceDay::at(now, &self.zone);
        let Some(offer) = self.offer(lane) else {
            return Refusal::LaneNotOffered { offered: self.lanes.iter().map(|offer| offer.lane).collect() };
        };
        if day < today || (day == today && now >= day.minute(self.closing_minute, &self.zone)) {
            return Refusal::Closed { at: day.minute(self.closing_minute, &self.zone) };
        }
        if let Some(at) = offer.cut_off(day, &self.zone).filter(|at| day == today && now >= *at) {
            return Refusal::PastCutOff { at };
        }
        if let Some(name) = holidays.get(&day) {
            return Refusal::NotAServiceDay { holiday: Some(name.clone()) };
        }
        match rule {
            Some(rule) if rule.covers(day) => Refusal::BeyondHorizon { horizon: rule.horizon(today) },
            _ => Refusal::NotAServiceDay { holiday: None },
        }
    }
}

/// Everything the catalogue says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Catalog {
    /// Opening rules.
    pub openings: Vec<WeeklyOpening>,
    /// Days without service, everywhere.
    pub holidays: Holidays,
    /// Offices, parents before children.
    pub offices: Vec<Office>,
    /// What passports cost.
    pub fees: Fees,
}
