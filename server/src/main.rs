//! The command line of the server.

#![warn(clippy::unwrap_used)]

use std::{io::Write as _, net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc};

use clap::{CommandFactory as _, Parser, Subcommand, error::ErrorKind};
use kuota_server::{
    app::App,
    backup::{BackupError, Copied, backup, restore},
    clock::SystemClock,
    config::{ConfigError, Settings, Source},
    data_dir::{key_path, read_key},
    exit::Exit,
    grpc::is_serving,
    runtime::single,
    telemetry::subscriber,
    verify::verify,
};
use tokio::signal::unix::{SignalKind, signal};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const EXAMPLES: &str = "\
Examples:
  kuota-server --demo                    the next five service days of West Kalimantan, open at once
  kuota-server --config kuota.toml       settings from a file; flags and KUOTA_… come before it
  kuota-server check --config kuota.toml
  kuota-server verify --data ./data      exit 1 when the log breaks an invariant
  kuota-server backup --data ./data --to ./backup      also while it serves
  kuota-server restore --from ./backup --data ./data   into a directory that is not there yet
  kuota-server health                    exit 1 when nobody serves

Exit codes: 0 clean stop, 1 verify or health says no, 64 bad usage or configuration, 70 an invariant is broken,
74 the log cannot be read or written.";

/// Hands out scarce appointments at a scheduled opening: exactly, fairly and fast.
#[derive(Parser)]
#[command(
    name = "kuota-server",
    version,
    after_help = EXAMPLES,
    max_term_width = 110,
    args_conflicts_with_subcommands = true
)]
struct Cli {
    #[command(flatten)]
    given: Given,
    #[command(subcommand)]
    command: Option<Command>,
}

/// Settings as they are given.
#[derive(Clone, clap::Args)]
struct Given {
    /// File of settings in TOML; its keys are the long flags with _ for -.
    #[arg(long, env = "KUOTA_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    source: Source,
}

/// Where log, key and lock are.
#[derive(Clone, clap::Args)]
struct Data {
    /// File of settings in TOML.
    #[arg(long, env = "KUOTA_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Directory of log, key and lock [default: ./data].
    #[arg(long, env = "KUOTA_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
}

#[derive(Clone, Subcommand)]
enum Command {
    /// Validates settings and catalogue and prints what would be used.
    Check {
        #[command(flatten)]
        given: Box<Given>,
    },
    /// Checks the log's hash chain and invariants, also while a server runs, and prints one JSON object.
    Verify {
        #[command(flatten)]
        data: Data,
    },
    /// Copies log and NIK key to a new directory, also while a server runs, checks the copy, and prints one JSON object.
    Backup {
        /// Directory to make; nothing may be in it.
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
        #[command(flatten)]
        data: Data,
        /// File with the NIK key, if it is not in the data directory.
        #[arg(long, env = "KUOTA_NIK_KEY", value_name = "FILE")]
        nik_key: Option<PathBuf>,
    },
    /// Makes the data directory, which must not be there yet, from a backup, checks it, and prints one JSON object.
    Restore {
        /// Directory of the backup.
        #[arg(long, value_name = "DIR")]
        from: PathBuf,
        #[command(flatten)]
        data: Data,
    },
    /// Asks a running server, at the address in --listen, whether it serves.
    Health {
        /// File of settings in TOML.
        #[arg(long, env = "KUOTA_CONFIG", value_name = "FILE")]
        config: Option<PathBuf>,
        /// gRPC address of the server [default: 127.0.0.1:50051].
        #[arg(long, env = "KUOTA_LISTEN", value_name = "ADDR:PORT")]
        listen: Option<SocketAddr>,
    },
}

impl Cli {
    /// The settings that the command goes by.
    fn settings(&self) -> Result<Settings, ConfigError> {
        let of = |data: &Data, nik_key: Option<&PathBuf>| {
            (Source::of_data(data.data.clone(), nik_key.cloned()), data.config.clone())
        };
        let (source, config) = match &self.command {
            None => (self.given.source.clone(), self.given.config.clone()),
            Some(Command::Check { given }) => (given.source.clone(), given.config.clone()),
            Some(Command::Verify { data } | Command::Restore { data, .. }) => of(data, None),
            Some(Command::Backup { data, nik_key, .. }) => of(data, nik_key.as_ref()),
            Some(Command::Health { config, listen }) => (Source::of_listener(*listen), config.clone()),
        };
        Settings::load(source, config.as_deref())
    }
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            // Nothing is left to do when the terminal is gone.
            let _ = error.print();
            return ExitCode::from(if asked { Exit::Clean.code() } else { Exit::Usage.code() });
        }
    };
    let settings = match cli.settings() {
        Ok(settings) => settings,
        Err(error) => return fail(Exit::Usage, &error),
    };
    let exit = match cli.command {
        None => serve(&settings),
        Some(Command::Check { .. }) => check(&settings),
        Some(Command::Verify { .. }) => verify_log(&settings),
        Some(Command::Backup { to, .. }) => copied(backup(&settings.data, settings.nik_key.as_deref(), &to)),
        Some(Command::Restore { from, .. }) => copied(restore(&from, &settings.data)),
        Some(Command::Health { .. }) => health(&settings),
    };
    ExitCode::from(exit.code())
}

fn fail(exit: Exit, error: &dyn std::fmt::Display) -> ExitCode {
    complain(error);
    ExitCode::from(exit.code())
}

fn complain(error: &dyn std::fmt::Display) {
    eprintln!("{}: {error}", Cli::command().get_name());
}

/// Prints data. A reader that went away is no error.
fn say(text: &dyn std::fmt::Display) {
    let printed = writeln!(std::io::stdout(), "{text}");
    if let Err(error) = printed.as_ref().map_err(std::io::Error::kind)
        && error != std::io::ErrorKind::BrokenPipe
    {
        complain(&error);
    }
}

fn serve(settings: &Settings) -> Exit {
    match subscriber(&settings.log_level, settings.log_format) {
        Ok(subscriber) => {
            if tracing::subscriber::set_global_default(subscriber).is_err() {
                complain(&"log lines are set up twice");
            }
        }
        Err(error) => {
            complain(&error);
            return Exit::Usage;
        }
    }
    let app = match App::start(settings, Arc::new(SystemClock::default()), None) {
        Ok(app) => app,
        Err(error) => {
            complain(&error);
            return error.exit();
        }
    };
    app.run(terminated()).unwrap_or_else(|error| {
        complain(&error);
        Exit::Log
    })
}

/// Resolves at SIGTERM or Ctrl-C.
async fn terminated() -> std::io::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

fn check(settings: &Settings) -> Exit {
    let catalog = match settings.catalog.load() {
        Ok(catalog) => catalog,
        Err(error) => {
            complain(&error);
            return Exit::Usage;
        }
    };
    if let Some(Err(error)) = settings.nik_key.as_deref().map(read_key) {
        complain(&error);
        return Exit::Usage;
    }
    let places: u64 =
        catalog.offices.iter().flat_map(|office| &office.lanes).map(|offer| u64::from(offer.places)).sum();
    let own_key = key_path(&settings.data);
    let log_size =
        settings.log_size_max_bytes.map_or_else(|| "no bound".into(), |bytes| (bytes >> 20).to_string());
    for (key, value) in [
        ("listen", settings.listen.to_string()),
        ("admin_listen", settings.admin_listen.to_string()),
        ("http_listen", settings.http_listen.to_string()),
        ("data", settings.data.display().to_string()),
        ("threads", settings.threads.to_string()),
        ("nik_key", settings.nik_key.as_ref().unwrap_or(&own_key).display().to_string()),
        ("log_size_max_mib", log_size),
        ("log_format", format!("{:?}", settings.log_format).to_lowercase()),
        ("log_level", settings.log_level.clone()),
        ("watchers_max", settings.watchers_max.to_string()),
        ("demo", settings.demo.to_string()),
        ("insecure", settings.insecure.to_string()),
        ("catalog", settings.catalog.to_string()),
        ("", format!("offices: {}, places a day: {places}", catalog.offices.len())),
        ("", format!("openings: {}, holidays: {}", catalog.openings.len(), catalog.holidays.len())),
    ] {
        say(&format_args!("{key:16}  {value}"));
    }
    say(&"ok");
    Exit::Clean
}

fn verify_log(settings: &Settings) -> Exit {
    let verdict = match verify(&settings.data) {
        Ok(verdict) => verdict,
        Err(error) => {
            complain(&format_args!("{}: {error}", settings.data.display()));
            return Exit::Log;
        }
    };
    match serde_json::to_string_pretty(&verdict) {
        Ok(json) => say(&json),
        Err(error) => complain(&error),
    }
    if verdict.ok {
        return Exit::Clean;
    }
    for fault in &verdict.faults {
        complain(fault);
    }
    Exit::No
}

fn copied(copied: Result<Copied, BackupError>) -> Exit {
    match copied.map(|copied| serde_json::to_string_pretty(&copied)) {
        Ok(Ok(json)) => say(&json),
        Ok(Err(error)) => complain(&error),
        Err(error) => {
            complain(&error);
            return error.exit();
        }
    }
    Exit::Clean
}

fn health(settings: &Settings) -> Exit {
    let answer = single()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(is_serving(settings.listen)));
    match answer {
        Ok(true) => {
            say(&"SERVING");
            Exit::Clean
        }
        Ok(false) => {
            say(&"NOT_SERVING");
            Exit::No
        }
        Err(error) => {
            complain(&format_args!("{}: nobody serves: {error:#}", settings.listen));
            Exit::No
        }
    }
}
