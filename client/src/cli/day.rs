//! The service day: who came, who was served, and how many people are where.

use clap::Args as ClapArgs;
use kuota_client::{AvailabilityFilter, DayCount};

use super::{
    Args,
    arguments::{AdminAddress, SlotArgs},
    json, lookup,
    report::{DONE, Failed, say},
    single,
    table::{align_right, lane_name, table, text},
};

/// Whose registration, and who says so.
#[derive(Debug, ClapArgs)]
pub(super) struct AttendArgs {
    /// Booking code (K7P2-9QXW), billing reference (K7P2Y-9QXWA) or id (a UUID).
    #[arg(value_name = "CODE|ID")]
    key: String,
    /// The clerk or the counter, up to 64 characters; kept in the log.
    #[arg(long, env = "KUOTA_ACTOR", hide_env_values = true, value_name = "NAME", default_value = "")]
    actor: String,
}

pub(super) async fn check_in(args: &Args, who: &AttendArgs) -> Result<u8, Failed> {
    let client = args.connect().await?;
    let outcome = client.check_in(&lookup(&who.key, false), &who.actor).await?;
    Ok(single::show(args, &client, &outcome).await)
}

pub(super) async fn complete(args: &Args, who: &AttendArgs) -> Result<u8, Failed> {
    let client = args.connect().await?;
    let outcome = client.complete(&lookup(&who.key, false), &who.actor).await?;
    Ok(single::show(args, &client, &outcome).await)
}

pub(super) async fn list(args: &Args, address: &AdminAddress, slots: &SlotArgs) -> Result<u8, Failed> {
    let filter: AvailabilityFilter = slots.filter();
    let days = args.connect_admin(address).await?.days(&filter).await.map_err(Failed::Admin)?;
    say(&if args.is_json() { json::operations::days(&days) } else { days_text(&days) });
    Ok(DONE)
}

fn days_text(days: &[DayCount]) -> String {
    if days.is_empty() {
        return "No service days are scheduled or remembered for this choice.".into();
    }
    let mut table = table(&[
        "OFFICE",
        "SERVICE DAY",
        "LANE",
        "PLACES",
        "HELD",
        "CONFIRMED",
        "CAME",
        "SERVED",
        "NO SHOW",
        "CANCELLED",
        "EXPIRED",
    ]);
    align_right(&mut table, &[3, 4, 5, 6, 7, 8, 9, 10]);
    for day in days {
        let counts = [
            day.capacity,
            day.held,
            day.confirmed,
            day.checked_in,
            day.served,
            day.no_show,
            day.cancelled,
            day.expired,
        ];
        let names = [day.office_id.clone(), day.service_date.clone(), lane_name(day.lane()).into()];
        table.add_row(names.into_iter().chain(counts.map(|count| count.to_string())));
    }
    text(&table)
}
