//! Drives a plan against a server, by its intended times and nothing else.

pub mod answer;
pub mod ask;
pub mod call;
pub mod clock;
pub mod closed;
pub mod letter;
pub mod persona;
pub mod pulse;
pub mod tally;
mod ticks;
pub mod wire;
pub mod worker;

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        mpsc::{Receiver, channel, sync_channel},
    },
    thread::{self, JoinHandle},
};

use tokio::{sync::oneshot, time::timeout};

use self::{
    ask::Driven,
    tally::Second,
    wire::Wire,
    worker::{Shared, work},
};
use crate::{
    limits::{CONNECT_MAX, SECONDS_WAITING_MAX},
    scenario::Scenario,
};

/// A run under way.
#[derive(Debug)]
pub struct Drive {
    threads: Vec<JoinHandle<io::Result<Driven>>>,
    start: Vec<oneshot::Sender<Arc<Shared>>>,
    /// Seconds as they end, of every thread; closed when all have ended.
    pub seconds: Receiver<Second>,
}

impl Drive {
    /// Starts the threads and connects them: who is not connected now would find out at T0.
    ///
    /// # Errors
    /// When a thread cannot be started, or a connection cannot be had.
    pub fn connect(scenario: &Scenario, address: SocketAddr) -> io::Result<Self> {
        let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let client = &scenario.client;
        let (count, connections, streams) =
            (size(client.threads), size(client.connections), size(client.streams));
        let (sender, seconds) = sync_channel(SECONDS_WAITING_MAX);
        let (ready, are_ready) = channel();
        let timeout_us = scenario.timeout_us();
        let (mut threads, mut start) = (Vec::with_capacity(count), Vec::with_capacity(count));
        for index in 0..count {
            let own = connections / count + usize::from(index < connections % count);
            let (sender, ready, (go, wait)) = (sender.clone(), ready.clone(), oneshot::channel());
            let drive = async move {
                let wire = timeout(CONNECT_MAX, Wire::connect(address, own, streams, timeout_us)).await;
                let wire = wire.map_err(io::Error::from).flatten();
                let (wire, failure) = match wire {
                    Ok(wire) => (Some(wire), None),
                    Err(failure) => (None, Some(failure)),
                };
                // Whoever waits has gone when another thread failed first.
                let _ = ready.send(failure);
                // Nobody says when to start: the run is off.
                let (Some(wire), Ok(shared)) = (wire, wait.await) else { return Driven::default() };
                work(index, shared, wire, sender).await
            };
            let run = move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                Ok(runtime.block_on(drive))
            };
            threads.push(thread::Builder::new().name(format!("drive-{index}")).spawn(run)?);
            start.push(go);
        }
        drop(ready);
        for _ in 0..count {
            let failure = are_ready.recv().map_err(|_| io::Error::other("a driver's thread ended"))?;
            if let Some(failure) = failure {
                return Err(failure);
            }
        }
        Ok(Self { threads, start, seconds })
    }

    /// Lets them begin.
    pub fn start(&mut self, shared: &Arc<Shared>) {
        for go in self.start.drain(..) {
            // A thread that ended says why when it is joined.
            let _ = go.send(shared.clone());
        }
    }

    /// Waits for the end of all threads.
    ///
    /// # Errors
    /// When one failed.
    pub fn join(self) -> io::Result<Driven> {
        let mut all = Driven::default();
        for thread in self.threads {
            all.add(thread.join().map_err(|_| io::Error::other("a driver's thread panicked"))??);
        }
        Ok(all)
    }
}
