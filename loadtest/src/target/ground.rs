//! The ground a run is played on: slots of a server, and when they open.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, bail};
use jiff::{ToSpan as _, civil::Weekday, tz::TimeZone};
use kuota_client::{Admin, AvailabilityFilter, By, Client, Lane, Opening, SlotState};

use crate::{driver::letter::SlotName, limits::WAIT_FOR_OPENING_MAX, scenario::Scenario};

/// Days from today on that no weekly rule can have opened: it opens the week after a Friday, at most seven days ahead.
const NEVER_OPEN_FROM_DAYS: i64 = 8;
/// For one opening to be scheduled.
const SCHEDULING: Duration = Duration::from_millis(10);

/// Slots and their opening.
#[derive(Clone, Debug)]
pub struct Ground {
    /// Offices, those with the most places first: ranks of popularity.
    pub offices: Vec<String>,
    /// Office after office, its service days.
    pub slots: Vec<SlotName>,
    /// When they open, or when the run pretends that they do.
    pub t0: SystemTime,
    /// They were open before: the run shows no edge at T0.
    pub was_open: bool,
}

impl Ground {
    fn new(offices: Vec<String>, dates: &[String], t0: SystemTime, was_open: bool) -> Self {
        let slot = |office: &String, date: &String| SlotName {
            office_id: office.clone(),
            service_date: date.clone(),
            lane: Lane::Regular,
        };
        let slots = offices.iter().flat_map(|office| dates.iter().map(move |date| slot(office, date)));
        Self { slots: slots.collect(), offices, t0, was_open }
    }

    /// The service days.
    #[must_use]
    pub fn dates(&self) -> BTreeSet<&str> {
        self.slots.iter().map(|slot| slot.service_date.as_str()).collect()
    }

    /// On a server of the run's own: days that nothing has opened yet open once, by an operator's write.
    ///
    /// # Errors
    /// When the server does not do it.
    pub async fn schedule(scenario: &Scenario, client: &Client, admin: &Admin) -> anyhow::Result<Self> {
        let mut offices = Vec::new();
        for office in client.offices().await? {
            let regular = office.lanes.iter().find(|lane| lane.lane == i32::from(Lane::Regular));
            if let Some(lane) = regular {
                offices.push((lane.daily_places, office.id.clone()));
            }
        }
        offices.sort_by(|one, other| other.0.cmp(&one.0).then_with(|| one.1.cmp(&other.1)));
        let dates = unopened_weekdays(usize::try_from(scenario.catalog.service_days).unwrap_or(1))?;
        let writing = SCHEDULING * u32::try_from(offices.len()).unwrap_or(u32::MAX);
        let t0 = SystemTime::now() + writing + before_t0(scenario);
        // Whole milliseconds are what the log keeps.
        let since = t0.duration_since(SystemTime::UNIX_EPOCH)?.as_millis();
        let t0 = SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(since)?);
        for (places, office_id) in &offices {
            let opening = Opening {
                office_id: office_id.clone(),
                service_dates: dates.clone(),
                lanes: vec![Lane::Regular],
                open_time: t0,
                places: Some(*places),
            };
            let by = By::new("kuota-loadtest", "T0 of a run");
            admin.schedule_opening(&by, &opening).await.with_context(|| office_id.clone())?;
        }
        let offices = offices.into_iter().map(|(_, office)| office).collect();
        Ok(Self::new(offices, &dates, t0, false))
    }

    /// On a server that is not ours: days that open soon, or days that are open.
    ///
    /// # Errors
    /// When there are none.
    pub async fn find(scenario: &Scenario, client: &Client) -> anyhow::Result<Self> {
        let filter = AvailabilityFilter { lane: Some(Lane::Regular), ..AvailabilityFilter::default() };
        let slots = client.availability(&filter).await?;
        let (now, lead) = (SystemTime::now(), before_t0(scenario));
        let opens_at = |slot: &kuota_client::Slot| {
            let time = slot.open_time.and_then(|time| SystemTime::try_from(time).ok());
            time.filter(|time| *time > now + lead && *time < now + lead + WAIT_FOR_OPENING_MAX)
        };
        let soon = slots.iter().filter(|slot| slot.state() == SlotState::NotOpenYet).filter_map(opens_at);
        let t0 = soon.min();
        let mut offices: BTreeMap<&str, (u32, BTreeSet<&str>)> = BTreeMap::new();
        for slot in &slots {
            let is_meant = match t0 {
                Some(t0) => slot.state() == SlotState::NotOpenYet && opens_at(slot) == Some(t0),
                None => slot.state() == SlotState::Open,
            };
            if is_meant {
                let office = offices.entry(&slot.office_id).or_default();
                office.0 += slot.capacity;
                office.1.insert(&slot.service_date);
            }
        }
        let Some((_, widest)) = offices.values().max_by_key(|(_, days)| days.len()) else {
            bail!(
                "no day of the lane REGULAR is open or opens within 15 minutes; start the server with --demo"
            );
        };
        let days = usize::try_from(scenario.catalog.service_days).unwrap_or(1).min(widest.len());
        let dates: Vec<String> = widest.iter().take(days).map(|date| (*date).to_owned()).collect();
        let has_all = |days: &BTreeSet<&str>| dates.iter().all(|date| days.contains(date.as_str()));
        let mut named: Vec<_> = offices.iter().filter(|(_, (_, days))| has_all(days)).collect();
        named.sort_by_key(|(_, (capacity, _))| std::cmp::Reverse(*capacity));
        let named = named.into_iter().map(|(office, _)| (*office).to_owned()).collect();
        Ok(Self::new(named, &dates, t0.unwrap_or(now + lead), t0.is_none()))
    }
}

/// Time from the start to T0: what comes before it, and some quiet.
fn before_t0(scenario: &Scenario) -> Duration {
    let arrivals = &scenario.arrivals;
    let first_ms = arrivals.prepoll_ms.max(arrivals.impatient_ms).max(arrivals.bot_spread_ms);
    Duration::from_micros(scenario.driven_us(first_ms)) + Duration::from_millis(scenario.opening.lead_ms)
}

/// Coming weekdays that nothing has opened.
///
/// # Errors
/// When the calendar ends.
pub fn unopened_weekdays(count: usize) -> anyhow::Result<Vec<String>> {
    // No office is further east than this zone's: it is never an earlier day there.
    let today = jiff::Timestamp::now().to_zoned(TimeZone::get("Asia/Jayapura")?).date();
    let mut dates = Vec::with_capacity(count);
    let mut day = today.checked_add(NEVER_OPEN_FROM_DAYS.days())?;
    while dates.len() < count {
        if !matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday) {
            dates.push(day.to_string());
        }
        day = day.tomorrow()?;
    }
    Ok(dates)
}
