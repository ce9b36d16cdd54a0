//! Takes a place, asks again as after a lost answer, and gives the place back.
//!
//! `cargo run -p kuota-client --example register -- http://127.0.0.1:50051`

use std::{env, process::ExitCode, time::Duration};

use kuota_client::{Ask, AvailabilityFilter, Client, Error, Outcome, SlotState};

const DEFAULT_URL: &str = "http://127.0.0.1:50051";
/// More than this an applicant does not want to wait in front of a form.
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let url = env::args().nth(1).unwrap_or_else(|| DEFAULT_URL.into());
    match run(&url).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(Error::OutcomeUnknown { request_id, .. }) => {
            eprintln!("not known yet: keep {request_id} and ask again");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(url: &str) -> Result<(), Error> {
    let client = Client::connect(url).await?;
    let slots = client.availability(&AvailabilityFilter::default()).await?;
    let Some(slot) = slots.iter().find(|slot| slot.state() == SlotState::Open) else {
        println!("no day is open: start the server with --demo");
        return Ok(());
    };

    let ask =
        Ask::new(&slot.office_id, &slot.service_date, slot.lane()).applicant("6171012309870001", "example");
    // A service stores the id with its own record here, before the call.
    println!("asking for {} on {}, request {}", slot.office_id, slot.service_date, ask.id());

    let registration = match client.register_and_wait(&ask, PATIENCE).await? {
        Outcome::Registered(registration) => registration,
        Outcome::Refused(refusal) => {
            println!("refused: {}", refusal.message);
            return Ok(());
        }
    };
    println!("booking code {}, number {}", registration.code, registration.queue_number);

    let again = client.register(&ask).await?;
    println!(
        "the same ask again: the same registration, {}",
        again == Outcome::Registered(registration.clone())
    );

    client.cancel(&registration.id, "it was an example").await?;
    println!("given back");
    Ok(())
}
