//! Watches what is free for five updates or three seconds, whichever ends first.
//!
//! `cargo run -p kuota-client --example watch -- http://127.0.0.1:50051`

use std::{env, process::ExitCode, time::Duration};

use kuota_client::{AvailabilityFilter, Board, Client, Error, Update};

const DEFAULT_URL: &str = "http://127.0.0.1:50051";
const UPDATES: usize = 5;
const TIME: Duration = Duration::from_secs(3);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let url = env::args().nth(1).unwrap_or_else(|| DEFAULT_URL.into());
    // A watch ends when nobody asks for its next update any more.
    match tokio::time::timeout(TIME, run(&url)).await {
        Ok(Err(error)) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
        Ok(Ok(())) | Err(_) => ExitCode::SUCCESS,
    }
}

async fn run(url: &str) -> Result<(), Error> {
    let client = Client::connect(url).await?;
    let mut watch = client.watch(AvailabilityFilter::default()).heartbeat(Duration::from_secs(5));
    let mut board = Board::default();
    for _ in 0..UPDATES {
        let update = watch.next().await?;
        board.apply(&update);
        let free: u32 = board.slots().filter_map(|slot| slot.available).sum();
        match update {
            Update::Snapshot(slots) => println!("{} slots, {free} places free", slots.len()),
            Update::Changed(slots) => println!("{} changed, {free} places free", slots.len()),
        }
    }
    Ok(())
}
