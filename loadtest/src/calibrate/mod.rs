//! What this machine and this client can do: the ceiling against a server that does nothing, the client's CPU a call
//! beside that of a plain tonic client, and how late the machine wakes whoever waits.

pub mod null;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use hdrhistogram::Histogram;
use kuota_api::v1::{
    Applicant, Lane, PassportKind, RegisterRequest, registration_service_client::RegistrationServiceClient,
};
use serde::Serialize;
use tokio::time::{MissedTickBehavior, interval};
use tonic::transport::Endpoint;

use crate::{
    driver::{
        answer::{Outcome, read_register},
        closed::{Closed, Throttle, close_loop, per_second, thread_cpu_ns},
        letter::{Desk, Letters, SlotName},
        tally::{histogram, record},
        wire::Procedure,
    },
    limits::TICK,
    plan::identity::Identities,
    report::figures::{Percentiles, ms},
    target::child::Child,
};

/// How the null server is asked.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Threads, with a share of the connections each.
    pub threads: usize,
    /// Connections of all threads together.
    pub connections: usize,
    /// For how long, a side.
    pub duration: Duration,
}

/// Threads and connections of a calibration for its own sake.
pub const PLAIN: (usize, usize) = (1, 32);
/// Calls under way against the null server, on all connections together: enough that neither side waits.
const IN_FLIGHT: usize = 1_024;

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct Calibration {
    /// Calls a second against the null server, on this machine together with it.
    pub ceiling_calls_per_s: f64,
    /// Client CPU a call.
    pub client_cpu_us_per_call: f64,
    /// Service times at full throttle.
    pub latency_ms: Percentiles,
    /// How late a tick of 1 ms comes on this machine when nothing else is done: 99th percentile,
    pub noise_p99_ms: f64,
    /// and the latest.
    pub noise_max_ms: f64,
    /// The same calls by a plain tonic client, where it was asked for.
    pub plain_tonic: Option<PlainTonic>,
}

/// A plain tonic client, in a closed loop of the same size.
#[derive(Clone, Debug, Serialize)]
pub struct PlainTonic {
    /// Calls a second.
    pub calls_per_s: f64,
    /// Client CPU a call.
    pub client_cpu_us_per_call: f64,
    /// This client's CPU a call as a share of it.
    pub ours_percent: f64,
}

/// Measures, for so long a side. Each side has the machine to itself.
///
/// # Errors
/// When the null server does not start or does not answer.
pub fn calibrate(program: &Path, shape: Shape, with_plain: bool) -> anyhow::Result<Calibration> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let child = Child::null(program)?;
    let address = child.addresses[0];
    let Shape { threads, connections, duration } = shape;
    let streams = (IN_FLIGHT / connections).max(1);
    let throttle = Throttle { address, connections, streams, rate: None, duration };
    let noise = runtime.block_on(noise((duration / 3).min(Duration::from_secs(1))));
    let own = own(throttle, threads)?;
    runtime.block_on(async {
        let cpu = own.cpu_us_per_call();
        let plain_tonic = if with_plain {
            let (calls_per_s, plain) = plain(throttle).await?;
            let ours_percent = 100.0 * cpu / plain;
            Some(PlainTonic { calls_per_s, client_cpu_us_per_call: plain, ours_percent })
        } else {
            None
        };
        Ok(Calibration {
            ceiling_calls_per_s: own.calls_per_s(),
            client_cpu_us_per_call: cpu,
            latency_ms: Percentiles::of(&own.latency),
            noise_p99_ms: ms(&noise, 0.99),
            noise_max_ms: ms(&noise, 1.0),
            plain_tonic,
        })
    })
}

/// This client's own loop, on as many threads as a run has.
fn own(throttle: Throttle, threads: usize) -> anyhow::Result<Closed> {
    let share = |index: usize| {
        let own = throttle.connections / threads + usize::from(index < throttle.connections % threads);
        Throttle { connections: own, ..throttle }
    };
    let drive = |index: usize| -> anyhow::Result<Closed> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(refusals(share(index), u32::try_from(index)?))
    };
    let parts: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|index| scope.spawn(move || drive(index))).collect();
        threads.into_iter().map(std::thread::ScopedJoinHandle::join).collect()
    });
    let mut all: Option<Closed> = None;
    for part in parts {
        let part = part.map_err(|_| anyhow::anyhow!("a calibrating thread panicked"))??;
        match &mut all {
            None => all = Some(part),
            Some(all) => all.add(&part),
        }
    }
    all.context("no thread calibrates")
}

/// The closed loop of one thread.
async fn refusals(throttle: Throttle, thread: u32) -> anyhow::Result<Closed> {
    let slot = SlotName {
        office_id: "kanim-pontianak".into(),
        service_date: "2026-11-30".into(),
        lane: Lane::Regular,
    };
    let letters =
        Letters::new(&[slot], Identities::new(u64::from(thread), "calibration"), PassportKind::Unspecified);
    let (mut desk, mut person) = (Desk::default(), 0);
    let body = || {
        person += 1;
        Some((letters.ask(&mut desk, 0, person, 0), ()))
    };
    let closed = close_loop(throttle, Procedure::Register, body, |answer, ()| match answer {
        Ok(message) => match read_register(message) {
            Outcome::Refused { .. } => Ok(1),
            outcome => Err(format!("the null server answered {outcome:?}")),
        },
        Err(fault) => Err(format!("the null server answered {fault:?}")),
    });
    let closed = closed.await?;
    anyhow::ensure!(closed.wrong.is_none(), "{}", closed.wrong.unwrap_or_default());
    Ok(closed)
}

/// The loop most people write: a channel a connection, a future a call, messages built and read by prost.
async fn plain(throttle: Throttle) -> anyhow::Result<(f64, f64)> {
    let Throttle { address, connections, streams, duration, .. } = throttle;
    let mut clients = Vec::new();
    for _ in 0..connections {
        let endpoint = Endpoint::from_shared(format!("http://{address}"))?.tcp_nodelay(true);
        clients.push(RegistrationServiceClient::new(endpoint.connect().await?));
    }
    let identities = Identities::new(0, "plain");
    let ask = |person: u32| {
        let mut nik = [b'0'; 16];
        identities.nik(person, &mut nik);
        RegisterRequest {
            request_id: uuid::Uuid::from_u128(identities.request(person, 0)).to_string(),
            office_id: "kanim-pontianak".into(),
            service_date: "2026-11-30".into(),
            lane: Lane::Regular.into(),
            applicants: vec![Applicant {
                nik: String::from_utf8_lossy(&nik).into_owned(),
                reference: format!("person {person}"),
                ..Applicant::default()
            }],
            ..RegisterRequest::default()
        }
    };
    let call = |client: &RegistrationServiceClient<_>, person| {
        let (mut client, request) = (client.clone(), ask(person));
        async move { client.register(request).await }
    };
    let (started, cpu) = (Instant::now(), thread_cpu_ns());
    let (mut calls, mut person) = (0_u64, 0);
    let mut under_way = FuturesUnordered::new();
    let next = |person: &mut u32| {
        *person += 1;
        call(&clients[usize::try_from(*person).unwrap_or(0) % connections], *person)
    };
    for _ in 0..connections * streams {
        under_way.push(next(&mut person));
    }
    while let Some(answer) = under_way.next().await {
        answer?;
        calls += 1;
        if started.elapsed() < duration {
            under_way.push(next(&mut person));
        }
    }
    let cpu_ns = thread_cpu_ns() - cpu;
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let cpu_us = cpu_ns as f64 / 1_000.0 / calls as f64;
    Ok((per_second(calls, started.elapsed()), cpu_us))
}

/// How late ticks come.
async fn noise(duration: Duration) -> Histogram<u32> {
    let mut late = histogram();
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let started = Instant::now();
    while started.elapsed() < duration {
        let due = ticks.tick().await;
        let late_us = due.elapsed().as_micros();
        record(&mut late, i64::try_from(late_us).unwrap_or(i64::MAX));
    }
    late
}
