//! The composition root: settings in, a running server out, and its bounded end. The one place that sees every part.

use std::{
    io,
    net::{SocketAddr, TcpListener as StdListener},
    sync::Arc,
    time::Duration,
};

use tokio::{net::TcpListener, sync::watch, task::JoinSet};
use tracing::{error, info, warn};

use crate::{
    accept::{Acceptor, connections_allowed},
    clock::Clock,
    config::{ConfigError, Settings},
    console::Console,
    data_dir::{DataDir, DataError},
    engine::{BootError, Engine, EngineParts, Fatal, WatchHub, recover},
    exit::Exit,
    grpc::Services,
    limits::{
        CALLS_LOOKED_AT_EVERY, DRAIN_MAX, HTTP_CONNECTION_LIFE, HTTP_CONNECTIONS_MAX, LAST_WORDS_MAX, NOTICE,
        STREAMS_DRAIN_MAX,
    },
    log::{EventLog, LogOptions, LogReader, SqliteLog},
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
                BootError::Read(_) | BootError::Append(_) => Exit::Log,
                BootError::Misfit { .. } => Exit::Invariant,
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
        });
        let engine = Arc::new(engine.map_err(StartError::Thread)?);
        let hub = Arc::new(WatchHub::new(engine.clone(), settings.watchers_max));
        let services = Arc::new(Services::new(engine.clone(), hub.clone(), metrics.clone()));
        let console = Console::new(engine.clone(), hub.clone(), metrics);
        Ok(Self { engine, hub, services, console, listeners })
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

    /// Serves until `shutdown` or a fatal fault, then drains, within bounds.
    ///
    /// # Errors
    /// When a listener cannot be handed to the runtime.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> io::Result<Exit> {
        let addresses = self.addresses()?;
        let Self { engine, hub, services, console, listeners } = self;
        let conflation = {
            let hub = hub.clone();
            tokio::spawn(async move { hub.run().await })
        };
        let connections_max = connections_allowed();
        let (close, closing) = watch::channel(false);
        let closed = |mut closing: watch::Receiver<bool>| async move {
            // An error means that the server is gone: closed as well.
            let _ = closing.wait_for(|closing| *closing).await;
        };
        let mut servers = JoinSet::new();
        {
            let (services, door) = (services.clone(), closed(closing.clone()));
            let acceptor = Acceptor::new(TcpListener::from_std(listeners.grpc)?, connections_max);
            servers.spawn(async move { services.serve(acceptor, door).await });
        }
        {
            let (services, door) = (services.clone(), closed(closing.clone()));
            let acceptor = Acceptor::new(TcpListener::from_std(listeners.admin)?, connections_max);
            servers.spawn(async move { services.serve_admin(acceptor, door).await });
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

        let fatal = tokio::select! {
            () = shutdown => None,
            fatal = engine.fatal() => Some(fatal),
        };
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
