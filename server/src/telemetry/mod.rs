//! Metrics and log lines.

mod logging;
mod metrics;

pub use self::{
    logging::subscriber,
    metrics::{CallMetrics, Gauges, Metrics},
};
