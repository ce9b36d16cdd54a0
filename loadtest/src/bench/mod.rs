//! Closed loops at full throttle, or calls at a rate: what a refusal, a grant or a batch costs a server, with every answer
//! checked to be of that kind.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, bail};
use clap::ValueEnum;
use kuota_api::v1::{PassportKind, RefusalReason};
use kuota_client::{Admin, AvailabilityFilter, By, Client, Lane, Opening, Outcome as Answer, SlotState};
use serde::Serialize;
use tonic::Code;

use crate::{
    cli::BadUsage,
    driver::{
        answer::{Outcome, read_batch, read_register},
        call::Fault,
        closed::{Closed, Throttle, close_loop, per_second},
        letter::{Desk, Letters, SlotName},
        wire::Procedure,
    },
    exit::Exit,
    limits::{BATCH_ASKS_MAX, CONNECTIONS_MAX, OPENING_COMES_MAX, RATE_MAX, STREAMS_MAX},
    plan::identity::Identities,
    report::{figures::Percentiles, write},
    target::{
        address,
        child::Child,
        clock_gap::ClockGap,
        connect,
        ground::{unopened_weekdays, wall_ms},
        offices::generated,
        usage::cpu_us,
    },
};

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// `Register` where no place is left.
    Refusal,
    /// `Register` where places are left: durable.
    Grant,
    /// `RegisterBatch` where places are left: durable.
    Batch,
}

/// How.
#[derive(Clone, Debug, clap::Args)]
pub struct BenchArguments {
    /// What is measured.
    kind: Kind,
    /// A server that is there [default: one of its own].
    #[arg(long, value_name = "URL")]
    target: Option<String>,
    /// Its listener for operators: the bench opens a day of its own. Without it grants take places of days that are open, and
    /// refusals need a day that is sold out.
    #[arg(long, value_name = "URL", requires = "target")]
    admin_target: Option<String>,
    /// Its process: lets the result say its CPU a call.
    #[arg(long, requires = "target")]
    pid: Option<u32>,
    /// Allows a target on another machine.
    #[arg(long)]
    i_own_this_target: bool,
    /// For how long.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// Connections; 32, or 16 for batches, unless said.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=CONNECTIONS_MAX))]
    connections: Option<u64>,
    /// Calls at once on each; 32, or 1 for batches, unless said.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=STREAMS_MAX))]
    streams: Option<u64>,
    /// Calls a second, each sent at its time whatever became of others; its latency counts from then [default: full
    /// throttle, one call for each that ends].
    #[arg(long, value_name = "CALLS", value_parser = clap::value_parser!(u32).range(1..=RATE_MAX))]
    rate: Option<u32>,
    /// Asks in a batch.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=BATCH_ASKS_MAX))]
    batch: u64,
    /// Salts request ids and NIKs [default: another one each time]; one that was used here before is refused.
    #[arg(long, value_name = "ID")]
    run_id: Option<String>,
    /// Also as JSON, to a file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// What was measured.
    pub kind: Kind,
    /// Calls a second.
    pub calls_per_s: f64,
    /// Places granted a second.
    pub places_per_s: f64,
    /// Server CPU a call, where its process is known.
    pub server_cpu_us_per_call: Option<f64>,
    /// Client CPU a call.
    pub client_cpu_us_per_call: f64,
    /// Service times; at a rate, from when each call was to be sent.
    pub latency_ms: Percentiles,
    /// Calls answered.
    pub calls: u64,
    /// Seconds it took.
    pub elapsed_s: f64,
}

/// Offices of the bench's own server, and places a day of each: more than any machine grants in a minute.
const OFFICES: u64 = 10;
const PLACES: u32 = 1_000_000;
/// Service days that open at once.
const DAYS: usize = 5;
/// How soon an opening of the bench's own is.
const OPENS_IN: Duration = Duration::from_millis(500);
/// What is said of identities that the server knows.
const USED_BEFORE: &str = "these identities were used before; give another --run-id";
/// What is said where the server turns asks away.
const TURNED_AWAY: &str = "UNAVAILABLE: the server turns away what it cannot take in time; ask for less at once (--connections, \
                           --streams, --batch, --rate)";
/// How often to look whether it is open.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Measures.
///
/// # Errors
/// When an answer is of another kind than what is measured, or no slot serves for it.
pub fn bench(arguments: &BenchArguments) -> anyhow::Result<Exit> {
    for url in arguments.target.iter().chain(&arguments.admin_target) {
        address(url, arguments.i_own_this_target).map_err(|error| BadUsage(format!("{error:#}")))?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let measured = runtime.block_on(measure(arguments))?;
    println!("{:24}{:>12.0}", "calls/s", measured.calls_per_s);
    println!("{:24}{:>12.0}", "places/s", measured.places_per_s);
    let server = measured.server_cpu_us_per_call.map_or("unknown".into(), |us| format!("{us:.2}"));
    println!("{:24}{server:>12}", "server CPU us/call");
    println!("{:24}{:>12.2}", "client CPU us/call", measured.client_cpu_us_per_call);
    let Percentiles { p50, p90, p99, p999, max } = measured.latency_ms;
    println!(
        "latency ms               p50 {p50:.2}  p90 {p90:.2}  p99 {p99:.2}  p99.9 {p999:.2}  max {max:.2}"
    );
    if let Some(path) = &arguments.json {
        write::json(path, &measured)?;
    }
    Ok(Exit::Pass)
}

/// Measures one kind of call.
///
/// # Errors
/// When an answer is of another kind, or no slot serves for it.
async fn measure(arguments: &BenchArguments) -> anyhow::Result<Measured> {
    let directory = tempfile::Builder::new().prefix("kuota-bench-").tempdir()?;
    let (child, address_of, admin) = match &arguments.target {
        None => {
            let child = own(&std::env::current_exe()?, directory.path())?;
            let [grpc, admin] = child.addresses[..] else { bail!("the server named one address") };
            (Some(child), grpc, Some(admin))
        }
        Some(url) => {
            let admin = arguments.admin_target.as_ref();
            let admin = admin.map(|url| address(url, arguments.i_own_this_target)).transpose()?;
            (None, address(url, arguments.i_own_this_target)?, admin)
        }
    };
    let client = connect(address_of).await?;
    let run_id = arguments.run_id.clone().unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
    let identities = Identities::new(0, &run_id);
    let slots = match arguments.kind {
        Kind::Refusal => vec![full(&client, admin).await?],
        Kind::Grant | Kind::Batch => open(&client, admin).await?,
    };
    let letters = Letters::new(
        &slots.iter().map(|(slot, _)| slot.clone()).collect::<Vec<_>>(),
        identities,
        PassportKind::Unspecified,
    );
    let gap = ClockGap::estimate(address_of).await?;
    let began_ms = gap.earliest_ms(wall_ms(std::time::SystemTime::now()));
    let pid = child.as_ref().map(Child::pid).or(arguments.pid);
    let before_us = pid.and_then(cpu_us);
    let closed = drive(arguments, address_of, &letters, &slots, began_ms).await?;
    let after_us = pid.and_then(cpu_us);
    if let Some(wrong) = &closed.wrong {
        bail!("an answer is not of the kind that is measured: {wrong}");
    }
    let calls = closed.calls.max(1);
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let each = |us: u64| us as f64 / calls as f64;
    Ok(Measured {
        kind: arguments.kind,
        calls_per_s: closed.calls_per_s(),
        places_per_s: if arguments.kind == Kind::Refusal {
            0.0
        } else {
            per_second(closed.counted, closed.elapsed)
        },
        server_cpu_us_per_call: before_us.zip(after_us).map(|(before, after)| each(after - before)),
        client_cpu_us_per_call: closed.cpu_us_per_call(),
        latency_ms: Percentiles::of(&closed.latency),
        calls: closed.calls,
        elapsed_s: closed.elapsed.as_secs_f64(),
    })
}

async fn drive(
    arguments: &BenchArguments,
    address: SocketAddr,
    letters: &Letters,
    slots: &[(SlotName, u64)],
    began_ms: i64,
) -> anyhow::Result<Closed> {
    let is_batch = arguments.kind == Kind::Batch;
    let throttle = Throttle {
        address,
        connections: usize::try_from(arguments.connections.unwrap_or(if is_batch { 16 } else { 32 }))?,
        streams: usize::try_from(arguments.streams.unwrap_or(if is_batch { 1 } else { 32 }))?,
        rate: arguments.rate,
        duration: Duration::from_secs(arguments.seconds),
    };
    let asks = if is_batch { u32::try_from(arguments.batch)? } else { 1 };
    let (mut desk, mut person, mut slot, mut left) = (Desk::default(), 0_u32, 0_usize, slots[0].1);
    let body = || {
        while arguments.kind != Kind::Refusal && left < u64::from(asks) {
            slot += 1;
            left = slots.get(slot)?.1;
        }
        left = left.saturating_sub(u64::from(asks));
        let first = person;
        person = person.checked_add(asks)?;
        let number = u16::try_from(slot).ok()?;
        let body = if is_batch {
            letters.batch(&mut desk, (first..person).map(|person| (number, person, 0)))
        } else {
            letters.ask(&mut desk, number, first, 0)
        };
        Some((body, first))
    };
    let kind = arguments.kind;
    let expect = |outcome| match (kind, outcome) {
        (Kind::Refusal, Outcome::Refused { reason: RefusalReason::SoldOut, .. }) => Ok(1),
        (Kind::Grant | Kind::Batch, Outcome::Granted { create_time_ms, .. }) if create_time_ms < began_ms => {
            Err(USED_BEFORE.to_owned())
        }
        (Kind::Grant | Kind::Batch, Outcome::Granted { .. }) => Ok(1),
        (_, Outcome::Failed { code }) if i32::from(code) == Code::Unavailable as i32 => {
            Err(TURNED_AWAY.to_owned())
        }
        (_, outcome) => Err(format!("{outcome:?}")),
    };
    let check = |answer: &Result<bytes::Bytes, Fault>, first: u32| -> Result<u64, String> {
        let message = answer.as_ref().map_err(|fault| match fault {
            // REQUEST_ID_REUSED: on another day.
            Fault::Status(code) if i32::from(*code) == Code::FailedPrecondition as i32 => {
                USED_BEFORE.to_owned()
            }
            Fault::Status(code) if i32::from(*code) == Code::Unavailable as i32 => TURNED_AWAY.to_owned(),
            fault => format!("{fault:?}"),
        })?;
        if kind != Kind::Batch {
            return expect(read_register(message));
        }
        // Items must be those of the asks, in their order.
        let request_ids = (first..first + asks).map(|person| letters.identities().request(person, 0));
        read_batch(message, request_ids).try_fold(0, |sum, outcome| Ok(sum + expect(outcome)?))
    };
    let procedure = if is_batch { Procedure::RegisterBatch } else { Procedure::Register };
    let closed = close_loop(throttle, procedure, body, check).await?;
    if closed.wrong.is_none() && closed.elapsed < throttle.duration / 2 {
        bail!(
            "the places ran out after {:.1} s: open more, or measure for less",
            closed.elapsed.as_secs_f64()
        );
    }
    Ok(closed)
}

fn own(program: &Path, directory: &Path) -> anyhow::Result<Child> {
    let catalog = directory.join("catalog.toml");
    std::fs::write(&catalog, generated(OFFICES, OFFICES, 0))?;
    Child::server(program, &directory.join("data"), Some(&catalog), 0)
}

/// A slot that has no place left: one that is sold out, or a day of its own whose only place it takes.
async fn full(client: &Client, admin: Option<SocketAddr>) -> anyhow::Result<(SlotName, u64)> {
    let listed = client.availability(&regular()).await?;
    if let Some(slot) = listed.iter().find(|slot| slot.state() == SlotState::SoldOut) {
        return Ok(named(slot));
    }
    let Some(admin) = admin else {
        let words = "no slot is sold out, and nobody's places are taken unasked: --admin-target lets the bench open \
                     and fill a day of its own";
        return Err(BadUsage(words.into()).into());
    };
    let (name, available) = schedule(client, admin, 1).await?;
    let people = Identities::new(0, &uuid::Uuid::new_v4().to_string());
    for person in 0..u32::try_from(available)? {
        let (mut nik, id) = ([b'0'; 16], people.request(person, 0));
        people.nik(person, &mut nik);
        let ask = kuota_client::Ask::new(&name.office_id, &name.service_date, name.lane)
            .applicant(String::from_utf8_lossy(&nik), "kuota-loadtest bench")
            .request_id(uuid::Uuid::from_u128(id).to_string());
        if let Answer::Refused(refusal) = client.register(&ask).await? {
            bail!("a free place was refused: {}", refusal.message);
        }
    }
    Ok((name, 0))
}

/// Slots with places, those with the most first.
async fn open(client: &Client, admin: Option<SocketAddr>) -> anyhow::Result<Vec<(SlotName, u64)>> {
    if let Some(admin) = admin {
        schedule(client, admin, PLACES).await?;
    }
    let mut slots: Vec<_> = listed_open(client).await?.iter().map(named).collect();
    slots.sort_by_key(|(_, available)| std::cmp::Reverse(*available));
    if slots.is_empty() {
        bail!("no slot is open; --admin-target opens some");
    }
    Ok(slots)
}

/// Opens days that nothing has opened, soon, waits for it, and names one of them.
async fn schedule(client: &Client, admin: SocketAddr, places: u32) -> anyhow::Result<(SlotName, u64)> {
    let admin = Admin::connect(&format!("http://{admin}")).await?;
    let office = client.offices().await?.into_iter().next().context("no office")?;
    let dates = unopened_weekdays(client, DAYS).await?;
    let opening = Opening {
        office_id: office.id.clone(),
        service_dates: dates.clone(),
        lanes: vec![Lane::Regular],
        open_time: std::time::SystemTime::now() + OPENS_IN,
        places: Some(places),
    };
    admin.schedule_opening(&By::new("kuota-loadtest", "bench"), &opening).await?;
    for _ in 0..OPENING_COMES_MAX.as_millis() / LOOK_EVERY.as_millis() {
        let listed = listed_open(client).await?;
        let is_one =
            |slot: &&kuota_client::Slot| slot.office_id == office.id && dates.contains(&slot.service_date);
        if let Some(slot) = listed.iter().find(is_one) {
            return Ok(named(slot));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    bail!("{}: {dates:?} did not open within {} s", office.id, OPENING_COMES_MAX.as_secs())
}

async fn listed_open(client: &Client) -> anyhow::Result<Vec<kuota_client::Slot>> {
    let mut listed = client.availability(&regular()).await?;
    listed.retain(|slot| slot.state() == SlotState::Open);
    listed.sort_by_key(kuota_client::Slot::available);
    Ok(listed)
}

fn regular() -> AvailabilityFilter {
    AvailabilityFilter { lane: Some(Lane::Regular), ..AvailabilityFilter::default() }
}

fn named(slot: &kuota_client::Slot) -> (SlotName, u64) {
    let name = SlotName {
        office_id: slot.office_id.clone(),
        service_date: slot.service_date.clone(),
        lane: slot.lane(),
    };
    (name, u64::from(slot.available()))
}
