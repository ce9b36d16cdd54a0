//! A server of the run's own: the real one, in a child process of this program, on ports the system chose.

use std::{io::Read as _, net::SocketAddr, path::PathBuf, sync::Arc};

use anyhow::Context as _;
use kuota_server::{
    app::App,
    clock::SystemClock,
    config::{CatalogSource, LogFormat, Settings},
    exit::Exit,
    limits::WATCHERS_MAX,
};

/// What the child is told.
#[derive(Clone, Debug, clap::Args)]
pub struct ServeArguments {
    /// Directory of log, key and lock.
    #[arg(long)]
    data: PathBuf,
    /// Catalogue; West Kalimantan when there is none.
    #[arg(long)]
    catalog: Option<PathBuf>,
    /// gRPC address for services.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// gRPC address for operators.
    #[arg(long, default_value = "127.0.0.1:0")]
    admin_listen: SocketAddr,
    /// Lower priority than others: added to the niceness of this process.
    #[arg(long, default_value_t = 0)]
    nice: i32,
}

/// Serves until standard input ends: a child never outlives its parent.
///
/// # Errors
/// When the server does not start.
pub fn serve(arguments: ServeArguments) -> anyhow::Result<()> {
    let ServeArguments { data, catalog, listen, admin_listen, nice } = arguments;
    rustix::process::nice(nice)?;
    let settings = Settings {
        catalog: catalog.map_or_else(CatalogSource::built_in, CatalogSource::File),
        listen,
        admin_listen,
        http_listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        data,
        threads: std::thread::available_parallelism().map_or(1, usize::from),
        nik_key: None,
        log_size_max_bytes: None,
        log_format: LogFormat::Human,
        log_level: "warn".into(),
        watchers_max: WATCHERS_MAX,
        demo: false,
        insecure: false,
    };
    let subscriber = kuota_server::telemetry::subscriber(&settings.log_level, settings.log_format)
        .map_err(anyhow::Error::msg)?;
    tracing::subscriber::set_global_default(subscriber)?;
    let app = App::start(&settings, Arc::new(SystemClock::default()), None)?;
    let addresses = app.addresses()?;
    println!("{} {}", addresses.grpc, addresses.admin);
    let stop = async {
        parent_is_gone().await;
        Ok(())
    };
    let exit = app.run(stop).context("the server stopped")?;
    anyhow::ensure!(exit == Exit::Clean, "the server stopped with {}", exit.code());
    Ok(())
}

/// Resolves when standard input ends.
pub async fn parent_is_gone() {
    let (gone, wait) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        // Whoever waited may have stopped for another reason.
        let _ = gone.send(());
    });
    // A dropped sender means the same.
    let _ = wait.await;
}
