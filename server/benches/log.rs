//! What the log's thread does: encode a batch, seal it, append it durably, by the size of the batch.
//!
//! `cargo bench -p kuota-server --bench log`

#[path = "../domain/tests/world/mod.rs"]
mod world;

use std::{sync::Arc, time::Duration};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use kuota_domain::{
    code::BookingCode,
    event::{Actor, Change, Event},
    ids::{CallerNumber, ContentHash, OfficeNumber, RegistrationId, RequestKey, TrancheNumber},
    nik::ApplicantKey,
    registration::{Applicant, Registration, RegistrationState},
    slot::{Lane, SlotKey},
    time::UnixMillis,
};
use kuota_server::log::{Chain, EventLog, FORMAT, LogOptions, SqliteLog, encode_events};

/// As in a server.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const NOW: UnixMillis = UnixMillis(1_795_762_800_000);

fn grant(number: u32) -> Event {
    let registration = Registration {
        id: RegistrationId(number.into()),
        request: RequestKey { caller: CallerNumber(0), id: number.into() },
        content: ContentHash([7; 16]),
        slot: SlotKey { office: OfficeNumber(0), day: world::day("2026-11-30"), lane: Lane::Regular },
        tranche: TrancheNumber(1),
        state: RegistrationState::Confirmed,
        session: None,
        queue_number: number,
        code: BookingCode::draw(number.into(), 0),
        applicants: [Applicant {
            key: ApplicantKey([9; 16]),
            last_four: 1,
            passport: None,
            reference: "order 1795762800".into(),
        }]
        .into_iter()
        .collect(),
        created: NOW,
        particulars: None,
    };
    let actor = Actor { caller: CallerNumber(0), subject: Box::default() };
    Event { at: NOW, actor, reason: Box::default(), change: Change::Granted(Arc::new(registration)) }
}

fn appends(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("append a batch durably");
    group.measurement_time(Duration::from_secs(3)).sample_size(20);
    for size in [1, 16, 64, 256, 1_024, 4_096] {
        let events: Vec<Event> = (0..size).map(grant).collect();
        group.throughput(Throughput::Elements(size.into()));
        group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
            let directory = tempfile::tempdir().unwrap();
            let (mut log, _) =
                SqliteLog::open(&directory.path().join("log.sqlite"), LogOptions::default()).unwrap();
            let mut chain = Chain::default();
            bencher.iter(|| {
                let payload = encode_events(&events, NOW, Vec::new());
                let row = chain.seal(events.len() as u64, payload, (1, 1), (FORMAT, NOW.0));
                log.append(&row).unwrap();
                chain.advance(&row);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, appends);
criterion_main!(benches);
