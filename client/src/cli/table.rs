//! Tables and sentences for people. Times are the office's own.

use comfy_table::{CellAlignment, Table, presets::NOTHING};
use jiff::civil::Date;
use kuota_client::{
    Alternative, Lane, Office, OfficeKind, Outcome, PassportFee, PassportKind, PaymentCase, PaymentCaseCause,
    PaymentCaseState, PriorityGround, Refusal, Registration, RegistrationState, Session, Slot, SlotState,
};

use super::{instant::Zones, json::millis};

pub(super) fn offices(offices: &[Office]) -> String {
    let mut table = table(&["OFFICE", "KIND", "NAME", "PARENT", "ZONE", "PLACES A DAY"]);
    for office in offices {
        let kind = OfficeKind::as_str_name(&office.kind()).trim_start_matches("OFFICE_KIND_");
        let lanes: Vec<String> = office
            .lanes
            .iter()
            .map(|offer| {
                let mark = if offer.source.starts_with("example") { "*" } else { "" };
                let sessions = match offer.sessions.len() {
                    0 => String::new(),
                    sessions => format!(" in {sessions} sessions"),
                };
                format!("{} {}{mark}{sessions}", lane_name(offer.lane()), offer.daily_places)
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

pub(super) fn fees(fees: &[PassportFee], surcharges: &[(Lane, i64)]) -> String {
    if fees.is_empty() {
        return "The catalogue names no fees.".into();
    }
    let mut table = table(&["PASSPORT", "FEE", "SOURCE"]);
    align_right(&mut table, &[1]);
    for fee in fees {
        table.add_row([passport_name(fee.passport_kind()), &rupiah(fee.fee_rupiah), &fee.source]);
    }
    let more: String = surcharges
        .iter()
        .map(|(lane, more)| format!("\n{} costs each applicant {} more.", lane_name(*lane), rupiah(*more)))
        .collect();
    format!("{}{more}", text(&table))
}

/// Payments without a place, oldest first.
pub(super) fn cases(cases: &[PaymentCase]) -> String {
    if cases.is_empty() {
        return "No payment waits for a place or a refund.".into();
    }
    let mut table =
        table(&["CASE", "STATE", "WHY", "CODE", "OFFICE", "SERVICE DAY", "LANE", "PAID", "PAYMENT"]);
    align_right(&mut table, &[0, 7]);
    for case in cases {
        table.add_row([
            &case.number.to_string(),
            PaymentCaseState::as_str_name(&case.state()).trim_start_matches("PAYMENT_CASE_STATE_"),
            cause_name(case.cause()),
            &case.code,
            &case.office_id,
            &case.service_date,
            lane_name(case.lane()),
            &rupiah(case.amount_rupiah),
            &case.payment_reference,
        ]);
    }
    text(&table)
}

pub(super) fn cause_name(cause: PaymentCaseCause) -> &'static str {
    cause.as_str_name().trim_start_matches("PAYMENT_CASE_CAUSE_")
}

/// `Rp 1.350.000`, as it is written in Indonesia.
fn rupiah(rupiah: i64) -> String {
    let digits = rupiah.to_string();
    let grouped = digits.char_indices().map(|(index, digit)| {
        let dot = if index > 0 && (digits.len() - index).is_multiple_of(3) { "." } else { "" };
        format!("{dot}{digit}")
    });
    format!("Rp {}", grouped.collect::<String>())
}

fn passport_name(kind: PassportKind) -> &'static str {
    kind.as_str_name().trim_start_matches("PASSPORT_KIND_")
}

pub(super) fn slots(slots: &[Slot], offices: &[Office]) -> String {
    slots_in(&slots.iter().collect::<Vec<_>>(), &Zones::of(offices))
}

/// The table of slots: a line for the header, then one for each slot.
pub(super) fn slots_in(slots: &[&Slot], zones: &Zones) -> String {
    if slots.is_empty() {
        return "No service days are scheduled for this choice.".into();
    }
    let mut table = table(&["OFFICE", "SERVICE DAY", "LANE", "STATE", "FREE", "OF", "OPENS"]);
    align_right(&mut table, &[4, 5]);
    for slot in slots {
        let free = slot.available.map_or_else(|| "-".into(), |free| free.to_string());
        let opens = slot.open_time.as_ref().map(|at| zones.local(at, &slot.office_id)).unwrap_or_default();
        table.add_row([
            &slot.office_id,
            &slot.service_date,
            lane_name(slot.lane()),
            state_name(slot.state()),
            &free,
            &slot.capacity.to_string(),
            &opens,
        ]);
    }
    text(&table)
}

/// A slot on a line, for logs and pipes.
pub(super) fn slot_line(slot: &Slot) -> String {
    let (office, day, lane) = (&slot.office_id, &slot.service_date, lane_name(slot.lane()));
    let free = slot.available.map_or_else(|| "-".into(), |free| free.to_string());
    format!("{office} {day} {lane} {} {free} of {}", state_name(slot.state()), slot.capacity)
}

pub(super) fn state_name(state: SlotState) -> &'static str {
    state.as_str_name().trim_start_matches("SLOT_STATE_")
}

pub(super) fn outcome(outcome: &Outcome, offices: &[Office]) -> String {
    match outcome {
        Outcome::Registered(found) => registration(found, offices),
        Outcome::Refused(refusal) => refused(refusal, offices),
    }
}

fn registration(registration: &Registration, offices: &[Office]) -> String {
    let office = offices.iter().find(|office| office.id == registration.office_id);
    let name = office.map_or(registration.office_id.as_str(), |office| office.name.as_str());
    let zones = Zones::of(offices);
    let local = |at| zones.local(at, &registration.office_id);
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
    if let Some(session) = &registration.session {
        row("Session", &session_text(session));
    }
    row("Queue number", &registration.queue_number.to_string());
    for applicant in &registration.applicants {
        let passport = match applicant.passport_kind() {
            PassportKind::Unspecified => String::new(),
            kind => format!(", {}", passport_name(kind)),
        };
        let nik = format!("NIK ending in {}{passport} {}", applicant.nik_last_four, applicant.reference);
        row("Applicant", nik.trim_end());
    }
    if registration.ground() != PriorityGround::Unspecified {
        row("Ground", registration.ground().as_str_name().trim_start_matches("PRIORITY_GROUND_"));
    }
    if let Some(fee) = registration.fee_rupiah {
        row("Fee", &rupiah(fee));
    }
    if !registration.billing_reference.is_empty() {
        row("Pay as", &registration.billing_reference);
    }
    if let (RegistrationState::Held | RegistrationState::Expired, Some(at)) =
        (registration.state(), &registration.hold_expire_time)
    {
        row("Pay before", &local(at));
    }
    if let Some(at) = &registration.payment_time {
        row("Paid", &format!("{} by {}", local(at), registration.payment_reference));
    }
    if let Some(left) = &registration.rescheduled_from {
        let at = registration.reschedule_time.as_ref().map(local).unwrap_or_default();
        let (office, lane) = (&left.office_id, lane_name(left.lane()));
        row("Rescheduled", &format!("{at} from {office} on {}, {lane}", left.service_date));
    }
    if let Some(at) = &registration.check_in_time {
        row("Came", &local(at));
    }
    if let Some(at) = &registration.serve_time {
        row("Served", &local(at));
    }
    for number in &registration.payment_case_numbers {
        row("Payment case", &number.to_string());
    }
    if let Some(at) = &registration.create_time {
        row("Granted", &local(at));
    }
    if registration.state() == RegistrationState::Cancelled {
        if let Some(at) = &registration.update_time {
            row("Cancelled", &local(at));
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

/// `08:00-09:00`
pub(super) fn session_text(session: &Session) -> String {
    format!("{}-{}", session.start_time, session.end_time)
}

fn refused(refusal: &Refusal, offices: &[Office]) -> String {
    let again =
        refusal.retry_after.as_ref().map(|span| format!(" Ask again in {}.", span_text(millis(span))));
    let mut said = format!("Refused: {}{}", refusal.message, again.unwrap_or_default());
    if !refusal.alternatives.is_empty() {
        said.push_str("\nWhat else is free:");
    }
    for one in &refusal.alternatives {
        said.push_str("\n  ");
        said.push_str(&alternative(one, offices));
    }
    said
}

/// `3 places on Wed 2 Dec at Kantor Imigrasi Singkawang, 114 km away`, and what the lane costs.
fn alternative(one: &Alternative, offices: &[Office]) -> String {
    let places = if one.available == 1 { "place" } else { "places" };
    let day = one.service_date.parse::<Date>();
    let day = day.map_or_else(|_| one.service_date.clone(), |day| day.strftime("%a %-d %b").to_string());
    let office = offices.iter().find(|office| office.id == one.office_id);
    let office = office.map_or(one.office_id.as_str(), |office| office.name.as_str());
    let way = match one.distance_m {
        0 => String::new(),
        1..1_000 => format!(", {} m away", one.distance_m),
        metres => format!(", {} km away", metres.saturating_add(500) / 1_000),
    };
    let lane = match (one.lane(), one.surcharge_rupiah) {
        (Lane::Unspecified | Lane::Regular, 0) => String::new(),
        (lane, 0) => format!(", {}", lane_name(lane)),
        (lane, surcharge) => format!(", {} for {} more each", lane_name(lane), rupiah(surcharge)),
    };
    format!("{} {places} on {day} at {office}{way}{lane}", one.available)
}

fn span_text(span_ms: i64) -> String {
    match span_ms {
        ..10_000 => format!("{span_ms} ms"),
        10_000..600_000 => format!("{} s", span_ms / 1_000),
        600_000..172_800_000 => format!("{} h {} min", span_ms / 3_600_000, span_ms / 60_000 % 60),
        _ => format!("{} days", span_ms / 86_400_000),
    }
}

pub(super) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING);
    if !header.is_empty() {
        table.set_header(header);
    }
    table
}

pub(super) fn align_right(table: &mut Table, columns: &[usize]) {
    for column in columns {
        if let Some(column) = table.column_mut(*column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

/// Without the blanks that pad the last column.
pub(super) fn text(table: &Table) -> String {
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

pub(super) fn lane_name(lane: Lane) -> &'static str {
    lane.as_str_name().trim_start_matches("LANE_")
}
