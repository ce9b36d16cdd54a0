//! The SDK against a server that dies and comes back: every logical call ends in exactly one registration or a true
//! refusal.

mod support;

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use kuota_client::{
    Admin, Ask, AvailabilityFilter, Board, By, Client, Lane, Outcome, RefusalReason, RetryBudget,
    RetryPolicy, SlotKey, SlotState, Update,
};
use support::{
    people::nik,
    process::{Process, command_at},
    verify,
};

const OFFICE: &str = "kanim-pontianak";
const PEOPLE: u32 = 3_000;
/// Answers before each kill: all of them while places are given out.
const KILLS: [usize; 4] = [40, 120, 240, 400];
/// Longer than any machine is slow.
const PATIENCE: Duration = Duration::from_secs(120);

/// The server again, where it was.
fn again(data: &std::path::Path, was: &(String, String)) -> Process {
    let command = command_at(data, &was.0, &was.1);
    Process::spawn(command).unwrap_or_else(|ended| panic!("the server did not come back:\n{}", ended.printed))
}

async fn open_days(client: &Client) -> Vec<String> {
    let filter = AvailabilityFilter { office_id: Some(OFFICE.into()), ..AvailabilityFilter::default() };
    let slots = client.availability(&filter).await.unwrap();
    let open =
        slots.into_iter().filter(|slot| slot.state() == SlotState::Open && slot.lane() == Lane::Regular);
    open.map(|slot| slot.service_date).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_logical_call_ends_in_one_registration_or_a_true_refusal_while_the_server_dies_and_returns() {
    let data = tempfile::tempdir().unwrap();
    let mut process = Process::start(data.path(), &["--demo"]);
    let was = (process.grpc.clone(), process.admin.clone());
    let budget = RetryBudget::new(2_000, 100);
    let retry = RetryPolicy { attempts_max: 5, budget: budget.clone(), ..RetryPolicy::default() };
    let builder = Client::builder(format!("http://{}", was.0)).channels(4).retry(retry);
    let client = builder.connect().await.unwrap();
    // Not the first day: it may close while this runs.
    let days = open_days(&client).await[1..].to_vec();
    let (answered, mut calls) = (Arc::new(AtomicUsize::new(0)), Vec::new());
    for lane in 0..32 {
        let (client, days, answered) = (client.clone(), days.clone(), answered.clone());
        calls.push(tokio::spawn(async move {
            let mut told = Vec::new();
            for person in (lane..PEOPLE).step_by(32) {
                let day = &days[person as usize % days.len()];
                let ask = Ask::new(OFFICE, day, Lane::Regular).applicant(nik(person), "");
                let outcome = client.register_and_wait(&ask, PATIENCE).await.unwrap();
                answered.fetch_add(1, Ordering::SeqCst);
                told.push((ask, outcome));
            }
            told
        }));
    }
    for answers in KILLS {
        while answered.load(Ordering::SeqCst) < answers {
            tokio::task::yield_now().await;
        }
        process.kill();
        process = again(data.path(), &was);
    }
    let mut granted: HashMap<String, String> = HashMap::new();
    let mut free: HashMap<String, u32> = days.iter().map(|day| (day.clone(), 120)).collect();
    let mut refused = Vec::new();
    for call in calls {
        for (ask, outcome) in call.await.unwrap() {
            match outcome {
                Outcome::Registered(found) => {
                    assert_eq!(found.request_id, ask.id());
                    *free.get_mut(&found.service_date).unwrap() -= 1;
                    granted.insert(found.id.clone(), found.request_id.clone());
                    assert_eq!(client.register(&ask).await.unwrap(), Outcome::Registered(found));
                }
                Outcome::Refused(refusal) => {
                    assert_eq!(refusal.reason(), RefusalReason::SoldOut, "{refusal:?}");
                    refused.push(ask);
                }
            }
        }
    }
    assert!(free.values().all(|free| *free == 0), "who was refused was refused truly: {free:?}");
    assert_eq!(granted.len() + refused.len(), PEOPLE as usize);
    // Nobody who was told no has a place all the same: each ask was granted once, or never.
    let verdict = verify(data.path());
    assert!(verdict.ok && verdict.grants == granted.len() as u64, "{verdict:?}");
    assert_eq!(granted.values().collect::<HashSet<_>>().len(), granted.len());
    assert!(budget.allows_retries(), "retries stay under their budget");
    process.terminate();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_and_an_operator_go_on_with_the_server_that_returns() {
    let data = tempfile::tempdir().unwrap();
    let process = Process::start(data.path(), &["--demo"]);
    let was = (process.grpc.clone(), process.admin.clone());
    let client = Client::connect(&format!("http://{}", was.0)).await.unwrap();
    let admin = Admin::connect(&format!("http://{}", was.1)).await.unwrap();
    let day = open_days(&client).await.swap_remove(1);
    let filter = AvailabilityFilter { office_id: Some(OFFICE.into()), ..AvailabilityFilter::default() };
    let (mut watch, mut board) = (client.watch(filter), Board::default());
    let key = SlotKey::new(OFFICE, &day, Lane::Regular);
    board.apply(&watch.next().await.unwrap());
    assert_eq!(board.get(&key).unwrap().available, Some(120));
    process.kill();
    let process = again(data.path(), &was);
    let by = By::new("siti", "after the crash");
    admin.set_quota(&by, &key, 130).await.unwrap();
    let mut snapshots = 0;
    while board.get(&key).unwrap().capacity != 130 {
        let update = watch.next().await.unwrap();
        snapshots += usize::from(matches!(update, Update::Snapshot(_)));
        board.apply(&update);
    }
    assert_eq!(snapshots, 1, "after an interruption comes a snapshot");
    process.terminate();
}
