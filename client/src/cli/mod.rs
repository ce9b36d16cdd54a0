//! The command line: parse, call, print.

mod admin;
mod arguments;
mod bulk;
mod catalog;
mod confirm;
mod day;
mod generate;
mod history;
mod instant;
mod json;
mod nik;
mod operations;
mod payments;
mod people;
mod report;
mod reschedule;
mod results;
mod single;
mod stop;
mod table;
mod watch;

use std::collections::BTreeMap;

use clap::{Parser, Subcommand};
use kuota_client::{Admin, Client, Error, Key, Lane};

use self::{
    arguments::{AdminAddress, COMMON, Language, Output, RegisterArgs, SlotArgs},
    report::{DONE, Failed, Form, say},
};

pub(crate) use self::report::USAGE;

const EXAMPLES: &str = "\
Examples:
  kuota offices
  kuota availability --office kanim-pontianak
  kuota watch --office kanim-pontianak --lane REGULAR
  kuota register --office kanim-pontianak --date 2026-11-30 --nik 6171012309870001
  kuota register --file people.csv > results.csv
  kuota get K7P2-9QXW
  kuota pay K7P2Y-9QXWA --reference BRI-820261127 --amount 650000
  kuota reschedule K7P2-9QXW --date 2026-12-01
  kuota check-in K7P2-9QXW --actor \"counter 3\"
  kuota cancel 01935f3e-7b2a-7cc0-9b1e-3f2a5d6c7e8f --reason \"cannot come\"
  kuota log K7P2-9QXW
  kuota admin pause --office kanim-pontianak --reason \"power cut\"

Exit codes: 0 done, 1 refused or not found, 64 bad usage, 69 no answer or outcome unknown.";

/// Scarce appointments at immigration offices: what is free, and a place in the queue.
#[derive(Debug, Parser)]
#[command(name = "kuota", version, after_help = EXAMPLES, max_term_width = 110)]
pub(crate) struct Args {
    /// Address of the server. `admin` and `log` ask there for zones of offices and booking codes only.
    #[arg(long, global = true, env = "KUOTA_URL", hide_env_values = true, default_value = "http://127.0.0.1:50051", help_heading = COMMON)]
    url: String,
    /// A table for people, or JSON for scripts.
    #[arg(long, global = true, value_enum, default_value_t = Output::Table, help_heading = COMMON)]
    output: Output,
    /// Language of the server's messages [default: KUOTA_LANGUAGE, or `id` where LC_ALL, LC_MESSAGES or LANG says so].
    #[arg(long, global = true, value_enum, value_name = "TAG", help_heading = COMMON)]
    language: Option<Language>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lists the offices with their lanes.
    Offices,
    /// Lists what passports cost.
    Fees,
    /// Lists what is free.
    Availability {
        #[command(flatten)]
        slots: SlotArgs,
    },
    /// Shows what is free as it changes: a live table on a terminal, a line for each change elsewhere.
    #[command(after_help = watch::EXAMPLES)]
    Watch {
        #[command(flatten)]
        slots: SlotArgs,
        /// End after so long [default: with Ctrl-C].
        #[arg(long = "for", value_name = "SECONDS")]
        seconds: Option<u64>,
    },
    /// Asks for a place, for one each for a party of up to five, or for all the people of a file.
    #[command(after_help = bulk::EXAMPLES, override_usage = bulk::USAGE)]
    Register(Box<RegisterArgs>),
    /// Shows a registration, by booking code, billing reference, id, or with --request by request_id.
    Get {
        /// Booking code (K7P2-9QXW), billing reference (K7P2Y-9QXWA) or id (a UUID).
        #[arg(value_name = "CODE|ID")]
        key: String,
        /// The key is a request_id.
        #[arg(long)]
        request: bool,
    },
    /// Gives the places of a registration back.
    Cancel {
        /// Booking code, billing reference or id.
        #[arg(value_name = "CODE|ID")]
        key: String,
        /// Why; kept in the log.
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Gives a place up for another one: once, until the day before.
    Reschedule {
        #[command(flatten)]
        to: reschedule::MoveArgs,
        /// UUID of this intent: repeat it to ask again after an unknown outcome [default: a new one].
        #[arg(long, value_name = "UUID")]
        request_id: Option<String>,
    },
    /// Says that somebody came, on the service day itself.
    CheckIn {
        #[command(flatten)]
        who: day::AttendArgs,
    },
    /// Says that somebody who came was served.
    Complete {
        #[command(flatten)]
        who: day::AttendArgs,
    },
    /// Says that a payment for a held place came in.
    Pay {
        /// Billing reference (K7P2Y-9QXWA), booking code or id.
        #[arg(value_name = "BILLING|CODE|ID")]
        key: String,
        /// Name of the payment, one a payment: a transaction number. Said again, it changes nothing.
        #[arg(long, value_name = "TEXT")]
        reference: String,
        /// Whole rupiah: the fee.
        #[arg(long, value_name = "RUPIAH")]
        amount: i64,
    },
    /// Tells the story of a registration: when, who, what and why. For operators.
    Log {
        /// Booking code (K7P2-9QXW), billing reference (K7P2Y-9QXWA) or id (a UUID).
        #[arg(value_name = "CODE|ID")]
        key: String,
        /// The key is a request_id.
        #[arg(long)]
        request: bool,
        #[command(flatten)]
        address: AdminAddress,
    },
    /// Operates the service: catalogue, openings, quotas, pauses, history, export.
    Admin(admin::AdminArgs),
    /// Prints completions for a shell: put them where it looks for them.
    Completions {
        /// The shell.
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Writes the manual pages, one for each command.
    Man {
        /// Directory for them; it is made if there is none.
        #[arg(value_name = "DIR")]
        directory: std::path::PathBuf,
    },
}

impl Args {
    fn is_json(&self) -> bool {
        self.output == Output::Json
    }

    fn form(&self) -> Form {
        let is_stream = match &self.command {
            Command::Watch { .. } => true,
            Command::Register(register) => register.file.is_some(),
            _ => false,
        };
        match (self.is_json(), is_stream) {
            (false, _) => Form::Text,
            (true, false) => Form::Json,
            (true, true) => Form::JsonLine,
        }
    }

    async fn connect(&self) -> Result<Client, Error> {
        let mut builder = Client::builder(&self.url).channels(1);
        if let Some(language) = self.language() {
            builder = builder.language(language);
        }
        builder.connect().await
    }

    async fn connect_admin(&self, address: &AdminAddress) -> Result<Admin, Failed> {
        let mut builder = Admin::builder(&address.admin_url);
        if let Some(language) = self.language() {
            builder = builder.language(language);
        }
        builder.connect().await.map_err(Failed::Admin)
    }

    /// What was said, or what the environment says; English otherwise, which is not asked for.
    fn language(&self) -> Option<&'static str> {
        let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let named = ["KUOTA_LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"].into_iter().find_map(set);
        let is_indonesian = |locale: &String| locale.split(['_', '.', '-']).next() == Some("id");
        match self.language {
            Some(Language::Id) => Some("id"),
            Some(Language::En) => Some("en"),
            None => named.filter(is_indonesian).map(|_| "id"),
        }
    }
}

/// Runs one command; says how the process ends.
pub(crate) async fn run(args: Args) -> u8 {
    match execute(&args).await {
        Ok(code) => code,
        Err(failed) => report::complain(args.form(), &failed),
    }
}

async fn execute(args: &Args) -> Result<u8, Failed> {
    match &args.command {
        Command::Offices => {
            let offices = args.connect().await?.offices().await?;
            say(&if args.is_json() { json::offices(&offices) } else { table::offices(&offices) });
            Ok(DONE)
        }
        Command::Fees => {
            let client = args.connect().await?;
            let (fees, offices) = (client.passport_fees().await?, client.offices().await?);
            let lanes = offices.iter().flat_map(|office| &office.lanes);
            let dearer = lanes.filter(|offer| offer.surcharge_rupiah > 0);
            let surcharges: BTreeMap<Lane, i64> =
                dearer.map(|offer| (offer.lane(), offer.surcharge_rupiah)).collect();
            let surcharges: Vec<_> = surcharges.into_iter().collect();
            let said = if args.is_json() { json::fees } else { table::fees };
            say(&said(&fees, &surcharges));
            Ok(DONE)
        }
        Command::Availability { slots } => {
            let client = args.connect().await?;
            let slots = client.availability(&slots.filter()).await?;
            let text = if args.is_json() {
                json::slots(&slots)
            } else {
                table::slots(&slots, &client.offices().await?)
            };
            say(&text);
            Ok(DONE)
        }
        Command::Watch { slots, seconds } => watch::run(args, slots.filter(), *seconds).await,
        Command::Register(register) => match &register.file {
            Some(file) => bulk::register(args, register, file).await,
            None => single::register(args, register).await,
        },
        Command::Get { key, request } => single::get(args, lookup(key, *request)).await,
        Command::Cancel { key, reason } => single::cancel(args, lookup(key, false), reason).await,
        Command::Reschedule { to, request_id } => reschedule::reschedule(args, to, request_id.as_ref()).await,
        Command::CheckIn { who } => day::check_in(args, who).await,
        Command::Complete { who } => day::complete(args, who).await,
        Command::Pay { key, reference, amount } => payments::pay(args, key, reference, *amount).await,
        Command::Log { key, request, address } => history::log(args, address, lookup(key, *request)).await,
        Command::Admin(admin) => admin::run(args, admin).await,
        Command::Completions { shell } => Ok(generate::completions(*shell)),
        Command::Man { directory } => generate::manual(directory),
    }
}

/// Characters of a billing reference, without its dash.
const BILLING_CHARS: usize = 10;

fn lookup(key: &str, is_request: bool) -> Key {
    if is_request {
        Key::RequestId(key.into())
    } else if key.len() >= 32 {
        Key::Id(key.into())
    } else if key.chars().filter(|c| c.is_ascii_alphanumeric()).count() == BILLING_CHARS {
        Key::Billing(key.into())
    } else {
        Key::Code(key.into())
    }
}
