//! Metrics and log lines.

mod logging;
mod metrics;

pub use self::{
    logging::{LogTarget, subscriber},
    metrics::{CallMetrics, Gauges, Metrics},
};
