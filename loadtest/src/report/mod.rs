//! What a run says: figures, thresholds, and the verdict with its reasons.

pub mod figures;
pub mod require;
pub mod screen;
pub mod series;
pub mod write;
