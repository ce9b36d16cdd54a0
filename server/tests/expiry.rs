//! Ten thousand holds that expire in the same instant: every place comes back, and meanwhile others are answered. How long
//! each of that takes is printed, not judged:
//! `cargo test --release -p kuota-server --test expiry -- --nocapture`

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use kuota_client::{Ask, Client, Lane, Outcome, PassportKind, RefusalReason};
use kuota_domain::slot::SlotKey;
use support::{
    Friday, MONDAY, OFFICE, Server, held_catalog, instant,
    operator::{operator, quota},
    people::{nik, refused, registered},
};

const HOLDS: u32 = 10_000;
const BATCH: u32 = 1_000;
/// Of the other lane, which is sold out.
const ONE_DAY_PLACES: u32 = 9;
const DEADLINE: &str = "2026-11-27T09:00:00Z";

/// How long calls took.
struct Spans(Vec<Duration>);

impl Spans {
    fn line(mut self, what: &str) -> String {
        self.0.sort();
        let part =
            |percent: usize| self.0[(self.0.len() * percent / 100).min(self.0.len() - 1)].as_secs_f64() * 1e3;
        let (calls, p50, p99, max) = (self.0.len(), part(50), part(99), part(100));
        format!("{what}: {calls} calls, p50 {p50:.2} ms, p99 {p99:.2} ms, at most {max:.2} ms")
    }
}

/// Makes a call over and over until it is over, once at least.
async fn over_and_over(over: Arc<AtomicBool>, mut call: impl AsyncFnMut(u32)) -> Spans {
    let mut spans = Vec::new();
    for number in 0.. {
        let began = Instant::now();
        call(number).await;
        spans.push(began.elapsed());
        if over.load(Ordering::Relaxed) {
            break;
        }
    }
    Spans(spans)
}

fn free(server: &Server) -> u32 {
    let directory = server.engine().directory();
    let (office, _) = directory.find(OFFICE).unwrap();
    let day = kuota_domain::calendar::ServiceDay::parse(MONDAY).unwrap();
    directory.figures(SlotKey { office, day, lane: kuota_domain::slot::Lane::Regular }).unwrap().free
}

fn one_day(person: u32) -> Ask {
    Ask::new(OFFICE, MONDAY, Lane::OneDay).applicant(nik(person), "")
}

async fn hold_all(client: &Client) {
    for first in (0..HOLDS).step_by(BATCH as usize) {
        let ask = |person: u32| {
            let ask = Ask::new(OFFICE, MONDAY, Lane::Regular);
            ask.applicant(nik(person), "").passport(PassportKind::Ordinary5Years)
        };
        let asks: Vec<_> = (first..first + BATCH).map(ask).collect();
        for item in client.register_batch(&asks).await.unwrap() {
            assert!(registered(item.unwrap()).hold_expire_time.is_some());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_holds_that_expire_at_once_are_free_again_and_others_are_answered_meanwhile() {
    let server = Friday::open().catalog(held_catalog(HOLDS)).start().await;
    hold_all(&server.client).await;
    for person in 0..ONE_DAY_PLACES {
        registered(server.client.register(&one_day(20_000 + person)).await.unwrap());
    }
    assert_eq!(free(&server), 0);

    let over = Arc::new(AtomicBool::new(false));
    let (callers, mut admin) = (server.connect().await, operator(&server).await);
    let refusals = tokio::spawn({
        let over = over.clone();
        over_and_over(over, async move |number| {
            let refusal = refused(callers.register(&one_day(30_000 + number)).await.unwrap());
            assert_eq!(refusal.reason(), RefusalReason::SoldOut);
        })
    });
    let writes = tokio::spawn({
        let over = over.clone();
        over_and_over(over, async move |number| {
            admin.set_quota(quota(u128::from(number) + 1, "2026-12-01", 100 + number % 2)).await.unwrap();
        })
    });
    let looking = server.client.clone();
    server.clock.set(instant(DEADLINE));
    let began = Instant::now();
    // A clock that is moved wakes nobody.
    server.engine().flush().await;
    while free(&server) < HOLDS {
        tokio::task::yield_now().await;
    }
    let all_free = began.elapsed();
    over.store(true, Ordering::Relaxed);
    println!("{HOLDS} holds were free again after {:.1} ms", all_free.as_secs_f64() * 1e3);
    println!("{}", refusals.await.unwrap().line("refusals meanwhile"));
    println!("{}", writes.await.unwrap().line("operators' writes meanwhile"));

    // Each of them may have a place again, and that is all there is.
    hold_all(&looking).await;
    let late = Ask::new(OFFICE, MONDAY, Lane::Regular)
        .applicant(nik(40_000), "")
        .passport(PassportKind::Ordinary5Years);
    assert!(matches!(looking.register(&late).await.unwrap(), Outcome::Refused(_)));
    let verdict = server.verify();
    assert!(verdict.ok && verdict.grants == u64::from(2 * HOLDS + ONE_DAY_PLACES), "{verdict:?}");
    server.stop().await;
}
