//! What happened: events as a table, a registration's events as a story, and the export.

use kuota_client::{
    Event, EventFilter, EventKind, ExportFilter, ExportedRegistration, Key, PassportKind, PriorityGround,
    RegistrationState,
};

use super::{
    Args,
    admin::{EventArgs, Format},
    arguments::AdminAddress,
    instant::{self, Clock, Zones},
    json, lookup,
    operations::zones,
    report::{DONE, Failed, print, say},
    single,
    table::{align_right, lane_name, session_text, table, text},
};

/// Events of one registration shown: it is granted once and cancelled once, and much else it cannot suffer.
const STORY_EVENTS_MAX: usize = 1_000;

pub(super) async fn events(args: &Args, address: &AdminAddress, asked: &EventArgs) -> Result<u8, Failed> {
    let zones = zones(args).await;
    let zone = asked.office.as_deref().and_then(|office| zones.get(office));
    let time = |name: &str, text: &Option<String>| {
        text.as_deref().map(|text| instant::parse(name, text, zone)).transpose()
    };
    let (from_time, to_time) = (time("--from", &asked.from)?, time("--to", &asked.to)?);
    if from_time.zip(to_time).is_some_and(|(from, to)| from > to) {
        return Err(Failed::Usage("--from is after --to: nothing can have happened in between".into()));
    }
    let registration_id = match &asked.registration {
        Some(key) => Some(id(args, lookup(key, false)).await?),
        None => None,
    };
    let (office_id, actor) = (asked.office.clone(), asked.by.clone());
    let filter = EventFilter { registration_id, office_id, actor, from_time, to_time };
    let limit = usize::try_from(asked.limit).unwrap_or(usize::MAX);
    let (events, is_cut) = list(args, address, &filter, limit).await?;
    let clock = zones.clock(asked.office.as_deref());
    say(&if args.is_json() {
        json::operations::events(&events, is_cut)
    } else {
        events_text(&events, &clock)
    });
    if let (true, Some(last)) = (is_cut, events.last()) {
        let at = last.time.as_ref().map(ToString::to_string).unwrap_or_default();
        eprintln!(
            "There are more: raise --limit, or go on with --from {at}, which tells events of that instant again, up to \
             number {}.",
            last.number
        );
    }
    Ok(DONE)
}

/// The story of one registration.
pub(super) async fn log(args: &Args, address: &AdminAddress, key: Key) -> Result<u8, Failed> {
    let registration_id = Some(id(args, key).await?);
    let filter = EventFilter { registration_id, ..EventFilter::default() };
    let (events, is_cut) = list(args, address, &filter, STORY_EVENTS_MAX).await?;
    if args.is_json() {
        say(&json::operations::events(&events, is_cut));
    } else if events.is_empty() {
        say("The log has nothing about it.");
    } else {
        let zones = zones(args).await;
        let lines: Vec<String> = events.iter().map(|event| story_line(event, &zones)).collect();
        say(&lines.join("\n"));
    }
    Ok(DONE)
}

pub(super) async fn export(
    args: &Args,
    address: &AdminAddress,
    filter: &ExportFilter,
    format: Format,
) -> Result<u8, Failed> {
    let admin = args.connect_admin(address).await?;
    let mut export = admin.export(filter).await.map_err(Failed::Admin)?;
    let header = "id,code,request_id,office,date,lane,state,queue_number,references,granted,changed,cancel_reason,fee_rupiah,ground,passports,billing_reference,payment_reference,paid,payment_cases,rescheduled,rescheduled_from,session,came,served\n";
    let mut is_read = format == Format::Json || print(header);
    while is_read && let Some(part) = export.next().await.map_err(Failed::Admin)? {
        let lines: String = match format {
            Format::Csv => part.iter().map(csv_line).collect(),
            Format::Json => part.iter().map(|found| json::operations::exported(found) + "\n").collect(),
        };
        is_read = lines.is_empty() || print(&lines);
    }
    Ok(DONE)
}

async fn id(args: &Args, key: Key) -> Result<String, Failed> {
    match key {
        Key::Id(id) => Ok(id),
        key @ (Key::Code(_) | Key::RequestId(_) | Key::Billing(_)) => {
            Ok(single::id(&args.connect().await?, key).await?)
        }
    }
}

/// Up to so many events, and whether there are more.
async fn list(
    args: &Args,
    address: &AdminAddress,
    filter: &EventFilter,
    limit: usize,
) -> Result<(Vec<Event>, bool), Failed> {
    let mut listing = args.connect_admin(address).await?.events(filter);
    let mut events = Vec::new();
    while let Some(event) = listing.next().await.map_err(Failed::Admin)? {
        if events.len() == limit {
            return Ok((events, true));
        }
        events.push(event);
    }
    Ok((events, false))
}

/// Without the marks that a write was carried out, where its changes stand beside them.
fn events_text(events: &[Event], clock: &Clock) -> String {
    let shown: Vec<&Event> = events.iter().filter(|event| !is_mark(event)).collect();
    if shown.is_empty() {
        return "Nothing happened in this choice.".into();
    }
    let mut table = table(&["NUMBER", &clock.header("TIME"), "WHO", "WHAT", "WHY"]);
    align_right(&mut table, &[0]);
    for event in shown {
        let time = event.time.as_ref().map(|at| clock.show(at)).unwrap_or_default();
        let number = event.number.to_string();
        table.add_row([&number, &time, who(event), what(event), &event.reason]);
    }
    text(&table)
}

/// Only its words tell whether a write that was carried out changed anything.
fn is_mark(event: &Event) -> bool {
    event.kind() == EventKind::CommandCarriedOut && !event.description.contains("nothing had to change")
}

/// `Fri 2026-11-27 14:00:00 WIB  siti: Registration … was cancelled. Why: ill`.
fn story_line(event: &Event, zones: &Zones) -> String {
    let why = if event.reason.is_empty() { String::new() } else { format!(" Why: {}", event.reason) };
    format!("{}  {}: {}{why}", time_text(event, zones), who(event), what(event))
}

fn time_text(event: &Event, zones: &Zones) -> String {
    event.time.as_ref().map(|at| zones.local(at, &event.office_id)).unwrap_or_default()
}

fn who(event: &Event) -> &str {
    if event.actor.is_empty() { "a calling service" } else { &event.actor }
}

fn what(event: &Event) -> &str {
    if event.description.is_empty() {
        event.kind().as_str_name().trim_start_matches("EVENT_KIND_")
    } else {
        &event.description
    }
}

fn csv_line(found: &ExportedRegistration) -> String {
    let time = |at: &Option<prost_types::Timestamp>| at.as_ref().map(ToString::to_string).unwrap_or_default();
    let state = RegistrationState::as_str_name(&found.state()).trim_start_matches("REGISTRATION_STATE_");
    let (lane, number) = (lane_name(found.lane()), found.queue_number.to_string());
    // One applicant's reference a line of the field.
    let references = found.references.join("\n");
    let (granted, changed) = (time(&found.create_time), time(&found.update_time));
    let fee = found.fee_rupiah.map_or_else(String::new, |fee| fee.to_string());
    let ground = match found.ground() {
        PriorityGround::Unspecified => "",
        ground => ground.as_str_name().trim_start_matches("PRIORITY_GROUND_"),
    };
    let kinds = found.passport_kinds().map(|kind| match kind {
        PassportKind::Unspecified => "-",
        kind => kind.as_str_name().trim_start_matches("PASSPORT_KIND_"),
    });
    let passports = kinds.collect::<Vec<_>>().join(" ");
    // Nothing where nobody said what for.
    let passports = if passports.chars().all(|c| "- ".contains(c)) { String::new() } else { passports };
    let paid = time(&found.payment_time);
    let cases = found.payment_case_numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let rescheduled = time(&found.reschedule_time);
    let (came, served) = (time(&found.check_in_time), time(&found.serve_time));
    let left = found.rescheduled_from.as_ref().map_or_else(String::new, |left| {
        format!("{} {} {}", left.office_id, left.service_date, lane_name(left.lane()))
    });
    let session = found.session.as_ref().map_or_else(String::new, session_text);
    let fields = [
        &found.id,
        &found.code,
        &found.request_id,
        &found.office_id,
        &found.service_date,
        lane,
        state,
        &number,
        &references,
        &granted,
        &changed,
        &found.cancel_reason,
        &fee,
        ground,
        &passports,
        &found.billing_reference,
        &found.payment_reference,
        &paid,
        &cases,
        &rescheduled,
        &left,
        &session,
        &came,
        &served,
    ];
    super::results::csv_record(fields)
}
