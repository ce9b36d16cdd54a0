//! A scenario: who asks for what and when, as a TOML file says it. Every number has a key with its unit in its name.
//! Wrong files are refused with file, line, key and, for a key that does not exist, the nearest one that does.

mod check;
mod nearest;

use std::{fs, io, path::Path};

use kuota_server::located::Located;
use serde::Deserialize;

use crate::payday::audit::Conduct;

/// The scenario that a run uses unless told otherwise.
pub const FRIDAY: &str = include_str!("../../../deploy/scenarios/friday.toml");
/// A run of seconds.
pub const SMOKE: &str = include_str!("../../../deploy/scenarios/smoke.toml");
/// A whole country.
pub const NATIONAL: &str = include_str!("../../../deploy/scenarios/national.toml");
/// Places that are held, paid for, and come back.
pub const PAYDAY: &str = include_str!("../../../deploy/scenarios/payday.toml");
/// A long one.
pub const SOAK: &str = include_str!("../../../deploy/scenarios/soak.toml");

/// Why a scenario cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// The file cannot be read.
    #[error("{path}: cannot be read: {error}; built in are smoke, friday, national, payday and soak")]
    Unreadable {
        /// Which.
        path: String,
        /// Why.
        error: io::Error,
    },
    /// Something in the file.
    #[error(transparent)]
    Located(#[from] Located),
}

/// Who asks for what, and when. Times are those of the model: `time_compression_factor` divides all of them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Stands in the report.
    pub name: String,
    /// All randomness comes from it.
    pub seed: u64,
    /// How many times faster than modelled everything happens.
    pub time_compression_factor: u64,
    /// Which offices.
    pub catalog: CatalogSection,
    /// How T0 comes about.
    pub opening: OpeningSection,
    /// Who.
    pub people: PeopleSection,
    /// When.
    pub arrivals: ArrivalsSection,
    /// What people do after an answer.
    pub retries: RetriesSection,
    /// How people pay, where places are held.
    pub payments: Option<PaymentsSection>,
    /// How the load is sent.
    pub client: ClientSection,
    /// From where on the run is not believed, or has failed.
    pub bounds: BoundsSection,
    /// Outcomes without which the run proves nothing.
    pub expect: ExpectSection,
}

/// Where offices come from, on a server of the run's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CatalogOrigin {
    /// West Kalimantan.
    BuiltIn,
    /// A file of its own.
    File,
    /// Equal offices, as many as said.
    Generated,
}

/// Which offices.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogSection {
    /// Where they come from.
    pub origin: CatalogOrigin,
    /// The file, beside the scenario's, when they come from one.
    pub file: Option<String>,
    /// How many are generated.
    #[serde(default)]
    pub generated_offices: u64,
    /// Places of all generated offices on all service days together.
    #[serde(default)]
    pub generated_places: u64,
    /// How long generated offices hold places until they are paid for; 0: they confirm at once.
    #[serde(default)]
    pub generated_hold_minutes: u64,
    /// How many service days open at T0.
    pub service_days: u64,
    /// Zipf's exponent, in hundredths: how much more the largest office is asked than the others.
    pub zipf_exponent_percent: u64,
}

/// How T0 comes about.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpeningSection {
    /// Quiet time before the first call. Not compressed.
    pub lead_ms: u64,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeopleSection {
    /// How many.
    pub people: u64,
    /// Share that retries by hand.
    pub human_percent: u64,
    /// Share whose app retries for them.
    pub app_percent: u64,
    /// Share of bots.
    pub bot_percent: u64,
    /// Share that clicks twice.
    pub double_clicker_percent: u64,
    /// Share of people other than bots that asks before T0.
    pub impatient_percent: u64,
    /// Calls a person makes before giving up, at least,
    pub attempts_min: u64,
    /// and at most.
    pub attempts_max: u64,
}

/// When they ask.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArrivalsSection {
    /// How long before T0 people begin to look at what is free.
    pub prepoll_ms: u64,
    /// How many times more calls come just after T0 than just before.
    pub step_factor: u64,
    /// Share of people who belong to the first rush.
    pub fast_percent: u64,
    /// Mean delay of the first rush.
    pub fast_tau_ms: u64,
    /// Mean delay of the others.
    pub slow_tau_ms: u64,
    /// After which nobody new comes.
    pub window_ms: u64,
    /// How long before T0 the impatient come, at most.
    pub impatient_ms: u64,
    /// Bots fire at T0: so long before at most,
    pub bot_lead_ms: u64,
    /// and so long after.
    pub bot_spread_ms: u64,
    /// Request ids a bot sends for one NIK,
    pub bot_requests: u64,
    /// and the time between two of them.
    pub bot_gap_ms: u64,
    /// When the second click follows the first, at most.
    pub second_click_ms: u64,
}

/// What people do after an answer that is not a place.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetriesSection {
    /// A person waits so long at least,
    pub human_wait_min_ms: u64,
    /// and so long at most; never more from one time to the next.
    pub human_wait_max_ms: u64,
    /// An app waits for a random time up to this, doubled each time,
    pub app_backoff_base_ms: u64,
    /// and never longer than this.
    pub app_backoff_max_ms: u64,
    /// A bot waits so long.
    pub bot_wait_ms: u64,
}

/// How people pay for places that are held. Not compressed: holds are not. Whoever is in no share never pays.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaymentsSection {
    /// Share that pays in time.
    pub in_time_percent: u64,
    /// Share that pays after the hold expired.
    pub late_percent: u64,
    /// Share that pays in time, says so again, and then pays once more.
    pub twice_percent: u64,
    /// Share that pays a wrong amount first, and then the fee, in time.
    pub wrong_amount_percent: u64,
    /// Who pays in time does so within this time after the grant.
    pub pay_after_ms_max: u64,
    /// Who pays late does so within this time after the hold's end.
    pub late_after_ms_max: u64,
    /// Within which a place that was not paid for is free again after its hold's end; later, and the run fails.
    pub freed_within_ms_max: u64,
}

impl PaymentsSection {
    /// What somebody does, by a number below 100.
    #[must_use]
    pub fn conduct(&self, drawn: u64) -> Conduct {
        let shares = [
            (self.in_time_percent, Conduct::InTime),
            (self.late_percent, Conduct::Late),
            (self.twice_percent, Conduct::Twice),
            (self.wrong_amount_percent, Conduct::WrongAmount),
        ];
        let mut end = 0;
        for (share, conduct) in shares {
            end += share;
            if drawn < end {
                return conduct;
            }
        }
        Conduct::Never
    }
}

/// How the load is sent.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientSection {
    /// Connections of all threads together.
    pub connections: u64,
    /// Calls at once on each; together they are the in-flight cap.
    pub streams: u64,
    /// Threads that drive, a core each.
    pub threads: u64,
    /// After which a call counts as unanswered. Not compressed.
    pub timeout_ms: u64,
    /// Asks in a call: 1 is `Register`, more is `RegisterBatch`.
    pub batch_asks: u64,
}

/// From where on the run is not believed, or has failed. Not compressed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BoundsSection {
    /// The client's own p99 of sent − intended; beyond it the run is void.
    pub lag_p99_ms_max: u64,
    /// Longest time without any answer while calls are under way; beyond it the run fails.
    pub stall_ms_max: u64,
    /// Calls that may time out, lose their connection or get a gRPC error; beyond it the run fails. What `--chaos` does
    /// to the server is not counted.
    pub errors_max: u64,
}

/// Outcomes without which the run proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectSection {
    /// `GRANTED`, `REPEATED`, or a reason of a refusal.
    pub outcomes: Vec<String>,
}

impl Scenario {
    /// One that is built in, or a file.
    ///
    /// # Errors
    /// Names file, line and key of what is wrong.
    pub fn load(name: &str) -> Result<Self, ScenarioError> {
        let built_in = match name {
            "smoke" => Some(SMOKE),
            "friday" => Some(FRIDAY),
            "national" => Some(NATIONAL),
            "payday" => Some(PAYDAY),
            "soak" => Some(SOAK),
            _ => None,
        };
        if let Some(text) = built_in {
            return Ok(Self::parse(&format!("{name}.toml (built in)"), text)?);
        }
        let path = Path::new(name);
        let text = fs::read_to_string(path)
            .map_err(|error| ScenarioError::Unreadable { path: name.into(), error })?;
        let mut scenario = Self::parse(name, &text)?;
        if let (Some(file), Some(directory)) = (&mut scenario.catalog.file, path.parent()) {
            *file = directory.join(&*file).display().to_string();
        }
        Ok(scenario)
    }

    /// Reads a scenario; `name` stands in messages.
    ///
    /// # Errors
    /// Names line and key of what is wrong.
    pub fn parse(name: &str, text: &str) -> Result<Self, Located> {
        let scenario: Self = toml::from_str(text).map_err(|error| {
            let message = nearest::hint(error.message());
            Located::at(name, text, &error.span().unwrap_or(0..0), message)
        })?;
        check::check(&scenario)
            .map_err(|complaint| Located::at_key(name, text, complaint.key, complaint.message))?;
        Ok(scenario)
    }

    /// A modelled time as it is driven, in microseconds.
    #[must_use]
    pub fn driven_us(&self, modelled_ms: u64) -> u64 {
        modelled_ms.saturating_mul(1_000) / self.time_compression_factor
    }

    /// How long a call may take, in microseconds.
    #[must_use]
    pub fn timeout_us(&self) -> i64 {
        i64::try_from(self.client.timeout_ms.saturating_mul(1_000)).unwrap_or(i64::MAX)
    }

    /// Calls that may be under way at once.
    #[must_use]
    pub fn in_flight_cap(&self) -> u64 {
        self.client.connections * self.client.streams
    }
}
