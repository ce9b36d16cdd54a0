//! Another place for a registration: wishes for it, and shows where it is.

use clap::Args as ClapArgs;
use kuota_client::{Destination, Error, Outcome, Reschedule};

use super::{
    Args,
    arguments::{AdminAddress, LaneName, WriteArgs},
    confirm::confirm,
    instant::Zones,
    json, lookup,
    operations::{failed, preview_text, receipt_text},
    report::{DONE, Failed, say},
    single, table,
};

/// Which registration, and where to.
#[derive(Debug, ClapArgs)]
pub(super) struct MoveArgs {
    /// Booking code, billing reference or id.
    #[arg(value_name = "CODE|ID")]
    key: String,
    /// Service day it shall go to: 2026-12-01.
    #[arg(long, value_name = "DATE")]
    date: String,
    /// Office it shall go to [default: the same].
    #[arg(long, value_name = "ID")]
    office: Option<String>,
    /// Lane it shall go to, which must cost the same [default: the same].
    #[arg(long, value_enum)]
    lane: Option<LaneName>,
    /// Session to come in there, by its start: 08:00 [default: the earliest with room for the party].
    #[arg(long, value_name = "TIME")]
    session: Option<String>,
}

impl MoveArgs {
    fn destination(&self) -> Destination {
        let (service_date, office_id) = (self.date.clone(), self.office.clone());
        let session = self.session.clone().unwrap_or_default();
        Destination { service_date, office_id, lane: self.lane.map(Into::into), session }
    }

    fn words(&self) -> String {
        let lane = self.lane.map(|lane| format!(", {}", table::lane_name(lane.into())));
        let office = self.office.as_ref().map(|office| format!(" at {office}"));
        let session = self.session.as_ref().map(|start| format!(", session {start}"));
        let (office, lane) = (office.unwrap_or_default(), lane.unwrap_or_default());
        let session = session.unwrap_or_default();
        format!(
            "{} goes to {}{office}{lane}{session}, and it does not count as its one reschedule.",
            self.key, self.date
        )
    }
}

pub(super) async fn reschedule(
    args: &Args,
    to: &MoveArgs,
    request_id: Option<&String>,
) -> Result<u8, Failed> {
    let client = args.connect().await?;
    let id = single::id(&client, lookup(&to.key, false)).await?;
    let wish = Reschedule::new(id, to.destination());
    let wish = match request_id {
        Some(request_id) => wish.request_id(request_id),
        None => wish,
    };
    let failed = |error: Error| Failed::Write { error, request_id: wish.request_id.clone() };
    let outcome = client.reschedule(&wish).await.map_err(failed)?;
    Ok(single::show(args, &client, &outcome).await)
}

/// The same at an operator's wish: shows what it comes to, asks, does it.
pub(super) async fn specially(
    args: &Args,
    address: &AdminAddress,
    to: &MoveArgs,
    write: &WriteArgs,
) -> Result<u8, Failed> {
    let by = write.by()?;
    let client = args.connect().await?;
    let id = single::id(&client, lookup(&to.key, false)).await?;
    let (admin, destination) = (args.connect_admin(address).await?, to.destination());
    if !write.yes {
        let preview = admin.preview_reschedule(&by, &id, &destination).await;
        let preview = preview.map_err(|error| failed(error, &by))?;
        let zones = Zones::of(&client.offices().await.unwrap_or_default());
        confirm(&preview_text(&preview.slots, &to.words(), &zones), &address.admin_url, false)?;
    }
    let answer = admin.reschedule_specially(&by, &id, &destination).await;
    let answer = answer.map_err(|error| failed(error, &by))?;
    if args.is_json() {
        say(&json::operations::rescheduled(&answer));
        return Ok(DONE);
    }
    if let Some(registration) = answer.registration {
        single::show(args, &client, &Outcome::Registered(registration)).await;
    }
    say(&format!("\n{}", answer.receipt.as_ref().map(receipt_text).unwrap_or_default()));
    Ok(DONE)
}
