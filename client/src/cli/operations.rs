//! Openings, quotas and pauses: says what will be done, asks, does it, and shows what it changed.

use kuota_client::{Admin, By, Error, Opening, PauseState, Receipt, Scope, SlotChange, SlotKey};

use super::{
    Args,
    admin::OpenArgs,
    arguments::{AdminAddress, WriteArgs},
    confirm::confirm,
    instant::{self, Clock, Zones},
    json,
    report::{DONE, Failed, count, say},
    table::{align_right, lane_name, table, text},
};

pub(super) async fn open(args: &Args, address: &AdminAddress, open: &OpenArgs) -> Result<u8, Failed> {
    let by = open.write.by()?;
    let zones = zones(args).await;
    let open_time = instant::parse("--at", &open.at, zones.get(&open.office))?;
    let opening = Opening {
        office_id: open.office.clone(),
        service_dates: open.date.clone(),
        lanes: open.lane.iter().copied().map(Into::into).collect(),
        open_time,
        places: open.places,
    };
    let lanes: Vec<&str> = opening.lanes.iter().copied().map(lane_name).collect();
    let lanes = if lanes.is_empty() { "all its lanes".into() } else { lanes.join(", ") };
    let places = open
        .places
        .map(|places| format!(", {} each", count(usize::try_from(places).unwrap_or(usize::MAX), "place")))
        .unwrap_or_default();
    let at = zones.local(&open_time.into(), &open.office);
    let what = format!("{}: {} opens on {at} in {lanes}{places}.", open.office, open.date.join(", "));
    let admin = args.connect_admin(address).await?;
    if !open.write.yes {
        let preview = admin.preview_opening(&by, &opening).await.map_err(|error| failed(error, &by))?;
        confirm(&preview_text(&preview.slots, &what, &zones), &address.admin_url, false)?;
    }
    let answer = admin.schedule_opening(&by, &opening).await.map_err(|error| failed(error, &by))?;
    show_slots(args, answer.receipt.as_ref(), &answer.slots, &admin, (&zones, &open.office)).await;
    Ok(DONE)
}

pub(super) async fn set_quota(
    args: &Args,
    address: &AdminAddress,
    slot: &SlotKey,
    places: u32,
    write: &WriteArgs,
) -> Result<u8, Failed> {
    let by = write.by()?;
    let count = count(usize::try_from(places).unwrap_or(usize::MAX), "place");
    let what = format!("{} gets {count}, whatever the catalogue says.", slot_text(slot));
    let (admin, zones) = (args.connect_admin(address).await?, zones(args).await);
    if !write.yes {
        let preview = admin.preview_quota(&by, slot, places).await.map_err(|error| failed(error, &by))?;
        confirm(&preview_text(&preview.slots, &what, &zones), &address.admin_url, false)?;
    }
    let answer = admin.set_quota(&by, slot, places).await.map_err(|error| failed(error, &by))?;
    show_slots(args, answer.receipt.as_ref(), &answer.slots, &admin, (&zones, &slot.office_id)).await;
    Ok(DONE)
}

pub(super) async fn clear(
    args: &Args,
    address: &AdminAddress,
    slot: &SlotKey,
    write: &WriteArgs,
) -> Result<u8, Failed> {
    let by = write.by()?;
    let what = format!("{} goes back to the places and opening of the catalogue.", slot_text(slot));
    let (admin, zones) = (args.connect_admin(address).await?, zones(args).await);
    if !write.yes {
        let preview = admin.preview_clear(&by, slot).await.map_err(|error| failed(error, &by))?;
        confirm(&preview_text(&preview.slots, &what, &zones), &address.admin_url, false)?;
    }
    let answer = admin.clear_override(&by, slot).await.map_err(|error| failed(error, &by))?;
    show_slots(args, answer.receipt.as_ref(), &answer.slots, &admin, (&zones, &slot.office_id)).await;
    Ok(DONE)
}

pub(super) async fn pause(
    args: &Args,
    address: &AdminAddress,
    scope: &Scope,
    write: &WriteArgs,
) -> Result<u8, Failed> {
    let by = write.by()?;
    let what = format!("No place is given out for {} until it is resumed.", scope_text(scope));
    let admin = ready(args, address, &what, write).await?;
    let answer = admin.pause(&by, scope).await.map_err(|error| failed(error, &by))?;
    show_pauses(args, answer.receipt.as_ref(), &answer.pauses, scope).await;
    Ok(DONE)
}

pub(super) async fn resume(
    args: &Args,
    address: &AdminAddress,
    scope: &Scope,
    write: &WriteArgs,
) -> Result<u8, Failed> {
    let by = write.by()?;
    let what = format!("The pause of {} ends.", scope_text(scope));
    let admin = ready(args, address, &what, write).await?;
    let answer = admin.resume(&by, scope).await.map_err(|error| failed(error, &by))?;
    show_pauses(args, answer.receipt.as_ref(), &answer.pauses, scope).await;
    Ok(DONE)
}

/// What a write comes to, and its words.
pub(super) fn preview_text(slots: &[SlotChange], what: &str, zones: &Zones) -> String {
    if slots.is_empty() { what.into() } else { format!("{}\n{what}", slots_text(slots, zones)) }
}

/// Asks first, and connects then: what is declined needs no server.
async fn ready(args: &Args, address: &AdminAddress, what: &str, write: &WriteArgs) -> Result<Admin, Failed> {
    confirm(what, &address.admin_url, write.yes)?;
    args.connect_admin(address).await
}

pub(super) fn failed(error: Error, by: &By) -> Failed {
    Failed::AdminWrite { error, request_id: by.request_id.clone() }
}

/// Zones are a courtesy: without them times are shown in UTC.
pub(super) async fn zones(args: &Args) -> Zones {
    match args.connect().await {
        Ok(client) => Zones::of(&client.offices().await.unwrap_or_default()),
        Err(_) => Zones::default(),
    }
}

async fn show_slots(
    args: &Args,
    receipt: Option<&Receipt>,
    slots: &[SlotChange],
    admin: &Admin,
    (zones, office): (&Zones, &str),
) {
    if args.is_json() {
        say(&json::operations::slots(receipt, slots));
        return;
    }
    let changed =
        if slots.is_empty() { "No scheduled slot changed.".into() } else { slots_text(slots, zones) };
    // What was done is done: a look at the pauses that fails is not worth an error.
    let pauses = admin.catalog().await.map(|answer| answer.pauses).unwrap_or_default();
    let pauses = if pauses.is_empty() {
        String::new()
    } else {
        format!("\n\n{}", pauses_text(&pauses, &zones.clock(Some(office))))
    };
    say(&format!("{changed}\n\n{}{pauses}", receipt.map(receipt_text).unwrap_or_default()));
}

async fn show_pauses(args: &Args, receipt: Option<&Receipt>, pauses: &[PauseState], scope: &Scope) {
    if args.is_json() {
        say(&json::operations::pauses(receipt, pauses));
    } else {
        let receipt = receipt.map(receipt_text).unwrap_or_default();
        let clock = zones(args).await.clock(scope.office_id.as_deref());
        say(&format!("{receipt}\n\n{}", pauses_text(pauses, &clock)));
    }
}

pub(super) fn receipt_text(receipt: &Receipt) -> String {
    match (receipt.repeated_request, receipt.changes) {
        (true, _) => {
            format!("Request {} had been carried out before: nothing changed now.", receipt.request_id)
        }
        (false, 0) => format!("Done: it was so already. Request {}.", receipt.request_id),
        (false, 1) => format!("Done: 1 event in the log. Request {}.", receipt.request_id),
        (false, changes) => format!("Done: {changes} events in the log. Request {}.", receipt.request_id),
    }
}

/// Before and after of each slot, and a warning where more is granted than there is now.
pub(super) fn slots_text(slots: &[SlotChange], zones: &Zones) -> String {
    let mut table = table(&["OFFICE", "SERVICE DAY", "LANE", "PLACES", "GRANTED", "OPENS"]);
    align_right(&mut table, &[3, 4]);
    for slot in slots {
        let after = slot.capacity_after;
        let places = match slot.capacity_before {
            Some(before) if before == after => after.to_string(),
            Some(before) => format!("{before} → {after}"),
            None => format!("none → {after}"),
        };
        let local = |at| zones.local(at, &slot.office_id);
        let opens = match (&slot.open_time_before, &slot.open_time_after) {
            (before, Some(after)) if before.as_ref() == Some(after) => local(after),
            (Some(before), Some(after)) => format!("{} → {}", local(before), local(after)),
            (None, Some(after)) => local(after),
            (_, None) => String::new(),
        };
        let (lane, granted) = (lane_name(slot.lane()), slot.granted.to_string());
        table.add_row([&slot.office_id, &slot.service_date, lane, &places, &granted, &opens]);
    }
    let over: Vec<String> =
        slots.iter().filter(|slot| slot.granted > slot.capacity_after).map(warning).collect();
    [vec![text(&table)], over].concat().join("\n")
}

fn warning(slot: &SlotChange) -> String {
    let SlotChange { office_id, service_date, granted, capacity_after, .. } = slot;
    let (lane, over) = (lane_name(slot.lane()), granted - capacity_after);
    let granted = count(usize::try_from(*granted).unwrap_or(usize::MAX), "place");
    format!(
        "Warning: {office_id} {service_date} {lane} has {granted} granted, {over} more than {capacity_after}. \
         They stand; no more is granted until enough is given back."
    )
}

pub(super) fn pauses_text(pauses: &[PauseState], clock: &Clock) -> String {
    if pauses.is_empty() {
        return "Nothing is paused.".into();
    }
    let mut table = table(&["PAUSED", &clock.header("SINCE"), "BY", "WHY"]);
    for pause in pauses {
        let scope = pause.scope.clone().unwrap_or_default();
        let since = pause.since.as_ref().map(|at| clock.show(at));
        table.add_row([&scope_text(&scope), &since.unwrap_or_default(), &pause.actor, &pause.reason]);
    }
    text(&table)
}

fn slot_text(slot: &SlotKey) -> String {
    format!("{} {} {}", slot.office_id, slot.service_date, lane_name(slot.lane))
}

fn scope_text(scope: &Scope) -> String {
    let lane = scope.lane.map(|_| lane_name(scope.lane()));
    let parts: Vec<&str> =
        [scope.office_id.as_deref(), scope.service_date.as_deref(), lane].into_iter().flatten().collect();
    if parts.is_empty() { "everything".into() } else { parts.join(" ") }
}
