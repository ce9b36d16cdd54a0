//! The threads that serve: one runtime a core, each on one thread, and connections dealt out to them. A call never
//! changes its thread, so that nothing of it is shared. Knows nothing of what is spoken on a connection.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
};

use tokio::{
    runtime::{Builder, Handle, Runtime},
    sync::oneshot,
};
use tracing::error;

use crate::limits::{TURNS_PER_DEAL, TURNS_PER_LOOK};

/// One runtime on the thread that asks for it.
///
/// # Errors
/// When the system gives it no descriptors.
pub fn single() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// Threads that serve connections.
#[derive(Debug)]
pub struct Workers {
    workers: Vec<Worker>,
    /// Where the next one goes among equals.
    next: usize,
}

#[derive(Debug)]
struct Worker {
    runtime: Handle,
    /// Connections it serves.
    open: Arc<AtomicUsize>,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Workers {
    /// Starts so many threads; at least one.
    ///
    /// # Errors
    /// When one cannot be started.
    pub fn start(threads: usize) -> io::Result<Self> {
        let workers = (0..threads.max(1)).map(Worker::start).collect::<io::Result<_>>()?;
        Ok(Self { workers, next: 0 })
    }

    /// Has a connection served by the thread that serves the fewest.
    pub fn deal(&mut self, connection: impl Future<Output = ()> + Send + 'static) {
        // Relaxed: a count that is late deals one connection less evenly, and orders nothing else.
        let open = self.workers.iter().map(|worker| worker.open.load(Ordering::Relaxed));
        let chosen = fewest(open, self.next);
        self.next = chosen + 1;
        let worker = &self.workers[chosen];
        let seat = Seat::take(&worker.open);
        // Its end is seen by whoever waits for all connections.
        drop(worker.runtime.spawn(async move {
            connection.await;
            drop(seat);
        }));
    }
}

/// Ends the threads, and with them every connection that is still open.
impl Drop for Workers {
    fn drop(&mut self) {
        let mut threads = Vec::with_capacity(self.workers.len());
        for Worker { stop, thread, .. } in self.workers.drain(..) {
            // An error means that it has ended already.
            let _ = stop.send(());
            threads.push(thread);
        }
        for thread in threads {
            if thread.join().is_err() {
                error!("a thread that serves connections panicked");
            }
        }
    }
}

impl Worker {
    fn start(number: usize) -> io::Result<Self> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .event_interval(TURNS_PER_LOOK)
            .global_queue_interval(TURNS_PER_DEAL)
            .build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new().name(format!("kuota-rpc-{number}")).spawn(move || {
            // An error is a sender that is gone: to be stopped as well.
            let _ = runtime.block_on(stopped);
            // What blocks on it, a read of history, is not waited for.
            runtime.shutdown_background();
        })?;
        Ok(Self { runtime: handle, open: Arc::default(), stop, thread })
    }
}

/// One connection among those of its thread.
#[derive(Debug)]
struct Seat(Arc<AtomicUsize>);

impl Seat {
    fn take(open: &Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Self(open.clone())
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The one with the fewest; among equals the first from `from` on, round and round.
fn fewest(open: impl Iterator<Item = usize>, from: usize) -> usize {
    let open: Vec<usize> = open.collect();
    let all = open.len().max(1);
    let order = (0..all).map(|step| (from + step) % all);
    order.min_by_key(|index| open.get(*index).copied().unwrap_or(usize::MAX)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Deals connections and says how many each thread holds.
    fn deal(open: &mut [usize], connections: usize) {
        let mut next = 0;
        for _ in 0..connections {
            let chosen = fewest(open.iter().copied(), next);
            open[chosen] += 1;
            next = chosen + 1;
        }
    }

    #[test]
    fn connections_are_dealt_out_evenly() {
        for connections in [4, 32, 1_000] {
            for threads in [1, 2, 3, 8] {
                let mut open = vec![0; threads];
                deal(&mut open, connections);
                let (least, most) = (open.iter().min().unwrap(), open.iter().max().unwrap());
                assert!(most - least <= 1, "{connections} to {threads}: {open:?}");
            }
        }
    }

    #[test]
    fn among_equals_they_go_round() {
        assert_eq!([0, 1, 2, 3].map(|from| fewest([5, 5, 5].into_iter(), from)), [0, 1, 2, 0]);
    }

    #[test]
    fn the_thread_that_lost_its_connections_gets_the_next_ones() {
        let mut open = [3, 0, 3];
        deal(&mut open, 3);
        assert_eq!(open, [3, 3, 3]);
    }

    #[test]
    fn every_thread_serves() {
        let mut workers = Workers::start(3).unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        for _ in 0..6 {
            let sender = sender.clone();
            workers.deal(async move {
                sender.send(thread::current().id()).unwrap();
                std::future::pending::<()>().await;
            });
        }
        let mut served = std::collections::HashMap::new();
        for id in receiver.iter().take(6) {
            *served.entry(id).or_insert(0) += 1;
        }
        assert_eq!(served.into_values().collect::<Vec<_>>(), [2, 2, 2]);
    }
}
