//! The Kuota server: hands out scarce appointments at a scheduled opening, exactly, fairly and fast.
//!
//! Three rooms: the **gate** lets about as many asks through as there are places, the **ledger** alone decides, the
//! **log** is the only truth. ARCHITECTURE.md has the map and the invariants.

#![warn(clippy::unwrap_used)]

pub mod accept;
pub mod app;
pub mod backup;
pub mod catalog_file;
pub mod clock;
pub mod config;
pub mod console;
pub mod data_dir;
pub mod engine;
pub mod exit;
pub mod grpc;
pub mod hex;
pub mod limits;
pub mod located;
pub mod log;
pub mod runtime;
pub mod telemetry;
pub mod verify;
mod wire;
