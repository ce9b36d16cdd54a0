//! Looks after a server while others crowd it, on a thread of its own: every way around, again and again, and the memory.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use kuota_api::v1::{self, admin_service_client::AdminServiceClient};
use kuota_server::app::Addresses;
use tonic::transport::Channel;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::{
    OFFICE,
    operator::{command, scope},
    process::page,
};

/// Between two rounds.
const EVERY: Duration = Duration::from_millis(100);
/// A day that nobody of the crowd asks for.
const QUIET_DAY: &str = "2026-12-01";

/// Makes rounds until it is stopped.
pub(crate) struct Watchman {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Rounds>,
}

/// How long each way took, shortest first, and the most memory that was seen.
#[derive(Debug, Default)]
pub(crate) struct Rounds {
    times: [Vec<Duration>; WAYS.len()],
    pub(crate) memory_kib: u64,
}

const WAYS: [&str; 6] = [
    "health, a connection that stands",
    "health, a new connection",
    "/healthz",
    "/metrics",
    "admin, a read",
    WRITE,
];
/// What operators write waits for the log.
pub(crate) const WRITE: &str = "admin, a write";

impl Rounds {
    /// Every way, with its times.
    pub(crate) fn ways(&self) -> impl Iterator<Item = (&'static str, &[Duration])> {
        WAYS.into_iter().zip(self.times.iter().map(Vec::as_slice))
    }
}

/// Memory of this process.
pub(crate) fn memory_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

impl Watchman {
    pub(crate) fn start(addresses: Addresses) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(make_rounds(addresses, &stopped))
        });
        Self { stop, thread }
    }

    pub(crate) fn stop(self) -> Rounds {
        self.stop.store(true, Ordering::Relaxed);
        let mut rounds = self.thread.join().unwrap();
        rounds.times.iter_mut().for_each(|times| times.sort_unstable());
        rounds
    }
}

async fn make_rounds(addresses: Addresses, stopped: &AtomicBool) -> Rounds {
    let (grpc, http) = (format!("http://{}", addresses.grpc), addresses.http.to_string());
    let mut admin = AdminServiceClient::connect(format!("http://{}", addresses.admin)).await.unwrap();
    let mut health = HealthClient::new(connect(&grpc).await);
    let request = || HealthCheckRequest { service: String::new() };
    let (mut rounds, mut is_paused, mut id) = (Rounds::default(), false, 1_u128 << 100);
    let mut ticks = tokio::time::interval(EVERY);
    while !stopped.load(Ordering::Relaxed) {
        ticks.tick().await;
        let [standing, anew, healthz, metrics, read, write] = &mut rounds.times;
        timed(standing, health.check(request())).await.unwrap();
        let check = async { HealthClient::new(connect(&grpc).await).check(request()).await };
        timed(anew, check).await.unwrap();
        for (path, times) in [("/healthz", healthz), ("/metrics", metrics)] {
            assert!(timed(times, async { page(&http, path) }).await.contains("200 OK"));
        }
        timed(read, admin.get_catalog(v1::GetCatalogRequest::default())).await.unwrap();
        id += 1;
        let (command, scope) = (command(id), scope(Some(OFFICE), Some(QUIET_DAY), None));
        if is_paused {
            timed(write, admin.resume(v1::ResumeRequest { command, scope })).await.unwrap();
        } else {
            timed(write, admin.pause(v1::PauseRequest { command, scope })).await.unwrap();
        }
        is_paused = !is_paused;
        rounds.memory_kib = rounds.memory_kib.max(memory_kib());
    }
    rounds
}

async fn connect(url: &str) -> Channel {
    Channel::from_shared(url.to_owned()).unwrap().connect().await.unwrap()
}

async fn timed<T>(times: &mut Vec<Duration>, call: impl Future<Output = T>) -> T {
    let began = Instant::now();
    let answer = call.await;
    times.push(began.elapsed());
    answer
}
