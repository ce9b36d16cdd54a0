//! Drives a plan against a server, by its intended times and nothing else.

pub mod answer;
pub mod call;
pub mod clock;
pub mod closed;
pub mod letter;
pub mod persona;
pub mod tally;
pub mod wire;
pub mod worker;

use std::{
    io,
    sync::{
        Arc,
        mpsc::{Receiver, sync_channel},
    },
    thread::{self, JoinHandle},
};

use self::{
    tally::Second,
    worker::{Driven, Shared, work},
};
use crate::limits::SECONDS_WAITING_MAX;

/// A run under way.
#[derive(Debug)]
pub struct Drive {
    threads: Vec<JoinHandle<io::Result<Driven>>>,
    /// Seconds as they end, of every thread; closed when all have ended.
    pub seconds: Receiver<Second>,
}

impl Drive {
    /// Starts the threads; they wait for the plan's times.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start(shared: &Arc<Shared>) -> io::Result<Self> {
        let (sender, seconds) = sync_channel(SECONDS_WAITING_MAX);
        let threads = (0..shared.in_flight.len()).map(|index| {
            let (shared, sender) = (shared.clone(), sender.clone());
            let drive = move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                runtime.block_on(work(index, shared, sender))
            };
            thread::Builder::new().name(format!("drive-{index}")).spawn(drive)
        });
        Ok(Self { threads: threads.collect::<io::Result<_>>()?, seconds })
    }

    /// Waits for the end of all threads.
    ///
    /// # Errors
    /// When one could not connect.
    pub fn join(self) -> io::Result<Driven> {
        let mut all = Driven::default();
        for thread in self.threads {
            let one = thread.join().map_err(|_| io::Error::other("a driver's thread panicked"))??;
            all.tally.add(&one.tally);
            all.acks.extend(one.acks);
            all.unknown.extend(one.unknown);
            all.cpu_ns += one.cpu_ns;
            all.samples.extend(one.samples);
            all.sold_out.resize(one.sold_out.len(), 0);
            for (own, other) in all.sold_out.iter_mut().zip(one.sold_out) {
                *own += other;
            }
        }
        Ok(all)
    }
}
