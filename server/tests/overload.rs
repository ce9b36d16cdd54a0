//! Many times more asks than the log takes. Whoever is served is served in time, all others are told when to come back, and
//! those who look after the server do not stand in the crowd. A few seconds; a minute at ten times capacity:
//! `KUOTA_OVERLOAD_SECONDS=60 cargo test --release -p kuota-server --test overload -- --nocapture`.

mod support;

use std::{
    ops::RangeFrom,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use kuota_api::v1::{
    self, register_batch_item, register_response, registration_service_client::RegistrationServiceClient,
};
use kuota_client::Outcome;
use kuota_server::limits::PUSHBACK_MIN;
use support::{
    Friday, MONDAY, OFFICE, Server,
    held_log::{Fate, Valve},
    people::{nik, registered, wish},
    process::page,
    slow_log::slowed,
    watchman::{WRITE, Watchman, memory_kib},
};
use tonic::{Code, Status, transport::Channel};
use tonic_types::StatusExt as _;

type Client = RegistrationServiceClient<Channel>;

/// What callers have: an answer after it is none.
const DEADLINE: Duration = Duration::from_secs(1);
/// What those who look after the server have.
const WAY_AROUND_WITHIN: Duration = Duration::from_millis(100);
const TIMES_CAPACITY: u32 = 10;
/// How long the peak is looked for, at most, at each pace.
const PEAK_LASTS: Duration = Duration::from_secs(8);
/// More than this, and something grows that should not: what is granted takes its place, and so do calls under way.
const MEMORY_KIB_MAX: u64 = 256 * 1_024;
const CONNECTIONS: usize = 16;
/// Asks of one batch: more than a connection may have waiting.
const MANY: u32 = 100;
/// Somebody whom the crowd does not ask for, and those after them.
const MODEST: u32 = 3_000_000;

/// How long, and how long the log takes for an event.
struct Size {
    lasts: Duration,
    each: Duration,
    is_long: bool,
}

impl Size {
    /// Short where it is one test among many, and may share a slow machine with them.
    fn chosen() -> Self {
        match std::env::var("KUOTA_OVERLOAD_SECONDS") {
            Ok(seconds) => Self {
                lasts: Duration::from_secs(seconds.parse().unwrap()),
                each: Duration::from_millis(1),
                is_long: true,
            },
            Err(_) => {
                Self { lasts: Duration::from_secs(3), each: Duration::from_micros(1_250), is_long: false }
            }
        }
    }
}

fn ask(number: u32) -> v1::RegisterRequest {
    v1::RegisterRequest {
        request_id: uuid::Uuid::from_u128(u128::from(number) + 1).to_string(),
        office_id: OFFICE.into(),
        service_date: MONDAY.into(),
        lane: v1::Lane::Regular.into(),
        applicants: vec![v1::Applicant { nik: nik(number), ..Default::default() }],
        durability: v1::Durability::Durable.into(),
        ..Default::default()
    }
}

async fn connect(server: &Server) -> Client {
    Client::connect(format!("http://{}", server.addresses.grpc)).await.unwrap()
}

/// When somebody who was shed shall come back; `None` where that is not said as gRPC says it.
fn told_when(status: &Status) -> Option<Duration> {
    let details = status.get_error_details();
    let reason = details.error_info()?.reason.as_str();
    let retry = details.retry_info()?.retry_delay?;
    let pushback_ms: u128 = status.metadata().get("grpc-retry-pushback-ms")?.to_str().ok()?.parse().ok()?;
    let is_said = (status.code(), reason) == (Code::Unavailable, "OVERLOADED");
    (is_said && pushback_ms == retry.as_millis() && retry >= PUSHBACK_MIN).then_some(retry)
}

/// What became of asks.
#[derive(Debug, Default)]
struct Told {
    in_time: AtomicU64,
    late: AtomicU64,
    shed: AtomicU64,
    /// Shed, and not told when to come back.
    untold: AtomicU64,
    others: Mutex<Vec<String>>,
}

impl Told {
    fn note(&self, answer: Result<v1::RegisterResponse, Status>, took: Duration) {
        let count = match answer {
            Ok(v1::RegisterResponse {
                outcome: Some(register_response::Outcome::Registration(_)), ..
            }) => {
                if took <= DEADLINE {
                    &self.in_time
                } else {
                    &self.late
                }
            }
            Ok(other) => return self.others.lock().unwrap().push(format!("{other:?}")),
            Err(status) if status.code() == Code::Unavailable => {
                if told_when(&status).is_some() {
                    &self.shed
                } else {
                    &self.untold
                }
            }
            Err(status) => return self.others.lock().unwrap().push(format!("{status:?}")),
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    fn in_time(&self) -> u64 {
        self.in_time.load(Ordering::Relaxed)
    }

    fn granted(&self) -> u64 {
        self.in_time() + self.late.load(Ordering::Relaxed)
    }

    fn per_s(&self, lasted: Duration) -> f64 {
        let in_time = u32::try_from(self.in_time()).unwrap();
        f64::from(in_time) / lasted.as_secs_f64()
    }
}

/// Asks at a steady pace, whatever comes of it, and waits for the last answer. Times count from when an ask was due.
async fn offer(clients: &[Client], per_s: u32, lasts: Duration, people: &mut RangeFrom<u32>) -> Told {
    let told = Arc::new(Told::default());
    let mut calls = tokio::task::JoinSet::new();
    let all = u32::try_from(u128::from(per_s) * lasts.as_millis() / 1_000).unwrap();
    let mut ticks = tokio::time::interval(Duration::from_millis(5));
    let start = Instant::now();
    let mut offered = 0;
    while offered < all {
        ticks.tick().await;
        while offered < all && start + Duration::from_secs(1) * offered / per_s <= Instant::now() {
            let due = start + Duration::from_secs(1) * offered / per_s;
            let mut client = clients[offered as usize % clients.len()].clone();
            let (told, number) = (told.clone(), people.next().unwrap());
            calls.spawn(async move {
                let answer = client.register(ask(number)).await;
                told.note(answer.map(tonic::Response::into_inner), due.elapsed());
            });
            offered += 1;
        }
        while calls.try_join_next().is_some() {}
    }
    while calls.join_next().await.is_some() {}
    Arc::into_inner(told).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_ten_times_capacity_as_much_is_granted_as_ever_and_all_others_are_told_when_to_come_back() {
    let size = Size::chosen();
    let server = Friday::open().places(1_000_000).log(slowed(size.each)).start().await;
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        clients.push(connect(&server).await);
    }
    let capacity_per_s = u32::try_from(Duration::from_secs(1).as_nanos() / size.each.as_nanos()).unwrap();
    let (mut people, before_kib) = (0.., memory_kib());
    let mut peak_per_s = 0.0_f64;
    let mut granted = 0;
    // What it does while it has just enough to do, and somewhat more.
    let lasts = size.lasts.min(PEAK_LASTS);
    for percent in [100, 150] {
        let told = offer(&clients, capacity_per_s * percent / 100, lasts, &mut people).await;
        println!("at {percent} % of what the log takes: {:.0} grants/s in time, {told:?}", told.per_s(lasts));
        peak_per_s = peak_per_s.max(told.per_s(lasts));
        granted += told.granted();
    }
    let watchman = Watchman::start(server.addresses);
    let modest = tokio::spawn(ask_now_and_then(connect(&server).await, size.lasts));
    let told = offer(&clients, capacity_per_s * TIMES_CAPACITY, size.lasts, &mut people).await;
    let (rounds, (modest_granted, modest_asked)) = (watchman.stop(), modest.await.unwrap());
    granted += told.granted() + modest_granted;

    let (goodput_per_s, after_kib) = (told.per_s(size.lasts), rounds.memory_kib);
    println!(
        "the log takes          {capacity_per_s} events/s at most; at its peak {peak_per_s:.0} grants/s in time"
    );
    println!("offered                {} asks/s for {:?}", capacity_per_s * TIMES_CAPACITY, size.lasts);
    println!("ratio                  {:.1}", f64::from(capacity_per_s * TIMES_CAPACITY) / peak_per_s);
    println!(
        "goodput                {goodput_per_s:.0} grants/s in time, {:.0} % of peak",
        goodput_per_s / peak_per_s * 100.0
    );
    println!("became of them         {told:?}");
    println!("who asks now and then  {modest_granted} of {modest_asked} granted at once");
    println!("memory                 {} MiB before, {} MiB at most", before_kib / 1_024, after_kib / 1_024);
    for (way, times) in rounds.ways() {
        let (typical, longest) = (times[times.len() / 2], times[times.len() - 1]);
        println!("{way:36} p50 {typical:>10.1?}   max {longest:>10.1?}   of {}", times.len());
    }

    let others = told.others.lock().unwrap().clone();
    assert!(others.is_empty(), "{} other answers, such as {}", others.len(), others[0]);
    let shed = told.shed.load(Ordering::Relaxed);
    assert_eq!(told.untold.load(Ordering::Relaxed), 0, "everybody is told when to come back");
    assert!(shed > told.granted(), "{told:?}");
    let enough = if size.is_long { 0.9 } else { 0.75 };
    assert!(goodput_per_s >= peak_per_s * enough, "{goodput_per_s} of {peak_per_s}");
    // Nobody is spared the first moments, before there is a limit; of the crowd one in ten is granted.
    let tenths = if size.is_long { 9 } else { 5 };
    assert!(modest_granted * 10 >= modest_asked * tenths, "{modest_granted} of {modest_asked}");
    assert!(after_kib - before_kib < MEMORY_KIB_MAX, "{before_kib} KiB, then {after_kib} KiB");
    for (way, times) in rounds.ways() {
        // Where others use the machine too, some are late through no fault of the server.
        let late = if !size.is_long {
            times.len() / 2
        } else if way == WRITE {
            // What is written while the crowd comes waits for two batches, for as long as there is no limit.
            times.len() / 100
        } else {
            0
        };
        let judged = times.len() - 1 - late;
        assert!(times[judged] <= WAY_AROUND_WITHIN, "{way}: {:?}", times[judged]);
    }
    let verdict = server.verify();
    assert!(verdict.ok, "{:?}", verdict.faults);
    assert_eq!(verdict.grants, granted, "none is lost, and none doubled");
    server.stop().await;
}

/// Somebody else, on a connection of their own: says how many were granted at once, of how many.
async fn ask_now_and_then(mut client: Client, lasts: Duration) -> (u64, u64) {
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    let (mut granted, mut asked) = (0, 0);
    for number in MODEST.. {
        if u128::from(asked) * 100 >= lasts.as_millis() {
            break;
        }
        ticks.tick().await;
        granted += u64::from(client.register(ask(number)).await.is_ok());
        asked += 1;
    }
    (granted, asked)
}

/// Calls of a method that have begun.
fn begun(server: &Server, method: &str) -> u64 {
    let page = page(&server.addresses.http.to_string(), "/metrics");
    let name = format!("grpc_method=\"{method}\"}} ");
    let line =
        page.lines().find(|line| line.starts_with("grpc_server_started_total") && line.contains(&name));
    line.unwrap().rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_shed_leaves_no_trace_and_a_repeat_of_what_waits_is_not_shed() {
    let valve = Valve::default();
    let server = Friday::open().places(1_000).log(valve.wrap()).start().await;
    valve.set(Fate::Hold);
    let client = connect(&server).await;
    let call = |number| {
        let mut client = client.clone();
        tokio::spawn(async move { client.register(ask(number)).await.map(tonic::Response::into_inner) })
    };
    // The log takes nothing: one after the other waits, until one may not.
    let mut calls = vec![call(0)];
    valve.wait_until_holding();
    let shed = loop {
        let mut next = call(u32::try_from(calls.len()).unwrap());
        match tokio::time::timeout(Duration::from_millis(20), &mut next).await {
            Ok(answer) => break answer.unwrap().unwrap_err(),
            Err(_) => calls.push(next),
        }
        assert!(calls.len() < 1_000, "nobody is shed");
    };
    assert!(told_when(&shed).is_some(), "{shed:?}");
    let asked = u32::try_from(calls.len()).unwrap();
    let repeat = call(0);
    let batch = tokio::spawn({
        let (mut client, requests) = (client.clone(), [0, asked + 1, asked + 2].map(ask).into());
        async move { client.register_batch(v1::RegisterBatchRequest { requests }).await.unwrap().into_inner() }
    });
    let until_begun = async |calls: u64, batches: u64| {
        while begun(&server, "Register") < calls || begun(&server, "RegisterBatch") < batches {
            tokio::task::yield_now().await;
        }
    };
    until_begun(u64::from(asked) + 2, 1).await;
    // Answered after both were looked at: they are on the same connection.
    assert!(told_when(&call(asked).await.unwrap().unwrap_err()).is_some());
    // The SDK comes back by itself, with what was shed of a batch and with a call.
    let sdk = kuota_client::Client::builder(format!("http://{}", server.addresses.grpc)).channels(1);
    let sdk = sdk.connect().await.unwrap();
    let many: Vec<_> = (0..MANY).map(|number| wish(5_000 + number)).collect();
    let (batching, one) = (sdk.clone(), wish(6_000));
    let told_to_wait = Instant::now();
    let batch_of_sdk =
        tokio::spawn(async move { (batching.register_batch(&many).await, told_to_wait.elapsed()) });
    until_begun(u64::from(asked) + 3, 2).await;
    let call_of_sdk = tokio::spawn(async move { (sdk.register(&one).await, told_to_wait.elapsed()) });
    until_begun(u64::from(asked) + 4, 2).await;
    valve.set(Fate::Pass);

    let first = calls.remove(0).await.unwrap().unwrap().outcome;
    assert!(matches!(first, Some(register_response::Outcome::Registration(_))), "{first:?}");
    assert_eq!(repeat.await.unwrap().unwrap().outcome, first);
    let items = batch.await.unwrap().items;
    let [known, new, newer] = &items[..] else { panic!("{items:?}") };
    assert!(matches!(known.outcome, Some(register_batch_item::Outcome::Registration(_))), "{known:?}");
    let Some(register_batch_item::Outcome::Error(error)) = &new.outcome else { panic!("{new:?}") };
    assert!(error.code == 14 && error.details.iter().any(|detail| detail.type_url.ends_with("RetryInfo")));
    assert_eq!(new.outcome, newer.outcome, "all of a batch come back together");
    let (answers, took) = batch_of_sdk.await.unwrap();
    assert!(answers.unwrap().into_iter().all(|answer| matches!(answer, Ok(Outcome::Registered(_)))));
    assert!(took >= PUSHBACK_MIN, "{took:?}: not before it was told to");
    let (answer, took) = call_of_sdk.await.unwrap();
    registered(answer.unwrap());
    assert!(took >= PUSHBACK_MIN, "{took:?}: not before it was told to");
    for call in calls {
        // Whoever waited for too long was shed all the same.
        if let Err(status) = call.await.unwrap() {
            assert!(told_when(&status).is_some(), "{status:?}");
        }
    }
    // Under the same ids: who was granted is told so again, who was shed is granted now.
    for number in 0..asked + 3 {
        let answer = call(number).await.unwrap().unwrap();
        let outcome = answer.outcome;
        assert!(matches!(outcome, Some(register_response::Outcome::Registration(_))), "{outcome:?}");
    }
    let verdict = server.verify();
    assert_eq!((verdict.ok, verdict.grants), (true, u64::from(asked + 3 + MANY + 1)));
    server.stop().await;
}
