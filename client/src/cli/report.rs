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

/// Why a command did not come to its end.
#[derive(Debug)]
pub(super) enum Failed {
    /// A call to the server.
    Call(Error),
    /// A write that can be repeated under this id.
    Write { error: Error, request_id: String },
    /// The listener for operators could not be reached.
    Admin(Error),
    /// The command line, or a file it names, cannot be used.
    Usage(String),
    /// A file cannot be read or written.
    File(String),
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

/// Says what went wrong and what to do next; returns the exit code.
pub(super) fn complain(is_json: bool, failed: &Failed) -> u8 {
    match failed {
        Failed::Usage(what) => {
            eprintln!("kuota: {what}");
            USAGE
        }
        Failed::File(what) => {
            eprintln!("kuota: {what}");
            USAGE
        }
        Failed::Declined => {
            eprintln!("kuota: nothing was changed");
            NO
        }
        Failed::Call(error) => call(is_json, error, "--url", "--request-id", None),
        Failed::Admin(error) => call(is_json, error, "--admin-url", "--request-id", None),
        Failed::Write { error, request_id } => {
            call(is_json, error, "--url or --admin-url", "--request-id", Some(request_id))
        }
    }
}

fn call(is_json: bool, error: &Error, address: &str, repeat: &str, request_id: Option<&String>) -> u8 {
    match error {
        Error::Status(failed) if !failed.fields.is_empty() => {
            for (field, allowed) in &failed.fields {
                eprintln!("kuota: {field}: {allowed}");
            }
        }
        _ => eprintln!("kuota: {error}"),
    }
    if let (true, Some(id)) = (error.is_outcome_unknown(), request_id) {
        eprintln!("It may have been done all the same: ask again with {repeat} {id} to learn the outcome.");
    } else if let Some(next) = next(error, address) {
        eprintln!("{next}");
    }
    if is_json {
        say(&json::error(error));
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
    let next = match error.reason()? {
        "OFFICE_NOT_FOUND" => "`kuota offices` lists the offices.",
        "REGISTRATION_NOT_FOUND" => "Check the booking code or id; --request looks up a request_id.",
        "REQUEST_ID_REUSED" => "A new intent needs a new --request-id, or none.",
        "OFFICE_IN_USE" => {
            "--close-offices closes such offices: they give out no more, and registrations stand."
        }
        "OPENING_IN_THE_PAST" => "Choose a time that is still to come.",
        "ALREADY_OPEN" => "`kuota admin quota set` changes the places of an open day.",
        "NOT_SCHEDULED" => "`kuota admin open` schedules a day; `kuota availability` lists those that are.",
        "BOOKING_CLOSED" => "Nothing can be changed for that day any more; choose a later one.",
        "TOO_MANY_WATCHERS" => "`kuota availability` answers once.",
        _ => return None,
    };
    Some(next.into())
}
