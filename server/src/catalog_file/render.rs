//! Writing a catalogue as TOML, so that reading it gives the same catalogue.

use std::fmt::Write as _;

use kuota_domain::{
    calendar::{Weekday, WeeklyOpening},
    catalog::{Catalog, Office},
    fees::Price,
    session::SessionShare,
};
use toml::Value;

/// The text of a catalogue.
#[must_use]
pub fn render(catalog: &Catalog) -> String {
    let mut text = String::new();
    for rule in &catalog.openings {
        opening(rule, &mut text);
    }
    for (day, name) in &catalog.holidays {
        line(&mut text, "\n[[holiday]]");
        pair(&mut text, "date", day.to_string());
        pair(&mut text, "name", name.to_string());
    }
    for (kind, price) in &catalog.fees.passports {
        line(&mut text, "\n[[fee]]");
        pair(&mut text, "passport", kind.name());
        self::price(price, &mut text);
    }
    for (lane, price) in &catalog.fees.surcharges {
        line(&mut text, "\n[[surcharge]]");
        pair(&mut text, "lane", lane.name());
        self::price(price, &mut text);
    }
    for office in &catalog.offices {
        self::office(office, &mut text);
    }
    text.trim_start().to_owned()
}

fn price(price: &Price, text: &mut String) {
    pair(text, "rupiah", i64::from(price.rupiah.0));
    pair(text, "source", price.source.to_string());
}

fn opening(rule: &WeeklyOpening, text: &mut String) {
    line(text, "\n[[opening]]");
    pair(text, "id", rule.id.to_string());
    pair(text, "weekday", rule.weekday.name());
    pair(text, "time", clock(rule.minute_of_day));
    let days = Weekday::ALL.into_iter().filter(|day| rule.service_weekdays.contains(*day));
    pair(text, "service_weekdays", days.map(|day| Value::from(day.name())).collect::<Vec<_>>());
    pair(text, "weeks_ahead", i64::from(rule.weeks_ahead));
}

fn office(office: &Office, text: &mut String) {
    line(text, "\n[[office]]");
    pair(text, "id", office.id.to_string());
    pair(text, "name", office.name.to_string());
    pair(text, "kind", office.kind.name());
    if let Some(parent) = &office.parent {
        pair(text, "parent", parent.to_string());
    }
    pair(text, "time_zone", office.zone.name());
    pair(text, "latitude", f64::from(office.latitude_e6) / 1e6);
    pair(text, "longitude", f64::from(office.longitude_e6) / 1e6);
    pair(text, "opening", office.opening.to_string());
    pair(text, "closing_time", clock(office.closing_minute));
    if office.lanes.is_empty() {
        pair(text, "lane", Vec::<Value>::new());
    }
    for offer in &office.lanes {
        line(text, "\n[[office.lane]]");
        pair(text, "lane", offer.lane.name());
        pair(text, "places", i64::from(offer.places));
        pair(text, "source", offer.source.to_string());
        if let Some(minute) = offer.cut_off_minute {
            pair(text, "cut_off_time", clock(minute));
        }
        if let Some(minutes) = offer.hold_minutes {
            pair(text, "confirm", "BY_PAYMENT");
            pair(text, "hold_minutes", i64::from(minutes));
        }
        if !offer.sessions.is_empty() {
            line(text, "sessions = [");
            for SessionShare { session, share } in &offer.sessions {
                let (start, end) = (session.start(), session.end());
                line(text, &format!("  {{ start = \"{start}\", end = \"{end}\", share = {share} }},"));
            }
            line(text, "]");
        }
    }
}

fn clock(minute_of_day: u16) -> String {
    format!("{:02}:{:02}", minute_of_day / 60, minute_of_day % 60)
}

fn line(text: &mut String, words: &str) {
    text.push_str(words);
    text.push('\n');
}

fn pair(text: &mut String, key: &str, value: impl Into<Value>) {
    // Writing to a string does not fail.
    let _ = writeln!(text, "{key} = {}", value.into());
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use kuota_domain::session::Session;

    use super::super::{WEST_KALIMANTAN, parse};
    use super::*;

    #[test]
    fn what_is_written_reads_as_the_same_catalogue() {
        let mut catalog = parse("kalbar.toml", WEST_KALIMANTAN).unwrap();
        catalog.offices[0].name = "Kantor \"Satu\"\n\\ \u{1F6C2}".into();
        catalog.offices[0].lanes.clear();
        catalog.offices[1].lanes[0].hold_minutes = Some(90);
        catalog.offices[2].lanes[0].sessions = [(480, 540, 3), (540, 1_440, 1)]
            .map(|(start, end, share)| SessionShare {
                session: Session::new(start, end).unwrap(),
                share: NonZeroU32::new(share).unwrap(),
            })
            .into();
        let text = render(&catalog);
        assert_eq!(parse("rendered", &text).unwrap(), catalog, "{text}");
    }
}
