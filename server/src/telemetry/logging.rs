//! Log lines: for people or as JSON, to stderr; stdout is for data.

use std::sync::Arc;

use tracing::Subscriber;
use tracing_subscriber::{
    EnvFilter, Layer as _, Registry,
    fmt::{self, MakeWriter, writer::BoxMakeWriter},
    layer::SubscriberExt as _,
};

use crate::config::LogFormat;

/// Where log lines go.
#[derive(Clone, Debug)]
pub enum LogTarget {
    /// The terminal, or whatever stderr is.
    Stderr,
    /// A buffer, for tests.
    Buffer(Arc<std::sync::Mutex<Vec<u8>>>),
}

/// A subscriber for these settings.
///
/// # Errors
/// When the level is neither a level nor a list of directives.
pub fn subscriber(
    level: &str,
    format: LogFormat,
    target: &LogTarget,
) -> Result<Box<dyn Subscriber + Send + Sync>, String> {
    let filter = EnvFilter::try_new(level).map_err(|error| {
        format!("log_level = {level}: {error}; error, warn, info, debug and trace are allowed")
    })?;
    let writer = match target {
        LogTarget::Stderr => BoxMakeWriter::new(std::io::stderr),
        LogTarget::Buffer(buffer) => BoxMakeWriter::new(Buffer(buffer.clone())),
    };
    let colours = matches!(target, LogTarget::Stderr)
        && std::io::IsTerminal::is_terminal(&std::io::stderr())
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let lines = match format {
        LogFormat::Human => fmt::layer().with_ansi(colours).with_target(false).with_writer(writer).boxed(),
        LogFormat::Json => fmt::layer().json().flatten_event(true).with_writer(writer).boxed(),
    };
    Ok(Box::new(Registry::default().with(lines.with_filter(filter))))
}

struct Buffer(Arc<std::sync::Mutex<Vec<u8>>>);

impl<'a> MakeWriter<'a> for Buffer {
    type Writer = BufferWriter;

    fn make_writer(&'a self) -> Self::Writer {
        BufferWriter(self.0.clone())
    }
}

struct BufferWriter(Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for BufferWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
