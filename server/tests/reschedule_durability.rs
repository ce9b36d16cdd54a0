//! `kill -9` during a reschedule: after the restart a registration has one place, the old one or the new one, and a repeat
//! of its wish leads to the new one.

mod support;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use kuota_client::{
    AvailabilityFilter, Client, Destination, Key, Outcome, Registration, RegistrationState, Reschedule,
    SlotState,
};
use support::{
    OFFICE, catalog,
    people::{insist, registered, wish_for},
    process::Process,
    verify,
};

const ROUNDS: u32 = 12;
const PLACES: u32 = 100_000;

/// What was carried out, and wishes without an answer, with what they were about.
#[derive(Default)]
struct Told {
    moved: Vec<Registration>,
    open: Vec<(Registration, Reschedule)>,
}

/// Takes one place after the other and moves it, until the server is gone.
async fn move_until_killed(
    client: Client,
    days: [String; 2],
    people: Arc<AtomicU32>,
    count: Arc<AtomicU32>,
) -> Told {
    let mut told = Told::default();
    loop {
        let person = people.fetch_add(1, Ordering::SeqCst);
        let ask = wish_for(OFFICE, &days[0], person);
        let Ok(granted) = client.register(&ask).await else { return told };
        let granted = registered(granted);
        let wish = Reschedule::new(&granted.id, Destination::day(&days[1]));
        match client.reschedule(&wish).await {
            Ok(Outcome::Registered(moved)) => {
                told.moved.push(moved);
                count.fetch_add(1, Ordering::SeqCst);
            }
            Ok(Outcome::Refused(refusal)) => panic!("{refusal:?}"),
            Err(error) => {
                assert!(error.is_retryable(), "{error:?}");
                told.open.push((granted, wish));
                return told;
            }
        }
    }
}

async fn open_days(client: &Client) -> [String; 2] {
    let filter = AvailabilityFilter { office_id: Some(OFFICE.into()), ..AvailabilityFilter::default() };
    let slots = client.availability(&filter).await.unwrap();
    let open = slots.iter().filter(|slot| slot.state() == SlotState::Open);
    // Not the first: it may begin while this runs.
    let days: Vec<String> = open.skip(1).map(|slot| slot.service_date.clone()).collect();
    [days[0].clone(), days[1].clone()]
}

async fn round(data: &Path, catalog: &str, number: u32, told: &mut Told, people: &Arc<AtomicU32>) -> u32 {
    let process = Process::start(data, &["--demo", "--catalog", catalog]);
    let client = process.client().await;
    let mut halfway = 0;
    for (granted, wish) in told.open.drain(..) {
        // Where it was, or where it wanted to: whole either way.
        let found = client.get(Key::Id(granted.id.clone())).await.unwrap();
        let is_moved = found.rescheduled_from.is_some();
        let (date, from) = (&found.service_date, found.rescheduled_from.as_ref());
        assert_eq!(found.state(), RegistrationState::Confirmed);
        assert_eq!(date, if is_moved { &wish.to.service_date } else { &granted.service_date });
        assert!(is_moved || found == granted, "{found:?}");
        assert!(from.is_none_or(|from| from.service_date == granted.service_date));
        halfway += u32::from(is_moved);
        told.moved.push(registered(client.reschedule(&wish).await.unwrap()));
    }
    let days = open_days(&client).await;
    let count = Arc::new(AtomicU32::new(0));
    let calls: Vec<_> = (0..8)
        .map(|_| tokio::spawn(move_until_killed(client.clone(), days.clone(), people.clone(), count.clone())))
        .collect();
    while count.load(Ordering::SeqCst) < 1 + number * 7 % 40 {
        tokio::task::yield_now().await;
    }
    process.kill();
    for call in calls {
        let Told { moved, open } = call.await.unwrap();
        told.moved.extend(moved);
        told.open.extend(open);
    }
    halfway
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_during_a_reschedule_leave_nothing_half_done() {
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("offices.toml");
    std::fs::write(&file, catalog(&[(OFFICE.into(), PLACES)])).unwrap();
    let file = file.to_str().unwrap().to_owned();
    let (mut told, people) = (Told::default(), Arc::new(AtomicU32::new(0)));
    let mut halfway = 0;
    for number in 0..ROUNDS {
        halfway += round(data.path(), &file, number, &mut told, &people).await;
    }
    println!("{} moved, {halfway} of them without an answer", told.moved.len());
    let process = Process::start(data.path(), &["--catalog", &file]);
    let client = process.client().await;
    for registration in &told.moved {
        let found = client.get(Key::Id(registration.id.clone())).await.unwrap();
        assert_eq!(found, *registration);
    }
    // One more goes where they went, and none of them holds a place it left: every place is taken by somebody who is there.
    let days = open_days(&client).await;
    let person = people.fetch_add(1, Ordering::SeqCst);
    registered(insist(&client, &wish_for(OFFICE, &days[0], person)).await);
    let (status, log) = process.terminate();
    assert!(status.success(), "{log}");
    let verdict = verify(data.path());
    assert!(verdict.ok && verdict.oversold == 0 && verdict.duplicate_applicants == 0, "{verdict:?}");
}
