//! The load tester of Kuota: replays an opening with honest clocks, and proves the outcome from the server's answers.
//!
//! A run goes scenario → plan → drive → verify → report. The plan fixes every intended time before the run and nothing
//! moves it; the outcome is verified by asking the server afterwards, never from what the driver counted.

#![warn(clippy::unwrap_used)]

pub mod bench;
pub mod calibrate;
pub mod cli;
pub mod driver;
pub mod exit;
pub mod limits;
pub mod payday;
pub mod plan;
pub mod report;
pub mod run;
pub mod scenario;
pub mod target;
pub mod verify;
