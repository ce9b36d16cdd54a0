//! The composition root: settings in, a running server out, and its bounded end. The one place that sees every part.

use std::{
    convert::Infallible,
    io,
    net::{SocketAddr, TcpListener as StdListener},
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    task::JoinSet,
};
use tracing::{error, info, warn};

use crate::{
    accept::{Acceptor, connections_allowed},
    clock::Clock,
    config::{ConfigError, Settings},
    console::Console,
    data_dir::{DataDir, DataError},
    engine::{BootError, Engine, EngineParts, Fatal, WatchHub, recover},
    exit::Exit,
    grpc::{self, Desk, Services},
    limits::{
        CALLS_LOOKED_AT_EVERY, DRAIN_MAX, HTTP_CONNECTION_LIFE, HTTP_CONNECTIONS_MAX, LAST_WORDS_MAX,
        METRICS_UPKEEP_EVERY, NOTICE, STREAMS_DRAIN_MAX,
    },
    log::{EventLog, LogOptions, LogReader, SqliteLog},
    runtime::{self, Workers},
    telemetry::Metrics,
};

/// Puts something between the engine and its log: how tests hold and fail commits.
pub type WrapLog = Box<dyn FnOnce(Box<dyn EventLog>) -> Box<dyn EventLog> + Send>;

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Settings or catalogue.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The data directory.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The log.
    #[error("{}: {error}", path.display())]
    Boot {
        /// The log's file.
        path: std::path::PathBuf,
        /// What is wrong with it.
        error: BootError,
    },
    /// An address.
    #[error("{key} = {address}: cannot listen: {error}")]
    Listen {
        /// Which setting.
        key: &'static str,
        /// Its value.
        address: SocketAddr,
        /// Why not.
        error: io::Error,
    },
    /// A thread.
    #[error("a thread cannot be started: {0}")]
    Thread(io::Error),
}

impl StartError {
    /// How the process ends.
    #[must_use]
    pub const fn exit(&self) -> Exit {
        match self {
            Self::Config(_) | Self::Listen { .. } => Exit::Usage,
            Self::Data(
                DataError::InUse { .. }
                | DataError::Unusable { .. }
                | DataError::BadKey { .. }
                | DataError::KeyUnreadable { .. }
                | DataError::KeyLost { .. },
            ) => Exit::Usage,
            Self::Data(DataError::Io { .. }) | Self::Thread(_) => Exit::Log,
            Self::Boot { error, .. } => match error {
                BootError::Read(_) | BootError::Append(_) | BootError::Thread(_) => Exit::Log,
                BootError::Misfit(_) => Exit::Invariant,
                BootError::NikKey | BootError::Catalog(_) | BootError::Clock { .. } => Exit::Usage,
            },
        }
    }
}

/// A server that has recovered and holds its addresses.
#[derive(Debug)]
pub struct App {
    engine: Arc<Engine>,
    hub: Arc<WatchHub>,
    services: Arc<Services>,
    console: Console,
    listeners: Listeners,
    metrics: Arc<Metrics>,
    threads: usize,
}

#[derive(Debug)]
struct Listeners {
    grpc: StdListener,
    admin: StdListener,
    http: StdListener,
}

/// Where a server listens.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// gRPC for services.
    pub grpc: SocketAddr,
    /// gRPC for operators.
    pub admin: SocketAddr,
    /// HTTP.
    pub http: SocketAddr,
}

impl App {
    /// Binds, locks, replays, applies the catalogue.
    ///
    /// # Errors
    /// Says what to change.
    pub fn start(
        settings: &Settings,
        clock: Arc<dyn Clock>,
        wrap: Option<WrapLog>,
    ) -> Result<Self, StartError> {
        let catalog = settings.catalog.load()?;
        let listeners = Listeners {
            grpc: bind("listen", settings.listen)?,
            admin: bind("admin_listen", settings.admin_listen)?,
            http: bind("http_listen", settings.http_listen)?,
        };
        let data = DataDir::open(&settings.data)?;
        let nik_key = data.nik_key(settings.nik_key.as_deref())?;
        let metrics = Arc::new(Metrics::new());
        let path = data.log();
        let boot = || {
            let options = LogOptions { size_max_bytes: settings.log_size_max_bytes };
            let (log, report) = SqliteLog::open(&path, options)?;
            if report.tail_frames > 0 || report.tail_commits > 0 {
                warn!(
                    pages = report.tail_frames,
                    "dropped an unfinished commit at the end of the log: no answer leaves before its sync returned"
                );
            }
            let log: Box<dyn EventLog> = Box::new(log);
            let log = match wrap {
                Some(wrap) => wrap(log),
                None => log,
            };
            let mut recovered = recover(log, &nik_key, metrics.clone())?;
            let now = recovered.start_from(clock.now())?;
            let events = recovered.events;
            info!(events, registrations = recovered.ledger.registrations().count(), "log replayed");
            recovered.open_log(&nik_key, now)?;
            recovered.raise_format(now)?;
            recovered.apply_catalog(&catalog, now)?;
            if settings.demo {
                recovered.open_demo(now)?;
            }
            Ok(recovered)
        };
        let recovered = boot().map_err(|error| StartError::Boot { path: path.clone(), error })?;
        let engine = Engine::start(EngineParts {
            ledger: recovered.ledger,
            log: recovered.writer.keeping(Box::new(data)),
            reader: LogReader::new(&path),
            now: recovered.now,
            nik_key,
            clock,
            metrics: metrics.clone(),
            shards_max: settings.threads,
            write_offer: grpc::write_offer,
        });
        let engine = Arc::new(engine.map_err(StartError::Thread)?);
        let hub = Arc::new(WatchHub::new(engine.clone(), settings.watchers_max));
        let services = Arc::new(Services::new(engine.clone(), hub.clone(), metrics.clone()));
        let console = Console::new(engine.clone(), hub.clone(), metrics.clone());
        Ok(Self { engine, hub, services, console, listeners, metrics, threads: settings.threads })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the sockets do not say.
    pub fn addresses(&self) -> io::Result<Addresses> {
        Ok(Addresses {
            grpc: self.listeners.grpc.local_addr()?,
            admin: self.listeners.admin.local_addr()?,
            http: self.listeners.http.local_addr()?,
        })
    }

    /// The engine, for tests that wait for it.
    #[must_use]
    pub fn engine(&self) -> Arc<Engine> {
        self.engine.clone()
    }

    /// Serves until `shutdown` or a fatal fault, then drains, within bounds. Calls are served by threads of their own;
    /// what must have a way around a crowd of them, operators, health over HTTP, metrics and signals, by this one.
    ///
    /// # Errors
    /// When threads cannot be started, a listener cannot be handed to the runtime, or `shutdown` fails at once.
    pub fn run(self, shutdown: impl Future<Output = io::Result<()>>) -> io::Result<Exit> {
        let workers = Workers::start(self.threads)?;
        let control = runtime::single()?;
        let exit = control.block_on(self.serve(workers, shutdown));
        // What blocks on it, a page of history, is not waited for.
        control.shutdown_background();
        exit
    }

    async fn serve(
        self,
        mut workers: Workers,
        shutdown: impl Future<Output = io::Result<()>>,
    ) -> io::Result<Exit> {
        let addresses = self.addresses()?;
        let mut shutdown = pin!(shutdown);
        // Polled before anybody is told that this serves: signals are heeded from then on.
        let mut wanted = std::future::poll_fn(|cx| Poll::Ready(shutdown.as_mut().poll(cx))).await;
        let Self { engine, hub, services, console, listeners, metrics, threads: _ } = self;
        let conflation = {
            let hub = hub.clone();
            tokio::spawn(async move { hub.run().await })
        };
        let upkeep = tokio::spawn(async move {
            loop {
                tokio::time::sleep(METRICS_UPKEEP_EVERY).await;
                metrics.upkeep();
            }
        });
        let (connections_max, operators_max) = connections_allowed();
        let (close, closing) = watch::channel(false);
        let closed = |mut closing: watch::Receiver<bool>| async move {
            // An error means that the server is gone: closed as well.
            let _ = closing.wait_for(|closing| *closing).await;
        };
        let mut servers = JoinSet::new();
        {
            let acceptor = Acceptor::new(TcpListener::from_std(listeners.grpc)?, connections_max);
            let (desk, door) = (services.desk().map_err(io::Error::other)?, closing.clone());
            servers.spawn(async move {
                listen(acceptor, desk, door, |connection| workers.deal(connection)).await;
                Ok(())
            });
        }
        {
            let acceptor = Acceptor::new(TcpListener::from_std(listeners.admin)?, operators_max);
            let (desk, door) = (services.operators_desk().map_err(io::Error::other)?, closing.clone());
            servers.spawn(async move {
                let mut here = JoinSet::new();
                let deal = |connection| {
                    here.spawn(connection);
                    while here.try_join_next().is_some() {}
                };
                listen(acceptor, desk, door, deal).await;
                Ok(())
            });
        }
        {
            let (console, door) = (console.clone(), closed(closing));
            let acceptor = Acceptor::new(TcpListener::from_std(listeners.http)?, HTTP_CONNECTIONS_MAX);
            let acceptor = acceptor.with_life(HTTP_CONNECTION_LIFE);
            servers.spawn(async move { Ok(console.serve(acceptor, door).await?) });
        }
        services.set_serving(true).await;
        console.set_ready(true);
        info!(grpc = %addresses.grpc, admin = %addresses.admin, http = %addresses.http, "serving");

        let mut fatal = None;
        if wanted.is_pending() {
            tokio::select! {
                stop = shutdown => wanted = Poll::Ready(stop),
                cause = engine.fatal() => fatal = Some(cause),
            }
        }
        if let Poll::Ready(stop) = wanted {
            stop?;
        }
        services.set_serving(false).await;
        console.set_ready(false);
        let (exit, bound) = match &fatal {
            None => {
                info!("stopping: no new calls, those under way are finished");
                tokio::time::sleep(NOTICE).await;
                (Exit::Clean, DRAIN_MAX)
            }
            Some(Fatal::Log(_)) => (Exit::Log, LAST_WORDS_MAX),
            Some(Fatal::Invariant(_)) => (Exit::Invariant, LAST_WORDS_MAX),
        };
        close.send_replace(true);
        // A watch has no end of its own: it would hold its connection for as long as that may take.
        hub.close();
        drain(servers, bound, &services).await;
        if fatal.is_none() && tokio::time::timeout(bound, engine.flush()).await.is_err() {
            warn!("the log did not take the last batch in time");
        }
        let exit = engine.fatal_now().map_or(exit, |fatal| match fatal {
            Fatal::Log(_) => Exit::Log,
            Fatal::Invariant(_) => Exit::Invariant,
        });
        if let Err(error) = conflation.await {
            error!(%error, "watchers were not told of everything");
        }
        upkeep.abort();
        drop((services, console, hub));
        // Whoever still holds the engine is a call that did not end within the bound.
        if let Ok(engine) = Arc::try_unwrap(engine) {
            let stopped = tokio::task::spawn_blocking(|| engine.stop());
            if tokio::time::timeout(bound, stopped).await.is_err() {
                warn!("the log did not close in time");
            }
        }
        info!(code = exit.code(), "stopped");
        Ok(exit)
    }
}

/// A connection's service.
type Served = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Deals connections out until the door closes, then waits for the last of them.
async fn listen(
    mut acceptor: Acceptor,
    desk: Desk,
    mut closing: watch::Receiver<bool>,
    mut deal: impl FnMut(Served),
) {
    let (open, mut all_closed) = mpsc::channel::<Infallible>(1);
    loop {
        let arrival = tokio::select! {
            // An error means that the server is gone: closed as well.
            _ = closing.wait_for(|closing| *closing) => break,
            arrival = acceptor.next() => arrival,
        };
        let (desk, closing, open) = (desk.clone(), closing.clone(), open.clone());
        deal(Box::pin(async move {
            match arrival.open() {
                Ok(connection) => desk.serve(connection, closing).await,
                Err(error) => warn!(%error, "a connection cannot be served"),
            }
            drop(open);
        }));
    }
    drop((acceptor, open));
    // Nothing is ever sent: it ends when the last connection has dropped its sender.
    let _ = all_closed.recv().await;
}

/// Waits for the servers to end: so long for calls under way, and not much longer than the last of them for streams,
/// which end only when they are read.
async fn drain(mut servers: JoinSet<anyhow::Result<()>>, bound: Duration, services: &Services) {
    let over = async {
        while services.calls_under_way() > 0 {
            tokio::time::sleep(CALLS_LOOKED_AT_EVERY).await;
        }
        tokio::time::sleep(STREAMS_DRAIN_MAX).await;
    };
    let ended = async {
        while let Some(ended) = servers.join_next().await {
            match ended {
                Ok(Ok(())) => {}
                Ok(Err(error)) => error!(%error, "a listener failed"),
                Err(error) => error!(%error, "a listener panicked"),
            }
        }
    };
    let is_ended = tokio::select! {
        biased;
        () = ended => true,
        // An error is the bound: over as well.
        _ = tokio::time::timeout(bound, over) => false,
    };
    if !is_ended {
        warn!("connections were still open when the time to close them was over");
        servers.shutdown().await;
    }
}

fn bind(key: &'static str, address: SocketAddr) -> Result<StdListener, StartError> {
    let listen = || {
        let listener = StdListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    listen().map_err(|error| StartError::Listen { key, address, error })
}
