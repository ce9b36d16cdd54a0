//! Log lines: for people or as JSON, to stderr; stdout is for data.

use tracing::Subscriber;
use tracing_subscriber::{EnvFilter, Layer as _, Registry, fmt, layer::SubscriberExt as _};

use crate::config::LogFormat;

/// A subscriber for these settings.
///
/// # Errors
/// When the level is neither a level nor a list of directives.
pub fn subscriber(level: &str, format: LogFormat) -> Result<Box<dyn Subscriber + Send + Sync>, String> {
    let filter = EnvFilter::try_new(level).map_err(|error| {
        format!("log_level = {level}: {error}; error, warn, info, debug and trace are allowed")
    })?;
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr())
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let lines = match format {
        LogFormat::Human => {
            fmt::layer().with_ansi(colours).with_target(false).with_writer(std::io::stderr).boxed()
        }
        LogFormat::Json => fmt::layer().json().flatten_event(true).with_writer(std::io::stderr).boxed(),
    };
    Ok(Box::new(Registry::default().with(lines.with_filter(filter))))
}
