//! Times as people write them, and as they are shown: the office's own.

use std::{collections::HashMap, time::SystemTime};

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use kuota_client::Office;

use super::report::Failed;

/// Time zones of offices. One that is not known is shown in UTC.
#[derive(Debug, Default)]
pub(super) struct Zones(HashMap<String, TimeZone>);

/// The one zone of a table, named in its header.
#[derive(Debug)]
pub(super) struct Clock {
    zone: TimeZone,
}

impl Clock {
    pub(super) fn utc() -> Self {
        Self { zone: TimeZone::UTC }
    }

    /// `TIME (Asia/Pontianak)`.
    pub(super) fn header(&self, column: &str) -> String {
        format!("{column} ({})", self.zone.iana_name().unwrap_or("UTC"))
    }

    pub(super) fn show(&self, at: &prost_types::Timestamp) -> String {
        let instant = Timestamp::new(at.seconds, at.nanos).unwrap_or(Timestamp::UNIX_EPOCH);
        instant.to_zoned(self.zone.clone()).strftime("%a %Y-%m-%d %H:%M:%S").to_string()
    }
}

impl Zones {
    /// That of an office if one is named and known, UTC otherwise.
    pub(super) fn clock(&self, office: Option<&str>) -> Clock {
        let zone = office.and_then(|office| self.get(office)).cloned();
        Clock { zone: zone.unwrap_or(TimeZone::UTC) }
    }

    pub(super) fn of(offices: &[Office]) -> Self {
        let zone = |office: &Office| Some((office.id.clone(), TimeZone::get(&office.time_zone).ok()?));
        Self(offices.iter().filter_map(zone).collect())
    }

    pub(super) fn get(&self, office: &str) -> Option<&TimeZone> {
        self.0.get(office)
    }

    /// A time as the clock of an office shows it.
    pub(super) fn local(&self, at: &prost_types::Timestamp, office: &str) -> String {
        let zone = self.get(office).cloned().unwrap_or(TimeZone::UTC);
        let instant = Timestamp::new(at.seconds, at.nanos).unwrap_or(Timestamp::UNIX_EPOCH);
        instant.to_zoned(zone).strftime("%a %Y-%m-%d %H:%M:%S %Z").to_string()
    }
}

/// Reads RFC 3339, or a local time in a zone.
pub(super) fn parse(argument: &str, text: &str, zone: Option<&TimeZone>) -> Result<SystemTime, Failed> {
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Ok(instant.into());
    }
    let allowed = "2026-11-27T14:00:00+07:00, or \"2026-11-27 14:00\" on the clock of the office";
    let wrong = |why: &str| Failed::Usage(format!("{argument}: `{text}` {why}; {allowed} is allowed"));
    let local: DateTime = text.parse().map_err(|_| wrong("is no time"))?;
    let zone = zone.ok_or_else(|| wrong("needs a known --office to say whose clock is meant"))?;
    let zoned = local.to_zoned(zone.clone()).map_err(|_| wrong("is no time there"))?;
    Ok(zoned.timestamp().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_absolute_or_on_the_clock_of_an_office() {
        let pontianak = TimeZone::get("Asia/Pontianak").unwrap();
        let seven: SystemTime = "2026-11-27T07:00:00Z".parse::<Timestamp>().unwrap().into();
        for text in
            ["2026-11-27T07:00:00Z", "2026-11-27T14:00:00+07:00", "2026-11-27 14:00", "2026-11-27T14:00"]
        {
            assert_eq!(parse("--at", text, Some(&pontianak)).unwrap(), seven, "{text}");
        }
        for (text, zone) in
            [("2026-11-27 14:00", None), ("tomorrow", Some(&pontianak)), ("14:00", Some(&pontianak))]
        {
            let failed = parse("--at", text, zone).unwrap_err();
            assert!(matches!(&failed, Failed::Usage(what) if what.starts_with("--at: ")), "{failed:?}");
        }
    }
}
