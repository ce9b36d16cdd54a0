//! Commands: parse, call, print.

mod json;
mod table;

use std::io::{self, BufRead as _, Write as _};

use clap::{Parser, Subcommand, ValueEnum};
use kuota_client::{Ask, AvailabilityFilter, Client, Durability, Error, Key, Lane, Outcome};
use tonic::Code;

/// The answer is no: refused, or not found.
const NO: u8 = 1;
/// Bad usage.
pub(crate) const USAGE: u8 = 64;
/// Nobody answered, or the outcome is unknown.
const UNAVAILABLE: u8 = 69;

const EXAMPLES: &str = "\
Examples:
  kuota offices
  kuota availability --office kanim-pontianak
  kuota register --office kanim-pontianak --date 2026-11-30 --nik 6171012309870001
  kuota get K7P2-9QXW
  kuota cancel 01935f3e-7b2a-7cc0-9b1e-3f2a5d6c7e8f --reason \"cannot come\"

Exit codes: 0 done, 1 refused or not found, 64 bad usage, 69 no answer or outcome unknown.";

/// Scarce appointments at immigration offices: what is free, and a place in the queue.
#[derive(Debug, Parser)]
#[command(name = "kuota", version, after_help = EXAMPLES, max_term_width = 110)]
pub(crate) struct Args {
    /// Address of the server.
    #[arg(long, global = true, env = "KUOTA_URL", default_value = "http://127.0.0.1:50051")]
    url: String,
    /// A table for people, or JSON for scripts.
    #[arg(long, global = true, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    Table,
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lists the offices with their lanes.
    Offices,
    /// Lists what is free.
    Availability {
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
    },
    /// Asks for a place, or for one each for a party of up to five.
    Register {
        /// Office.
        #[arg(long, value_name = "ID")]
        office: String,
        /// Service day: 2026-11-30.
        #[arg(long, value_name = "DATE")]
        date: String,
        /// Lane.
        #[arg(long, value_enum, default_value_t = LaneName::Regular)]
        lane: LaneName,
        /// 16-digit identity number; once for each of the party. `-` reads them from standard input, one a line.
        #[arg(long, required = true, value_name = "NIK")]
        nik: Vec<String>,
        /// Your own reference; once for each --nik, in the same order.
        #[arg(long, value_name = "TEXT")]
        reference: Vec<String>,
        /// UUID of this intent: repeat it to ask again after an unknown outcome [default: a new one].
        #[arg(long, value_name = "UUID")]
        request_id: Option<String>,
        /// Answer before the log is synced: a crash may lose the place.
        #[arg(long)]
        accepted: bool,
    },
    /// Shows a registration, by booking code, id, or with --request by request_id.
    Get {
        /// Booking code (K7P2-9QXW) or id (a UUID).
        #[arg(value_name = "CODE|ID")]
        key: String,
        /// The key is a request_id.
        #[arg(long)]
        request: bool,
    },
    /// Gives the places of a registration back.
    Cancel {
        /// Booking code or id.
        #[arg(value_name = "CODE|ID")]
        key: String,
        /// Why; kept in the log.
        #[arg(long, default_value = "")]
        reason: String,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "SCREAMING_SNAKE_CASE")]
enum LaneName {
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

impl From<LaneName> for Lane {
    fn from(lane: LaneName) -> Self {
        match lane {
            LaneName::Regular => Self::Regular,
            LaneName::OneDay => Self::OneDay,
            LaneName::Priority => Self::Priority,
        }
    }
}

/// Why a command did not come to its end.
enum Failed {
    Call(Error),
    /// The command line contradicts itself.
    Usage(String),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Call(error)
    }
}

/// Runs one command; says how the process ends.
pub(crate) async fn run(args: Args) -> u8 {
    match execute(&args).await {
        Ok((text, code)) => {
            say(&text);
            code
        }
        Err(Failed::Call(error)) => complain(&args, &error),
        Err(Failed::Usage(what)) => {
            eprintln!("kuota: {what}");
            USAGE
        }
    }
}

/// Prints data. A reader that went away is no error.
fn say(text: &str) {
    let printed = writeln!(io::stdout(), "{text}");
    if let Err(error) = printed.as_ref().map_err(io::Error::kind)
        && error != io::ErrorKind::BrokenPipe
    {
        eprintln!("kuota: {error}");
    }
}

async fn execute(args: &Args) -> Result<(String, u8), Failed> {
    let client = Client::connect(&args.url).await?;
    let is_json = args.output == Output::Json;
    match &args.command {
        Command::Offices => {
            let offices = client.offices().await?;
            Ok((if is_json { json::offices(&offices) } else { table::offices(&offices) }, 0))
        }
        Command::Availability { office, from, to, lane } => {
            let filter = AvailabilityFilter {
                office_id: office.clone(),
                from_date: from.clone(),
                to_date: to.clone(),
                lane: lane.map(Lane::from),
            };
            let slots = client.availability(&filter).await?;
            let text =
                if is_json { json::slots(&slots) } else { table::slots(&slots, &client.offices().await?) };
            Ok((text, 0))
        }
        Command::Register { office, date, lane, nik, reference, request_id, accepted } => {
            let mut ask = Ask::new(office, date, (*lane).into());
            let niks = niks(nik)?;
            if reference.len() > niks.len() {
                let (references, people) = (reference.len(), niks.len());
                return Err(Failed::Usage(format!(
                    "{references} --reference for {people} --nik: at most one each"
                )));
            }
            for (index, nik) in niks.into_iter().enumerate() {
                ask = ask.applicant(nik, reference.get(index).cloned().unwrap_or_default());
            }
            if let Some(request_id) = request_id {
                ask = ask.request_id(request_id);
            }
            if *accepted {
                ask = ask.durability(Durability::Accepted);
            }
            let outcome = client.register(&ask).await.inspect_err(|error| {
                if error.is_outcome_unknown() {
                    eprintln!("kuota: ask again with --request-id {} to learn the outcome", ask.id());
                }
            })?;
            Ok(show(&client, outcome, is_json).await)
        }
        Command::Get { key, request } => {
            let registration = client.get(lookup(key, *request)).await?;
            Ok(show(&client, Outcome::Registered(registration), is_json).await)
        }
        Command::Cancel { key, reason } => {
            let id = match lookup(key, false) {
                Key::Id(id) => id,
                key @ (Key::Code(_) | Key::RequestId(_)) => client.get(key).await?.id,
            };
            let outcome = client.cancel(&id, reason).await?;
            Ok(show(&client, outcome, is_json).await)
        }
    }
}

async fn show(client: &Client, outcome: Outcome, is_json: bool) -> (String, u8) {
    let code = if matches!(outcome, Outcome::Registered(_)) { 0 } else { NO };
    if is_json {
        return (json::outcome(&outcome), code);
    }
    // Names and zones of offices are a courtesy: without them ids and UTC are shown.
    let offices = client.offices().await.unwrap_or_default();
    (table::outcome(&outcome, &offices), code)
}

fn lookup(key: &str, is_request: bool) -> Key {
    if is_request {
        Key::RequestId(key.into())
    } else if key.len() >= 32 {
        Key::Id(key.into())
    } else {
        Key::Code(key.into())
    }
}

fn niks(given: &[String]) -> Result<Vec<String>, Failed> {
    let mut niks = Vec::with_capacity(given.len());
    for nik in given {
        if nik != "-" {
            niks.push(nik.clone());
            continue;
        }
        for line in io::stdin().lock().lines() {
            let line = line.map_err(|error| Failed::Usage(format!("standard input: {error}")))?;
            niks.extend(Some(line.trim().to_owned()).filter(|line| !line.is_empty()));
        }
    }
    Ok(niks)
}

fn complain(args: &Args, error: &Error) -> u8 {
    match error {
        Error::Connect { .. } => {
            eprintln!(
                "kuota: {error}\nIs the server running? Start it with `kuota-server`, or name it with --url."
            );
        }
        Error::Status(failed) if !failed.fields.is_empty() => {
            for (field, allowed) in &failed.fields {
                eprintln!("kuota: {field}: {allowed}");
            }
        }
        Error::Url { .. } | Error::Status(_) => eprintln!("kuota: {error}"),
    }
    if args.output == Output::Json {
        say(&json::error(error));
    }
    match error.code() {
        Code::InvalidArgument => USAGE,
        Code::NotFound | Code::FailedPrecondition => NO,
        _ => UNAVAILABLE,
    }
}
