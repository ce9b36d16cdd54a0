//! How a command ends: data on stdout, complaints on stderr with what to do next, and the exit code.

use std::io::{self, Write as _};

use kuota_client::Error;
use tonic::Code;

use super::json;

/// All went well.
pub(super) const DONE: u8 = 0;
/// The answer is no: refused, or not found.
pub(super) const NO: u8 = 1;
/// Bad usage.
pub(crate) const USAGE: u8 = 64;
/// Nobody answered, or the outcome is unknown.
pub(super) const UNAVAILABLE: u8 = 69;
/// Ended by Ctrl-C or SIGTERM with something left to do, as shells have it.
pub(super) const INTERRUPTED: u8 = 130;

/// Why a command did not come to its end.
#[derive(Debug)]
pub(super) enum Failed {
    /// A call to the services.
    Call(Error),
    /// An ask that can be repeated under this id.
    Write { error: Error, request_id: String },
    /// A call to the listener for operators.
    Admin(Error),
    /// A write there that can be repeated under this id.
    AdminWrite { error: Error, request_id: String },
    /// The command line, or a file it names, cannot be used.
    Usage(String),
    /// A file cannot be read or written.
    File(String),
    /// Nobody can be asked whether this should be done.
    Unconfirmed { what: String, question: String },
    /// The user said no.
    Declined,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Call(error)
    }
}

/// Prints data.
pub(super) fn say(text: &str) {
    print(&format!("{text}\n"));
}

/// Prints data as it is; says whether anybody still reads. A reader that went away is no error.
pub(super) fn print(text: &str) -> bool {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => true,
        Err(error) => {
            if error.kind() != io::ErrorKind::BrokenPipe {
                eprintln!("kuota: {error}");
            }
            false
        }
    }
}

/// How an error is printed on stdout, for those who read there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Not at all: people read stderr.
    Text,
    /// As one document.
    Json,
    /// As one more line.
    JsonLine,
}

/// Says what went wrong and what to do next; returns the exit code.
pub(super) fn complain(form: Form, failed: &Failed) -> u8 {
    match failed {
        Failed::Usage(what) | Failed::File(what) => {
            eprintln!("kuota: {what}");
            USAGE
        }
        Failed::Unconfirmed { what, question } => {
            eprintln!(
                "{what}\n{question}\nkuota: nobody can be asked without a terminal: say --yes to do it"
            );
            USAGE
        }
        Failed::Declined => {
            eprintln!("kuota: nothing was changed");
            NO
        }
        Failed::Call(error) => call(form, error, "--url", None),
        Failed::Admin(error) => call(form, error, "--admin-url", None),
        Failed::Write { error, request_id } => call(form, error, "--url", Some(request_id.as_str())),
        Failed::AdminWrite { error, request_id } => {
            call(form, error, "--admin-url", Some(request_id.as_str()))
        }
    }
}

/// Says on stderr alone what went wrong with the services, and what to do next.
pub(super) fn note(error: &Error) {
    eprintln!("kuota: {}", words(error));
    if let Some(next) = next(error, "--url") {
        eprintln!("{next}");
    }
}

/// An error for people, in their language where the server has the words.
pub(super) fn words(error: &Error) -> String {
    match error {
        Error::Status(failed) => failed.localized.clone().unwrap_or_else(|| error.to_string()),
        _ => error.to_string(),
    }
}

/// `1 ask`, `2 asks`.
pub(super) fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

fn call(form: Form, error: &Error, address: &str, request_id: Option<&str>) -> u8 {
    match error {
        Error::Status(failed) if !failed.fields.is_empty() && failed.localized.is_none() => {
            for (field, allowed) in &failed.fields {
                eprintln!("kuota: {field}: {allowed}");
            }
        }
        _ => eprintln!("kuota: {}", words(error)),
    }
    if let (true, Some(id)) = (error.is_outcome_unknown(), request_id) {
        eprintln!(
            "It may have been done all the same: ask again with --request-id {id} to learn the outcome."
        );
    } else if let Some(next) = next(error, address) {
        eprintln!("{next}");
    }
    match form {
        Form::Text => {}
        Form::Json => say(&format!("{:#}", json::error(error, request_id))),
        Form::JsonLine => say(&json::error(error, request_id).to_string()),
    }
    code(error)
}

/// The exit code of an error.
pub(super) fn code(error: &Error) -> u8 {
    match error.code() {
        Code::InvalidArgument => USAGE,
        Code::NotFound | Code::FailedPrecondition => NO,
        _ => UNAVAILABLE,
    }
}

/// What to do about it.
fn next(error: &Error, address: &str) -> Option<String> {
    if let Error::Connect { .. } = error {
        return Some(format!(
            "Is the server running? Start it with `kuota-server`, or name it with {address}."
        ));
    }
    if matches!(error, Error::Status(failed) if failed.message.starts_with("no gRPC is spoken")) {
        return Some(format!(
            "Another program, or another port of the server, answers there: check {address}."
        ));
    }
    if error.code() == Code::Unimplemented {
        let (who, port) = if address == "--url" { ("services", 50_051) } else { ("operators", 50_052) };
        return Some(format!(
            "The other port may serve it: {address} names the one for {who}, {port} unless said otherwise. Or the server \
             there is older than this tool."
        ));
    }
    let next = match error.reason().unwrap_or_default() {
        "OFFICE_NOT_FOUND" => "`kuota offices` lists the offices.",
        "REGISTRATION_NOT_FOUND" => "Check the booking code or id; --request looks up a request_id.",
        "REQUEST_ID_REUSED" => "A new intent needs a new --request-id, or none.",
        "PAYMENT_CASE_NOT_FOUND" => "`kuota admin payments list --all` lists those that are remembered.",
        "PAYMENT_CASE_NEEDS_REFUND" => "--refund ends it.",
        "SAME_SLOT" => "Name another --date, --office or --lane.",
        "PAYMENT_REFERENCE_REUSED" => "Another payment needs another --reference.",
        "OFFICE_IN_USE" => {
            "--close-offices closes such offices: they give out no more, and registrations stand."
        }
        "OPENING_IN_THE_PAST" => "Choose a time that is still to come.",
        "OFFICE_CLOSED" => "`kuota admin catalog apply` opens it again with a catalogue that has it.",
        "PLACES_REQUIRED" => "--places N says how many: the catalogue has no figure for such a day.",
        "TOO_MANY_PAUSES" => "`kuota admin status` lists them; `kuota admin resume` takes one back.",
        "TOO_MANY_OVERRIDES" => "`kuota admin status` lists them; `kuota admin quota clear` takes one back.",
        "ALREADY_OPEN" => "`kuota admin quota set` changes the places of an open day.",
        "NOT_SCHEDULED" => "`kuota admin open` schedules a day; `kuota availability` lists those that are.",
        "BOOKING_CLOSED" => "Nothing can be changed for that day any more; choose a later one.",
        "TOO_MANY_WATCHERS" => "`kuota availability` answers once.",
        _ if error.is_retryable() => "Ask again in a moment.",
        _ => return None,
    };
    Some(next.into())
}
