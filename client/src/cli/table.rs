//! Tables and sentences for people. Times are the office's own.

use std::collections::HashMap;

use comfy_table::{CellAlignment, Table, presets::NOTHING};
use jiff::{Timestamp, tz::TimeZone};
use kuota_client::{
    Lane, Office, OfficeKind, Outcome, Refusal, Registration, RegistrationState, Slot, SlotState,
};

use super::json::millis;

pub(super) fn offices(offices: &[Office]) -> String {
    let mut table = table(&["OFFICE", "KIND", "NAME", "PARENT", "ZONE", "PLACES A DAY"]);
    for office in offices {
        let kind = OfficeKind::as_str_name(&office.kind()).trim_start_matches("OFFICE_KIND_");
        let lanes: Vec<String> = office
            .lanes
            .iter()
            .map(|offer| {
                let mark = if offer.source.starts_with("example") { "*" } else { "" };
                format!("{} {}{mark}", lane_name(offer.lane()), offer.daily_places)
            })
            .collect();
        table.add_row([
            &office.id,
            kind,
            &office.name,
            &office.parent_id,
            &office.time_zone,
            &lanes.join(", "),
        ]);
    }
    let examples =
        offices.iter().flat_map(|office| &office.lanes).any(|lane| lane.source.starts_with("example"));
    let note = if examples { "\n* example: the office publishes no figure" } else { "" };
    format!("{}{note}", text(&table))
}

pub(super) fn slots(slots: &[Slot], offices: &[Office]) -> String {
    if slots.is_empty() {
        return "No service days are scheduled for this choice.".into();
    }
    let zones = zones(offices);
    let mut table = table(&["OFFICE", "SERVICE DAY", "LANE", "STATE", "FREE", "OF", "OPENS"]);
    for column in [4, 5] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for slot in slots {
        let state = SlotState::as_str_name(&slot.state()).trim_start_matches("SLOT_STATE_");
        let free = slot.available.map_or_else(|| "-".into(), |free| free.to_string());
        let opens =
            slot.open_time.as_ref().map_or_else(String::new, |at| local(at, zones.get(&slot.office_id)));
        table.add_row([
            &slot.office_id,
            &slot.service_date,
            lane_name(slot.lane()),
            state,
            &free,
            &slot.capacity.to_string(),
            &opens,
        ]);
    }
    text(&table)
}

pub(super) fn outcome(outcome: &Outcome, offices: &[Office]) -> String {
    match outcome {
        Outcome::Registered(found) => registration(found, offices),
        Outcome::Refused(refusal) => refused(refusal),
    }
}

fn registration(registration: &Registration, offices: &[Office]) -> String {
    let office = offices.iter().find(|office| office.id == registration.office_id);
    let name = office.map_or(registration.office_id.as_str(), |office| office.name.as_str());
    let zones = zones(offices);
    let zone = zones.get(&registration.office_id);
    let mut table = table(&[]);
    let mut row = |name: &str, value: &str| {
        table.add_row([name, value]);
    };
    row("Booking code", &registration.code);
    row(
        "State",
        RegistrationState::as_str_name(&registration.state()).trim_start_matches("REGISTRATION_STATE_"),
    );
    row("Office", name);
    row("Service day", &registration.service_date);
    row("Lane", lane_name(registration.lane()));
    row("Queue number", &registration.queue_number.to_string());
    for applicant in &registration.applicants {
        let nik = format!("NIK ending in {} {}", applicant.nik_last_four, applicant.reference);
        row("Applicant", nik.trim_end());
    }
    if let Some(at) = &registration.create_time {
        row("Granted", &local(at, zone));
    }
    if registration.state() == RegistrationState::Cancelled {
        if let Some(at) = &registration.update_time {
            row("Cancelled", &local(at, zone));
        }
        row("Reason", &registration.cancel_reason);
    }
    if registration.durable == Some(false) {
        row("Durable", "not yet: a crash may lose it; look it up to be sure");
    }
    row("Id", &registration.id);
    row("Request", &registration.request_id);
    text(&table)
}

fn refused(refusal: &Refusal) -> String {
    let again =
        refusal.retry_after.as_ref().map(|span| format!(" Ask again in {}.", span_text(millis(span))));
    format!("Refused: {}{}", refusal.message, again.unwrap_or_default())
}

fn span_text(span_ms: i64) -> String {
    match span_ms {
        ..10_000 => format!("{span_ms} ms"),
        10_000..600_000 => format!("{} s", span_ms / 1_000),
        600_000..172_800_000 => format!("{} h {} min", span_ms / 3_600_000, span_ms / 60_000 % 60),
        _ => format!("{} days", span_ms / 86_400_000),
    }
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING);
    if !header.is_empty() {
        table.set_header(header);
    }
    table
}

/// Without the blanks that pad the last column.
fn text(table: &Table) -> String {
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

fn lane_name(lane: Lane) -> &'static str {
    lane.as_str_name().trim_start_matches("LANE_")
}

fn zones(offices: &[Office]) -> HashMap<String, TimeZone> {
    let zone = |office: &Office| Some((office.id.clone(), TimeZone::get(&office.time_zone).ok()?));
    offices.iter().filter_map(zone).collect()
}

fn local(at: &prost_types::Timestamp, zone: Option<&TimeZone>) -> String {
    let zone = zone.cloned().unwrap_or(TimeZone::UTC);
    let instant = Timestamp::new(at.seconds, at.nanos).unwrap_or(Timestamp::UNIX_EPOCH);
    instant.to_zoned(zone).strftime("%a %Y-%m-%d %H:%M:%S %Z").to_string()
}
