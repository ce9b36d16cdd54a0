//! Asks before something is changed.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use super::report::Failed;

/// Says what will be done, and asks on a terminal unless told not to.
pub(super) fn confirm(what: &str, address: &str, yes: bool) -> Result<(), Failed> {
    if yes {
        return Ok(());
    }
    let question = format!("Do it at {address}?");
    if !io::stdin().is_terminal() {
        return Err(Failed::Unconfirmed { what: what.into(), question });
    }
    let mut err = io::stderr().lock();
    // A question that cannot be shown is answered with no below.
    let shown = write!(err, "{what}\n{question} [y/N] ").and_then(|()| err.flush());
    let mut answer = String::new();
    let read = shown.and_then(|()| io::stdin().lock().read_line(&mut answer));
    let is_yes = matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes" | "ya");
    if read.is_ok() && is_yes { Ok(()) } else { Err(Failed::Declined) }
}
