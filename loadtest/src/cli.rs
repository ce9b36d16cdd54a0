//! The command line: arguments in, exit code out.

use std::{path::PathBuf, time::Duration};

use clap::{Parser, Subcommand, error::ErrorKind};

use crate::{
    calibrate::{PLAIN, Shape, calibrate, null::serve_null},
    exit::Exit,
    plan::Plan,
    report::{figures::Report, require::Requirement, screen, write},
    run::{Chaos, Interrupted, Order, run},
    scenario::{Scenario, ScenarioError},
    target::serve::{ServeArguments, serve},
};

const EXAMPLES: &str = "\
The Friday, in five minutes, on a server of its own (nothing to set up, nothing left behind):
  kuota-loadtest run                                 20,000 people, 3,550 places of West Kalimantan, T0 and all
  kuota-loadtest run --scenario smoke                the same in seconds
  kuota-loadtest run --require \"response.p99_ms < 500\" --json friday.json --csv friday.csv
  kuota-loadtest run --chaos kill                    kill -9 in mid-spike: is anything that was acknowledged lost?
  kuota-loadtest run --target http://127.0.0.1:50051 --admin-target http://127.0.0.1:50052 --run-id two

Scenarios: smoke, friday, national (a million people), payday (places that are paid for), soak, or a file;
deploy/scenarios has them to copy.
Exit codes: 0 pass, 1 fail, 2 void (the run proves nothing, and says why), 64 bad usage or scenario.";

/// Replays an opening against Kuota with honest clocks, and proves the outcome from the server's answers.
#[derive(Debug, Parser)]
#[command(name = "kuota-loadtest", version, before_help = EXAMPLES, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Replays a scenario, verifies the outcome, and gives a verdict.
    Run(RunArguments),
    /// What this machine and this client can do: the ceiling, the client's CPU a call beside plain tonic's, the noise.
    Calibrate {
        /// Seconds a side.
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
        seconds: u64,
        /// Also as JSON, to a file.
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
    },
    /// Full throttle in a closed loop: what one kind of call costs.
    Bench(crate::bench::BenchArguments),
    /// Prints a scenario's schedule: how many calls, when, and the digest.
    Plan {
        /// Scenario: smoke, friday, national, payday, soak, or a file.
        #[arg(long, default_value = "friday")]
        scenario: String,
        /// Instead of the scenario's.
        #[arg(long)]
        seed: Option<u64>,
        /// How many offices the target has.
        #[arg(long, default_value_t = 11)]
        offices: usize,
    },
    /// The server of a run's own.
    #[command(hide = true)]
    Serve(ServeArguments),
    /// The server that does nothing.
    #[command(hide = true)]
    NullServer,
}

#[derive(Debug, clap::Args)]
struct RunArguments {
    /// Scenario: smoke, friday, national, payday, soak, or a file.
    #[arg(long, default_value = "friday", value_name = "NAME|FILE")]
    scenario: String,
    /// A server that is there [default: one of the run's own, on a temporary directory].
    #[arg(long, value_name = "URL")]
    target: Option<String>,
    /// Its listener for operators: the run opens days of its own at T0, and every registration is counted.
    #[arg(long, value_name = "URL", requires = "target")]
    admin_target: Option<String>,
    /// Its process, if it is on this machine: lets the report say its CPU a call.
    #[arg(long, requires = "target")]
    pid: Option<u32>,
    /// Allows a target on another machine.
    #[arg(long)]
    i_own_this_target: bool,
    /// Instead of the scenario's.
    #[arg(long)]
    seed: Option<u64>,
    /// Salts request ids and NIKs: another one, and a second run on the same server starts fresh.
    #[arg(long, default_value = "1", value_name = "ID")]
    run_id: String,
    /// Report with every figure and the per-second series; loadtest/SCHEMA.md describes it.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The per-second series.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// A threshold over any figure of the report; repeatable: "response.p99_ms < 50", "refused.BUSY == 0".
    #[arg(long, value_name = "METRIC < N")]
    require: Vec<Requirement>,
    /// What is done to the run's own server in mid-spike.
    #[arg(long)]
    chaos: Option<Chaos>,
    /// Nothing on stderr.
    #[arg(long)]
    quiet: bool,
}

/// Does what the command line says.
#[must_use]
pub fn main() -> Exit {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            // Nothing is left to do when the terminal is gone.
            let _ = error.print();
            return if asked { Exit::Pass } else { Exit::Usage };
        }
    };
    let done = match cli.command {
        Command::Run(arguments) => start(arguments),
        Command::Calibrate { seconds, json } => show_calibration(seconds, json),
        Command::Bench(arguments) => crate::bench::bench(&arguments),
        Command::Plan { scenario, seed, offices } => show_plan(&scenario, seed, offices),
        Command::Serve(arguments) => serve(arguments).map(|()| Exit::Pass),
        Command::NullServer => serve_null().map(|()| Exit::Pass),
    };
    done.unwrap_or_else(|error| {
        eprintln!("kuota-loadtest: {error:#}");
        if error.is::<ScenarioError>() || error.is::<BadUsage>() {
            Exit::Usage
        } else if error.is::<Interrupted>() {
            Exit::Void
        } else {
            Exit::Fail
        }
    })
}

/// Something that the command line should have said otherwise.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadUsage(pub String);

fn load(name: &str, seed: Option<u64>) -> Result<Scenario, ScenarioError> {
    let mut scenario = Scenario::load(name)?;
    scenario.seed = seed.unwrap_or(scenario.seed);
    Ok(scenario)
}

fn start(arguments: RunArguments) -> anyhow::Result<Exit> {
    let scenario = load(&arguments.scenario, arguments.seed)?;
    if arguments.chaos.is_some() && arguments.target.is_some() {
        let words = "--chaos is for a server of the run's own: leave --target out";
        return Err(BadUsage(words.into()).into());
    }
    for url in arguments.target.iter().chain(&arguments.admin_target) {
        crate::target::address(url, arguments.i_own_this_target)
            .map_err(|error| BadUsage(format!("{error:#}")))?;
    }
    if let Some(requirement) = arguments.require.iter().find(|requirement| !requirement.is_known()) {
        let words = format!(
            "--require `{requirement}`: no report has such a figure; loadtest/SCHEMA.md names them, as \
             response.p99_ms, refused.SOLD_OUT, errors.UNAVAILABLE, oversold"
        );
        return Err(BadUsage(words).into());
    }
    for path in arguments.json.iter().chain(&arguments.csv) {
        write::probe(path).map_err(|error| BadUsage(format!("{error:#}")))?;
    }
    let order = Order {
        scenario,
        program: std::env::current_exe()?,
        target: arguments.target,
        admin_target: arguments.admin_target,
        pid: arguments.pid,
        is_owned: arguments.i_own_this_target,
        run_id: arguments.run_id,
        chaos: arguments.chaos,
        require: arguments.require,
        calibration: None,
        command: command_line(),
        keeps_samples: false,
        is_quiet: arguments.quiet,
    };
    let report: Report = run(&order)?;
    print!("{}", screen::render(&report));
    if let Some(path) = arguments.json {
        write::json(&path, &report)?;
    }
    if let Some(path) = arguments.csv {
        write::csv(&path, &report.series)?;
    }
    Ok(report.verdict.exit())
}

fn command_line() -> String {
    let arguments = std::env::args()
        .skip(1)
        .map(|argument| if argument.contains(' ') { format!("'{argument}'") } else { argument });
    std::iter::once("kuota-loadtest".to_owned()).chain(arguments).collect::<Vec<_>>().join(" ")
}

fn show_calibration(seconds: u64, json: Option<PathBuf>) -> anyhow::Result<Exit> {
    let (threads, connections) = PLAIN;
    let shape = Shape { threads, connections, duration: Duration::from_secs(seconds) };
    let found = calibrate(&std::env::current_exe()?, shape, true)?;
    println!(
        "ceiling         {:>10.0} calls/s against a server that does nothing",
        found.ceiling_calls_per_s
    );
    println!("client CPU      {:>10.2} us a call", found.client_cpu_us_per_call);
    if let Some(plain) = &found.plain_tonic {
        println!(
            "plain tonic     {:>10.2} us a call, {:.0} calls/s",
            plain.client_cpu_us_per_call, plain.calls_per_s
        );
        println!("ours of plain   {:>10.1} %", plain.ours_percent);
    }
    println!("wake-ups late   {:>10.3} ms (p99), {:.3} ms at most", found.noise_p99_ms, found.noise_max_ms);
    if let Some(path) = json {
        write::json(&path, &found)?;
    }
    Ok(Exit::Pass)
}

fn show_plan(name: &str, seed: Option<u64>, offices: usize) -> anyhow::Result<Exit> {
    let scenario = load(name, seed)?;
    let plan = Plan::of(&scenario, offices.max(1));
    println!("schedule {}", plan.digest);
    let (first, last) = (plan.arrivals.first(), plan.arrivals.last());
    let at_ms = |arrival: Option<&crate::plan::Arrival>| arrival.map_or(0, |arrival| arrival.at_us / 1_000);
    println!(
        "{} calls before retries, from T0 {:+} ms to T0 {:+} ms",
        plan.arrivals.len(),
        at_ms(first),
        at_ms(last)
    );
    let near = |from: i64, to: i64| {
        plan.arrivals.iter().filter(|arrival| (from..to).contains(&arrival.at_us)).count()
    };
    println!("{} in the second before T0, {} in the second after", near(-1_000_000, 0), near(0, 1_000_000));
    Ok(Exit::Pass)
}
