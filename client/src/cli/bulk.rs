//! Registers the people of a file: in batches, with progress on stderr and a line for each ask on stdout.

use std::{fs::File, io::IsTerminal as _, path::Path, time::Duration};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use kuota_client::{Ask, Client, Durability, Error, Outcome, RefusalReason};
use serde_json::json;

use super::{
    Args,
    arguments::RegisterArgs,
    json,
    people::{self, Wanted},
    report::{self, DONE, Failed, NO, UNAVAILABLE, print},
};

pub(super) const EXAMPLES: &str = "\
A file of people:
  office,date,lane,nik,reference,request_id,party
  kanim-pontianak,2026-11-30,REGULAR,6171012309870001,order 17,,
  kanim-pontianak,2026-11-30,PRIORITY,6171016309870002,order 18,,family-1
  kanim-pontianak,2026-11-30,PRIORITY,6171012309870003,order 18,,family-1

Rows with the same party are one ask, of up to five people, all or nothing. With a request_id each ask can be \
repeated: the same file run again gets the same registrations. The file is checked whole before anything is sent.

Results on stdout, as CSV: line, request_id, outcome (REGISTERED, or why not), code, queue_number, office, date, \
message. Exit codes with --file: 0 all are registered, 1 some are not, 69 of some it is not known: run those again \
with the request_id of the results.";

/// Rounds in which asks without a definite answer, or with BUSY, are asked again.
const ROUNDS_MAX: u32 = 5;
/// Between two rounds, whatever the server says.
const ROUND_WAIT_MAX: Duration = Duration::from_secs(5);
/// Between two rounds, when the server says nothing.
const ROUND_WAIT: Duration = Duration::from_millis(500);

type Answer = Result<Outcome, Error>;

/// How many of each there were.
#[derive(Default)]
struct Tally {
    registered: usize,
    refused: usize,
    failed: usize,
    unknown: usize,
}

pub(super) async fn register(args: &Args, register: &RegisterArgs, path: &Path) -> Result<u8, Failed> {
    let name = path.display().to_string();
    let file =
        File::open(path).map_err(|error| Failed::File(format!("{name}: {error}; nothing was sent")))?;
    let mut wanted = people::read(&name, file)?;
    if register.accepted {
        for wanted in &mut wanted {
            wanted.ask = wanted.ask.clone().durability(Durability::Accepted);
        }
    }
    let client = args.connect().await?;
    let bar = progress(wanted.len());
    let mut tally = Tally::default();
    let header = "line,request_id,outcome,code,queue_number,office,date,message\n";
    // When nobody reads the results any more they would be lost: nothing more is asked.
    let mut is_read = args.is_json() || print(header);
    for batch in wanted.chunks(register.batch.into()) {
        if !is_read {
            break;
        }
        let answers = ask(&client, batch).await?;
        let lines = batch.iter().zip(&answers).map(|(wanted, answer)| {
            tally.count(answer);
            line(wanted, answer, args.is_json())
        });
        is_read = bar.suspend(|| print(&lines.collect::<String>()));
        bar.inc(u64::try_from(batch.len()).unwrap_or(u64::MAX));
    }
    bar.finish_and_clear();
    eprintln!("{}", tally.summary());
    Ok(tally.code())
}

/// Asks a batch, and again for those that may still be granted, for a bounded number of rounds.
async fn ask(client: &Client, batch: &[Wanted]) -> Result<Vec<Answer>, Failed> {
    let mut answers: Vec<Option<Answer>> = batch.iter().map(|_| None).collect();
    let mut open: Vec<usize> = (0..batch.len()).collect();
    for round in 1..=ROUNDS_MAX {
        let asks: Vec<Ask> = open.iter().map(|index| batch[*index].ask.clone()).collect();
        let round_answers = match client.register_batch(&asks).await {
            Ok(answers) => answers,
            // An error of the whole call, which no repeat mends.
            Err(error) if !error.is_retryable() => return Err(error.into()),
            Err(error) => asks.iter().map(|_| Err(error.clone())).collect(),
        };
        let mut wait = None;
        let mut still_open = Vec::new();
        for (index, answer) in open.into_iter().zip(round_answers) {
            if let Some(again) = ask_again_after(&answer) {
                wait = wait.max(Some(again));
                still_open.push(index);
            }
            answers[index] = Some(keep_unknown(answers[index].take(), answer));
        }
        open = still_open;
        match wait {
            Some(wait) if round < ROUNDS_MAX => tokio::time::sleep(wait.min(ROUND_WAIT_MAX)).await,
            Some(_) | None => break,
        }
    }
    Ok(answers.into_iter().flatten().collect())
}

/// Nothing was written this time, but it may have been before: an unknown outcome stands until there is an answer.
fn keep_unknown(before: Option<Answer>, now: Answer) -> Answer {
    match (before, now) {
        (Some(Err(before)), Err(now)) if before.is_outcome_unknown() && now.is_retryable() => Err(before),
        (_, now) => now,
    }
}

/// How long until it is worth asking again; `None`: this is the answer.
fn ask_again_after(answer: &Answer) -> Option<Duration> {
    match answer {
        Ok(Outcome::Refused(refusal)) if refusal.reason() == RefusalReason::Busy => {
            let after = refusal.retry_after.as_ref().map(json::millis);
            Some(after.and_then(|ms| u64::try_from(ms).ok()).map_or(ROUND_WAIT, Duration::from_millis))
        }
        Ok(_) => None,
        Err(error) => error.is_retryable().then(|| error.retry_after().unwrap_or(ROUND_WAIT)),
    }
}

fn line(wanted: &Wanted, answer: &Answer, is_json: bool) -> String {
    let (outcome, code, queue_number, message) = match answer {
        Ok(Outcome::Registered(registration)) => {
            let number = registration.queue_number.to_string();
            ("REGISTERED".into(), registration.code.as_str(), number, String::new())
        }
        Ok(Outcome::Refused(refusal)) => {
            (json::reason_name(refusal), "", String::new(), refusal.message.clone())
        }
        Err(error) if error.is_outcome_unknown() => {
            let message = format!("run it again with this request_id: {error}");
            ("OUTCOME_UNKNOWN".into(), "", String::new(), message)
        }
        Err(error) => {
            let code = || json::code_name(error.code());
            let outcome = error.reason().map_or_else(code, ToOwned::to_owned);
            (outcome, "", String::new(), error.to_string())
        }
    };
    let Wanted { line, office, date, ask } = wanted;
    if is_json {
        let value = json!({
            "line": line, "request_id": ask.id(), "outcome": outcome, "code": code,
            "queue_number": queue_number.parse::<u32>().ok(), "office": office, "date": date, "message": message,
        });
        return format!("{value}\n");
    }
    let line = line.to_string();
    csv_record([&line, ask.id(), &outcome, code, &queue_number, office, date, &message])
}

/// A line of CSV.
pub(super) fn csv_record<const N: usize>(fields: [&str; N]) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    // Writing to memory does not fail.
    let written = writer.write_record(fields).ok().and_then(|()| writer.into_inner().ok());
    String::from_utf8_lossy(&written.unwrap_or_default()).into_owned()
}

fn progress(asks: usize) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let target = ProgressDrawTarget::stderr();
    let bar = ProgressBar::with_draw_target(u64::try_from(asks).ok(), target);
    let style = ProgressStyle::with_template("{bar:40} {pos} of {len} asks, {eta} left");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

impl Tally {
    fn count(&mut self, answer: &Answer) {
        match answer {
            Ok(Outcome::Registered(_)) => self.registered += 1,
            Ok(Outcome::Refused(_)) => self.refused += 1,
            Err(error) if error.is_outcome_unknown() || report::code(error) == UNAVAILABLE => {
                self.unknown += 1;
            }
            Err(_) => self.failed += 1,
        }
    }

    fn summary(&self) -> String {
        let Self { registered, refused, failed, unknown } = self;
        let asks = registered + refused + failed + unknown;
        let next = if *unknown == 0 { "" } else { "; run those again with the request_id of the results" };
        format!(
            "{asks} asks: {registered} registered, {refused} refused, {failed} wrong, {unknown} without an answer{next}"
        )
    }

    fn code(&self) -> u8 {
        match (self.unknown, self.refused + self.failed) {
            (0, 0) => DONE,
            (0, _) => NO,
            _ => UNAVAILABLE,
        }
    }
}
