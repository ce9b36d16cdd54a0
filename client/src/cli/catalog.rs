//! The catalogue: what is in force, and another one applied.

use std::fs;

use kuota_client::{ApplyCatalogResponse, CatalogChange, CatalogChangeKind, Error, Override};

use super::{
    Args,
    admin::ApplyArgs,
    arguments::AdminAddress,
    confirm::confirm,
    instant::{Clock, Zones},
    json,
    operations::{pauses_text, receipt_text, slots_text, zones},
    report::{DONE, Failed, print, say},
    table::{align_right, lane_name, table, text},
};

pub(super) async fn get(args: &Args, address: &AdminAddress) -> Result<u8, Failed> {
    let answer = args.connect_admin(address).await?.catalog().await.map_err(Failed::Admin)?;
    if args.is_json() {
        say(&json::operations::catalog(&answer));
    } else {
        print(&answer.toml);
    }
    Ok(DONE)
}

/// Pauses and overrides.
pub(super) async fn status(args: &Args, address: &AdminAddress) -> Result<u8, Failed> {
    let answer = args.connect_admin(address).await?.catalog().await.map_err(Failed::Admin)?;
    if args.is_json() {
        say(&json::operations::status(&answer));
    } else {
        say(&format!(
            "{}\n\n{}",
            pauses_text(&answer.pauses, &Clock::utc()),
            overrides_text(&answer.overrides)
        ));
    }
    Ok(DONE)
}

pub(super) async fn apply(args: &Args, address: &AdminAddress, apply: &ApplyArgs) -> Result<u8, Failed> {
    let name = apply.file.display();
    let toml = fs::read_to_string(&apply.file)
        .map_err(|error| Failed::File(format!("{name}: {error}; name a catalogue in TOML")))?;
    let by = if apply.validate_only { None } else { Some(apply.write.by()?) };
    let admin = args.connect_admin(address).await?;
    let preview = admin.preview_catalog(&apply.write.preview()?, &toml, apply.close_offices).await;
    let preview = preview.map_err(|error| Failed::Admin(located(error, &name.to_string())))?;
    let zones = zones(args).await;
    let Some(by) = by else {
        say(&shown(args, &preview, &zones));
        return Ok(DONE);
    };
    if preview.changes.is_empty() && preview.slots.is_empty() {
        // A repeat after a lost answer ends here too: what it asked for is in force.
        say(&shown(args, &preview, &zones));
        return Ok(DONE);
    }
    let what = format!("{}\nApplying {name} changes this.", diff_text(&preview, &zones));
    confirm(&what, &address.admin_url, apply.write.yes)?;
    let failed = |error: Error| Failed::AdminWrite { error, request_id: by.request_id.clone() };
    let applied = admin.apply_catalog(&by, &toml, apply.close_offices).await.map_err(failed)?;
    say(&shown(args, &applied, &zones));
    Ok(DONE)
}

/// The server calls the text `toml`; here it has a name.
fn located(error: Error, name: &str) -> Error {
    let Error::Status(mut failed) = error else { return error };
    for (field, allowed) in failed.fields.iter_mut().filter(|(field, _)| field == "toml") {
        let (line, what) = match allowed.strip_prefix("toml:").and_then(|rest| rest.split_once(": ")) {
            Some((line, what)) => (format!(":{line}"), what.to_owned()),
            None => (String::new(), allowed.clone()),
        };
        (*field, *allowed) = (format!("{name}{line}"), what);
    }
    failed.message = failed.message.replace("toml: toml:", &format!("{name}:"));
    Error::Status(failed)
}

fn shown(args: &Args, answer: &ApplyCatalogResponse, zones: &Zones) -> String {
    if args.is_json() {
        return json::operations::applied(answer);
    }
    let receipt = answer.receipt.as_ref().map(|receipt| format!("\n\n{}", receipt_text(receipt)));
    format!("{}{}", diff_text(answer, zones), receipt.unwrap_or_default())
}

fn diff_text(answer: &ApplyCatalogResponse, zones: &Zones) -> String {
    if answer.changes.is_empty() && answer.slots.is_empty() {
        return "No differences.".into();
    }
    let more = |total: u32, shown: usize, what: &str| {
        let rest = usize::try_from(total).unwrap_or(usize::MAX).saturating_sub(shown);
        (rest > 0).then(|| format!(" … and {rest} more {what}"))
    };
    let mut changes: Vec<String> = answer.changes.iter().map(change_line).collect();
    changes.extend(more(answer.changes_total, answer.changes.len(), "differences"));
    let mut slots = Vec::new();
    if !answer.slots.is_empty() {
        slots.push(slots_text(&answer.slots, zones));
    }
    slots.extend(more(answer.slots_total, answer.slots.len(), "slots"));
    [changes.join("\n"), slots.join("\n")]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("\n\n")
}

/// `~ office kanim-pontianak: lane REGULAR places 120 → 140`.
fn change_line(change: &CatalogChange) -> String {
    let mark = match change.kind() {
        CatalogChangeKind::Added => '+',
        CatalogChangeKind::Changed => '~',
        CatalogChangeKind::Removed => '-',
        CatalogChangeKind::Unspecified => '?',
    };
    let CatalogChange { subject, field, before, after, .. } = change;
    let field = if field.is_empty() { String::new() } else { format!(": {field}") };
    let values = match (before.is_empty(), after.is_empty()) {
        (true, true) => String::new(),
        (true, false) => format!(" {after}"),
        (false, true) => format!(" (was {before})"),
        (false, false) => format!(" {before} → {after}"),
    };
    format!(" {mark} {subject}{field}{values}")
}

fn overrides_text(overrides: &[Override]) -> String {
    let clock = Clock::utc();
    if overrides.is_empty() {
        return "No quota or opening is set above the catalogue.".into();
    }
    let mut table = table(&["OFFICE", "SERVICE DAY", "LANE", "PLACES", &clock.header("OPENS")]);
    align_right(&mut table, &[3]);
    for found in overrides {
        let places = found.places.map_or_else(|| "as the catalogue".into(), |places| places.to_string());
        let opens = found.open_time.as_ref().map(|at| clock.show(at));
        let opens = opens.unwrap_or_else(|| "as its rule says".into());
        table.add_row([&found.office_id, &found.service_date, lane_name(found.lane()), &places, &opens]);
    }
    format!("Set above the catalogue:\n{}", text(&table))
}
