//! Pauses an office, gives one of its days another quota, takes both back, and reads what the log says about it.
//!
//! `cargo run -p kuota-client --example operate -- http://127.0.0.1:50051 http://127.0.0.1:50052`

use std::{env, process::ExitCode};

use kuota_client::{Admin, AvailabilityFilter, By, Client, Error, EventFilter, Scope, SlotKey, SlotState};

const DEFAULT_URL: &str = "http://127.0.0.1:50051";
const DEFAULT_ADMIN_URL: &str = "http://127.0.0.1:50052";
const ACTOR: &str = "operate example";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let url = env::args().nth(1).unwrap_or_else(|| DEFAULT_URL.into());
    let admin_url = env::args().nth(2).unwrap_or_else(|| DEFAULT_ADMIN_URL.into());
    match run(&url, &admin_url).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(url: &str, admin_url: &str) -> Result<(), Error> {
    let admin = Admin::connect(admin_url).await?;
    let slots = Client::connect(url).await?.availability(&AvailabilityFilter::default()).await?;
    let Some(slot) = slots.iter().find(|slot| slot.state() == SlotState::Open) else {
        println!("no day is open: start the server with --demo");
        return Ok(());
    };

    // One `By` for each intent: sent again after a lost answer it changes nothing twice.
    let office = Scope { office_id: Some(slot.office_id.clone()), ..Scope::default() };
    let paused = admin.pause(&By::new(ACTOR, "power cut"), &office).await?;
    println!("{} pauses in force", paused.pauses.len());

    let key = SlotKey::of(slot);
    let changed = admin.set_quota(&By::new(ACTOR, "second counter"), &key, slot.capacity + 20).await?;
    for slot in changed.slots {
        println!("places {:?} → {}, {} granted", slot.capacity_before, slot.capacity_after, slot.granted);
    }

    admin.clear_override(&By::new(ACTOR, "counter closed again"), &key).await?;
    let resumed = admin.resume(&By::new(ACTOR, "power is back"), &office).await?;
    println!("{} pauses in force", resumed.pauses.len());

    let actor = Some(ACTOR.into());
    let mut events = admin.events(&EventFilter { actor, ..EventFilter::default() });
    while let Some(event) = events.next().await? {
        println!("#{} {} ({})", event.number, event.description, event.reason);
    }
    Ok(())
}
