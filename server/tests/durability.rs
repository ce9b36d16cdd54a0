//! What a caller was told is true: held, failed and full logs, `kill -9`, and the order of sync and answer.

mod support;

use std::{
    collections::HashMap,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use kuota_client::{Ask, Client, Durability, Error, Key, Lane, RefusalReason, Registration};
use kuota_server::exit::Exit;
use support::{
    Friday, OFFICE,
    held_log::{Fate, Valve},
    people::{nik, refused, registered, wish},
    process::{Process, SERVER, arguments},
    verify,
};

fn reason(error: &Error) -> &str {
    error.reason().unwrap_or("none")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_commit_is_held_only_the_durable_wait_and_when_it_fails_nothing_happened() {
    let valve = Valve::default();
    let server = Friday::open().office("full", 1).office("free", 10).log(valve.wrap()).start().await;
    let wish_at = |office: &str, n| support::people::wish_for(office, support::MONDAY, n);
    registered(server.client.register(&wish_at("full", 0)).await.unwrap());

    valve.set(Fate::Hold);
    let durable = tokio::spawn({
        let (client, ask) = (server.client.clone(), wish_at("free", 1));
        async move { client.register(&ask).await }
    });
    let holding = valve.clone();
    tokio::task::spawn_blocking(move || holding.wait_until_holding()).await.unwrap();

    let refusal = refused(server.client.register(&wish_at("full", 2)).await.unwrap());
    assert_eq!(refusal.reason(), RefusalReason::SoldOut, "refusals go on");
    let accepted_ask = wish_at("free", 3).durability(Durability::Accepted);
    let accepted = registered(server.client.register(&accepted_ask).await.unwrap());
    assert_eq!(accepted.durable, Some(false), "accepted is answered, and not called durable");
    let again = registered(server.client.register(&accepted_ask).await.unwrap());
    assert_eq!(again, accepted, "a repeat joins it");
    let promised = server.client.get(Key::Id(accepted.id.clone())).await.unwrap();
    assert_eq!(promised, accepted, "it can be found, and is not called durable");
    assert!(!durable.is_finished(), "the durable one waits");
    let free = free_places(&server.client, "free").await;
    assert_eq!(free, 10, "nothing is taken that is not committed");

    valve.set(Fate::Full);
    let error = durable.await.unwrap().unwrap_err();
    assert_eq!(reason(&error), "LOG_FULL");
    assert!(error.is_retryable());
    for key in
        [Key::Id(accepted.id.clone()), Key::Code(accepted.code), Key::RequestId(accepted_ask.id().into())]
    {
        assert_eq!(reason(&server.client.get(key).await.unwrap_err()), "REGISTRATION_NOT_FOUND");
    }
    valve.set(Fate::Pass);
    for n in 10..20 {
        let granted = registered(support::people::insist(&server.client, &wish_at("free", n)).await);
        assert_eq!((granted.queue_number, granted.durable), (n - 9, Some(true)), "every place is back");
    }
    assert!(server.verify().ok);
    server.stop().await;
}

async fn free_places(client: &Client, office: &str) -> u32 {
    let filter = kuota_client::AvailabilityFilter {
        office_id: Some(office.into()),
        from_date: Some(support::MONDAY.into()),
        to_date: Some(support::MONDAY.into()),
        ..kuota_client::AvailabilityFilter::default()
    };
    client.availability(&filter).await.unwrap()[0].available.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_log_refuses_until_there_is_space() {
    let valve = Valve::default();
    let server = Friday::open().places(5).log(valve.wrap()).start().await;
    let kept = registered(server.client.register(&wish(0)).await.unwrap());
    valve.set(Fate::Full);
    let ask = wish(1);
    for _ in 0..3 {
        let error = server.client.register(&ask).await.unwrap_err();
        assert_eq!((error.code(), reason(&error)), (tonic::Code::Unavailable, "LOG_FULL"));
        let Error::Status(failed) = error else { panic!("no status") };
        assert!(failed.retry_after.is_some(), "a retry time is said");
    }
    assert_eq!(server.client.get(Key::Id(kept.id.clone())).await.unwrap(), kept, "it goes on answering");
    valve.set(Fate::Pass);
    assert_eq!(registered(server.client.register(&ask).await.unwrap()).queue_number, 2);
    assert!(server.verify().ok);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_reaches_its_size_stops_granting_and_goes_on_when_it_may_grow() {
    let data = Arc::new(tempfile::tempdir().unwrap());
    let small = Friday::open().places(10_000).data(&data).log_size_max_bytes(40_960).start().await;
    let mut granted = Vec::new();
    let error = loop {
        let n = u32::try_from(granted.len()).unwrap();
        match small.client.register(&wish(n)).await {
            Ok(outcome) => granted.push(registered(outcome)),
            Err(error) => break error,
        }
        assert!(granted.len() < 9_000, "the log has no bound");
    };
    assert_eq!(reason(&error), "LOG_FULL");
    let (before, after) = (wish(u32::try_from(granted.len()).unwrap()), wish(9_998));
    assert_eq!(reason(&small.client.register(&before).await.unwrap_err()), "LOG_FULL");
    assert_eq!(small.stop().await, Exit::Clean);

    // A week later days have ended and openings are due, and the log cannot take them: it serves what it has.
    let week_later = Friday::at("2026-12-04T07:00:00Z").places(10_000);
    let small = week_later.data(&data).log_size_max_bytes(40_960).start().await;
    assert_eq!(small.client.get(Key::Id(granted[0].id.clone())).await.unwrap(), granted[0]);
    assert_eq!(small.stop().await, Exit::Clean);

    let large = Friday::open().places(10_000).data(&data).start().await;
    for registration in &granted {
        assert_eq!(large.client.get(Key::Id(registration.id.clone())).await.unwrap(), *registration);
    }
    registered(large.client.register(&after).await.unwrap());
    large.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_log_says_so_stops_with_74_and_a_restart_recovers() {
    let data = Arc::new(tempfile::tempdir().unwrap());
    let valve = Valve::default();
    let server = Friday::open().places(5).data(&data).log(valve.wrap()).start().await;
    let kept = registered(server.client.register(&wish(0)).await.unwrap());
    valve.set(Fate::Break);
    let ask = wish(1);
    let error = server.client.register(&ask).await.unwrap_err();
    assert_eq!((error.code(), reason(&error)), (tonic::Code::Unavailable, "OUTCOME_UNKNOWN"));
    assert_eq!(server.ended().await, Exit::Log);

    let server = Friday::open().places(5).data(&data).start().await;
    assert_eq!(server.client.get(Key::Id(kept.id.clone())).await.unwrap(), kept);
    assert_eq!(registered(server.client.register(&ask).await.unwrap()).queue_number, 2);
    server.stop().await;
}

/// The kernel refuses to let the write-ahead log grow: an I/O error in the middle of a commit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_io_error_on_commit_ends_the_process_with_74_and_loses_nothing_acknowledged() {
    let data = tempfile::tempdir().unwrap();
    let mut command = Command::new("sh");
    // Blocks of 512 bytes; without the trap the signal SIGXFSZ would end the process first.
    command.args(["-c", "trap '' XFSZ; ulimit -f 400; exec \"$0\" \"$@\"", SERVER, "--demo"]);
    arguments(&mut command, data.path());
    let process = Process::spawn(command).unwrap_or_else(|ended| panic!("{}", ended.printed));
    let client = process.client().await;
    let days = open_days(&client, "kanim-singkawang").await;
    let mut granted = Vec::new();
    let (ask, error) = loop {
        let n = granted.len();
        let ask = Ask::new("kanim-singkawang", &days[n % days.len()], Lane::Regular)
            .applicant(nik(u32::try_from(n).unwrap()), "");
        match client.register(&ask).await {
            Ok(outcome) => granted.push(registered(outcome)),
            Err(error) => break (ask, error),
        }
    };
    assert_eq!(reason(&error), "OUTCOME_UNKNOWN");
    let (status, log) = process.wait();
    assert_eq!(status.code(), Some(74), "{log}");

    let process = Process::start(data.path(), &[]);
    let client = process.client().await;
    for registration in &granted {
        assert_eq!(client.get(Key::Id(registration.id.clone())).await.unwrap(), *registration);
    }
    let first = client.register(&ask).await.unwrap();
    assert_eq!(client.register(&ask).await.unwrap(), first, "the unknown one has one outcome");
    let (status, log) = process.terminate();
    assert!(status.success(), "{log}");
    assert!(verify(data.path()).ok);
}

async fn open_days(client: &Client, office: &str) -> Vec<String> {
    let filter = kuota_client::AvailabilityFilter {
        office_id: Some(office.into()),
        lane: Some(Lane::Regular),
        ..kuota_client::AvailabilityFilter::default()
    };
    let slots = client.availability(&filter).await.unwrap();
    let open = slots.iter().filter(|slot| slot.state() == kuota_client::SlotState::Open);
    open.skip(1).map(|slot| slot.service_date.clone()).collect()
}

#[derive(Default)]
struct Told {
    granted: HashMap<String, Registration>,
    unresolved: Vec<Ask>,
    people: Arc<AtomicU32>,
}

/// Registers one person after the other until the server is gone. The ask that was under way at the kill, if there
/// was one, has an unknown outcome.
async fn register_until_killed(
    client: Client,
    day: String,
    people: Arc<AtomicU32>,
    (answered, killed): (Arc<AtomicU32>, Arc<AtomicBool>),
) -> (Vec<(String, Registration)>, Option<Ask>) {
    let mut granted = Vec::new();
    loop {
        let person = people.fetch_add(1, Ordering::SeqCst);
        let ask = Ask::new(OFFICE, &day, Lane::Regular).applicant(nik(person), "");
        let began_before = !killed.load(Ordering::SeqCst);
        match client.register(&ask).await {
            Ok(outcome) => {
                granted.push((ask.id().to_owned(), registered(outcome)));
                answered.fetch_add(1, Ordering::SeqCst);
            }
            Err(error) => {
                assert!(error.is_retryable(), "{error:?}");
                assert!(!matches!(error, Error::Deadline { .. }), "nobody is left waiting: {error:?}");
                return (granted, Some(ask).filter(|_| began_before));
            }
        }
    }
}

/// One round: a spike, and SIGKILL after so many answers.
async fn spike_and_kill(data: &Path, catalog: &str, round: u32, told: &mut Told) {
    let process = Process::start(data, &["--demo", "--catalog", catalog]);
    let client = process.client().await;
    // What the round before left open has one outcome now, and keeps it.
    for ask in told.unresolved.drain(..) {
        let registration = registered(client.register(&ask).await.unwrap());
        told.granted.insert(ask.id().to_owned(), registration);
    }
    let days = open_days(&client, OFFICE).await;
    let (answered, killed) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
    let calls: Vec<_> = (0..32)
        .map(|n| {
            let day = days[n % days.len()].clone();
            let signs = (answered.clone(), killed.clone());
            tokio::spawn(register_until_killed(client.clone(), day, told.people.clone(), signs))
        })
        .collect();
    while answered.load(Ordering::SeqCst) < 1 + round * 7 % 100 {
        tokio::task::yield_now().await;
    }
    // Frozen first: a call that begins now is surely open when the process dies, whatever the scheduler does.
    process.freeze();
    let person = told.people.fetch_add(1, Ordering::SeqCst);
    let open_ask = Ask::new(OFFICE, &days[0], Lane::Regular).applicant(nik(person), "");
    let open_call = tokio::spawn({
        let (client, ask) = (client.clone(), open_ask.clone());
        async move { client.register(&ask).await }
    });
    killed.store(true, Ordering::SeqCst);
    process.kill();
    assert!(open_call.await.unwrap().unwrap_err().is_retryable());
    told.unresolved.push(open_ask);
    let before = told.granted.len();
    for call in calls {
        let (granted, unresolved) = call.await.unwrap();
        assert!(granted.iter().all(|(_, registration)| registration.durable == Some(true)));
        told.granted.extend(granted);
        told.unresolved.extend(unresolved);
    }
    assert!(told.granted.len() > before, "round {round} acknowledged nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_kills_in_mid_spike_lose_nothing_that_was_acknowledged() {
    let data = tempfile::tempdir().unwrap();
    let catalog = data.path().join("large.toml");
    std::fs::write(&catalog, support::catalog(&[(OFFICE.into(), 100_000)])).unwrap();
    let catalog = catalog.to_str().unwrap().to_owned();
    let mut told = Told::default();
    for round in 0..50 {
        spike_and_kill(data.path(), &catalog, round, &mut told).await;
    }
    let process = Process::start(data.path(), &["--catalog", &catalog]);
    let client = process.client().await;
    for (request_id, registration) in &told.granted {
        let found = client.get(Key::RequestId(request_id.clone())).await.unwrap();
        assert_eq!(found, *registration);
    }
    for ask in &told.unresolved {
        let first = registered(client.register(ask).await.unwrap());
        assert_eq!(registered(client.register(ask).await.unwrap()), first);
    }
    let (status, log) = process.terminate();
    assert!(status.success(), "{log}");
    let verdict = verify(data.path());
    assert!(verdict.ok, "{verdict:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_goes_away_neither_takes_nor_returns_a_place() {
    let valve = Valve::default();
    let server = Friday::open().places(3).log(valve.wrap()).start().await;
    valve.set(Fate::Hold);
    let ask = wish(0);
    let gone = tokio::spawn({
        let (client, ask) = (server.client.clone(), ask.clone());
        async move { client.register(&ask).await }
    });
    let holding = valve.clone();
    tokio::task::spawn_blocking(move || holding.wait_until_holding()).await.unwrap();
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    valve.set(Fate::Pass);
    let found = registered(server.client.register(&ask).await.unwrap());
    assert_eq!(found.queue_number, 1, "it belongs to the ledger, and a repeat gets it");
    for n in 1..3 {
        registered(server.client.register(&wish(n)).await.unwrap());
    }
    assert_eq!(refused(server.client.register(&wish(9)).await.unwrap()).reason(), RefusalReason::SoldOut);
    assert!(server.verify().ok);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_finishes_the_calls_that_are_under_way() {
    let valve = Valve::default();
    let mut server = Friday::open().places(20).log(valve.wrap()).start().await;
    valve.set(Fate::Hold);
    let calls: Vec<_> = (0..20)
        .map(|n| {
            let client = server.client.clone();
            tokio::spawn(async move { client.register(&wish(n)).await })
        })
        .collect();
    // Everyone's permit is out: all twenty are in the ledger's hands.
    while !support::process::page(&server.addresses.http.to_string(), "/metrics")
        .contains("kuota_permits_out 20")
    {
        tokio::task::yield_now().await;
    }
    server.begin_stop();
    valve.set(Fate::Pass);
    for call in calls {
        registered(call.await.unwrap().unwrap());
    }
    assert_eq!(server.stop().await, Exit::Clean);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_is_bounded_and_whoever_is_too_many_is_told_when_to_come_back() {
    use kuota_server::{
        engine::{Failure, Origin, Person, Wish},
        limits::{BATCH_COMMANDS_MAX, JOINERS_PER_REQUEST_MAX, LEDGER_QUEUE_MAX},
    };
    let valve = Valve::default();
    let server = Friday::open().places(100_000).log(valve.wrap()).start().await;
    valve.set(Fate::Hold);
    let ask = wish(0);
    let joined: Vec<_> = (0..JOINERS_PER_REQUEST_MAX + 5)
        .map(|_| {
            let (client, ask) = (server.client.clone(), ask.clone());
            tokio::spawn(async move { client.register(&ask).await })
        })
        .collect();
    while joined.iter().filter(|call| call.is_finished()).count() < 4 {
        tokio::task::yield_now().await;
    }

    let engine = server.engine_handle();
    let everyone = BATCH_COMMANDS_MAX + LEDGER_QUEUE_MAX + 100;
    let calls: Vec<_> = (1..=u32::try_from(everyone).unwrap())
        .map(|n| {
            let engine = engine.clone();
            let wish = Wish {
                caller: kuota_domain::ids::CallerNumber(0),
                request_id: n.into(),
                office: OFFICE.into(),
                day: kuota_domain::calendar::ServiceDay::parse(support::MONDAY).unwrap(),
                lane: kuota_domain::slot::Lane::Regular,
                party: [Person {
                    nik: kuota_domain::nik::Nik::parse(&nik(n)).unwrap(),
                    passport: None,
                    reference: Default::default(),
                }]
                .into(),
                ground: None,
                session: None,
                durability: kuota_server::engine::Durability::Durable,
            };
            tokio::spawn(async move { engine.register(wish, &Origin::default()).await })
        })
        .collect();
    drop(engine);
    while !calls.iter().any(tokio::task::JoinHandle::is_finished) {
        tokio::task::yield_now().await;
    }
    valve.set(Fate::Pass);
    let (mut granted, mut overloaded) = (0, 0);
    for call in calls {
        match call.await.unwrap() {
            Ok(_) => granted += 1,
            Err(Failure::Overloaded(_)) => overloaded += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(overloaded > 0 && granted + overloaded == everyone, "{granted} granted, {overloaded} overloaded");
    let (mut same, mut unknown) = (Vec::new(), 0);
    for call in joined {
        match call.await.unwrap() {
            Ok(outcome) => same.push(registered(outcome)),
            Err(error) => {
                assert_eq!(reason(&error), "OUTCOME_UNKNOWN");
                unknown += 1;
            }
        }
    }
    assert_eq!((same.len(), unknown), (JOINERS_PER_REQUEST_MAX + 1, 4));
    assert!(same.iter().all(|registration| *registration == same[0]));
    assert!(server.verify().ok);
    server.stop().await;
}

/// The answer leaves for the socket only after the sync of the log has returned.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sync_returns_before_the_durable_answer_leaves() {
    let directory = tempfile::tempdir().unwrap();
    let (data, trace) = (directory.path().join("data"), directory.path().join("trace"));
    let mut command = Command::new("strace");
    command.args(["-f", "-y", "-s", "4096", "-e", "trace=fdatasync,fsync,write,writev,sendto,sendmsg", "-o"]);
    command.arg(&trace).args([SERVER, "--demo"]);
    arguments(&mut command, &data);
    let process = Process::spawn(command).unwrap_or_else(|ended| panic!("{}", ended.printed));
    let client = process.client().await;
    let days = open_days(&client, OFFICE).await;
    let asks: Vec<_> =
        (0..20).map(|n| Ask::new(OFFICE, &days[0], Lane::Regular).applicant(nik(n), "")).collect();
    let mut codes = Vec::new();
    for ask in &asks {
        codes.push(registered(client.register(ask).await.unwrap()).code);
    }
    // strace ends when the server does.
    let page = process.page("/metrics");
    assert!(page.contains("kuota_grants_total{lane=\"REGULAR\"} 20"), "{page}");
    let (server, _) = (traced_child(process.pid()), &page);
    support::process::signal(server, rustix::process::Signal::TERM);
    let (_, log) = process.wait();

    let lines: Vec<String> = std::fs::read_to_string(&trace).unwrap().lines().map(str::to_owned).collect();
    let mut from = 0;
    for code in codes {
        let answer = lines.iter().position(|line| line.contains("socket:") && line.contains(&code));
        let answer = answer.unwrap_or_else(|| panic!("no answer with {code} in the trace\n{log}"));
        let synced = lines[from..answer].iter().any(|line| {
            let returned =
                line.contains("= 0") && (line.contains("fdatasync(") || line.contains("fdatasync resumed"));
            returned && (line.contains("log.sqlite-wal") || line.contains("resumed"))
        });
        assert!(synced, "nothing was synced between the answer before and the one with {code}");
        from = answer;
    }
}

/// The process that strace runs.
fn traced_child(strace: u32) -> u32 {
    let children = std::fs::read_to_string(format!("/proc/{strace}/task/{strace}/children")).unwrap();
    children.split_whitespace().next().unwrap().parse().unwrap()
}
