//! The ground a run is played on: slots of a server, and when they open.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, bail};
use jiff::{ToSpan as _, civil::Weekday, tz::TimeZone};
use kuota_client::{Admin, AvailabilityFilter, By, Client, Error, Lane, Opening, Slot, SlotState};

use crate::{
    driver::letter::SlotName,
    limits::{DAYS_AHEAD_MAX, SLOTS_MAX, WAIT_FOR_OPENING_MAX},
    scenario::Scenario,
};

/// Days from today on that no weekly rule can have opened: it opens the week after a Friday, at most seven days ahead.
const NEVER_OPEN_FROM_DAYS: i64 = 8;
/// For one opening to be scheduled.
const SCHEDULING: Duration = Duration::from_millis(10);
/// For the plan, and for as many more calls of it a millisecond.
const PREPARING: Duration = Duration::from_millis(200);
const PEOPLE_PLANNED_A_MS: u64 = 250;

/// A slot as the server shows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlotFacts {
    /// All places.
    pub capacity: u32,
    /// Free places.
    pub available: Option<u32>,
    /// When it opens or opened.
    pub open_time_ms: Option<i64>,
    /// Its state hides what is free: it is paused or closed.
    pub may_hide_places: bool,
}

/// How T0 comes about.
#[derive(Clone, Debug)]
enum Edge {
    /// By an operator's write: so many places a day of each office.
    Scheduled(Vec<u32>),
    /// By the server's own rules.
    Awaited(SystemTime),
    /// Not at all: the days are open.
    Pretended,
}

/// Slots and their opening.
#[derive(Clone, Debug)]
pub struct Ground {
    /// Offices, those with the most places first: ranks of popularity.
    pub offices: Vec<String>,
    /// Office after office, its service days.
    pub slots: Vec<SlotName>,
    /// The same slots as the server showed them before T0.
    pub before: Vec<SlotFacts>,
    /// When they open, or when the run pretends that they do.
    pub t0: SystemTime,
    /// They were open before: the run shows no edge at T0.
    pub was_open: bool,
    numbers: HashMap<String, u16>,
    edge: Edge,
}

impl Ground {
    fn new(offices: Vec<String>, dates: &[String], edge: Edge) -> anyhow::Result<Self> {
        let slot = |office: &String, date: &String| SlotName {
            office_id: office.clone(),
            service_date: date.clone(),
            lane: Lane::Regular,
        };
        let slots: Vec<_> =
            offices.iter().flat_map(|office| dates.iter().map(move |date| slot(office, date))).collect();
        if slots.is_empty() {
            bail!("no office offers the lane REGULAR: there is no slot to ask for");
        }
        if slots.len() > SLOTS_MAX {
            bail!("{} slots; {SLOTS_MAX} are allowed", slots.len());
        }
        let keys = slots.iter().map(|slot| key(&slot.office_id, &slot.service_date));
        let numbers = keys.zip(0..).collect();
        let was_open = matches!(edge, Edge::Pretended);
        let before = Vec::new();
        Ok(Self { slots, offices, before, t0: SystemTime::UNIX_EPOCH, was_open, numbers, edge })
    }

    /// The service days.
    #[must_use]
    pub fn dates(&self) -> BTreeSet<&str> {
        self.slots.iter().map(|slot| slot.service_date.as_str()).collect()
    }

    /// The number of a slot, if it is one of these.
    #[must_use]
    pub fn number(&self, office_id: &str, service_date: &str) -> Option<u16> {
        self.numbers.get(&key(office_id, service_date)).copied()
    }

    /// All places, as they were before T0.
    #[must_use]
    pub fn places(&self) -> u64 {
        self.before.iter().map(|facts| u64::from(facts.capacity)).sum()
    }

    /// Whether a slot has other places than before.
    #[must_use]
    pub fn is_resized(&self, slot: u16, facts: &SlotFacts) -> bool {
        self.before.get(usize::from(slot)).is_some_and(|before| before.capacity != facts.capacity)
    }

    /// Days that nothing has opened yet, to be opened once, by an operator's write.
    ///
    /// # Errors
    /// When the server does not answer, or there are no such days.
    pub async fn choose(scenario: &Scenario, client: &Client) -> anyhow::Result<Self> {
        let mut offices = Vec::new();
        for office in client.offices().await? {
            let regular = office.lanes.iter().find(|lane| lane.lane == i32::from(Lane::Regular));
            if let Some(lane) = regular {
                offices.push((lane.daily_places, office.id.clone()));
            }
        }
        offices.sort_by(|one, other| other.0.cmp(&one.0).then_with(|| one.1.cmp(&other.1)));
        let days = usize::try_from(scenario.catalog.service_days).unwrap_or(1);
        let dates = unopened_weekdays(client, days).await?;
        let (places, offices) = offices.into_iter().unzip();
        Self::new(offices, &dates, Edge::Scheduled(places))
    }

    /// On a server that nothing may be written to: days that open soon, or days that are open.
    ///
    /// # Errors
    /// When there are none.
    pub async fn find(scenario: &Scenario, client: &Client) -> anyhow::Result<Self> {
        let filter = AvailabilityFilter { lane: Some(Lane::Regular), ..AvailabilityFilter::default() };
        let slots = client.availability(&filter).await?;
        let soonest = SystemTime::now() + before_t0(scenario) + preparing(scenario);
        let opens_at = |slot: &Slot| {
            let time = slot.open_time.and_then(|time| SystemTime::try_from(time).ok());
            time.filter(|time| *time > soonest && *time < soonest + WAIT_FOR_OPENING_MAX)
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
                "no day of the lane REGULAR is open or opens within 15 minutes; start the server with --demo, \
                 or give --admin-target, and the run opens days of its own"
            );
        };
        let days = usize::try_from(scenario.catalog.service_days).unwrap_or(1).min(widest.len());
        let dates: Vec<String> = widest.iter().take(days).map(|date| (*date).to_owned()).collect();
        let has_all = |days: &BTreeSet<&str>| dates.iter().all(|date| days.contains(date.as_str()));
        let mut named: Vec<_> = offices.iter().filter(|(_, (_, days))| has_all(days)).collect();
        named.sort_by_key(|(_, (capacity, _))| std::cmp::Reverse(*capacity));
        let named = named.into_iter().map(|(office, _)| (*office).to_owned()).collect();
        Self::new(named, &dates, t0.map_or(Edge::Pretended, Edge::Awaited))
    }

    /// Fixes T0, when everything else is ready, and looks at the slots before it.
    ///
    /// # Errors
    /// When the server does not carry out an opening, or does not show every slot.
    pub async fn open(
        &mut self,
        scenario: &Scenario,
        client: &Client,
        admin: Option<&Admin>,
    ) -> anyhow::Result<()> {
        let now = SystemTime::now();
        self.t0 = match &self.edge {
            Edge::Awaited(t0) => *t0,
            Edge::Pretended => now + before_t0(scenario),
            Edge::Scheduled(places) => {
                let admin = admin.context("an opening needs the listener for operators")?;
                let writing = SCHEDULING * u32::try_from(self.offices.len())?;
                let t0 = now + writing + before_t0(scenario);
                // Whole milliseconds are what the log keeps.
                let since = t0.duration_since(SystemTime::UNIX_EPOCH)?.as_millis();
                let t0 = SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(since)?);
                self.schedule(admin, t0, places).await?;
                t0
            }
        };
        let facts = self.look(client).await?;
        let shown = (0_u16..).zip(&self.slots).map(|(number, slot)| {
            let facts = facts.get(&number).copied();
            facts.with_context(|| format!("{} is not listed on {}", slot.office_id, slot.service_date))
        });
        self.before = shown.collect::<anyhow::Result<_>>()?;
        Ok(())
    }

    async fn schedule(&self, admin: &Admin, t0: SystemTime, places: &[u32]) -> anyhow::Result<()> {
        let dates: Vec<String> = self.dates().into_iter().map(str::to_owned).collect();
        for (office_id, places) in self.offices.iter().zip(places) {
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
        Ok(())
    }

    /// The slots as the server shows them now, by number.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn look(&self, client: &Client) -> Result<BTreeMap<u16, SlotFacts>, Error> {
        let dates = self.dates();
        let filter = AvailabilityFilter {
            from_date: dates.first().map(|date| (*date).to_owned()),
            to_date: dates.last().map(|date| (*date).to_owned()),
            lane: Some(Lane::Regular),
            ..AvailabilityFilter::default()
        };
        let listed = client.availability(&filter).await?;
        let facts = listed.iter().filter_map(|slot| {
            let facts = SlotFacts {
                capacity: slot.capacity,
                available: slot.available,
                open_time_ms: slot.open_time.map(milliseconds),
                may_hide_places: matches!(slot.state(), SlotState::Paused | SlotState::Closed),
            };
            Some((self.number(&slot.office_id, &slot.service_date)?, facts))
        });
        Ok(facts.collect())
    }
}

fn key(office_id: &str, service_date: &str) -> String {
    format!("{office_id} {service_date}")
}

/// A time of the API in milliseconds.
#[must_use]
pub fn milliseconds(time: prost_types::Timestamp) -> i64 {
    time.seconds.saturating_mul(1_000).saturating_add(i64::from(time.nanos) / 1_000_000)
}

/// The wall clock's milliseconds.
#[must_use]
pub fn wall_ms(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Time from the start to T0: what comes before it, and some quiet.
fn before_t0(scenario: &Scenario) -> Duration {
    let arrivals = &scenario.arrivals;
    let first_ms = arrivals.prepoll_ms.max(arrivals.impatient_ms).max(arrivals.bot_lead_ms);
    Duration::from_micros(scenario.driven_us(first_ms)) + Duration::from_millis(scenario.opening.lead_ms)
}

/// Time from the choice of slots until the plan is made and the connections stand.
fn preparing(scenario: &Scenario) -> Duration {
    PREPARING + Duration::from_millis(scenario.people.people / PEOPLE_PLANNED_A_MS)
}

/// Coming weekdays that nothing has opened: no rule, and no earlier run.
///
/// # Errors
/// When the server does not answer, or there are too few within the next year.
pub async fn unopened_weekdays(client: &Client, count: usize) -> anyhow::Result<Vec<String>> {
    // No office is further east than this zone's: it is never an earlier day there.
    let today = jiff::Timestamp::now().to_zoned(TimeZone::get("Asia/Jayapura")?).date();
    let mut day = today.checked_add(NEVER_OPEN_FROM_DAYS.days())?;
    let filter = AvailabilityFilter {
        from_date: Some(day.to_string()),
        lane: Some(Lane::Regular),
        ..AvailabilityFilter::default()
    };
    let listed = client.availability(&filter).await?;
    let opened = listed.iter().filter(|slot| slot.state() != SlotState::NotOpenYet);
    let opened: BTreeSet<&str> = opened.map(|slot| slot.service_date.as_str()).collect();
    let mut dates = Vec::with_capacity(count);
    for _ in 0..DAYS_AHEAD_MAX {
        let date = day.to_string();
        let is_weekend = matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday);
        if dates.len() < count && !is_weekend && !opened.contains(date.as_str()) {
            dates.push(date);
        }
        day = day.tomorrow()?;
    }
    if dates.len() < count {
        bail!("the next {DAYS_AHEAD_MAX} days have only {} that nothing has opened", dates.len());
    }
    Ok(dates)
}
