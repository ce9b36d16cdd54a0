//! Settings: flags before environment before file before defaults. Wrong ones are refused with file, line and key.

use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use kuota_domain::catalog::Catalog;
use serde::Deserialize;
use tracing_subscriber::EnvFilter;

use crate::{
    catalog_file::{WEST_KALIMANTAN, parse},
    limits::WATCHERS_MAX,
    located::Located,
};

const LOOPBACK_ONLY: &str =
    "only loopback addresses are allowed until there is authentication; --insecure allows others";
const DEFAULT_CATALOG_NAME: &str = "kalbar.toml (built in)";

/// How log lines look.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

/// Where a catalogue comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CatalogSource {
    /// From a file.
    File(PathBuf),
    /// From text, under a name.
    Text {
        /// For messages.
        name: String,
        /// TOML.
        text: String,
    },
}

impl CatalogSource {
    /// West Kalimantan, as compiled in.
    #[must_use]
    pub fn built_in() -> Self {
        Self::Text { name: DEFAULT_CATALOG_NAME.into(), text: WEST_KALIMANTAN.into() }
    }

    /// Reads it.
    ///
    /// # Errors
    /// Names file, line and key of what is wrong.
    pub fn load(&self) -> Result<Catalog, ConfigError> {
        Ok(match self {
            Self::File(path) => parse(&path.display().to_string(), &read_text(path)?)?,
            Self::Text { name, text } => parse(name, text)?,
        })
    }
}

impl fmt::Display for CatalogSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Text { name, .. } => f.write_str(name),
        }
    }
}

/// Settings as one source gives them; the same names in flags, `KUOTA_…` and the file.
#[derive(Clone, Debug, Default, Deserialize, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Catalogue of offices, lanes, openings, holidays and fees [default: West Kalimantan, built in].
    #[arg(long, env = "KUOTA_CATALOG", value_name = "FILE")]
    catalog: Option<PathBuf>,
    /// gRPC address for other services [default: 127.0.0.1:50051].
    #[arg(long, env = "KUOTA_LISTEN", value_name = "ADDR:PORT")]
    listen: Option<SocketAddr>,
    /// gRPC address for operators [default: 127.0.0.1:50052].
    #[arg(long, env = "KUOTA_ADMIN_LISTEN", value_name = "ADDR:PORT")]
    admin_listen: Option<SocketAddr>,
    /// HTTP address of /metrics, /healthz and /readyz [default: 127.0.0.1:9464].
    #[arg(long, env = "KUOTA_HTTP_LISTEN", value_name = "ADDR:PORT")]
    http_listen: Option<SocketAddr>,
    /// Directory of log, key and lock; made if absent [default: ./data].
    #[arg(long, env = "KUOTA_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
    /// Threads that serve calls, 1 to 1,024 [default: one per core].
    #[arg(long, env = "KUOTA_THREADS", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// File with the NIK key, 64 hexadecimal digits [default: nik.key in the data directory, made at first start].
    #[arg(long, env = "KUOTA_NIK_KEY", value_name = "FILE")]
    nik_key: Option<PathBuf>,
    /// Size the log may grow to; when it is full nothing more is granted [default: no bound but the disk].
    #[arg(long, env = "KUOTA_LOG_SIZE_MAX_MIB", value_name = "MIB", value_parser = clap::value_parser!(u32).range(1..))]
    log_size_max_mib: Option<u32>,
    /// How log lines look [default: human].
    #[arg(long, env = "KUOTA_LOG_FORMAT", value_name = "FORMAT")]
    log_format: Option<LogFormat>,
    /// Which log lines: error, warn, info, debug, trace, or tracing directives [default: info].
    #[arg(long, env = "KUOTA_LOG_LEVEL", value_name = "LEVEL")]
    log_level: Option<String>,
    /// Watches of availability at once, 0 to 100,000 [default: 4,096].
    #[arg(long, env = "KUOTA_WATCHERS_MAX", value_name = "N", value_parser = clap::value_parser!(u32).range(0..=100_000))]
    watchers_max: Option<u32>,
    /// Releases the next five service days at once, so that the first minute works on any day.
    #[arg(long, env = "KUOTA_DEMO", num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    demo: Option<bool>,
    /// Allows addresses other than loopback, although there is no authentication yet.
    #[arg(long, env = "KUOTA_INSECURE", num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    insecure: Option<bool>,
}

/// Settings, complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where the catalogue is.
    pub catalog: CatalogSource,
    /// gRPC for services.
    pub listen: SocketAddr,
    /// gRPC for operators.
    pub admin_listen: SocketAddr,
    /// HTTP.
    pub http_listen: SocketAddr,
    /// Directory of log, key and lock.
    pub data: PathBuf,
    /// Threads that serve calls.
    pub threads: usize,
    /// File of the NIK key, if not in the data directory.
    pub nik_key: Option<PathBuf>,
    /// Bytes the log may grow to.
    pub log_size_max_bytes: Option<u64>,
    /// How log lines look.
    pub log_format: LogFormat,
    /// Which log lines.
    pub log_level: String,
    /// Watches of availability at once.
    pub watchers_max: usize,
    /// Opens five days at once.
    pub demo: bool,
    /// Allows addresses other than loopback.
    pub insecure: bool,
}

/// Settings that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file that cannot be read.
    #[error("{}: cannot be read: {error}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// Something in a file.
    #[error(transparent)]
    Located(#[from] Located),
    /// A flag or a variable of the environment that cannot be used.
    #[error("{key} = {value}: {allowed}")]
    Value {
        /// Which setting.
        key: &'static str,
        /// Its value.
        value: String,
        /// What is allowed.
        allowed: String,
    },
}

impl Settings {
    /// Settings from flags and environment, and from the file if one is named.
    ///
    /// # Errors
    /// Names file, line and key of what cannot be used.
    pub fn load(flags: Source, path: Option<&Path>) -> Result<Self, ConfigError> {
        let text = path.map(read_text).transpose()?.unwrap_or_default();
        let file = path.map(|path| Source::read(path, &text)).transpose()?.unwrap_or_default();
        let place = |key, value, allowed: String, from_file: bool| match path {
            Some(path) if from_file => Located::at_key(path.display(), &text, key, allowed).into(),
            Some(_) | None => ConfigError::Value { key, value, allowed },
        };
        let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let settings = Self {
            catalog: flags.catalog.or(file.catalog).map_or_else(CatalogSource::built_in, CatalogSource::File),
            listen: flags.listen.or(file.listen).unwrap_or_else(|| loopback(50_051)),
            admin_listen: flags.admin_listen.or(file.admin_listen).unwrap_or_else(|| loopback(50_052)),
            http_listen: flags.http_listen.or(file.http_listen).unwrap_or_else(|| loopback(9_464)),
            data: flags.data.or(file.data).unwrap_or_else(|| "data".into()),
            threads: flags.threads.or(file.threads).map_or(cores, usize::from),
            nik_key: flags.nik_key.or(file.nik_key),
            log_size_max_bytes: flags
                .log_size_max_mib
                .or(file.log_size_max_mib)
                .map(|mib| u64::from(mib) << 20),
            log_format: flags.log_format.or(file.log_format).unwrap_or_default(),
            log_level: flags
                .log_level
                .clone()
                .or_else(|| file.log_level.clone())
                .unwrap_or_else(|| "info".into()),
            watchers_max: flags
                .watchers_max
                .or(file.watchers_max)
                .map_or(WATCHERS_MAX, |most| usize::try_from(most).unwrap_or(WATCHERS_MAX)),
            demo: flags.demo.or(file.demo).unwrap_or(false),
            insecure: flags.insecure.or(file.insecure).unwrap_or(false),
        };
        for (key, address, from_file) in [
            ("listen", settings.listen, flags.listen.is_none() && file.listen.is_some()),
            (
                "admin_listen",
                settings.admin_listen,
                flags.admin_listen.is_none() && file.admin_listen.is_some(),
            ),
            ("http_listen", settings.http_listen, flags.http_listen.is_none() && file.http_listen.is_some()),
        ] {
            if !settings.insecure && !address.ip().is_loopback() {
                return Err(place(key, address.to_string(), LOOPBACK_ONLY.into(), from_file));
            }
        }
        if let Err(allowed) = check_level(&settings.log_level) {
            let from_file = flags.log_level.is_none() && file.log_level.is_some();
            return Err(place("log_level", settings.log_level, allowed, from_file));
        }
        Ok(settings)
    }
}

impl Source {
    /// Only a data directory, with the key's file if it is not in there.
    #[must_use]
    pub fn of_data(data: Option<PathBuf>, nik_key: Option<PathBuf>) -> Self {
        Self { data, nik_key, ..Self::default() }
    }

    /// Only where a server listens.
    #[must_use]
    pub fn of_listener(listen: Option<SocketAddr>) -> Self {
        // Whom to ask is no matter of who may be served.
        Self { listen, insecure: Some(true), ..Self::default() }
    }

    fn read(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let source: Self = toml::from_str(text).map_err(|error| Located::of(path.display(), text, &error))?;
        if source.threads.is_some_and(|threads| !(1..=1_024).contains(&threads)) {
            return Err(Located::at_key(path.display(), text, "threads", "1 to 1024 is allowed").into());
        }
        if source.watchers_max.is_some_and(|most| most > 100_000) {
            return Err(
                Located::at_key(path.display(), text, "watchers_max", "0 to 100000 is allowed").into()
            );
        }
        if source.log_size_max_mib == Some(0) {
            return Err(
                Located::at_key(path.display(), text, "log_size_max_mib", "1 or more is allowed").into()
            );
        }
        Ok(source)
    }
}

fn check_level(level: &str) -> Result<(), String> {
    let known = EnvFilter::try_new(level).map(drop);
    known.map_err(|error| {
        format!("{error}; error, warn, info, debug, trace or tracing directives are allowed")
    })
}

fn read_text(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|error| ConfigError::Unreadable { path: path.to_owned(), error })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str, flags: Source) -> Result<Settings, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("kuota.toml");
        std::fs::write(&path, text).unwrap();
        let shown = path.display().to_string();
        Settings::load(flags, Some(&path)).map_err(|error| error.to_string().replace(&shown, "kuota.toml"))
    }

    #[test]
    fn flags_come_before_the_file_and_the_file_before_defaults() {
        let flags = Source { threads: Some(3), ..Source::default() };
        let settings = load("threads = 2\nlisten = \"127.0.0.1:7000\"\n", flags).unwrap();
        assert_eq!(
            (settings.threads, settings.listen.port(), settings.http_listen.port()),
            (3, 7_000, 9_464)
        );
    }

    #[test]
    fn what_is_wrong_is_named_with_file_line_and_key() {
        for (text, expected) in [
            ("\nlisten = \"localhost\"\n", "kuota.toml:2: listen: invalid socket address syntax"),
            ("threads = \"two\"\n", "kuota.toml:1: threads: invalid type: string \"two\", expected u16"),
            ("threads = 0\n", "kuota.toml:1: threads: 1 to 1024 is allowed"),
            ("watchers_max = 100001", "kuota.toml:1: watchers_max: 0 to 100000 is allowed"),
            ("log_size_max_mib = 0", "kuota.toml:1: log_size_max_mib: 1 or more is allowed"),
            ("data = \"d\"\nlisten = ", "kuota.toml:2: listen: "),
            ("lisen = \"127.0.0.1:1\"\n", "kuota.toml:1: lisen: unknown field `lisen`, expected one of"),
            (
                "log_format = \"xml\"\n",
                "kuota.toml:1: log_format: unknown variant `xml`, expected `human` or `json`",
            ),
            (
                "\nhttp_listen = \"0.0.0.0:80\"\n",
                "kuota.toml:2: http_listen: only loopback addresses are allowed",
            ),
            ("log_level = \"!!\"\n", "kuota.toml:1: log_level: "),
        ] {
            let error = load(text, Source::default()).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn other_addresses_need_insecure() {
        assert!(load("insecure = true\nlisten = \"0.0.0.0:80\"\n", Source::default()).is_ok());
    }
}
