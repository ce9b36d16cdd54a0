//! What tells two catalogues apart, in words an operator compares before applying one.

use std::collections::BTreeMap;

use crate::{
    calendar::{Weekday, WeeklyOpening},
    catalog::{Catalog, Office},
    fees::Price,
};

/// One difference.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    /// What kind.
    pub kind: DifferenceKind,
    /// Where: `office kanim-pontianak`.
    pub subject: String,
    /// Which figure or text; empty when all of it was added or removed.
    pub field: String,
    /// As it was.
    pub before: String,
    /// As it becomes.
    pub after: String,
}

/// Tells differences apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DifferenceKind {
    /// New.
    Added,
    /// In both, and not the same.
    Changed,
    /// Gone.
    Removed,
}

type Fields = BTreeMap<String, String>;

impl Catalog {
    /// What becomes different when `after` takes the place of this one.
    #[must_use]
    pub fn differences(&self, after: &Self) -> Vec<Difference> {
        let (before, after) = (self.subjects(), after.subjects());
        let mut differences = Vec::new();
        for (subject, fields) in &before {
            match after.get(subject) {
                Some(fields_after) => compare(subject, fields, fields_after, &mut differences),
                None => differences.push(whole(DifferenceKind::Removed, subject)),
            }
        }
        let added = after.keys().filter(|subject| !before.contains_key(*subject));
        differences.extend(added.map(|subject| whole(DifferenceKind::Added, subject)));
        differences
    }

    fn subjects(&self) -> BTreeMap<String, Fields> {
        let openings = self.openings.iter().map(|rule| (format!("opening {}", rule.id), opening(rule)));
        let holidays = self.holidays.iter().map(|(day, name)| {
            (format!("holiday {day}"), Fields::from([("name".to_owned(), name.to_string())]))
        });
        let offices = self.offices.iter().map(|of| (format!("office {}", of.id), office(of)));
        let price = |price: &Price| {
            Fields::from([
                ("rupiah".to_owned(), price.rupiah.0.to_string()),
                ("source".to_owned(), price.source.to_string()),
            ])
        };
        let fees = self.fees.passports.iter().map(|(kind, at)| (format!("fee {kind}"), price(at)));
        let surcharges =
            self.fees.surcharges.iter().map(|(lane, at)| (format!("surcharge {lane}"), price(at)));
        openings.chain(holidays).chain(offices).chain(fees).chain(surcharges).collect()
    }
}

fn whole(kind: DifferenceKind, subject: &str) -> Difference {
    let (field, before, after) = (String::new(), String::new(), String::new());
    Difference { kind, subject: subject.into(), field, before, after }
}

fn compare(subject: &str, before: &Fields, after: &Fields, differences: &mut Vec<Difference>) {
    let fields: std::collections::BTreeSet<_> = before.keys().chain(after.keys()).collect();
    for field in fields {
        let value = |fields: &Fields| fields.get(field).cloned().unwrap_or_default();
        let (before, after) = (value(before), value(after));
        if before != after {
            let (kind, subject, field) = (DifferenceKind::Changed, subject.to_owned(), field.clone());
            differences.push(Difference { kind, subject, field, before, after });
        }
    }
}

fn opening(rule: &WeeklyOpening) -> Fields {
    let days = Weekday::ALL.into_iter().filter(|day| rule.service_weekdays.contains(*day));
    let days: Vec<_> = days.map(Weekday::name).collect();
    [
        ("weekday", rule.weekday.name().to_owned()),
        ("time", clock(rule.minute_of_day)),
        ("service_weekdays", days.join(", ")),
        ("weeks_ahead", rule.weeks_ahead.to_string()),
    ]
    .map(|(field, value)| (field.to_owned(), value))
    .into()
}

fn office(office: &Office) -> Fields {
    let mut fields: Fields = [
        ("name", office.name.to_string()),
        ("kind", office.kind.name().to_owned()),
        ("parent", office.parent.as_ref().map(ToString::to_string).unwrap_or_default()),
        ("time_zone", office.zone.name().to_owned()),
        ("latitude", (f64::from(office.latitude_e6) / 1e6).to_string()),
        ("longitude", (f64::from(office.longitude_e6) / 1e6).to_string()),
        ("opening", office.opening.to_string()),
        ("closing_time", clock(office.closing_minute)),
    ]
    .map(|(field, value)| (field.to_owned(), value))
    .into();
    for offer in &office.lanes {
        fields.insert(format!("lane {} places", offer.lane), offer.places.to_string());
        fields.insert(format!("lane {} source", offer.lane), offer.source.to_string());
        if let Some(minute) = offer.cut_off_minute {
            fields.insert(format!("lane {} cut_off_time", offer.lane), clock(minute));
        }
        if let Some(minutes) = offer.hold_minutes {
            fields.insert(format!("lane {} hold_minutes", offer.lane), minutes.to_string());
        }
        if !offer.sessions.is_empty() {
            let sessions = offer.sessions.iter().map(|one| format!("{} x{}", one.session, one.share));
            let sessions = sessions.collect::<Vec<_>>().join(", ");
            fields.insert(format!("lane {} sessions", offer.lane), sessions);
        }
    }
    fields
}

fn clock(minute_of_day: u16) -> String {
    format!("{:02}:{:02}", minute_of_day / 60, minute_of_day % 60)
}
