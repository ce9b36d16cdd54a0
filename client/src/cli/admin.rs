//! The commands of operators.

use clap::{Args as ClapArgs, Subcommand, ValueEnum};
use kuota_client::{ExportFilter, Lane, Remedy, Scope, SlotKey};

use super::{
    Args,
    arguments::{AdminAddress, LaneName, SlotArgs, WriteArgs},
    catalog, day, history, operations, payments,
    report::Failed,
    reschedule,
};

const EXAMPLES: &str = "\
Examples:
  kuota admin status
  kuota admin pause --office kanim-pontianak --reason \"power cut\"
  kuota admin quota set --office kanim-pontianak --date 2026-11-30 --lane REGULAR --places 140 \\
      --reason \"second counter\"
  kuota admin open --office ukk-sintang --date 2026-12-05 --at \"2026-11-28 09:00\" --places 40 \\
      --reason \"extra Saturday\"
  kuota admin reschedule K7P2-9QXW --date 2026-12-01 --reason \"power cut\"
  kuota admin payments resolve 7 --refund --reason \"no place left\"
  kuota admin catalog apply kalbar.toml --reason \"new holidays\"
  kuota admin events --office kanim-pontianak --from \"2026-11-27 13:00\"

Writes need a --reason, show what will be done and ask first; --yes does it without asking. Places that are granted \
are never taken away.";

/// Where, and what to do.
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub(super) struct AdminArgs {
    #[command(flatten)]
    pub(super) address: AdminAddress,
    #[command(subcommand)]
    command: AdminCommand,
}

#[derive(Debug, Subcommand)]
enum AdminCommand {
    /// Shows what operators set above the catalogue: pauses, quotas, openings.
    Status,
    /// Shows or applies the catalogue of offices, lanes, openings, holidays and fees.
    #[command(subcommand)]
    Catalog(CatalogCommand),
    /// Opens service days once, at a time, instead of when their rule would.
    Open(OpenArgs),
    /// Sets the places of a day, or takes them back to the catalogue's.
    #[command(subcommand)]
    Quota(QuotaCommand),
    /// Stops giving out places; cancelling and look-ups go on.
    Pause {
        #[command(flatten)]
        scope: ScopeArgs,
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Takes back the pause of exactly that scope.
    Resume {
        #[command(flatten)]
        scope: ScopeArgs,
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Gives a registration another place after an error, an outage or force majeure: it does not count.
    Reschedule {
        #[command(flatten)]
        to: reschedule::MoveArgs,
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Counts people by office, service day and lane: expected, come, served, not come, gone.
    Days {
        #[command(flatten)]
        slots: SlotArgs,
    },
    /// Lists payments without a place, and resolves them.
    #[command(subcommand)]
    Payments(PaymentsCommand),
    /// Lists what happened: who, when and why, the oldest first.
    Events(EventArgs),
    /// Writes registrations as they stand, without identity numbers.
    Export {
        /// Only this office.
        #[arg(long, value_name = "ID")]
        office: Option<String>,
        /// Only from this service day on: 2026-11-30.
        #[arg(long, value_name = "DATE")]
        from: Option<String>,
        /// Only up to this service day.
        #[arg(long, value_name = "DATE")]
        to: Option<String>,
        /// CSV with a header, or an object a line [default: csv; json with --output json].
        #[arg(long, value_enum)]
        format: Option<Format>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Csv,
    Json,
}

#[derive(Debug, Subcommand)]
enum CatalogCommand {
    /// Prints the catalogue in force as TOML: applied, it changes nothing.
    Get,
    /// Brings the service in line with a catalogue: shows the differences, then asks.
    Apply(ApplyArgs),
}

/// A catalogue to apply.
#[derive(Debug, ClapArgs)]
pub(super) struct ApplyArgs {
    /// The whole catalogue, as TOML.
    #[arg(value_name = "FILE")]
    pub(super) file: std::path::PathBuf,
    /// Close offices that are missing in it although they have live registrations, which stand.
    #[arg(long)]
    pub(super) close_offices: bool,
    /// Only show what would change.
    #[arg(long)]
    pub(super) validate_only: bool,
    #[command(flatten)]
    pub(super) write: WriteArgs,
}

/// Days to open.
#[derive(Debug, ClapArgs)]
pub(super) struct OpenArgs {
    /// Office.
    #[arg(long, value_name = "ID")]
    pub(super) office: String,
    /// Service day: 2026-11-30; up to 31 of them.
    #[arg(long, value_name = "DATE", required = true)]
    pub(super) date: Vec<String>,
    /// When they open: RFC 3339, or "2026-11-27 14:00" on the office's clock.
    #[arg(long, value_name = "TIME")]
    pub(super) at: String,
    /// Only these lanes [default: all that the office offers].
    #[arg(long, value_enum)]
    pub(super) lane: Vec<LaneName>,
    /// Places of each day and lane, instead of the catalogue's. Needed for a day the office does not serve.
    #[arg(long, value_name = "N")]
    pub(super) places: Option<u32>,
    #[command(flatten)]
    pub(super) write: WriteArgs,
}

#[derive(Debug, Subcommand)]
enum QuotaCommand {
    /// Sets the places of a day, granted ones included, whatever the catalogue says.
    Set {
        #[command(flatten)]
        slot: OneSlot,
        /// Places. Fewer than are granted take nothing away: no more is granted.
        #[arg(long, value_name = "N")]
        places: u32,
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Takes places and opening back to what the catalogue says.
    Clear {
        #[command(flatten)]
        slot: OneSlot,
        #[command(flatten)]
        write: WriteArgs,
    },
}

#[derive(Debug, Subcommand)]
enum PaymentsCommand {
    /// Lists payments that wait for a place or a refund.
    List {
        /// Also those that are resolved.
        #[arg(long)]
        all: bool,
    },
    /// Ends a case: with a refund, or with another place for its registration.
    Resolve {
        /// Number of the case.
        #[arg(value_name = "CASE")]
        number: u32,
        #[command(flatten)]
        remedy: RemedyArgs,
        #[command(flatten)]
        write: WriteArgs,
    },
}

/// A refund, or a place.
#[derive(Debug, ClapArgs)]
struct RemedyArgs {
    /// The money goes back, outside of this system.
    #[arg(long, required_unless_present_all = ["office", "date", "lane"], conflicts_with_all = ["office", "date", "lane"])]
    refund: bool,
    /// Office of the place.
    #[arg(long, value_name = "ID")]
    office: Option<String>,
    /// Service day of the place: 2026-11-30.
    #[arg(long, value_name = "DATE")]
    date: Option<String>,
    /// Lane of the place.
    #[arg(long, value_enum)]
    lane: Option<LaneName>,
}

impl RemedyArgs {
    fn remedy(&self) -> Remedy {
        match (&self.office, &self.date, self.lane) {
            (Some(office), Some(date), Some(lane)) => {
                Remedy::Place(SlotKey::new(office.clone(), date.clone(), lane.into()))
            }
            _ => Remedy::Refund,
        }
    }
}

/// One slot.
#[derive(Debug, ClapArgs)]
struct OneSlot {
    /// Office.
    #[arg(long, value_name = "ID")]
    office: String,
    /// Service day: 2026-11-30.
    #[arg(long, value_name = "DATE")]
    date: String,
    /// Lane.
    #[arg(long, value_enum)]
    lane: LaneName,
}

/// What to hold. All that is said must match.
#[derive(Debug, ClapArgs)]
#[group(required = true, multiple = true)]
struct ScopeArgs {
    /// This office.
    #[arg(long, value_name = "ID")]
    office: Option<String>,
    /// This service day: 2026-11-30.
    #[arg(long, value_name = "DATE")]
    date: Option<String>,
    /// This lane.
    #[arg(long, value_enum)]
    lane: Option<LaneName>,
    /// All offices, days and lanes.
    #[arg(long, conflicts_with_all = ["office", "date", "lane"])]
    everything: bool,
}

/// Whose history.
#[derive(Debug, ClapArgs)]
pub(super) struct EventArgs {
    /// Of this registration: booking code or id.
    #[arg(long, value_name = "CODE|ID")]
    pub(super) registration: Option<String>,
    /// Of this office.
    #[arg(long, value_name = "ID")]
    pub(super) office: Option<String>,
    /// Of this actor.
    #[arg(long, value_name = "ACTOR")]
    pub(super) by: Option<String>,
    /// Only from then on: RFC 3339, or "2026-11-27 14:00" on the clock of --office.
    #[arg(long, value_name = "TIME")]
    pub(super) from: Option<String>,
    /// Only before then.
    #[arg(long, value_name = "TIME")]
    pub(super) to: Option<String>,
    /// Events at most; marks of writes that changed something count, and are shown in JSON only.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) limit: u64,
}

impl OneSlot {
    fn key(&self) -> SlotKey {
        SlotKey::new(&self.office, &self.date, self.lane.into())
    }
}

impl ScopeArgs {
    fn scope(&self) -> Scope {
        let lane = self.lane.map(|lane| i32::from(Lane::from(lane)));
        Scope { office_id: self.office.clone(), service_date: self.date.clone(), lane }
    }
}

pub(super) async fn run(args: &Args, admin: &AdminArgs) -> Result<u8, Failed> {
    let address = &admin.address;
    match &admin.command {
        AdminCommand::Status => catalog::status(args, address).await,
        AdminCommand::Catalog(CatalogCommand::Get) => catalog::get(args, address).await,
        AdminCommand::Catalog(CatalogCommand::Apply(apply)) => catalog::apply(args, address, apply).await,
        AdminCommand::Open(open) => operations::open(args, address, open).await,
        AdminCommand::Quota(QuotaCommand::Set { slot, places, write }) => {
            operations::set_quota(args, address, &slot.key(), *places, write).await
        }
        AdminCommand::Quota(QuotaCommand::Clear { slot, write }) => {
            operations::clear(args, address, &slot.key(), write).await
        }
        AdminCommand::Pause { scope, write } => operations::pause(args, address, &scope.scope(), write).await,
        AdminCommand::Resume { scope, write } => {
            operations::resume(args, address, &scope.scope(), write).await
        }
        AdminCommand::Reschedule { to, write } => reschedule::specially(args, address, to, write).await,
        AdminCommand::Days { slots } => day::list(args, address, slots).await,
        AdminCommand::Payments(PaymentsCommand::List { all }) => payments::list(args, address, *all).await,
        AdminCommand::Payments(PaymentsCommand::Resolve { number, remedy, write }) => {
            let by = write.by()?;
            payments::resolve(args, address, (*number, &remedy.remedy()), (&by, write.yes)).await
        }
        AdminCommand::Events(events) => history::events(args, address, events).await,
        AdminCommand::Export { office, from, to, format } => {
            let default = if args.is_json() { Format::Json } else { Format::Csv };
            let filter =
                ExportFilter { office_id: office.clone(), from_date: from.clone(), to_date: to.clone() };
            history::export(args, address, &filter, format.unwrap_or(default)).await
        }
    }
}
