//! What became of the asks of a file: a line each, and how many of each kind there were.

use kuota_client::{Error, Outcome, RefusalReason};
use serde_json::json;

use super::{
    json,
    people::Wanted,
    report::{self, DONE, INTERRUPTED, NO, UNAVAILABLE},
};

pub(super) const HEADER: &str = "line,request_id,outcome,code,queue_number,office,date,message,session\n";

/// What became of one ask.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "an answer is moved a few times and never kept in numbers")]
pub(super) enum Answer {
    Known(Outcome),
    Failed(Error),
    /// Sent, and not waited for: the run was ended.
    Abandoned,
    /// Not sent by this run.
    NotAsked,
}

/// How many of each there were.
#[derive(Default)]
pub(super) struct Tally {
    registered: usize,
    refused: usize,
    invalid: usize,
    unanswered: usize,
    not_asked: usize,
}

impl Answer {
    /// Whether the place may be granted all the same.
    pub(super) fn is_outcome_unknown(&self) -> bool {
        match self {
            Self::Known(_) | Self::NotAsked => false,
            Self::Abandoned => true,
            Self::Failed(error) => error.is_outcome_unknown(),
        }
    }

    /// Whether nothing definite is known: the same ask is worth repeating.
    pub(super) fn is_missing(&self) -> bool {
        match self {
            Self::Known(_) => false,
            Self::Abandoned | Self::NotAsked => true,
            Self::Failed(error) => error.is_outcome_unknown() || report::code(error) == UNAVAILABLE,
        }
    }

    pub(super) fn is_busy(&self) -> bool {
        matches!(self, Self::Known(Outcome::Refused(refusal)) if refusal.reason() == RefusalReason::Busy)
    }
}

pub(super) fn line(wanted: &Wanted, answer: &Answer, is_json: bool) -> String {
    let (outcome, code, queue_number, message) = match answer {
        Answer::Known(Outcome::Registered(registration)) => {
            let number = registration.queue_number.to_string();
            ("REGISTERED".into(), registration.code.as_str(), number, String::new())
        }
        Answer::Known(Outcome::Refused(refusal)) => {
            (json::reason_name(refusal), "", String::new(), refusal.message.clone())
        }
        Answer::Abandoned => {
            let message = "run it again with this request_id: the run ended before its answer came";
            ("OUTCOME_UNKNOWN".into(), "", String::new(), message.into())
        }
        Answer::NotAsked => ("NOT_ASKED".into(), "", String::new(), String::new()),
        Answer::Failed(error) if error.is_outcome_unknown() => {
            let message = format!("run it again with this request_id: {}", report::words(error));
            ("OUTCOME_UNKNOWN".into(), "", String::new(), message)
        }
        Answer::Failed(error) => {
            let code = || json::code_name(error.code());
            let outcome = error.reason().map_or_else(code, ToOwned::to_owned);
            (outcome, "", String::new(), report::words(error))
        }
    };
    let Wanted { line, office, date, ask } = wanted;
    let session = match answer {
        Answer::Known(Outcome::Registered(registration)) => registration.session.as_ref(),
        Answer::Known(Outcome::Refused(_)) | Answer::Failed(_) | Answer::Abandoned | Answer::NotAsked => None,
    };
    let session = session.map_or("", |session| &session.start_time);
    if is_json {
        let value = json!({
            "line": line, "request_id": ask.id(), "outcome": outcome, "code": code,
            "queue_number": queue_number.parse::<u32>().ok(), "office": office, "date": date, "message": message, "session": session,
        });
        return format!("{value}\n");
    }
    let line = line.to_string();
    csv_record([&line, ask.id(), &outcome, code, &queue_number, office, date, &message, session])
}

/// A line of CSV.
pub(super) fn csv_record<const N: usize>(fields: [&str; N]) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    // Writing to memory does not fail.
    let written = writer.write_record(fields).ok().and_then(|()| writer.into_inner().ok());
    String::from_utf8_lossy(&written.unwrap_or_default()).into_owned()
}

impl Tally {
    pub(super) fn count(&mut self, answer: &Answer) {
        match answer {
            Answer::NotAsked => self.not_asked += 1,
            Answer::Known(Outcome::Registered(_)) => self.registered += 1,
            Answer::Known(Outcome::Refused(_)) => self.refused += 1,
            Answer::Failed(_) if !answer.is_missing() => self.invalid += 1,
            Answer::Failed(_) | Answer::Abandoned => self.unanswered += 1,
        }
    }

    pub(super) fn summary(&self) -> String {
        let Self { registered, refused, invalid, unanswered, not_asked } = self;
        let asks = report::count(registered + refused + invalid + unanswered + not_asked, "ask");
        let rest = if *not_asked == 0 { String::new() } else { format!(", {not_asked} not asked") };
        let next = if unanswered + not_asked == 0 {
            ""
        } else {
            "\nTo go on: put the request_id of each result into a column request_id of the file, in the row of its line, \
             and run it again. Who is registered already gets the same registration."
        };
        format!(
            "{asks}: {registered} registered, {refused} refused, {invalid} invalid, {unanswered} without an answer{rest}{next}"
        )
    }

    /// By what is worst.
    pub(super) fn code(&self, is_interrupted: bool) -> u8 {
        let Self { registered: _, refused, invalid, unanswered, not_asked } = self;
        match (*unanswered, *not_asked, refused + invalid) {
            (0, 0, 0) => DONE,
            (0, 0, _) => NO,
            (0, _, _) if is_interrupted => INTERRUPTED,
            _ => UNAVAILABLE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_is_that_of_the_worst() {
        let rows: [(&[Answer], bool, u8); 5] = [
            (&[], false, 0),
            (&[Answer::NotAsked], true, 130),
            (&[Answer::NotAsked], false, 69),
            (&[Answer::NotAsked, Answer::Abandoned], true, 69),
            (&[Answer::Known(Outcome::Refused(kuota_client::Refusal::default()))], true, 1),
        ];
        for (answers, is_interrupted, expected) in rows {
            let mut tally = Tally::default();
            answers.iter().for_each(|answer| tally.count(answer));
            assert_eq!(tally.code(is_interrupted), expected, "{answers:?}");
        }
    }
}
