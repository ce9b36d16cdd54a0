//! What the ledger's thread does: decide and apply a grant, on a small and on a large state, and a log's replay.
//!
//! `cargo bench -p kuota-server --bench ledger`

#[path = "../domain/tests/world/mod.rs"]
mod world;

use std::{
    ops::Range,
    time::{Duration, Instant},
};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use kuota_domain::{
    ids::{CallerNumber, ContentHash, OfficeNumber, RegistrationId, RequestKey},
    ledger::{Command, Decision, Ledger},
    nik::ApplicantKey,
    registration::{Applicant, Ask},
    slot::{Lane, SlotKey},
};
use world::{World, catalog, day, office};

/// As in a server.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn opened() -> World {
    let mut world = World::new(
        &catalog(vec![office("kanim-bench", &[(Lane::Regular, u32::MAX)])]),
        world::instant("2026-11-27T06:00:00Z"),
    );
    world.at("2026-11-27T07:00:00Z");
    world
}

/// The wish of person `number`, alone; ids spread like random ones.
fn ask(number: u128) -> Ask {
    let spread = number.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
    Ask {
        registration: RegistrationId(spread),
        request: RequestKey { caller: CallerNumber(0), id: spread },
        content: ContentHash([0; 16]),
        slot: SlotKey { office: OfficeNumber(0), day: day("2026-11-30"), lane: Lane::Regular },
        applicants: [Applicant {
            key: ApplicantKey(spread.to_be_bytes()),
            last_four: 1,
            passport: None,
            reference: "order 1795762800".into(),
        }]
        .into_iter()
        .collect(),
        ground: None,
        session: None,
        code_seed: u64::try_from(spread >> 64).unwrap(),
    }
}

fn grant(world: &mut World, number: u128) {
    let command = Command::Register(ask(number));
    let Ok(Decision::Change(event)) = world.ledger.decide(&command, world.now) else {
        panic!("person {number} is not granted a place")
    };
    world.ledger.apply(&event).unwrap();
}

/// In batches, as the thread does it: the steps to undo one are forgotten when the log has it.
fn grant_all(world: &mut World, numbers: Range<u128>) -> Duration {
    let began = Instant::now();
    for batch in numbers.clone().step_by(1_000) {
        (batch..numbers.end.min(batch + 1_000)).for_each(|number| grant(world, number));
        world.ledger.seal();
        world.ledger.commit();
    }
    began.elapsed()
}

fn grants(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decide and apply a grant");
    group.throughput(Throughput::Elements(1)).measurement_time(Duration::from_secs(3)).sample_size(10);
    for live in [1_000, 100_000, 1_000_000] {
        group.bench_function(BenchmarkId::new("live", live), |bencher| {
            bencher.iter_custom(|count| {
                let mut world = opened();
                grant_all(&mut world, 0..live);
                grant_all(&mut world, live..live + u128::from(count))
            });
        });
    }
    group.finish();
}

fn replay(criterion: &mut Criterion) {
    const EVENTS: u64 = 100_000;
    let mut world = opened();
    for number in 0..EVENTS.into() {
        let Ok(Decision::Change(event)) = world.ledger.decide(&Command::Register(ask(number)), world.now)
        else {
            panic!("person {number} is not granted a place")
        };
        world.apply(event);
    }
    let mut group = criterion.benchmark_group("replay");
    group.throughput(Throughput::Elements(EVENTS)).sample_size(10);
    group.bench_function(BenchmarkId::new("grants", EVENTS), |bencher| {
        bencher.iter_with_large_drop(|| -> Ledger { world.replayed() });
    });
    group.finish();
}

criterion_group!(benches, grants, replay);
criterion_main!(benches);
