//! Metrics and log lines.

mod calls;
mod logging;
mod metrics;

pub use self::{
    calls::{CallKind, CallSheet, Method},
    logging::subscriber,
    metrics::{Gauges, Metrics, Shed},
};
