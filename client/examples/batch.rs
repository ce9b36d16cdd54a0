//! Registers a hundred people in one call, counts the answers, and gives the places back.
//!
//! `cargo run -p kuota-client --example batch -- http://127.0.0.1:50051`

use std::{collections::BTreeMap, env, process::ExitCode};

use kuota_client::{Ask, AvailabilityFilter, Client, Error, Outcome, RefusalReason, SlotState};

const DEFAULT_URL: &str = "http://127.0.0.1:50051";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let url = env::args().nth(1).unwrap_or_else(|| DEFAULT_URL.into());
    match run(&url).await {
        Ok(()) => ExitCode::SUCCESS,
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
    let asks: Vec<Ask> = (1..=100)
        .map(|person| {
            let ask = Ask::new(&slot.office_id, &slot.service_date, slot.lane());
            ask.applicant(format!("617101150190{person:04}"), format!("person {person}"))
        })
        .collect();

    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    let mut registered = Vec::new();
    for (ask, item) in asks.iter().zip(client.register_batch(&asks).await?) {
        let kind = match item {
            Ok(Outcome::Registered(registration)) => {
                registered.push(registration.id);
                "registered"
            }
            Ok(Outcome::Refused(refusal)) => RefusalReason::as_str_name(&refusal.reason()),
            Err(error) if error.is_outcome_unknown() => {
                eprintln!("ask again with request_id {}", ask.id());
                "not known yet"
            }
            Err(error) => {
                eprintln!("{}: {error}", ask.id());
                "not asked properly"
            }
        };
        *counts.entry(kind).or_default() += 1;
    }
    println!("{} on {}: {counts:?}", slot.office_id, slot.service_date);

    for id in registered {
        client.cancel(&id, "it was an example").await?;
    }
    Ok(())
}
