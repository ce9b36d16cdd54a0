//! Metrics and log lines.

mod calls;
mod happening;
mod logging;
mod metrics;

pub use self::{
    calls::{CallKind, CallSheet, Method},
    happening::Happening,
    logging::subscriber,
    metrics::{Gauges, Metrics, Shed},
};
