//! Registers the people of a file: in batches, with progress on stderr and a line for each ask on stdout.

use std::{fs::File, io::IsTerminal as _, path::Path, time::Duration};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use kuota_client::{Ask, Client, Durability, Error, Outcome};
use tokio::time::{sleep, timeout};

use super::{
    Args,
    arguments::RegisterArgs,
    json,
    people::{self, Wanted},
    report::{self, Failed, print},
    results::{self, Answer, Tally},
    stop::Stop,
};

pub(super) const USAGE: &str = "\
kuota register [OPTIONS] --office <ID> --date <DATE> --nik <NIK>
       kuota register [OPTIONS] --file <FILE>";

pub(super) const EXAMPLES: &str = "\
A file of people:
  office,date,lane,nik,reference,request_id,party,passport,ground
  kanim-pontianak,2026-11-30,REGULAR,6171012309870001,order 17,,,ELECTRONIC_10_YEARS,
  kanim-pontianak,2026-11-30,PRIORITY,6171016309870002,order 18,,family,ORDINARY_5_YEARS,PREGNANT
  kanim-pontianak,2026-11-30,PRIORITY,6171012309870003,order 18,,family,ORDINARY_5_YEARS,PREGNANT
A column session, with starts as 08:00, names the session to come in.

Rows with the same party are one ask, of up to five people, all or nothing. With a request_id each ask can be \
repeated: the same file run again gets the same registrations. The file is checked whole before anything is sent.

Results on stdout, as CSV: line, request_id, outcome (REGISTERED, or why not; OUTCOME_UNKNOWN; NOT_ASKED), code, \
queue_number, office, date, message, session. Ctrl-C and SIGTERM end the run after the batch under way. To go on after an end, put \
the request_id of each result into the file, in the row of its line, and run it again.

Exit codes with --file: 0 all are registered, 1 some are not, 69 of some there is no answer, 130 interrupted: no outcome \
is unknown, and some were not asked.";

/// Rounds in which asks without a definite answer, or with BUSY, are asked again.
const ROUNDS_MAX: u32 = 5;
/// Between two rounds, whatever the server says.
const ROUND_WAIT_MAX: Duration = Duration::from_secs(5);
/// Between two rounds, when the server says nothing.
const ROUND_WAIT: Duration = Duration::from_millis(500);
/// For the answer that is under way when an end is asked for.
const STOP_GRACE: Duration = Duration::from_secs(2);

pub(super) async fn register(args: &Args, register: &RegisterArgs, path: &Path) -> Result<u8, Failed> {
    let mut wanted = people(path)?;
    if register.accepted {
        for wanted in &mut wanted {
            wanted.ask = wanted.ask.clone().durability(Durability::Accepted);
        }
    }
    let client = args.connect().await?;
    let mut stop =
        Stop::listen().map_err(|error| Failed::File(format!("signals: {error}; nothing was sent")))?;
    let bar = progress(wanted.len());
    let mut tally = Tally::default();
    // When nobody reads the results any more they would be lost: nothing more is asked.
    let mut is_read = args.is_json() || print(results::HEADER);
    let mut why_ended = None;
    for batch in wanted.chunks(register.batch.into()) {
        let answers = if is_read && why_ended.is_none() && !stop.is_asked() {
            let (answers, broken) = ask(&client, batch, &mut stop).await;
            why_ended = broken;
            answers
        } else {
            batch.iter().map(|_| Answer::NotAsked).collect()
        };
        let lines = batch.iter().zip(&answers).map(|(wanted, answer)| {
            tally.count(answer);
            results::line(wanted, answer, args.is_json())
        });
        let lines = lines.collect::<String>();
        is_read = is_read && bar.suspend(|| print(&lines));
        bar.inc(u64::try_from(batch.len()).unwrap_or(u64::MAX));
    }
    bar.finish_and_clear();
    if let Some(error) = why_ended {
        report::note(&error);
    }
    eprintln!("{}", tally.summary());
    Ok(tally.code(stop.is_asked()))
}

/// The asks of a file; `-` is standard input.
fn people(path: &Path) -> Result<Vec<Wanted>, Failed> {
    if path == Path::new("-") {
        return people::read("standard input", std::io::stdin().lock());
    }
    let name = path.display().to_string();
    match File::open(path) {
        Ok(file) => people::read(&name, file),
        Err(error) => Err(Failed::File(format!("{name}: {error}; nothing was sent"))),
    }
}

/// Asks a batch, and again for those that may still be granted, for a bounded number of rounds. With an error when the
/// whole batch had no answer: the next would have none either.
async fn ask(client: &Client, batch: &[Wanted], stop: &mut Stop) -> (Vec<Answer>, Option<Error>) {
    let mut answers: Vec<Option<Answer>> = batch.iter().map(|_| None).collect();
    let mut open: Vec<usize> = (0..batch.len()).collect();
    let mut broken = None;
    for round in 1..=ROUNDS_MAX {
        let asks: Vec<Ask> = open.iter().map(|index| batch[*index].ask.clone()).collect();
        let round_answers: Vec<Answer> = match unless_stopped(client.register_batch(&asks), stop).await {
            None => asks.iter().map(|_| Answer::Abandoned).collect(),
            Some(Ok(items)) => {
                broken = None;
                let answer = |item| match item {
                    Ok(outcome) => Answer::Known(outcome),
                    Err(error) => Answer::Failed(error),
                };
                items.into_iter().map(answer).collect()
            }
            Some(Err(error)) => {
                broken = Some(error.clone());
                asks.iter().map(|_| Answer::Failed(error.clone())).collect()
            }
        };
        // An error of the whole call, which no repeat mends.
        let is_final = broken.as_ref().is_some_and(|error| !error.is_retryable());
        let mut wait = None;
        let mut still_open = Vec::new();
        for (index, answer) in open.into_iter().zip(round_answers) {
            if let Some(again) = ask_again_after(&answer) {
                wait = wait.max(Some(again));
                still_open.push(index);
            }
            answers[index] = Some(keep_unknown(answers[index].take(), answer, is_final));
        }
        open = still_open;
        let Some(wait) = wait.filter(|_| round < ROUNDS_MAX && !is_final && !stop.is_asked()) else { break };
        tokio::select! {
            () = sleep(wait.min(ROUND_WAIT_MAX)) => {}
            () = stop.asked() => break,
        }
    }
    let answers: Vec<Answer> = answers.into_iter().flatten().collect();
    let is_dead = broken.as_ref().is_some_and(|error| !error.is_retryable())
        || answers.iter().all(|answer| matches!(answer, Answer::Failed(error) if error.is_retryable()));
    let said = || {
        answers.iter().find_map(|answer| match answer {
            Answer::Failed(error) => Some(error.clone()),
            Answer::Known(_) | Answer::Abandoned | Answer::NotAsked => None,
        })
    };
    let why = if is_dead { broken.or_else(said) } else { None };
    (answers, why)
}

/// A call's result. When an end is asked for it has a little time left; then it is abandoned.
async fn unless_stopped<T>(call: impl Future<Output = T>, stop: &mut Stop) -> Option<T> {
    tokio::pin!(call);
    tokio::select! {
        result = &mut call => return Some(result),
        () = stop.asked() => {}
    }
    timeout(STOP_GRACE, call).await.ok()
}

/// Nothing was written this time, but it may have been before: an unknown outcome stands until there is an answer.
fn keep_unknown(before: Option<Answer>, now: Answer, is_whole: bool) -> Answer {
    let says_nothing = |error: &Error| is_whole || error.is_retryable();
    match (before, now) {
        (Some(before), Answer::Failed(now)) if before.is_outcome_unknown() && says_nothing(&now) => before,
        (_, now) => now,
    }
}

/// How long until it is worth asking again; `None`: this is the answer.
fn ask_again_after(answer: &Answer) -> Option<Duration> {
    match answer {
        Answer::Known(Outcome::Refused(refusal)) if answer.is_busy() => {
            let after = refusal.retry_after.as_ref().map(json::millis);
            Some(after.and_then(|ms| u64::try_from(ms).ok()).map_or(ROUND_WAIT, Duration::from_millis))
        }
        Answer::Failed(error) => error.is_retryable().then(|| error.retry_after().unwrap_or(ROUND_WAIT)),
        Answer::Known(_) | Answer::Abandoned | Answer::NotAsked => None,
    }
}

fn progress(asks: usize) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let target = ProgressDrawTarget::stderr();
    let bar = ProgressBar::with_draw_target(u64::try_from(asks).ok(), target);
    let style = ProgressStyle::with_template("{bar:40} {pos} of {len} asks");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
