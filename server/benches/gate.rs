//! What a claim and its return cost: the gate's shards beside one atomic, a mutex and a semaphore, at 1, 2 and 8 threads.
//!
//! `cargo bench -p kuota-server --bench gate`

use std::{
    hint::black_box,
    sync::{
        Arc, Barrier, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use kuota_domain::{
    gate::{Ending, Figures, SlotGate},
    time::UnixMillis,
};
use tokio::sync::Semaphore;

const PLACES: u32 = 100_000;

/// Time of `claims` claims, dealt out to threads that begin together.
fn contend(threads: u64, claims: u64, claim: impl Fn(usize) + Sync) -> Duration {
    let start = Barrier::new(usize::try_from(threads).unwrap() + 1);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|thread| {
                let (start, claim) = (&start, &claim);
                scope.spawn(move || {
                    let hint = usize::try_from(thread).unwrap();
                    start.wait();
                    for _ in 0..claims / threads {
                        claim(hint);
                    }
                })
            })
            .collect();
        start.wait();
        let began = Instant::now();
        for worker in workers {
            worker.join().unwrap();
        }
        began.elapsed()
    })
}

fn gate(shards: usize) -> Arc<SlotGate> {
    let figures = Figures {
        capacity: PLACES,
        free: PLACES,
        taken: 0,
        paused: false,
        open_at: UnixMillis::MIN,
        close_at: UnixMillis::MAX,
        ending: Ending::Closing,
    };
    SlotGate::new(figures, shards).0
}

fn take_one(free: &AtomicU32) {
    let taken = free.fetch_update(Ordering::Acquire, Ordering::Relaxed, |free| free.checked_sub(1));
    if black_box(taken).is_ok() {
        free.fetch_add(1, Ordering::Release);
    }
}

fn claims(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("claim and return");
    for threads in [1, 2, 8] {
        let mut bench = |name: &str, claim: &(dyn Fn(usize) + Sync)| {
            group.bench_function(BenchmarkId::new(name, threads), |bencher| {
                bencher.iter_custom(|claims| contend(threads, claims.max(threads), claim));
            });
        };
        for shards in [1, 2, 8] {
            let gate = gate(shards);
            bench(&format!("gate, {shards} shards"), &|hint| {
                let mut pass = gate.enter(hint);
                black_box(pass.claim(1) || pass.wait());
            });
        }
        let free = AtomicU32::new(PLACES);
        bench("one atomic", &|_| take_one(&free));
        let free = Mutex::new(PLACES);
        bench("mutex", &|_| {
            let is_taken = {
                let mut free = free.lock().unwrap();
                let taken = free.checked_sub(1);
                *free = taken.unwrap_or(*free);
                taken.is_some()
            };
            if black_box(is_taken) {
                *free.lock().unwrap() += 1;
            }
        });
        let free = Semaphore::new(PLACES as usize);
        bench("tokio semaphore", &|_| drop(black_box(free.try_acquire())));
    }
    group.finish();
}

/// What a refused call does: reads the slot's word.
fn refusals(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("read the word of a full slot");
    let gate = gate(2);
    for threads in [1, 2, 8] {
        group.bench_function(BenchmarkId::from_parameter(threads), |bencher| {
            let read = |_| drop(black_box(gate.figures().refuse(PLACES + 1, UnixMillis(0))));
            bencher.iter_custom(|reads| contend(threads, reads.max(threads), read));
        });
    }
    group.finish();
}

criterion_group!(benches, claims, refusals);
criterion_main!(benches);
