//! The main job: a Friday opening.

mod support;

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use kuota_client::{Ask, AvailabilityFilter, Client, Lane, Outcome, RefusalReason, SlotState};
use support::{
    Friday, MONDAY, OFFICE,
    held_log::{Fate, Valve},
    people::{insist, nik, refused, registered, wish},
    process::Process,
    verify,
};

const PLACES: usize = 120;
/// Longer than any machine is slow.
const PATIENCE: Duration = Duration::from_secs(120);

/// Everyone asks at once, over so many connections; in the order of the asks, what each was told.
async fn all_at_once(clients: &[Client], asks: &[Ask]) -> Vec<Outcome> {
    let calls: Vec<_> = asks
        .iter()
        .zip(clients.iter().cycle())
        .map(|(ask, client)| {
            let (ask, client) = (ask.clone(), client.clone());
            tokio::spawn(async move { insist(&client, &ask).await })
        })
        .collect();
    let mut outcomes = Vec::with_capacity(calls.len());
    for call in calls {
        outcomes.push(call.await.unwrap());
    }
    outcomes
}

async fn connections(process: &Process, count: usize) -> Vec<Client> {
    let mut clients = Vec::new();
    for _ in 0..count {
        clients.push(process.client().await);
    }
    clients
}

/// The first service day that is open, on whichever day this runs.
async fn open_day(client: &Client) -> String {
    let filter = AvailabilityFilter { office_id: Some(OFFICE.into()), ..AvailabilityFilter::default() };
    let slots = client.availability(&filter).await.unwrap();
    // Not the first one: it may close while this runs.
    let open = slots.iter().filter(|slot| slot.state() == SlotState::Open && slot.lane() == Lane::Regular);
    open.skip(1).map(|slot| slot.service_date.clone()).next().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_thousand_people_ask_twice_for_120_places_and_kill_9_changes_nothing() {
    let data = tempfile::tempdir().unwrap();
    let process = Process::start(data.path(), &["--demo"]);
    let clients = connections(&process, 16).await;
    let day = open_day(&clients[0]).await;
    let asks: Vec<Ask> = (0..3_000)
        .map(|n| Ask::new(OFFICE, &day, Lane::Regular).applicant(nik(n), format!("person {n}")))
        .collect();
    let twice: Vec<Ask> = asks.iter().flat_map(|ask| [ask.clone(), ask.clone()]).collect();
    let outcomes = all_at_once(&clients, &twice).await;

    let mut granted = HashMap::new();
    for (pair, ask) in outcomes.chunks(2).zip(&asks) {
        match (&pair[0], &pair[1]) {
            (Outcome::Registered(first), Outcome::Registered(second)) => {
                assert_eq!(first, second, "one request, one registration");
                granted.insert(ask.id().to_owned(), first.clone());
            }
            (Outcome::Refused(first), Outcome::Refused(second)) => {
                assert_eq!(
                    (first.reason(), second.reason()),
                    (RefusalReason::SoldOut, RefusalReason::SoldOut)
                );
            }
            other => panic!("a repeat was told otherwise: {other:?}"),
        }
    }
    let numbers: BTreeSet<u32> = granted.values().map(|registration| registration.queue_number).collect();
    assert_eq!(numbers, (1..=120).collect());
    assert_eq!(granted.len(), PLACES);

    process.kill();
    let verdict = verify(data.path());
    assert!(verdict.ok && verdict.grants == 120 && verdict.live == 120, "{verdict:?}");

    let process = Process::start(data.path(), &["--demo"]);
    let client = process.client().await;
    for ask in &asks {
        match (client.register(ask).await.unwrap(), granted.get(ask.id())) {
            (Outcome::Registered(again), Some(first)) => assert_eq!(again, *first),
            (Outcome::Refused(refusal), None) => assert_eq!(refusal.reason(), RefusalReason::SoldOut),
            (outcome, first) => panic!("{outcome:?} where {first:?} was promised"),
        }
    }
    for registration in granted.values() {
        let found = client.get(kuota_client::Key::Code(registration.code.clone())).await.unwrap();
        assert_eq!(found, *registration);
    }
    let (status, log) = process.terminate();
    assert!(status.success(), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_people_with_120_asks_ahead_of_3_000_take_three_places() {
    let valve = Valve::default();
    let server = Friday::open().places(120).log(valve.wrap()).start().await;
    let mut clients = Vec::new();
    for _ in 0..16 {
        clients.push(server.connect().await.deadline(PATIENCE));
    }
    valve.set(Fate::Hold);
    let ask_all = |asks: std::ops::Range<u32>, people: u32| -> Vec<_> {
        asks.zip(clients.iter().cycle().cloned())
            .map(|(n, client)| {
                let ask = wish(if people == 0 { n } else { n % people });
                tokio::spawn(async move { insist(&client, &ask).await })
            })
            .collect()
    };
    let greedy = ask_all(0..120, 3);
    // Each of the three holds one permit, and all their other asks wait without.
    let metrics = || support::process::page(&server.addresses.http.to_string(), "/metrics");
    loop {
        let page = metrics();
        if page.contains("kuota_permits_out 3\n") && page.contains("kuota_standbys 117\n") {
            break;
        }
        tokio::task::yield_now().await;
    }
    // The honest find 117 permits; nobody hears that it is sold out before that is committed.
    let early: Vec<_> = (3..400)
        .zip(clients.iter().cycle().cloned())
        .map(|(n, client)| {
            tokio::spawn(async move {
                let told = client.register(&wish(n)).await;
                // A log that is held for long, on a slow machine, is an overload: told to come back, and nothing else.
                let is_shed = told.as_ref().is_err_and(|error| error.reason() == Some("OVERLOADED"));
                (!is_shed).then(|| told.unwrap())
            })
        })
        .collect();
    while early.iter().filter(|call| call.is_finished()).count() < 397 - 117 - 139 {
        tokio::task::yield_now().await;
    }
    let told: Vec<_> = early.iter().map(tokio::task::JoinHandle::is_finished).collect();
    valve.set(Fate::Pass);
    let honest = ask_all(400..3_003, 0);

    let (mut granted_greedy, mut granted_honest) = (0, 0);
    for call in greedy {
        match call.await.unwrap() {
            Outcome::Registered(_) => granted_greedy += 1,
            Outcome::Refused(refusal) => {
                let reason = refusal.reason();
                assert!(
                    matches!(reason, RefusalReason::AlreadyRegistered | RefusalReason::SoldOut),
                    "{reason:?}"
                );
            }
        }
    }
    for (call, told_before) in early.into_iter().zip(told) {
        match call.await.unwrap() {
            None => {}
            Some(Outcome::Registered(_)) => granted_honest += 1,
            Some(Outcome::Refused(refusal)) => {
                assert!(!told_before || refusal.reason() == RefusalReason::Busy, "told early: {refusal:?}");
            }
        }
    }
    for call in honest {
        granted_honest += usize::from(matches!(call.await.unwrap(), Outcome::Registered(_)));
    }
    assert_eq!((granted_greedy, granted_honest), (3, PLACES - 3));
    let verdict = server.verify();
    assert!(verdict.ok && verdict.grants == 120, "{verdict:?}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_told_sold_out_before_the_last_place_is_committed() {
    let valve = Valve::default();
    let server = Friday::open().places(3).log(valve.wrap()).start().await;
    for n in 0..2 {
        registered(server.client.register(&wish(n)).await.unwrap());
    }
    valve.set(Fate::Hold);
    let last = tokio::spawn({
        let client = server.client.clone().deadline(PATIENCE);
        async move { client.register(&wish(2)).await }
    });
    let holding = valve.clone();
    tokio::task::spawn_blocking(move || holding.wait_until_holding()).await.unwrap();
    // All are decided, not all are committed: whoever asks now waits, or is told BUSY, and nothing else.
    let clients = [server.connect().await, server.connect().await, server.connect().await];
    let waiting: Vec<_> = (3..400)
        .map(|n| {
            let client = clients[n as usize % clients.len()].clone().deadline(PATIENCE);
            tokio::spawn(async move { client.register(&wish(n)).await.unwrap() })
        })
        .collect();
    let mut told_at_once = 0;
    while told_at_once + 256 < waiting.len() {
        told_at_once = waiting.iter().filter(|call| call.is_finished()).count();
        tokio::task::yield_now().await;
    }
    valve.set(Fate::Pass);
    registered(last.await.unwrap().unwrap());
    let mut reasons: HashMap<RefusalReason, usize> = HashMap::new();
    for call in waiting {
        *reasons.entry(refused(call.await.unwrap()).reason()).or_default() += 1;
    }
    assert_eq!(
        reasons
            .keys()
            .filter(|reason| !matches!(reason, RefusalReason::Busy | RefusalReason::SoldOut))
            .count(),
        0
    );
    assert_eq!(
        reasons.get(&RefusalReason::SoldOut),
        Some(&256),
        "the standbys, and only they, waited: {reasons:?}"
    );
    assert_eq!(refused(server.client.register(&wish(500)).await.unwrap()).reason(), RefusalReason::SoldOut);
    server.stop().await;
}

#[tokio::test]
async fn a_place_that_comes_back_is_granted_again() {
    let server = Friday::open().places(2).start().await;
    let first = registered(server.client.register(&wish(0)).await.unwrap());
    registered(server.client.register(&wish(1)).await.unwrap());
    assert_eq!(refused(server.client.register(&wish(2)).await.unwrap()).reason(), RefusalReason::SoldOut);
    let party = wish(3).applicant(nik(4), "");
    let cancelled = registered(server.client.cancel(&first.id, "ill").await.unwrap());
    assert_eq!(cancelled.cancel_reason, "ill");
    // INV-8: free again the moment the answer is there.
    let monday = AvailabilityFilter { from_date: Some(MONDAY.into()), ..AvailabilityFilter::default() };
    assert_eq!(server.client.availability(&monday).await.unwrap()[0].available, Some(1));
    let refusal = refused(server.client.register(&party).await.unwrap());
    assert_eq!(refusal.reason(), RefusalReason::NotEnoughPlaces);
    assert_eq!((refusal.metadata["available"].as_str(), refusal.metadata["asked"].as_str()), ("1", "2"));
    let again = registered(server.client.register(&wish(2)).await.unwrap());
    assert_eq!(again.queue_number, 3, "a queue number is never given twice");
    server.stop().await;
}

#[tokio::test]
async fn the_opening_is_kept_to_the_millisecond() {
    let server = Friday::at("2026-11-27T06:59:59.999Z").places(2).start().await;
    let refusal = refused(server.client.register(&wish(0)).await.unwrap());
    assert_eq!(refusal.reason(), RefusalReason::NotOpenYet);
    assert_eq!(refusal.open_time.unwrap().seconds, 1_795_762_800);
    assert!(refusal.retry_after.is_some());
    server.clock.set(support::instant(support::T0));
    let granted = registered(server.client.register(&wish(0)).await.unwrap());
    assert_eq!((granted.queue_number, granted.service_date.as_str()), (1, MONDAY));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_opens_days_on_each_hour_of_the_week_and_in_a_holiday_week() {
    for day in 0..7 {
        let hours: Vec<_> = (0..24).map(|hour| tokio::spawn(demo_at(day * 24 + hour))).collect();
        for hour in hours {
            hour.await.unwrap();
        }
    }
}

/// So many hours after Monday midnight of Christmas week, in Pontianak.
async fn demo_at(hour: i64) {
    let start = support::instant("2026-12-20T17:00:00Z").plus_ms(hour * 3_600_000);
    let now = jiff::Timestamp::from_millisecond(start.0).unwrap().to_string();
    let server = Friday::at(&now).places(2).demo().start().await;
    let slots = server.client.availability(&AvailabilityFilter::default()).await.unwrap();
    let open = slots.into_iter().filter(|slot| slot.state() == SlotState::Open);
    let open: Vec<String> = open.map(|slot| slot.service_date).collect();
    assert!(open.len() >= 5, "{now}: {open:?}");
    assert!(!open.contains(&"2026-12-25".to_owned()), "{now}: Christmas");
    registered(server.client.register(&support::people::wish_for(OFFICE, &open[4], 1)).await.unwrap());
    server.stop().await;
}
