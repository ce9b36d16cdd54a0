//! Arguments that several commands share.

use clap::{Args, ValueEnum};
use kuota_client::{AvailabilityFilter, By, Lane, PassportKind, PriorityGround};

use super::report::Failed;

/// Help keeps what every command has apart from what is its own.
pub(super) const COMMON: &str = "Common options";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    Table,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Language {
    // Indonesian. Documented values would make the help of every command long.
    Id,
    En,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum LaneName {
    /// The ordinary queue.
    #[value(alias = "regular")]
    Regular,
    /// The passport on the same day.
    #[value(alias = "one_day")]
    OneDay,
    /// Elderly, disabled, pregnant, under five.
    #[value(alias = "priority")]
    Priority,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum PassportName {
    #[value(name = "ORDINARY_5_YEARS")]
    Ordinary5,
    #[value(name = "ORDINARY_10_YEARS")]
    Ordinary10,
    #[value(name = "ELECTRONIC_5_YEARS")]
    Electronic5,
    #[value(name = "ELECTRONIC_10_YEARS")]
    Electronic10,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum GroundName {
    Elderly,
    Disabled,
    Pregnant,
    ChildUnderFive,
}

/// Which slots.
#[derive(Debug, Args)]
pub(super) struct SlotArgs {
    /// Only this office.
    #[arg(long, value_name = "ID")]
    office: Option<String>,
    /// Only from this service day on: 2026-11-30 [default: today at the office].
    #[arg(long, value_name = "DATE")]
    from: Option<String>,
    /// Only up to this service day.
    #[arg(long, value_name = "DATE")]
    to: Option<String>,
    /// Only this lane.
    #[arg(long, value_enum)]
    lane: Option<LaneName>,
}

/// Whom to register, and where.
#[derive(Debug, Args)]
pub(super) struct RegisterArgs {
    /// Office.
    #[arg(long, value_name = "ID", required_unless_present = "file")]
    pub(super) office: Option<String>,
    /// Service day: 2026-11-30.
    #[arg(long, value_name = "DATE", required_unless_present = "file")]
    pub(super) date: Option<String>,
    /// Lane.
    #[arg(long, value_enum, default_value_t = LaneName::Regular)]
    pub(super) lane: LaneName,
    /// 16-digit identity number; once for each of the party. `-` reads them from standard input, one a line.
    #[arg(long, value_name = "NIK", required_unless_present = "file")]
    pub(super) nik: Vec<String>,
    /// Your own reference; once for each --nik, in the same order.
    #[arg(long, value_name = "TEXT")]
    pub(super) reference: Vec<String>,
    /// Kind of passport, which decides the fee: one for all, or one for each --nik, in the same order.
    #[arg(long, value_enum, value_name = "KIND")]
    pub(super) passport: Vec<PassportName>,
    /// Why the party comes by the lane PRIORITY; required there.
    #[arg(long, value_enum)]
    pub(super) ground: Option<GroundName>,
    /// Session to come in, by its start: 08:00 [default: the earliest with room for the party].
    #[arg(long, value_name = "TIME")]
    pub(super) session: Option<String>,
    /// UUID of this intent: repeat it to ask again after an unknown outcome [default: a new one].
    #[arg(long, value_name = "UUID")]
    pub(super) request_id: Option<String>,
    /// Answer before the log is synced: a crash may lose the place.
    #[arg(long)]
    pub(super) accepted: bool,
    /// CSV of people to register, with a header: office,date,lane,nik,reference and, if you like, request_id,party,passport,ground,session. `-` is standard input.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["office", "date", "lane", "nik", "reference", "passport", "ground", "session", "request_id"])]
    pub(super) file: Option<std::path::PathBuf>,
    /// With --file: asks sent in one call, 1 to 1000.
    #[arg(long, value_name = "N", default_value_t = 500, requires = "file",
        value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(super) batch: u16,
}

/// Where operators are served.
#[derive(Debug, Args)]
pub(super) struct AdminAddress {
    /// Address of the server's listener for operators.
    #[arg(long, global = true, env = "KUOTA_ADMIN_URL", hide_env_values = true, value_name = "URL", default_value = "http://127.0.0.1:50052", help_heading = COMMON)]
    pub(super) admin_url: String,
}

/// Who changes something, and why.
#[derive(Debug, Args)]
pub(super) struct WriteArgs {
    /// Why, up to 200 characters; kept in the log. Required to change anything.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Who, up to 64 characters [default: $USER].
    #[arg(long, env = "KUOTA_ACTOR", hide_env_values = true, value_name = "NAME")]
    actor: Option<String>,
    /// UUID of this intent: repeat it to ask again after an unknown outcome [default: a new one].
    #[arg(long, value_name = "UUID")]
    request_id: Option<String>,
    /// Do it without asking.
    #[arg(long, short)]
    pub(super) yes: bool,
}

impl From<LaneName> for Lane {
    fn from(lane: LaneName) -> Self {
        match lane {
            LaneName::Regular => Self::Regular,
            LaneName::OneDay => Self::OneDay,
            LaneName::Priority => Self::Priority,
        }
    }
}

impl From<PassportName> for PassportKind {
    fn from(kind: PassportName) -> Self {
        match kind {
            PassportName::Ordinary5 => Self::Ordinary5Years,
            PassportName::Ordinary10 => Self::Ordinary10Years,
            PassportName::Electronic5 => Self::Electronic5Years,
            PassportName::Electronic10 => Self::Electronic10Years,
        }
    }
}

impl From<GroundName> for PriorityGround {
    fn from(ground: GroundName) -> Self {
        match ground {
            GroundName::Elderly => Self::Elderly,
            GroundName::Disabled => Self::Disabled,
            GroundName::Pregnant => Self::Pregnant,
            GroundName::ChildUnderFive => Self::ChildUnderFive,
        }
    }
}

impl SlotArgs {
    pub(super) fn filter(&self) -> AvailabilityFilter {
        AvailabilityFilter {
            office_id: self.office.clone(),
            from_date: self.from.clone(),
            to_date: self.to.clone(),
            lane: self.lane.map(Lane::from),
        }
    }
}

impl WriteArgs {
    pub(super) fn by(&self) -> Result<By, Failed> {
        let reason = self.reason.as_ref().ok_or_else(|| {
            Failed::Usage(
                "--reason is missing: say why, as --reason \"power cut\"; it is kept in the log".into(),
            )
        })?;
        let by = By::new(self.actor()?, reason);
        Ok(match &self.request_id {
            Some(request_id) => by.request_id(request_id),
            None => by,
        })
    }

    /// For a look at what would change, which leaves no trace and needs no reason.
    pub(super) fn preview(&self) -> Result<By, Failed> {
        Ok(By::new(self.actor()?, self.reason.as_deref().unwrap_or("preview")))
    }

    fn actor(&self) -> Result<String, Failed> {
        let user = || std::env::var("USER").ok();
        let actor = self.actor.clone().or_else(user).filter(|name| !name.is_empty());
        actor.ok_or_else(|| {
            Failed::Usage(
                "nobody is known to do this, and $USER is not set: say --actor NAME, or set KUOTA_ACTOR"
                    .into(),
            )
        })
    }
}
