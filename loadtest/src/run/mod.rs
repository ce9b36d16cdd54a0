//! One run, from the scenario to the report.

mod compose;
mod judgement;
mod watch;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::SystemTime,
};

use anyhow::Context as _;
use kuota_client::{ExportFilter, PassportKind};

use crate::{
    calibrate::{Calibration, Shape, calibrate},
    driver::{Drive, ask::Driven, clock::RunClock, letter::Letters, pulse::Pulse, worker::Shared},
    exit::Exit,
    limits::CALIBRATION_QUICK,
    payday::{
        audit::{Audit, audit},
        cashier::{Cashier, PAID_PASSPORT},
    },
    plan::{Plan, identity::Identities},
    report::{
        figures::Report,
        require::Requirement,
        series::{Row, Series},
    },
    scenario::Scenario,
    target::{Target, address, usage::cpu_us},
    verify::{Proof, prove},
};

/// What is done to the run's own server in the middle of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Chaos {
    /// `kill -9` after a seeded number of acknowledgements, and a restart on the same data and ports.
    Kill,
    /// It stands still for a second.
    Stall,
}

/// Somebody pressed Ctrl-C.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("interrupted: nothing was verified, and nothing is left behind")]
pub struct Interrupted;

/// What a run is to do.
#[derive(Clone, Debug)]
pub struct Order {
    /// Who asks for what and when.
    pub scenario: Scenario,
    /// This program: servers of the run's own are its children.
    pub program: PathBuf,
    /// A server that is there already; otherwise one is started.
    pub target: Option<String>,
    /// Its listener for operators.
    pub admin_target: Option<String>,
    /// Its process, if it is on this machine.
    pub pid: Option<u32>,
    /// It may be on another machine.
    pub is_owned: bool,
    /// Salts identities.
    pub run_id: String,
    /// What is done to the server.
    pub chaos: Option<Chaos>,
    /// Thresholds.
    pub require: Vec<Requirement>,
    /// What this client can do, where it is known; otherwise it is measured before the run.
    pub calibration: Option<Calibration>,
    /// For the report.
    pub command: String,
    /// Every response time is kept, besides the histograms.
    pub keeps_samples: bool,
    /// Nothing is said on stderr.
    pub is_quiet: bool,
}

/// Everything that was measured, before it is judged.
struct Measured {
    calibration: Calibration,
    target: Target,
    shared: Arc<Shared>,
    driven: Driven,
    series: Vec<Row>,
    proof: Proof,
    /// What became of payments, counted.
    payments: BTreeMap<&'static str, u64>,
    server_cpu_us: Option<u64>,
    chaos: Option<String>,
    duration_s: f64,
}

/// Runs.
///
/// # Errors
/// When the server cannot be started or asked, or the catalogue does not fit.
pub fn run(order: &Order) -> anyhow::Result<Report> {
    replay(order).map(|(report, _)| report)
}

/// A flag that Ctrl-C raises. A second one ends the process at once.
fn interrupted(runtime: &tokio::runtime::Runtime) -> Arc<AtomicBool> {
    let raised = Arc::new(AtomicBool::new(false));
    let flag = raised.clone();
    runtime.spawn(async move {
        while tokio::signal::ctrl_c().await.is_ok() {
            // Relaxed: it carries nothing else.
            if flag.swap(true, Ordering::Relaxed) {
                std::process::exit(Exit::Void.code().into());
            }
        }
    });
    raised
}

/// Takes payments, where the scenario has some.
fn cashier(scenario: &Scenario, target: &Target, identities: Identities) -> anyhow::Result<Option<Cashier>> {
    let Some(section) = scenario.payments.clone() else { return Ok(None) };
    let admin = target.admin.clone().context("payments are judged by the listener for operators")?;
    let dates = target.ground.dates();
    let filter = ExportFilter {
        office_id: None,
        from_date: dates.first().map(|date| (*date).to_owned()),
        to_date: dates.last().map(|date| (*date).to_owned()),
    };
    let (client, seed) = (target.client.clone(), scenario.seed);
    Ok(Some(Cashier { client, admin, filter, section, seed, identities }))
}

/// Runs, and hands out every response time in microseconds, where the order says that they are kept.
///
/// # Errors
/// As [`run`].
pub fn replay(order: &Order) -> anyhow::Result<(Report, Vec<i64>)> {
    let scenario = &order.scenario;
    let say = |words: &str| {
        if !order.is_quiet {
            eprintln!("{words}");
        }
    };
    anyhow::ensure!(
        order.chaos.is_none() || order.target.is_none(),
        "--chaos is for a server of the run's own: leave --target out"
    );
    let calibration = match &order.calibration {
        Some(calibration) => calibration.clone(),
        None => {
            say("calibrating: this client against a server that does nothing");
            let shape = Shape {
                threads: usize::try_from(scenario.client.threads)?,
                connections: usize::try_from(scenario.client.connections)?,
                duration: CALIBRATION_QUICK,
            };
            calibrate(&order.program, shape, false)?
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let mut target = match &order.target {
        None => runtime.block_on(Target::own(scenario, &order.program))?,
        Some(url) => {
            let address_of = |url: &String| address(url, order.is_owned);
            let admin = order.admin_target.as_ref().map(address_of).transpose()?;
            runtime.block_on(Target::existing(scenario, address_of(url)?, admin, order.pid))?
        }
    };
    let mut planned = scenario.clone();
    planned.catalog.service_days = target.ground.dates().len() as u64;
    let plan = Plan::of(&planned, target.ground.offices.len());
    say(&format!("schedule {} ({} calls before retries)", plan.digest, plan.arrivals.len()));
    let passport = scenario.payments.as_ref().map_or(PassportKind::Unspecified, |_| PAID_PASSPORT);
    let identities = Identities::new(scenario.seed, &order.run_id);
    let letters = Letters::new(&target.ground.slots, identities.clone(), passport);
    let threads = usize::try_from(scenario.client.threads)?;
    let mut drive = Drive::connect(&planned, target.address)
        .with_context(|| format!("{}: {} connections", target.address, scenario.client.connections))?;
    // From here on the clock runs: T0 is fixed when everything else is ready.
    let began = SystemTime::now();
    runtime.block_on(target.open(&planned))?;
    let mut shared = Arc::new(Shared {
        letters,
        scenario: planned,
        plan,
        clock: RunClock::for_t0(target.ground.t0),
        pulse: Pulse::default(),
        acknowledged: AtomicU64::new(0),
        in_flight: (0..threads).map(|_| AtomicU64::new(0)).collect(),
        in_flight_max: AtomicU64::new(0),
        keeps_samples: order.keeps_samples,
    });
    let cpu_before_us = target.pid.and_then(cpu_us);
    let began_us = shared.clock.now_us();
    drive.start(&shared);
    let cashier = cashier(scenario, &target, identities)?;
    let everybody_has_asked = Arc::new(AtomicBool::new(false));
    let has_asked = everybody_has_asked.clone();
    let payments = cashier.map(|cashier| runtime.spawn(async move { cashier.work(&has_asked).await }));
    let mut watch = watch::Watch::new(order, &shared, interrupted(&runtime));
    let mut series = Series::of(threads);
    watch.follow(&drive, &mut series, &mut target)?;
    let driven = drive.join()?;
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let duration_s = (shared.clock.now_us() - began_us) as f64 / 1e6;
    let cpu_after_us = target.pid.and_then(cpu_us);
    everybody_has_asked.store(true, Ordering::Relaxed);
    if payments.is_some() {
        say("waiting: until no place waits for money");
    }
    let book = payments.map(|payments| runtime.block_on(payments)).transpose()?.transpose()?;
    let chaos = watch.chaos();
    // Of a server that was killed, only the second life would be counted.
    let is_one_life = order.chaos != Some(Chaos::Kill);
    let server_cpu_us =
        cpu_before_us.zip(cpu_after_us).filter(|_| is_one_life).map(|(before, after)| after - before);
    // Everybody has asked. What the verification reads takes the plan's place in memory.
    if let Some(shared) = Arc::get_mut(&mut shared) {
        shared.plan.arrivals = Vec::new();
    }
    say("verifying: what the server says afterwards");
    let mut proof = runtime.block_on(prove(&target, &shared.letters, &driven, (began, passport)));
    let audit = book.zip(scenario.payments.as_ref()).map_or_else(Audit::default, |(book, section)| {
        audit(&book, i64::try_from(section.freed_within_ms_max).unwrap_or(i64::MAX))
    });
    proof.findings.add(&audit);
    let in_flight_max = shared.in_flight_max.load(Ordering::Relaxed);
    let measured = Measured {
        calibration,
        target,
        shared,
        driven,
        series: series.finish(),
        proof,
        payments: audit.counts,
        server_cpu_us,
        chaos,
        duration_s,
    };
    let mut report = compose::compose(order, &measured, in_flight_max);
    let no_log = Vec::new();
    let log = measured.proof.log.as_ref().filter(|log| !log.ok);
    let case = judgement::Case {
        scenario: &measured.shared.scenario,
        require: &order.require,
        chaos: order.chaos,
        log_faults: log.map_or(&no_log, |log| &log.faults),
        silence_us: measured.driven.tally.unexcused_silence_us,
        late_start_us: measured.driven.late_start_us,
    };
    judgement::judge(&case, &mut report);
    Ok((report, measured.driven.samples))
}
