//! Reports as files: JSON, and the series as CSV.

use std::{
    fs::{File, OpenOptions},
    path::Path,
};

use anyhow::Context as _;
use serde::Serialize;

use super::series::Row;

/// Whether a file can be written: known before a run, not after it. What is in it stays.
///
/// # Errors
/// When it cannot.
pub fn probe(path: &Path) -> anyhow::Result<()> {
    OpenOptions::new().append(true).create(true).open(path).with_context(|| path.display().to_string())?;
    Ok(())
}

/// Writes JSON.
///
/// # Errors
/// When the file cannot be written.
pub fn json(path: &Path, report: &impl Serialize) -> anyhow::Result<()> {
    let file = File::create(path).with_context(|| path.display().to_string())?;
    serde_json::to_writer_pretty(file, report).with_context(|| path.display().to_string())
}

/// Writes the series.
///
/// # Errors
/// When the file cannot be written.
pub fn csv(path: &Path, series: &[Row]) -> anyhow::Result<()> {
    let mut writer = csv::Writer::from_path(path).with_context(|| path.display().to_string())?;
    for row in series {
        writer.serialize(row)?;
    }
    writer.flush()?;
    Ok(())
}
